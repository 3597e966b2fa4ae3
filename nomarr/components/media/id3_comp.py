"""From mutagen's ID3 frames to `FoundTags`: which frames count, and what they mean."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Final

from mutagen import MutagenError
from mutagen.id3 import (
    COMM,
    ID3,
    RVA2,
    TCON,
    TXXX,
    UFID,
    USLT,
    Frame,
    Frames_2_2,
    ID3JunkFrameError,
    ID3NoHeaderError,
    ParseID3v1,
    TextFrame,
)

from nomarr.components.media.audio_file_comp import MAX_PICTURE_BYTES, MAX_TEXT_BYTES, AudioFile, UnreadableAudio
from nomarr.components.media.found_tags_comp import FoundTags

__all__ = ["PictureID3", "SmallID3", "id3_options", "known_frames", "picture_frames", "take_id3", "take_id3v1"]

# Picard's names: https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html
_TEXT_FIELDS: Final = {
    "TIT2": "title",
    "TPE1": "artist",
    "TALB": "album",
    "TPE2": "albumartist",
    "TRCK": "track",
    "TPOS": "disc",
    "TDRC": "date",
    "TDOR": "original_date",
    "TORY": "original_date",
    "TDRL": "original_date",
    "TCOM": "composer",
    "TCMP": "compilation",
}
_USER_TEXT_FIELDS: Final = {
    "artists": "artists",
    "albumartists": "albumartists",
    "album artists": "albumartists",
    "album artist": "albumartist",
    "musicbrainz release track id": "musicbrainz_track_id",
    "musicbrainz track id": "musicbrainz_recording_id",
    "musicbrainz recording id": "musicbrainz_recording_id",
    "musicbrainz album id": "musicbrainz_album_id",
    "musicbrainz release group id": "musicbrainz_release_group_id",
    "musicbrainz artist id": "musicbrainz_artist_ids",
    "musicbrainz album artist id": "musicbrainz_albumartist_ids",
    "replaygain_track_gain": "replaygain_track_gain",
    "replaygain_track_peak": "replaygain_track_peak",
    "replaygain_album_gain": "replaygain_album_gain",
    "replaygain_album_peak": "replaygain_album_peak",
    "compilation": "compilation",
    "lyrics": "lyrics",
    "originalyear": "original_date",
}
_MUSICBRAINZ_OWNER: Final = "http://musicbrainz.org"
_MASTER_VOLUME: Final = 1
_DAY_AND_MONTH = re.compile(r"(\d{2})(\d{2})$", re.ASCII)

_MAX_FRAMES: Final = 2_000
_MAX_SLICES: Final = 5 * _MAX_FRAMES
_LITTLE_TAG_BYTES: Final = 16 << 10
_MAX_STRINGS: Final = 1_000
_MAX_INFLATED_BYTES: Final = 256 << 10
_MAX_DESCRIPTION_BYTES: Final = 64 << 10
_CODECS: Final = {b"\x00": "latin-1", b"\x01": "utf-16", b"\x02": "utf-16-be", b"\x03": "utf-8"}
"""By the first byte of a text frame."""

_BYTE_ORDER_MARK: Final = "\ufeff"
_OTHER_BYTE_ORDER: Final = "\ufffe"
_COMPRESSED: Final = {3: 0x80, 4: 0x08}
"""The flag of a compressed frame, by the tag's version."""

# Mutagen's annotations stop at its constructors.
_ID3: Final[Any] = ID3
_PARSE_ID3V1: Final[Callable[..., dict[str, Any] | None]] = ParseID3v1


def _from_little_data(cls: Any, header: Any, flags: int, data: bytes) -> Any:
    """Mutagen's frame constructor, with limits: it inflates and splits whatever it is given."""
    if _is_compressed(header, flags):
        _check_inflated(data, _MAX_INFLATED_BYTES)
    elif len(data) > _MAX_STRINGS:
        data = data[:MAX_TEXT_BYTES]
        # Mutagen copies what remains of a frame for each of its strings.
        if data.count(b"\0\0" if data[0] in (1, 2) else b"\0") > _MAX_STRINGS:
            raise ID3JunkFrameError("too many strings")
    if not flags and not header.f_unsynch and issubclass(cls, TextFrame):
        frame = _text_frame(cls, data)
        if frame is not None:
            return frame
    return super(cls, cls)._fromData(header, flags, data)


