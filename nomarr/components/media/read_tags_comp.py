"""Read the tags and properties of audio files: never an exception, always a sentence.

Mutagen reads every format but Matroska, through a file object with limits. Which of its classes is asked says the
extension, and the first bytes where the two disagree.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Any, Final

from mutagen import MutagenError
from mutagen.id3 import BitPaddedInt

from nomarr.components.media.audio_file_comp import AudioFile, NoAudioFound, UnreadableAudio
from nomarr.components.media.containers_comp import READERS
from nomarr.components.media.found_tags_comp import FoundTags
from nomarr.helpers.dto.tags import TagReadResult
from nomarr.helpers.file_kinds import AUDIO_FORMATS

__all__ = ["format_of", "read_many_tags", "read_tags"]

_NAMES: Final = {
    "mp3": "an MP3",
    "flac": "a FLAC",
    "wav": "a WAV",
    "aiff": "an AIFF",
    "ogg": "an Ogg",
    "opus": "an Opus",
    "mp4": "an MP4",
    "aac": "an AAC",
    "asf": "a WMA",
    "ape": "a Monkey's Audio",
    "wavpack": "a WavPack",
    "musepack": "a Musepack",
    "dsf": "a DSF",
    "trueaudio": "a True Audio",
    "matroska": "a Matroska",
}
_MAGIC: Final = (
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"MAC ", "ape"),
    (b"wvpk", "wavpack"),
    (b"MPCK", "musepack"),
    (b"MP+", "musepack"),
    (b"DSD ", "dsf"),
    (b"TTA1", "trueaudio"),
    (b"ADIF", "aac"),
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", "asf"),
)
_HEAD_BYTES: Final = 64
# Mutagen's annotations stop at its constructors.
_SYNCSAFE: Final[Any] = BitPaddedInt
_MP4_FIRST_ATOMS: Final = frozenset((b"ftyp", b"moov", b"mdat", b"wide"))
_WITHOUT_MAGIC: Final = frozenset(("mp3", "aac"))
"""Streams that are found by searching: their files may begin with anything."""

_OTHER_KINDS: Final = (
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"%PDF", "a PDF document"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"\x7fELF", "a program"),
)
_ERRORS: Final = {
    errno.ENOENT: "is no longer there",
    errno.EACCES: "may not be read: permission denied",
    errno.EPERM: "may not be read: permission denied",
    errno.ELOOP: "is a symbolic link that leads nowhere",
    errno.EISDIR: "is a folder",
    errno.ENOTDIR: "is no longer there",
    errno.ENXIO: "is a socket, not an audio file",  # opening one gives this
    errno.EIO: "can't be read: the disk reports an error",
    errno.ESTALE: "can't be read: the network share has lost it",
}


def read_many_tags(paths: Sequence[str]) -> list[TagReadResult]:
    """The results for `paths`, in their order."""
    return [read_tags(path) for path in paths]


def read_tags(path: str) -> TagReadResult:
    """Read one file; whatever it holds, the outcome is a value.

    `path` is absolute and may hold surrogate escapes. Only regular files are opened, none is waited for and none is
    written to. The error continues a sentence that begins with the file's name.
    """
    try:
        with AudioFile(path) as audio:
            try:
                return TagReadResult(_read(audio, path).to_audio_tags())
            except UnreadableAudio:
                raise
            except Exception as problem:
                # Parsers meet every damage there is: a scan goes on, whatever one file makes of them.
                return TagReadResult(None, audio.refusal or _damage(audio, problem))
    except UnreadableAudio as problem:
        return TagReadResult(None, str(problem))
    except OSError as problem:
        return TagReadResult(
            None, _ERRORS.get(problem.errno or 0) or f"can't be read: {os.strerror(problem.errno or 0)}"
        )
    except ValueError:
        return TagReadResult(None, "has a name that no file can have")


def format_of(audio: AudioFile, path: str) -> str | None:
    """What a file holds, a value of `AUDIO_FORMATS`: by its first bytes, or by its name if they say nothing."""
    expected = AUDIO_FORMATS.get(path.rpartition(".")[2].lower())
    return _format_of(audio.read_at(0, _HEAD_BYTES), audio, expected) or expected


def _damage(audio: AudioFile, problem: Exception) -> str:
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _ERRORS:
            return _ERRORS[cause.errno]
        cause = cause.__cause__ or cause.__context__
    if isinstance(problem, MemoryError):
        return "is damaged: it claims more than fits into memory"
    if audio.is_cut_short:
        return "is cut short or damaged: its header claims more than the file holds"
    if isinstance(problem, MutagenError):
        return f"can't be understood: {_one_line(problem)}"
    return f"is damaged: its header makes no sense ({type(problem).__name__})"


def _read(audio: AudioFile, path: str) -> FoundTags:
    if audio.size == 0:
        raise UnreadableAudio("is empty")
    expected = AUDIO_FORMATS.get(path.rpartition(".")[2].lower())
    head = audio.read_at(0, _HEAD_BYTES)
    actual = _format_of(head, audio, expected)
    if actual is None and expected not in _WITHOUT_MAGIC:
        raise UnreadableAudio(_what_it_is_not(expected, head))
    audio.seek(0)
    try:
        return READERS[actual or expected or "mp3"](audio)
    except NoAudioFound:
        if head.startswith(b"ID3") and _end_of_id3(audio) >= audio.size:
            raise UnreadableAudio("is cut short: it holds a tag and no audio") from None
        # The evidence was weak, so the name says better what this file should have been.
        raise UnreadableAudio(_what_it_is_not(expected, head)) from None


def _format_of(head: bytes, audio: AudioFile, expected: str | None) -> str | None:
    """What the first bytes say; None if they say nothing."""
    if head.startswith(b"ID3"):
        # MP3 is the usual owner of a leading ID3 tag, but others get one, too.
        behind = audio.read_at(_end_of_id3(audio), _HEAD_BYTES)
        return _magic_of(behind) or (expected if expected in _WITHOUT_MAGIC else "mp3")
    return _magic_of(head)


def _end_of_id3(audio: AudioFile) -> int:
    """Where the ID3v2 tags at the beginning end; Windows Media Player stacks several of them."""
    end = 0
    for _ in range(8):
        header = audio.read_at(end, 10)
        if len(header) < 10 or not header.startswith(b"ID3"):
            break
        end += 10 + int(_SYNCSAFE(header[6:]))
    return end


def _magic_of(head: bytes) -> str | None:
    if head[:1] == b"\xff" and len(head) > 3:
        return _format_of_sync(head)
    for magic, format_name in _MAGIC:
        if head.startswith(magic):
            return format_name
    if head[4:8] in _MP4_FIRST_ATOMS:
        return "mp4"
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    return None


def _format_of_sync(head: bytes) -> str | None:
    """Both start with eleven ones; MPEG audio has a layer, ADTS has none. JPEG (ff d8) has fewer ones."""
    if head[1] & 0xF6 == 0xF0:
        return "aac"
    return "mp3" if head[1] & 0xE0 == 0xE0 and head[1] & 0x06 else None


def _what_it_is_not(expected: str | None, head: bytes) -> str:
    wanted = f"is not {_NAMES[expected]} file" if expected else "is not an audio file"
    found = next((name for magic, name in _OTHER_KINDS if head.startswith(magic)), None)
    if found is None and not head.strip(b"\0"):
        found = "nothing but zeros"
    if found is None and _is_text(head):
        found = "text"
    return f"{wanted}, it looks like {found}" if found else wanted


def _is_text(head: bytes) -> bool:
    return all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)


def _one_line(problem: Exception) -> str:
    # Mutagen's messages may hold bytes of the file and, for some, its name; a person needs the beginning.
    text = " ".join(str(problem).split()).encode("utf-8", "replace").decode("utf-8")
    return text[:200] or type(problem).__name__
