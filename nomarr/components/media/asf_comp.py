"""Windows Media Audio (ASF)."""

from __future__ import annotations

from typing import Any, Final

from mutagen.asf import ASF

from .audio_file_comp import MAX_TEXT_BYTES, AudioFile, UnreadableAudio
from .found_tags_comp import FoundTags

__all__ = ["read_asf"]

# Mutagen's annotations stop at its constructors.
_ASF: Final[Any] = ASF
_MAX_HEADER_BYTES: Final = 64 << 20
# Picard's names: https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html
_FIELDS: Final = {
    "title": "title",
    "author": "artist",
    "wm/artists": "artists",
    "artists": "artists",
    "wm/albumtitle": "album",
    "wm/albumartist": "albumartist",
    "wm/albumartists": "albumartists",
    "albumartists": "albumartists",
    "wm/tracknumber": "track",
    "wm/partofset": "disc",
    "tracktotal": "track_total",
    "totaltracks": "track_total",
    "disctotal": "disc_total",
    "totaldiscs": "disc_total",
    "wm/year": "date",
    "wm/originalreleasetime": "original_date",
    "wm/originalreleaseyear": "original_date",
    "wm/genre": "genre",
    "wm/composer": "composer",
    "description": "comment",
    "wm/lyrics": "lyrics",
    "wm/lyrics_synchronised": "lyrics",
    "wm/iscompilation": "compilation",
    "musicbrainz/track id": "musicbrainz_recording_id",
    "musicbrainz/release track id": "musicbrainz_track_id",
    "musicbrainz/album id": "musicbrainz_album_id",
    "musicbrainz/release group id": "musicbrainz_release_group_id",
    "musicbrainz/artist id": "musicbrainz_artist_ids",
    "musicbrainz/album artist id": "musicbrainz_albumartist_ids",
    "replaygain_track_gain": "replaygain_track_gain",
    "replaygain_track_peak": "replaygain_track_peak",
    "replaygain_album_gain": "replaygain_album_gain",
    "replaygain_album_peak": "replaygain_album_peak",
}
_PICTURE: Final = "wm/picture"


def read_asf(audio: AudioFile) -> FoundTags:
    """Read the header of an ASF file."""
    header_bytes = int.from_bytes(audio.read_exactly(16, 8), "little")
    if header_bytes > audio.size:
        raise UnreadableAudio("is cut short inside its WMA header")
    if header_bytes > _MAX_HEADER_BYTES:
        raise UnreadableAudio("claims a WMA header larger than any file needs")
    asf = _ASF(audio.as_stream())
    found = FoundTags("asf")
    found.duration_seconds = asf.info.length
    found.bitrate = asf.info.bitrate
    found.sample_rate = asf.info.sample_rate
    found.channels = asf.info.channels
    for name, value in asf.tags:
        key = name.lower()
        if key == _PICTURE:
            found.has_cover = True
        elif key in _FIELDS:
            found.add(_FIELDS[key], str(value.value)[:MAX_TEXT_BYTES])
    return found
