"""Vorbis comments and the containers that hold them: FLAC and Ogg."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from .audio_file_comp import MAX_BLOCK_BYTES, MAX_TEXT_BYTES, AudioFile, UnreadableAudio
from .found_tags_comp import FoundTags

__all__ = ["read_flac", "read_ogg"]

# Picard's names, and what other taggers write for the same thing. MUSICBRAINZ_TRACKID is the recording, for ever.
_FIELDS: Final = {
    b"TITLE": "title",
    b"ARTIST": "artist",
    b"ARTISTS": "artists",
    b"ALBUM": "album",
    b"ALBUMARTIST": "albumartist",
    b"ALBUM ARTIST": "albumartist",
    b"ALBUM_ARTIST": "albumartist",
    b"ALBUMARTISTS": "albumartists",
    b"ALBUM_ARTISTS": "albumartists",
    b"TRACKNUMBER": "track",
    b"TRACK": "track",
    b"TRACKTOTAL": "track_total",
    b"TOTALTRACKS": "track_total",
    b"DISCNUMBER": "disc",
    b"DISC": "disc",
    b"DISCTOTAL": "disc_total",
    b"TOTALDISCS": "disc_total",
    b"DATE": "date",
    b"YEAR": "original_date",
    b"ORIGINALDATE": "original_date",
    b"ORIGINALYEAR": "original_date",
    b"GENRE": "genre",
    b"COMPOSER": "composer",
    b"COMMENT": "comment",
    b"DESCRIPTION": "description",
    b"LYRICS": "lyrics",
    b"UNSYNCEDLYRICS": "lyrics",
    b"SYNCEDLYRICS": "lyrics",
    b"COMPILATION": "compilation",
    b"MUSICBRAINZ_TRACKID": "musicbrainz_recording_id",
    b"MUSICBRAINZ_RELEASETRACKID": "musicbrainz_track_id",
    b"MUSICBRAINZ_ALBUMID": "musicbrainz_album_id",
    b"MUSICBRAINZ_RELEASEGROUPID": "musicbrainz_release_group_id",
    b"MUSICBRAINZ_ARTISTID": "musicbrainz_artist_ids",
    b"MUSICBRAINZ_ALBUMARTISTID": "musicbrainz_albumartist_ids",
    b"REPLAYGAIN_TRACK_GAIN": "replaygain_track_gain",
    b"REPLAYGAIN_TRACK_PEAK": "replaygain_track_peak",
    b"REPLAYGAIN_ALBUM_GAIN": "replaygain_album_gain",
    b"REPLAYGAIN_ALBUM_PEAK": "replaygain_album_peak",
    b"R128_TRACK_GAIN": "r128_track_gain",
    b"R128_ALBUM_GAIN": "r128_album_gain",
}
_PICTURE_FIELDS: Final = frozenset((b"METADATA_BLOCK_PICTURE", b"COVERART"))
_MAX_COMMENTS: Final = 50_000

_STREAMINFO, _VORBIS_COMMENT, _PICTURE, _INVALID = 0, 4, 6, 127
_LAST_BLOCK: Final = 0x80
_MAX_FLAC_BLOCKS: Final = 10_000

_LONGEST_OGG_PAGE: Final = 65_307
_CONTINUED, _FIRST_PAGE = 0x01, 0x02
_NO_POSITION: Final = (1 << 64) - 1
_MAX_OGG_HEADER_PAGES: Final = 2_000
_OPUS_RATE: Final = 48_000


def read_flac(audio: AudioFile, offset: int) -> FoundTags:
    """Read the FLAC stream that begins at `offset`; pictures are noticed and stepped over."""
    if audio.read_at(offset, 4) != b"fLaC":
        raise UnreadableAudio("is not a FLAC file")
    found = FoundTags("flac")
    position = offset + 4
    for _ in range(_MAX_FLAC_BLOCKS):
        header = audio.read_exactly(position, 4)
        kind, size = header[0] & 0x7F, int.from_bytes(header[1:], "big")
        if kind == _INVALID:
            raise UnreadableAudio("is damaged: its FLAC header holds an invalid block")
        position += 4
        if position + size > audio.size:
            raise UnreadableAudio("is cut short inside its FLAC header")
        if kind == _STREAMINFO:
            _read_streaminfo(audio.read_exactly(position, size), found)
        elif kind == _VORBIS_COMMENT and not found.values:
            read_comments(audio.read_exactly(position, size), found)
        elif kind == _PICTURE:
            found.has_cover = True
        position += size
        if header[0] & _LAST_BLOCK:
            break
    if found.sample_rate is None:
        raise UnreadableAudio("is damaged: its FLAC stream header is missing")
    found.audio_bytes = audio.size - position
    return found


def _read_streaminfo(block: bytes, found: FoundTags) -> None:
    if len(block) < 18:
        raise UnreadableAudio("is damaged: its FLAC stream header is too short")
    packed = int.from_bytes(block[10:18], "big")
    found.sample_rate = packed >> 44
    found.channels = (packed >> 41 & 0x7) + 1
    found.bit_depth = (packed >> 36 & 0x1F) + 1
    if found.sample_rate == 0:
        raise UnreadableAudio("is damaged: its sample rate is zero")
    found.duration_seconds = (packed & 0xFFFFFFFFF) / found.sample_rate


def read_comments(block: bytes, found: FoundTags) -> None:
    """Read a Vorbis comment block; a block that is damaged in the middle gives what comes before."""
    try:
        (vendor_size,) = struct.unpack_from("<I", block)
        (count,) = struct.unpack_from("<I", block, 4 + vendor_size)
        position = 8 + vendor_size
        for _ in range(min(count, _MAX_COMMENTS)):
            (size,) = struct.unpack_from("<I", block, position)
            position += 4
            equals = block.find(b"=", position, position + min(size, 256))
            if equals >= 0:
                _read_comment(block[position:equals], block, equals + 1, position + size, found)
            position += size
    except struct.error:
        return


def _read_comment(key: bytes, block: bytes, start: int, end: int, found: FoundTags) -> None:
    key = key.upper()
    field = _FIELDS.get(key)
    if field is not None:
        found.add(field, block[start : min(end, start + MAX_TEXT_BYTES)].decode("utf-8", "replace"))
    elif key in _PICTURE_FIELDS and end > start:
        found.has_cover = True


class _Page(NamedTuple):
    """The header of one Ogg page; `lacing` holds the sizes of the segments that follow it."""

    flags: int
    position: int
    serial: int
    lacing: bytes
    start: int
    end: int


def read_ogg(audio: AudioFile) -> FoundTags:
    """Read the first audio stream of an Ogg file: Vorbis, Opus, FLAC or Speex; Theora if there is nothing else."""
    first_pages = _stream_starts(audio)
    for _, magic, read_head in _CODECS:
        for page in first_pages:
            head = audio.read_at(page.start, page.end - page.start)
            if head.startswith(magic):
                found = read_head(audio, page, head)
                found.audio_bytes = audio.size if found.bitrate is None else None
                return found
    raise UnreadableAudio("is an Ogg file without a known audio stream")


def _stream_starts(audio: AudioFile) -> list[_Page]:
    """The first pages, one of each stream: they all come before any other page."""
    pages: list[_Page] = []
    for page in _pages(audio, 0):
        if not page.flags & _FIRST_PAGE or len(pages) >= 32:
            break
        pages.append(page)
    return pages


def _pages(audio: AudioFile, offset: int) -> Iterator[_Page]:
    for _ in range(_MAX_OGG_HEADER_PAGES):
        header = audio.read_at(offset, 27)
        if len(header) < 27 or header[:4] != b"OggS":
            return
        flags, position, serial, segments = header[5], *struct.unpack_from("<QI", header, 6), header[26]
        lacing = audio.read_at(offset + 27, segments)
        start = offset + 27 + segments
        offset = start + sum(lacing)
        yield _Page(flags, position, serial, lacing, start, offset)


def _second_packet(audio: AudioFile, first: _Page) -> bytes:
    """The packet after the first page's: the comments, in every Ogg codec. It may span pages."""
    parts: list[bytes] = []
    size = 0
    for page in _pages(audio, first.end):
        if page.serial != first.serial:
            continue
        length = 0
        for lacing in page.lacing:
            length += lacing
            if lacing < 255:
                parts.append(audio.read_at(page.start, length))
                return b"".join(parts)
        parts.append(audio.read_at(page.start, length))
        size += length
        if size > MAX_BLOCK_BYTES:
            raise UnreadableAudio("claims more tags than any file needs")
    raise UnreadableAudio("is cut short or damaged inside its tags")