def _is_compressed(header: Any, flags: int) -> bool:
    return bool(flags & _COMPRESSED.get(header.version[1], 0))


def _check_inflated(data: bytes, limit: int) -> None:
    """Refuse a compressed frame that is damaged, or that inflates to more than `limit` bytes."""
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(data[4:], limit)
    except zlib.error:
        raise ID3JunkFrameError("damaged") from None
    if inflater.unconsumed_tail:
        raise ID3JunkFrameError("too large")


def _text_frame(cls: Any, data: bytes) -> Any:
    """A text frame decoded in one step: mutagen goes string by string, UTF-16 byte by byte, half of a usual mp3's time.

    None for what is damaged, or changes its byte order on the way: mutagen knows ways around that.
    """
    codec = _CODECS.get(data[:1])
    if codec is None:
        return None
    is_comment = issubclass(cls, COMM)
    fields: dict[str, Any] = {"encoding": data[0]}
    try:
        if is_comment:
            fields["lang"] = data[1:4].decode("ascii")
        text = data[4 if is_comment else 1 :].decode(codec)
    except UnicodeDecodeError:
        return None
    if codec == "utf-16":
        if _OTHER_BYTE_ORDER in text:
            return None
        # Each further string of the frame begins with a mark of its own.
        text = text.replace(_BYTE_ORDER_MARK, "")
    # Zeros at the end are padding, and empty values count for nothing.
    strings = text.rstrip("\0").split("\0")
    if is_comment or issubclass(cls, TXXX):
        if len(strings) < 2:
            return None
        fields["desc"] = strings.pop(0)
    frame = cls()
    # As mutagen's own reading does: setting an attribute would check it once more.
    vars(frame).update(fields, text=strings)
    return frame


def _frame_class(name: str, base: Any) -> Any:
    def init(frame: Any, *values: Any, **named: Any) -> None:
        # A frame that is about to be read needs no defaults; setting them takes a third of mutagen's time.
        if values or named:
            base.__init__(frame, *values, **named)

    return type(name, (base,), {"__init__": init, "_fromData": classmethod(_from_little_data)})


def _known_frames() -> dict[str, Any]:
    """Name to class, the form that mutagen documents for `known_frames`: what is missing here is not decoded.

    Dates stay text, since `parse_date` understands more of them than mutagen's time stamps. Pictures and synchronised
    lyrics are frames without content, since only their presence counts: a cover of 100 KB is not decoded.
    """
    long = {name: _frame_class(name, TextFrame) for name in (*_TEXT_FIELDS, "TYER", "TDAT")}
    for base in (COMM, RVA2, TCON, TXXX, UFID, USLT):
        long[base.__name__] = _frame_class(base.__name__, base)
    for name in ("APIC", "SYLT"):
        long[name] = type(name, (Frame,), {})
    short = {old: frame.__bases__[0].__name__ for old, frame in Frames_2_2.items()}
    return long | {old: long[name] for old, name in short.items() if name in long}


class _PictureFrame(Frame):
    """APIC with its picture; every one of a tag is kept, whatever its description."""

    mime: bytes
    type: int
    """What it shows: the numbers are those of `mutagen.id3.PictureType`."""
    data: bytes

    @property
    def HashKey(self) -> str:
        return f"{self.FrameID}:{id(self)}"

    @classmethod
    def _fromData(cls, header: Any, flags: int, data: bytes) -> Any:
        if _is_compressed(header, flags):
            _check_inflated(data, MAX_PICTURE_BYTES)
        return super()._fromData(header, flags, data)  # type: ignore[no-untyped-call]  # mutagen's

    def _readData(self, header: Any, body: bytes) -> None:
        try:
            self.mime, behind_mime = self._take_mime(body)
            self.type = body[behind_mime]
            self.data = body[_behind_text(body, behind_mime + 1) :]
        except (IndexError, ValueError):
            raise ID3JunkFrameError("damaged") from None

    def _take_mime(self, body: bytes) -> tuple[bytes, int]:
        end = body.index(b"\0", 1, _MAX_DESCRIPTION_BYTES)
        return body[1:end], end + 1


