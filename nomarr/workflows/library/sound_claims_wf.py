"""New files that hold the audio of a known file whose own place nobody has looked at yet.

Nothing is at the known file's path, so either it moved there, or it was only renamed and the new file is a copy of it.
The new file gets an id of its own at first, and a claim is noted. Once a scan has missed the known file, and found it
nowhere, the claim is due: the new file takes its id over. A known file that was found somewhere keeps its id.

A new file that somebody may have used for a day keeps its own id whatever comes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from nomarr.helpers.dto.files import FileRecord, FileStat, KnownFile
from nomarr.persistence.db import Database

__all__ = ["DueClaim", "SoundClaim", "SoundClaims"]

_PREFIX: Final = "sound_claims/"
_AT_ONCE: Final = 1000
_SECONDS: Final = 24 * 3600.0
"""So young a new file may still give its id up, as in `find_transcoded_wf`."""


class SoundClaim(NamedTuple):
    """The new file `file_id` holds the audio of the file `known_id`, which was in `library_id` at `path`."""

    file_id: str
    known_id: str
    library_id: str
    path: str
    audio_hash: str


@dataclass(frozen=True, slots=True)
class DueClaim:
    """A file that is there, and the missing one whose id it is to have if it still holds that audio."""

    file: FileRecord
    known: KnownFile
    audio_hash: str

    @property
    def stat(self) -> FileStat:
        """The numbers of the file when it was last read."""
        return FileStat(self.file.size, self.file.mtime_ns, self.file.ctime_ns, self.file.inode)


class SoundClaims:
    """The claims on files of all libraries, as the database keeps them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def note(self, claims: Sequence[SoundClaim], now: float) -> None:
        """To be called before the new files are written: a claim on nothing is harmless, one that is lost is not."""
        for start in range(0, len(claims), _AT_ONCE):
            some = claims[start : start + _AT_ONCE]
            self._db.settings.set(f"{_PREFIX}{uuid.uuid4().hex}", json.dumps({"since": now, "claims": some}))

    def due(self, now: float) -> list[DueClaim]:
        """Claims on files that are missing; of several on one file none, as one of them must be a copy.

        Notes of which no claim can become due any more are forgotten.
        """
        notes = {key: _claims_in(text, now) for key, text in self._db.settings.below(_PREFIX).items()}
        if not notes:
            return []
        wanted = {claim.known_id for claims in notes.values() for claim in claims}
        known = {sound.file.file_id: sound.file for sound in self._db.enrichment.sounds_of(list(wanted))}
        waiting = {key: [claim for claim in claims if _is_open(claim, known)] for key, claims in notes.items()}
        self._db.settings.remove(key for key, claims in waiting.items() if not claims)
        return list(self._of_missing([claim for claims in waiting.values() for claim in claims], known))

    def _of_missing(self, claims: Sequence[SoundClaim], known: dict[str, KnownFile]) -> Iterator[DueClaim]:
        due: dict[str, list[DueClaim]] = {}
        for claim in claims:
            file = known[claim.known_id]
            if file.missing_since is not None and (new := self._present(claim.file_id)) is not None:
                due.setdefault(claim.known_id, []).append(DueClaim(new, file, claim.audio_hash))
        for rivals in due.values():
            if len(rivals) == 1:
                yield rivals[0]

    def _present(self, file_id: str) -> FileRecord | None:
        file = self._db.library_files.get(file_id)
        return None if file is None or file.missing_since is not None or file.ignored_by is not None else file


def _claims_in(text: str, now: float) -> list[SoundClaim]:
    note = json.loads(text)
    return [SoundClaim(*claim) for claim in note["claims"]] if now - note["since"] < _SECONDS else []


def _is_open(claim: SoundClaim, known: dict[str, KnownFile]) -> bool:
    """False for a claim on a file that is known at another place by now, or not at all."""
    file = known.get(claim.known_id)
    return file is not None and (file.library_id, file.path) == (claim.library_id, claim.path)