def _last_position(audio: AudioFile, serial: int) -> int | None:
    """The granule position of the stream's last page that has one."""
    wanted = struct.pack("<I", serial)
    for size in (8_191, 2 * _LONGEST_OGG_PAGE):
        start = max(0, audio.size - size)
        tail = audio.read_at(start, size)
        index = tail.rfind(b"OggS")
        while index >= 0:
            if tail[index + 14 : index + 18] == wanted:
                (position,) = struct.unpack_from("<Q", tail, index + 6)
                if position != _NO_POSITION:
                    return int(position)
            index = tail.rfind(b"OggS", 0, index)
        if start == 0:
            break
    return None


def _read_vorbis(audio: AudioFile, page: _Page, head: bytes) -> FoundTags:
    found = FoundTags("ogg")
    found.channels, found.sample_rate, highest, nominal, lowest = struct.unpack_from("<BIiii", head, 11)
    found.bitrate = nominal if nominal > 0 else None
    if nominal <= 0 and highest > 0 and lowest > 0:
        found.bitrate = (highest + lowest) / 2
    _set_duration(found, audio, page.serial)
    read_comments(_second_packet(audio, page)[7:], found)
    return found


def _read_opus(audio: AudioFile, page: _Page, head: bytes) -> FoundTags:
    found = FoundTags("opus", sample_rate=_OPUS_RATE, channels=head[9])
    (skipped,) = struct.unpack_from("<H", head, 10)
    _set_duration(found, audio, page.serial, skipped)
    read_comments(_second_packet(audio, page)[8:], found)
    return found


