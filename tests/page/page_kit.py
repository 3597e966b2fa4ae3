"""The page in a real browser, with the service that it belongs to."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Locator, Page, Request, expect

from nomarr import Nomarr

__all__ = ["BROWSER", "CHROMIUM", "Opened", "expect", "focused", "opened"]

BROWSER: Final = [pytest.mark.browser]
CHROMIUM: Final = Path("/usr/bin/chromium")
WAIT_MILLISECONDS: Final = 15_000

expect.set_options(timeout=WAIT_MILLISECONDS)


@dataclass
class Opened:
    """The page as somebody sees it who has just opened it."""

    page: Page
    nomarr: Nomarr
    address: str
    faults: list[str] = field(default_factory=list)
    """What must never happen: exceptions in scripts, broken policies, requests to somebody else."""

    async def go(self, place: str) -> None:
        """To a place of the page, such as `#/files`."""
        await self.page.goto(f"{self.address}/{place}")

    def card(self, library: str) -> Locator:
        return self.page.get_by_role("article", name=library)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True)

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def rows(self) -> Locator:
        """The files of the table."""
        return self.page.locator("#file-rows tr")

    async def titles(self) -> list[str]:
        return await self.page.locator("#file-rows .title").all_inner_texts()

    def watch_for_faults(self) -> None:
        self.page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        self.page.on("console", lambda message: self._read(message.text))
        self.page.on("request", self._note)

    def _read(self, text: str) -> None:
        # What the service refuses is written there as well, and is no fault of the page.
        if re.search("Content.Security.Policy|violates", text):
            self.faults.append(text)

    def _note(self, request: Request) -> None:
        place = urlsplit(request.url)
        if place.scheme != "data" and f"{place.scheme}://{place.netloc}" != self.address:
            self.faults.append(f"request to {request.url}")


@asynccontextmanager
async def opened(browser: Browser, nomarr: Nomarr, address: str, **look: Any) -> AsyncIterator[Opened]:
    """The page in a fresh browser profile; `look` is what Playwright takes, such as `color_scheme="dark"`."""
    context = await browser.new_context(**{"reduced_motion": "reduce"} | look)
    try:
        shown = Opened(await context.new_page(), nomarr, address)
        shown.watch_for_faults()
        await shown.go("")
        yield shown
        assert shown.faults == []
    finally:
        await context.close()


async def focused(page: Page) -> str:
    """What the keyboard acts on: its label, or its text."""
    name: str = await page.evaluate(
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    )
    return name.strip()
