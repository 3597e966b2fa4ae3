"""The fewest targets that cover what happened, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nomarr.helpers.dto.library import ScanTarget, without_covered
from nomarr.helpers.paths_helper import folder_of, folders_above

__all__ = ["MAX_TARGETS", "TargetSet"]

MAX_TARGETS: Final = 512


class TargetSet:
    """Folders of one library to scan, at most `limit` of them.

    When there are more, the deepest become their parents, with everything below, until there are half as many; at last
    it is the whole library. Nothing that was added is ever left out.
    """

    def __init__(self, library_id: str, limit: int = MAX_TARGETS) -> None:
        self._library_id = library_id
        self._limit = limit
        self._recursive: dict[str, bool] = {}
        self.folds = 0
        """How often deep folders became their parents."""

    def __len__(self) -> int:
        return len(self._recursive)

    def add(self, targets: Iterable[ScanTarget]) -> bool:
        """Add targets of this library; False if everything that they ask for is asked for already."""
        is_new = False
        for target in targets:
            path = target.folder_path
            if self._is_covered(path) or self._recursive.get(path) == target.recursive:
                continue
            is_new = True
            self._recursive[path] = target.recursive
            if len(self._recursive) > self._limit:
                self._fold()
        return is_new

    def targets(self) -> list[ScanTarget]:
        """The targets, sorted, none of which covers another."""
        return without_covered(
            ScanTarget(self._library_id, path, recursive) for path, recursive in self._recursive.items()
        )

    def take(self) -> list[ScanTarget]:
        """As `targets`; then the set is empty."""
        targets = self.targets()
        self._recursive.clear()
        return targets

    def _is_covered(self, path: str) -> bool:
        return self._recursive.get(path, False) or any(
            self._recursive.get(above, False) for above in folders_above(path)
        )

    def _fold(self) -> None:
        self._recursive = {target.folder_path: target.recursive for target in self.targets()}
        while len(self._recursive) > max(1, self._limit // 2):
            self.folds += 1
            deepest = max(path.count("/") for path in self._recursive if path)
            for path in [path for path in self._recursive if path and path.count("/") == deepest]:
                del self._recursive[path]
                self._recursive[folder_of(path)] = True