def _read_ogg_flac(audio: AudioFile, page: _Page, head: bytes) -> FoundTags:
    found = FoundTags("ogg")
    _read_streaminfo(head[17:51], found)
    if not found.duration_seconds:
        _set_duration(found, audio, page.serial)
    read_comments(_second_packet(audio, page)[4:], found)
    return found


def _read_speex(audio: AudioFile, page: _Page, head: bytes) -> FoundTags:
    found = FoundTags("ogg")
    (found.sample_rate,) = struct.unpack_from("<I", head, 36)
    found.channels, bitrate = struct.unpack_from("<Ii", head, 48)
    found.bitrate = bitrate if bitrate > 0 else None
    _set_duration(found, audio, page.serial)
    read_comments(_second_packet(audio, page), found)
    return found


def _read_theora(audio: AudioFile, page: _Page, head: bytes) -> FoundTags:
    found = FoundTags("ogg")
    frames, seconds = struct.unpack_from(">II", head, 22)
    shift = int.from_bytes(head[40:42], "big") >> 5 & 0x1F
    last = _last_position(audio, page.serial)
    if last is not None and frames:
        found.duration_seconds = ((last >> shift) + (last & (1 << shift) - 1)) * seconds / frames
    read_comments(_second_packet(audio, page)[7:], found)
    return found


def _set_duration(found: FoundTags, audio: AudioFile, serial: int, skipped: int = 0) -> None:
    if not found.sample_rate:
        raise UnreadableAudio("is damaged: its sample rate is zero")
    last = _last_position(audio, serial)
    if last is not None:
        found.duration_seconds = (last - skipped) / found.sample_rate


_CODECS: Final = (
    ("Vorbis", b"\x01vorbis", _read_vorbis),
    ("Opus", b"OpusHead", _read_opus),
    ("FLAC", b"\x7fFLAC", _read_ogg_flac),
    ("Speex", b"Speex   ", _read_speex),
    ("Theora", b"\x80theora", _read_theora),
)
