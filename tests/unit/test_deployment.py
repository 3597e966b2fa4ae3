"""What is there to run the service for good keeps its promises."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from nomarr.config import Config
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.cli.exit_codes_cli import ExitCode
from nomarr.interfaces.cli.main_cli import app

REPOSITORY = Path(__file__).parents[2]
STOP_SECONDS = 10
VARIABLE = re.compile(r"\bNOMARR_[A-Z_]+\b(?!=value)")


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
        assert all(by_default(port).startswith("127.0.0.1:") for port in service["ports"])


def by_default(text: str) -> str:
    """What Docker Compose reads if no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_containers_take_any_setting(compose: dict[str, Any]) -> None:
    nomarr = compose["services"]["nomarr"]
    assert nomarr["env_file"] == [{"path": ".env", "required": False}]
    # What stands below `environment` wins, so it has to let others through; but for where it listens inside.
    inside = {"NOMARR_SERVE_HOST": "0.0.0.0", "NOMARR_SERVE_PORT": "8337", "ARANGO_ROOT_PASSWORD": ""}
    fixed = {name: text for name, text in nomarr["environment"].items() if not text.startswith(f"${{{name}:-")}
    assert fixed == inside
    assert [by_default(port) for port in nomarr["ports"]] == ["127.0.0.1:8337:8337"]


def test_arangodb_comes_only_if_asked_for(compose: dict[str, Any]) -> None:
    assert compose["services"]["arangodb"]["profiles"] == ["arangodb"]
    assert "profiles" not in compose["services"]["nomarr"]


def test_variables_are_settings() -> None:
    files = ("dockerfile", "docker/compose.yaml", "config/nomarr.service", "docs/operations.md", "docs/databases.md")
    named = {name for file in files for name in VARIABLE.findall((REPOSITORY / file).read_text(encoding="utf-8"))}
    of_settings = {f"NOMARR_{name.upper()}" for name in Config.model_fields}
    of_serve = {parameter.envvar for parameter in get_command(app).commands["serve"].params}
    assert named <= of_settings | of_serve


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


def test_nobody_is_told_to_install_what_is_ours_from_an_index() -> None:
    # There is no package of this name that is ours; whoever registers it could run what they like.
    documents = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    files = [*documents, *(REPOSITORY / "nomarr").rglob("*.py")]
    told = {path.name for path in files if re.search(r"install '?nomarr\b", path.read_text(encoding="utf-8"))}
    assert told == set()


@pytest.mark.parametrize("page", ["operations", "databases"])
def test_a_database_beside_it_gets_a_token_before_the_service_starts(page: str) -> None:
    text = (REPOSITORY / "docs" / f"{page}.md").read_text(encoding="utf-8")
    compose = "docker compose --file docker/compose.yaml --profile arangodb"
    token = text.index(f"{compose} run --rm nomarr token create --scope admin")
    assert token < text.index(f"{compose} up --detach")
