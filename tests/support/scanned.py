"""A library that was scanned once, to which something happens then."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

from nomarr import Library, Nomarr, ScanReport
from support.disk import assert_equal
from support.scans import happened, ids, scan


class Music:
    """A scanned library: rename in it, scan again, and see what became of the ids."""

    def __init__(self, nomarr: Nomarr, library: Library, before: dict[str, str], seq: int) -> None:
        self.nomarr, self.library, self.before, self.seq = nomarr, library, before, seq
        self.root = Path(library.root_path)

    def rename(self, old: str, new: str) -> None:
        (self.root / new).parent.mkdir(parents=True, exist_ok=True)
        os.rename(self.root / old, self.root / new)

    def swap(self, one: str, other: str) -> None:
        self.rename(one, "swapping")
        self.rename(other, one)
        self.rename("swapping", other)

    async def scan(self, *folders: str, **options: Any) -> ScanReport:
        return await scan(self.nomarr, self.library, *folders, **options)

    async def ids(self) -> dict[str, str]:
        await assert_equal(self.nomarr, self.library)
        return await ids(self.nomarr, self.library)

    async def happened(self) -> list[tuple[str, str]]:
        return await happened(self.nomarr, self.seq)


Scanned: TypeAlias = Callable[..., Awaitable[Music]]
"""`await scanned({"Rock": {"a.wav": tone(440)}})` makes such a library."""
