"""Which files Nomarr cares about: one table for the walker, the watcher and the tag reader."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import Final

__all__ = ["AUDIO_FORMATS", "IGNORE_FILES", "RULE_FILES", "SKIP_FILE", "FileKind", "kind_of"]


class FileKind(Enum):
    """What a file in a library is to Nomarr."""

    AUDIO = "audio"
    PLAYLIST = "playlist"
    IMAGE = "image"


AUDIO_FORMATS: Final = MappingProxyType(
    {
        "mp3": "mp3",
        "flac": "flac",
        "wav": "wav",
        "aiff": "aiff",
        "aif": "aiff",
        "ogg": "ogg",
        "oga": "ogg",
        "opus": "opus",
        "m4a": "mp4",
        "m4b": "mp4",
        "m4p": "mp4",
        "m4r": "mp4",
        "mp4": "mp4",
        "aac": "aac",
        "wma": "asf",
        "ape": "ape",
        "wv": "wavpack",
        "mpc": "musepack",
        "dsf": "dsf",
        "tta": "trueaudio",
        "mka": "matroska",
    }
)
"""Extension (lower case, without dot) to the container that a well-named file of it holds."""

_PLAYLIST_EXTENSIONS: Final = ("m3u", "m3u8", "pls")
_IMAGE_EXTENSIONS: Final = ("jpg", "jpeg", "png", "webp", "gif", "bmp")

_KINDS: Final[dict[str, FileKind]] = {
    **dict.fromkeys(AUDIO_FORMATS, FileKind.AUDIO),
    **dict.fromkeys(_PLAYLIST_EXTENSIONS, FileKind.PLAYLIST),
    **dict.fromkeys(_IMAGE_EXTENSIONS, FileKind.IMAGE),
}

IGNORE_FILES: Final = (".ndignore", ".nomarrignore")
"""Files with gitignore patterns for their folder; the later one wins. `.ndignore` is Navidrome's name."""

SKIP_FILE: Final = ".nomedia"
"""A folder that holds this file is skipped with everything below it, as on Android."""

RULE_FILES: Final = frozenset({*IGNORE_FILES, SKIP_FILE})
"""A change of one of these changes which files belong to the library."""


def kind_of(name: str) -> FileKind | None:
    """What the file called `name` is, judged by its extension in any case; None if it is nothing of ours."""
    return _KINDS.get(name.rpartition(".")[2].lower()) if "." in name else None
