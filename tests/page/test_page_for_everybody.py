"""The page with a keyboard alone, for a screen reader, in light and dark, on a phone."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from api.api_kit import new_token, running_server
from page_kit import BROWSER, NARROWEST, PHONE, Opened, Scheme, expect, focused, opened, size, until_focused, violations
from playwright.async_api import Page
from support.music import tone, tones

from nomarr import Nomarr, ScanTarget
from nomarr.interfaces.api.options_if import ServiceOptions

pytestmark = BROWSER

VIEWS = ("#/files", "#/health", "#/settings")


async def test_everything_can_be_done_with_the_keyboard(shown: Opened, music_tree: Callable[..., Path]) -> None:
    music_tree({"Rock": {"a.wav": tone(200)}})
    await shown.page.reload()
    await expect(shown.button("music")).to_be_visible()
    keyboard = shown.page.keyboard
    await keyboard.press("Tab")
    assert await focused(shown.page) == "Skip to the content"
    await keyboard.press("Enter")
    await until_focused(shown, "music")
    await keyboard.press("Enter")
    await expect(shown.page.locator(".where")).to_be_focused()
    await until_focused(shown, "Add this folder")
    await keyboard.press("Enter")
    await expect(shown.page.get_by_role("heading", name="music", exact=True)).to_be_focused()
    await expect(shown.card("music")).to_contain_text("1 file")
    await until_focused(shown, "Full scan of music")
    await keyboard.press("Enter")
    await expect(shown.card("music")).to_contain_text("nothing changed")
    assert await focused(shown.page) == "Full scan of music"
    await until_focused(shown, "Rock/a.wav")


async def test_a_view_begins_at_its_beginning(music: Opened) -> None:
    await music.link("Files").press("Enter")
    await expect(music.page.locator("main")).to_be_focused()
    await expect(music.link("Files")).to_have_attribute("aria-current", "page")
    await expect(music.page).to_have_title("Files · Nomarr")


@pytest.fixture
async def troubled(
    nomarr: Nomarr, options: ServiceOptions, music_tree: Callable[..., Path], tmp_path: Path
) -> AsyncIterator[str]:
    """The address of a service that has as much to show as possible."""
    root = music_tree({"gone": tones(60), "here": tones(5, first=300), "broken.mp3": "no sound"})
    library = await nomarr.libraries.add_library("Music", root, watch_mode="off")
    (tmp_path / "away").mkdir()
    await nomarr.libraries.add_library("Away", tmp_path / "away")
    await nomarr.libraries.scan_targets([ScanTarget(library.library_id)])
    await nomarr.kept_settings.change({"scan_batch_size": 60, "purge_missing_after_days": "never"})
    shutil.rmtree(root / "gone")
    shutil.rmtree(tmp_path / "away")
    await nomarr.libraries.scan_targets([ScanTarget(library.library_id)])
    async with running_server(nomarr, options) as address:
        yield address


async def visit(page: Opened, place: str) -> None:
    """Go there and wait until there is something to see."""
    await page.go(place)
    content = page.page.locator(f"#{place[2:]}").locator("li, tbody tr, fieldset")
    await expect(content.first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious(tab: Page, nomarr: Nomarr, troubled: str, scheme: Scheme) -> None:
    async with opened(tab, nomarr, troubled, scheme) as page:
        await expect(page.card("Away").locator(".state")).to_have_text("offline")
        await expect(page.page.get_by_role("region", name="Something is wrong")).to_be_visible()
        assert await violations(page) == []
        for place in VIEWS:
            await visit(page, place)
            await page.page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
            assert await violations(page) == [], place
        await page.go("#/files")
        await page.page.locator("#file-rows .title").first.click()
        await expect(page.dialog).to_be_visible()
        assert await violations(page) == []


async def test_a_phone_is_wide_enough(tab: Page, nomarr: Nomarr, troubled: str) -> None:
    async with opened(tab, nomarr, troubled) as page, size(tab, PHONE):
        await expect(page.card("Away").locator(".state")).to_have_text("offline")
        assert await violations(page) == []
        for place in VIEWS:
            await visit(page, place)
            await page.page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
            is_too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            for narrow in (PHONE, NARROWEST):
                await page.page.set_viewport_size(narrow)
                assert not await page.page.evaluate(is_too_wide), (place, narrow)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious_in_the_welcome(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, scheme: Scheme
) -> None:
    async with (
        running_server(nomarr, options) as address,
        opened(tab, nomarr, address, scheme) as page,
    ):
        await expect(page.page.locator(".where")).not_to_be_empty()
        assert await violations(page) == []


async def test_a_token_is_forgotten_with_the_keyboard(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, music_tree: Callable[..., Path]
) -> None:
    await nomarr.libraries.add_library("Music", music_tree({"a.wav": tone(200)}))
    closed = replace(options, tokens_required=True)
    async with running_server(nomarr, closed) as address, opened(tab, nomarr, address) as page:
        await expect(page.dialog).to_contain_text("nomarr token create --scope admin")
        await expect(page.dialog.get_by_label("Token")).to_be_focused()
        await expect(page.page.locator("#sign-out")).to_be_hidden()
        await page.dialog.get_by_label("Token").fill(await new_token(nomarr))
        await page.page.keyboard.press("Enter")
        await expect(page.card("Music")).to_contain_text("1 file")
        await expect(page.button("Sign out")).to_be_visible()
        assert await violations(page) == []
        async with size(tab, PHONE):
            assert await violations(page) == []
            is_too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            assert not await page.page.evaluate(is_too_wide)
        await until_focused(page, "Sign out")
        await page.page.keyboard.press("Enter")
        await expect(page.dialog).to_contain_text("A token is needed")
        await expect(page.card("Music")).to_have_count(0)
        assert [cookie["name"] for cookie in await tab.context.cookies()] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_who_is_signed_out_can_see_and_reach_the_way_in(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, scheme: Scheme
) -> None:
    closed = replace(options, tokens_required=True)
    async with (
        running_server(nomarr, closed) as address,
        opened(tab, nomarr, address, scheme) as page,
        size(tab, PHONE),
    ):
        await expect(page.dialog).to_be_visible()
        await page.page.keyboard.press("Escape")
        await expect(page.button("Enter a token…")).to_be_visible()
        assert await violations(page) == []
        is_too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not await page.page.evaluate(is_too_wide)
        await until_focused(page, "Enter a token…")
        await page.page.keyboard.press("Enter")
        await page.dialog.get_by_label("Token").fill(await new_token(nomarr))
        await page.page.keyboard.press("Enter")
        await expect(page.page.get_by_role("heading", name="Where is your music?")).to_be_visible()
        await expect(page.page.locator("main")).to_be_focused()


async def test_without_tokens_nobody_signs_out(music: Opened) -> None:
    await expect(music.page.locator("#connection")).to_have_text("live")
    await expect(music.button("Sign out")).to_be_hidden()
