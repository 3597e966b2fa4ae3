"""One function for each format: mutagen's class reads the file, here its answer becomes `FoundTags`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from mutagen import FileType, MutagenError
from mutagen.aac import AAC, AACError
from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2
from mutagen.asf import ASF
from mutagen.dsf import DSF
from mutagen.flac import FLAC, CueSheet, SeekTable, VCFLACDict
from mutagen.id3 import ID3NoHeaderError
from mutagen.monkeysaudio import MonkeysAudio
from mutagen.mp3 import MP3, HeaderNotFoundError
from mutagen.mp4 import MP4, MP4Tags
from mutagen.musepack import Musepack
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggtheora import OggTheora
from mutagen.oggvorbis import OggVorbis
from mutagen.trueaudio import TrueAudio
from mutagen.wave import WAVE
from mutagen.wavpack import WavPack

from nomarr.components.media.audio_file_comp import AudioFile, NoAudioFound, UnreadableAudio
from nomarr.components.media.found_tags_comp import FoundTags
from nomarr.components.media.id3_comp import SmallID3, id3_options, known_frames, take_id3, take_id3v1
from nomarr.components.media.matroska_comp import read_matroska
from nomarr.components.media.named_tags_comp import take_apev2, take_asf, take_mp4, take_vorbis

__all__ = ["READERS", "open_flac", "open_mp4", "open_ogg"]

_FOOTER_BYTES: Final = 32
_ID3V1_BYTES: Final = 128
_PLAIN_WAV: Final = (1, 3, 0xFFFE)
"""PCM, floating point, and the extensible format, which is one of both."""
_LOSSLESS_MP4: Final = ("alac", "fLaC", "lpcm", "sowt", "twos", "in24", "in32")
_OGG_HEAD_BYTES: Final = 4096
_COMMENT_BYTES: Final = 8192
_UINT32: Final = struct.Struct("<I")
# Mutagen's annotations stop at its constructors.
_AAC: Final[Any] = AAC
_AIFF: Final[Any] = AIFF
_APEV2: Final[Any] = APEv2
_ASF: Final[Any] = ASF
_COMMENTS: Final[Any] = VCFLACDict
_DSF: Final[Any] = DSF
_MP3: Final[Any] = MP3
_MP4_TAGS: Final[Any] = MP4Tags
_TRUE_AUDIO: Final[Any] = TrueAudio
_WAVE: Final[Any] = WAVE


class _SoundFirst(FileType):
    """A class of mutagen's that reads the sound before the tags, and keeps it when the tags are damaged."""

    def load(self, *args: Any, **options: Any) -> None:
        try:
            super().load(*args, **options)
        except (MutagenError, UnreadableAudio):
            if self.info is None:
                raise


def _sound_first(kind: type[FileType]) -> Any:
    return type(kind.__name__, (_SoundFirst, kind), {})


class _QuickComments(_COMMENTS):  # type: ignore[misc]
    """Vorbis comments that are parsed in memory, which is cheaper than a hundred little reads from the file.

    As in mutagen, their own lengths say where they end, whatever the block claims.
    """

    def load(self, source: Any, *args: Any, **options: Any) -> None:
        start = source.tell()
        block = source.tryread(_COMMENT_BYTES)
        try:
            end = self._take(block)
        except (struct.error, ValueError):
            end = len(block)
        if end < len(block):
            source.seek(start + end)
            return
        # Longer than that, at the end of the file, or damaged.
        self.clear()
        source.seek(start)
        super().load(source, *args, **options)

    def _take(self, block: bytes) -> int:
        """Where the comments end; struct.error or ValueError if mutagen has to look at them."""
        length: int
        (length,) = _UINT32.unpack_from(block)
        (count,) = _UINT32.unpack_from(block, 4 + length)
        end = 8 + length
        for _ in range(count):
            (length,) = _UINT32.unpack_from(block, end)
            start, end = end + 4, end + 4 + length
            name, value = block[start:end].decode("utf-8", "replace").split("=", 1)
            self.append((name, value))
        return end


class _LeanFLAC(FLAC):
    """Seek tables become thousands of objects, and nobody looks at them or at cue sheets."""

    METADATA_BLOCKS = [  # noqa: RUF012 - mutagen's own form
        _QuickComments if kind is VCFLACDict else None if kind in (SeekTable, CueSheet) else kind
        for kind in FLAC.METADATA_BLOCKS
    ]


class _ReadMP4Tags(_MP4_TAGS):  # type: ignore[misc]
    """Mutagen checks each value by writing it; what was read from a file need not be writable."""

    def __setitem__(self, key: str, value: Any) -> None:
        super(_MP4_TAGS, self).__setitem__(key, value)


