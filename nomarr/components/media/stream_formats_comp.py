"""Formats that are a bare stream with foreign tags around it: MP3, AAC, Monkey's Audio, WavPack, Musepack, TTA, DSF."""

from __future__ import annotations

import struct
from typing import Any, Final

from mutagen.aac import AACError, AACInfo
from mutagen.monkeysaudio import MonkeysAudioInfo
from mutagen.mp3 import HeaderNotFoundError, MPEGInfo
from mutagen.musepack import MusepackInfo
from mutagen.wavpack import WavPackInfo

from .apev2_comp import read_trailing_tags
from .audio_file_comp import AudioFile, NoAudioFound, UnreadableAudio
from .found_tags_comp import FoundTags
from .id3_comp import end_of_id3, read_id3_at

__all__ = ["read_aac", "read_dsf", "read_monkeys_audio", "read_mp3", "read_musepack", "read_tta", "read_wavpack"]

# Mutagen's annotations stop at its constructors.
_WAVPACK_INFO: Final[Any] = WavPackInfo


def read_mp3(audio: AudioFile) -> FoundTags:
    """Read an MP3 (or MP2) file: ID3v2 first, then what APEv2 and ID3v1 add. Raises NoAudioFound."""
    found = FoundTags("mp3")
    audio_start = _read_leading_id3(audio, found)
    if audio_start >= audio.size:
        raise UnreadableAudio("is cut short: it holds a tag and no audio")
    try:
        mpeg = MPEGInfo(audio.as_stream(), audio_start)
    except HeaderNotFoundError:
        raise NoAudioFound("holds no MPEG audio") from None
    found.duration_seconds, found.bitrate = mpeg.length, mpeg.bitrate
    found.sample_rate, found.channels = mpeg.sample_rate, mpeg.channels
    read_trailing_tags(audio, found)
    return found


def read_aac(audio: AudioFile) -> FoundTags:
    """Read an ADTS or ADIF file; the length is an estimate. Raises NoAudioFound."""
    found = FoundTags("aac")
    _read_leading_id3(audio, found)
    try:
        aac = AACInfo(audio.as_stream())
    except AACError:
        raise NoAudioFound("holds no AAC audio") from None
    found.duration_seconds, found.bitrate = aac.length, aac.bitrate
    found.sample_rate, found.channels = aac.sample_rate, aac.channels
    read_trailing_tags(audio, found)
    return found


def read_tta(audio: AudioFile) -> FoundTags:
    """Read a True Audio file."""
    found = FoundTags("trueaudio")
    start = _read_leading_id3(audio, found)
    header = audio.read_exactly(start, 18)
    if not header.startswith(b"TTA"):
        raise UnreadableAudio("is not a True Audio file")
    _, _, found.channels, found.bit_depth, found.sample_rate, samples = struct.unpack("<4sHHHII", header)
    if not found.sample_rate:
        raise UnreadableAudio("is damaged: its sample rate is zero")
    found.duration_seconds = samples / found.sample_rate
    found.audio_bytes = audio.size - start
    read_trailing_tags(audio, found)
    return found


def read_monkeys_audio(audio: AudioFile) -> FoundTags:
    """Read a Monkey's Audio file."""
    found = FoundTags("ape")
    ape = MonkeysAudioInfo(audio.as_stream())
    found.duration_seconds, found.sample_rate = ape.length, ape.sample_rate
    found.channels, found.bit_depth = ape.channels, ape.bits_per_sample
    found.audio_bytes = audio.size
    read_trailing_tags(audio, found)
    return found


def read_wavpack(audio: AudioFile) -> FoundTags:
    """Read a WavPack file."""
    found = FoundTags("wavpack")
    wavpack = _WAVPACK_INFO(audio.as_stream())
    found.duration_seconds, found.sample_rate = wavpack.length, wavpack.sample_rate
    # Mutagen gives True for mono.
    found.channels, found.bit_depth = int(wavpack.channels), wavpack.bits_per_sample
    found.audio_bytes = audio.size
    read_trailing_tags(audio, found)
    return found


def read_musepack(audio: AudioFile) -> FoundTags:
    """Read a Musepack file, stream version 7 or 8. Its own gains count where the tags hold none."""
    found = FoundTags("musepack")
    start = _read_leading_id3(audio, found)
    stream = audio.as_stream()
    stream.seek(start)
    musepack = MusepackInfo(stream)
    found.duration_seconds, found.bitrate = musepack.length, musepack.bitrate
    found.sample_rate, found.channels = musepack.sample_rate, musepack.channels
    found.audio_bytes = audio.size - start
    read_trailing_tags(audio, found)
    _take_musepack_gains(musepack, found)
    return found


def _take_musepack_gains(musepack: MusepackInfo, found: FoundTags) -> None:
    for scope, part in (("track", "title"), ("album", "album")):
        for kind in ("gain", "peak"):
            value = getattr(musepack, f"{part}_{kind}", None)
            # Zero is how the header says that nobody has measured.
            if value:
                found.values.setdefault(f"replaygain_{scope}_{kind}", [str(value)])


def read_dsf(audio: AudioFile) -> FoundTags:
    """Read a DSF file: a DSD chunk, a format chunk, and an ID3 tag where the DSD chunk says."""
    header = audio.read_exactly(0, 80)
    if header[28:32] != b"fmt ":
        raise UnreadableAudio("is damaged: its DSF format chunk is missing")
    found = FoundTags("dsf")
    (tag_start,) = struct.unpack_from("<Q", header, 20)
    found.channels, found.sample_rate, found.bit_depth, samples = struct.unpack_from("<IIIQ", header, 52)
    if not found.sample_rate:
        raise UnreadableAudio("is damaged: its sample rate is zero")
    found.duration_seconds = samples / found.sample_rate
    found.bitrate = found.sample_rate * (found.bit_depth or 1) * (found.channels or 1)
    if tag_start:
        read_id3_at(audio, tag_start, found)
    return found


def _read_leading_id3(audio: AudioFile, found: FoundTags) -> int:
    read_id3_at(audio, 0, found)
    return end_of_id3(audio)