class _OldPictureFrame(_PictureFrame):
    """PIC, whose media type has three letters and no end."""

    def _take_mime(self, body: bytes) -> tuple[bytes, int]:
        return body[1:4], 4


def _behind_text(body: bytes, start: int) -> int:
    """Where the text that begins at `start` has ended; ValueError if nowhere near.

    Mutagen goes through UTF-16 byte by byte, here through a whole picture when the end is missing.
    """
    limit = start + _MAX_DESCRIPTION_BYTES
    if body[0] not in (1, 2):
        return body.index(b"\0", start, limit) + 1
    end = body.index(b"\0\0", start, limit)
    while (end - start) % 2:
        end = body.index(b"\0\0", end + 1, limit)
    return end + 2


class _SkippedFrame(Frame):
    """A frame whose content nobody looks at."""


class _CountedFrames(dict[str, Any]):
    """Frame classes that may be asked for only so often: mutagen copies the rest of a tag for each frame in it."""

    asked = 0

    def __getitem__(self, name: str) -> Any:
        self.asked += 1
        if self.asked > _MAX_FRAMES:
            raise UnreadableAudio("claims more frames in its tag than any file needs")
        return super().__getitem__(name)


_FRAMES: Final = _known_frames()


def known_frames() -> dict[str, Any]:
    """The `known_frames` for reading one tag with any of mutagen's classes."""
    return _CountedFrames(_FRAMES)


# Mutagen judges by the names that it knows how a tag's sizes are written, so it is told them all.
_PICTURE_FRAMES: Final = dict.fromkeys(_FRAMES, _SkippedFrame) | {"APIC": _PictureFrame, "PIC": _OldPictureFrame}


def picture_frames() -> dict[str, Any]:
    """The `known_frames` for reading the pictures of one tag: `mime`, `type` and `data` of what has `data`."""
    return _CountedFrames(_PICTURE_FRAMES)


def id3_options(frames: dict[str, Any]) -> dict[str, Any]:
    """How classes of mutagen's that insist on their own ID3 reader are told to read little."""
    return {"known_frames": frames, "translate": False, "load_v1": False}


class _TagBytes:
    """Bytes whose tails are not copied.

    Mutagen cuts every frame off the front of the tag, which copies a cover at its end as often as there are frames,
    and makes a tag of a million tiny frames take minutes.
    """

    __slots__ = ("_content", "_slices", "_start")

    def __init__(self, content: bytes, start: int = 0, slices: count[int] | None = None) -> None:
        self._content = content
        self._start = start
        self._slices = count() if slices is None else slices

    def __len__(self) -> int:
        return max(0, len(self._content) - self._start)

    def __getitem__(self, part: slice) -> bytes | _TagBytes:
        if next(self._slices) > _MAX_SLICES:
            raise UnreadableAudio("claims more frames in its tag than any file needs")
        start = self._start
        if part.stop is None:
            return _TagBytes(self._content, start + part.start, self._slices)
        return self._content[start + (part.start or 0) : start + part.stop]


