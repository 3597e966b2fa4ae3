"""Bring files into memory before somebody else reads them."""

from __future__ import annotations

from nomarr.components.media.audio_file_comp import open_regular

__all__ = ["read_ahead"]

_BLOCK_BYTES = 1 << 20


def read_ahead(path: str, limit: int) -> int:
    """Read the first `limit` bytes of a file in one go; how many there are. The system keeps them for a while.

    Raises UnreadableAudio for what is not a regular file, and OSError.
    """
    block = memoryview(bytearray(_BLOCK_BYTES))
    done = 0
    with open_regular(path) as file:
        while done < limit and (length := file.readinto(block[: limit - done])):
            done += length
    return done
