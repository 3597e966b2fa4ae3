"""Duplicates a page at a time: comparing a library takes minutes, so the pages of an answer share one comparison."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
import anyio.to_thread

from nomarr.helpers.dto.answers import ComparisonProgress, DuplicateGroup, DuplicateKind, DuplicatePage
from nomarr.helpers.dto.files import FileRecord
from nomarr.helpers.exceptions import FingerprintLibraryMissing
from nomarr.helpers.time_helper import Clock
from nomarr.persistence.db import Database
from nomarr.workflows.library.find_duplicates_wf import find_duplicates_workflow

__all__ = ["DuplicatePages"]

_KEPT: Final = 4
"""The comparisons of so many libraries, those that were asked for last; of each group the ids of its files."""
_FIRST_PAGE_SECONDS: Final = 60.0
"""So old a comparison may be with which an answer begins: no event tells what enrichment finds out."""
_NEXT_PAGE_SECONDS: Final = 600.0
"""So old one may be with which an answer goes on."""


@dataclass(frozen=True, slots=True)
class _Group:
    kind: DuplicateKind
    file_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Every group of a library, as it was at one time."""

    groups: tuple[_Group, ...]
    last_seq: int
    """The newest change of any file before it began."""
    ended_at: float
    missing: str | None = None
    """Why recordings could not be compared."""

    def is_good_for(self, after: int, last_seq: int, now: float) -> bool:
        """True if a page that begins behind the first `after` groups may come out of it."""
        age = now - self.ended_at
        if after:
            return 0 <= age < _NEXT_PAGE_SECONDS
        return 0 <= age < _FIRST_PAGE_SECONDS and last_seq == self.last_seq


class DuplicatePages:
    """Keeps the newest comparisons. Who asks while a library is compared waits for the same comparison."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._kept: OrderedDict[str, _Comparison] = OrderedDict()
        self._locks: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)

    async def page(self, library_id: str, *, after: int, limit: int) -> DuplicatePage:
        """The groups behind the first `after` ones. Raises `FingerprintLibraryMissing` behind those of equal audio."""
        async with self._locks[library_id]:
            compared = await self._comparison(library_id, after)
        wanted = compared.groups[after : after + limit]
        if not wanted and compared.missing is not None:
            raise FingerprintLibraryMissing(compared.missing)
        groups = await anyio.to_thread.run_sync(lambda: tuple(self._with_records(library_id, wanted)))
        following = after + len(wanted)
        is_last = following >= len(compared.groups) and compared.missing is None
        return DuplicatePage(groups, None if is_last else following)

    async def _comparison(self, library_id: str, after: int) -> _Comparison:
        last_seq = await anyio.to_thread.run_sync(self._db.events.last_seq)
        kept = self._kept.pop(library_id, None)
        if kept is None or not kept.is_good_for(after, last_seq, self._clock()):
            kept = await self._compare(library_id, last_seq)
        self._kept[library_id] = kept
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept

    async def _compare(self, library_id: str, last_seq: int) -> _Comparison:
        groups: list[_Group] = []
        compared = partial(_Comparison, last_seq=last_seq)
        try:
            async for group in find_duplicates_workflow(self._db, library_id, _ignore):
                groups.append(_Group(group.kind, tuple(file.file_id for file in group.files)))
        except FingerprintLibraryMissing as error:
            return compared(tuple(groups), ended_at=self._clock(), missing=error.reason)
        return compared(tuple(groups), ended_at=self._clock())

    def _with_records(self, library_id: str, groups: Sequence[_Group]) -> Iterator[DuplicateGroup]:
        """The groups that are still some: files may have gone since."""
        for group in groups:
            records = map(self._db.library_files.get, group.file_ids)
            files = tuple(record for record in records if record is not None and _is_in(record, library_id))
            if len(files) > 1:
                yield DuplicateGroup(group.kind, files)


def _is_in(record: FileRecord, library_id: str) -> bool:
    return (record.library_id, record.missing_since, record.ignored_by) == (library_id, None, None)


def _ignore(_: ComparisonProgress) -> None:
    """Nobody watches."""
