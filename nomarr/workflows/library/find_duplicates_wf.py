"""Find files of a library that hold the same music."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final

import anyio
import anyio.from_thread
import anyio.to_thread

from nomarr.components.media.fingerprint_comp import Fingerprint, same_recordings
from nomarr.helpers.dto.answers import ComparisonProgress, DuplicateGroup, DuplicateKind
from nomarr.helpers.dto.files import FileRecord
from nomarr.persistence.db import Database
from nomarr.workflows.library.task_errors_wf import single_error

__all__ = ["find_duplicates_workflow"]

_PAGE: Final = 100
_INTERVAL_SECONDS: Final = 0.2


async def find_duplicates_workflow(
    db: Database, library_id: str, on_progress: Callable[[ComparisonProgress], None]
) -> AsyncIterator[DuplicateGroup]:
    """First the groups of equal audio, then those of equal recordings, each by path.

    A recording of which all files have equal audio is told once, as equal audio. Cancelling ends the search at once.

    Args:
        on_progress: is told how far the search for recordings is, at least once.

    Raises:
        FingerprintLibraryMissing: when it comes to recordings, if chromaprint is not installed.
    """
    same_audio = db.enrichment.same_audio(library_id)
    while page := await anyio.to_thread.run_sync(_next_page, same_audio):
        for files in page:
            yield DuplicateGroup(DuplicateKind.SAME_AUDIO, tuple(files))
    for files in await _same_recordings(db, library_id, on_progress):
        yield DuplicateGroup(DuplicateKind.SAME_RECORDING, tuple(files))


def _next_page(groups: Iterator[list[FileRecord]]) -> list[list[FileRecord]]:
    return list(islice(groups, _PAGE))


async def _same_recordings(
    db: Database, library_id: str, on_progress: Callable[[ComparisonProgress], None]
) -> list[list[FileRecord]]:
    known = await anyio.to_thread.run_sync(db.enrichment.fingerprints, library_id)
    fingerprints = {file_id: Fingerprint(*found) for file_id, found in known.items()}
    meter = _Meter(len(fingerprints))
    with single_error():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(meter.publish, on_progress)
            compare = partial(same_recordings, fingerprints, on_compared=meter.compared)
            groups = await anyio.to_thread.run_sync(compare)
            tasks.cancel_scope.cancel()
    on_progress(meter.snapshot())
    return await anyio.to_thread.run_sync(_with_records, db, library_id, groups)


def _with_records(db: Database, library_id: str, groups: Sequence[Collection[str]]) -> list[list[FileRecord]]:
    """The groups with more than one audio. In one pass: the files of a group lie anywhere in the library."""
    group_of = {file_id: number for number, group in enumerate(groups) for file_id in group}
    found: dict[int, list[FileRecord]] = {}
    for record in db.library_files.records(library_id) if group_of else ():
        anyio.from_thread.check_cancelled()
        if (number := group_of.get(record.file_id)) is not None:
            found.setdefault(number, []).append(record)
    # A file may have gone since it was compared.
    return [files for files in found.values() if len(files) > 1 and not _have_same_audio(files)]


def _have_same_audio(files: Sequence[FileRecord]) -> bool:
    hashes = {record.audio_hash for record in files}
    return len(hashes) == 1 and None not in hashes


@dataclass(slots=True)
class _Meter:
    """Counts in a worker thread, and tells in the event loop."""

    total: int
    done: int = 0
    began_at: float = field(default_factory=time.monotonic)

    def compared(self, done: int) -> None:
        """Called by the thread; ends it if nobody wants the answer any more."""
        anyio.from_thread.check_cancelled()
        self.done = done

    def snapshot(self) -> ComparisonProgress:
        rate = self.done / max(time.monotonic() - self.began_at, 0.001)
        left = round((self.total - self.done) / rate, 1) if rate else None
        return ComparisonProgress(self.done, self.total, round(rate, 1), left)

    async def publish(self, on_progress: Callable[[ComparisonProgress], None]) -> None:
        """Tell about it until cancelled."""
        while True:
            on_progress(self.snapshot())
            await anyio.sleep(_INTERVAL_SECONDS)
