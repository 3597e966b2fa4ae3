"""The web page as files: what it is made of, and how a browser is let in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from api_kit import Api, new_token, running_api, until

from nomarr import Nomarr
from nomarr.helpers.dto.tokens import TokenScope
from nomarr.interfaces import api as interface
from nomarr.interfaces.api.options_if import ServiceOptions

WEB = Path(interface.__file__).parents[1] / "web"
FILES = sorted(WEB.iterdir())
LIBRARIES, SESSION = "/api/v1/libraries", "/api/v1/session"


async def test_the_page_is_where_the_service_is(api: Api) -> None:
    answer = await api.client.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text == (WEB / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "kind"), [("main.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")]
)
async def test_its_files_are_asked_for_again_when_they_may_have_changed(api: Api, name: str, kind: str) -> None:
    answer = await api.client.get(f"/page/{name}")
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["cache-control"] == "no-cache"
    again = await api.client.get(f"/page/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/page/nothing.js", "/page/", "/page/..%2fapi/app_if.py", "/page/%2e%2e/contract.py"])
async def test_nothing_else_is_given_out(api: Api, path: str) -> None:
    assert (await api.problem("GET", path))["status"] == 404


async def test_a_browser_runs_and_loads_only_what_is_ours(api: Api) -> None:
    policy = (await api.client.get("/")).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nothing_comes_from_elsewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?:https?:)?//[\w-]+\.\w+", text) == []


@pytest.mark.parametrize("file", [file for file in FILES if file.suffix == ".js"], ids=lambda file: file.name)
def test_texts_are_never_read_as_html(file: Path) -> None:
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", file.read_text("utf-8")) == []


def test_the_page_has_no_scripts_and_styles_of_its_own() -> None:
    page = (WEB / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", page) == []


@pytest.fixture
async def closed(nomarr: Nomarr, options: ServiceOptions) -> AsyncIterator[Api]:
    """A service that wants tokens."""
    wanted = replace(options, tokens_required=True, allowed_hosts=(), token_look_seconds=0.1)
    async with running_api(nomarr, wanted) as api:
        yield api


async def test_the_page_itself_needs_no_token(closed: Api) -> None:
    assert (await closed.client.get("/")).status_code == 200
    assert (await closed.client.get("/page/main.js")).status_code == 200


async def test_a_browser_hands_its_token_in_once(closed: Api, nomarr: Nomarr) -> None:
    token = await new_token(nomarr, TokenScope.READ)
    answer = await closed.client.put(SESSION, json={"token": token})
    assert answer.status_code == 204
    assert {"httponly", "samesite=strict"} <= set(answer.headers["set-cookie"].lower().split("; "))
    assert await closed.get(LIBRARIES) == []
    assert (await closed.problem("POST", LIBRARIES, {}))["error"] == "ScopeTooSmall"
    await closed.ask("DELETE", SESSION)
    assert (await closed.problem("GET", LIBRARIES))["error"] == "TokenMissing"


async def test_a_password_for_a_proxy_hides_no_cookie(closed: Api, nomarr: Nomarr) -> None:
    await closed.ask("PUT", SESSION, {"token": await new_token(nomarr, TokenScope.READ)})
    assert await closed.get(LIBRARIES, headers={"Authorization": "Basic dXNlcjpwYXNz"}) == []
    problem = await closed.problem("GET", LIBRARIES, headers={"Authorization": "Bearer x"})
    assert problem["error"] == "TokenNotValid"


async def test_a_browser_is_told_whether_it_has_a_token(closed: Api, nomarr: Nomarr) -> None:
    assert await closed.get(SESSION) == {"has_token": False}
    await closed.ask("PUT", SESSION, {"token": await new_token(nomarr, TokenScope.READ)})
    assert await closed.get(SESSION) == {"has_token": True}
    await nomarr.tokens.revoke_all()
    await until(lambda: has_no_token(closed))
    await closed.ask("DELETE", SESSION)
    assert await closed.get(SESSION) == {"has_token": False}


async def has_no_token(api: Api) -> bool:
    return await api.get(SESSION) == {"has_token": False}


@pytest.mark.parametrize("token", ["", "x", "a b", "a.b.c", "x" * 5000])
async def test_what_is_no_token_begins_nothing(closed: Api, token: str) -> None:
    assert (await closed.problem("PUT", SESSION, {"token": token}))["status"] in (401, 422)
    assert (await closed.problem("GET", LIBRARIES, headers={"Cookie": f"nomarr_token={token}"}))["status"] == 401


async def test_pages_of_other_sites_begin_nothing(closed: Api, nomarr: Nomarr) -> None:
    wish = {"token": await new_token(nomarr, TokenScope.ADMIN)}
    problem = await closed.problem("PUT", SESSION, wish, headers={"Origin": "http://evil.example"})
    assert problem["error"] == "OtherOrigin"


async def test_where_no_token_is_needed_none_is_kept(api: Api) -> None:
    answer = await api.client.put(SESSION, json={"token": "x"})
    assert (answer.status_code, "set-cookie" in answer.headers) == (204, False)
    assert await api.get(SESSION) == {"has_token": False}


@pytest.mark.parametrize(
    ("said", "secure"),
    [(None, False), ("http", False), ("https", True), ("HTTPS", True), ("https, http", True), ("http, https", False)],
)
async def test_a_cookie_that_came_by_https_never_goes_without(
    closed: Api, nomarr: Nomarr, said: str | None, secure: bool
) -> None:
    headers = {} if said is None else {"X-Forwarded-Proto": said}
    wish = {"token": await new_token(nomarr, TokenScope.READ)}
    answer = await closed.client.put(SESSION, json=wish, headers=headers)
    parts = set(answer.headers["set-cookie"].lower().split("; "))
    assert {"httponly", "samesite=strict", "path=/"} <= parts
    assert ("secure" in parts) == secure
    # By this name browsers know one that no plain HTTP may set, overwrite or delete.
    assert answer.headers["set-cookie"].startswith("__Host-" if secure else "nomarr_token=")
    assert not any(part.startswith("domain") for part in parts)


@pytest.mark.parametrize(("said", "scope"), [("http", "read"), ("https", "admin")])
async def test_where_a_browser_has_two_cookies_that_of_its_way_counts(
    closed: Api, nomarr: Nomarr, said: str, scope: str
) -> None:
    reader, admin = await new_token(nomarr, TokenScope.READ), await new_token(nomarr, TokenScope.ADMIN)
    headers = {"X-Forwarded-Proto": said, "Cookie": f"nomarr_token={reader}; __Host-nomarr_token={admin}"}
    assert await closed.get(SESSION, headers=headers) == {"has_token": True}
    refused = (await closed.problem("POST", LIBRARIES, {}, headers=headers))["status"]
    assert refused == (403 if scope == "read" else 422)


@pytest.mark.parametrize("said", ["http", "https"])
@pytest.mark.parametrize("name", ["nomarr_token", "__Host-nomarr_token"])
async def test_one_cookie_is_enough_on_either_way(closed: Api, nomarr: Nomarr, said: str, name: str) -> None:
    cookie = f"{name}={await new_token(nomarr, TokenScope.READ)}"
    assert await closed.get(LIBRARIES, headers={"X-Forwarded-Proto": said, "Cookie": cookie}) == []


async def test_signing_out_ends_both_cookies(closed: Api) -> None:
    answer = await closed.client.delete(SESSION)
    ended = {cookie.partition("=")[0]: cookie.lower() for cookie in answer.headers.get_list("set-cookie")}
    assert set(ended) == {"nomarr_token", "__Host-nomarr_token"}
    assert all("max-age=0" in cookie and "path=/" in cookie for cookie in ended.values())
    assert "secure" in ended["__Host-nomarr_token"].split("; ")


@pytest.mark.parametrize("wanted", ["bytes=abc", "bytes=0-9", "bytes=999999999-"])
@pytest.mark.parametrize("path", ["/", "/page/main.js"])
async def test_files_of_the_page_are_sent_whole(api: Api, path: str, wanted: str) -> None:
    whole = await api.client.get(path)
    answer = await api.client.get(path, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (200, whole.content)


async def test_a_page_that_a_browser_has_is_not_sent_again(api: Api) -> None:
    for path in ("/", "/page/main.js"):
        answer = await api.client.get(path)
        again = await api.client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content, again.headers["cache-control"]) == (304, b"", "no-cache")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br, GZIP;q=0.5", "gzip"),
        ("*", "gzip"),
        ("gzip; q=1.0, *;q=0", "gzip"),
        ("gzip;q=0", None),
        ("gzip; q=0.000, *", None),
        ("*;q=0", None),
        ("identity", None),
        ("br", None),
        ("gzip;q=x", None),
        ("", None),
    ],
)
async def test_an_answer_is_coded_only_for_who_takes_it(api: Api, accepted: str, coding: str | None) -> None:
    answer = await api.client.get("/openapi.json", headers={"Accept-Encoding": accepted})
    assert (answer.headers.get("content-encoding"), answer.headers["vary"]) == (coding, "Accept-Encoding")
    assert answer.json()["info"]["title"] == "Nomarr"
