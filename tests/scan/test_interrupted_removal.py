"""A removal of a library that failed half way ends by itself, and meanwhile nobody sees what is left."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.music import tones
from support.scanned import Music, Scanned
from support.scans import scan
from support.system import until

from nomarr import DatabaseError, LibraryNotFound, Nomarr, ScanTarget

# It writes SQL.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def _another_scan(music: Music) -> None:
    other = music.root.parent / "other"
    other.mkdir()
    await scan(music.nomarr, await music.nomarr.libraries.add_library("other", other))


async def _the_same_call(music: Music) -> None:
    await music.nomarr.libraries.remove_library(music.library.library_id)


async def _watching(music: Music) -> None:
    for _ in range(2):
        await music.nomarr.watch_all()


@pytest.fixture
async def left(scanned: Scanned, database: Path) -> Music:
    """A library with two files whose removal failed before the first of them was forgotten."""
    music = await scanned(tones(2))
    with closing(sqlite3.connect(database)) as raw:
        raw.execute("CREATE TRIGGER fails BEFORE DELETE ON library_files BEGIN SELECT RAISE(ABORT, 'no'); END")
        with pytest.raises(DatabaseError):
            await music.nomarr.libraries.remove_library(music.library.library_id)
        raw.execute("DROP TRIGGER fails")
    return music


def _rows(nomarr: Nomarr, library_id: str) -> int:
    return nomarr.database.library_files.count_present(library_id)


@pytest.mark.parametrize("what_follows", [_another_scan, _the_same_call, _watching])
async def test_it_ends_by_itself(left: Music, what_follows: Callable[[Music], Awaitable[None]]) -> None:
    library_id = left.library.library_id
    assert _rows(left.nomarr, library_id) == 2
    await what_follows(left)
    await until(lambda: not left.nomarr.database.library.unfinished_removals())
    assert _rows(left.nomarr, library_id) == 0
    with pytest.raises(LibraryNotFound):
        await left.nomarr.libraries.remove_library(library_id)


async def test_nobody_sees_what_is_left(left: Music) -> None:
    nomarr, library_id = left.nomarr, left.library.library_id
    assert await nomarr.libraries.list_libraries() == []
    with pytest.raises(LibraryNotFound):
        await nomarr.libraries.scan_targets([ScanTarget(library_id)])
    report = await nomarr.enrichment.run()
    assert (report.steps_done, (await nomarr.enrichment.due_work()).unfinished) == (0, 0)


async def test_what_fails_again_is_told_and_tried_later(
    left: Music, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(database)) as raw:
        raw.execute("CREATE TRIGGER fails BEFORE DELETE ON library_files BEGIN SELECT RAISE(ABORT, 'no'); END")
        await _another_scan(left)
        raw.execute("DROP TRIGGER fails")
    assert "could not finish the removal of a library" in caplog.text
    assert _rows(left.nomarr, left.library.library_id) == 2
    await left.nomarr.libraries.finish_removals()
    assert _rows(left.nomarr, left.library.library_id) == 0
