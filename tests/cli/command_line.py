"""Runs the command line as other programs do: in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.fork_server import ForkServer, inherited

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
    """Further environment variables."""
    forks: ForkServer | None = None
    """What runs commands quicker than a start of Python does; without it they are started as people start them."""

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'nomarr.db'}"

    @property
    def environment(self) -> dict[str, str]:
        home = str(self.folder / "home")
        # Every file counts as settled: nothing else writes here.
        return inherited() | {"HOME": home, "NOMARR_SETTLE_SECONDS": "0", "NOMARR_TAG_WORKERS": "1"} | self.settings

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "nomarr", *self._arguments(*arguments)]

    def __call__(self, *arguments: str | Path, stdin: str = "") -> Finished:
        if self.forks is None:
            done = subprocess.run(
                self.command(*arguments),
                env=self.environment,
                cwd=self.folder,
                input=stdin.encode(),
                capture_output=True,
                check=False,
            )
            return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())
        forked = self.forks.start(
            "nomarr", *self._arguments(*arguments), environment=self.environment, folder=self.folder
        )
        stdout, stderr = forked.communicate(stdin.encode())
        return Finished(forked.wait(), stdout.decode(), stderr.decode())

    def _arguments(self, *arguments: str | Path) -> list[str]:
        return ["--db", self.url, *map(str, arguments)]
