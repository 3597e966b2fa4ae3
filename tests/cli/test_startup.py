"""The real command, from the start of Python on."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from command_line import CommandLine

HEAVY = {"rich", "pydantic", "pydantic_settings", "anyio", "asyncio", "mutagen", "sqlite3", "yaml", "pathspec"}
IMPORTED = re.compile(r"^import time:.*\|\s*(\S+)$", re.MULTILINE)


def test_help_loads_nothing_heavy(cli: CommandLine) -> None:
    """A help text must not wait for what only the work itself needs."""
    finished = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nomarr", "--help"],
        env=cli.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in IMPORTED.findall(finished.stderr)}
    assert "typer" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    "command",
    [
        "--version",
        "db check --json",
        "duplicates Music",
        "explain Music/Jazz/tagged.wav --json",
        "library show Music",
        "moves",
        "playlists Music",
        "purge --dry-run",
        "scan nowhere",
        "scans --json",
        "verify Music",
    ],
)
def test_a_command_imports_what_it_needs(scanned: CommandLine, command: str) -> None:
    """Other tests run commands in processes that have imported everything; they are to be the same."""
    real = replace(scanned, forks=None)
    assert real(*command.split()) == scanned(*command.split())


def test_doctor_imports_what_it_needs(scanned: CommandLine) -> None:
    """What it tells of the machine may change from one moment to the next."""
    assert replace(scanned, forks=None)("doctor").code == 0
