"""Which of the files that are new at their path hold, byte for byte, the audio of a file that is gone.

The cost grows with the new files: of each its header is looked at, and the audio is read only where a file with as much
audio is gone.

A file that nobody has missed yet, though nothing is at its path, may have been renamed only, and the new file may be a
copy of it: what looks like its move is no more than a claim, until a scan has looked where the file was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from nomarr.components.library.detect_moves_comp import Move
from nomarr.components.library.match_sounds_comp import match_hashes
from nomarr.components.media.measure_audio_comp import audio_hash_or_none, audio_length_or_none, nothing_known
from nomarr.helpers.dto.enrichment import KnownSound
from nomarr.helpers.dto.files import KnownFile
from nomarr.helpers.dto.library import Library
from nomarr.persistence.db import Database
from nomarr.workflows.library.elsewhere_wf import Elsewhere
from nomarr.workflows.library.file_workers_wf import FileSkill, FileWorkers
from nomarr.workflows.library.survey_wf import Survey

__all__ = ["HASH", "SameAudio", "SameAudioFinder"]

Answer = TypeVar("Answer")

_LENGTH: Final = FileSkill(audio_length_or_none, nothing_known)
HASH: Final = FileSkill(audio_hash_or_none, nothing_known)
_LENGTHS_IN_THREAD: Final = 4096
_HASHES_IN_THREAD: Final = 512
"""Up to so many files are looked into in a thread: starting worker processes costs as much."""
_MANY: Final = 50
"""A length or a hash that more files have than this tells little about which of them a new file is."""


@dataclass(frozen=True, slots=True)
class SameAudio:
    """Which known files the new ones are by their audio."""

    moves: Sequence[Move] = ()
    """Of files that a scan did not find where they were."""
    claims: Sequence[Move] = ()
    """Of files where nobody has looked yet: either they moved so, or the new file is a copy."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Path of a new file to its audio hash."""


@dataclass(frozen=True, slots=True)
class SameAudioFinder:
    """Finds moves into one library; made for one look of one scan."""

    db: Database
    library: Library
    survey: Survey
    workers: FileWorkers
    threads: CapacityLimiter

    async def find(self, known_moves: Sequence[Move]) -> SameAudio:
        """Moves beside those that are known by better evidence."""
        paths = await self._in_thread(lambda: list(self._arrived_paths(known_moves)))
        lengths = await self._look_into(_LENGTH, paths, _LENGTHS_IN_THREAD)
        gone = await self._in_thread(lambda: self._gone(lengths, known_moves))
        wanted = await self._in_thread(lambda: self._lengths_of_gone(lengths, gone))
        paths = [path for path, length in lengths.items() if length in wanted]
        hashes = await self._look_into(HASH, paths, _HASHES_IN_THREAD)
        sounds = await self._in_thread(lambda: gone.among(self._known_by_hash(hashes.values())))
        moves = match_hashes(hashes, sounds, self.library.library_id)
        claims = [move for move in moves if not gone.was_missed(move.file)]
        return SameAudio([move for move in moves if gone.was_missed(move.file)], claims, hashes)

    def _arrived_paths(self, known_moves: Sequence[Move]) -> Iterator[str]:
        taken = {move.to_path for move in known_moves}
        for diff in self.survey.diffs:
            for index in diff.arrivals():
                if (path := diff.path_at(index)) not in taken:
                    yield path

    def _gone(self, lengths: dict[str, int], known_moves: Sequence[Move]) -> _Gone:
        """What is gone: also a file whose path holds other audio now.

        Where a path holds as much audio as it did, its file was only saved anew; and if nobody knows how much it held,
        that is what has to be believed. Then the path is taken out of `lengths`: no other file has come to it.
        """
        others = set()
        replaced = {row.file_id: row.path for row in self.survey.replaced() if row.path in lengths}
        for sound in self.db.enrichment.sounds_of(list(replaced)):
            path = replaced[sound.file.file_id]
            if sound.is_verified and sound.known.audio_bytes not in (None, lengths[path]):
                others.add(sound.file.file_id)
        for file_id, path in replaced.items():
            if file_id not in others:
                del lengths[path]
        vanished = {row.file_id for row in self.survey.vanished()}
        moved = {move.file.file_id for move in known_moves}
        return _Gone(self.db, vanished | others, moved)

    def _lengths_of_gone(self, lengths: Mapping[str, int], gone: _Gone) -> set[int]:
        """The lengths of audio that a file had which is gone."""
        counts = self.db.enrichment.audio_lengths(set(lengths.values()))
        rare = [length for length, count in counts.items() if count <= _MANY]
        found = {sound.known.audio_bytes for sound in gone.among(self.db.enrichment.with_audio_bytes(rare))}
        # Where very many files are equally long, hashing the new one is less work than looking for all of them.
        return {length for length, count in counts.items() if count > _MANY or length in found}

    def _known_by_hash(self, hashes: Iterable[str]) -> list[KnownSound]:
        # What very many files hold, silence for one, tells nothing about any of them.
        return self.db.enrichment.with_audio_hashes(set(hashes), at_most=_MANY)

    async def _look_into(
        self, skill: FileSkill[str, Answer | None], paths: Sequence[str], most_in_thread: int
    ) -> dict[str, Answer]:
        return await self.workers.look_into(skill, self.library.root_path, paths, few=len(paths) <= most_in_thread)

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        # It asks the disk, too, perhaps one that hangs: a cancelled scan does not wait for it.
        return await anyio.to_thread.run_sync(work, limiter=self.threads, abandon_on_cancel=True)


class _Gone:
    """Which of the known files are not where they were, beside those whose new place is known already."""

    def __init__(self, db: Database, departed: set[str], moved: set[str]) -> None:
        self._departed = departed
        self._moved = moved
        self._elsewhere = Elsewhere(db)

    def among(self, sounds: Iterable[KnownSound]) -> list[KnownSound]:
        """Asks the disk about files that the scan did not look at."""
        return [sound for sound in sounds if self._is_gone(sound.file)]

    def was_missed(self, file: KnownFile) -> bool:
        """True if a scan looked for the file and did not find it, or no scan will ever look for it: an ignored one."""
        return file.file_id in self._departed or not file.is_present

    def _is_gone(self, file: KnownFile) -> bool:
        if file.file_id in self._moved:
            return False
        return file.file_id in self._departed or self._elsewhere.is_gone(file)
