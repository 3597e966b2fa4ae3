"""Bounded, read-only access to one audio file."""

from __future__ import annotations

import io
import os
from typing import Final

from nomarr.helpers.paths_helper import special_file_kind

__all__ = [
    "MAX_BLOCK_BYTES",
    "MAX_PICTURE_BYTES",
    "MAX_TEXT_BYTES",
    "AudioFile",
    "FrugalAudioFile",
    "NoAudioFound",
    "UnreadableAudio",
    "open_regular",
]

MAX_BLOCK_BYTES: Final = 64 << 20
"""No tag block is larger than this; whatever claims to be is refused before memory is allocated for it."""

MAX_TEXT_BYTES: Final = 1 << 20
"""No text in a tag is read beyond this."""

MAX_PICTURE_BYTES: Final = 32 << 20
"""No cover is larger than this, in a tag or as a file of its own."""

_MAX_TOTAL_BYTES: Final = 128 << 20
_MAX_READS: Final = 60_000
_BUFFER_BYTES: Final = 8192
_plain_read: Final = io.BufferedReader.read

# O_NONBLOCK: opening a FIFO must not wait for a writer. O_NOCTTY: a terminal must not become ours.
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


class UnreadableAudio(Exception):
    """A file that can't be read as audio; `str()` continues a sentence that begins with the file's name."""


class NoAudioFound(UnreadableAudio):
    """A search for audio that has no magic bytes found none: the guess what this file is was probably wrong."""


def open_regular(path: str) -> io.FileIO:
    """Open a file for reading, waiting for nothing.

    Raises UnreadableAudio for what is not a regular file, and OSError as `os.open` does.
    """
    fd = os.open(path, _OPEN_FLAGS)
    try:
        kind = special_file_kind(os.fstat(fd).st_mode)
        if kind is not None:
            raise UnreadableAudio(f"is {kind}, not an audio file")
        return io.FileIO(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


class AudioFile(io.BufferedReader):
    """One open regular file: the file object that mutagen reads from; a context manager.

    Mutagen believes the lengths and counts that a file claims; this is where they meet the file's real size. No read
    allocates more than the file holds or than `MAX_BLOCK_BYTES`, and all reads together have a budget of bytes and of
    calls: a file that sends its reader round and round is unreadable. Raises UnreadableAudio for that and for what is
    not a regular file, and OSError as `os.open` does.
    """

    size: int
    is_cut_short: bool
    """True once a reader wanted more than the file holds."""
    refusal: str | None
    """Why a read was refused: mutagen wraps exceptions, so the reason is kept here, too."""

    def __init__(self, path: str) -> None:
        raw = open_regular(path)
        super().__init__(raw, _BUFFER_BYTES)
        self.size = os.fstat(raw.fileno()).st_size
        self.is_cut_short = False
        self.refusal = None
        self._bytes_left = _MAX_TOTAL_BYTES
        self._reads_left = _MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """As any file's `read`; UnreadableAudio beyond the limits."""
        self._reads_left -= 1
        # Mutagen reads a few bytes a hundred times: this way is kept short.
        if size is None or not 0 <= size <= _BUFFER_BYTES or self._reads_left < 0:
            return self._read_long(size)
        block = _plain_read(self, size)
        if len(block) < size:
            self.is_cut_short = True
        return block

    def _read_long(self, size: int | None) -> bytes:
        held = max(0, self.size - self.tell())
        if size is None or size < 0:
            size = held
        elif size > held:
            self.is_cut_short = True
            size = held
        self._bytes_left -= size
        if size > MAX_BLOCK_BYTES:
            self._refuse(f"claims a block of {size >> 20} MiB, more than any tag needs")
        if self._reads_left < 0 or self._bytes_left < 0:
            self._refuse("makes its reader go in circles")
        return _plain_read(self, size)

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer at the end of the file."""
        if not 0 <= offset < self.size or length <= 0:
            return b""
        self.seek(offset)
        return self.read(min(length, self.size - offset))

    def _refuse(self, reason: str) -> None:
        self.refusal = reason
        raise UnreadableAudio(reason)


class FrugalAudioFile(AudioFile):
    """One whose `read_at` takes from the disk what it was asked for and nothing around it.

    All its reads together stay within an allowance of bytes: UnreadableAudio beyond it.
    """

    def __init__(self, path: str, allowance_bytes: int) -> None:
        super().__init__(path)
        self._allowance_bytes = allowance_bytes
        self._fd = self.fileno()

    def allow(self, more_bytes: int) -> None:
        """Raise the allowance."""
        self._allowance_bytes += more_bytes

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer at the end of the file."""
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        self._allowance_bytes -= length
        if self._allowance_bytes < 0:
            self._refuse("makes its reader go in circles")
        return os.pread(self._fd, length, offset)
