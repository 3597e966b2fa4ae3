"""What docs/http.md shows with curl, works, and docs/operations.md names every metric."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from support.music import build, tone

from nomarr import Nomarr
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.server_if import serve

DOCS = Path(__file__).parents[2] / "docs"
HTTP = (DOCS / "http.md").read_text(encoding="utf-8")
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
LOCAL = [line[2:] for line in HTTP.splitlines() if line.startswith("$ curl -s")]
METRIC = re.compile(r"`(nomarr_[a-z_]+)[`{]")


@asynccontextmanager
async def a_service(folder: Path) -> AsyncIterator[str]:
    options = ServiceOptions(browse_roots=(str(folder),), requests_per_second=1e6, burst=1000)
    address: list[str] = []
    ready = anyio.Event()

    def on_ready(where: str) -> None:
        address.append(where)
        ready.set()

    async with Nomarr.open(f"sqlite:///{folder / 'nomarr.db'}") as nomarr, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(serve, nomarr, "127.0.0.1", 0, options, on_ready))
        with anyio.fail_after(20):
            await ready.wait()
        yield address[0]
        tasks.cancel_scope.cancel()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    build(tmp_path / "music", {"Beatles": {"a.wav": tone(440)}})
    (tmp_path / "new music").mkdir()
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(a_service(tmp_path)) as address:
        yield address


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_with_curl_work_one_after_the_other(service: str, tmp_path: Path) -> None:
    assert len(LOCAL) > 5
    places = {"/srv/music": str(tmp_path / "music"), "/mnt/new/music": str(tmp_path / "new music")}
    library_id = ""
    for line in LOCAL:
        command = line.replace("/ID", f"/{library_id}").replace("=ID", f"={library_id}")
        for shown, place in places.items():
            command = command.replace(shown, place)
        ran = subprocess.run(
            ["bash", "-c", f"API={service}/api/v1; {command} --max-time 20"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        answer = json.loads(ran.stdout) if ran.stdout else {}
        assert "error" not in answer or answer["error"] is None, (command, answer)
        if '"name"' in line:
            library_id = answer["library_id"]
    assert httpx.get(f"{service}/api/v1/libraries").json() == []


def test_every_metric_is_documented(service: str) -> None:
    names = set(re.findall(r"^# HELP (\S+)", httpx.get(f"{service}/metrics").text, re.MULTILINE))
    # A histogram and a counter tell when they began, too.
    told = {name for name in names if not name.endswith("_created")}
    assert set(METRIC.findall(OPERATIONS)) == told
