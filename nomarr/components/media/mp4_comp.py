"""MP4 files: m4a, m4b, mp4 with AAC, ALAC and others."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from mutagen.id3 import TCON

from .audio_file_comp import MAX_TEXT_BYTES, AudioFile, UnreadableAudio
from .found_tags_comp import FoundTags

__all__ = ["read_mp4"]

_MAX_ATOMS: Final = 20_000

_TEXT_FIELDS: Final = {
    b"\xa9nam": "title",
    b"\xa9ART": "artist",
    b"\xa9alb": "album",
    b"aART": "albumartist",
    b"\xa9day": "date",
    b"\xa9gen": "genre",
    b"\xa9wrt": "composer",
    b"\xa9cmt": "comment",
    b"desc": "description",
    b"\xa9lyr": "lyrics",
}
_PAIR_FIELDS: Final = {b"trkn": "track", b"disk": "disc"}
# Picard's names: https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html
_FREEFORM_FIELDS: Final = {
    "artists": "artists",
    "albumartists": "albumartists",
    "album_artists": "albumartists",
    "lyrics": "lyrics",
    "originaldate": "original_date",
    "originalyear": "original_date",
    "musicbrainz track id": "musicbrainz_recording_id",
    "musicbrainz recording id": "musicbrainz_recording_id",
    "musicbrainz release track id": "musicbrainz_track_id",
    "musicbrainz album id": "musicbrainz_album_id",
    "musicbrainz release group id": "musicbrainz_release_group_id",
    "musicbrainz artist id": "musicbrainz_artist_ids",
    "musicbrainz album artist id": "musicbrainz_albumartist_ids",
    "replaygain_track_gain": "replaygain_track_gain",
    "replaygain_track_peak": "replaygain_track_peak",
    "replaygain_album_gain": "replaygain_album_gain",
    "replaygain_album_peak": "replaygain_album_peak",
}
_AAC_RATES: Final = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_LOSSLESS: Final = frozenset((b"alac", b"fLaC", b"lpcm", b"sowt", b"twos", b"in24", b"in32"))


class _Atom(NamedTuple):
    name: bytes
    start: int
    """Where its content begins."""
    end: int


def read_mp4(audio: AudioFile) -> FoundTags:
    """Read the first audio track's properties and the iTunes metadata."""
    found = FoundTags("mp4")
    top = {atom.name: atom for atom in _children(audio, _Atom(b"", 0, audio.size))}
    moov = top.get(b"moov")
    if moov is None:
        raise UnreadableAudio("is cut short: it lacks the index that an MP4 file needs (moov)")
    if moov.end > audio.size:
        raise UnreadableAudio("is cut short inside its MP4 index")
    mdat = top.get(b"mdat")
    if mdat is not None:
        found.audio_bytes = min(mdat.end, audio.size) - mdat.start
    inside = list(_children(audio, moov))
    _read_first_audio_track(audio, inside, found)
    for udta in inside:
        if udta.name == b"udta":
            ilst = _descendant(audio, udta, b"meta", b"ilst")
            if ilst is not None:
                _read_items(audio, ilst, found)
    return found


def _children(audio: AudioFile, parent: _Atom) -> Iterator[_Atom]:
    position = parent.start
    for _ in range(_MAX_ATOMS):
        if position + 8 > parent.end:
            return
        header = audio.read_at(position, 16)
        if len(header) < 8:
            return
        size, name = int.from_bytes(header[:4], "big"), header[4:8]
        start = position + 8
        if size == 1 and len(header) == 16:
            size, start = int.from_bytes(header[8:], "big"), position + 16
        elif size == 0:
            size = parent.end - position
        if size < start - position:
            raise UnreadableAudio("is damaged: its MP4 index holds an impossible length")
        position += size
        yield _Atom(name, start, position)


