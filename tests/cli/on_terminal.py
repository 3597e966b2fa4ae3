"""Runs the command line as people do: on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from command_line import CommandLine

__all__ = ["SHOW_CURSOR", "OnTerminal", "on_terminal"]

SHOW_CURSOR = b"\x1b[?25h"


class OnTerminal:
    """A command whose stderr is a terminal, so that it draws its progress."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self.seen = b""

    def order(self, line: str) -> None:
        """Write a line to the command's stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def wait_for(self, words: bytes) -> None:
        """Until the terminal has shown this."""
        while words not in self.seen:
            self.seen += os.read(self._terminal, 4096)

    def end(self, number: int) -> tuple[int, float]:
        """Send a signal; the exit code and the seconds until it came."""
        started = time.monotonic()
        self.process.send_signal(number)
        try:
            while piece := os.read(self._terminal, 4096):
                self.seen += piece
        except OSError:
            # Linux tells so that nobody holds the other end of the terminal any more.
            pass
        return self.process.wait(), time.monotonic() - started


@contextmanager
def on_terminal(cli: CommandLine, *arguments: str | Path, answers_too: bool = False) -> Iterator[OnTerminal]:
    """Run a command with its stderr on a terminal, and if wanted also its stdout."""
    ours, theirs = pty.openpty()
    environment = cli.environment | {"TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(
        cli.command(*arguments),
        env=environment,
        stdin=subprocess.PIPE,
        stdout=theirs if answers_too else subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        with process:
            yield OnTerminal(process, ours)
            process.kill()
    finally:
        os.close(ours)
