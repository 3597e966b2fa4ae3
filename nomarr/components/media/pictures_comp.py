"""The pictures inside audio files: for each format, how mutagen's answer becomes `EmbeddedPicture`s."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from mutagen import MutagenError
from mutagen.aiff import AIFF
from mutagen.apev2 import APEBinaryValue, APENoHeaderError, APEv2
from mutagen.asf import ASF
from mutagen.dsf import DSF
from mutagen.flac import Picture
from mutagen.id3 import ID3NoHeaderError, PictureType
from mutagen.wave import WAVE

from nomarr.components.media.audio_file_comp import MAX_PICTURE_BYTES, AudioFile
from nomarr.components.media.containers_comp import open_flac, open_mp4, open_ogg
from nomarr.components.media.id3_comp import PictureID3, id3_options, picture_frames
from nomarr.components.media.matroska_comp import attached_pictures

__all__ = ["FRONT_COVER", "PICTURE_READERS", "EmbeddedPicture"]

FRONT_COVER: Final = int(PictureType.COVER_FRONT)
_OTHER: Final = int(PictureType.OTHER)
_LINKS: Final = ("-->", b"-->")
"""The media type of a picture that is only the address of one."""

_MAX_BASE64: Final = MAX_PICTURE_BYTES * 3 // 2
# Mutagen's annotations stop at its constructors.
_AIFF: Final[Any] = AIFF
_APEV2: Final[Any] = APEv2
_ASF: Final[Any] = ASF
_DSF: Final[Any] = DSF
_PICTURE: Final[Any] = Picture
_WAVE: Final[Any] = WAVE


@dataclass(frozen=True, slots=True)
class EmbeddedPicture:
    """One picture of a file, not looked into."""

    kind: int
    """What it shows, by the numbers of ID3 and FLAC; formats without kinds mean the front."""
    content: bytes


def _in_id3(tags: Any) -> Iterator[EmbeddedPicture]:
    """The pictures of a tag that was read with `picture_frames`; `tags` may be None."""
    for frame in (tags or {}).values():
        if hasattr(frame, "data") and frame.mime not in _LINKS:
            yield EmbeddedPicture(frame.type, frame.data)


def _in_flac_blocks(blocks: list[Any]) -> Iterator[EmbeddedPicture]:
    for block in blocks:
        if block.mime not in _LINKS:
            yield EmbeddedPicture(block.type, block.data)


def _in_vorbis(tags: Any) -> Iterator[EmbeddedPicture]:
    """The pictures in Vorbis comments, the old way last; one that is damaged counts for none. `tags` may be None."""
    texts = [(key.lower(), value) for key, value in tags or () if len(value) <= _MAX_BASE64]
    for text in (value for key, value in texts if key == "metadata_block_picture"):
        with suppress(MutagenError, ValueError, struct.error):
            yield from _in_flac_blocks([_PICTURE(base64.b64decode(text))])
    for text in (value for key, value in texts if key == "coverart"):
        with suppress(binascii.Error):
            yield EmbeddedPicture(FRONT_COVER, base64.b64decode(text))


def _in_apev2(tags: Any) -> Iterator[EmbeddedPicture]:
    for key, value in tags.items():
        if key.lower().startswith("cover art") and isinstance(value, APEBinaryValue):
            kind = FRONT_COVER if "front" in key.lower() else _OTHER
            _, _, content = bytes(value.value or b"").partition(b"\0")  # a file name comes first
            yield EmbeddedPicture(kind, content)


def _in_asf(tags: Any) -> Iterator[EmbeddedPicture]:
    """The layout is that of WM_PICTURE, https://learn.microsoft.com/windows/win32/wmformat/wm-picture."""
    for name, attribute in tags:
        if name.lower() == "wm/picture" and isinstance(attribute.value, bytes):
            with suppress(struct.error):
                kind, length = struct.unpack_from("<BI", attribute.value)
                # Media type and description come before it; the picture ends the attribute.
                yield EmbeddedPicture(kind, attribute.value[max(5, len(attribute.value) - length) :])


def _read_id3_and_apev2(audio: AudioFile) -> Iterator[EmbeddedPicture]:
    """Streams that are no container: ID3v2 before them, APEv2 behind them, or both."""
    if audio.read_at(0, 3) == b"ID3":
        audio.seek(0)
        with suppress(ID3NoHeaderError):
            yield from _in_id3(PictureID3(audio))
    audio.seek(0)
    with suppress(APENoHeaderError):
        yield from _in_apev2(_APEV2(audio))


def _read_flac(audio: AudioFile) -> Iterator[EmbeddedPicture]:
    flac = open_flac(audio)
    yield from _in_flac_blocks(flac.pictures)
    yield from _in_vorbis(flac.tags)


def _read_ogg(audio: AudioFile) -> Iterator[EmbeddedPicture]:
    return _in_vorbis(open_ogg(audio).tags)


def _read_mp4(audio: AudioFile) -> Iterator[EmbeddedPicture]:
    for cover in (open_mp4(audio).tags or {}).get("covr", ()):
        yield EmbeddedPicture(FRONT_COVER, bytes(cover))


def _read_asf(audio: AudioFile) -> Iterator[EmbeddedPicture]:
    return _in_asf(_ASF(audio).tags)


def _read_matroska(audio: AudioFile) -> Iterator[EmbeddedPicture]:
    """The names are those of https://www.matroska.org/technical/attachments.html; `small_cover` and others are not."""
    for name, content in attached_pictures(audio):
        yield EmbeddedPicture(FRONT_COVER if name.lower().startswith("cover.") else _OTHER, content)


def _reader_of_id3_in(kind: Any) -> Callable[[AudioFile], Iterator[EmbeddedPicture]]:
    def read(audio: AudioFile) -> Iterator[EmbeddedPicture]:
        return _in_id3(kind(audio, **id3_options(picture_frames())).tags)

    return read


PICTURE_READERS: Final[dict[str, Callable[[AudioFile], Iterator[EmbeddedPicture]]]] = {
    "mp3": _read_id3_and_apev2,
    "flac": _read_flac,
    "wav": _reader_of_id3_in(_WAVE),
    "aiff": _reader_of_id3_in(_AIFF),
    "ogg": _read_ogg,
    "opus": _read_ogg,
    "mp4": _read_mp4,
    "aac": _read_id3_and_apev2,
    "asf": _read_asf,
    "ape": _read_id3_and_apev2,
    "wavpack": _read_id3_and_apev2,
    "musepack": _read_id3_and_apev2,
    "dsf": _reader_of_id3_in(_DSF),
    "trueaudio": _read_id3_and_apev2,
    "matroska": _read_matroska,
}
"""Format to the function that finds the pictures in a file of it, from the beginning of the file."""
