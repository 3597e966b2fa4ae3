"""Where the sound ends in files that keep tags behind it: ID3v1, APEv2, Lyrics3, ID3v2.4 with a footer.

ID3v1 and TAG+: https://id3.org/ID3v1. APEv2: https://wiki.hydrogenaud.io/index.php?title=APEv2_specification.
Lyrics3: https://id3.org/Lyrics3 and https://id3.org/Lyrics3v2. Footer: https://id3.org/id3v2.4.0-structure (3.4).
"""

from __future__ import annotations

from typing import Final

from nomarr.components.media.audio_file_comp import AudioFile
from nomarr.components.media.audio_format_comp import syncsafe

__all__ = ["end_of_sound"]

_TAIL_BYTES: Final = 5400
"""A whole Lyrics3v1 tag fits in: 5,100 bytes of text between two words."""

_MAX_TAGS: Final = 16
_ID3V1_BYTES: Final = 128
_ENHANCED_BYTES: Final = 227
_APE_FOOTER_BYTES: Final = 32
_IS_APE_HEADER: Final = 0x20
_LYRICS3_END_BYTES: Final = 15
_ID3V2_HEADER_BYTES: Final = 10


def end_of_sound(audio: AudioFile, start: int) -> int:
    """The end of the sound that begins at `start`: before all tags at the end of the file, and zeros around them."""
    end = audio.size
    for _ in range(_MAX_TAGS):
        tail_start = max(start, end - _TAIL_BYTES)
        last_bytes = _bytes_of_last_tag(audio, audio.read_at(tail_start, end - tail_start), end)
        if not 0 < last_bytes <= end - start:
            break
        end -= last_bytes
    return end


def _bytes_of_last_tag(audio: AudioFile, tail: bytes, end: int) -> int:
    """How many of the last bytes before `end`, with which `tail` ends, are no sound."""
    return (
        _id3v1(tail)
        or _apev2(audio, tail, end)
        or _lyrics3v2(tail)
        or _lyrics3v1(tail)
        or _appended_id3v2(tail)
        or _zeros(tail)
    )


def _id3v1(tail: bytes) -> int:
    if tail[-_ID3V1_BYTES:][:3] != b"TAG" or len(tail) < _ID3V1_BYTES:
        return 0
    has_more = tail[:-_ID3V1_BYTES][-_ENHANCED_BYTES:].startswith(b"TAG+")
    return _ID3V1_BYTES + (_ENHANCED_BYTES if has_more else 0)


def _apev2(audio: AudioFile, tail: bytes, end: int) -> int:
    """Its size counts the footer, but not the header, which version 1 does not have."""
    footer = tail[-_APE_FOOTER_BYTES:]
    if not footer.startswith(b"APETAGEX") or len(footer) < _APE_FOOTER_BYTES:
        return 0
    size = max(_APE_FOOTER_BYTES, int.from_bytes(footer[12:16], "little"))
    before = audio.read_at(end - size - _APE_FOOTER_BYTES, _APE_FOOTER_BYTES)
    # Without the flag it is the footer of another tag.
    has_header = before.startswith(b"APETAGEX") and len(before) > 23 and before[23] & _IS_APE_HEADER
    return size + (_APE_FOOTER_BYTES if has_header else 0)


def _lyrics3v2(tail: bytes) -> int:
    digits = tail[-_LYRICS3_END_BYTES:-9]
    return int(digits) + _LYRICS3_END_BYTES if tail.endswith(b"LYRICS200") and digits.isdigit() else 0


def _lyrics3v1(tail: bytes) -> int:
    begin = tail.rfind(b"LYRICSBEGIN") if tail.endswith(b"LYRICSEND") else -1
    return len(tail) - begin if begin >= 0 else 0


def _appended_id3v2(tail: bytes) -> int:
    footer = tail[-_ID3V2_HEADER_BYTES:]
    is_footer = footer.startswith(b"3DI") and len(footer) == _ID3V2_HEADER_BYTES
    return syncsafe(footer[6:]) + 2 * _ID3V2_HEADER_BYTES if is_footer else 0


def _zeros(tail: bytes) -> int:
    """Padding; the zeros with which an APEv2 or ID3v1 tag before it ends are left to the tag."""
    held = len(tail.rstrip(b"\0"))
    for word, tag_bytes in ((b"APETAGEX", _APE_FOOTER_BYTES), (b"TAG", _ID3V1_BYTES)):
        at = tail.rfind(word, max(0, held - tag_bytes), held)
        if 0 <= at <= len(tail) - tag_bytes:
            return len(tail) - at - tag_bytes
    return len(tail) - held
