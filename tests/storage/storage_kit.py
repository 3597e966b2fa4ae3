"""Short ways to say what a storage test needs: a library that is being scanned, and batches out of a few words."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from nomarr.helpers.dto.batches import (
    BatchResult,
    FileGone,
    FileHidden,
    FileMove,
    FileSeen,
    FileUpsert,
    ImageUpsert,
    PlaylistLine,
    PlaylistUpsert,
    ScanBatch,
)
from nomarr.helpers.dto.enrichment import EnrichmentUpdate, ProcessingStatus
from nomarr.helpers.dto.events import ChangeEvent
from nomarr.helpers.dto.files import FileRecord, FileStat, FolderRecord, KnownFile
from nomarr.helpers.dto.library import Library, ScanTarget
from nomarr.helpers.dto.scan import Lease, LeaseOwner, ScanRunState
from nomarr.helpers.dto.tags import AudioTags, TagReadResult
from nomarr.helpers.paths_helper import folder_of
from nomarr.persistence.db import Database

START = 1_700_000_000.0
LATER = START + 1000.0
"""When every story begins."""
LEASE_SECONDS = 60.0
INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)

# Names that a file system allows and a database may mix up.
ODD_NAMES = [
    "Rock",
    "Rock+",
    "rock",
    "Rock ",
    "Rock0",
    "Rock!",
    "Rock.",
    "Rockabilly",
    "100%",
    "under_score",
    "underXscore",
    "back\\slash",
    "back\\\\slash",
    "\\x41",
    "\\xff",
    os.fsdecode(b"\xff"),
    os.fsdecode(b"caf\xe9"),
    os.fsdecode(b"\xc3"),
    "caf\u00e9",
    "cafe\u0301",
    "it's",
    'say "hi"',
    "new\nline",
    "tab\tstop",
    "\x01control",
    "STRASSE",
    "stra\u00dfe",
    "\U0001f3b8 guitar \U0001f468\u200d\U0001f3a4",
    "\U0010ffff",
    "\uffff",
    "n" * 251,
    "\u00e9" * 125,
    "displaced:x",
    "-- comment",
    "; DROP TABLE libraries",
    "*?[a]",
    "~",
    " ",
]


def owner(token: str = "one") -> LeaseOwner:
    return LeaseOwner("host", 4711, 42, token)


def stat(number: int = 1) -> FileStat:
    """Numbers that differ from those of every other `number`."""
    return FileStat(1000 + number, 2_000_000_000 + number, 3_000_000_000 + number, number)


def fresh_id() -> str:
    return uuid.uuid4().hex


def read(title: str | None = "Title") -> TagReadResult:
    return TagReadResult(AudioTags(title=title, artist="Artist", artists=("Artist",), format="flac"))


def unreadable(error: str = "the file is truncated") -> TagReadResult:
    return TagReadResult(None, error)


def upsert(
    path: str,
    *,
    number: int = 1,
    tags: TagReadResult | None = None,
    file_id: str | None = None,
    device: int = 64,
    read_at: float = START,
) -> FileUpsert:
    return FileUpsert(file_id or fresh_id(), path, stat(number), device, tags or read(), read_at)


def seen(file: KnownFile, *, number: int | None = None) -> FileSeen:
    return FileSeen(file.file_id, file.path, file.stat if number is None else stat(number), file.device)


def gone(file: KnownFile) -> FileGone:
    return FileGone(file.file_id, file.path)


def hidden(file: KnownFile, rule: str = "*.tmp") -> FileHidden:
    return FileHidden(file.file_id, file.path, rule)


def moved(file: KnownFile, to_path: str, evidence: str = "device+inode") -> FileMove:
    return FileMove(file.file_id, file.library_id, file.path, to_path, evidence)


def playlist(
    path: str, *targets: str | None, library_id: str = "music", number: int = 1, error: str | None = None
) -> PlaylistUpsert:
    lines = tuple(PlaylistLine(f"line {target}", None if target is None else library_id, target) for target in targets)
    return PlaylistUpsert(path, stat(number), lines, error)


def image(path: str, number: int = 1) -> ImageUpsert:
    return ImageUpsert(path, stat(number))


def folder(path: str, digest: str = "digest", *, disk: int = 0) -> FolderRecord:
    return FolderRecord(path, digest, disk)


def examples(url: str, many: int) -> int:
    """How many examples of a story are enough: to ask a server takes some ten times as long as to ask a file."""
    return many if url.startswith("sqlite:") else many // 15


@dataclass
class Scan:
    """A library that is being scanned; `now` is the only clock."""

    db: Database
    library_id: str
    lease: Lease
    now: float = START
    seen_seq: int = field(default=0)

    def write(self, **parts: list[object]) -> BatchResult:
        """Write one batch, a second after the last one."""
        self.now += 1
        return self.db.library_files.upsert_batch(self.lease, ScanBatch(**parts), now=self.now)  # type: ignore[arg-type]

    def write_images(self, *images: ImageUpsert, gone: Sequence[str] = ()) -> BatchResult:
        """Write images beside known files as a scan does it."""
        folders = {folder_of(path) for path in (*gone, *(image.path for image in images))}
        self.db.library_sidecars.look_for_covers_in(self.lease, folders, now=self.now)
        return self.write(images=list(images), gone_sidecars=list(gone))

    def add(self, *paths: str) -> dict[str, KnownFile]:
        """New files, each with numbers of its own; the known files by path."""
        first = self.db.library_files.count_present(self.library_id) + 1
        self.write(upserts=[upsert(path, number=first + index) for index, path in enumerate(paths)])
        return self.files()

    def known(self) -> list[KnownFile]:
        """Every row of the library, missing and hidden ones too."""
        return [file for page in self.db.library_files.below(self.library_id, "") for file in page]

    def files(self) -> dict[str, KnownFile]:
        """Rows by path, without displaced ones."""
        return {file.path: file for file in self.known() if not file.displaced}

    def by_id(self) -> dict[str, KnownFile]:
        return {file.file_id: file for file in self.known()}

    def record(self, path: str) -> FileRecord:
        found = self.db.library_files.find(self.library_id, path)
        assert found is not None
        return found

    def folders(self) -> set[str]:
        return set(self.db.library_folders.within(ScanTarget(self.library_id)))

    def new_events(self) -> list[ChangeEvent]:
        """The events since the last call."""
        events = self.db.events.after(self.seen_seq)
        self.seen_seq = events[-1].seq if events else self.seen_seq
        return events

    def told(self) -> list[tuple[str, str]]:
        """Type and path of the events since the last call."""
        return [(str(event.type), event.path) for event in self.new_events()]


def start_scan(
    db: Database, name: str = "music", *, now: float = START, token: str = "one", lease_seconds: float = 1e6
) -> Scan:
    """Add the library `name`, with that as its id, and take its lease."""
    db.library.add_library(Library(name, name.title(), f"/{name}"))
    lease = take_lease(db, name, now=now, token=token, lease_seconds=lease_seconds)
    assert lease is not None
    return Scan(db, name, lease, now, db.events.last_seq())


def take_lease(
    db: Database,
    library_id: str = "music",
    *,
    scan_id: str | None = None,
    now: float = START,
    token: str = "one",
    targets: Iterable[ScanTarget] | None = None,
    lease_seconds: float = LEASE_SECONDS,
    full_since: float | None = None,
    dead_owner: str | None = None,
) -> Lease | None:
    return db.library.mark_scan_started(
        library_id,
        scan_id or fresh_id(),
        owner(token),
        [ScanTarget(library_id)] if targets is None else list(targets),
        now=now,
        lease_seconds=lease_seconds,
        full_since=full_since,
        dead_owner=dead_owner,
    )


def give_lease_back(scan: Scan) -> None:
    """The scan has completed."""
    scan.db.library.mark_scan_completed(scan.lease, ScanRunState.COMPLETED, now=scan.now, report=None)


def store(db: Database, update: EnrichmentUpdate, *, now: float = START) -> bool:
    """As a process does that enriches, and gives its lease back."""
    with enriching(db, now) as enricher:
        return db.enrichment.store(update, enricher, now=now)


def forget_loose_covers(db: Database, cover_ids: list[str], *, now: float = START) -> None:
    """As a process does that enriches, and gives its lease back."""
    with enriching(db, now) as enricher:
        db.enrichment.forget_loose_covers(cover_ids, enricher, now=now)


@contextmanager
def enriching(db: Database, now: float = START) -> Iterator[LeaseOwner]:
    """One process that enriches the database."""
    enricher = owner("enricher")
    assert db.enrichment.take_lease(enricher, now=now, lease_seconds=LEASE_SECONDS)
    yield enricher
    db.enrichment.give_lease_back(enricher)


def lose_lease(scan: Scan) -> None:
    """Let the lease run out and somebody else take it."""
    state = scan.db.library.get_scan_state(scan.library_id)
    assert state is not None
    assert state.expires_at is not None
    assert take_lease(scan.db, scan.library_id, now=state.expires_at, token="other") is not None


def want_fingerprints(scan: Scan) -> int:
    return scan.db.enrichment.want_fingerprints(now=LATER)


def want_content_hashes(scan: Scan) -> int:
    return scan.db.enrichment.want_content_hashes()


def retry_failed(scan: Scan) -> int:
    return scan.db.enrichment.retry_failed(now=LATER)


WISHES = {
    want_fingerprints: ProcessingStatus.COMPLETE,
    want_content_hashes: ProcessingStatus.COMPLETE,
    retry_failed: ProcessingStatus.ERROR,
}
"""What may be wanted of every file at once, and the state that files have to be in for it."""
