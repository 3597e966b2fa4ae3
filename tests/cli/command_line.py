"""Runs the command line as other programs do: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CommandLine", "Finished"]


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> str:
        """The only line on stderr; nothing is on stdout."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        return line


@dataclass
class CommandLine:
    """Runs `nomarr` with a database and a home of its own."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'nomarr.db'}"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
        home = str(self.folder / "home")
        # Every file counts as settled: nothing else writes here.
        return kept | {"HOME": home, "NOMARR_SETTLE_SECONDS": "0", "NOMARR_TAG_WORKERS": "1"} | self.settings

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "nomarr", "--db", self.url, *map(str, arguments)]

    def __call__(self, *arguments: str | Path, stdin: str = "") -> Finished:
        finished = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.folder,
            input=stdin.encode(),
            capture_output=True,
            check=False,
        )
        return Finished(finished.returncode, finished.stdout.decode(), finished.stderr.decode())
