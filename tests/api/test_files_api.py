"""Files, covers, duplicates and explanations over HTTP."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from shutil import copy2

import anyio
import pytest
from api_kit import Api, all_of, until
from support.music import png, tone

from nomarr import Library, Nomarr
from nomarr.interfaces.api.cursors_if import cursor_of, cursor_of_path
from nomarr.interfaces.contract import file_object
from nomarr.services.infrastructure import enrichment_svc

FILES = "/api/v1/files"


@pytest.fixture
async def scanned(api: Api, library: Library) -> Library:
    root = Path(library.root_path)
    (root / "Rock" / "cover.png").write_bytes(png())
    (root / "Jazz" / "same.wav").write_bytes(tone(220))
    (root / "broken.mp3").write_text("this is no sound")
    await api.scan(library.library_id)
    return library


async def all_paths(api: Api, **query: object) -> list[str]:
    paths: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await api.get(FILES, params={**query, **cursor})
        paths += [item["path"] for item in page["items"]]
        if page["next_cursor"] is None:
            return paths
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("sort", ["path", "title", "artist", "album", "size", "changed", "added"])
async def test_pages_hold_every_file_once(api: Api, scanned: Library, limit: int, sort: str) -> None:
    paths = await all_paths(api, limit=limit, sort=sort)
    assert sorted(paths) == ["Jazz/c.wav", "Jazz/same.wav", "Rock/a.wav", "Rock/b.wav", "broken.mp3"]
    assert await all_paths(api, limit=limit, sort=sort, descending=True) == paths[::-1]


async def test_files_are_filtered(api: Api, scanned: Library) -> None:
    assert await all_paths(api, folder="Rock") == ["Rock/a.wav", "Rock/b.wav"]
    assert await all_paths(api, query="SAME") == ["Jazz/same.wav"]
    assert await all_paths(api, status="error") == ["broken.mp3"]
    assert await all_paths(api, missing=True) == []
    assert len(await all_paths(api, library_id=scanned.library_id)) == 5


async def test_a_file_has_the_same_keys_as_on_the_command_line(api: Api, nomarr: Nomarr, scanned: Library) -> None:
    (record,) = await nomarr.libraries.list_files(scanned.library_id, query="a.wav")
    listed = (await api.get(FILES, params={"query": "a.wav"}))["items"]
    assert listed == [file_object(record) | {"library_id": record.library_id, "cover_id": None}]
    shown = await api.get(f"{FILES}/{record.file_id}")
    assert set(shown) == set(file_object(record, wide=True))
    (event,) = (await api.get(f"{FILES}/{record.file_id}/events"))["items"]
    assert (event["type"], event["path"]) == ("created", "Rock/a.wav")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"library_id": "x"}, "LibraryNotFound"),
        ({"folder": "../x"}, "InvalidPath"),
        ({"sort": "colour"}, "RequestNotValid"),
        ({"limit": 0}, "RequestNotValid"),
        ({"limit": 1001}, "RequestNotValid"),
        ({"cursor": "!"}, "CursorNotValid"),
        ({"cursor": "W10"}, "CursorNotValid"),
        ({"cursor": cursor_of(("text", "id"), "files by size"), "sort": "size"}, "CursorNotValid"),
        ({"cursor": cursor_of((7, "id"), "files by path"), "sort": "path"}, "CursorNotValid"),
        ({"cursor": cursor_of((7, "id"), "files by size"), "sort": "changed"}, "CursorNotValid"),
        ({"cursor": cursor_of((1 << 70, "id"), "files by size"), "sort": "size"}, "CursorNotValid"),
        ({"cursor": cursor_of(("\udcff", "id"), "files by path")}, "CursorNotValid"),
        ({"cursor": cursor_of_path("Rock", "playlists")}, "CursorNotValid"),
        ({"cursor": cursor_of_path("[" * 14_000, "files by path")}, "CursorNotValid"),
    ],
)
async def test_a_wrong_question_is_a_problem(
    api: Api, scanned: Library, query: dict[str, str | int], error: str
) -> None:
    assert (await api.problem("GET", FILES, params=query))["error"] == error


async def test_an_unknown_file_is_not_found(api: Api) -> None:
    assert (await api.problem("GET", f"{FILES}/nobody"))["error"] == "FileNotKnown"


async def test_a_path_is_explained_only_where_clients_may_look(api: Api, scanned: Library) -> None:
    path = f"{scanned.root_path}/Rock/a.wav"
    assert (await api.get("/api/v1/explain", params={"path": path}))["state"] == "in_library"
    for outside in ("/etc/passwd", "", f"{scanned.root_path}/../../../../../../etc/passwd"):
        assert (await api.problem("GET", "/api/v1/explain", params={"path": outside}))["error"] == "PathNotAllowed"


async def test_a_cover_is_sent_once_and_then_known(api: Api, nomarr: Nomarr, scanned: Library) -> None:
    await nomarr.enrichment.run()
    (file,) = (await api.get(FILES, params={"query": "a.wav"}))["items"]
    url = f"/api/v1/covers/{file['cover_id']}"
    answer = await api.client.get(url)
    assert (answer.content, answer.headers["content-type"]) == (png(), "image/png")
    again = await api.client.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for said, status in ((f'"x", W/{answer.headers["etag"]}', 304), ("*", 304), ('"x"', 200), ("", 200)):
        assert (await api.client.get(url, headers={"If-None-Match": said})).status_code == status, said
    small = await api.client.get(url, params={"size": 96})
    assert small.headers["content-type"] == "image/webp"
    assert small.headers["etag"] != answer.headers["etag"]


async def test_covers_on_a_disk_that_hangs_hold_up_nothing_else(
    api: Api, nomarr: Nomarr, scanned: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nomarr.enrichment.run()
    (file,) = (await api.get(FILES, params={"query": "a.wav"}))["items"]
    cover = nomarr.enrichment.covers.original(file["cover_id"])
    assert cover is not None
    cover.unlink()
    # Whoever opens it waits for a writer.
    os.mkfifo(cover)
    monkeypatch.setattr(enrichment_svc, "_COVER_SECONDS", 0.5)
    answers: list[int] = []

    async def ask() -> None:
        answers.append((await api.client.get(f"/api/v1/covers/{file['cover_id']}")).status_code)

    async def all_readers_hang() -> bool:
        return sum(thread.name.startswith("read covers") for thread in threading.enumerate()) >= 4

    try:
        async with anyio.create_task_group() as tasks:
            for _ in range(60):
                tasks.start_soon(ask)
            await until(all_readers_hang)
            assert (await api.get(FILES))["items"]
            assert not answers
    finally:
        os.close(os.open(cover, os.O_RDWR))
    assert answers == [503] * 60


@pytest.mark.parametrize("size", ["97", "0", "-96", "x", ""])
async def test_a_size_that_no_cover_has_is_refused_with_those_that_there_are(api: Api, size: str) -> None:
    problem = await api.problem("GET", f"/api/v1/covers/{'0' * 32}", params={"size": size})
    assert (problem["status"], problem["error"]) == (422, "RequestNotValid")
    assert problem["detail"] == "query.size: Input should be 96 or 600"


@pytest.mark.parametrize("cover_id", ["x", "0" * 32, "..%2f..%2fetc%2fpasswd"])
async def test_what_is_no_cover_is_not_found(api: Api, cover_id: str) -> None:
    assert (await api.problem("GET", f"/api/v1/covers/{cover_id}"))["status"] == 404


async def test_duplicates_are_told_in_groups(api: Api, nomarr: Nomarr, scanned: Library) -> None:
    await nomarr.enrichment.run()
    found = await api.get(f"/api/v1/libraries/{scanned.library_id}/duplicates")
    same = [group for group in found["items"] if group["kind"] == "same_audio"]
    assert [[file["path"] for file in group["files"]] for group in same] == [["Jazz/c.wav", "Jazz/same.wav"]]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_pages_hold_every_group_of_duplicates_once(
    api: Api, nomarr: Nomarr, scanned: Library, limit: int
) -> None:
    for name in ("a.wav", "b.wav"):
        copy2(Path(scanned.root_path) / "Rock" / name, Path(scanned.root_path) / f"copy of {name}")
    await api.scan(scanned.library_id)
    await nomarr.enrichment.run()
    path = f"/api/v1/libraries/{scanned.library_id}/duplicates"
    first = [group async for group in all_of(api, path, "after", limit=limit)]
    assert first == [group async for group in all_of(api, path, "after")]
    assert [len(group["files"]) for group in first if group["kind"] == "same_audio"] == [2, 2, 2]
