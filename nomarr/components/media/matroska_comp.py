"""Matroska audio (mka): a small EBML reader, since mutagen has none.

Only headers are read: clusters are stepped over, and depth, number and size of elements are bounded.
Element ids: https://www.matroska.org/technical/elements.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from nomarr.components.media.audio_file_comp import MAX_PICTURE_BYTES, MAX_TEXT_BYTES, AudioFile, UnreadableAudio
from nomarr.components.media.found_tags_comp import FoundTags

__all__ = ["attached_pictures", "read_matroska"]

_SEGMENT, _INFO, _TRACKS, _TAGS, _ATTACHMENTS, _CLUSTER = (
    0x18538067, 0x1549A966, 0x1654AE6B, 0x1254C367, 0x1941A469, 0x1F43B675,
)  # fmt: skip
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

_MAX_ELEMENTS: Final = 20_000
_HEADER_BYTES: Final = 12

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


class _Element(NamedTuple):
    id: int
    start: int
    """Where its content begins."""
    end: int


class _Reader:
    """Walks elements of one file with one budget, so that no nesting and no repetition can take long."""

    def __init__(self, audio: AudioFile) -> None:
        self.audio = audio
        self.elements_left = _MAX_ELEMENTS

    def children(self, start: int, end: int) -> Iterator[_Element]:
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
            yield _Element(int.from_bytes(header[:id_bytes], "big"), content, min(start, end))

    def unsigned(self, element: _Element) -> int:
        return int.from_bytes(self.audio.read_at(element.start, min(8, element.end - element.start)), "big")

    def real(self, element: _Element) -> float:
        content = self.audio.read_at(element.start, element.end - element.start) if _is_real(element) else b""
        return float(struct.unpack(">d" if len(content) == 8 else ">f", content)[0]) if len(content) in (4, 8) else 0.0

    def text(self, element: _Element) -> str:
        content = self.audio.read_at(element.start, min(MAX_TEXT_BYTES, element.end - element.start))
        return content.decode("utf-8", "replace")


def _is_real(element: _Element) -> bool:
    return element.end - element.start in (4, 8)


def _width(header: bytes, position: int, most: int) -> int:
    """How many bytes the variable-length number at `position` has; 0 if it is none."""
    if position >= len(header):
        return 0
    width = 9 - header[position].bit_length()
    return width if width <= most and position + width <= len(header) else 0


def read_matroska(audio: AudioFile) -> FoundTags:
    """Read Info, Tracks, Tags and Attachments of the first segment."""
    reader = _Reader(audio)
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
    reader = _Reader(audio)
    for element in _top_level(reader):
        if element.id == _ATTACHMENTS:
            yield from _pictures_in(reader, element)


def _top_level(reader: _Reader) -> Iterator[_Element]:
    """The elements of the first segment, each once; what its index names comes even from behind the clusters."""
    segment = next((e for e in reader.children(0, reader.audio.size) if e.id == _SEGMENT), None)
    if segment is None:
        raise UnreadableAudio("is cut short: it has no Matroska segment")
    seen: set[int] = set()
    elsewhere: list[int] = []
    for element in reader.children(segment.start, segment.end):
        if element.id == _CLUSTER and elsewhere:
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


def _sought_positions(reader: _Reader, seek_head: _Element, segment: _Element) -> list[int]:
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


def _read_top_level(reader: _Reader, element: _Element, found: FoundTags) -> None:
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


def _read_info(reader: _Reader, element: _Element, found: FoundTags) -> None:
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


def _read_tracks(reader: _Reader, element: _Element, found: FoundTags) -> None:
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


def _read_audio(reader: _Reader, element: _Element, found: FoundTags) -> None:
    parts = {part.id: part for part in reader.children(element.start, element.end)}
    rate = parts.get(_OUTPUT_RATE) or parts.get(_RATE)
    found.sample_rate = reader.real(rate) if rate else _DEFAULT_RATE
    found.channels = reader.unsigned(parts[_CHANNELS]) if _CHANNELS in parts else 1
    found.bit_depth = reader.unsigned(parts[_BIT_DEPTH]) if _BIT_DEPTH in parts else None


def _read_tag(reader: _Reader, tag: _Element, found: FoundTags) -> None:
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


def _read_attachments(reader: _Reader, element: _Element, found: FoundTags) -> None:
    found.has_cover = found.has_cover or any(True for _ in _attached_images(reader, element))


def _attached_images(reader: _Reader, attachments: _Element) -> Iterator[dict[int, _Element]]:
    """The parts of each attached file that says it is a picture."""
    for attached in reader.children(attachments.start, attachments.end):
        if attached.id == _ATTACHED_FILE:
            parts = {part.id: part for part in reader.children(attached.start, attached.end)}
            if _MEDIA_TYPE in parts and reader.text(parts[_MEDIA_TYPE]).startswith("image/"):
                yield parts


def _pictures_in(reader: _Reader, attachments: _Element) -> Iterator[tuple[str, bytes]]:
    for parts in _attached_images(reader, attachments):
        name, content = parts.get(_FILE_NAME), parts.get(_FILE_CONTENT)
        if content is not None and content.end - content.start <= MAX_PICTURE_BYTES:
            image = reader.audio.read_at(content.start, content.end - content.start)
            yield reader.text(name) if name else "", image
