"""Where many files are after renames and deletions; the cost grows with both, not with their product."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from nomarr.helpers.dto.watching import PathChange
from nomarr.helpers.paths_helper import folder_of, join

__all__ = ["places_after"]

_STRANGER: Final = ""
"""Stands for a file that is not among those asked about; no file has the empty path."""


def places_after(paths: Iterable[str], changes: Iterable[PathChange]) -> dict[str, str]:
    """Old path to new path of the files that are at another place after the changes; no two are at one.

    Files that were deleted or overwritten are left out, and so are those that stayed or came back. An unknown file
    that is renamed within its folder onto a known one is how programs save, so the known file goes on there; one from
    another folder overwrites it.
    """
    root = _Place()
    for path in paths:
        root.at(path).file = path
    for change in changes:
        if change.is_folder:
            _apply_to_folder(root, change)
        else:
            _apply_to_file(root, change)
    return {old: new for new, old in root.files() if old not in (new, _STRANGER)}


@dataclass(slots=True)
class _Place:
    """A node of the tree of paths: what is there, as file and as folder."""

    file: str | None = None
    """The path at which this file was before all changes."""
    inside: defaultdict[str, _Place] = field(default_factory=lambda: defaultdict(_Place))

    def at(self, path: str) -> _Place:
        """The place at `path` below this one."""
        place = self
        for name in path.split("/"):
            place = place.inside[name]
        return place

    def files(self) -> Iterator[tuple[str, str]]:
        """Every file below: where it is now, and where it was."""
        waiting = [("", self)]
        while waiting:
            path, place = waiting.pop()
            if place.file is not None:
                yield path, place.file
            waiting += [(join(path, name), below) for name, below in place.inside.items()]


def _apply_to_file(root: _Place, change: PathChange) -> None:
    place = root.at(change.old)
    file, place.file = place.file, None
    if change.new is None:
        return
    if file is not None:
        root.at(change.new).file = file
    elif folder_of(change.old) != folder_of(change.new):
        root.at(change.new).file = _STRANGER


def _apply_to_folder(root: _Place, change: PathChange) -> None:
    place = root.at(change.old)
    file, inside = place.file, place.inside
    place.file, place.inside = None, defaultdict(_Place)
    if change.new is not None:
        # Only an empty folder can be overwritten by another one: what was there before is not there any more.
        place = root.at(change.new)
        place.file, place.inside = file, inside
