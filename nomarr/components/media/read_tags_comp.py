"""Read the tags and properties of audio files: never an exception, always a sentence.

Mutagen reads every format but Matroska, through a file object with limits. Which of its classes is asked says the
extension, and the first bytes where the two disagree.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from mutagen import MutagenError

from nomarr.components.media.audio_file_comp import AudioFile, NoAudioFound, UnreadableAudio
from nomarr.components.media.audio_format_comp import HEAD_BYTES, end_of_id3, expected_format, format_of, what_it_is_not
from nomarr.components.media.containers_comp import READERS
from nomarr.components.media.found_tags_comp import FoundTags
from nomarr.helpers.dto.tags import TagReadResult

__all__ = ["damage_of", "read_tags"]

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
                return TagReadResult(None, audio.refusal or damage_of(audio, problem))
    except UnreadableAudio as problem:
        return TagReadResult(None, str(problem))
    except OSError as problem:
        return TagReadResult(
            None, _ERRORS.get(problem.errno or 0) or f"can't be read: {os.strerror(problem.errno or 0)}"
        )
    except ValueError:
        return TagReadResult(None, "has a name that no file can have")


def damage_of(audio: AudioFile, problem: Exception) -> str:
    """Put a parser's `problem` with `audio` into words that continue a sentence beginning with the file's name."""
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
    reader = READERS[format_of(audio, path)]
    try:
        return reader(audio)
    except NoAudioFound:
        head = audio.read_at(0, HEAD_BYTES)
        if head.startswith(b"ID3") and end_of_id3(audio) >= audio.size:
            raise UnreadableAudio("is cut short: it holds a tag and no audio") from None
        # The evidence was weak, so the name says better what this file should have been.
        raise UnreadableAudio(what_it_is_not(expected_format(path), head)) from None


def _one_line(problem: Exception) -> str:
    # Mutagen's messages may hold bytes of the file and, for some, its name; a person needs the beginning.
    text = " ".join(str(problem).split()).encode("utf-8", "replace").decode("utf-8")
    return text[:200] or type(problem).__name__
