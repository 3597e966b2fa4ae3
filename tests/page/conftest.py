"""A browser for all tests of the page, and for each test a service of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from api.api_kit import running_server
from page_kit import CHROMIUM, QUICK, Opened, expect, opened
from playwright.async_api import Page, async_playwright
from support.music import tone

from nomarr import Library, Nomarr
from nomarr.interfaces.api.options_if import ServiceOptions


@pytest.fixture(scope="package")
async def tab(anyio_backend: str) -> AsyncIterator[Page]:
    """One tab of a browser for all tests, as a new one takes longer than most of them."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: it shows the page to these tests")
    # Chromium's own sandbox can't be set up by root.
    rights = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=rights)
        context = await chromium.new_context()
        yield await context.new_page()
        await chromium.close()


@pytest.fixture
async def nomarr(database: Path) -> AsyncIterator[Nomarr]:
    async with Nomarr.open(f"sqlite:///{database}", **QUICK) as open_nomarr:
        yield open_nomarr


@pytest.fixture
def options(tmp_path: Path) -> ServiceOptions:
    return ServiceOptions(browse_roots=(str(tmp_path),))


@pytest.fixture
async def shown(tab: Page, nomarr: Nomarr, options: ServiceOptions) -> AsyncIterator[Opened]:
    """The page of a service that watches."""
    async with running_server(nomarr, options) as address, opened(tab, nomarr, address) as page:
        yield page


@pytest.fixture
async def music(library: Library, tab: Page, nomarr: Nomarr, options: ServiceOptions) -> AsyncIterator[Opened]:
    """The page with a library that is scanned and watched."""
    async with running_server(nomarr, options) as address, opened(tab, nomarr, address) as page:
        await expect(page.card("Music")).to_contain_text("3 files")
        yield page


@pytest.fixture
async def library(nomarr: Nomarr, music_tree: Callable[..., Path]) -> Library:
    """Three files in two folders, there before the service starts."""
    root = music_tree({"Rock": {"a.wav": tone(200), "b.wav": tone(210)}, "Jazz": {"c.wav": tone(220)}})
    return await nomarr.libraries.add_library("Music", root)
