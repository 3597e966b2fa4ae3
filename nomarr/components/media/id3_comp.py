"""ID3v1, v2.2, v2.3 and v2.4 tags.

Mutagen decodes every frame into an object, a cover of 100 KB included, which takes most of the time of a scan of MP3
files. This reader looks at the frames that Nomarr keeps, and steps over the rest.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from mutagen.id3 import TCON

from .audio_file_comp import MAX_TEXT_BYTES, AudioFile, UnreadableAudio
from .found_tags_comp import FoundTags

__all__ = ["end_of_id3", "read_id3_at", "read_id3v1", "read_id3v2"]

HEADER_BYTES: Final = 10
# Mutagen's annotations stop at its constructors.
_GENRE_FRAME: Final[Any] = TCON
_MAX_INFLATED_BYTES: Final = 256 << 10
_MAX_FRAMES: Final = 2_000
_MAX_STRINGS: Final = 1_000

_TEXT_FIELDS: Final = {
    b"TIT2": "title",
    b"TPE1": "artist",
    b"TALB": "album",
    b"TPE2": "albumartist",
    b"TRCK": "track",
    b"TPOS": "disc",
    b"TDRC": "date",
    b"TDOR": "original_date",
    b"TORY": "original_date",
    b"TDRL": "original_date",
    b"TCON": "genre",
    b"TCOM": "composer",
    b"TCMP": "compilation",
    b"TYER": "_year",
    b"TDAT": "_day_and_month",
}
# Picard's names: https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html
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
_SHORT_IDS: Final = {
    b"TT2": b"TIT2",
    b"TP1": b"TPE1",
    b"TAL": b"TALB",
    b"TP2": b"TPE2",
    b"TRK": b"TRCK",
    b"TPA": b"TPOS",
    b"TYE": b"TYER",
    b"TDA": b"TDAT",
    b"TOR": b"TORY",
    b"TCO": b"TCON",
    b"TCM": b"TCOM",
    b"TCP": b"TCMP",
    b"TXX": b"TXXX",
    b"COM": b"COMM",
    b"UFI": b"UFID",
    b"ULT": b"USLT",
    b"SLT": b"SYLT",
    b"PIC": b"APIC",
}
_OTHER_IDS: Final = frozenset((b"TXXX", b"COMM", b"UFID", b"USLT", b"SYLT", b"APIC", b"RVA2"))
_KNOWN_IDS: Final = frozenset(_TEXT_FIELDS) | _OTHER_IDS
_ENCODINGS: Final = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_FRAME_ID = re.compile(rb"[A-Z][A-Z0-9]{2}[A-Z0-9 \0]")
_CODED_GENRE = re.compile(r"\(|\d+\s*$|(?:RX|CR)$")
_DAY_AND_MONTH = re.compile(r"(\d{2})(\d{2})$")
_MUSICBRAINZ_OWNER: Final = b"http://musicbrainz.org"
_MASTER_VOLUME: Final = 1


class Frame(NamedTuple):
    """One frame: its four letters, its flags and where its body lies in the tag."""

    name: bytes
    flags: int
    start: int
    end: int


def end_of_id3(audio: AudioFile, offset: int = 0) -> int:
    """Where the ID3v2 tags that begin at `offset` end; `offset` itself if there is none.

    Windows Media Player stacks several tags.
    """
    for _ in range(8):
        size = _claimed_size(audio.read_at(offset, HEADER_BYTES))
        if not size:
            break
        offset += size
    return offset


def read_id3_at(audio: AudioFile, offset: int, found: FoundTags) -> None:
    """Read the ID3v2 tag at `offset` into `found`; nothing happens if there is none."""
    size = _claimed_size(audio.read_at(offset, HEADER_BYTES))
    if size:
        if offset + size > audio.size:
            raise UnreadableAudio("is cut short inside its tag")
        read_id3v2(audio.read_exactly(offset, size), found)


def read_id3v2(block: bytes, found: FoundTags) -> None:
    """Read one whole ID3v2 tag, header included, into `found`. Damaged frames are left out."""
    version, flags = block[3], block[5]
    body = block[HEADER_BYTES : _claimed_size(block)]
    if flags & 0x80 and version < 4:
        body = _without_unsynchronisation(body)
    if flags & 0x40:
        body = _without_extended_header(body, version)
    found.lists_joined_by_slash = version == 3
    for frame in _frames(body, version):
        if frame.name == b"APIC":
            found.has_cover = True
        elif frame.name in _KNOWN_IDS:
            _read_frame(
                body[frame.start : min(frame.end, frame.start + MAX_TEXT_BYTES)],
                frame,
                version,
                bool(flags & 0x80),
                found,
            )
    _combine_year_and_day(found)


def read_id3v1(block: bytes, found: FoundTags) -> None:
    """Read the last 128 bytes of a file into `found` if they are an ID3v1 tag."""
    if len(block) != 128 or not block.startswith(b"TAG"):
        return
    for name, start, end in (
        ("title", 3, 33), ("artist", 33, 63), ("album", 63, 93), ("date", 93, 97), ("comment", 97, 127),
    ):  # fmt: skip
        if text := block[start:end].split(b"\0")[0].decode("latin-1").strip():
            found.add(name, text)
    if block[125] == 0 and block[126]:
        found.add("track", str(block[126]))
    if block[127] < len(TCON.GENRES):
        found.add("genre", TCON.GENRES[block[127]])


def _claimed_size(header: bytes) -> int:
    """Size of the tag with header and footer, 0 if this is no tag."""
    if len(header) < HEADER_BYTES or header[:3] != b"ID3" or not 2 <= header[3] <= 4:
        return 0
    footer = HEADER_BYTES if header[3] == 4 and header[5] & 0x10 else 0
    return HEADER_BYTES + _syncsafe(header[6:10]) + footer


def _syncsafe(four: bytes) -> int:
    return (four[0] & 0x7F) << 21 | (four[1] & 0x7F) << 14 | (four[2] & 0x7F) << 7 | four[3] & 0x7F


def _without_unsynchronisation(body: bytes) -> bytes:
    return body.replace(b"\xff\0", b"\xff")


def _without_extended_header(body: bytes, version: int) -> bytes:
    # Some taggers set the flag and write no extended header; then frames follow at once.
    if len(body) < 4 or _FRAME_ID.match(body):
        return body
    return body[_syncsafe(body) :] if version == 4 else body[int.from_bytes(body[:4], "big") + 4 :]


def _frames(body: bytes, version: int) -> list[Frame]:
    if version == 2:
        return list(islice(_short_frames(body), _MAX_FRAMES))
    frames = list(islice(_long_frames(body, syncsafe=version == 4), _MAX_FRAMES))
    if version == 4 and not _end_well(frames, body):
        # iTunes wrote v2.4 with plain sizes: the reading that arrives at the padding is the right one.
        plain = list(islice(_long_frames(body, syncsafe=False), _MAX_FRAMES))
        if _end_well(plain, body):
            return plain
    return frames


def _end_well(frames: list[Frame], body: bytes) -> bool:
    end = frames[-1].end if frames else 0
    return len(body) - HEADER_BYTES <= end <= len(body) or body[end : end + 1] == b"\0"


def _long_frames(body: bytes, *, syncsafe: bool) -> Iterator[Frame]:
    position, end = 0, len(body)
    while position + HEADER_BYTES < end:
        name = body[position : position + 4]
        if name not in _KNOWN_IDS and not _FRAME_ID.match(name):
            return
        size = (
            _syncsafe(body[position + 4 : position + 8])
            if syncsafe
            else int.from_bytes(body[position + 4 : position + 8], "big")
        )
        start = position + HEADER_BYTES
        position = start + size
        # Some writers put v2.2 names, filled up with a NUL, into v2.3 tags.
        yield Frame(_SHORT_IDS.get(name[:3], name) if name[3] == 0 else name, body[start - 1], start, position)


def _short_frames(body: bytes) -> Iterator[Frame]:
    position, end = 0, len(body)
    while position + 6 < end and body[position]:
        name = body[position : position + 3]
        start = position + 6
        position = start + int.from_bytes(body[position + 3 : start], "big")
        yield Frame(_SHORT_IDS.get(name, name), 0, start, position)


def _read_frame(body: bytes, frame: Frame, version: int, unsynchronised: bool, found: FoundTags) -> None:
    name = frame.name
    if frame.flags or (unsynchronised and version == 4):
        body = _plain_body(body, frame.flags, version, unsynchronised)
    if not body:
        return
    field = _TEXT_FIELDS.get(name)
    if field is not None:
        texts = _strings(body[0], body[1:])
        found.add(field, *(_genres(texts) if field == "genre" else texts))
    elif name == b"TXXX":
        described, *texts = _strings(body[0], body[1:])
        user_field = _USER_TEXT_FIELDS.get(described.strip().lower())
        if user_field is not None:
            found.add(user_field, *texts)
    elif name == b"COMM":
        _read_comment(body, found)
    elif name == b"UFID":
        owner, _, identifier = body.partition(b"\0")
        if owner == _MUSICBRAINZ_OWNER:
            found.values["musicbrainz_recording_id"] = [identifier.decode("latin-1")]
    elif name == b"USLT":
        found.has_lyrics = found.has_lyrics or any(_strings(body[0], body[4:])[1:])
    elif name == b"SYLT":
        found.has_lyrics = True
    elif name == b"RVA2":
        _read_relative_volume(body, found)


def _plain_body(body: bytes, flags: int, version: int, unsynchronised: bool) -> bytes:
    """Undo what the frame's flags say was done to it; empty if that is not possible."""
    if version == 3:
        compressed, encrypted, grouped, length_given = flags & 0x80, flags & 0x40, flags & 0x20, flags & 0x80
    else:
        compressed, encrypted, grouped, length_given = flags & 0x08, flags & 0x04, flags & 0x40, flags & 0x01
    if encrypted:
        return b""
    # v2.3 puts the length before the group, v2.4 behind it; neither is of use here.
    body = body[(4 if length_given else 0) + (1 if grouped else 0) :]
    if version == 4 and (unsynchronised or flags & 0x02):
        body = _without_unsynchronisation(body)
    if compressed:
        try:
            return zlib.decompressobj().decompress(body, _MAX_INFLATED_BYTES)
        except zlib.error:
            return b""
    return body


