"""What docs/http.md shows with curl, works; it tells every path and limit, and docs/operations.md every metric."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import httpx
import pytest
import yaml
from anyio.from_thread import start_blocking_portal
from support.music import build, tone

from nomarr import Nomarr
from nomarr.helpers.dto.tokens import TokenScope
from nomarr.interfaces.api import browse_if, scan_requests_if
from nomarr.interfaces.api.app_if import create_app
from nomarr.interfaces.api.clients_if import THIS_COMPUTER, share_of
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.server_if import serve
from nomarr.interfaces.api.tokens_if import sign
from nomarr.services.infrastructure.token_svc import MOST_TOKENS

DOCS = Path(__file__).parents[2] / "docs"
HTTP = (DOCS / "http.md").read_text(encoding="utf-8")
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
LOCAL = [line[2:] for line in HTTP.splitlines() if line.startswith("$ curl -s")]
PATH = re.compile(r"(?<=[ `])(?:\$API|/api/v1)?(/[\w/-]+)")
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
    ids = {"library_id": "", "token_id": ""}
    for line in LOCAL:
        command = line.replace("TOKEN_ID", ids["token_id"])
        command = command.replace("/ID", f"/{ids['library_id']}").replace("=ID", f"={ids['library_id']}")
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
            ids |= {name: answer[name] for name in ids.keys() & answer.keys()}
    assert httpx.get(f"{service}/api/v1/libraries").json() == []


NAMES = {"library_id": "ID", "file_id": "FILE_ID", "cover_id": "COVER_ID", "request_id": "REQUEST_ID"} | {
    "name": "NAME",
    "token_id": "TOKEN_ID",
}


def test_every_path_is_documented(tmp_path: Path) -> None:
    document = create_app(f"sqlite:///{tmp_path / 'nomarr.db'}").openapi()
    there = {path.removeprefix("/api/v1").format(**NAMES) for path in document["paths"]}
    assert there - set(PATH.findall(HTTP)) == set()


def test_every_limit_is_documented() -> None:
    options = ServiceOptions()

    def shared(places: int) -> str:
        return f"{places:,}; of one client {share_of('', places)}, of this computer {share_of(THIS_COMPUTER, places)}"

    limits = HTTP.partition("## Limits\n")[2].partition("## ")[0]
    assert re.findall(r"^\| (.+?) \| (.+?) \|", limits, re.MULTILINE)[1:] == [
        ("the body of a request", f"{options.max_body_bytes >> 20} MiB"),
        ("requests of one client", f"{options.requests_per_second:.0f} a second for long, {options.burst} at once"),
        ("connections", shared(options.max_connections)),
        ("until the head of a request is complete", f"{options.head_seconds:.0f} seconds"),
        ("until its body is complete", f"{options.body_seconds:.0f} seconds"),
        ("from an answer to the next request", f"{options.idle_seconds} seconds"),
        ("to take at least something of an answer", f"{options.send_seconds:.0f} seconds"),
        ("streams of events and of log lines", shared(options.max_streams)),
        ("scans that were asked for and have not ended", str(scan_requests_if._KEPT)),
        (
            "looking at folders on the disk",
            f"{browse_if._LOOKS} at the same time of one disk, {browse_if._PATIENCE_SECONDS:.0f} seconds each",
        ),
    ]


def test_how_many_tokens_there_may_be_is_documented() -> None:
    told = f"{MOST_TOKENS:,}"
    assert f"there are {told} tokens" in HTTP
    assert f"At most {told} are good" in (DOCS / "cli.md").read_text(encoding="utf-8")


def test_every_metric_is_documented(service: str) -> None:
    names = set(re.findall(r"^# HELP (\S+)", httpx.get(f"{service}/metrics").text, re.MULTILINE))
    # A histogram and a counter tell when they began, too.
    told = {name for name in names if not name.endswith("_created")}
    assert set(METRIC.findall(OPERATIONS)) == told


async def test_prometheus_gets_in_as_it_is_shown(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", OPERATIONS, re.DOTALL)
    (job,) = yaml.safe_load(shown)["scrape_configs"]
    makes = next(line for line in OPERATIONS.splitlines() if "token create" in line and line.endswith(" |"))
    assert f"/dev/stdin {job['authorization']['credentials_file']}" in OPERATIONS
    assert f'up{{job="{job["job_name"]}"}} == 0' in OPERATIONS
    options = ServiceOptions(tokens_required=True, allowed_hosts=())
    async with Nomarr.open(f"sqlite:///{tmp_path / 'nomarr.db'}") as nomarr:
        days = float(shlex.split(makes.rstrip(" |"))[-1])
        # Without --scope it is one for reading.
        assert "--scope" not in makes
        app = create_app(nomarr, options)
        (target,) = job["static_configs"][0]["targets"]
        # What Prometheus asks for unless it is told otherwise.
        metrics = f"http://{target}/metrics"
        token = sign(*await nomarr.tokens.keep("Prometheus", TokenScope.READ, days))
        bearer = {"Authorization": f"Bearer {token}"}
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client,
        ):
            assert (await client.get(metrics)).status_code == 401
            assert "nomarr_scans_running" in (await client.get(metrics, headers=bearer)).text
