"""Playlists over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from api_kit import Api, all_of

from nomarr import Library
from nomarr.interfaces.api.cursors_if import LONGEST_PATH_CURSOR, cursor_of, cursor_of_path, path_of

NAMES = ["A.m3u", "B.m3u", "Rock/c.m3u", os.fsdecode(b"caf\xe9.m3u"), "z.m3u"]


@pytest.fixture
async def playlists(api: Api, library: Library) -> str:
    """Five of them; the address of their list."""
    for name in NAMES:
        (Path(library.root_path) / name).write_text(
            f"{library.root_path}/Rock/a.wav\nnowhere.mp3\n" + "Rock/b.wav\n" * 3
        )
    await api.scan(library.library_id)
    return f"/api/v1/libraries/{library.library_id}/playlists"


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_pages_hold_every_playlist_once_and_no_entries(
    api: Api, library: Library, playlists: str, limit: int
) -> None:
    found = [item async for item in all_of(api, playlists, limit=limit)]
    assert sorted(item["path"] for item in found) == sorted(NAMES)
    assert all(item == {"library_id": library.library_id, "path": item["path"], "error": None} for item in found)


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
@pytest.mark.parametrize("name", NAMES)
async def test_entries_of_a_playlist_come_in_its_order(api: Api, playlists: str, name: str, limit: int) -> None:
    entries = f"{playlists}/entries?path={quote_from_bytes(os.fsencode(name))}"
    found: list[dict[str, Any]] = []
    following: str | None = "0"
    while following is not None:
        page = await api.get(f"{entries}&limit={limit}&after={following}")
        found += page["items"]
        following = page["next_cursor"]
    assert [entry["text"].rpartition("/")[2] for entry in found] == ["a.wav", "nowhere.mp3", *["b.wav"] * 3]
    assert [entry["file_id"] is None for entry in found][:2] == [False, True]


async def test_a_list_is_never_longer_than_a_page(api: Api, playlists: str) -> None:
    """However many playlists a library has, and however long they are."""
    assert len((await api.get(playlists, params={"limit": 3}))["items"]) == 3
    for path in (playlists, f"{playlists}/entries?path=A.m3u"):
        assert (await api.problem("GET", path, params={"limit": 1001, "path": "A.m3u"}))["error"] == "RequestNotValid"


@pytest.mark.parametrize("cursor", ["é", "x", cursor_of(("Rock", "id"), "files by path")])
async def test_what_is_no_cursor_is_refused(api: Api, playlists: str, cursor: str) -> None:
    assert (await api.problem("GET", playlists, params={"cursor": cursor}))["error"] == "CursorNotValid"


def test_the_cursor_of_the_longest_path_is_short_enough_to_come_back() -> None:
    path = os.fsdecode(b"\xff" * 4096)
    cursor = cursor_of_path(path, "playlists")
    assert (path_of(cursor, "playlists"), len(cursor) <= LONGEST_PATH_CURSOR) == (path, True)


@pytest.mark.parametrize("path", ["nowhere.m3u", "", "Rock/a.wav", "../A.m3u"])
async def test_what_is_no_playlist_is_not_found(api: Api, playlists: str, path: str) -> None:
    assert (await api.problem("GET", f"{playlists}/entries", params={"path": path}))["error"] == "PlaylistNotFound"


async def test_an_unknown_library_has_no_playlists(api: Api) -> None:
    for path in ("playlists", "playlists/entries?path=A.m3u"):
        assert (await api.problem("GET", f"/api/v1/libraries/nobody/{path}"))["error"] == "LibraryNotFound"
