"""What the page does by itself: it follows the disk and comes back after the service was away."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
from api.api_kit import running_server, until
from page_kit import BROWSER, QUICK, Opened, expect, opened
from playwright.async_api import Page, Request, Route
from support.music import build, tone

from nomarr import Library, Nomarr
from nomarr.interfaces.api.options_if import ServiceOptions

pytestmark = BROWSER


async def test_a_file_that_is_copied_in_appears(music: Opened, library: Library) -> None:
    await music.link("Files").click()
    await expect(music.rows).to_have_count(3)
    (Path(library.root_path) / "Jazz" / "new.wav").write_bytes(tone(500))
    await expect(music.rows).to_have_count(4)
    await expect(music.link("new.wav")).to_be_visible()
    await music.link("Library").click()
    await expect(music.card("Music")).to_contain_text("4 files")
    await expect(music.page.locator("#feed li").first).to_contain_text("Jazz/new.wav")


async def test_focus_stays_where_it_is_while_the_list_changes(music: Opened, library: Library) -> None:
    await music.link("Files").click()
    await music.link("a.wav").focus()
    (Path(library.root_path) / "0.wav").write_bytes(tone(500))
    await expect(music.rows).to_have_count(4)
    await expect(music.link("a.wav")).to_be_focused()
    (Path(library.root_path) / "0.wav").unlink()
    await expect(music.rows).to_have_count(3)
    await expect(music.link("a.wav")).to_be_focused()


async def test_many_changes_in_one_folder_are_one_line(music: Opened, library: Library) -> None:
    folder = Path(library.root_path) / "Album"
    folder.mkdir()
    for track in range(10):
        (folder / f"{track}.wav").write_bytes(tone(600 + track))
    await expect(music.page.locator("#feed li").first).to_contain_text("files in Album")
    await expect(music.card("Music")).to_contain_text("13 files")


async def test_a_line_of_missing_files_leads_to_them(music: Opened, library: Library) -> None:
    shutil.rmtree(Path(library.root_path) / "Rock")
    newest = music.page.locator("#feed li").first
    await expect(newest).to_contain_text("missing")
    await newest.get_by_role("link", name="2 files in Rock").click()
    await expect(music.page.get_by_label("Show", exact=True)).to_have_value("missing")
    await expect(music.rows).to_have_count(2)


async def test_a_line_of_files_that_a_rule_hides_leads_nowhere(music: Opened, library: Library) -> None:
    (Path(library.root_path) / "Rock" / ".nomarrignore").write_text("*.wav\n")
    newest = music.page.locator("#feed li").first
    await expect(newest).to_contain_text("removed")
    await expect(newest).to_contain_text("2 files in Rock")
    assert await newest.get_by_role("link").count() == 0


async def test_what_happened_on_another_day_has_its_date(music: Opened) -> None:
    async def age(route: Route) -> None:
        answer = await route.fetch()
        told = await answer.json()
        for event in told["items"]:
            event["time"] = "2020-01-14T12:05:00Z"
        await route.fulfill(response=answer, json=told)

    await expect(music.page.locator("#feed")).not_to_contain_text("Music")
    times = music.page.locator("#feed time")
    await expect(times.first).to_have_text(re.compile(r"^[\d:]{8}$"))
    await music.page.route("**/api/v1/events?*", age)
    await music.page.reload()
    await expect(times.first).to_contain_text("14 Jan 2020")
    await music.page.unroute("**/api/v1/events?*")


async def test_changes_say_their_library_if_there_are_several(
    tab: Page, library: Library, nomarr: Nomarr, options: ServiceOptions, tmp_path: Path
) -> None:
    books = build(tmp_path / "books", {"1.wav": tone(500)})
    await nomarr.libraries.add_library("Books", books)
    async with running_server(nomarr, options) as address, opened(tab, nomarr, address):
        feed = tab.locator("#feed")
        await expect(feed).to_contain_text("1.wav · Books")
        await expect(feed).to_contain_text("2 files in Rock · Music")
        for number in range(2):
            (books / f"new {number}.wav").write_bytes(tone(600 + number))
        await expect(feed.locator("li").first).to_have_text(re.compile("3 files in Books$|2 files in Books$"))


async def test_what_happened_while_the_service_was_away_is_shown(
    tab: Page, library: Library, nomarr: Nomarr, options: ServiceOptions
) -> None:
    async with AsyncExitStack() as stack:
        async with running_server(nomarr, options) as address:
            page = await stack.enter_async_context(opened(tab, nomarr, address))
            await expect(page.card("Music")).to_contain_text("3 files")
            await expect(page.page.locator("#connection")).to_have_text("live")
        await expect(page.page.locator("#connection")).to_have_text("reconnecting…")
        await expect(page.page.locator("#away")).to_contain_text("does not answer")
        await page.button("Scan Music").click()
        await expect(page.page.get_by_role("alert")).to_contain_text("does not answer")
        (Path(library.root_path) / "new.wav").write_bytes(tone(500))
        async with running_server(nomarr, options, urlsplit(address).port or 0):
            await expect(page.page.locator("#connection")).to_have_text("live")
            await expect(page.page.locator("#away")).to_be_hidden()
            await expect(page.card("Music")).to_contain_text("4 files")
            await expect(page.page.locator("#feed li").first).to_contain_text("new.wav")


async def test_each_library_is_asked_about_once(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, tmp_path: Path
) -> None:
    for number in range(12):
        (tmp_path / f"{number}").mkdir()
        await nomarr.libraries.add_library(f"Music {number}", tmp_path / f"{number}", watch_mode="off")
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(urlsplit(request.url).path)

    def times() -> list[int]:
        return [sum(path.endswith(end) for path in asked) for end in ("/scan", "/scans", "/held-back-losses")]

    async def is_loaded() -> bool:
        return min(times()) >= 12

    tab.on("request", note)
    try:
        async with running_server(nomarr, options) as address, opened(tab, nomarr, address) as page:
            await until(is_loaded)
            await expect(tab.locator("#connection")).to_have_text("live")
            await tab.wait_for_load_state("networkidle")
            assert times() == [12, 12, 12]
            # What happens after the answer is told, then.
            assert asked.index("/api/v1/events/stream") < asked.index("/api/v1/libraries")
            await page.look(away=True)
            async with tab.expect_response("**/held-back-losses"):
                await page.look(away=False)
    finally:
        tab.remove_listener("request", note)


async def test_a_tab_that_nobody_sees_keeps_no_connection(music: Opened, library: Library) -> None:
    await expect(music.page.locator("#connection")).to_have_text("live")
    await music.look(away=True)
    async with httpx.AsyncClient(base_url=music.address) as client:
        await until(lambda: has_streams(client, 0))
        (Path(library.root_path) / "new.wav").write_bytes(tone(500))
        await music.look(away=False)
        await until(lambda: has_streams(client, 1))
    await expect(music.page.locator("#feed li").first).to_contain_text("new.wav")
    await expect(music.card("Music")).to_contain_text("4 files")


async def test_what_a_scan_has_done_is_shown_to_who_looks_again(music: Opened, library: Library) -> None:
    outcome = music.card("Music").locator(".outcome")
    await expect(outcome).to_contain_text("3 added")
    await music.look(away=True)
    (Path(library.root_path) / "new.wav").write_bytes(tone(500))
    async with httpx.AsyncClient(base_url=music.address) as client:
        await until(lambda: has_files(client, 4))
    await music.look(away=False)
    await expect(outcome).to_contain_text("1 added")


async def test_a_disk_that_came_back_unseen_is_not_said_to_be_away(music: Opened, library: Library) -> None:
    card, away = music.card("Music"), f"{library.root_path}-away"
    await expect(card.locator(".outcome")).to_contain_text("3 added")
    os.rename(library.root_path, away)
    await music.button("Scan Music").click()
    await expect(card.locator(".reason")).to_contain_text("Music' is offline")
    await music.look(away=True)
    os.rename(away, library.root_path)
    async with httpx.AsyncClient(base_url=music.address) as client:
        await until(lambda: is_watched(client))
    await music.look(away=False)
    await expect(card.locator(".state")).to_have_text("watching")
    await expect(card.locator(".reason")).to_be_hidden()


async def test_what_is_told_while_an_answer_is_on_its_way_stays(music: Opened, library: Library) -> None:
    answered, may_arrive = anyio.Event(), anyio.Event()

    async def hold(route: Route) -> None:
        answer = await route.fetch()
        answered.set()
        await may_arrive.wait()
        await route.fulfill(response=answer)

    await expect(music.page.locator("#connection")).to_have_text("live")
    await music.page.route("**/api/v1/events?*", hold)
    await music.look(away=True)
    await music.look(away=False)
    await answered.wait()
    (Path(library.root_path) / "new.wav").write_bytes(tone(500))
    newest = music.page.locator("#feed li").first
    await expect(newest).to_contain_text("new.wav")
    async with music.page.expect_event("requestfinished", lambda request: "/events?" in request.url):
        may_arrive.set()
    await music.drawn()
    assert "new.wav" in await newest.inner_text()
    await music.page.unroute("**/api/v1/events?*")


async def test_a_change_that_is_told_twice_is_shown_once(music: Opened, library: Library) -> None:
    await expect(music.page.locator("#connection")).to_have_text("live")
    await music.page.evaluate(
        """() => {
            window.held = [];
            window.EventSource = class extends window.EventSource {
                addEventListener(kind, hear) {
                    super.addEventListener(kind, kind === "change" ? (e) => window.held.push(() => hear(e)) : hear);
                }
            };
        }"""
    )
    await music.look(away=True)
    (Path(library.root_path) / "new.wav").write_bytes(tone(500))
    async with httpx.AsyncClient(base_url=music.address) as client:
        await until(lambda: has_files(client, 4))
    await music.look(away=False)
    newest = music.page.locator("#feed li").first
    await expect(newest).to_contain_text("new.wav")
    # Not `wait_for_function`: that evaluates a text inside of the page, which its policy forbids.
    await music.page.evaluate(
        """() => new Promise((done) => {
            const look = () => (window.held.length > 0 ? done() : setTimeout(look, 20));
            look();
        })"""
    )
    await music.page.evaluate("window.held.forEach((hear) => hear())")
    await music.drawn()
    assert "new.wav" in await newest.inner_text()


async def test_a_database_that_was_restored_from_a_copy_is_shown_as_it_is(
    tab: Page, library: Library, nomarr: Nomarr, options: ServiceOptions, database: Path
) -> None:
    feed, root = tab.locator("#feed"), Path(library.root_path)
    copy = database.with_suffix(".copy")
    async with AsyncExitStack() as stack:
        async with running_server(nomarr, options) as address:
            page = await stack.enter_async_context(opened(tab, nomarr, address))
            await expect(feed).to_contain_text("c.wav")
            with closing(sqlite3.connect(database)) as original, closing(sqlite3.connect(copy)) as kept:
                original.backup(kept)
            (root / "Future").mkdir()
            for number in range(4):
                (root / "Future" / f"{number}.wav").write_bytes(tone(500 + number))
            await expect(feed).to_contain_text("4 files in Future")
        await expect(page.page.locator("#connection")).to_have_text("reconnecting…")
        shutil.rmtree(root / "Future")
        async with (
            Nomarr.open(f"sqlite:///{copy}", **QUICK) as restored,
            running_server(restored, options, urlsplit(address).port or 0),
        ):
            await expect(page.page.locator("#connection")).to_have_text("live")
            await expect(feed).to_contain_text("c.wav")
            await expect(feed).not_to_contain_text("Future")
            (root / "new.wav").write_bytes(tone(700))
            await expect(feed.locator("li").first).to_contain_text("new.wav")


async def has_files(client: httpx.AsyncClient, count: int) -> bool:
    return [library["files"] for library in (await client.get("/api/v1/libraries")).json()] == [count]


async def is_watched(client: httpx.AsyncClient) -> bool:
    return [status["state"] for status in (await client.get("/api/v1/watcher")).json()] == ["watching"]


async def has_streams(client: httpx.AsyncClient, count: int) -> bool:
    return f"nomarr_streams {float(count)}\n" in (await client.get("/metrics")).text
