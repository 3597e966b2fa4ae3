"""Paths inside a library: POSIX text relative to its root, any byte sequence that a file system allows.

Inside the program a path is `str` in Python's surrogateescape form, so `os.fsencode` gives the exact bytes back.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator

__all__ = [
    "escaped",
    "folder_of",
    "folders_above",
    "is_within",
    "join",
    "name_of",
    "path_key",
    "readable",
    "special_file_kind",
    "strip_control",
    "unescaped",
]

_NEEDS_ESCAPE = re.compile(r"[\\\udc80-\udcff]")
_ESCAPE = re.compile(r"\\(\\|x[0-9a-f]{2})")


def join(folder: str, name: str) -> str:
    """The path of `name` inside `folder`; the empty folder is the library root."""
    return f"{folder}/{name}" if folder else name


def folder_of(path: str) -> str:
    """The folder that holds `path`; empty for the library root."""
    return path.rpartition("/")[0]


def folders_above(path: str) -> Iterator[str]:
    """The folders that hold `path`, from the innermost to the library root; none for the root itself."""
    while path:
        path = folder_of(path)
        yield path


def name_of(path: str) -> str:
    """The last segment of `path`."""
    return path.rpartition("/")[2]


def is_within(path: str, folder: str) -> bool:
    """True if `path` is `folder` or lies anywhere below it."""
    return not folder or path == folder or path.startswith(folder + "/")


def path_key(path: str) -> str:
    """Identity of an exact path as ASCII: databases collate, normalize or refuse text, never this."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()


def escaped(path: str) -> str:
    """`path` as valid UTF-8 text for storage: undecodable bytes become `\\xNN`, a backslash is doubled.

    Character by character, so a folder's escaped path is a prefix of its files' escaped paths.
    """
    return _NEEDS_ESCAPE.sub(_escape_character, path) if _NEEDS_ESCAPE.search(path) else path


def unescaped(text: str) -> str:
    """The inverse of `escaped`."""
    return _ESCAPE.sub(_unescape_match, text) if "\\" in text else text


def readable(path: str) -> str:
    """`path` for people: one line, printable, nothing that could steer a terminal."""
    return strip_control(escaped(path)) if path else "(library root)"


def strip_control(text: str) -> str:
    """`text` with every character that is not printable written as a Python escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def special_file_kind(mode: int) -> str | None:
    """What a file of this `st_mode` is when it is not a regular file; None when it is one."""
    if stat.S_ISREG(mode):
        return None
    kinds = {
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a folder",
        stat.S_IFLNK: "a symbolic link",
    }
    return kinds.get(stat.S_IFMT(mode), "a special file")


def _escape_character(match: re.Match[str]) -> str:
    character = match.group()
    return r"\\" if character == "\\" else f"\\x{ord(character) - 0xDC00:02x}"


def _unescape_match(match: re.Match[str]) -> str:
    escape = match.group(1)
    return "\\" if escape == "\\" else chr(0xDC00 + int(escape[1:], 16))
