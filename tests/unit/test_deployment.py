"""What is there to run the service for good keeps its promises."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from nomarr.config import Config
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.cli.exit_codes_cli import ExitCode

REPOSITORY = Path(__file__).parents[2]
STOP_SECONDS = 10


class _Unit(configparser.RawConfigParser):
    """Keys may stand several times, and are written as they are."""

    def __init__(self) -> None:
        super().__init__(strict=False, delimiters=("=",))

    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.fixture
def unit() -> configparser.SectionProxy:
    parser = _Unit()
    parser.read(REPOSITORY / "config" / "nomarr.service")
    return parser["Service"]


@pytest.fixture
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    return read


def test_the_unit_knows_how_the_service_ends(unit: configparser.SectionProxy) -> None:
    assert unit["ExecStart"].endswith("/nomarr serve")
    assert int(unit["SuccessExitStatus"]) == ExitCode.TERMINATED
    assert int(unit["RestartPreventExitStatus"]) == ExitCode.USAGE
    assert int(unit["TimeoutStopSec"]) > STOP_SECONDS


def test_the_unit_may_open_enough_files(unit: configparser.SectionProxy) -> None:
    assert int(unit["LimitNOFILE"]) >= 2 * ServiceOptions().max_connections


def test_the_unit_writes_nowhere_but_in_its_own_folder(unit: configparser.SectionProxy) -> None:
    assert (unit["ProtectSystem"], unit["ProtectHome"], unit["NoNewPrivileges"]) == ("strict", "read-only", "yes")
    assert unit["CapabilityBoundingSet"] == ""
    assert unit["Environment"].startswith("NOMARR_DATABASE_URL=sqlite:////var/lib/nomarr/")
    assert unit["StateDirectory"] == "nomarr"


def test_the_unit_lets_other_processes_be_seen(unit: configparser.SectionProxy) -> None:
    # A process that can't be seen is taken for dead, and its scan for interrupted.
    assert not {"ProtectProc", "PrivatePIDs", "PrivateUsers"} & set(unit)


def test_containers_read_music_only_and_are_reached_from_here_only(compose: dict[str, Any]) -> None:
    nomarr = compose["services"]["nomarr"]
    (music,) = (volume for volume in nomarr["volumes"] if isinstance(volume, dict))
    assert (music["target"], music["read_only"]) == ("/music", True)
    assert nomarr["read_only"]
    assert nomarr["cap_drop"] == ["ALL"]
    assert int(nomarr["stop_grace_period"].rstrip("s")) > STOP_SECONDS
    for service in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_arangodb_comes_only_if_asked_for(compose: dict[str, Any]) -> None:
    assert compose["services"]["arangodb"]["profiles"] == ["arangodb"]
    assert "profiles" not in compose["services"]["nomarr"]


def test_variables_are_settings(compose: dict[str, Any], unit: configparser.SectionProxy) -> None:
    text = (REPOSITORY / "dockerfile").read_text(encoding="utf-8") + unit["Environment"]
    named = {*compose["services"]["nomarr"]["environment"], *re.findall(r"NOMARR_[A-Z_]+", text)}
    assert {name.removeprefix("NOMARR_").lower() for name in named} <= Config.model_fields.keys()


def test_images_have_what_the_service_needs() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = (REPOSITORY / "dockerfile.base").read_text(encoding="utf-8")
    service = (REPOSITORY / "dockerfile").read_text(encoding="utf-8")
    for extra in ("arangodb", "server"):
        assert extra in project["optional-dependencies"]
        assert f'extras["{extra}"]' in base
    assert "nomarr[arangodb,server]" in service
    assert re.search(r"^FROM nomarr-base$", service, re.MULTILINE)
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    for copied in " ".join(re.findall(r"^COPY (.+) \S+$", service, re.MULTILINE)).split():
        assert f"!{copied}" in ignored
