"""The audio of one file for those who have many: no error of a file is an error of the whole."""

from __future__ import annotations

from nomarr.components.media.audio_file_comp import UnreadableAudio
from nomarr.components.media.audio_hash_comp import audio_hash, payload_bytes
from nomarr.components.media.read_tags_comp import read_tags
from nomarr.helpers.dto.tags import AudioTags

__all__ = ["audio_hash_or_none", "audio_length_or_none", "nothing_known", "tags_or_none"]


def audio_length_or_none(path: str) -> int | None:
    """Bytes of audio in the file at an absolute path, by a few small reads; None if nobody can tell."""
    try:
        return payload_bytes(path)
    except (UnreadableAudio, OSError):
        return None


def audio_hash_or_none(path: str) -> str | None:
    """The audio hash of the file at an absolute path; None if it has none."""
    try:
        return audio_hash(path).digest
    except (UnreadableAudio, OSError):
        return None


def tags_or_none(path: str) -> AudioTags | None:
    """The tags of the file at an absolute path; None if they can't be read."""
    return read_tags(path).tags


def nothing_known(path: str, reason: str) -> None:
    """What stands for a file that stopped or ended its reader; reading its tags will tell the same reason."""
