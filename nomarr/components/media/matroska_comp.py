"""Matroska audio (mka), which mutagen does not read.

Only headers are read: clusters are stepped over.
Element ids: https://www.matroska.org/technical/elements.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from nomarr.components.media.audio_file_comp import MAX_PICTURE_BYTES, AudioFile, UnreadableAudio
from nomarr.components.media.ebml_comp import CLUSTER, SEGMENT, EbmlReader, Element
from nomarr.components.media.found_tags_comp import FoundTags

__all__ = ["attached_pictures", "read_matroska"]

_INFO, _TRACKS, _TAGS, _ATTACHMENTS = 0x1549A966, 0x1654AE6B, 0x1254C367, 0x1941A469
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_TIMESTAMP_SCALE, _DURATION, _TITLE = 0x2AD7B1, 0x4489, 0x7BA9
_TRACK_ENTRY, _TRACK_TYPE, _AUDIO, _RATE, _OUTPUT_RATE, _CHANNELS, _BIT_DEPTH = (
    0xAE, 0x83, 0xE1, 0xB5, 0x78B5, 0x9F, 0x6264,
)  # fmt: skip
_TAG, _TARGETS, _TARGET_LEVEL, _SIMPLE_TAG, _TAG_NAME, _TAG_STRING = 0x7373, 0x63C0, 0x68CA, 0x67C8, 0x45A3, 0x4487
_ATTACHED_FILE, _MEDIA_TYPE, _FILE_NAME, _FILE_CONTENT = 0x61A7, 0x4660, 0x466E, 0x465C
_CODEC: Final = 0x86
_LOSSLESS_CODECS: Final = ("A_FLAC", "A_PCM", "A_ALAC", "A_TTA", "A_WAVPACK")
_AUDIO_TRACK: Final = 2
_ALBUM_LEVEL: Final = 50
_DEFAULT_SCALE_NS: Final = 1_000_000
_DEFAULT_RATE: Final = 8000.0

_FIELDS: Final = {
    "TITLE": "title",
    "ARTIST": "artist",
    "ARTISTS": "artists",
    "ALBUM": "album",
    "ALBUM_ARTIST": "albumartist",
    "ALBUMARTIST": "albumartist",
    "ALBUMARTISTS": "albumartists",
    "PART_NUMBER": "track",
    "TRACK": "track",
    "TRACKNUMBER": "track",
    "TOTAL_PARTS": "track_total",
    "TRACKTOTAL": "track_total",
    "DISC": "disc",
    "DISCNUMBER": "disc",
    "DISCTOTAL": "disc_total",
    "DATE_RELEASED": "date",
    "DATE": "date",
    "YEAR": "original_date",
    "DATE_RECORDED": "original_date",
    "ORIGINALDATE": "original_date",
    "GENRE": "genre",
    "COMPOSER": "composer",
    "COMMENT": "comment",
    "DESCRIPTION": "description",
    "LYRICS": "lyrics",
    "COMPILATION": "compilation",
    "MUSICBRAINZ_TRACKID": "musicbrainz_recording_id",
    "MUSICBRAINZ_RELEASETRACKID": "musicbrainz_track_id",
    "MUSICBRAINZ_ALBUMID": "musicbrainz_album_id",
    "MUSICBRAINZ_RELEASEGROUPID": "musicbrainz_release_group_id",
    "MUSICBRAINZ_ARTISTID": "musicbrainz_artist_ids",
    "MUSICBRAINZ_ALBUMARTISTID": "musicbrainz_albumartist_ids",
    "REPLAYGAIN_TRACK_GAIN": "replaygain_track_gain",
    "REPLAYGAIN_GAIN": "replaygain_track_gain",
    "REPLAYGAIN_TRACK_PEAK": "replaygain_track_peak",
    "REPLAYGAIN_PEAK": "replaygain_track_peak",
    "REPLAYGAIN_ALBUM_GAIN": "replaygain_album_gain",
    "REPLAYGAIN_ALBUM_PEAK": "replaygain_album_peak",
}
# Matroska says with a level what other formats say with a name: ARTIST of the album is the album artist.
_ALBUM_FIELDS: Final = {
    "title": "album",
    "artist": "albumartist",
    "artists": "albumartists",
    "track": "disc",
    "track_total": "track_total",
    "replaygain_track_gain": "replaygain_album_gain",
    "replaygain_track_peak": "replaygain_album_peak",
}


def read_matroska(audio: AudioFile) -> FoundTags:
    """Read Info, Tracks, Tags and Attachments of the first segment."""
    reader = EbmlReader(audio)
    found = FoundTags("matroska")
    seen: set[int] = set()
    for element in _top_level(reader):
        seen.add(element.id)
        _read_top_level(reader, element, found)
    if _TRACKS not in seen:
        raise UnreadableAudio("is cut short: it lists no Matroska tracks")
    found.audio_bytes = audio.size
    return found


def attached_pictures(audio: AudioFile) -> Iterator[tuple[str, bytes]]:
    """Name and content of each attached picture that is not too large, in their order."""
    reader = EbmlReader(audio)
    for element in _top_level(reader):
        if element.id == _ATTACHMENTS:
            yield from _pictures_in(reader, element)


def _top_level(reader: EbmlReader) -> Iterator[Element]:
    """The elements of the first segment, each once; what its index names comes even from behind the clusters."""
    segment = next((e for e in reader.children(0, reader.audio.size) if e.id == SEGMENT), None)
    if segment is None:
        raise UnreadableAudio("is cut short: it has no Matroska segment")
    seen: set[int] = set()
    elsewhere: list[int] = []
    for element in reader.children(segment.start, segment.end):
        if element.id == CLUSTER and elsewhere:
            # The index says where the rest is, so the clusters need not be walked.
            break
        if element.id == _SEEK_HEAD:
            elsewhere += _sought_positions(reader, element, segment)
        seen.add(element.start)
        yield element
    for position in elsewhere:
        target = next(reader.children(position, segment.end), None)
        if target is not None and target.start not in seen:
            seen.add(target.start)
            yield target


def _sought_positions(reader: EbmlReader, seek_head: Element, segment: Element) -> list[int]:
    positions = []
    for seek in reader.children(seek_head.start, seek_head.end):
        if seek.id != _SEEK:
            continue
        target = position = 0
        for part in reader.children(seek.start, seek.end):
            if part.id == _SEEK_ID:
                target = reader.unsigned(part)
            elif part.id == _SEEK_POSITION:
                position = reader.unsigned(part)
        if target in (_INFO, _TRACKS, _TAGS, _ATTACHMENTS):
            positions.append(segment.start + position)
    return positions


def _read_top_level(reader: EbmlReader, element: Element, found: FoundTags) -> None:
    if element.id == _INFO:
        _read_info(reader, element, found)
    elif element.id == _TRACKS:
        _read_tracks(reader, element, found)
    elif element.id == _TAGS:
        for tag in reader.children(element.start, element.end):
            if tag.id == _TAG:
                _read_tag(reader, tag, found)
    elif element.id == _ATTACHMENTS:
        _read_attachments(reader, element, found)


def _read_info(reader: EbmlReader, element: Element, found: FoundTags) -> None:
    scale, ticks = _DEFAULT_SCALE_NS, 0.0
    for child in reader.children(element.start, element.end):
        if child.id == _TIMESTAMP_SCALE:
            scale = reader.unsigned(child)
        elif child.id == _DURATION:
            ticks = reader.real(child)
        elif child.id == _TITLE:
            found.values["_segment_title"] = [reader.text(child)]
    found.duration_seconds = ticks * scale / 1e9
    if "_segment_title" in found.values:
        found.values.setdefault("title", found.values.pop("_segment_title"))


def _read_tracks(reader: EbmlReader, element: Element, found: FoundTags) -> None:
    for track in reader.children(element.start, element.end):
        if track.id != _TRACK_ENTRY:
            continue
        parts = {part.id: part for part in reader.children(track.start, track.end)}
        if _TRACK_TYPE in parts and reader.unsigned(parts[_TRACK_TYPE]) == _AUDIO_TRACK and _AUDIO in parts:
            _read_audio(reader, parts[_AUDIO], found)
            if _CODEC not in parts or not reader.text(parts[_CODEC]).startswith(_LOSSLESS_CODECS):
                # Writers say 16 or 32 for lossy codecs, too, where it means nothing.
                found.bit_depth = None
            return


def _read_audio(reader: EbmlReader, element: Element, found: FoundTags) -> None:
    parts = {part.id: part for part in reader.children(element.start, element.end)}
    rate = parts.get(_OUTPUT_RATE) or parts.get(_RATE)
    found.sample_rate = reader.real(rate) if rate else _DEFAULT_RATE
    found.channels = reader.unsigned(parts[_CHANNELS]) if _CHANNELS in parts else 1
    found.bit_depth = reader.unsigned(parts[_BIT_DEPTH]) if _BIT_DEPTH in parts else None


def _read_tag(reader: EbmlReader, tag: Element, found: FoundTags) -> None:
    level = _ALBUM_LEVEL
    simple_tags = []
    has_level = False
    for child in reader.children(tag.start, tag.end):
        if child.id == _TARGETS:
            for part in reader.children(child.start, child.end):
                if part.id == _TARGET_LEVEL:
                    level, has_level = reader.unsigned(part), True
        elif child.id == _SIMPLE_TAG:
            simple_tags.append(child)
    for simple in simple_tags:
        parts = {part.id: part for part in reader.children(simple.start, simple.end)}
        if _TAG_NAME not in parts or _TAG_STRING not in parts:
            continue
        field = _FIELDS.get(reader.text(parts[_TAG_NAME]).strip().upper())
        if field is None:
            continue
        # ffmpeg and others write flat tags without a level, and mean the track.
        if has_level and level == _ALBUM_LEVEL:
            field = _ALBUM_FIELDS.get(field, field)
        found.add(field, reader.text(parts[_TAG_STRING]))


def _read_attachments(reader: EbmlReader, element: Element, found: FoundTags) -> None:
    found.has_cover = found.has_cover or any(True for _ in _attached_images(reader, element))


def _attached_images(reader: EbmlReader, attachments: Element) -> Iterator[dict[int, Element]]:
    """The parts of each attached file that says it is a picture."""
    for attached in reader.children(attachments.start, attachments.end):
        if attached.id == _ATTACHED_FILE:
            parts = {part.id: part for part in reader.children(attached.start, attached.end)}
            if _MEDIA_TYPE in parts and reader.text(parts[_MEDIA_TYPE]).startswith("image/"):
                yield parts


def _pictures_in(reader: EbmlReader, attachments: Element) -> Iterator[tuple[str, bytes]]:
    for parts in _attached_images(reader, attachments):
        name, content = parts.get(_FILE_NAME), parts.get(_FILE_CONTENT)
        if content is not None and content.end - content.start <= MAX_PICTURE_BYTES:
            image = reader.audio.read_at(content.start, content.end - content.start)
            yield reader.text(name) if name else "", image
