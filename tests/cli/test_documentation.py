"""docs/cli.md and `--help` tell the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from nomarr.interfaces.cli.main_cli import app

DOCUMENT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
EVERYWHERE = {"--help"}


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    for child_name, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{name} {child_name}")
    if not hasattr(command, "commands"):
        yield name, command


ROOT = get_command(app)
COMMANDS = dict(commands(ROOT, "nomarr"))


def options(command: Any) -> set[str]:
    names = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    return {name for name in names if name.startswith("--")} - EVERYWHERE


def section(heading: str) -> str:
    found = re.search(rf"^### `{re.escape(heading)}[^\n]*`$(.*?)(?=^##|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no section '### `{heading} …`'"
    return found.group(1)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_exactly_its_options(name: str) -> None:
    listed = {
        option for line in section(name).splitlines() if line.startswith("| `--") for option in OPTION.findall(line)
    }
    assert listed == options(COMMANDS[name])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_text_has_an_example(name: str) -> None:
    assert f"Example: {name} " in COMMANDS[name].help + " " or COMMANDS[name].help.rstrip().endswith(f"Example: {name}")


def test_the_global_options_are_documented() -> None:
    listed = {
        option
        for line in section("nomarr ").splitlines()
        if line.startswith("| `--")
        for option in OPTION.findall(line)
    }
    assert listed == options(ROOT)


def test_no_other_command_is_documented() -> None:
    headings = re.findall(r"^### `(nomarr(?: [a-z]+)*)", DOCUMENT, re.MULTILINE)
    assert set(headings) == {*COMMANDS, "nomarr"}
