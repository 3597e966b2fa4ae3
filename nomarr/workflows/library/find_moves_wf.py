"""Which of the files that are new at their path were known at another one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Final

from nomarr.components.library.detect_moves_comp import Arrival, Move, detect_moves, identity_of
from nomarr.components.library.diff_folder_comp import FolderDiff
from nomarr.components.library.path_changes_comp import places_after
from nomarr.helpers.dto.files import KnownFile, int64
from nomarr.helpers.dto.library import Library
from nomarr.helpers.dto.watching import PathChange
from nomarr.helpers.paths_helper import folder_of, join
from nomarr.persistence.db import Database
from nomarr.workflows.library.elsewhere_wf import Elsewhere
from nomarr.workflows.library.survey_wf import Survey

__all__ = ["find_moves"]

_INODES_AT_ONCE: Final = 5000


def find_moves(
    db: Database,
    library: Library,
    survey: Survey,
    path_changes: Sequence[PathChange] = (),
) -> list[Move]:
    """Moves into `library`, from anywhere in any library. The cost grows with the new files, not with the library.

    Args:
        path_changes: what was noticed in this library since the rows were written, in its order.
    """
    elsewhere = Elsewhere(db)
    noticed = _noticed_moves(survey, path_changes, elsewhere) if path_changes else []
    has_inodes = any(_arrival_inodes(survey))
    if not noticed and not (has_inodes and db.library_files.any_files()):
        return []
    departed = {row.file_id: row for row in survey.departed()}
    for chunk in _chunks(inode for inode in _arrival_inodes(survey) if inode):
        for row in db.library_files.with_inodes(chunk):
            if row.file_id not in departed and (elsewhere.has_left(row) or _comes_back(row, library, survey)):
                departed[row.file_id] = row
    return detect_moves(
        _arrivals(survey),
        departed.values(),
        library.library_id,
        elsewhere.device_now,
        noticed,
        partial(_is_there, library.root_path),
    )


def _is_there(root: str, arrival: Arrival) -> bool:
    try:
        return int64(os.lstat(join(root, arrival.path)).st_ino) == arrival.identity.inode
    except OSError:
        return False


def _noticed_moves(
    survey: Survey, path_changes: Sequence[PathChange], elsewhere: Elsewhere
) -> list[tuple[KnownFile, Arrival]]:
    """Files of this library that are not where they were, and the files that are where those should be now."""
    departed = _standing(chain(survey.departed(), filter(elsewhere.has_left, survey.unsure())))
    edited = _standing(diff.changed[index] for diff in survey.diffs for index in diff.edited())
    ends = places_after(departed | edited, path_changes)
    moved: dict[str, KnownFile] = {}
    for path in departed:
        # The next file along is one that seems to be only edited, if the new file got the inode that the old one freed.
        while path in ends and ends[path] not in moved:
            moved[ends[path]] = departed.get(path) or edited[path]
            path = ends[path]
    found = (_arrival(diff, index) for diff in survey.diffs for index in chain(diff.new, diff.edited()))
    return [(moved[arrival.path], arrival) for arrival in found if arrival.path in moved]


def _standing(rows: Iterable[KnownFile]) -> dict[str, KnownFile]:
    """Path to row of the files that were there before."""
    return {row.path: row for row in rows if row.is_present and not row.displaced}


def _comes_back(row: KnownFile, library: Library, survey: Survey) -> bool:
    """True for a displaced file at whose own path a file was found that could be it: it gets its place back."""
    if not row.displaced or row.library_id != library.library_id:
        return False
    folder = folder_of(row.path)
    return any(
        diff.path_at(index) == row.path
        for diff in survey.diffs
        if diff.listing.path == folder
        for index in diff.arrivals()
    )


def _arrivals(survey: Survey) -> Iterator[Arrival]:
    return (_arrival(diff, index) for diff in survey.diffs for index in diff.arrivals())


def _arrival(diff: FolderDiff, index: int) -> Arrival:
    return Arrival(diff.path_at(index), identity_of(diff.listing.stat_at(index), diff.listing.device))


def _arrival_inodes(survey: Survey) -> Iterator[int]:
    return (diff.listing.inode_at(index) for diff in survey.diffs for index in diff.arrivals())


def _chunks(inodes: Iterator[int]) -> Iterator[list[int]]:
    while chunk := list(islice(inodes, _INODES_AT_ONCE)):
        yield chunk
