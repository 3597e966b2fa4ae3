"""Settings over HTTP: read them, and change those that can be changed while the service runs."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body
from fastapi.responses import Response

from nomarr.app import CHANGEABLE_SETTINGS, SETTINGS_OF_THE_DATABASE, Nomarr
from nomarr.config import Config
from nomarr.helpers.secrets_helper import without_secrets
from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import OpenNomarr, Running, Service
from nomarr.interfaces.api.models_if import SettingsShape
from nomarr.interfaces.api.problems_if import NO_BODY, PROBLEMS, Refused, problems
from nomarr.interfaces.contract import JsonObject

__all__ = ["restore_settings", "router"]

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/api/v1/settings", tags=["settings"], responses=PROBLEMS)
_SCHEMA_EXAMPLE: Final = {
    "type": "object",
    "properties": {"scan_batch_size": {"default": 200, "maximum": 1000, "minimum": 50, "type": "integer"}},
}
_OF_FILES: Final = frozenset({"audio_patterns", "ignore_patterns"})
"""Settings that decide which files belong to libraries."""
Changes = Annotated[dict[str, Any], Body(examples=[{"watcher_debounce_seconds": 5}])]


@router.get("", response_model=SettingsShape)
async def show_settings(nomarr: OpenNomarr) -> Response:
    """Every setting as it is in force, without passwords; which of them were changed here, and which can't be read."""
    return Answer(await _settings_object(nomarr))


@router.get(
    "/schema",
    response_model=dict[str, Any],
    responses={200: {"content": {"application/json": {"example": _SCHEMA_EXAMPLE}}}},
)
async def show_schema() -> Response:
    """The JSON schema of the settings, with defaults and limits."""
    return Answer(Config.model_json_schema())


@router.patch("", response_model=SettingsShape, responses=problems(*NO_BODY))
async def change_settings(changes: Changes, service: Running) -> Response:
    """Change settings now, without a restart. The service keeps them: they win over its configuration at each start.

    `purge_missing_after_days`, `ignore_patterns` and `audio_patterns` hold for every program that uses the database.
    """
    nomarr = service.nomarr
    async with service.settings_lock:
        nomarr.config_with(changes)
        # Stored first: what is in force must not be gone at the next start.
        await nomarr.kept_settings.change(changes)
        nomarr.change_settings(_of_this_service(changes))
    await _follow(changes.keys(), service)
    return Answer(await _settings_object(nomarr))


@router.delete("/{name}", response_model=SettingsShape, responses=problems(404))
async def give_setting_back(name: str, service: Running) -> Response:
    """Give a setting back to the configuration, whose value is in force from now on."""
    if name not in CHANGEABLE_SETTINGS:
        raise Refused(404, "there is no such setting that can be changed over HTTP", error="SettingNotFound")
    nomarr = service.nomarr
    async with service.settings_lock:
        await nomarr.kept_settings.forget(name)
        nomarr.change_settings({name: getattr(nomarr.configured, name)})
    await _follow({name}, service)
    return Answer(await _settings_object(nomarr))


async def restore_settings(nomarr: Nomarr) -> None:
    """Take over what was changed over HTTP before; what is no setting any more is forgotten."""
    kept = (await nomarr.kept_settings.forget_unusable()).usable
    nomarr.change_settings(_of_this_service(kept))
    if kept:
        told = ", ".join(f"{name}={value}" for name, value in sorted(kept.items()))
        logger.info("settings that were changed over HTTP win over the configuration: %s", told)


async def _follow(changed: Collection[str], service: Service) -> None:
    """Have watched libraries scanned soon if other files belong to them now."""
    if not _OF_FILES.isdisjoint(changed):
        await service.follow_libraries()


def _of_this_service(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without those of the database: another service may change them at any time, so nobody remembers them."""
    return {name: value for name, value in settings.items() if name not in SETTINGS_OF_THE_DATABASE}


async def _settings_object(nomarr: Nomarr) -> JsonObject:
    kept = await nomarr.kept_settings.read()
    settings = nomarr.config_with_kept(kept).model_dump(mode="json")
    settings["database_url"] = without_secrets(settings["database_url"])
    return {
        "settings": settings,
        "changeable": sorted(CHANGEABLE_SETTINGS),
        "overridden": sorted(kept.usable),
        "unreadable": sorted(kept.unreadable),
    }
