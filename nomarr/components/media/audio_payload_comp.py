"""Where in a file its sound is: what stays the same, byte for byte, when tags, covers and padding change.

Only headers are read; each table of sizes is believed as far as the file goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from nomarr.components.media.audio_file_comp import AudioFile, UnreadableAudio
from nomarr.components.media.audio_format_comp import HEAD_BYTES, end_of_id3, magic_of, what_it_is_not
from nomarr.components.media.audio_frames_comp import first_frame
from nomarr.components.media.ebml_comp import CLUSTER, SEGMENT, EbmlReader
from nomarr.components.media.ogg_pages_comp import end_of_headers
from nomarr.components.media.trailing_tags_comp import end_of_sound

__all__ = ["ByteRange", "Payload", "find_payload"]

_UNKNOWN_SIZE: Final = 0xFFFFFFFF
_ASF_DATA: Final = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_ASF_DATA_HEADER_BYTES: Final = 26
"""File id, number of packets and two reserved bytes, behind the object's own 24."""

_SSND_HEADER_BYTES: Final = 8
"""Offset and block size, before the samples of an AIFF file."""


class ByteRange(NamedTuple):
    """Some bytes of a file: from `start`, up to but without `end`."""

    start: int
    end: int


class _Box(NamedTuple):
    """A named part of a file, as nearly all containers have them."""

    name: bytes
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class Payload:
    """The sound of one file: its ranges, in their order, are one row of bytes."""

    ranges: tuple[ByteRange, ...]
    is_ogg: bool = False
    """True if it consists of Ogg pages, whose numbers and checksums are not sound."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(end - start for start, end in self.ranges)

    def part(self, offset: int, length: int) -> Iterator[ByteRange]:
        """Where in the file `length` bytes are that begin `offset` bytes behind the beginning of the sound."""
        for start, end in self.ranges:
            first = start + max(0, offset)
            last = min(end, start + offset + length)
            if first < last:
                yield ByteRange(first, last)
            offset -= end - start


def find_payload(audio: AudioFile) -> Payload:
    """The payload of a file, never an empty one.

    What the file is say its first bytes: its name does not count, so that a renamed file keeps its payload. Raises
    UnreadableAudio if it holds no sound, and OSError.
    """
    if audio.size == 0:
        raise UnreadableAudio("is empty")
    start = end_of_id3(audio)
    if start >= audio.size:
        raise UnreadableAudio("is cut short: it holds a tag and no audio")
    format_name = magic_of(audio.read_at(start, HEAD_BYTES))
    ranges = _FINDERS.get(format_name or "", _frames)(audio, start)
    held = tuple(ByteRange(first, min(last, audio.size)) for first, last in ranges if first < min(last, audio.size))
    if not held:
        raise UnreadableAudio("is cut short: it holds no sound")
    return Payload(held, is_ogg=format_name == "ogg")


def _frames(audio: AudioFile, start: int) -> Iterable[ByteRange]:
    """MPEG audio and AAC; the first frame has to be found when there is padding or rubbish before it."""
    end = end_of_sound(audio, start)
    head = audio.read_at(start, HEAD_BYTES)
    first = start if head.startswith(b"ADIF") else first_frame(audio, start, end)
    if first is None:
        raise UnreadableAudio(what_it_is_not(None, head))
    return [ByteRange(first, end)]


def _whole_stream(audio: AudioFile, start: int) -> Iterable[ByteRange]:
    """Formats whose own headers hold nothing that a tag edit changes."""
    return [ByteRange(start, end_of_sound(audio, start))]


def _flac(audio: AudioFile, start: int) -> Iterable[ByteRange]:
    """STREAMINFO and the frames. The former holds an MD5 of the decoded sound, so a part of the frames is enough."""
    at, is_last = start + 4, False
    stream_info: list[ByteRange] = []
    while not is_last:
        header = audio.read_at(at, 4)
        if len(header) < 4:
            raise UnreadableAudio("is cut short: it holds no sound")
        is_last, kind = bool(header[0] & 0x80), header[0] & 0x7F
        body, at = at + 4, at + 4 + int.from_bytes(header[1:], "big")
        if kind == 0 and not stream_info:
            stream_info.append(ByteRange(body, at))
    if at >= audio.size:
        raise UnreadableAudio("is cut short: it holds no sound")
    return [*stream_info, ByteRange(at, end_of_sound(audio, at))]


def _ogg(audio: AudioFile, start: int) -> Iterable[ByteRange]:
    sound = end_of_headers(audio, start)
    return [ByteRange(sound, end_of_sound(audio, sound))]


def _mp4(audio: AudioFile, start: int) -> Iterable[ByteRange]:
    """Every `mdat`: fragmented files have one a fragment."""
    return _bodies(_atoms(audio, start), b"mdat")


def _wav(audio: AudioFile, start: int) -> Iterable[ByteRange]:
    return _first_body(_riff_chunks(audio, start), b"data")


def _aiff(audio: AudioFile, start: int) -> Iterable[ByteRange]:
    return _first_body(_chunks(audio, start + 12, "big"), b"SSND", _SSND_HEADER_BYTES)


def _dsf(audio: AudioFile, start: int) -> Iterable[ByteRange]:
    return _first_body(_counted_boxes(audio, start, name_bytes=4), b"data")


def _asf(audio: AudioFile, start: int) -> Iterable[ByteRange]:
    """The packets of the data object. Its header is left out: the file id in it is part of the file's header, too."""
    return _first_body(_counted_boxes(audio, start, name_bytes=16), _ASF_DATA, _ASF_DATA_HEADER_BYTES)


