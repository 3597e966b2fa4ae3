"""Which of the new files are, in another format, the recording of a file that is gone.

Only files are decoded that have the name of one that is gone but for the extension, or its title and length in its
folder. A file that became known a short time before the old one went away counts as new: a program that transcodes an
album first writes and then deletes.
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
from nomarr.components.library.diff_folder_comp import FolderDiff
from nomarr.components.library.match_sounds_comp import match_recordings, may_be_transcoded, stem_of
from nomarr.components.media.fingerprint_comp import Fingerprint, is_same_recording
from nomarr.components.media.measure_audio_comp import nothing_known, tags_or_none
from nomarr.helpers.dto.enrichment import KnownSound
from nomarr.helpers.dto.files import KnownFile
from nomarr.helpers.dto.library import Library
from nomarr.helpers.dto.tags import AudioTags
from nomarr.helpers.exceptions import FingerprintLibraryMissing
from nomarr.helpers.file_kinds import AUDIO_FORMATS, FileKind, kind_of
from nomarr.helpers.paths_helper import folder_of, join
from nomarr.persistence.db import Database
from nomarr.workflows.library.elsewhere_wf import Elsewhere
from nomarr.workflows.library.file_workers_wf import FileSkill, FileWorkers, in_order
from nomarr.workflows.library.listen_to_file_wf import Listener, UndecodableAudio
from nomarr.workflows.library.survey_wf import Survey

__all__ = ["TranscodedFinder"]

Answer = TypeVar("Answer")

_TAGS: Final = FileSkill(tags_or_none, nothing_known)
_TAGS_IN_THREAD: Final = 512
_YOUNG_SECONDS: Final = 24 * 3600.0
_MANY: Final = 50


@dataclass(frozen=True, slots=True)
class TranscodedFinder:
    """Finds moves into one library; made for one look of one scan."""

    db: Database
    library: Library
    survey: Survey
    workers: FileWorkers
    listener: Listener
    parallel: int
    """How many files are decoded at a time."""
    threads: CapacityLimiter
    now: float

    async def find(self, known_moves: Sequence[Move]) -> list[Move]:
        """Moves beside those that are known by better evidence."""
        if self.listener.fpcalc is None:
            return []
        new = await self._in_thread(lambda: self._new_paths(known_moves))
        if not new:
            return []
        sounds = await self._in_thread(lambda: self._sounds_beside(new, known_moves))
        plausible = await self._plausible(new, sounds)
        matches: dict[str, list[KnownFile]] = {}

        async def compare(path: str, heard: Fingerprint | None) -> None:
            if heard is not None:
                matches[path] = await self._in_thread(lambda: _sounding_like(heard, plausible[path]))

        await in_order(list(plausible), self._fingerprint, compare, ahead=self.parallel)
        return match_recordings(matches)

    def _new_paths(self, known_moves: Sequence[Move]) -> list[str]:
        taken = {move.to_path for move in known_moves}
        moved = {move.file.file_id for move in known_moves}
        new = (diff.path_at(index) for diff in self.survey.diffs for index in diff.new)
        young = (path for diff in self.survey.diffs for path in self._young_paths(diff, moved))
        return [path for path in chain(new, young) if path not in taken]

    def _young_paths(self, diff: FolderDiff, moved: set[str]) -> Iterator[str]:
        """Files that were new a short time ago, in the place of those that are gone now."""
        gone = {stem_of(row.path) for row in diff.gone if row.file_id not in moved}
        if not gone:
            return
        new = set(diff.new)
        for index, name in enumerate(diff.listing.names):
            if index not in new and kind_of(name) is FileKind.AUDIO and stem_of(name) in gone:
                path = diff.path_at(index)
                known = self.db.library_files.find(self.library.library_id, path)
                if known is not None and self.now - known.first_seen_at < _YOUNG_SECONDS:
                    yield path

    def _sounds_beside(self, new: Sequence[str], known_moves: Sequence[Move]) -> list[KnownSound]:
        """Departed files in the folders of new ones, or of their names; and missing ones, of their very paths."""
        moved = {move.file.file_id for move in known_moves}
        folders, stems = {folder_of(path) for path in new}, {stem_of(path) for path in new}
        departed = [
            row.file_id
            for row in self.survey.vanished()
            if row.file_id not in moved and (folder_of(row.path) in folders or stem_of(row.path) in stems)
        ]
        with_missing = self.db.enrichment.folders_of_missing(self.library.library_id, sorted(folders))
        beside_missing = [path for path in new if folder_of(path) in with_missing]
        missing = self.db.enrichment.missing_at(self.library.library_id, list(_in_other_formats(beside_missing)))
        elsewhere = Elsewhere(self.db)
        still_missing = (sound for sound in missing if elsewhere.is_gone(sound.file))
        found = {sound.file.file_id: sound for sound in chain(self.db.enrichment.sounds_of(departed), still_missing)}
        return [sound for file_id, sound in found.items() if file_id not in moved and sound.is_verified]

    async def _plausible(self, new: Sequence[str], sounds: Sequence[KnownSound]) -> dict[str, list[KnownSound]]:
        """Path of a new file to the sounds that it may be in another format."""
        folders = {folder_of(sound.file.path) for sound in sounds}
        beside = [path for path in new if folder_of(path) in folders]
        read = await self.workers.look_into(_TAGS, self.library.root_path, beside, few=len(beside) <= _TAGS_IN_THREAD)
        return await self._in_thread(lambda: _plausible(new, read, sounds))

    async def _fingerprint(self, path: str) -> Fingerprint | None:
        try:
            return await self.listener.fingerprint(join(self.library.root_path, path))
        except UndecodableAudio:
            # It stays what it is without this evidence: a new file.
            return None

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        return await anyio.to_thread.run_sync(work, limiter=self.threads)


def _plausible(
    new: Sequence[str], read: Mapping[str, AudioTags], sounds: Sequence[KnownSound]
) -> dict[str, list[KnownSound]]:
    by_stem, by_folder = _grouped(sounds, stem_of), _grouped(sounds, folder_of)
    plausible = {}
    for path in new:
        tags = read.get(path)
        title, seconds = (None, None) if tags is None else (tags.title, tags.duration_seconds)
        named_alike = by_stem.get(stem_of(path), ())
        # A name that very many files have, such as "Track 01", says nothing outside of their folders.
        elsewhere = named_alike if len(named_alike) <= _MANY else ()
        candidates = {
            sound.file.file_id: sound
            for sound in (*by_folder.get(folder_of(path), ()), *elsewhere)
            if may_be_transcoded(path, title, seconds, sound)
        }
        if candidates:
            plausible[path] = list(candidates.values())
    return plausible


def _sounding_like(heard: Fingerprint, sounds: Iterable[KnownSound]) -> list[KnownFile]:
    return [sound.file for sound in sounds if _is_heard(heard, sound)]


def _is_heard(heard: Fingerprint, sound: KnownSound) -> bool:
    known = sound.known
    if known.fingerprint is None or known.fingerprint_seconds is None:
        return False
    try:
        return is_same_recording(heard, Fingerprint(known.fingerprint, known.fingerprint_seconds))
    except (FingerprintLibraryMissing, ValueError):
        # Without the library nothing can be compared, which 'nomarr doctor' tells; ValueError: no fingerprint of ours.
        return False


def _in_other_formats(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        stem, _, extension = path.rpartition(".")
        for other in AUDIO_FORMATS:
            yield from (f"{stem}.{name}" for name in (other, other.upper()) if name != extension)


def _grouped(sounds: Iterable[KnownSound], key: Callable[[str], str]) -> Mapping[str, list[KnownSound]]:
    groups: dict[str, list[KnownSound]] = defaultdict(list)
    for sound in sounds:
        groups[key(sound.file.path)].append(sound)
    return groups
