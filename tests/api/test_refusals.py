"""What a client must not get at, and what is no question at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.abc import SocketStream
from api_kit import Api, running_server

from nomarr import Library, Nomarr
from nomarr.interfaces.api.options_if import ServiceOptions

API = "/api/v1"
SECRET = "nobody may read this"
OUT = ["/etc/passwd", "{root}/../../etc/passwd", "{root}/Rock/../../..", "{root}/link", "{root}/link/secret.mp3"]


@pytest.fixture
def with_link(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A library with a link to a folder outside of everything that is allowed."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.mp3").write_text(SECRET)
    (Path(library.root_path) / "link").symlink_to(outside)
    return library


@pytest.mark.parametrize("path", OUT)
@pytest.mark.parametrize("question", ["folders", "explain"])
async def test_no_path_leads_out(api: Api, with_link: Library, question: str, path: str) -> None:
    asked = {"path": path.format(root=with_link.root_path)}
    assert (await api.problem("GET", f"{API}/{question}", params=asked))["error"] == "PathNotAllowed"


@pytest.mark.parametrize("path", OUT)
async def test_no_library_leads_out(api: Api, with_link: Library, path: str) -> None:
    asked = path.format(root=with_link.root_path)
    added = await api.problem("POST", f"{API}/libraries", {"name": "Out", "path": asked})
    moved = await api.problem("POST", f"{API}/libraries/{with_link.library_id}/relocate", {"path": asked})
    assert (added["error"], moved["error"]) == ("PathNotAllowed", "PathNotAllowed")


async def test_a_scan_does_not_follow_a_link_out(api: Api, with_link: Library) -> None:
    report = (await api.scan(with_link.library_id))["report"]
    assert report["files_added"] == 3
    files = await api.get(f"{API}/files")
    assert [item["path"] for item in files["items"] if "secret" in item["path"]] == []


@pytest.mark.parametrize(
    "name", ["..%2F..%2Fnomarr.db", "%2Fetc%2Fpasswd", "..", "0" * 32 + "%2F..", "x" * 5000, "%00"]
)
async def test_no_cover_is_a_path(api: Api, name: str) -> None:
    assert (await api.problem("GET", f"{API}/covers/{name}"))["status"] == 404


@pytest.mark.parametrize("folder", ["..", "/etc", "Rock/../.."])
async def test_no_folder_of_a_library_leads_out(api: Api, library: Library, folder: str) -> None:
    assert (await api.problem("GET", f"{API}/files", params={"folder": folder}))["status"] == 422


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"name": "x"}',
        b'{"name": "x", "path": "/", "more": 1}',
        b"[" * 100_000,
    ],
)
async def test_what_is_no_library_is_refused(api: Api, body: bytes) -> None:
    answer = await api.client.post(f"{API}/libraries", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/libraries"), ("PATCH", "/settings"), ("POST", "/libraries/x/scans")]
)
async def test_too_large_a_body_is_refused_everywhere(api: Api, method: str, path: str) -> None:
    body = json.dumps({"name": "x" * (1 << 20)}).encode()
    answer = await api.client.request(method, API + path, content=body)
    assert (answer.status_code, answer.json()["error"]) == (413, "TooLarge")


async def test_a_stream_takes_no_endless_body(
    nomarr: Nomarr, options: ServiceOptions, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with running_server(nomarr, replace(options, body_seconds=0.5)) as address:
        place = urlsplit(address)
        with anyio.fail_after(20):
            async with await anyio.connect_tcp(place.hostname or "", place.port or 0) as stream:
                await stream.send(head)
                with pytest.raises(anyio.BrokenResourceError):
                    await send_without_end(stream)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def send_without_end(stream: SocketStream) -> None:
    while True:
        await stream.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")


@pytest.mark.parametrize(
    "question", ["files?cursor=x", "files?limit=0", "files?sort=odd", "files?query=" + "x" * 300, "events?limit=9999"]
)
async def test_a_question_out_of_range_is_refused(api: Api, question: str) -> None:
    assert (await api.problem("GET", f"{API}/{question}"))["status"] == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/libraries/"),
        ("POST", "/api/v1/libraries/"),
        ("GET", "/api/v1/libraries/x/scan/"),
        ("GET", "/api/v1/files/"),
        ("GET", "/healthz/"),
        ("GET", "/metrics/"),
        ("GET", "/docs/"),
        ("GET", "/page"),
        ("GET", "/page/main.js/"),
    ],
)
async def test_nobody_is_sent_to_another_address(api: Api, method: str, path: str) -> None:
    assert (await api.problem(method, path))["status"] == 404


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"POST /api/v1/libraries HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    ],
)
async def test_what_is_no_request_harms_nobody(nomarr: Nomarr, options: ServiceOptions, sent: bytes) -> None:
    async with running_server(nomarr, options) as address:
        place = urlsplit(address)
        with anyio.fail_after(20):
            async with await anyio.connect_tcp(place.hostname or "", place.port or 0) as stream:
                await stream.send(sent)
                first = await stream.receive()
            assert first.split(b"\r\n")[0].split(b" ")[1].startswith(b"4")
            async with await anyio.connect_tcp(place.hostname or "", place.port or 0) as stream:
                await stream.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert (await stream.receive()).startswith(b"HTTP/1.1 200")


async def test_every_endpoint_refuses_a_parameter_that_it_does_not_know(api: Api) -> None:
    for path, methods in api.app.openapi()["paths"].items():
        for method, operation in methods.items():
            known = sorted(each["name"] for each in operation.get("parameters", ()) if each["in"] == "query")
            problem = await api.problem(method, path, params={"libary_id": "x"})
            said = f"this is no parameter here; there are: {', '.join(known) or 'none'}"
            assert (problem["status"], problem["error"]) == (422, "RequestNotValid"), f"{method} {path}"
            assert problem["faults"] == [{"at": "query.libary_id", "problem": said}]
            assert problem["detail"] == f"query.libary_id: {said}"


async def test_every_unknown_parameter_is_named_once(api: Api) -> None:
    problem = await api.problem("GET", f"{API}/files?limit=0&%6dy=1&Limit=1&my=2&sort=path")
    assert [fault["at"] for fault in problem["faults"]] == ["query.my", "query.Limit"]


async def test_a_path_that_is_longer_than_any_is_refused(api: Api, library: Library) -> None:
    scans = f"{API}/libraries/{library.library_id}/scans"
    for path, status in (("é" * 2048, 202), ("é" * 2048 + "x", 422)):
        answer = await api.client.post(scans, json={"folders": [{"folder_path": path}], "dry_run": True})
        assert answer.status_code == status
    problem = await api.problem("GET", f"{API}/explain", params={"path": "/x" * 2049})
    assert problem["detail"] == "path: a path has at most 4,096 bytes"


async def test_a_parameter_that_is_given_twice_is_refused(api: Api) -> None:
    for query in ("library_id=x&library_id=y", "folder=a&folder=b", "limit=1&limit=1"):
        problem = await api.problem("GET", f"{API}/files?{query}")
        assert problem["detail"] == f"query.{query.partition('=')[0]}: this is given more than once"


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_who_sends_json_as_something_else_is_told_how(
    api: Api, library: Library, content_type: str | None
) -> None:
    url = f"{API}/libraries/{library.library_id}/scans"
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = await api.client.post(url, content=b"{}", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"].endswith("; send it with the header 'Content-Type: application/json'")
    wrong = await api.problem("POST", url, {"folders": [{"folder_path": 1}]})
    assert wrong["detail"] == "body.folders.0.folder_path: a path is a string"


@pytest.mark.parametrize("path", ["/", "/docs", "/page/main.js"])
async def test_what_is_read_by_people_takes_any_parameter(api: Api, path: str) -> None:
    assert (await api.client.get(path, params={"version": "2"})).status_code == 200
