"""The page in a real browser, with the service that it belongs to."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import ConsoleMessage, Error, Locator, Page, Request, ViewportSize, expect

from nomarr import Nomarr

__all__ = [
    "BROWSER",
    "CHROMIUM",
    "PHONE",
    "QUICK",
    "Opened",
    "Scheme",
    "expect",
    "focused",
    "opened",
    "size",
    "until_focused",
    "violations",
]

BROWSER: Final = [pytest.mark.browser]
CHROMIUM: Final = Path("/usr/bin/chromium")
WAIT_MILLISECONDS: Final = 15_000
QUICK: Final[dict[str, Any]] = {
    "settle_seconds": 0,
    "tag_workers": 1,
    "watcher_debounce_seconds": 0.1,
    "enable_enrichment": False,
}
"""Changes are noticed at once, every file is taken as settled, and nothing goes on in the background."""
PHONE: Final = ViewportSize(width=360, height=740)
NARROWEST: Final = ViewportSize(width=320, height=640)
"""Also what is left of 1,280 pixels when everything is four times as large (WCAG 1.4.10)."""
Scheme: TypeAlias = Literal["light", "dark"]

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

    async def look(self, *, away: bool) -> None:
        """As if somebody looked at another tab, or at this one again."""
        await self.page.evaluate(
            """(away) => {
                Object.defineProperty(document, "hidden", { value: away, configurable: true });
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            away,
        )

    async def drawn(self) -> None:
        """Wait until the page shows what it knows."""
        await self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    @contextmanager
    def watched_for_faults(self) -> Iterator[None]:
        hearers = {"pageerror": self._fail, "console": self._read, "request": self._note}
        for event, hear in hearers.items():
            self.page.on(event, hear)
        try:
            yield
        finally:
            for event, hear in hearers.items():
                self.page.remove_listener(event, hear)

    def _fail(self, error: Error) -> None:
        self.faults.append(f"exception: {error}")

    def _read(self, message: ConsoleMessage) -> None:
        # What the service refuses is written there as well, and is no fault of the page.
        if re.search("Content.Security.Policy|violates", message.text):
            self.faults.append(message.text)

    def _note(self, request: Request) -> None:
        place = urlsplit(request.url)
        if f"{place.scheme}://{place.netloc}" != self.address:
            self.faults.append(f"request to {request.url}")


@asynccontextmanager
async def opened(tab: Page, nomarr: Nomarr, address: str, scheme: Scheme = "light") -> AsyncIterator[Opened]:
    """The page of the service at this address, as a browser shows it that was never there."""
    shown = Opened(tab, nomarr, address)
    await tab.context.clear_cookies()
    await tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    with shown.watched_for_faults():
        try:
            await shown.go("")
            yield shown
        finally:
            # Ends its stream of events, so that the service can end.
            await tab.goto("about:blank")
    assert shown.faults == []


async def focused(page: Page) -> str:
    """What the keyboard acts on: its label, or its text."""
    name: str = await page.evaluate(
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    )
    return name.strip()


@asynccontextmanager
async def size(tab: Page, wanted: ViewportSize) -> AsyncIterator[None]:
    usual = tab.viewport_size
    assert usual is not None
    await tab.set_viewport_size(wanted)
    yield
    await tab.set_viewport_size(usual)


async def until_focused(page: Opened, name: str) -> None:
    """Press the tabulator until this is what the keyboard acts on."""
    passed = []
    while (found := await focused(page.page)) != name:
        passed.append(found)
        assert len(passed) < 40, f"{name!r} can't be reached: {passed}"
        await page.page.keyboard.press("Tab")


async def violations(page: Opened) -> list[str]:
    """What axe finds that is serious, with the elements."""
    found = (await Axe().run(page.page)).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
