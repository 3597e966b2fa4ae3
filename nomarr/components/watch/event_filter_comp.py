"""From one event on the disk to the folders that have to be looked at."""

from __future__ import annotations

from nomarr.helpers.dto.library import ScanTarget
from nomarr.helpers.dto.watching import DiskChange, DiskEvent, PathChange
from nomarr.helpers.file_kinds import RULE_FILES, kind_of
from nomarr.helpers.paths_helper import folder_of, name_of

__all__ = ["path_change_of", "targets_of"]


def targets_of(event: DiskEvent, library_id: str) -> list[ScanTarget]:
    """The folders to scan; none for files that Nomarr does not care about.

    A file matters under its old and its new name: `x.part` that becomes `x.mp3` is music. Of a folder both parents
    and everything in it are looked at, because what is inside came, went or became readable without further events.
    """
    paths = [event.path] if event.new_path is None else [event.path, event.new_path]
    if event.is_folder:
        parents = [ScanTarget(library_id, folder_of(path), recursive=False) for path in paths if path]
        return parents + [ScanTarget(library_id, path) for path in paths]
    names = [name_of(path) for path in paths]
    if any(name in RULE_FILES for name in names):
        # A rule holds for everything below its folder.
        return [ScanTarget(library_id, folder_of(path)) for path in paths]
    if any(kind_of(name) is not None for name in names):
        return [ScanTarget(library_id, folder_of(path), recursive=False) for path in paths]
    return []


def path_change_of(event: DiskEvent) -> PathChange | None:
    """What the event says about where a known file is now."""
    if event.change is DiskChange.DELETED:
        return PathChange(event.path, None, event.is_folder)
    if event.change is DiskChange.MOVED and event.new_path is not None:
        return PathChange(event.path, event.new_path, event.is_folder)
    return None
