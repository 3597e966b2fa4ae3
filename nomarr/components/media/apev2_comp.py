"""APEv2 tags, as Monkey's Audio, WavPack, Musepack and many MP3 files carry them at their end."""

from __future__ import annotations

import struct
from typing import Final

from .audio_file_comp import MAX_BLOCK_BYTES, MAX_TEXT_BYTES, AudioFile
from .found_tags_comp import FoundTags
from .id3_comp import read_id3v1

__all__ = ["read_trailing_tags"]

_FIELDS: Final = {
    "title": "title",
    "artist": "artist",
    "artists": "artists",
    "album": "album",
    "album artist": "albumartist",
    "albumartist": "albumartist",
    "albumartists": "albumartists",
    "album_artists": "albumartists",
    "track": "track",
    "tracknumber": "track",
    "tracktotal": "track_total",
    "totaltracks": "track_total",
    "disc": "disc",
    "discnumber": "disc",
    "disctotal": "disc_total",
    "totaldiscs": "disc_total",
    "year": "date",
    "date": "date",
    "originaldate": "original_date",
    "originalyear": "original_date",
    "genre": "genre",
    "composer": "composer",
    "comment": "comment",
    "description": "description",
    "lyrics": "lyrics",
    "unsyncedlyrics": "lyrics",
    "compilation": "compilation",
    "musicbrainz_trackid": "musicbrainz_recording_id",
    "musicbrainz_releasetrackid": "musicbrainz_track_id",
    "musicbrainz_albumid": "musicbrainz_album_id",
    "musicbrainz_releasegroupid": "musicbrainz_release_group_id",
    "musicbrainz_artistid": "musicbrainz_artist_ids",
    "musicbrainz_albumartistid": "musicbrainz_albumartist_ids",
    "replaygain_track_gain": "replaygain_track_gain",
    "replaygain_track_peak": "replaygain_track_peak",
    "replaygain_album_gain": "replaygain_album_gain",
    "replaygain_album_peak": "replaygain_album_peak",
}
_MAGIC: Final = b"APETAGEX"
_FOOTER_BYTES: Final = 32
_ID3V1_BYTES: Final = 128
_MAX_ITEMS: Final = 10_000
_TEXT: Final = 0


def read_trailing_tags(audio: AudioFile, found: FoundTags) -> None:
    """Complete `found` with the APEv2 tag, then with the ID3v1 tag, at the end of the file, if there are any."""
    tail_start = max(0, audio.size - _ID3V1_BYTES - _FOOTER_BYTES)
    tail = audio.read_at(tail_start, _ID3V1_BYTES + _FOOTER_BYTES)
    has_id3v1 = tail[-_ID3V1_BYTES:].startswith(b"TAG")
    if _MAGIC in tail:
        footer_end = len(tail) - (_ID3V1_BYTES if has_id3v1 else 0)
        footer = tail[max(0, footer_end - _FOOTER_BYTES) : footer_end]
        _read_before(audio, tail_start + footer_end, footer, found)
    if has_id3v1:
        old = FoundTags(found.format)
        read_id3v1(tail[-_ID3V1_BYTES:], old)
        found.complete_with(old)


def _read_before(audio: AudioFile, end: int, footer: bytes, found: FoundTags) -> None:
    if len(footer) != _FOOTER_BYTES or not footer.startswith(_MAGIC):
        return
    size, count = struct.unpack_from("<II", footer, 12)
    # The size counts the items and the footer, never the optional header.
    if _FOOTER_BYTES <= size <= min(end, MAX_BLOCK_BYTES):
        tag = FoundTags(found.format)
        _read_items(audio.read_at(end - size, size - _FOOTER_BYTES), min(count, _MAX_ITEMS), tag)
        found.complete_with(tag)


def _read_items(block: bytes, count: int, found: FoundTags) -> None:
    position = 0
    for _ in range(count):
        key_start = position + 8
        key_end = block.find(b"\0", key_start, key_start + 256)
        if key_end < 0:
            return
        size, flags = struct.unpack_from("<II", block, position)
        position = key_end + 1 + size
        key = block[key_start:key_end].decode("latin-1").lower()
        if key.startswith("cover art"):
            found.has_cover = found.has_cover or size > 0
        elif key in _FIELDS and flags >> 1 & 3 == _TEXT:
            text = block[key_end + 1 : min(position, key_end + 1 + MAX_TEXT_BYTES)].decode("utf-8", "replace")
            found.add(_FIELDS[key], *text.split("\0", _MAX_ITEMS))