def _descendant(audio: AudioFile, atom: _Atom, *names: bytes) -> _Atom | None:
    for name in names:
        if atom.name == b"meta" and audio.read_at(atom.start + 4, 4) != b"hdlr":
            # `meta` has a version and flags before its children; QuickTime's has not.
            atom = atom._replace(start=atom.start + 4)
        found = next((child for child in _children(audio, atom) if child.name == name), None)
        if found is None:
            return None
        atom = found
    return atom


def _content(audio: AudioFile, atom: _Atom | None, limit: int = 4096) -> bytes:
    return b"" if atom is None else audio.read_at(atom.start, min(atom.end - atom.start, limit))


def _read_first_audio_track(audio: AudioFile, inside: list[_Atom], found: FoundTags) -> None:
    for trak in inside:
        if trak.name != b"trak":
            continue
        mdia = _descendant(audio, trak, b"mdia")
        if mdia is None:
            continue
        parts = {child.name: child for child in _children(audio, mdia)}
        if _content(audio, parts.get(b"hdlr"))[8:12] != b"soun":
            continue
        found.duration_seconds = _duration(_content(audio, parts.get(b"mdhd")), 12)
        minf = parts.get(b"minf")
        if minf is not None:
            _read_sample_entry(_content(audio, _descendant(audio, minf, b"stbl", b"stsd")), found)
        return
    mvhd = next((atom for atom in inside if atom.name == b"mvhd"), None)
    found.duration_seconds = _duration(_content(audio, mvhd), 12)


def _duration(header: bytes, offset: int) -> float | None:
    """mvhd and mdhd: version, two times, unit, length; version 1 has the times and the length in 64 bit."""
    try:
        unit, length = (
            struct.unpack_from(">IQ", header, offset + 8)
            if header[:1] == b"\1"
            else struct.unpack_from(">II", header, offset)
        )
    except struct.error:
        return None
    return length / unit if unit else None


def _read_sample_entry(stsd: bytes, found: FoundTags) -> None:
    if len(stsd) < 44:
        return
    codec = stsd[12:16]
    found.channels, bits = struct.unpack_from(">HH", stsd, 32)
    found.sample_rate = int.from_bytes(stsd[40:42], "big")
    if codec in _LOSSLESS:
        # For lossy codecs the field says 16 and means nothing.
        found.bit_depth = bits
    # QuickTime's versions 1 and 2 of the entry have more fields before the codec's own atom.
    extension = stsd[44 + {1: 16, 2: 36}.get(int.from_bytes(stsd[24:26], "big"), 0) :]
    if codec == b"alac" and extension[4:8] == b"alac":
        _read_alac(extension[12:], found)
    elif codec == b"mp4a" and extension[4:8] == b"esds":
        _read_aac(extension[12:], found)


def _read_alac(cookie: bytes, found: FoundTags) -> None:
    # The sample entry can't hold more than 65535 Hz and often says 44100/16/2 whatever the truth is.
    if len(cookie) >= 24 and cookie[4] == 0:
        found.bit_depth, found.channels = cookie[5], cookie[9]
        found.bitrate, found.sample_rate = struct.unpack_from(">II", cookie, 16)


def _read_aac(esds: bytes, found: FoundTags) -> None:
    """ISO/IEC 14496-1: descriptors of tag, length in 7 bit groups, content; 3 holds 4 holds 5."""
    position = _inside(esds, 0, 3)
    if position is None or position + 3 > len(esds):
        return
    stream_flags = esds[position + 2]
    position += 3 + (2 if stream_flags & 0x80 else 0) + (2 if stream_flags & 0x20 else 0)
    config = _inside(esds, position, 4)
    if config is None or len(esds) < config + 13:
        return
    average = int.from_bytes(esds[config + 9 : config + 13], "big")
    found.bitrate = average or None
    specific = _inside(esds, config + 13, 5)
    if specific is not None and len(esds) >= specific + 2:
        _read_aac_config(int.from_bytes(esds[specific : specific + 2], "big"), found)


