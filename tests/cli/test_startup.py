"""A help text must not wait for what only the work itself needs."""

from __future__ import annotations

import re
import subprocess
import sys

from command_line import CommandLine

HEAVY = {"rich", "pydantic", "pydantic_settings", "anyio", "asyncio", "mutagen", "sqlite3", "yaml", "pathspec"}
IMPORTED = re.compile(r"^import time:.*\|\s*(\S+)$", re.MULTILINE)


def test_help_loads_nothing_heavy(cli: CommandLine) -> None:
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