class _LeanMP4(MP4):
    MP4Tags = _ReadMP4Tags


_FLAC: Final[Any] = _LeanFLAC
_MP4: Final[Any] = _LeanMP4
_MONKEYS_AUDIO, _MUSEPACK, _WAVPACK = map(_sound_first, (MonkeysAudio, Musepack, WavPack))
# A stream that was cut off has no last page: mutagen then goes through all pages for the length, which may be too many.
_OGG_CLASSES: Final = tuple(map(_sound_first, (OggVorbis, OggOpus, OggFLAC, OggSpeex, OggTheora)))


def open_flac(audio: AudioFile) -> Any:
    """Mutagen's answer for a FLAC file, read from its beginning."""
    return _FLAC(audio)


def open_mp4(audio: AudioFile) -> Any:
    """Mutagen's answer for an MP4 file, read from its beginning."""
    return _MP4(audio)


def open_ogg(audio: AudioFile) -> Any:
    """Mutagen's answer for the first audio stream: Vorbis, Opus, FLAC or Speex; Theora if there is nothing else."""
    # The first pages of all streams come before any other page.
    head = audio.read_at(0, _OGG_HEAD_BYTES)
    kind = next((kind for kind in _OGG_CLASSES if kind.score("", audio, head) > 0), None)
    if kind is None:
        raise UnreadableAudio("is an Ogg file without a known audio stream")
    audio.seek(0)
    return kind(audio)


def _found(format_name: str, info: Any) -> FoundTags:
    return FoundTags(
        format_name,
        duration_seconds=info.length,
        bitrate=getattr(info, "bitrate", None),
        sample_rate=getattr(info, "sample_rate", None),
        channels=getattr(info, "channels", None),
        bit_depth=getattr(info, "bits_per_sample", None),
    )


def _read_mp3(audio: AudioFile) -> FoundTags:
    """ID3v2 first, then what APEv2 and ID3v1 add."""
    try:
        mp3 = _MP3(audio, ID3=SmallID3)
    except HeaderNotFoundError:
        raise NoAudioFound("holds no MPEG audio") from None
    found = _found("mp3", mp3.info)
    take_id3(mp3.tags, found)
    _take_trailing_tags(audio, found)
    return found


def _read_aac(audio: AudioFile) -> FoundTags:
    """The length is an estimate."""
    try:
        info = _AAC(audio).info
    except AACError:
        raise NoAudioFound("holds no AAC audio") from None
    found = _found("aac", info)
    _take_leading_id3(audio, found)
    _take_trailing_tags(audio, found)
    return found


def _read_flac(audio: AudioFile) -> FoundTags:
    flac = open_flac(audio)
    found = _found("flac", flac.info)
    take_vorbis(flac.tags, found)
    found.has_cover = found.has_cover or bool(flac.pictures)
    return found


def _read_ogg(audio: AudioFile) -> FoundTags:
    ogg = open_ogg(audio)
    is_opus = isinstance(ogg, OggOpus)
    found = _found("opus" if is_opus else "ogg", ogg.info)
    if is_opus:
        # RFC 7845: Opus always decodes to this.
        found.sample_rate = 48_000
    found.audio_bytes = audio.size
    take_vorbis(ogg.tags, found)
    return found


def _read_mp4(audio: AudioFile) -> FoundTags:
    mp4 = open_mp4(audio)
    found = _found("mp4", mp4.info)
    if not mp4.info.codec.startswith(_LOSSLESS_MP4):
        # For lossy codecs the field says 16 and means nothing.
        found.bit_depth = None
    found.audio_bytes = audio.size
    take_mp4(mp4.tags, found)
    return found


def _read_wav(audio: AudioFile) -> FoundTags:
    wave = _WAVE(audio, **id3_options(known_frames()))
    found = _found("wav", wave.info)
    if wave.info.audio_format not in _PLAIN_WAV:
        _correct_compressed_wav(audio, found)
    elif wave.info.bitrate > 0:
        # Recorders that could not seek back claim 4 GB of samples.
        found.duration_seconds = min(wave.info.length, audio.size * 8 / wave.info.bitrate)
    take_id3(wave.tags, found)
    return found


def _correct_compressed_wav(audio: AudioFile, found: FoundTags) -> None:
    """Mutagen counts samples, which a WAV file with MP3 or ADPCM in it does not have; its header has a byte rate."""
    found.duration_seconds = found.bitrate = found.bit_depth = None
    header = audio.read_at(0, 32)
    if header[12:16] == b"fmt ":
        found.bitrate = struct.unpack_from("<I", header, 28)[0] * 8
    if found.bitrate:
        found.duration_seconds = audio.size * 8 / found.bitrate


