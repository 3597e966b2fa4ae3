"""Libraries on the page: the first one, scans, what is lost, and how changes are noticed."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from api.api_kit import running_server, until
from page_kit import BROWSER, Opened, expect, focused, opened
from playwright.async_api import Locator, Page, Route
from support.music import Tree, tone, tones

from nomarr import Library, Nomarr, ScanTarget
from nomarr.interfaces.api.options_if import ServiceOptions

pytestmark = BROWSER


async def test_a_newcomer_is_led_to_the_first_library(shown: Opened, music_tree: Callable[..., Path]) -> None:
    music_tree({"Rock": {"a.wav": tone(200)}, "Jazz": {"b.wav": tone(210)}}, "My music")
    await expect(shown.page.get_by_role("heading", name="Where is your music?")).to_be_visible()
    await shown.page.reload()
    await shown.button("My music").click()
    await expect(shown.page.get_by_label("Name")).to_have_value("My music")
    await shown.button("Add this folder").click()
    card = shown.card("My music")
    await expect(card).to_contain_text("2 files")
    await expect(card).to_contain_text("watching")
    await expect(card).to_contain_text("2 added")
    await expect(shown.page.locator("#feed")).to_contain_text("Rock/a.wav")


async def test_a_folder_outside_of_the_roots_can_not_be_reached(shown: Opened, tmp_path: Path) -> None:
    await expect(shown.page.locator(".where")).to_have_text(str(tmp_path))
    await shown.button("↑ Up").click()
    await expect(shown.page.locator(".where")).to_have_text("Where is your music?")
    await expect(shown.page.locator(".folders button")).to_have_text([str(tmp_path)])
    await expect(shown.button("Add this folder")).to_be_disabled()


async def test_a_name_that_is_taken_is_told(music: Opened, music_tree: Callable[..., Path]) -> None:
    music_tree({}, "other")
    await music.button("Add a library…").click()
    await music.dialog.get_by_role("button", name="other").click()
    await music.dialog.get_by_label("Name").fill("Music")
    await music.button("Add this folder").click()
    await expect(music.dialog.get_by_role("alert")).to_contain_text("Music")


@pytest.fixture
def many() -> Tree:
    return {f"{folder:02}": tones(20, first=100 + 20 * folder) for folder in range(20)}


async def test_a_full_scan_shows_how_far_it_is(
    shown: Opened, nomarr: Nomarr, many: Tree, music_tree: Callable[..., Path]
) -> None:
    library = await nomarr.libraries.add_library("Music", music_tree(many), watch_mode="off")
    await nomarr.libraries.scan_targets([ScanTarget(library.library_id)])
    await shown.page.reload()
    card = shown.card("Music")
    await expect(card).to_contain_text("400 added")
    await shown.page.evaluate(
        """() => {
            window.steps = [];
            const step = document.querySelector(".step");
            new MutationObserver(() => window.steps.push(step.textContent)).observe(step, { childList: true });
        }"""
    )
    await shown.button("Full scan of Music").click()
    await expect(card.get_by_role("progressbar")).to_be_visible()
    await expect(card).to_contain_text("nothing changed (400 files looked at in")
    await expect(card.get_by_role("progressbar")).to_be_hidden()
    steps: list[str] = await shown.page.evaluate("window.steps")
    assert any("of 400 files" in step for step in steps), steps
    (run, _) = await nomarr.libraries.list_scans(library.library_id)
    assert run.full


async def test_progress_is_told_as_on_the_command_line(shown: Opened) -> None:
    progress = {
        "phase": "reading",
        "folders_done": 3,
        "folders_total": 3,
        "files_done": 120,
        "files_total": 1300,
        "current_folder": "Rock",
        "files_per_second": 40.2,
        "eta_seconds": 29.6,
    }
    told = await shown.page.evaluate(
        "async (progress) => (await import('/page/words.js')).progressWords(progress)", progress
    )
    assert told == {"words": "Reading tags · 120 of 1,300 files · 40/s · 0:30 left", "done": 120, "total": 1300}


@pytest.fixture
async def endless(
    tab: Page, database: Path, options: ServiceOptions, music_tree: Callable[..., Path]
) -> AsyncIterator[Opened]:
    """A library whose scans wait a minute for new files to settle."""
    async with Nomarr.open(f"sqlite:///{database}", settle_seconds=60) as nomarr:
        await nomarr.libraries.add_library("Music", music_tree({"a.wav": tone(200)}), watch_mode="off")
        async with running_server(nomarr, options) as address, opened(tab, nomarr, address) as page:
            yield page


async def test_a_scan_is_cancelled(endless: Opened) -> None:
    await endless.button("Scan Music").click()
    card = endless.card("Music")
    await expect(card).to_contain_text("Waiting for files to settle")
    await expect(endless.button("Scan Music")).to_have_attribute("aria-disabled", "true")
    # Somebody else sees it, too.
    await endless.page.reload()
    await endless.button("Cancel the scan of Music").press("Enter")
    await expect(card.get_by_role("progressbar")).to_be_hidden()
    await expect(card).to_contain_text("scan cancelled")
    assert await focused(endless.page) == "Scan Music"


async def test_a_scan_is_shown_on_though_one_that_waited_is_cancelled(endless: Opened) -> None:
    card = endless.card("Music")
    await endless.button("Scan Music").click()
    await expect(card).to_contain_text("Waiting for files to settle")
    (library,) = await endless.nomarr.libraries.list_libraries()
    ask, api = endless.page.request, f"{endless.address}/api/v1"
    waiting = await (await ask.post(f"{api}/libraries/{library.library_id}/scans", data={})).json()
    await endless.page.evaluate(
        """() => {
            const bar = document.querySelector(".progress");
            window.wasHidden = false;
            new MutationObserver(() => (window.wasHidden ||= bar.hidden)).observe(bar, { attributes: true });
        }"""
    )
    await ask.post(f"{api}/scan-requests/{waiting['request_id']}/cancel")
    await expect(endless.page.get_by_text("Scan of Music: cancelled")).to_be_attached()
    await endless.drawn()
    assert not await endless.page.evaluate("window.wasHidden")
    await endless.button("Cancel the scan of Music").click()
    await expect(card).to_contain_text("scan cancelled")


@pytest.fixture
async def losses(nomarr: Nomarr, shown: Opened, music_tree: Callable[..., Path]) -> Opened:
    """A page that tells of 60 files that are held back."""
    root = music_tree({"gone": tones(60), "here": tones(60, first=300)})
    library = await nomarr.libraries.add_library("Music", root, watch_mode="off")
    await nomarr.libraries.scan_targets([ScanTarget(library.library_id)])
    await expect(shown.card("Music")).to_contain_text("120 files")
    shutil.rmtree(root / "gone")
    await shown.button("Scan Music").click()
    await expect(held_back(shown)).to_contain_text("60 files of Music can't be found")
    return shown


def held_back(page: Opened) -> Locator:
    return page.page.get_by_role("region", name="Files that can't be found")


async def test_losses_are_believed_after_a_question(losses: Opened) -> None:
    await losses.button("They are gone…").click()
    await expect(losses.dialog).to_contain_text("Are 60 files of Music really gone?")
    await losses.button("Leave it as it is").click()
    await expect(held_back(losses)).to_be_visible()
    await losses.button("They are gone…").click()
    await losses.button("They are gone").click()
    await expect(losses.card("Music")).to_contain_text("60 missing")
    await expect(held_back(losses)).to_be_hidden()
    await losses.link("60 missing").click()
    await expect(losses.rows).to_have_count(60)


async def test_losses_are_taken_back(losses: Opened) -> None:
    await losses.button("They will come back").click()
    await expect(held_back(losses)).to_be_hidden()
    await expect(losses.card("Music")).to_contain_text("120 files")


async def test_losses_that_are_decided_about_are_told_no_more(
    shown: Opened, nomarr: Nomarr, music_tree: Callable[..., Path]
) -> None:
    root = music_tree({"gone": tones(60), "here": tones(60, first=300)})
    await nomarr.libraries.add_library("Music", root)
    card = shown.card("Music")
    await expect(card).to_contain_text("120 files")
    await expect(card.locator(".state")).to_have_text("watching")
    shutil.rmtree(root / "gone")
    await expect(held_back(shown)).to_contain_text("60 files of Music can't be found")
    await expect(card.locator(".reason")).to_be_hidden()
    await shown.button("They are gone…").click()
    await shown.button("They are gone").click()
    await expect(card).to_contain_text("60 missing")
    # Sooner than the watcher looks at everything again.
    await expect(card.locator(".reason")).to_be_hidden(timeout=5000)


async def test_a_library_is_watched_in_another_way(music: Opened, library: Library, nomarr: Nomarr) -> None:
    card = music.card("Music")
    await expect(card.locator(".state")).to_have_text("watching")
    mode = card.get_by_label("Watch")
    await mode.select_option("by looking regularly")
    await expect(card.locator(".state")).to_have_text("looking regularly")
    await mode.select_option("not at all")
    # A scan that it was about to do is cancelled with it.
    await expect(card.locator(".state")).to_have_text(re.compile("^(not watched|scan cancelled)$"))
    assert await watch_mode(nomarr, library) == "off"
    await mode.select_option("automatically")
    await expect(card.locator(".state")).to_have_text("watching")


async def watch_mode(nomarr: Nomarr, library: Library) -> str:
    return (await nomarr.libraries.get_library(library.library_id)).watch_mode


async def test_the_last_of_quick_switches_is_what_holds(music: Opened, library: Library, nomarr: Nomarr) -> None:
    may_go = anyio.Event()
    held: list[str] = []

    async def hold_the_first(route: Route) -> None:
        held.append(route.request.post_data or "")
        if len(held) == 1:
            await may_go.wait()
        await route.continue_()

    mode = music.card("Music").get_by_label("Watch")
    await expect(music.card("Music").locator(".state")).to_have_text("watching")
    await music.page.route("**/watch-mode", hold_the_first)
    await mode.focus()
    for _ in range(3):
        await music.page.keyboard.press("ArrowDown")
    await expect(mode).to_have_value("off")
    # Cards are drawn anew meanwhile.
    (Path(library.root_path) / "new.wav").write_bytes(tone(500))
    await expect(music.card("Music")).to_contain_text("4 files")
    await expect(mode).to_have_value("off")
    await expect(mode).to_be_focused()
    may_go.set()
    await expect(music.card("Music").locator(".state")).to_have_text(re.compile("^(not watched|scan cancelled)$"))
    await until(lambda: is_off(nomarr, library))
    await music.page.keyboard.press("ArrowUp")
    await expect(music.card("Music").locator(".state")).to_have_text("looking regularly")
    await expect(mode).to_have_value("poll")
    await expect(mode).to_be_focused()
    assert await watch_mode(nomarr, library) == "poll"
    await music.page.unroute("**/watch-mode")


async def is_off(nomarr: Nomarr, library: Library) -> bool:
    return await watch_mode(nomarr, library) == "off"


async def test_a_switch_that_is_refused_is_taken_back(music: Opened, library: Library) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=403, json={"detail": "this token is good for reading only"})

    mode = music.card("Music").get_by_label("Watch")
    await music.page.route("**/watch-mode", refuse)
    await mode.focus()
    await music.page.keyboard.press("ArrowDown")
    await expect(music.page.get_by_role("alert")).to_contain_text("good for reading only")
    await expect(mode).to_have_value("auto")
    await expect(mode).to_be_focused()
    await music.page.unroute("**/watch-mode")


async def test_a_library_is_renamed_and_forgotten(music: Opened, library: Library, nomarr: Nomarr) -> None:
    await music.button("Edit Music").click()
    await music.dialog.get_by_label("Name").fill("Records")
    await music.dialog.get_by_label("Leave out").fill("*.tmp\n\nJazz/")
    await music.button("Save").click()
    await expect(music.card("Records")).to_contain_text("2 files")
    assert (await nomarr.libraries.get_library(library.library_id)).ignore_patterns == ("*.tmp", "Jazz/")
    await music.button("Edit Records").click()
    await music.button("Forget this library…").click()
    await music.button("Forget it").click()
    await expect(music.page.get_by_role("heading", name="Where is your music?")).to_be_focused()
    assert await nomarr.libraries.list_libraries() == []


async def test_whoever_forgets_a_library_goes_on_at_the_others(music: Opened, nomarr: Nomarr, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    await nomarr.libraries.add_library("Other", tmp_path / "other", watch_mode="off")
    await music.page.reload()
    keyboard = music.page.keyboard
    await music.button("Edit Other").press("Enter")
    await music.button("Forget this library…").press("Enter")
    await music.button("Forget it").press("Enter")
    await expect(music.page.get_by_role("heading", name="Libraries")).to_be_focused()
    await expect(music.page.locator("#announcer")).to_have_text("Other is forgotten.")
    await keyboard.press("Tab")
    assert await focused(music.page) == "Add a library…"


async def test_a_bad_pattern_is_shown_and_keeps_nothing_else_from_being_saved(
    music: Opened, library: Library, nomarr: Nomarr, database: Path
) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE libraries SET ignore_patterns = ?", (json.dumps(["[z-a]"]),))
    await music.page.reload()
    await music.button("Edit Music").click()
    await expect(music.dialog).to_contain_text("“[z-a]” can't be understood: the range 'z-a'")
    await music.dialog.get_by_label("Name").fill("Records")
    await music.button("Save").click()
    await expect(music.card("Records")).to_be_visible()
    await music.button("Edit Records").click()
    await music.dialog.get_by_label("Leave out").fill("[z-a]\n*.tmp")
    await music.button("Save").click()
    await expect(music.dialog).to_be_hidden()
    assert (await nomarr.libraries.get_library(library.library_id)).ignore_patterns == ("[z-a]", "*.tmp")


async def test_a_library_that_another_program_removes_is_gone_from_the_page(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, library: Library
) -> None:
    await nomarr.libraries.update_library(library.library_id, watch_mode="off")
    await nomarr.libraries.scan_targets([ScanTarget(library.library_id)])
    async with (
        running_server(nomarr, replace(options, library_look_seconds=0.1)) as address,
        opened(tab, nomarr, address) as page,
    ):
        await expect(page.card("Music")).to_contain_text("3 files")
        await expect(page.page.locator("#feed")).to_contain_text("c.wav")
        await nomarr.libraries.remove_library(library.library_id)
        await expect(page.page.get_by_role("heading", name="Where is your music?")).to_be_visible()
        await expect(page.page.locator("#feed")).not_to_contain_text("c.wav")


async def test_a_library_that_has_moved_is_found_again(music: Opened, library: Library, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.move(library.root_path, tmp_path / "elsewhere" / "music")
    await expect(music.card("Music").locator(".state")).to_have_text("offline")
    await music.button("Edit Music").click()
    await music.button("The folder is somewhere else…").click()
    await music.dialog.get_by_role("button", name="elsewhere").click()
    await music.dialog.get_by_role("button", name="music").click()
    await music.button("It is here now").click()
    card = music.card("Music")
    await expect(card.locator(".state")).to_have_text("watching")
    await expect(card).to_contain_text("elsewhere/music")
