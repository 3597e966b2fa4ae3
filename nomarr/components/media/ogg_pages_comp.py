"""Pages of Ogg files: where those with sound begin, and what of them is not sound.

Pages: RFC 3533. Header packets: Vorbis I specification, 4.2; RFC 7845 (Opus), 5; RFC 9639 (FLAC), 10.1;
https://www.speex.org/docs/manual/speex-manual/node8.html; Theora specification, 6.1.
"""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

from nomarr.components.media.audio_file_comp import AudioFile, UnreadableAudio

__all__ = ["LONGEST_PAGE_BYTES", "blank_numbers", "end_of_headers", "find_page"]

LONGEST_PAGE_BYTES: Final = 27 + 255 + 255 * 255

_HEADER_BYTES: Final = 27
_LOOK_BYTES: Final = 48
"""The whole header of a page of 4 KiB, in which mutagen writes covers: thousands of these may have to be passed."""

_BODY_BYTES: Final = 80
"""What is looked at of the first packet of a stream."""

_CAPTURE: Final = b"OggS\0"
"""Ends with the version; there is no other."""

_CONTINUED, _FIRST, _ALL_FLAGS = 0x01, 0x02, 0x07
_FULL_SEGMENT: Final = 255
_NUMBERS: Final = slice(18, 26)
_UNTIL_SOUND: Final = inf
"""FLAC may say that it does not know how many headers it has, but its frames begin like none of them."""

_MAX_EXTRA_HEADERS: Final = 64


class _Page(NamedTuple):
    flags: int
    serial: bytes
    packets_ended: int
    body: bytes
    """Its beginning."""
    end: int

    @property
    def begins_flac_frame(self) -> bool:
        return not self.flags & _CONTINUED and self.body.startswith(b"\xff")


def end_of_headers(audio: AudioFile, start: int) -> int:
    """Where the first page behind the header packets of all streams begins. Only page headers are read."""
    headers_left: dict[bytes, float] = {}
    while (page := _page_at(audio, start)) is not None:
        if page.flags & _FIRST:
            headers_left[page.serial] = _header_packets(page.body)
        elif _is_sound(page, headers_left):
            return start
        headers_left[page.serial] = headers_left.get(page.serial, 0) - page.packets_ended
        start = page.end
    if not headers_left or any(0 < left < _UNTIL_SOUND for left in headers_left.values()):
        raise UnreadableAudio("is cut short or damaged: its Ogg headers have no end")
    return start


def _is_sound(page: _Page, headers_left: dict[bytes, float]) -> bool:
    if page.begins_flac_frame and headers_left.get(page.serial) == _UNTIL_SOUND:
        headers_left[page.serial] = 0
    return all(left <= 0 for left in headers_left.values())


def _page_at(audio: AudioFile, start: int) -> _Page | None:
    head = audio.read_at(start, _LOOK_BYTES)
    if len(head) < _HEADER_BYTES or not head.startswith(_CAPTURE):
        return None
    flags, body_start = head[5], _HEADER_BYTES + head[26]
    wanted = body_start + (_BODY_BYTES if flags & _FIRST else 1)
    head += audio.read_at(start + len(head), wanted - len(head))
    segments = head[_HEADER_BYTES:body_start]
    packets_ended = sum(length < _FULL_SEGMENT for length in segments)
    return _Page(flags, head[14:18], packets_ended, head[body_start:], start + body_start + sum(segments))


def _header_packets(identification: bytes) -> float:
    """How many packets of a stream are not its sound; of an unknown stream, the first."""
    if identification.startswith((b"\x01vorbis", b"\x80theora")):
        return 3
    if identification.startswith(b"OpusHead"):
        return 2
    if identification.startswith(b"Speex   "):
        return 2 + min(_MAX_EXTRA_HEADERS, int.from_bytes(identification[68:72], "little"))
    return _UNTIL_SOUND if identification.startswith(b"\x7fFLAC") else 1


def find_page(block: bytes | bytearray) -> int:
    """Where the first page in a part of a file begins; -1 if none does."""
    at = block.find(_CAPTURE)
    while 0 <= at < len(block) - 5 and block[at + 5] > _ALL_FLAGS:
        at = block.find(_CAPTURE, at + 1)
    return at


def blank_numbers(block: bytearray) -> None:
    """Overwrite the sequence numbers and checksums of all pages in a part of a file that begins with a page.

    Both change in every page when a tag edit changes the number of header pages.
    """
    at = block.find(_CAPTURE)
    while at >= 0:
        numbers = slice(at + _NUMBERS.start, min(at + _NUMBERS.stop, len(block)))
        block[numbers] = bytes(max(0, numbers.stop - numbers.start))
        at = block.find(_CAPTURE, _end_of_page(block, at))


def _end_of_page(block: bytearray, at: int) -> int:
    segments = block[at + 26] if at + 26 < len(block) else 0
    body = at + _HEADER_BYTES + segments
    return body + sum(block[at + _HEADER_BYTES : body])
