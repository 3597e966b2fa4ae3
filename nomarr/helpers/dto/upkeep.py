"""What keeping the database in order did: missing files that were purged, moves that were undone."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PurgeReport", "PurgedLibrary", "UndoneMove"]


@dataclass(frozen=True, slots=True)
class PurgedLibrary:
    """What was purged of one library, or would be."""

    library_id: str
    name: str
    files: int = 0
    paths: tuple[str, ...] = ()
    """The files that were missing for the longest time, at most a thousand of them."""
    skipped: str | None = None
    """Why the library was left out, or left before everything was purged."""


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What was purged, or would be."""

    older_than_days: float
    """For how long the files had been missing, at least."""
    libraries: tuple[PurgedLibrary, ...] = ()
    dry_run: bool = False

    @property
    def files(self) -> int:
        """How many files, of all libraries."""
        return sum(library.files for library in self.libraries)


@dataclass(frozen=True, slots=True)
class UndoneMove:
    """Where a file was put back, and what became of the one that had been taken for it."""

    seq: int
    """Of the event that was undone."""
    file_id: str
    library_id: str
    path: str
    """The old path: the file is missing there now."""
    new_file_id: str | None
    """The id of the file at the new path from now on; None if there is none any more."""
    new_library_id: str
    new_path: str
