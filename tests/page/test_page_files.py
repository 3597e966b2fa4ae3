"""Files on the page: searched, sorted, page by page, and one with everything that is known of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from api.api_kit import running_server
from mutagen.id3 import TALB, TIT2, TPE1
from mutagen.wave import WAVE
from page_kit import BROWSER, Opened, expect, opened
from playwright.async_api import Page, Route
from support.music import png, tone, tones

from nomarr import Nomarr, ScanTarget
from nomarr.interfaces.api.options_if import ServiceOptions

pytestmark = BROWSER

ATTACK = "<img src=x onerror=alert(1)>"


def tagged(path: Path, frequency: int, title: str, artist: str, album: str) -> None:
    path.write_bytes(tone(frequency))
    audio = WAVE(path)
    audio.add_tags()
    for frame in (TIT2(3, [title]), TPE1(3, [artist]), TALB(3, [album])):
        audio.tags.add(frame)
    audio.save()


@pytest.fixture
async def records(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, music_tree: Callable[..., Path]
) -> AsyncIterator[Opened]:
    """The page with three tagged songs with covers, a broken file and one whose name is no UTF-8."""
    root = music_tree({"Blue": {"cover.png": png()}, "broken.mp3": "no sound", os.fsdecode(b"\xff.wav"): tone(300)})
    tagged(root / "Blue" / "1.wav", 200, "Amber", "Castillo", "Blue")
    tagged(root / "Blue" / "2.wav", 210, "Winter", "Ada", "Blue")
    tagged(root / "3.wav", 220, ATTACK, "Brandt", "Red")
    library = await nomarr.libraries.add_library("Music", root)
    await nomarr.libraries.scan_targets([ScanTarget(library.library_id)])
    await nomarr.enrichment.run()
    async with running_server(nomarr, options) as address, opened(tab, nomarr, address) as page:
        await expect(page.card("Music")).to_contain_text("5 files")
        await page.link("Files").click()
        await expect(page.rows).to_have_count(5)
        yield page


async def test_files_are_searched_while_one_types(records: Opened) -> None:
    search = records.page.get_by_label("Search")
    await search.press_sequentially("blue")
    await expect(records.rows).to_have_count(2)
    await expect(records.page).to_have_url(f"{records.address}/#/files?q=blue")
    await expect(records.page.locator("#announcer")).to_have_text("2 files")
    await search.fill("nowhere")
    await expect(records.page.locator("#file-count")).to_have_text("Nothing found for “nowhere”")
    await records.page.reload()
    await expect(search).to_have_value("nowhere")


async def test_each_search_is_announced_though_it_finds_as_many_files(records: Opened) -> None:
    await records.page.evaluate(
        """() => {
            window.said = [];
            new MutationObserver((changes) => {
                for (const change of changes) if (change.addedNodes.length) window.said.push(change.target.textContent);
            }).observe(document.getElementById("announcer"), { childList: true });
        }"""
    )
    for words in ("amber", "winter", "brandt"):
        await records.page.get_by_label("Search").fill(words)
        await expect(records.page).to_have_url(f"{records.address}/#/files?q={words}")
        await expect(records.rows).to_have_count(1)
        await expect(records.rows.first).to_contain_text(words, ignore_case=True)
    await records.drawn()
    assert await records.page.evaluate("window.said") == ["1 file"] * 3


async def test_files_are_sorted_by_their_columns(records: Opened) -> None:
    await records.button("Artist").click()
    heading = records.page.get_by_role("columnheader", name="Artist")
    await expect(heading).to_have_attribute("aria-sort", "ascending")
    await expect(records.rows.nth(2)).to_contain_text("Ada")
    await expect(records.rows.nth(4)).to_contain_text("Castillo")
    await records.button("Artist").click()
    await expect(heading).to_have_attribute("aria-sort", "descending")
    await expect(records.rows.first).to_contain_text("Castillo")


async def test_unreadable_files_are_found(records: Opened) -> None:
    await records.page.get_by_label("Show", exact=True).select_option("unreadable")
    await expect(records.rows).to_have_count(1)
    await expect(records.rows).to_contain_text("broken.mp3")
    await records.link("broken.mp3").click()
    await expect(records.dialog.locator(".reason")).not_to_be_empty()


async def test_a_filter_without_an_answer_shows_no_other_files_and_can_be_tried_again(records: Opened) -> None:
    await records.page.route("**/api/v1/files?*", lambda route: route.fulfill(status=503))
    await records.page.get_by_label("Show", exact=True).select_option("unreadable")
    await expect(records.page.locator("#notices")).to_contain_text("503")
    await expect(records.rows).to_have_count(0)
    await expect(records.page.locator("#file-count")).to_have_text("")
    await records.page.unroute("**/api/v1/files?*")
    await records.button("Try again").press("Enter")
    await expect(records.rows).to_have_count(1)
    await expect(records.rows).to_contain_text("broken.mp3")
    await expect(records.button("Try again")).to_be_hidden()
    await expect(records.page.locator("main")).to_be_focused()


async def test_what_was_found_stays_while_the_service_has_no_newer_answer(records: Opened) -> None:
    root = Path((await records.nomarr.libraries.list_libraries())[0].root_path)
    await records.page.route("**/api/v1/files?*", lambda route: route.fulfill(status=503))
    (root / "new.wav").write_bytes(tone(500))
    await expect(records.page.locator("#notices")).to_contain_text("503")
    await expect(records.rows).to_have_count(5)
    await expect(records.button("Try again")).to_be_hidden()
    await records.page.unroute("**/api/v1/files?*")


async def test_tags_are_texts_and_nothing_else(records: Opened) -> None:
    await records.link(ATTACK).click()
    await expect(records.dialog.get_by_role("heading", name=ATTACK)).to_be_visible()
    assert await records.page.locator("img[src=x]").count() == 0


async def test_one_file_is_shown_with_what_happened_to_it(records: Opened) -> None:
    root = Path((await records.nomarr.libraries.list_libraries())[0].root_path)
    os.rename(root / "Blue" / "1.wav", root / "Blue" / "one.wav")
    await expect(records.page.get_by_title("Blue/one.wav", exact=True)).to_be_visible()
    await records.link("Amber").click()
    await expect(records.dialog).to_contain_text("Castillo · Blue")
    await expect(records.dialog.locator(".history li")).to_have_count(2)
    await expect(records.dialog).to_contain_text("Blue/1.wav → Blue/one.wav")
    await expect(records.dialog.get_by_role("img", name="Cover")).to_have_js_property("naturalWidth", 64)
    await records.page.keyboard.press("Escape")
    await expect(records.dialog).to_have_count(0)
    await expect(records.link("Amber")).to_be_focused()
    await expect(records.page).to_have_url(f"{records.address}/#/files")


async def test_a_file_has_an_address_of_its_own(records: Opened) -> None:
    place = await records.link("Winter").get_attribute("href")
    await records.go(f"{place}")
    await records.page.reload()
    await expect(records.dialog).to_contain_text("Winter")
    await records.go("#/file/unknown")
    await expect(records.page.locator("#notices")).to_contain_text("unknown")


async def test_a_file_that_could_not_be_shown_can_be_opened_again(records: Opened) -> None:
    await records.page.route("**/api/v1/files/*", lambda route: route.fulfill(status=503))
    await records.link("Amber").click()
    await expect(records.page.locator("#notices")).to_contain_text("503")
    await expect(records.page).to_have_url(f"{records.address}/#/files")
    await records.page.unroute("**/api/v1/files/*")
    await records.link("Amber").click()
    await expect(records.dialog).to_contain_text("Castillo")


@asynccontextmanager
async def held(page: Page, url: str) -> AsyncIterator[anyio.Event]:
    """Requests to `url` wait until the event is set, and at the longest as long as this block."""
    may_go = anyio.Event()

    async def hold(route: Route) -> None:
        await may_go.wait()
        await route.continue_()

    await page.route(url, hold)
    try:
        yield may_go
    finally:
        may_go.set()
        await page.unroute(url, hold)


async def place_of(records: Opened, title: str) -> str:
    """The address of a file, beginning with `#`."""
    return f"{await records.link(title).get_attribute('href')}"


async def test_an_answer_that_comes_too_late_opens_no_dialog(records: Opened) -> None:
    amber = (await place_of(records, "Amber")).removeprefix("#/file/")
    async with held(records.page, f"**/api/v1/files/{amber}") as may_go:
        await records.link("Amber").click()
        await records.link("Settings").click()
        await expect(records.page).to_have_title("Settings · Nomarr")
        async with records.page.expect_event("requestfinished", lambda request: request.url.endswith(amber)):
            may_go.set()
        await records.drawn()
        assert await records.dialog.count() == 0
    await expect(records.page).to_have_url(f"{records.address}/#/settings")


async def test_who_opens_two_files_at_once_sees_the_second(records: Opened) -> None:
    amber = (await place_of(records, "Amber")).removeprefix("#/file/")
    async with held(records.page, f"**/api/v1/files/{amber}") as may_go:
        await records.link("Amber").click()
        await records.link("Winter").click()
        await expect(records.dialog.get_by_role("heading", name="Winter")).to_be_visible()
        async with records.page.expect_event("requestfinished", lambda request: request.url.endswith(amber)):
            may_go.set()
        await records.drawn()
        assert await records.page.locator("dialog").count() == 1


async def test_another_file_takes_the_place_of_the_one_that_is_shown(records: Opened) -> None:
    winter = await place_of(records, "Winter")
    await records.link("Amber").click()
    await expect(records.dialog.get_by_role("heading", name="Amber")).to_be_visible()
    await records.go(winter)
    await expect(records.dialog.get_by_role("heading", name="Winter")).to_be_visible()
    await expect(records.page).to_have_url(f"{records.address}/{winter}")
    await expect(records.page.locator("dialog")).to_have_count(1)


@pytest.mark.parametrize("place", ["#/toString", "#/constructor"])
async def test_an_address_that_says_nothing_is_the_first_view(music: Opened, place: str) -> None:
    await music.go("#/files")
    await expect(music.rows).to_have_count(3)
    await music.go(place)
    await expect(music.card("Music")).to_be_visible()


async def test_an_address_that_can_not_be_read_is_no_file(music: Opened) -> None:
    await music.go("#/file/%E0")
    await expect(music.page.locator("#notices")).to_contain_text("no file has the id '%E0'")
    await expect(music.page).to_have_url(f"{music.address}/")


@pytest.mark.parametrize("is_reloaded", [False, True])
async def test_a_file_that_was_read_is_no_step_back(records: Opened, is_reloaded: bool) -> None:
    for title in ("Amber", "Winter"):
        await records.link(title).click()
        await expect(records.dialog.get_by_role("heading", name=title)).to_be_visible()
        if is_reloaded:
            await records.page.reload()
            await expect(records.dialog.get_by_role("heading", name=title)).to_be_visible()
        await records.page.keyboard.press("Escape")
        await expect(records.page).to_have_url(f"{records.address}/#/files")
    await records.page.go_back()
    await expect(records.page).to_have_title("Nomarr")


async def test_back_closes_a_file_and_forward_opens_it_again(records: Opened) -> None:
    await records.link("Amber").click()
    await expect(records.dialog).to_be_visible()
    await records.page.go_back()
    await expect(records.dialog).to_have_count(0)
    await expect(records.page).to_have_url(f"{records.address}/#/files")
    await records.page.go_forward()
    await records.dialog.get_by_role("button", name="Close").click()
    await expect(records.page).to_have_url(f"{records.address}/#/files")


async def test_what_was_searched_stays_behind_a_file_when_somebody_looks_again(records: Opened) -> None:
    await expect(records.page.locator("#connection")).to_have_text("live")
    await records.page.get_by_label("Search").fill("blue")
    await expect(records.rows).to_have_count(2)
    await records.link("Amber").click()
    await expect(records.dialog).to_be_visible()
    await records.look(away=True)
    async with records.page.expect_event("requestfinished", lambda request: "query=blue" in request.url, timeout=5000):
        await records.look(away=False)
    await records.drawn()
    assert await records.rows.count() == 2


async def test_a_file_that_was_opened_by_its_address_is_closed_to_the_first_view(records: Opened) -> None:
    place = await place_of(records, "Amber")
    await records.page.goto("about:blank")
    await records.go(place)
    await expect(records.dialog).to_be_visible()
    await records.page.keyboard.press("Escape")
    await expect(records.page).to_have_url(f"{records.address}/#/")
    await expect(records.card("Music")).to_be_visible()


async def test_a_long_list_comes_page_by_page(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, music_tree: Callable[..., Path]
) -> None:
    await nomarr.libraries.add_library("Music", music_tree(tones(250)))
    async with running_server(nomarr, options) as address, opened(tab, nomarr, address) as page:
        await expect(page.card("Music")).to_contain_text("250 files")
        await page.link("Files").click()
        await expect(page.rows).to_have_count(100)
        await expect(page.page.locator("#file-count")).to_have_text("The first 100 files")
        # Not by a key: the focus would scroll to the button, and scrolling alone shows more.
        await page.button("Show more").dispatch_event("click")
        await expect(page.rows).to_have_count(200)
        await page.rows.last.scroll_into_view_if_needed()
        await expect(page.rows).to_have_count(250)
        await expect(page.button("Show more")).to_be_hidden()
        assert await page.titles() == sorted(f"{number:04}.wav" for number in range(250))


async def test_show_more_leads_to_what_it_has_shown(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, music_tree: Callable[..., Path]
) -> None:
    await nomarr.libraries.add_library("Music", music_tree(tones(110)))
    async with running_server(nomarr, options) as address, opened(tab, nomarr, address) as page:
        await expect(page.card("Music")).to_contain_text("110 files")
        await page.link("Files").click()
        await expect(page.rows).to_have_count(100)
        # Without scrolling, which shows more by itself.
        await page.page.evaluate("document.getElementById('file-more').focus({ preventScroll: true })")
        await page.button("Show more").dispatch_event("click")
        await expect(page.rows).to_have_count(110)
        await expect(page.link("0100.wav")).to_be_focused()


async def test_who_reads_far_down_stays_there_when_a_file_changes(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({f"{number:04}.wav": tone(100) for number in range(1020)})
    await nomarr.libraries.add_library("Music", root)
    async with running_server(nomarr, options) as address, opened(tab, nomarr, address) as page:
        await expect(page.card("Music")).to_contain_text("1,020 files")
        await page.link("Files").click()
        for shown in range(100, 1020, 100):
            await expect(page.rows).to_have_count(shown)
            await page.button("Show more").dispatch_event("click")
        await page.link("1010.wav").focus()
        before = await page.page.evaluate("scrollY")
        os.rename(root / "1005.wav", root / "1005 renamed.wav")
        await expect(page.link("1005 renamed.wav")).to_be_attached()
        await expect(page.rows).to_have_count(1020)
        await expect(page.link("1010.wav")).to_be_focused()
        assert await page.page.evaluate("scrollY") == before


async def test_a_long_name_makes_no_wide_dialog(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({})
    tagged(root / "1.wav", 200, "Amber", "x" * 300, "Blue")
    await nomarr.libraries.add_library("Music", root)
    async with running_server(nomarr, options) as address, opened(tab, nomarr, address) as page:
        await page.link("Files").click()
        await page.link("Amber").click()
        is_too_wide = "document.querySelector('dialog').scrollWidth > document.querySelector('dialog').clientWidth"
        await expect(page.dialog).to_be_visible()
        assert not await page.page.evaluate(is_too_wide)


async def test_covers_appear_in_a_table_that_is_open(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"Blue": {"cover.png": png()}})
    tagged(root / "Blue" / "1.wav", 200, "Amber", "Castillo", "Blue")
    library = await nomarr.libraries.add_library("Music", root, watch_mode="off")
    await nomarr.libraries.scan_targets([ScanTarget(library.library_id)])
    async with running_server(nomarr, options) as address, opened(tab, nomarr, address) as page:
        await expect(page.page.locator("#connection")).to_have_text("live")
        await page.link("Files").click()
        await expect(page.rows).to_have_count(1)
        assert await page.rows.locator("img").count() == 0
        await nomarr.enrichment.run()
        await expect(page.rows.locator("img")).to_be_visible()


async def test_covers_are_on_the_shelf(records: Opened) -> None:
    await records.link("Library").click()
    await records.page.get_by_role("link", name="Blue").first.click()
    await expect(records.rows).to_have_count(2)
