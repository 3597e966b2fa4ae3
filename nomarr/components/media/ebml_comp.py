"""EBML, of which Matroska and WebM are made: number and size of elements are bounded.

Element ids: https://www.matroska.org/technical/elements.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from nomarr.components.media.audio_file_comp import MAX_TEXT_BYTES, AudioFile, UnreadableAudio

__all__ = ["CLUSTER", "SEGMENT", "EbmlReader", "Element"]

SEGMENT: Final = 0x18538067
CLUSTER: Final = 0x1F43B675

_MAX_ELEMENTS: Final = 20_000
_HEADER_BYTES: Final = 12


class Element(NamedTuple):
    id: int
    start: int
    """Where its content begins."""
    end: int


class EbmlReader:
    """Walks elements of one file with one budget, so that no nesting and no repetition can take long."""

    def __init__(self, audio: AudioFile) -> None:
        self.audio = audio
        self.elements_left = _MAX_ELEMENTS

    def children(self, start: int, end: int) -> Iterator[Element]:
        while start < end:
            self.elements_left -= 1
            if self.elements_left < 0:
                raise UnreadableAudio("is damaged: its Matroska header has no end")
            header = self.audio.read_at(start, _HEADER_BYTES)
            id_bytes = _width(header, 0, 4)
            size_bytes = _width(header, id_bytes, 8)
            if not id_bytes or not size_bytes:
                return
            content = start + id_bytes + size_bytes
            raw = int.from_bytes(header[id_bytes : id_bytes + size_bytes], "big")
            size = raw & (1 << 7 * size_bytes) - 1
            # All ones: a live stream that did not know its size.
            unknown = size == (1 << 7 * size_bytes) - 1
            start = end if unknown else content + size
            yield Element(int.from_bytes(header[:id_bytes], "big"), content, min(start, end))

    def unsigned(self, element: Element) -> int:
        return int.from_bytes(self.audio.read_at(element.start, min(8, element.end - element.start)), "big")

    def real(self, element: Element) -> float:
        content = self.audio.read_at(element.start, element.end - element.start) if _is_real(element) else b""
        return float(struct.unpack(">d" if len(content) == 8 else ">f", content)[0]) if len(content) in (4, 8) else 0.0

    def text(self, element: Element) -> str:
        content = self.audio.read_at(element.start, min(MAX_TEXT_BYTES, element.end - element.start))
        return content.decode("utf-8", "replace")


def _is_real(element: Element) -> bool:
    return element.end - element.start in (4, 8)


def _width(header: bytes, position: int, most: int) -> int:
    """How many bytes the variable-length number at `position` has; 0 if it is none."""
    if position >= len(header):
        return 0
    width = 9 - header[position].bit_length()
    return width if width <= most and position + width <= len(header) else 0
