"""Where the cover of an album comes from: a picture inside an audio file, or an image beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from nomarr.components.media.audio_file_comp import MAX_PICTURE_BYTES, AudioFile, UnreadableAudio
from nomarr.components.media.audio_format_comp import format_of
from nomarr.components.media.decode_cover_comp import UnreadableCover
from nomarr.components.media.pictures_comp import FRONT_COVER, PICTURE_READERS, EmbeddedPicture
from nomarr.components.media.read_tags_comp import damage_of
from nomarr.helpers.file_kinds import FileKind, kind_of
from nomarr.helpers.paths_helper import special_file_kind

__all__ = ["MAX_PICTURE_BYTES", "cover_names", "embedded_picture", "folder_image", "read_image"]

_USUAL_NAMES: Final = ("cover", "folder", "front", "album", "albumart", "artwork", "thumb")
"""Names without extension, the best first."""

_TELLING_PARTS: Final = ("cover", "front", "albumart")
"""A name that holds one of these comes after all usual names; Windows Media Player writes `AlbumArt_{...}_Large`."""

_OTHER_SIDES: Final = ("back", "rear", "inlay", "inside")
"""A name that holds one of these shows another side of the box."""

_SMALL: Final = ("small", "thumb")
_EXTENSIONS: Final = ("jpg", "jpeg", "png", "webp")
"""The best first; any other that `kind_of` knows comes after them."""

_OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def embedded_picture(path: str) -> bytes | None:
    """The front cover inside the audio file at the absolute `path`, else its first picture; None if it has none.

    The bytes are as the file has them and may be no picture at all. One larger than `MAX_PICTURE_BYTES` counts for
    none, and so does the address of a picture on the net.

    Raises:
        UnreadableAudio: for what is not a readable audio file; it continues a sentence that begins with its name.
        OSError: as `os.open` does.
    """
    with _opened(path) as audio:
        try:
            return _best(PICTURE_READERS[format_of(audio, path)](audio))
        except UnreadableAudio:
            raise
        except Exception as problem:
            # Parsers meet every damage there is, each with an exception of its own.
            raise UnreadableAudio(audio.refusal or damage_of(audio, problem)) from problem


def folder_image(folder: str) -> str | None:
    """The absolute path of the image in the absolute `folder` that is most likely its cover; None if there is none.

    A symbolic link to a file is one. Raises OSError if the folder can't be listed.
    """
    with os.scandir(folder) as entries:
        names = cover_names(entry.name for entry in entries)
    paths = (os.path.join(folder, name) for name in names)
    return next(filter(os.path.isfile, paths), None)


def cover_names(names: Iterable[str]) -> list[str]:
    """Those of `names` that a cover may have, the best first; hidden files are none."""
    ranked = ((rank, name) for name in names if (rank := _rank(name)) is not None)
    return [name for _, name in sorted(ranked)]


def read_image(path: str, limit: int = MAX_PICTURE_BYTES) -> bytes:
    """The content of the image file at the absolute `path`.

    Raises:
        UnreadableCover: if it is no regular file or larger than `limit` bytes.
        OSError: as `os.open` and reading do.
    """
    descriptor = os.open(path, _OPEN_FLAGS)
    with open(descriptor, "rb") as file:
        kind = special_file_kind(os.fstat(descriptor).st_mode)
        if kind is not None:
            raise UnreadableCover(f"is {kind}, not an image")
        # One byte more tells: the file may have grown since it was asked for its size.
        content = file.read(limit + 1)
    if len(content) > limit:
        raise UnreadableCover(f"is larger than {_readable_size(limit)}, too large for a cover")
    return content


def _opened(path: str) -> AudioFile:
    try:
        return AudioFile(path)
    except ValueError:
        raise UnreadableAudio("has a name that no file can have") from None


def _best(pictures: Iterable[EmbeddedPicture]) -> bytes | None:
    first = None
    for picture in pictures:
        if not 0 < len(picture.content) <= MAX_PICTURE_BYTES:
            continue
        if picture.kind == FRONT_COVER:
            return picture.content
        first = first or picture.content
    return first


def _rank(name: str) -> tuple[int, bool, int, str] | None:
    """What covers are sorted by, the least first; None for what is no cover."""
    if name.startswith(".") or kind_of(name) is not FileKind.IMAGE:
        return None
    stem, _, extension = name.casefold().rpartition(".")
    rank = _rank_of_stem(stem)
    if rank is None:
        return None
    return rank, _holds(stem, _SMALL), _rank_of(extension, _EXTENSIONS), stem


def _rank_of_stem(stem: str) -> int | None:
    rank = _rank_of(stem, _USUAL_NAMES)
    if rank < len(_USUAL_NAMES):
        return rank
    return rank if _holds(stem, _TELLING_PARTS) and not _holds(stem, _OTHER_SIDES) else None


def _rank_of(text: str, ranking: tuple[str, ...]) -> int:
    """The place of `text`; behind the last if it has none."""
    return ranking.index(text) if text in ranking else len(ranking)


def _holds(stem: str, parts: tuple[str, ...]) -> bool:
    return any(part in stem for part in parts)


def _readable_size(limit: int) -> str:
    return f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit} bytes"
