"""How long a file really plays, where its header does not say it: ffprobe counts the packets."""

from __future__ import annotations

import json
from typing import Any, Final

from mutagen import MutagenError
from mutagen.mp3 import BitrateMode, MPEGInfo

from nomarr.components.media.audio_file_comp import AudioFile, NoAudioFound
from nomarr.components.media.audio_format_comp import format_of

__all__ = ["ffprobe_command", "is_duration_estimated", "parse_ffprobe"]

_LEAST_OF_CLAIM: Final = 0.98
_MOST_OF_CLAIM: Final = 1.05
"""Some tags at the end are no reason to measure a file; a second song behind the first one is."""

_LOW_RATE: Final = 32_000
"""Below it MP3 has frames of half the size (MPEG-2 and 2.5, ISO 13818-3)."""
# Mutagen's annotations stop at its constructors.
_MPEG_INFO: Final[Any] = MPEGInfo


def is_duration_estimated(path: str) -> bool:
    """Whether the length that the tags were read with is a guess from the bitrate of the first frame.

    So it is for AAC without a container, and for MP3 that has no Xing, Info or VBRI header, or one that speaks of
    another amount of audio than the file holds. All other formats say how many samples they have. `path` is absolute.
    Raises UnreadableAudio and OSError.
    """
    with AudioFile(path) as audio:
        match format_of(audio, path):
            case "aac":
                return True
            case "mp3":
                return _is_mpeg_length_estimated(audio)
            case _:
                return False


def _is_mpeg_length_estimated(audio: AudioFile) -> bool:
    try:
        info = _MPEG_INFO(audio)
    except MutagenError as problem:
        raise NoAudioFound("holds no MPEG audio") from problem
    if info.bitrate_mode is BitrateMode.UNKNOWN:
        return True
    claimed = info.length * info.bitrate / 8
    held = audio.size - info.frame_offset
    return not _LEAST_OF_CLAIM * claimed <= held <= _MOST_OF_CLAIM * claimed


def ffprobe_command(ffprobe: str, path: str) -> list[str]:
    """The command for one file, whose absolute path it gets; the answer is short however long the file is.

    It reads the whole file, without decoding it.
    """
    return [
        ffprobe,
        *("-v", "error"),
        # A file that poses as a playlist opens no address in the network.
        *("-protocol_whitelist", "file"),
        *("-select_streams", "a:0"),
        "-count_packets",
        *("-show_entries", "stream=codec_name,profile,sample_rate,nb_read_packets"),
        *("-of", "json"),
        path,
    ]


def parse_ffprobe(returncode: int, stdout: bytes, stderr: bytes) -> float | None:
    """Seconds by counted packets; None if there is no audio, or none whose packets all have one length.

    What an encoder adds at both ends is counted, since nothing says how much it is.
    """
    if returncode != 0:
        return None
    try:
        stream = json.loads(stdout)["streams"][0]
        rate, packets = int(stream["sample_rate"]), int(stream["nb_read_packets"])
    except (ValueError, LookupError, TypeError):
        return None
    samples = _samples_per_packet(str(stream.get("codec_name")), str(stream.get("profile")), rate)
    return packets * samples / rate if samples and rate > 0 and packets > 0 else None


def _samples_per_packet(codec: str, profile: str, sample_rate: int) -> int | None:
    match codec:
        case "mp1":
            return 384
        case "mp2":
            return 1152
        case "mp3":
            return 1152 if sample_rate >= _LOW_RATE else 576
        case "aac":
            # HE-AAC doubles the rate of what it decodes to, and ffprobe tells the doubled rate.
            return 2048 if profile.startswith("HE-AAC") else 1024
        case _:
            return None
