"""Read the tags of one file, with its numbers as they were just after."""

from __future__ import annotations

import os
from dataclasses import dataclass

from nomarr.components.media.read_tags_comp import read_tags
from nomarr.helpers.dto.files import FileStat, int64
from nomarr.helpers.dto.quick_pickle import QuickPickle
from nomarr.helpers.dto.tags import TagReadResult
from nomarr.helpers.time_helper import system_clock

__all__ = ["ReadFile", "read_file", "stat_of", "unread_file"]


@dataclass(frozen=True, slots=True)
class ReadFile(QuickPickle):
    """Tags, and the file's numbers just after they were read (None if it was gone by then)."""

    tags: TagReadResult
    stat: FileStat | None
    read_at: float
    """Just before it was opened: what was written later than this may not have been seen."""


def read_file(path: str) -> ReadFile:
    """Read an absolute path. A file that changed meanwhile shows by its numbers afterwards."""
    read_at = system_clock()
    tags = read_tags(path)
    return ReadFile(tags, stat_of(path), read_at)


def unread_file(path: str, reason: str) -> ReadFile:
    """What stands for a file that could not be read; `reason` continues a sentence that begins with its name."""
    return ReadFile(TagReadResult(None, reason), stat_of(path), system_clock())


def stat_of(path: str) -> FileStat | None:
    """The numbers of a file; None if it can't be asked for them."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return FileStat(*map(int64, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)))
