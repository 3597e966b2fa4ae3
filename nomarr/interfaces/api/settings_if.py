"""Settings over HTTP: read them, and change those that can be changed while the service runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body
from fastapi.responses import Response

from nomarr.app import CHANGEABLE_SETTINGS, Nomarr
from nomarr.config import Config
from nomarr.helpers.exceptions import ConfigurationError
from nomarr.helpers.secrets_helper import without_secrets
from nomarr.interfaces.api.answers_if import Answer
from nomarr.interfaces.api.context_if import OpenNomarr, Running
from nomarr.interfaces.api.models_if import SettingsShape
from nomarr.interfaces.api.problems_if import NO_BODY, PROBLEMS, problems
from nomarr.interfaces.contract import JsonObject

__all__ = ["restore_settings", "router"]

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/api/v1/settings", tags=["settings"], responses=PROBLEMS)
_SCHEMA_EXAMPLE: Final = {
    "type": "object",
    "properties": {"scan_batch_size": {"default": 200, "maximum": 1000, "minimum": 50, "type": "integer"}},
}
Changes = Annotated[dict[str, Any], Body(examples=[{"watcher_debounce_seconds": 5}])]
_STORED: Final = "service_settings"
"""The setting of the database that holds what was changed over HTTP, as JSON."""


@router.get("", response_model=SettingsShape)
async def show_settings(nomarr: OpenNomarr) -> Response:
    """Every setting as it is in force; without passwords."""
    return Answer(_settings_object(nomarr))


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
    """Change settings now, without a restart. The service keeps them: they win over its configuration at each start."""
    nomarr = service.nomarr
    async with service.settings_lock:
        nomarr.config_with(changes)
        # Stored first: what is in force must not be gone at the next start.
        await _keep(nomarr, await _kept(nomarr) | changes)
        nomarr.change_settings(changes)
    return Answer(_settings_object(nomarr))


async def restore_settings(nomarr: Nomarr) -> None:
    """Take over what was changed over HTTP before; what is no setting any more is forgotten."""
    kept = await _kept(nomarr)
    usable = {name: value for name, value in kept.items() if _is_usable(nomarr, name, value)}
    nomarr.change_settings(usable)
    if usable != kept:
        await _keep(nomarr, usable)


def _is_usable(nomarr: Nomarr, name: str, value: Any) -> bool:
    try:
        nomarr.config_with({name: value})
    except ConfigurationError as error:
        # Another version stored it; the service is worth more without it than not at all.
        logger.warning("a setting that was changed over HTTP is forgotten: %s", error)
        return False
    return True


async def _kept(nomarr: Nomarr) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(await nomarr.settings.get(_STORED) or "{}")
    return kept


async def _keep(nomarr: Nomarr, settings: Mapping[str, Any]) -> None:
    await nomarr.settings.put(_STORED, json.dumps(settings))


def _settings_object(nomarr: Nomarr) -> JsonObject:
    settings = nomarr.config.model_dump(mode="json")
    settings["database_url"] = without_secrets(settings["database_url"])
    return {"settings": settings, "changeable": sorted(CHANGEABLE_SETTINGS)}
