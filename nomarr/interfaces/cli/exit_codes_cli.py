"""What the command line's exit codes mean. Other programs are written against them."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    DIFFERENT = 1
    """`verify` or `db check` found something, a copy differs, losses were held back, or `doctor` found an error."""
    USAGE = 2
    """Wrong usage or configuration, a library or move that nobody knows, a move that can't be undone, or a database to
    copy into that is not empty."""
    UNREACHABLE = 3
    """The library is offline, or what the command needs can't be used: the database, the folder for covers."""
    BUSY = 4
    """Another process scans the library, or enriches the database, or writes to the one that is to be copied."""
    UNEXPECTED = 70
    """A mistake of Nomarr itself (EX_SOFTWARE of sysexits.h)."""
    INTERRUPTED = 130
    """Ended by Ctrl-C."""
    TERMINATED = 143
    """Ended by SIGTERM."""
