"""From mutagen's Vorbis comments, MP4, ASF and APEv2 tags to `FoundTags`: one table of names for each.

The names are Picard's, https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html, and what other taggers
write for the same thing.
"""

from __future__ import annotations

from typing import Any, Final

from mutagen.apev2 import APETextValue
from mutagen.mp4 import AtomDataType

from nomarr.components.media.audio_file_comp import MAX_TEXT_BYTES
from nomarr.components.media.found_tags_comp import FoundTags

__all__ = ["take_apev2", "take_asf", "take_mp4", "take_vorbis"]

# MUSICBRAINZ_TRACKID is the recording, for ever.
_VORBIS_FIELDS: Final = {
    "title": "title",
    "artist": "artist",
    "artists": "artists",
    "album": "album",
    "albumartist": "albumartist",
    "album artist": "albumartist",
    "album_artist": "albumartist",
    "albumartists": "albumartists",
    "album_artists": "albumartists",
    "tracknumber": "track",
    "track": "track",
    "tracktotal": "track_total",
    "totaltracks": "track_total",
    "discnumber": "disc",
    "disc": "disc",
    "disctotal": "disc_total",
    "totaldiscs": "disc_total",
    "date": "date",
    "year": "original_date",
    "originaldate": "original_date",
    "originalyear": "original_date",
    "genre": "genre",
    "composer": "composer",
    "comment": "comment",
    "description": "description",
    "lyrics": "lyrics",
    "unsyncedlyrics": "lyrics",
    "syncedlyrics": "lyrics",
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
    "r128_track_gain": "r128_track_gain",
    "r128_album_gain": "r128_album_gain",
}
_VORBIS_PICTURES: Final = frozenset(("metadata_block_picture", "coverart"))

_APEV2_FIELDS: Final = {
    name: field for name, field in _VORBIS_FIELDS.items() if not name.startswith(("r128_", "syncedlyrics"))
} | {"year": "date"}
_APEV2_PICTURE: Final = "cover art"

_MP4_FIELDS: Final = {
    "\xa9nam": "title",
    "\xa9ART": "artist",
    "\xa9alb": "album",
    "aART": "albumartist",
    "\xa9day": "date",
    "\xa9gen": "genre",
    "\xa9wrt": "composer",
    "\xa9cmt": "comment",
    "desc": "description",
    "\xa9lyr": "lyrics",
}
_MP4_PAIRS: Final = {"trkn": "track", "disk": "disc"}
_MP4_FREEFORM_FIELDS: Final = {
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

_ASF_FIELDS: Final = {
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
_ASF_PICTURE: Final = "wm/picture"


def take_vorbis(tags: Any, found: FoundTags) -> None:
    """Take over Vorbis comments; `tags` may be None."""
    for key, value in tags or ():
        key = key.lower()
        field = _VORBIS_FIELDS.get(key)
        if field is not None:
            found.add(field, value[:MAX_TEXT_BYTES])
        elif key in _VORBIS_PICTURES and value:
            found.has_cover = True


def take_apev2(tags: Any, found: FoundTags) -> None:
    """Complete `found` with an APEv2 tag; `tags` may be None."""
    if tags is None:
        return
    ape = FoundTags(found.format)
    for key, value in tags.items():
        key = key.lower()
        if key.startswith(_APEV2_PICTURE):
            ape.has_cover = ape.has_cover or len(value) > 0
        elif key in _APEV2_FIELDS and isinstance(value, APETextValue):
            ape.add(_APEV2_FIELDS[key], *str(value)[:MAX_TEXT_BYTES].split("\0"))
    found.complete_with(ape)


def take_mp4(tags: Any, found: FoundTags) -> None:
    """Take over iTunes metadata; `tags` may be None."""
    for key, value in (tags or {}).items():
        if key in _MP4_FIELDS:
            found.add(_MP4_FIELDS[key], *value)
        elif key.startswith("----:"):
            field = _MP4_FREEFORM_FIELDS.get(key.split(":", 2)[-1].lower())
            if field is not None:
                found.add(field, *(_decoded(part) for part in value))
        elif key in _MP4_PAIRS:
            for number, total in value:
                _take_pair(_MP4_PAIRS[key], number, total, found)
        elif key == "cpil":
            found.add("compilation", str(int(value)))
        elif key == "covr":
            found.has_cover = any(value)


def take_asf(tags: Any, found: FoundTags) -> None:
    """Take over the attributes of an ASF file."""
    for name, value in tags:
        key = name.lower()
        if key == _ASF_PICTURE:
            found.has_cover = True
        elif key in _ASF_FIELDS:
            found.add(_ASF_FIELDS[key], str(value.value)[:MAX_TEXT_BYTES])


def _decoded(freeform: Any) -> str:
    encoding = "utf-16-be" if freeform.dataformat == AtomDataType.UTF16 else "utf-8"
    return bytes(freeform[:MAX_TEXT_BYTES]).decode(encoding, "replace")


def _take_pair(field: str, number: int, total: int, found: FoundTags) -> None:
    # Zero is how the pair says "not given".
    if number:
        found.add(field, str(number))
    if total:
        found.add(f"{field}_total", str(total))
