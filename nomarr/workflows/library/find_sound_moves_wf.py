"""Which of the files that are new at their path are known by their sound, though name, tags or format are others.

The cost grows with the new files. Of each its header is looked at; the audio is read only where a file with as much
audio is gone, and decoded only where one of the same name, or title and length, is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from nomarr.components.library.detect_moves_comp import Move
from nomarr.components.library.match_sounds_comp import match_hashes, match_recordings, may_be_transcoded, stem_of
from nomarr.components.media.fingerprint_comp import Fingerprint, is_same_recording
from nomarr.components.media.measure_audio_comp import (
    audio_hash_or_none,
    audio_length_or_none,
    nothing_known,
    tags_or_none,
)
from nomarr.helpers.dto.enrichment import KnownSound
from nomarr.helpers.dto.files import KnownFile
from nomarr.helpers.dto.library import Library
from nomarr.helpers.exceptions import FingerprintLibraryMissing
from nomarr.helpers.file_kinds import AUDIO_FORMATS
from nomarr.helpers.paths_helper import folder_of, join
from nomarr.persistence.db import Database
from nomarr.workflows.library.elsewhere_wf import Elsewhere
from nomarr.workflows.library.file_workers_wf import READ_CHUNK, FileSkill, FileWorkers, in_order
from nomarr.workflows.library.listen_to_file_wf import Listener, UndecodableAudio
from nomarr.workflows.library.survey_wf import Survey

__all__ = ["SoundMoveFinder"]

Answer = TypeVar("Answer")

_LENGTH: Final = FileSkill(audio_length_or_none, nothing_known)
_HASH: Final = FileSkill(audio_hash_or_none, nothing_known)
_TAGS: Final = FileSkill(tags_or_none, nothing_known)
_MANY: Final = 50
"""A length or a hash that more files have than this tells little about which of them a new file is."""
_LENGTHS_IN_THREAD: Final = 4096
_IN_THREAD: Final = 512
"""Up to so many files are looked into in a thread: starting worker processes costs as much."""


@dataclass(slots=True)
class SoundMoveFinder:
    """Finds moves into one library by the sound of its new files; made for one look of one scan."""

    db: Database
    library: Library
    survey: Survey
    workers: FileWorkers
    parallel: int
    """How many files are decoded at a time."""
    listener: Listener | None
    """None: files in another format are other files."""
    threads: CapacityLimiter

    async def find(self, known_moves: Sequence[Move]) -> list[Move]:
        """Moves beside those that are known by better evidence."""
        if not await self._in_thread(self.db.enrichment.knows_any_sound):
            return []
        same_audio = await self._find_same_audio(known_moves)
        if self.listener is None or self.listener.fpcalc is None:
            return same_audio
        return same_audio + await self._find_transcoded([*known_moves, *same_audio])

    # -- the same audio ----------------------------------------------------------------------------------------

    async def _find_same_audio(self, known_moves: Sequence[Move]) -> list[Move]:
        lengths = await self._look_into(_LENGTH, list(self._arrived_paths(known_moves)))
        gone = _Gone(self.db, self.survey, known_moves)
        wanted = await self._in_thread(lambda: self._lengths_of_gone(lengths, gone))
        hashes = await self._look_into(_HASH, [path for path, length in lengths.items() if length in wanted])
        sounds = await self._in_thread(lambda: gone.among(self._known_by_hash(hashes.values())))
        return match_hashes(hashes, sounds, self.library.library_id)

    def _arrived_paths(self, known_moves: Sequence[Move]) -> Iterator[str]:
        taken = {move.to_path for move in known_moves}
        for diff in self.survey.diffs:
            for index in diff.arrivals():
                if (path := diff.path_at(index)) not in taken:
                    yield path

    def _lengths_of_gone(self, lengths: dict[str, int], gone: _Gone) -> set[int]:
        """The lengths of audio that a file has which is not where it was.

        A file that was only saved anew has the length that is known at its path: it is taken out of `lengths`.
        """
        replaced = [row.file_id for diff in self.survey.diffs for row in diff.replaced.values()]
        for sound in self.db.enrichment.sounds_of(replaced):
            if lengths.get(sound.file.path) == sound.known.audio_bytes:
                del lengths[sound.file.path]
        counts = self.db.enrichment.audio_lengths(set(lengths.values()))
        rare = [length for length, count in counts.items() if count <= _MANY]
        found = {sound.known.audio_bytes for sound in gone.among(self.db.enrichment.with_audio_bytes(rare))}
        # Where very many files are equally long, hashing the new one is less work than looking for all of them.
        return {length for length, count in counts.items() if count > _MANY or length in found}

    def _known_by_hash(self, hashes: Iterable[str]) -> list[KnownSound]:
        # What very many files hold, silence for one, tells nothing about any of them.
        return self.db.enrichment.with_audio_hashes(set(hashes), at_most=_MANY)

    # -- the same recording in another format ------------------------------------------------------------------

    async def _find_transcoded(self, known_moves: Sequence[Move]) -> list[Move]:
        new = self._new_paths(known_moves)
        if not new:
            return []
        sounds = await self._in_thread(lambda: self._sounds_beside(new, known_moves))
        plausible = await self._plausible(new, sounds)
        matches: dict[str, list[KnownFile]] = {}

        async def listen(path: str) -> Fingerprint | None:
            return await self._fingerprint(path)

        async def compare(path: str, heard: Fingerprint | None) -> None:
            if heard is not None:
                matches[path] = await self._in_thread(lambda: _sounding_like(heard, plausible[path]))

        await in_order(list(plausible), listen, compare, ahead=self.parallel)
        return match_recordings(matches)

    def _new_paths(self, known_moves: Sequence[Move]) -> list[str]:
        taken = {move.to_path for move in known_moves}
        paths = (diff.path_at(index) for diff in self.survey.diffs for index in diff.new)
        return [path for path in paths if path not in taken]

    def _sounds_beside(self, new: Sequence[str], known_moves: Sequence[Move]) -> list[KnownSound]:
        """Departed files in the folders of new ones, or of their names; and missing ones, of their very paths."""
        moved = {move.file.file_id for move in known_moves}
        folders, stems = {folder_of(path) for path in new}, {stem_of(path) for path in new}
        departed = [
            row.file_id
            for row in self.survey.departed()
            if row.file_id not in moved and (folder_of(row.path) in folders or stem_of(row.path) in stems)
        ]
        with_missing = self.db.enrichment.folders_of_missing(self.library.library_id, sorted(folders))
        beside_missing = [path for path in new if folder_of(path) in with_missing]
        missing = self.db.enrichment.missing_at(self.library.library_id, list(_in_other_formats(beside_missing)))
        found = {sound.file.file_id: sound for sound in chain(self.db.enrichment.sounds_of(departed), missing)}
        return [sound for file_id, sound in found.items() if file_id not in moved and sound.is_verified]

    async def _plausible(self, new: Sequence[str], sounds: Sequence[KnownSound]) -> dict[str, list[KnownSound]]:
        """Path of a new file to the sounds that it may be in another format."""
        by_stem, by_folder = _grouped(sounds, stem_of), _grouped(sounds, folder_of)
        beside = [path for path in new if folder_of(path) in by_folder]
        read = await self._look_into(_TAGS, beside)
        plausible = {}
        for path in new:
            tags = read.get(path)
            title, seconds = (None, None) if tags is None else (tags.title, tags.duration_seconds)
            candidates = {
                sound.file.file_id: sound
                for sound in (*by_stem.get(stem_of(path), ()), *by_folder.get(folder_of(path), ()))
                if may_be_transcoded(path, title, seconds, sound)
            }
            if candidates:
                plausible[path] = list(candidates.values())
        return plausible

    async def _fingerprint(self, path: str) -> Fingerprint | None:
        assert self.listener is not None
        try:
            return await self.listener.fingerprint(join(self.library.root_path, path))
        except UndecodableAudio:
            # It stays what it is without this evidence: a new file.
            return None

    # -- around it ---------------------------------------------------------------------------------------------

    async def _look_into(self, skill: FileSkill[str, Answer | None], paths: Sequence[str]) -> dict[str, Answer]:
        """Path to answer, of those that have one."""
        answers: dict[str, Answer] = {}
        few = len(paths) <= (_LENGTHS_IN_THREAD if skill is _LENGTH else _IN_THREAD)

        async def look(chunk: list[str]) -> list[Answer | None]:
            return await self.workers.run(skill, [join(self.library.root_path, path) for path in chunk], few=few)

        async def keep(chunk: list[str], found: list[Answer | None]) -> None:
            answers.update((path, answer) for path, answer in zip(chunk, found, strict=True) if answer is not None)

        await in_order(_chunks(paths), look, keep, ahead=2 * self.parallel)
        return answers

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        # It asks the disk, too, perhaps one that hangs: a cancelled scan does not wait for it.
        return await anyio.to_thread.run_sync(work, limiter=self.threads, abandon_on_cancel=True)


class _Gone:
    """Which of the known files are not where they were, beside those whose new place is known already."""

    def __init__(self, db: Database, survey: Survey, known_moves: Sequence[Move]) -> None:
        self._departed = {row.file_id for row in survey.departed()}
        self._moved = {move.file.file_id for move in known_moves}
        self._elsewhere = Elsewhere(db)

    def among(self, sounds: Iterable[KnownSound]) -> list[KnownSound]:
        """Asks the disk about files that the scan did not look at."""
        return [sound for sound in sounds if self._is_gone(sound.file)]

    def _is_gone(self, file: KnownFile) -> bool:
        if file.file_id in self._moved:
            return False
        return file.file_id in self._departed or self._elsewhere.has_left(file)


def _sounding_like(heard: Fingerprint, sounds: Iterable[KnownSound]) -> list[KnownFile]:
    return [sound.file for sound in sounds if _is_heard(heard, sound)]


def _is_heard(heard: Fingerprint, sound: KnownSound) -> bool:
    known = sound.known
    if known.fingerprint is None or known.fingerprint_seconds is None:
        return False
    try:
        return is_same_recording(heard, Fingerprint(known.fingerprint, known.fingerprint_seconds))
    except (FingerprintLibraryMissing, ValueError):
        return False


def _in_other_formats(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        stem, _, extension = path.rpartition(".")
        yield from (f"{stem}.{other}" for other in AUDIO_FORMATS if other != extension)


def _grouped(sounds: Iterable[KnownSound], key: Callable[[str], str]) -> Mapping[str, list[KnownSound]]:
    groups: dict[str, list[KnownSound]] = defaultdict(list)
    for sound in sounds:
        groups[key(sound.file.path)].append(sound)
    return groups


def _chunks(paths: Sequence[str]) -> Iterator[list[str]]:
    return (list(paths[start : start + READ_CHUNK]) for start in range(0, len(paths), READ_CHUNK))