def _matroska(audio: AudioFile, start: int) -> Iterable[ByteRange]:
    """The clusters of all segments."""
    reader = EbmlReader(audio)
    segments = [element for element in reader.children(start, audio.size) if element.id == SEGMENT]
    clusters = (c for segment in segments for c in reader.children(segment.start, segment.end) if c.id == CLUSTER)
    return [ByteRange(cluster.start, cluster.end) for cluster in clusters]


def _bodies(boxes: Iterable[_Box], name: bytes) -> list[ByteRange]:
    return [ByteRange(box.body, box.end) for box in boxes if box.name == name]


def _first_body(boxes: Iterable[_Box], name: bytes, skipped: int = 0) -> list[ByteRange]:
    return next(([ByteRange(box.body + skipped, box.end)] for box in boxes if box.name == name), [])


def _atoms(audio: AudioFile, at: int) -> Iterator[_Box]:
    """MP4 (ISO 14496-12, 4.2): a size of one says that 64 bits follow, of zero that the atom is the last."""
    while len(header := audio.read_at(at, 16)) >= 8:
        size, name, header_bytes = int.from_bytes(header[:4], "big"), header[4:8], 8
        if size == 1:
            size, header_bytes = int.from_bytes(header[8:], "big"), 16
        elif size == 0:
            size = audio.size - at
        if size < header_bytes:
            return
        yield _Box(name, at + header_bytes, at + size)
        at += size


def _chunks(audio: AudioFile, at: int, byte_order: Literal["big", "little"]) -> Iterator[_Box]:
    """IFF: four letters, a size of the body, the body, and a byte where that makes it even."""
    while len(header := audio.read_at(at, 8)) == 8:
        size = int.from_bytes(header[4:], byte_order)
        yield _Box(header[:4], at + 8, at + 8 + size)
        at += 8 + size + size % 2


def _riff_chunks(audio: AudioFile, start: int) -> Iterator[_Box]:
    """RF64 and BW64 (EBU Tech 3306) keep the size of `data` in `ds64`, behind that of the file."""
    large_size = 0
    for chunk in _chunks(audio, start + 12, "little"):
        if chunk.name == b"ds64":
            large_size = int.from_bytes(audio.read_at(chunk.body + 8, 8), "little")
        is_large = chunk.end - chunk.body == _UNKNOWN_SIZE and large_size > 0
        yield chunk._replace(end=chunk.body + large_size) if is_large else chunk


def _counted_boxes(audio: AudioFile, at: int, name_bytes: int) -> Iterator[_Box]:
    """DSF and ASF: a name and a 64-bit size that counts itself and the name; ASF's live streams say zero."""
    header_bytes = name_bytes + 8
    while len(header := audio.read_at(at, header_bytes)) == header_bytes:
        size = int.from_bytes(header[name_bytes:], "little") or audio.size - at
        if size < header_bytes:
            return
        yield _Box(header[:name_bytes], at + header_bytes, at + size)
        at += size


_FINDERS: Final[dict[str, Callable[[AudioFile, int], Iterable[ByteRange]]]] = {
    "flac": _flac,
    "ogg": _ogg,
    "mp4": _mp4,
    "wav": _wav,
    "aiff": _aiff,
    "dsf": _dsf,
    "asf": _asf,
    "matroska": _matroska,
    "ape": _whole_stream,
    "wavpack": _whole_stream,
    "musepack": _whole_stream,
    "trueaudio": _whole_stream,
}
"""Format to the function that finds the sound behind leading ID3v2 tags; what is not here consists of frames."""
