"""The real command, from the start of Python on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from command_line import CommandLine

HEAVY = {"rich", "pydantic", "pydantic_settings", "anyio", "asyncio", "mutagen", "sqlite3", "yaml"}
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


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_the_imports_ends_without_a_word(cli: CommandLine, number: int, code: int) -> None:
    # It is imported instead of the real one, and takes until the signal comes.
    (cli.folder / "typer.py").write_text("print('importing', flush=True)\nimport sys\nsys.stdin.read()\n")
    command = subprocess.Popen(
        [sys.executable, "-m", "nomarr", "scan"],
        env=cli.environment,
        cwd=cli.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with command:
        assert command.stdout is not None
        assert command.stderr is not None
        assert command.stdout.readline() == b"importing\n"
        command.send_signal(number)
        assert (command.stderr.read(), command.wait()) == (b"", code)


def test_doctor_imports_what_it_needs(scanned: CommandLine) -> None:
    """What it tells of the machine may change from one moment to the next."""
    assert replace(scanned, forks=None)("doctor").code == 0
