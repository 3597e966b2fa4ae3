"""Bounded, read-only access to one audio file."""

from __future__ import annotations

import io
import os
import stat
from types import TracebackType
from typing import Final, Self

__all__ = ["MAX_BLOCK_BYTES", "MAX_TEXT_BYTES", "AudioFile", "NoAudioFound", "UnreadableAudio"]

MAX_BLOCK_BYTES: Final = 64 << 20
"""No tag block is larger than this; whatever claims to be is refused before memory is allocated for it."""

MAX_TEXT_BYTES: Final = 1 << 20
"""No text in a tag is read beyond this."""

_MAX_TOTAL_BYTES: Final = 256 << 20
_MAX_STREAM_READS: Final = 200_000
_WINDOW_BYTES: Final = 8192

# O_NONBLOCK: opening a FIFO must not wait for a writer. O_NOCTTY: a terminal must not become ours.
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


class UnreadableAudio(Exception):
    """A file that can't be read as audio; `str()` continues a sentence that begins with the file's name."""


class NoAudioFound(UnreadableAudio):
    """A search for audio that has no magic bytes found none: the guess what this file is was probably wrong."""


class AudioFile:
    """One open regular file, read at offsets; a context manager.

    No read reaches past the end, none allocates more than the file holds or than `MAX_BLOCK_BYTES`, and all reads
    together have a budget: a file that sends its reader round and round is
    unreadable. Raises UnreadableAudio for what is not a regular file and OSError as `os.open` does.
    """

    __slots__ = ("_bytes_left", "_fd", "_window", "_window_start", "size")

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, _OPEN_FLAGS)
        try:
            status = os.fstat(self._fd)
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableAudio("is not a regular file")
        except BaseException:
            os.close(self._fd)
            raise
        self.size = status.st_size
        self._bytes_left = _MAX_TOTAL_BYTES
        self._window = b""
        self._window_start = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer at the end of the file."""
        within = offset - self._window_start
        if within >= 0 and within + length <= len(self._window):
            return self._window[within : within + length]
        if length > MAX_BLOCK_BYTES:
            raise UnreadableAudio(f"claims a block of {length >> 20} MiB, more than any tag needs")
        if offset >= self.size or offset < 0 or length <= 0:
            return b""
        self._bytes_left -= max(length, _WINDOW_BYTES)
        if self._bytes_left < 0:
            raise UnreadableAudio("makes its reader go in circles")
        if length >= _WINDOW_BYTES:
            return os.pread(self._fd, min(length, self.size - offset), offset)
        # Headers lie close together: one system call serves the next few of them.
        self._window = os.pread(self._fd, _WINDOW_BYTES, offset)
        self._window_start = offset
        return self._window[:length]

    def read_exactly(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; UnreadableAudio if the file ends before."""
        if offset + length > self.size:
            raise UnreadableAudio("is cut short")
        block = self.read_at(offset, length)
        if len(block) != length:
            raise UnreadableAudio("is cut short")
        return block

    def as_stream(self) -> io.BufferedReader:
        """A file object for mutagen, bounded in bytes and in calls; it does not own the file."""
        return _BoundedReader(io.FileIO(self._fd, "rb", closefd=False), self.size)


class _BoundedReader(io.BufferedReader):
    """Mutagen believes the lengths and counts that a file claims; this is where they meet the file's real size."""

    def __init__(self, raw: io.FileIO, size: int) -> None:
        super().__init__(raw, _WINDOW_BYTES)
        self._bytes_left = min(size, MAX_BLOCK_BYTES) + (1 << 20)
        self._reads_left = _MAX_STREAM_READS
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads_left -= 1
        wanted = self._bytes_left + 1 if size is None or size < 0 else min(size, self._bytes_left + 1)
        block = super().read(wanted)
        self._bytes_left -= len(block)
        if self._bytes_left < 0 or self._reads_left < 0:
            raise UnreadableAudio("makes its reader go in circles")
        return block
