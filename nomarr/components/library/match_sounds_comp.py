"""Pair files that are gone with files that are new by their sound, one to one, and never when it is ambiguous."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from nomarr.components.library.detect_moves_comp import Move
from nomarr.helpers.dto.enrichment import KnownSound
from nomarr.helpers.dto.files import KnownFile
from nomarr.helpers.paths_helper import folder_of, name_of

__all__ = ["SAME_AUDIO", "SAME_RECORDING", "match_hashes", "match_recordings", "may_be_transcoded", "stem_of"]

SAME_AUDIO: Final = "audio hash"
SAME_RECORDING: Final = "fingerprint+duration"

_SAME_LENGTH_SECONDS: Final = 3.0


def match_hashes(hashes: Mapping[str, str], departed: Iterable[KnownSound], library_id: str) -> list[Move]:
    """Moves of files whose audio is, byte for byte, that of exactly one new file.

    Files of another library count only if the library itself lost none of that sound.

    Args:
        hashes: path of a new file to its audio hash.
    """
    arrived: dict[str, list[str]] = defaultdict(list)
    for path, audio_hash in hashes.items():
        arrived[audio_hash].append(path)
    gone: dict[str, list[KnownFile]] = defaultdict(list)
    for sound in departed:
        if sound.known.audio_hash in arrived and sound.is_verified:
            gone[sound.known.audio_hash].append(sound.file)
    moves = []
    for audio_hash, files in gone.items():
        own = [file for file in files if file.library_id == library_id]
        candidates, paths = own or files, arrived[audio_hash]
        if len(candidates) == len(paths) == 1:
            moves.append(Move(candidates[0], paths[0], SAME_AUDIO))
    return moves


def match_recordings(matches: Mapping[str, Collection[KnownFile]]) -> list[Move]:
    """Moves of files whose recording is that of exactly one new file, which is that of no other file.

    Args:
        matches: path of a new file to the files that sound like it.
    """
    claims: dict[str, int] = defaultdict(int)
    for files in matches.values():
        for file in files:
            claims[file.file_id] += 1
    return [
        Move(file, path, SAME_RECORDING)
        for path, files in matches.items()
        if len(files) == 1
        for file in files
        if claims[file.file_id] == 1
    ]


def may_be_transcoded(path: str, title: str | None, seconds: float | None, sound: KnownSound) -> bool:
    """True if it is worth listening whether the new file at `path` is `sound` in another format.

    It is if the names are equal but for the extension, in any folder; or if both are in one folder, have the same title
    and play equally long.
    """
    if _extension_of(path) == _extension_of(sound.file.path):
        return False
    if stem_of(path) == stem_of(sound.file.path):
        return True
    if folder_of(path) != folder_of(sound.file.path) or title is None or title != sound.title:
        return False
    return _are_equally_long(seconds, sound.duration_seconds)


def stem_of(path: str) -> str:
    """A file's name without its extension, in lower case."""
    name = name_of(path)
    return (name.rpartition(".")[0] or name).casefold()


def _extension_of(path: str) -> str:
    return name_of(path).rpartition(".")[2].casefold()


def _are_equally_long(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= _SAME_LENGTH_SECONDS
