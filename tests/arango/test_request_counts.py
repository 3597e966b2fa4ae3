"""What a scan costs at the server, by the server's own log."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.arango import ArangoDouble
from support.arango.faults import LOGIN_REFUSED
from support.music import build, tone, wait_for_another_timestamp
from support.scans import scan

from nomarr import DatabaseError, Nomarr
from nomarr.persistence.database.queries import COMMIT
from nomarr.persistence.database.query_examples import named_queries

CONSTANT = 30
"""Requests of a scan that do not depend on the library: the lease, the root, the folders' digests, the end."""


def asked(server: ArangoDouble) -> Counter[str]:
    """Requests by the names of their queries, then forgotten."""
    names = {text: name for name, text in named_queries()}
    found = Counter(names.get(seen.query, seen.path) for seen in server.log)
    server.forget_requests()
    return found


async def scans_of(
    server: ArangoDouble, root: Path, folder: Path, batch_size: int
) -> tuple[Counter[str], Counter[str]]:
    """The requests of a first scan and of one that finds nothing new."""
    settings = {"settle_seconds": 0, "tag_workers": 1, "scan_batch_size": batch_size}
    async with Nomarr.open(server.database_url(), **settings, data_folder=str(folder / "data")) as nomarr:
        library = await nomarr.libraries.add_library("music", root)
        wait_for_another_timestamp(root.parent, 0.03)
        server.forget_requests()
        await scan(nomarr, library)
        first = asked(server)
        report = await scan(nomarr, library)
        assert not report.changes_detected
        return first, asked(server)


@pytest.mark.parametrize("covers", [{}, {"cover.jpg": b"\xff\xd8"}], ids=["no covers", "covers"])
@pytest.mark.parametrize(("files", "batch_size"), [(400, 50), (401, 200), (400, 63)])
async def test_a_first_scan_asks_once_for_each_batch(
    server: ArangoDouble,
    tmp_path: Path,
    music_tree: Callable[..., Path],
    files: int,
    batch_size: int,
    covers: dict[str, bytes],
) -> None:
    content = tone(300)
    tree = {f"{n:03}": {**covers, **{f"{n}-{i}.wav": content for i in range(10)}} for n in range(files // 10)}
    root = music_tree({**tree, **{f"{i}.wav": content for i in range(files % 10)}})
    first, again = await scans_of(server, root, tmp_path, batch_size)
    batches = math.ceil(files / batch_size)
    assert batches <= first["COMMIT"] <= batches + 1
    assert first.total() <= batches + CONSTANT, first
    assert again["COMMIT"] == 0
    assert again.total() <= CONSTANT, again


async def test_looking_which_libraries_there_are_counts_no_files(
    server: ArangoDouble, tmp_path: Path, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"A": {"a.wav": tone(200), "a.m3u": b"a.wav"}, "B": {"b.wav": tone(201), "b.m3u": b"b.wav"}})
    async with Nomarr.open(server.database_url(), settle_seconds=0, data_folder=str(tmp_path / "data")) as nomarr:
        library = await nomarr.libraries.add_library("music", root)
        server.forget_requests()
        await scan(nomarr, library)
        await nomarr.watcher.follow_libraries()
        seen = asked(server)
    assert seen["LIBRARIES"] > 0
    assert seen["COUNTED_LIBRARIES"] == 0


async def test_covers_beside_known_files_are_looked_for_before_their_images_are_recorded(
    server: ArangoDouble, tmp_path: Path, music_tree: Callable[..., Path]
) -> None:
    folders = 150
    root = music_tree({str(number): {"a.wav": tone(200)} for number in range(folders)})
    settings = {"settle_seconds": 0, "tag_workers": 1, "scan_batch_size": 50}
    async with Nomarr.open(server.database_url(), **settings, data_folder=str(tmp_path / "data")) as nomarr:
        library = await nomarr.libraries.add_library("music", root)
        wait_for_another_timestamp(root.parent, 0.03)
        await scan(nomarr, library)
        wait_for_another_timestamp(root.parent)
        build(root, {str(number): {"cover.jpg": b"\xff\xd8"} for number in range(folders)})
        server.forget_requests()
        await scan(nomarr, library)
    names = {text: name for name, text in named_queries()}
    told = [names[seen.query] for seen in server.log if seen.query in names]
    assert [name for name in told if name in ("KEYS_IN_FOLDERS", "LOOK_FOR_COVERS_IN", "COMMIT")] == [
        "KEYS_IN_FOLDERS",
        "LOOK_FOR_COVERS_IN",
        "COMMIT",
    ] * math.ceil(2 * folders / (4 * 50))


async def test_covers_are_looked_for_again_if_their_images_could_not_be_recorded(
    server: ArangoDouble, tmp_path: Path, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"a.wav": tone(200)})
    settings = {"settle_seconds": 0, "tag_workers": 1}
    async with Nomarr.open(server.database_url(), **settings, data_folder=str(tmp_path / "data")) as nomarr:
        library = await nomarr.libraries.add_library("music", root)
        wait_for_another_timestamp(root.parent, 0.03)
        await scan(nomarr, library)
        wait_for_another_timestamp(root.parent)
        build(root, {"cover.jpg": b"\xff\xd8"})
        server.forget_requests()
        server.faults = lambda request: LOGIN_REFUSED if request.query == COMMIT else None
        with pytest.raises(DatabaseError):
            await scan(nomarr, library)
        server.faults = lambda _: None
        assert asked(server)["LOOK_FOR_COVERS_IN"] == 1
        report = await scan(nomarr, library)
        assert asked(server)["LOOK_FOR_COVERS_IN"] == 1
        assert (report.images_changed, report.files_unchanged) == (1, 1)


async def test_an_unchanged_scan_asks_once_for_a_page_of_folders(
    server: ArangoDouble, tmp_path: Path, music_tree: Callable[..., Path]
) -> None:
    content = tone(200)
    root = music_tree({f"{n:04}": {"a.wav": content} for n in range(2100)})
    _, again = await scans_of(server, root, tmp_path, 1000)
    pages = math.ceil(2101 / 2000)
    # The further pages of an answer are fetched from its cursor, which is closed then.
    fetched = sum(count for name, count in again.items() if name.startswith("/_api/cursor/"))
    assert again["FOLDERS_BELOW"] == 1
    assert fetched <= pages
    assert again.total() <= pages + CONSTANT, again
