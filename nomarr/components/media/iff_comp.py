"""Files made of chunks: WAV (RIFF, RF64) and AIFF (IFF)."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from .audio_file_comp import MAX_TEXT_BYTES, AudioFile, UnreadableAudio
from .found_tags_comp import FoundTags
from .id3_comp import read_id3_at

__all__ = ["read_aiff", "read_wav"]

_MAX_CHUNKS: Final = 10_000
_INFO_FIELDS: Final = {
    b"INAM": "title",
    b"IART": "artist",
    b"IPRD": "album",
    b"ICRD": "date",
    b"IGNR": "genre",
    b"ICMT": "comment",
    b"IMUS": "composer",
    b"ITRK": "track",
    b"IPRT": "track",
}
_AIFF_FIELDS: Final = {b"NAME": "title", b"AUTH": "artist", b"ANNO": "comment"}
_UNKNOWN_SIZE: Final = 0xFFFFFFFF


class _Chunk(NamedTuple):
    name: bytes
    start: int
    end: int


def _chunks(audio: AudioFile, position: int, end: int, order: Literal["little", "big"]) -> Iterator[_Chunk]:
    for _ in range(_MAX_CHUNKS):
        header = audio.read_at(position, 8)
        if position + 8 > end or len(header) < 8:
            return
        size = int.from_bytes(header[4:], order)
        start = position + 8
        yield _Chunk(header[:4], start, start + size)
        position = start + size + (size & 1)


def read_wav(audio: AudioFile) -> FoundTags:
    """Read a WAV file; an ID3 chunk comes before a LIST INFO chunk."""
    found, info = FoundTags("wav"), FoundTags("wav")
    long_data_bytes = None
    byte_rate = 0
    for chunk in _chunks(audio, 12, audio.size, "little"):
        if chunk.name == b"fmt ":
            byte_rate = _read_wav_format(audio.read_at(chunk.start, 16), found)
        elif chunk.name == b"ds64":
            long_data_bytes = int.from_bytes(audio.read_at(chunk.start + 8, 8), "little")
        elif chunk.name == b"data":
            claimed = chunk.end - chunk.start
            if claimed == _UNKNOWN_SIZE and long_data_bytes:
                claimed = long_data_bytes
            found.audio_bytes = min(claimed, audio.size - chunk.start)
        elif chunk.name in (b"id3 ", b"ID3 "):
            read_id3_at(audio, chunk.start, found)
        elif chunk.name == b"LIST" and audio.read_at(chunk.start, 4) == b"INFO":
            _read_texts(audio, chunk, info)
    if found.sample_rate is None:
        raise UnreadableAudio("is cut short: its WAV format chunk is missing")
    if found.audio_bytes and byte_rate:
        found.duration_seconds = found.audio_bytes / byte_rate
    found.complete_with(info)
    return found


def _read_wav_format(block: bytes, found: FoundTags) -> int:
    if len(block) < 16:
        raise UnreadableAudio("is cut short inside its WAV format chunk")
    _, found.channels, found.sample_rate, byte_rate, _, found.bit_depth = struct.unpack("<HHIIHH", block)
    found.bitrate = byte_rate * 8
    return int(byte_rate)


def _read_texts(audio: AudioFile, parent: _Chunk, found: FoundTags) -> None:
    for chunk in _chunks(audio, parent.start + 4, min(parent.end, audio.size), "little"):
        field = _INFO_FIELDS.get(chunk.name)
        if field is not None:
            found.add(field, _decoded(audio, chunk))


def _decoded(audio: AudioFile, chunk: _Chunk) -> str:
    """These chunks name no encoding: UTF-8 if it is, the old code page if not."""
    text = audio.read_at(chunk.start, min(chunk.end - chunk.start, MAX_TEXT_BYTES)).rstrip(b"\0")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("cp1252", "replace")


def read_aiff(audio: AudioFile) -> FoundTags:
    """Read an AIFF or AIFF-C file; an ID3 chunk comes before the text chunks."""
    found, texts = FoundTags("aiff"), FoundTags("aiff")
    for chunk in _chunks(audio, 12, audio.size, "big"):
        if chunk.name == b"COMM":
            _read_aiff_common(audio.read_at(chunk.start, 18), found)
        elif chunk.name == b"SSND":
            # Offset and block size come before the samples.
            found.audio_bytes = max(0, min(chunk.end, audio.size) - chunk.start - 8)
        elif chunk.name in (b"ID3 ", b"id3 "):
            read_id3_at(audio, chunk.start, found)
        elif chunk.name in _AIFF_FIELDS:
            texts.add(_AIFF_FIELDS[chunk.name], _decoded(audio, chunk))
    if found.sample_rate is None:
        raise UnreadableAudio("is cut short: its AIFF common chunk is missing")
    found.complete_with(texts)
    return found


def _read_aiff_common(block: bytes, found: FoundTags) -> None:
    if len(block) < 18:
        raise UnreadableAudio("is cut short inside its AIFF common chunk")
    found.channels, frames, found.bit_depth = struct.unpack_from(">HIH", block)
    # The rate is an 80 bit float: sign and exponent in 16 bit, then the mantissa with its leading one.
    exponent, mantissa = struct.unpack_from(">HQ", block, 8)
    found.sample_rate = math.ldexp(mantissa, min(exponent & 0x7FFF, 16_500) - 16_446)
    if not 1 <= found.sample_rate < 1 << 32:
        raise UnreadableAudio("is damaged: its sample rate makes no sense")
    found.duration_seconds = frames / found.sample_rate
