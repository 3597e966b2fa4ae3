"""The page of a service that wants a token: how it asks for one, and what it says without one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from api.api_kit import new_token, running_server
from page_kit import BROWSER, PHONE, Opened, Scheme, expect, focused, opened, size, until_focused, violations
from playwright.async_api import Page, Route
from support.music import tone

from nomarr import Nomarr
from nomarr.helpers.dto.tokens import TokenScope
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.tokens_if import Tokens

pytestmark = BROWSER


@pytest.fixture
async def closed(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, music_tree: Callable[..., Path]
) -> AsyncIterator[Opened]:
    """The page of a service with one file, to somebody who has shown no token yet."""
    await nomarr.libraries.add_library("Music", music_tree({"a.wav": tone(200)}))
    wanted = replace(options, tokens_required=True, token_look_seconds=0.1)
    async with running_server(nomarr, wanted) as address, opened(tab, nomarr, address) as page:
        await expect(page.dialog).to_contain_text("A token is needed")
        yield page


async def sign_in(page: Opened, scope: TokenScope = TokenScope.READ) -> None:
    await page.dialog.get_by_label("Token").fill(await new_token(page.nomarr, scope))
    await page.button("Use this token").click()


async def revoke(page: Opened) -> None:
    """What `nomarr token revoke` does."""
    await page.nomarr.tokens.revoke_all()


async def expect_everything(page: Opened) -> None:
    await expect(page.page.locator("#connection")).to_have_text("live")
    await expect(page.page.locator("#signed-out")).to_be_hidden()
    await expect(page.dialog).to_have_count(0)


async def test_wrong_tokens_are_told_and_the_right_one_opens(closed: Opened) -> None:
    await expect(closed.dialog).to_contain_text("nomarr token create")
    await closed.dialog.get_by_label("Token").fill("wrong")
    await closed.button("Use this token").click()
    await expect(closed.dialog.get_by_role("alert")).to_contain_text("no token of this service")
    await sign_in(closed)
    await expect(closed.card("Music")).to_contain_text("1 file")
    await expect_everything(closed)
    await closed.button("Scan Music").click()
    notice = closed.page.get_by_role("alert").filter(has_text="good for reading only")
    await expect(notice).to_be_visible()
    await closed.button("Dismiss").click()
    await expect(notice).to_have_count(0)
    await closed.page.reload()
    await expect(closed.card("Music")).to_contain_text("1 file")


async def test_a_reader_who_wants_to_add_a_library_is_told_which_token_that_takes(closed: Opened) -> None:
    await sign_in(closed)
    await closed.button("Add a library…").click()
    await expect(closed.dialog.get_by_role("alert")).to_contain_text("the scope admin is needed")


async def test_who_has_shown_no_token_is_told_and_asked_again_on_demand(closed: Opened) -> None:
    await closed.page.keyboard.press("Escape")
    await expect(closed.page.locator("#connection")).to_have_text("signed out")
    await expect(closed.page.locator("#signed-out")).to_contain_text("Nomarr needs a token")
    await closed.button("Enter a token…").press("Enter")
    await sign_in(closed)
    await expect(closed.card("Music")).to_contain_text("1 file")
    await expect_everything(closed)


async def test_a_token_that_is_shown_later_opens_everything(closed: Opened) -> None:
    await closed.page.keyboard.press("Escape")
    await closed.link("Files").click()
    await sign_in(closed)
    await expect(closed.rows).to_have_count(1)
    await expect_everything(closed)
    await closed.link("Library").click()
    await expect(closed.card("Music")).to_contain_text("1 file")
    await expect(closed.page.locator("#feed")).to_contain_text("a.wav")


async def test_a_token_that_was_revoked_is_asked_for_again(closed: Opened) -> None:
    await sign_in(closed)
    await expect_everything(closed)
    await revoke(closed)
    await expect(closed.dialog).to_contain_text("this is no token of this service")
    await expect(closed.page.locator("#connection")).to_have_text("signed out")
    await expect(closed.page.locator("#away")).to_be_hidden()
    await sign_in(closed)
    await expect_everything(closed)


async def test_who_wants_to_show_no_token_is_left_alone(closed: Opened) -> None:
    await sign_in(closed)
    await expect(closed.card("Music")).to_contain_text("1 file")
    await expect_everything(closed)
    await revoke(closed)
    await closed.dialog.get_by_role("button", name="Close").click()
    await expect(closed.page.locator("#signed-out")).to_contain_text("Nomarr needs a token")
    await expect(closed.page.get_by_role("alert")).to_be_empty()
    # Whatever the page asks by itself is answered with 401.
    async with closed.page.expect_response(lambda answer: answer.status == 401):
        await closed.look(away=True)
        await closed.look(away=False)
    await expect(closed.page.locator("#connection")).to_have_text("signed out")
    await expect(closed.dialog).to_have_count(0)
    await closed.button("Scan Music").click()
    await sign_in(closed)
    await expect_everything(closed)


async def test_a_browser_that_keeps_no_cookie_is_told_what_to_do(closed: Opened) -> None:
    async def without_cookie(route: Route) -> None:
        # As a browser takes the answer that keeps no cookies.
        await (route.fulfill(status=204) if route.request.method == "PUT" else route.continue_())

    await closed.page.route("**/api/v1/session", without_cookie)
    await sign_in(closed)
    error = closed.dialog.get_by_role("alert")
    await expect(error).to_contain_text("this browser did not keep it")
    await expect(error).to_contain_text("Allow cookies for 127.0.0.1")
    await expect(closed.dialog.get_by_label("Token")).to_be_focused()
    await closed.page.unroute("**/api/v1/session")
    await closed.button("Use this token").click()
    await expect_everything(closed)


async def test_signing_out_counts_for_every_tab(closed: Opened) -> None:
    await sign_in(closed)
    await expect_everything(closed)
    other = replace(closed, page=await closed.page.context.new_page())
    try:
        await other.go("")
        await expect(other.card("Music")).to_contain_text("1 file")
        await closed.button("Sign out").click()
        for tab in (closed, other):
            await expect(tab.dialog).to_contain_text("A token is needed")
            await expect(tab.card("Music")).to_have_count(0)
    finally:
        await other.page.close()


@pytest.fixture
async def settings(closed: Opened) -> Opened:
    """The settings, for somebody who may do everything."""
    await sign_in(closed, TokenScope.ADMIN)
    await expect_everything(closed)
    await closed.link("Settings").click()
    await expect(closed.page.get_by_role("row", name="a test")).to_contain_text("everything")
    return closed


async def test_a_token_is_made_shown_once_used_and_revoked(settings: Opened) -> None:
    await settings.button("Make a token…").click()
    await settings.dialog.get_by_label("Name").fill("kitchen tablet")
    await settings.dialog.get_by_label("Ends after days").fill("7")
    await settings.button("Make it").click()
    shown = settings.dialog.get_by_label("Token", exact=True)
    await expect(shown).to_be_focused()
    token = await shown.input_value()
    Tokens(await settings.nomarr.tokens.known()).check(token, TokenScope.READ)
    await settings.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await settings.button("Copy the token").click()
    await expect(settings.button("Copied")).to_be_focused()
    assert await settings.page.evaluate("navigator.clipboard.readText()") == token
    await settings.page.keyboard.press("Escape")
    row = settings.page.get_by_role("row", name="kitchen tablet")
    await expect(row).to_contain_text("looking")
    assert token not in await settings.page.content()
    await settings.button("Revoke kitchen tablet").click()
    await settings.button("Revoke it").click()
    await expect(row).to_have_count(0)
    await expect(settings.page.locator("#tokens-title")).to_be_focused()
    await expect(settings.page.locator("#announcer")).to_have_text("kitchen tablet is revoked.")
    assert [kept.name for kept in await settings.nomarr.tokens.list_tokens()] == ["a test"]


async def test_whoever_presses_enter_twice_on_a_slow_line_makes_one_token(settings: Opened) -> None:
    both_pressed = anyio.Event()

    async def hold(route: Route) -> None:
        await both_pressed.wait()
        await route.continue_()

    await settings.page.route("**/api/v1/tokens", hold)
    await settings.button("Make a token…").click()
    await settings.dialog.get_by_label("Name").fill("tablet")
    await settings.page.keyboard.press("Enter")
    await settings.page.keyboard.press("Enter")
    both_pressed.set()
    await expect(settings.dialog.get_by_label("Token", exact=True)).to_be_focused()
    assert len(await settings.nomarr.tokens.list_tokens()) == 2


async def test_a_token_is_made_with_the_keyboard_alone(settings: Opened) -> None:
    keyboard = settings.page.keyboard
    await until_focused(settings, "Make a token…")
    await keyboard.press("Enter")
    await keyboard.type("phone")
    await keyboard.press("Enter")
    await expect(settings.dialog).to_contain_text("The token of phone")
    await keyboard.press("Escape")
    await expect(settings.page.get_by_role("row", name="phone")).to_be_visible()
    await until_focused(settings, "Revoke phone")
    await keyboard.press("Enter")
    # What changes nothing comes first.
    assert await focused(settings.page) == "Leave it as it is"
    await keyboard.press("Enter")
    await expect(settings.button("Revoke phone")).to_be_focused()


async def test_a_name_that_is_none_is_told_in_words(settings: Opened) -> None:
    await settings.button("Make a token…").click()
    await settings.dialog.get_by_label("Name").fill("  ")
    await settings.button("Make it").click()
    await expect(settings.dialog.get_by_role("alert")).to_contain_text("1 to 100 characters")


async def test_a_name_is_never_read_as_html(settings: Opened) -> None:
    name = "<img src=x onerror=alert(1)>"
    await settings.nomarr.tokens.keep(name, TokenScope.READ, 1)
    await settings.page.reload()
    await expect(settings.page.locator("#token-rows")).to_contain_text(name)


async def test_whoever_revokes_the_own_token_is_asked_for_another_one(settings: Opened) -> None:
    await settings.button("Revoke a test").click()
    await expect(settings.dialog).to_contain_text("the token of this browser")
    await settings.button("Revoke it").click()
    await expect(settings.dialog).to_contain_text("this token was revoked")
    await sign_in(settings, TokenScope.ADMIN)
    await expect(settings.page.get_by_role("row", name="a test")).to_be_visible()


async def test_a_reader_sees_no_tokens(closed: Opened) -> None:
    await sign_in(closed)
    await expect_everything(closed)
    await closed.link("Settings").click()
    await expect(closed.page.get_by_label("Scan batch size")).to_have_value("200")
    await closed.drawn()
    await expect(closed.page.locator("#tokens")).to_be_hidden()
    await expect(closed.page.get_by_role("alert")).to_be_empty()


async def test_where_none_is_needed_tokens_are_shown_once_there_are_some(shown: Opened) -> None:
    async with shown.page.expect_response("**/api/v1/tokens"):
        await shown.link("Settings").click()
    await shown.drawn()
    await expect(shown.page.locator("#tokens")).to_be_hidden()
    await shown.nomarr.tokens.keep("for later", TokenScope.READ, 1)
    await shown.page.reload()
    await expect(shown.page.get_by_role("row", name="for later")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious_in_tokens(settings: Opened, scheme: Scheme) -> None:
    await settings.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await settings.nomarr.tokens.keep("n" * 100, TokenScope.READ, 1)
    await settings.page.reload()
    await expect(settings.page.locator("#token-rows tr")).to_have_count(2)
    assert await violations(settings) == []
    async with size(settings.page, PHONE):
        assert await violations(settings) == []
        is_too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not await settings.page.evaluate(is_too_wide)
    await settings.button("Make a token…").click()
    assert await violations(settings) == []
    await settings.dialog.get_by_label("Name").fill("tablet")
    await settings.button("Make it").click()
    await expect(settings.dialog.get_by_label("Token", exact=True)).to_be_focused()
    assert await violations(settings) == []