def _read_aiff(audio: AudioFile) -> FoundTags:
    aiff = _AIFF(audio, **id3_options(known_frames()))
    found = _found("aiff", aiff.info)
    take_id3(aiff.tags, found)
    return found


def _read_dsf(audio: AudioFile) -> FoundTags:
    dsf = _DSF(audio, **id3_options(known_frames()))
    found = _found("dsf", dsf.info)
    take_id3(dsf.tags, found)
    return found


def _read_true_audio(audio: AudioFile) -> FoundTags:
    tta = _TRUE_AUDIO(audio, ID3=SmallID3)
    found = _found("trueaudio", tta.info)
    # Mutagen leaves these two out.
    header = audio.read_at(tta.tags.size if tta.tags else 0, 10)
    found.channels, found.bit_depth = struct.unpack_from("<HH", header, 6)
    found.audio_bytes = audio.size
    take_id3(tta.tags, found)
    _take_trailing_tags(audio, found)
    return found


def _read_monkeys_audio(audio: AudioFile) -> FoundTags:
    return _read_apev2_file(_MONKEYS_AUDIO(audio), "ape", audio)


def _read_wavpack(audio: AudioFile) -> FoundTags:
    found = _read_apev2_file(_WAVPACK(audio), "wavpack", audio)
    # Mutagen says True for mono.
    found.channels = int(found.channels or 0)
    return found


def _read_musepack(audio: AudioFile) -> FoundTags:
    """Stream version 7 or 8; its own gains count where the tags hold none."""
    musepack = _MUSEPACK(audio)
    found = _read_apev2_file(musepack, "musepack", audio)
    for scope, part in (("track", "title"), ("album", "album")):
        for kind in ("gain", "peak"):
            value = getattr(musepack.info, f"{part}_{kind}", None)
            # Zero is how the header says that nobody has measured.
            if value:
                found.values.setdefault(f"replaygain_{scope}_{kind}", [str(value)])
    return found


def _read_apev2_file(ape: Any, format_name: str, audio: AudioFile) -> FoundTags:
    found = _found(format_name, ape.info)
    found.audio_bytes = audio.size
    take_apev2(ape.tags, found)
    _take_leading_id3(audio, found)
    take_id3v1(audio.read_at(audio.size - _ID3V1_BYTES, _ID3V1_BYTES), found)
    return found


def _read_asf(audio: AudioFile) -> FoundTags:
    asf = _ASF(audio)
    found = _found("asf", asf.info)
    take_asf(asf.tags, found)
    return found


def _take_leading_id3(audio: AudioFile, found: FoundTags) -> None:
    """Complete `found` with an ID3v2 tag where mutagen's class knows of none."""
    if audio.read_at(0, 3) == b"ID3":
        audio.seek(0)
        try:
            tags = SmallID3(audio)
        except ID3NoHeaderError:
            return
        leading = FoundTags(found.format)
        take_id3(tags, leading)
        found.complete_with(leading)
        found.lists_joined_by_slash = leading.lists_joined_by_slash


def _take_trailing_tags(audio: AudioFile, found: FoundTags) -> None:
    """Complete `found` with the APEv2 tag, then with the ID3v1 tag, at the end of the file, if there are any."""
    tail_bytes = min(audio.size, _FOOTER_BYTES + _ID3V1_BYTES)
    tail = audio.read_at(audio.size - tail_bytes, tail_bytes)
    if b"APETAGEX" in tail:
        audio.seek(0)
        # A damaged second tag takes nothing away from the first.
        with suppress(MutagenError):
            take_apev2(_APEV2(audio), found)
    take_id3v1(tail[-_ID3V1_BYTES:], found)


READERS: Final[dict[str, Callable[[AudioFile], FoundTags]]] = {
    "mp3": _read_mp3,
    "flac": _read_flac,
    "wav": _read_wav,
    "aiff": _read_aiff,
    "ogg": _read_ogg,
    "opus": _read_ogg,
    "mp4": _read_mp4,
    "aac": _read_aac,
    "asf": _read_asf,
    "ape": _read_monkeys_audio,
    "wavpack": _read_wavpack,
    "musepack": _read_musepack,
    "dsf": _read_dsf,
    "trueaudio": _read_true_audio,
    "matroska": read_matroska,
}
"""Format to the function that reads a file of it from the beginning."""