def _strings(encoding: int, text: bytes) -> list[str]:
    """The NUL-separated strings of a frame body; always at least one."""
    if encoding >= len(_ENCODINGS):
        return [""]
    if encoding == 1 and text[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return text.decode("utf-16-le", "replace").split("\0", _MAX_STRINGS)
    return text.decode(_ENCODINGS[encoding], "replace").split("\0", _MAX_STRINGS)


def _genres(texts: list[str]) -> list[str]:
    if not any(_CODED_GENRE.match(text) for text in texts):
        return texts
    return list(_GENRE_FRAME(encoding=3, text=texts).genres)


def _read_comment(body: bytes, found: FoundTags) -> None:
    described, *texts = _strings(body[0], body[4:])
    # iTunes keeps its volume and gap tables in comments, MusicMatch its moods; none of it is for people.
    if described.startswith(("iTun", "MusicMatch", "Songs-DB")):
        return
    found.add("description" if described.strip("\ufeff") else "comment", *texts)


def _read_relative_volume(body: bytes, found: FoundTags) -> None:
    scope, _, channel = body.partition(b"\0")
    name = scope.decode("latin-1").lower()
    if name in ("track", "album") and len(channel) >= 3 and channel[0] == _MASTER_VOLUME:
        (steps,) = struct.unpack_from(">h", channel, 1)
        found.values.setdefault(f"replaygain_{name}_gain", [str(steps / 512)])


def _combine_year_and_day(found: FoundTags) -> None:
    years, days = found.values.pop("_year", None), found.values.pop("_day_and_month", None)
    if not years or "date" in found.values:
        return
    match = _DAY_AND_MONTH.match(days[0].strip("\ufeff \0")) if days else None
    year = years[0].strip("\ufeff \0")
    found.values["date"] = [f"{year}-{match[2]}-{match[1]}" if match and len(year) == 4 else year]