def _inside(esds: bytes, position: int, tag: int) -> int | None:
    if esds[position : position + 1] != bytes((tag,)):
        return None
    position += 1
    for _ in range(4):
        if position >= len(esds):
            return None
        position += 1
        if not esds[position - 1] & 0x80:
            break
    return position


def _read_aac_config(bits: int, found: FoundTags) -> None:
    """The first 16 bits of AudioSpecificConfig: object type 5, rate 4, channels 4."""
    kind, rate, channels = bits >> 11, bits >> 7 & 0xF, bits >> 3 & 0xF
    # Below 24 kHz the rate may be doubled by SBR that is only announced later: the sample entry knows the result.
    if kind not in (5, 29) and rate < len(_AAC_RATES) and _AAC_RATES[rate] > 24_000:
        found.sample_rate = _AAC_RATES[rate]
    if kind != 29 and 1 < channels < 8:
        found.channels = 8 if channels == 7 else channels


def _read_items(audio: AudioFile, ilst: _Atom, found: FoundTags) -> None:
    for item in _children(audio, ilst):
        if item.name in _TEXT_FIELDS:
            found.add(_TEXT_FIELDS[item.name], *(_text(kind, value) for kind, value in _values(audio, item)))
        elif item.name == b"covr":
            found.has_cover = found.has_cover or item.end - item.start > 16
        elif item.name == b"----":
            _read_freeform(audio, item, found)
        elif item.name in _PAIR_FIELDS:
            _read_pair(_values(audio, item), _PAIR_FIELDS[item.name], found)
        elif item.name == b"cpil":
            found.add("compilation", *(str(int(any(value))) for _, value in _values(audio, item)))
        elif item.name == b"gnre":
            _read_numbered_genre(_values(audio, item), found)


def _values(audio: AudioFile, item: _Atom) -> list[tuple[int, bytes]]:
    """The `data` atoms of an item: type and content."""
    size = item.end - item.start
    if size > MAX_TEXT_BYTES:
        return []
    return _values_in(audio.read_at(item.start, size), 0)


def _values_in(content: bytes, position: int) -> list[tuple[int, bytes]]:
    values = []
    while position + 16 <= len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        if size < 16:
            break
        if content[position + 4 : position + 8] == b"data":
            kind = int.from_bytes(content[position + 9 : position + 12], "big")
            values.append((kind, content[position + 16 : position + size]))
        position += size
    return values


def _text(kind: int, value: bytes) -> str:
    return value.decode("utf-16-be" if kind == 2 else "utf-8", "replace")


def _read_freeform(audio: AudioFile, item: _Atom, found: FoundTags) -> None:
    size = item.end - item.start
    if size > MAX_TEXT_BYTES:
        return
    content = audio.read_at(item.start, size)
    mean_size = int.from_bytes(content[:4], "big")
    name_size = int.from_bytes(content[mean_size : mean_size + 4], "big")
    name = content[mean_size + 12 : mean_size + name_size].decode("utf-8", "replace").lower()
    field = _FREEFORM_FIELDS.get(name)
    if field is not None:
        found.add(field, *(_text(kind, value) for kind, value in _values_in(content, mean_size + name_size)))


def _read_pair(values: list[tuple[int, bytes]], field: str, found: FoundTags) -> None:
    for _, value in values:
        number, total = int.from_bytes(value[2:4], "big"), int.from_bytes(value[4:6], "big")
        # Zero is how the pair says "not given".
        if number:
            found.add(field, str(number))
        if total:
            found.add(f"{field}_total", str(total))


def _read_numbered_genre(values: list[tuple[int, bytes]], found: FoundTags) -> None:
    for _, value in values:
        number = int.from_bytes(value[:2], "big")
        if 1 <= number <= len(TCON.GENRES):
            found.add("genre", TCON.GENRES[number - 1])