class SmallID3(_ID3):  # type: ignore[misc]
    """Mutagen's ID3 tag, of which only the frames that Nomarr keeps are decoded.

    Its own ID3v1 is not read: APEv2 comes before that. A tag that mutagen refuses counts as none, so that the sound
    behind it is still read.
    """

    _frames = staticmethod(known_frames)

    def load(self, filething: Any, **options: Any) -> None:
        options |= id3_options(self._frames())
        try:
            super().load(filething, **options)
        except ID3NoHeaderError:
            raise
        except MutagenError as problem:
            if isinstance(filething, AudioFile) and filething.is_cut_short:
                raise UnreadableAudio("is cut short inside its tag") from None
            raise ID3NoHeaderError(str(problem)) from problem

    def _read(self, header: Any, content: Any) -> Any:
        # Mutagen hands the body of the tag over here. Undoing the unsynchronisation of a whole old tag needs real
        # bytes; if a later mutagen has no such method, everything is still read, only slower.
        whole_body_is_changed = header.f_unsynch and header.version < (2, 4, 0)
        if not whole_body_is_changed and len(content) > _LITTLE_TAG_BYTES:
            content = _TagBytes(content)
        return super()._read(header, content)

    def _add(self, frame: Any, strict: bool) -> None:
        # The same as mutagen's for a frame that is the first of its kind, which nearly all are.
        key = frame.HashKey
        if key in self:
            super()._add(frame, strict)
        else:
            self[key] = frame


class PictureID3(SmallID3):
    """The same, of which only the pictures are decoded."""

    _frames = staticmethod(picture_frames)


def take_id3(tags: Any, found: FoundTags) -> None:
    """Take over what an ID3 tag of mutagen's holds; `tags` may be None."""
    if tags is None:
        return
    found.lists_joined_by_slash = found.lists_joined_by_slash or tags.version[:2] == (2, 3)
    _take_frames(list(tags.values()), found)


def take_id3v1(block: bytes, found: FoundTags) -> None:
    """Complete `found` with the ID3v1 tag that the last 128 bytes of a file may be."""
    frames = _PARSE_ID3V1(block, known_frames=known_frames()) if block.startswith(b"TAG") else None
    if frames:
        old = FoundTags(found.format)
        _take_frames(frames.values(), old)
        found.complete_with(old)


def _take_frames(frames: Iterable[Any], found: FoundTags) -> None:
    volumes, old_dates = [], {}
    for frame in frames:
        name = frame.FrameID
        field = _TEXT_FIELDS.get(name)
        if field is not None:
            found.add(field, *frame.text)
        elif name == "TXXX":
            field = _USER_TEXT_FIELDS.get(frame.desc.strip().lower())
            if field is not None:
                found.add(field, *frame.text)
        elif name == "TCON":
            found.add("genre", *frame.genres)
        elif name == "COMM":
            _take_comment(frame, found)
        elif name == "APIC":
            found.has_cover = True
        elif name == "USLT":
            found.has_lyrics = found.has_lyrics or bool(frame.text)
        elif name == "SYLT":
            found.has_lyrics = True
        elif name == "UFID" and frame.owner == _MUSICBRAINZ_OWNER:
            found.values["musicbrainz_recording_id"] = [frame.data.decode("latin-1")]
        elif name == "RVA2" and frame.channel == _MASTER_VOLUME:
            volumes.append(frame)
        elif name in ("TYER", "TDAT"):
            old_dates[name] = frame.text
    for volume in volumes:
        if volume.desc.lower() in ("track", "album"):
            found.values.setdefault(f"replaygain_{volume.desc.lower()}_gain", [str(volume.gain)])
    if "date" not in found.values:
        _take_old_date(old_dates.get("TYER"), old_dates.get("TDAT"), found)


def _take_comment(frame: Any, found: FoundTags) -> None:
    # iTunes keeps its volume and gap tables in comments, MusicMatch its moods; none of it is for people.
    if not frame.desc.startswith(("iTun", "MusicMatch", "Songs-DB")):
        is_described = frame.desc.strip("\ufeff") not in ("", "ID3v1 Comment")
        found.add("description" if is_described else "comment", *frame.text)


def _take_old_date(years: list[str] | None, days: list[str] | None, found: FoundTags) -> None:
    """ID3v2.3 has the year in one frame, and the day and the month in another."""
    if years:
        year = years[0].strip("\ufeff \0")
        match = _DAY_AND_MONTH.match(days[0].strip("\ufeff \0")) if days else None
        found.add("date", f"{year}-{match[2]}-{match[1]}" if match and len(year) == 4 else year)
