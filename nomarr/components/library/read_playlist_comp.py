"""Read a playlist (m3u, m3u8, pls): which lines name files, and where in a library those files are."""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from nomarr.helpers.dto.batches import PlaylistLine
from nomarr.helpers.dto.library import Library
from nomarr.helpers.paths_helper import special_file_kind

__all__ = ["PlaylistError", "playlist_texts", "read_playlist", "resolve"]

_SIZE_LIMIT: Final = 16 << 20
_PLS_ENTRY: Final = re.compile(r"\s*File\d+\s*=(.*)", re.IGNORECASE)


class PlaylistError(Exception):
    """A playlist that can't be read; the text says why."""


def read_playlist(path: str) -> list[str]:
    """The entries of the playlist at the absolute `path`, in order, as it has them.

    Raises:
        PlaylistError: if it is no regular file, is too large, or can't be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PlaylistError(f"is {special_file_kind(status.st_mode)}, not a playlist")
            if status.st_size > _SIZE_LIMIT:
                raise PlaylistError(f"is larger than {_SIZE_LIMIT >> 20} MB")
            content = file.read(_SIZE_LIMIT)
    except OSError as error:
        raise PlaylistError(error.strerror or str(error)) from error
    return playlist_texts(content, is_pls=path.lower().endswith(".pls"))


def playlist_texts(content: bytes, *, is_pls: bool) -> list[str]:
    """The entries in a playlist's bytes: UTF-8 with or without mark, anything else byte for byte."""
    lines = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
    if is_pls:
        return [match.group(1).strip() for line in lines if (match := _PLS_ENTRY.match(line))]
    texts = (line.rstrip("\r") for line in lines)
    return [text for text in texts if text.strip() and not text.startswith("#")]


def resolve(text: str, folder: str, library: Library, libraries: Sequence[Library]) -> PlaylistLine:
    """What an entry means: a path relative to the playlist's `folder`, an absolute one, or a file URL.

    An absolute path may lead into any library. What leads nowhere (a stream, another disk) stays text.
    """
    path = _as_path(text)
    if path is None:
        return PlaylistLine(text)
    if not path.startswith("/"):
        path = posixpath.join(library.root_path, folder, path)
    path = posixpath.normpath(path)
    for candidate in sorted((library, *libraries), key=lambda known: -len(known.root_path)):
        root = candidate.root_path.rstrip("/")
        if path.startswith(root + "/"):
            return PlaylistLine(text, candidate.library_id, path[len(root) + 1 :])
    return PlaylistLine(text)


def _as_path(text: str) -> str | None:
    if "://" in text:
        try:
            url = urlsplit(text)
        except ValueError:
            return None
        return os.fsdecode(unquote_to_bytes(url.path)) if url.scheme.lower() == "file" else None
    # Playlists written on Windows separate by backslashes, which hardly any name on this side has.
    return text.replace("\\", "/") if "\\" in text and "/" not in text else text
