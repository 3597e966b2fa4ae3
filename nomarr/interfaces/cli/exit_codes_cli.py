"""What the command line's exit codes mean. Other programs are written against them."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    DIFFERENT = 1
    """`verify` found differences, a scan held losses back, or `doctor` found an error."""
    USAGE = 2
    """Wrong usage, wrong configuration, a library or move that nobody knows, or a move that can't be undone."""
    UNREACHABLE = 3
    """The library is offline, or what the command needs can't be used: the database, the folder for covers."""
    BUSY = 4
    """Another process scans the library, or enriches the database."""
    UNEXPECTED = 70
    """A mistake of Nomarr itself (EX_SOFTWARE of sysexits.h)."""
    INTERRUPTED = 130
    """Ended by Ctrl-C."""
    TERMINATED = 143
    """Ended by SIGTERM."""
