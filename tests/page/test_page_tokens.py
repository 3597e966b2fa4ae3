"""The page of a service that wants a token: how it asks for one, and what it says without one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from api.api_kit import running_server
from page_kit import BROWSER, Opened, expect, opened
from playwright.async_api import Page, Route
from support.music import tone

from nomarr import Nomarr
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.tokens_if import TOKEN_KEY, Tokens, TokenScope, new_key

pytestmark = BROWSER


@pytest.fixture
async def closed(
    tab: Page, nomarr: Nomarr, options: ServiceOptions, music_tree: Callable[..., Path]
) -> AsyncIterator[Opened]:
    """The page of a service with one file, to somebody who has shown no token yet."""
    await nomarr.libraries.add_library("Music", music_tree({"a.wav": tone(200)}))
    await nomarr.settings.put(TOKEN_KEY, new_key())
    wanted = replace(options, tokens_required=True, token_look_seconds=0.1)
    async with running_server(nomarr, wanted) as address, opened(tab, nomarr, address) as page:
        await expect(page.dialog).to_contain_text("A token is needed")
        yield page


async def sign_in(page: Opened) -> None:
    key = await page.nomarr.settings.get(TOKEN_KEY)
    assert key is not None
    await page.dialog.get_by_label("Token").fill(Tokens(key).create(TokenScope.READ, 1))
    await page.button("Use this token").click()


async def revoke(page: Opened) -> None:
    """What `nomarr token revoke` does."""
    await page.nomarr.settings.put(TOKEN_KEY, new_key())


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
