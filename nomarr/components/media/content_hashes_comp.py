"""Hashes of whole files, tags and all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import xxhash

from nomarr.components.media.audio_file_comp import open_regular
from nomarr.helpers.dto.quick_pickle import QuickPickle

__all__ = ["ContentHashes", "content_hashes"]

_BLOCK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ContentHashes(QuickPickle):
    """Both in hexadecimal digits: 32 and 64 of them."""

    xxh3_128: str
    sha256: str


def content_hashes(path: str) -> ContentHashes:
    """Read a file once, in constant memory.

    Raises UnreadableAudio for what is not a regular file, and OSError.
    """
    quick, strong = xxhash.xxh3_128(), hashlib.sha256()
    block = memoryview(bytearray(_BLOCK_BYTES))
    with open_regular(path) as file:
        while length := file.readinto(block):
            quick.update(block[:length])
            strong.update(block[:length])
    return ContentHashes(quick.hexdigest(), strong.hexdigest())
