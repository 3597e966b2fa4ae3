"""Everything that a database holds, as rows that mean the same in every backend; what comes of copies and checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "ContentCheck",
    "CopyMark",
    "CopyReport",
    "Finding",
    "FindingKind",
    "RowProgress",
    "RowStep",
    "StoredRow",
    "StoredTable",
    "TableDigest",
]


class StoredTable(StrEnum):
    """What is stored, in the order in which it can be written: nothing comes before what it belongs to."""

    SETTINGS = "settings"
    LIBRARIES = "libraries"
    FOLDERS = "library_folders"
    FILES = "library_files"
    """With everything that enrichment has found out."""
    SIDECARS = "library_sidecars"
    """Playlists with their entries, and images."""
    SCAN_RUNS = "scan_runs"
    EVENTS = "events"
    COUNTERS = "counters"
    """The number of the newest event, which may have been pruned."""
    LOOSE_COVERS = "loose_covers"


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row of one table."""

    key: str
    """Where it stands in its backend's order; means nothing to another one."""
    content: str
    """JSON with the same names, types and order in every backend, so that equal rows have equal texts."""
    misfiled: tuple[str, ...] = ()
    """What its backend derives from the content and has stored otherwise: questions may miss the row."""

    @property
    def is_readable(self) -> bool:
        """False if the row is damaged; then there is no content."""
        return self.content != ""


@dataclass(frozen=True, slots=True)
class TableDigest:
    """All rows of one table, whatever their order."""

    table: StoredTable
    rows: int
    digest: str
    """Sum of the SHA-256 of every row's content, modulo 2**256, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class CopyMark:
    """How far an unfinished copy is; stands in the database that it is made in."""

    source: str
    """Where the other database is, without a password."""
    stamp: str
    """What the source held when the copy began."""
    table: StoredTable
    """The table that is being copied; those before it are complete."""
    after: str = ""
    """The source's key of the last row that was written."""


class RowStep(StrEnum):
    """What is being done with the rows."""

    COPYING = "copying"
    VERIFYING = "verifying"
    CHECKING = "checking"


@dataclass(frozen=True, slots=True)
class RowProgress:
    """How far a copy or a check is, in rows. Verifying reads each of them twice."""

    step: RowStep
    table: StoredTable
    rows_done: int
    rows_total: int


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was copied; both databases hold it."""

    source: str
    target: str
    tables: tuple[TableDigest, ...]
    resumed: bool
    """True if an earlier copy, that was ended before it was complete, had written a part."""
    duration_seconds: float
    data_folder: str | None
    """Where the source keeps covers unless the setting `data_folder` says otherwise; None for a server."""

    @property
    def rows(self) -> int:
        """How many rows, of all tables."""
        return sum(table.rows for table in self.tables)


class FindingKind(StrEnum):
    """What may be wrong with the contents of a database."""

    BROKEN_STORAGE = "broken_storage"
    ROW_WITHOUT_LIBRARY = "row_without_library"
    REMOVAL_UNFINISHED = "removal_unfinished"
    FOLDER_WITHOUT_PARENT = "folder_without_parent"
    FILE_WITHOUT_FOLDER = "file_without_folder"
    FILE_ID_TWICE = "file_id_twice"
    UNREADABLE_ROW = "unreadable_row"
    MISFILED_ROW = "misfiled_row"
    EVENT_BEYOND_COUNTER = "event_beyond_counter"
    PLAYLIST_LINK_TO_NOTHING = "playlist_link_to_nothing"
    COVER_MISSING = "cover_missing"
    COVER_WITHOUT_FILE = "cover_without_file"
    LEASE_STANDS_STILL = "lease_stands_still"
    RUN_WITHOUT_END = "run_without_end"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of inconsistency, with all its cases."""

    kind: FindingKind
    count: int
    meaning: str
    """A sentence for people."""
    remedy: str
    examples: tuple[str, ...] = ()
    """A few of the cases, readable."""
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class ContentCheck:
    """What a look at all contents of a database found."""

    rows: int
    """How many were looked at."""
    findings: tuple[Finding, ...] = ()
    in_use: bool = False
    """True if somebody scanned or enriched meanwhile: what was just being written may look wrong."""

    @property
    def is_consistent(self) -> bool:
        """True if nothing is wrong, or all of it was repaired."""
        return all(finding.repaired for finding in self.findings)
