"""Who may ask what, and what never gets in."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import httpx
import pytest
from api_kit import Api, check_shape, new_token, running_api, running_server
from support.scans import scan

from nomarr import ConfigurationError, Library, Nomarr
from nomarr.helpers import exceptions
from nomarr.helpers.dto.tokens import TokenScope
from nomarr.helpers.exceptions import NomarrError
from nomarr.interfaces.api.guard_if import _Rates
from nomarr.interfaces.api.options_if import ServiceOptions, is_loopback
from nomarr.interfaces.api.problems_if import status_of
from nomarr.interfaces.api.server_if import options_for
from nomarr.interfaces.api.session_if import SESSION_PATH
from nomarr.interfaces.api.tokens_if import Tokens, sign
from nomarr.interfaces.cli.errors_cli import exit_code_of
from nomarr.interfaces.cli.exit_codes_cli import ExitCode

LIBRARIES = "/api/v1/libraries"
TOKENS = "/api/v1/tokens"
ERRORS = [getattr(exceptions, name) for name in exceptions.__all__]


@pytest.fixture
async def closed(nomarr: Nomarr, options: ServiceOptions) -> AsyncIterator[Api]:
    """A service that wants tokens."""
    async with running_api(nomarr, replace(options, tokens_required=True, allowed_hosts=())) as api:
        yield api


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("path", [LIBRARIES, "/metrics", "/docs", "/openapi.json", "/api/v1/events/stream"])
async def test_nothing_is_told_without_a_token(closed: Api, path: str) -> None:
    problem = await closed.problem("GET", path)
    assert problem["error"] == "TokenMissing"
    assert "***" not in problem["detail"]
    for wrong in ("Bearer x", "Bearer ", "Basic x", "Bearer a.b.c"):
        assert (await closed.problem("GET", path, headers={"Authorization": wrong}))["status"] == 401


async def test_no_operation_is_done_without_a_token(closed: Api, nomarr: Nomarr) -> None:
    reader = bearer(await new_token(nomarr))
    for path, methods in (await closed.get("/openapi.json", headers=reader))["paths"].items():
        for method in methods:
            if path == SESSION_PATH:
                continue
            if path not in ("/healthz", "/readyz"):
                assert (await closed.problem(method.upper(), path))["status"] == 401
            if method != "get":
                assert (await closed.problem(method.upper(), path, headers=reader))["status"] == 403


async def test_whoever_looks_after_the_machine_needs_no_token(closed: Api) -> None:
    assert (await closed.get("/healthz"), await closed.get("/readyz")) == ({"status": "ok"}, {"ready": True})


async def test_a_token_is_good_for_its_scope(closed: Api, nomarr: Nomarr, library: Library) -> None:
    reader, admin = [bearer(await new_token(nomarr, scope)) for scope in (TokenScope.READ, TokenScope.ADMIN)]
    assert await closed.get(LIBRARIES, headers=reader)
    url = f"{LIBRARIES}/{library.library_id}"
    assert (await closed.problem("PATCH", url, {"name": "x"}, headers=reader))["error"] == "ScopeTooSmall"
    assert (await closed.ask("PATCH", url, {"name": "x"}, headers=admin))["name"] == "x"


async def test_a_token_ends(closed: Api, nomarr: Nomarr) -> None:
    problem = await closed.problem("GET", LIBRARIES, headers=bearer(await new_token(nomarr, days=-1)))
    assert (problem["error"], "has ended" in problem["detail"]) == ("TokenNotValid", True)


@pytest.fixture
def watchful(options: ServiceOptions) -> ServiceOptions:
    return replace(options, tokens_required=True, allowed_hosts=(), token_look_seconds=0.05)


@pytest.mark.parametrize("path", ["/api/v1/events/stream", "/api/v1/logs/stream"])
async def test_a_stream_ends_with_its_token(nomarr: Nomarr, watchful: ServiceOptions, path: str) -> None:
    short = await new_token(nomarr, days=1.5 / 86400)
    async with running_server(nomarr, watchful) as address, httpx.AsyncClient(base_url=address) as client:
        with anyio.fail_after(10):
            async with client.stream("GET", path, headers=bearer(short)) as answer:
                assert (await answer.aread()).startswith(b"retry: 2000")
            assert (await client.get(path, headers=bearer(short))).status_code == 401


@pytest.mark.parametrize("path", ["/api/v1/events/stream", "/api/v1/logs/stream"])
async def test_revoked_tokens_are_worthless_without_a_restart(
    nomarr: Nomarr, watchful: ServiceOptions, path: str
) -> None:
    headers = bearer(await new_token(nomarr))
    async with running_server(nomarr, watchful) as address, httpx.AsyncClient(base_url=address) as client:
        with anyio.fail_after(10):
            async with client.stream("GET", path, headers=headers) as answer:
                await nomarr.tokens.revoke_all()
                assert (await answer.aread()).startswith(b"retry: 2000")
        assert (await client.get(LIBRARIES, headers=headers)).status_code == 401
        told = await client.get("/metrics", headers=bearer(await new_token(nomarr)))
        assert "nomarr_streams_dropped_total 0.0" in told.text


async def test_a_stream_goes_on_as_long_as_its_token(
    nomarr: Nomarr, watchful: ServiceOptions, library: Library
) -> None:
    good, short = [bearer(await new_token(nomarr, days=days)) for days in (1, 1.5 / 86400)]
    async with (
        running_server(nomarr, watchful) as address,
        httpx.AsyncClient(base_url=address, timeout=20) as client,
        client.stream("GET", "/api/v1/events/stream", headers=good) as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        # By then it was looked at many times.
        async with client.stream("GET", "/api/v1/events/stream", headers=short) as other:
            assert await other.aread()
        await scan(nomarr, library)
        with anyio.fail_after(10):
            while await anext(lines) != "event: change":
                pass


@pytest.mark.parametrize(("scope", "may_change"), [("read", False), ("admin", True)])
async def test_whoever_may_do_everything_makes_tokens(
    closed: Api, nomarr: Nomarr, library: Library, scope: str, may_change: bool
) -> None:
    admin = bearer(await new_token(nomarr, TokenScope.ADMIN))
    before = datetime.now(UTC)
    answer = await closed.client.post(TOKENS, json={"scope": scope, "days": 2}, headers=admin)
    made = answer.json()
    check_shape(closed.app, answer)
    assert (answer.status_code, answer.headers["cache-control"], made["scope"]) == (201, "no-store", scope)
    assert timedelta(days=1.99) < datetime.fromisoformat(made["expires_at"]) - before < timedelta(days=2.01)
    assert await closed.get(LIBRARIES, headers=bearer(made["token"]))
    url = f"{LIBRARIES}/{library.library_id}"
    changed = await closed.client.patch(url, json={"name": "x"}, headers=bearer(made["token"]))
    assert changed.is_success == may_change


async def test_a_token_is_never_logged(closed: Api, nomarr: Nomarr, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    admin = bearer(await new_token(nomarr, TokenScope.ADMIN))
    made = await closed.ask("POST", TOKENS, {}, headers=admin)
    assert await closed.get(LIBRARIES, headers=bearer(made["token"])) == []
    kept = await closed.get("/api/v1/logs", params={"level": "debug"}, headers=admin)
    assert made["token"] not in caplog.text + json.dumps(kept)


@pytest.mark.parametrize("body", [{"days": 0}, {"days": 36501}, {"scope": "all"}, {"user": "me"}, []])
async def test_what_is_no_wish_for_a_token_is_not_valid(api: Api, body: object) -> None:
    assert (await api.problem("POST", TOKENS, body))["error"] == "RequestNotValid"


async def test_a_reader_makes_and_revokes_no_tokens(closed: Api, nomarr: Nomarr) -> None:
    reader = bearer(await new_token(nomarr))
    for method in ("POST", "DELETE"):
        assert (await closed.problem(method, TOKENS, headers=reader))["error"] == "ScopeTooSmall"
        other_site = {"Origin": "http://evil.example"}
        assert (await closed.problem(method, TOKENS, headers=reader | other_site))["error"] == "OtherOrigin"


async def test_revoking_over_http_counts_at_once(closed: Api, nomarr: Nomarr) -> None:
    """Not only after the next look at the database."""
    admin = bearer(await new_token(nomarr, TokenScope.ADMIN))
    made = await closed.ask("POST", TOKENS, {"scope": "admin"}, headers=admin)
    await closed.ask("DELETE", TOKENS, headers=admin)
    for old in (admin, bearer(made["token"])):
        assert (await closed.problem("GET", LIBRARIES, headers=old))["error"] == "TokenNotValid"
    assert await closed.get(LIBRARIES, headers=bearer(await new_token(nomarr))) == []


async def test_tokens_can_be_made_where_none_is_needed(api: Api, nomarr: Nomarr) -> None:
    """For a service that others are to reach later."""
    made = await api.ask("POST", TOKENS, {"scope": "read"})
    old = await nomarr.tokens.known()
    Tokens(old).check(made["token"], TokenScope.READ)
    await api.ask("DELETE", TOKENS)
    assert (await nomarr.tokens.known()).key != old.key
    assert await api.get(TOKENS) == []


async def test_a_token_of_another_service_is_worth_nothing(closed: Api, nomarr: Nomarr) -> None:
    kept, _ = await nomarr.tokens.keep("ours", TokenScope.ADMIN, 1)
    token = sign(kept, "another key, which is long enough for its algorithm")
    assert (await closed.problem("GET", LIBRARIES, headers=bearer(token)))["error"] == "TokenNotValid"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8337", "127.0.0.1.evil.example", "", "[::2]"])
async def test_another_host_name_is_an_attack(api: Api, host: str) -> None:
    assert (await api.problem("GET", LIBRARIES, headers={"Host": host}))["status"] == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8337", "[::1]:8337", "[::1]"])
async def test_this_computer_has_several_names(api: Api, host: str) -> None:
    assert await api.get(LIBRARIES, headers={"Host": host}) == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2"])
async def test_a_service_answers_to_the_address_that_it_was_told(
    nomarr: Nomarr, options: ServiceOptions, host: str
) -> None:
    allowed = options_for(host, tokens_exist=False).allowed_hosts
    assert set(allowed) >= {"localhost", "127.0.0.1", "::1"}
    async with running_api(nomarr, replace(options, allowed_hosts=allowed)) as api:
        assert await api.get(LIBRARIES, headers={"Host": f"{host}:8337"}) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
async def test_pages_of_other_sites_change_nothing(api: Api, headers: dict[str, str]) -> None:
    assert (await api.problem("POST", LIBRARIES, {}, headers=headers))["error"] == "OtherOrigin"


@pytest.mark.parametrize("path", ["/api/v1/watcher/health", "/api/v1/events/stream", LIBRARIES, "/metrics"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"}],
)
async def test_pages_of_other_sites_ask_nothing(api: Api, method: str, path: str, headers: dict[str, str]) -> None:
    """They could not read the answer, but have it made, again and again."""
    with anyio.fail_after(10):
        answer = await api.client.request(method, path, headers=headers)
    assert answer.status_code == 403
    if method == "GET":
        assert answer.json()["error"] == "OtherOrigin"


@pytest.mark.parametrize("path", ["/", "/docs", "/page/main.js", "/healthz"])
async def test_other_sites_may_have_links_to_the_page(api: Api, path: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await api.client.get(path, headers=headers)).is_success


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}])
async def test_our_own_page_programs_and_readers_may_ask(api: Api, headers: dict[str, str]) -> None:
    """`none`: somebody typed the address."""
    assert await api.get(LIBRARIES, headers=headers) == []


@pytest.mark.parametrize("path", ["/api/v1/folders", "/api/v1/folders/"])
async def test_a_reader_sees_no_folders_of_the_computer(closed: Api, nomarr: Nomarr, path: str) -> None:
    """They serve to add libraries."""
    reader, admin = [bearer(await new_token(nomarr, scope)) for scope in (TokenScope.READ, TokenScope.ADMIN)]
    problem = await closed.problem("GET", path, headers=reader)
    assert (problem["error"], "admin" in problem["detail"]) == ("ScopeTooSmall", True)
    assert (await closed.get("/api/v1/folders", headers=admin))["folders"]


async def test_our_own_page_may_change_something(api: Api, library: Library) -> None:
    headers = {"Origin": "http://127.0.0.1:8337", "Sec-Fetch-Site": "same-origin"}
    await api.ask("PATCH", f"{LIBRARIES}/{library.library_id}", {"name": "x"}, headers=headers)


async def test_too_much_is_refused_whether_its_length_is_told_or_not(api: Api) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    async def parts() -> AsyncIterator[bytes]:
        for part in endless():
            yield part

    for content in (b" " * 2_000_000, parts()):
        answer = await api.client.post(LIBRARIES, content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (413, "TooLarge")


async def test_who_asks_too_often_has_to_wait(nomarr: Nomarr, options: ServiceOptions) -> None:
    async with running_api(nomarr, replace(options, requests_per_second=0.001, burst=3)) as api:
        answers = [await api.client.get("/healthz") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["retry-after"] == "1"


def test_a_client_may_ask_again_after_a_while() -> None:
    now = [0.0]
    rates = _Rates(per_second=2, burst=2, clock=lambda: now[0])
    assert [rates.allows("a"), rates.allows("a"), rates.allows("a"), rates.allows("b")] == [True, True, False, True]
    now[0] = 0.5
    assert [rates.allows("a"), rates.allows("a")] == [True, False]


@pytest.mark.parametrize("path", [LIBRARIES, "/docs", "/nowhere", "/healthz"])
async def test_every_answer_tells_browsers_to_be_careful(api: Api, path: str) -> None:
    headers = (await api.client.get(path)).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"


async def test_what_is_not_there_is_a_problem(api: Api) -> None:
    assert (await api.problem("GET", "/nowhere"))["status"] == 404
    assert (await api.problem("DELETE", LIBRARIES))["status"] == 405
    wrong = await api.problem("POST", LIBRARIES, {"nmae": 1})
    assert {fault["at"] for fault in wrong["faults"]} == {"body.name", "body.path", "body.nmae"}


@pytest.mark.parametrize("question", ["folders?path=/%00", "explain?path=/%00", "files?folder=%00"])
async def test_what_is_no_path_is_not_valid(api: Api, question: str) -> None:
    assert (await api.problem("GET", f"/api/v1/{question}"))["error"] == "RequestNotValid"


@pytest.mark.parametrize("path", ["/\ud800", "/\u0000", 7, None])
async def test_what_is_no_path_becomes_no_library(api: Api, path: object) -> None:
    body = json.dumps({"name": "x", "path": path})
    answer = await api.client.post(LIBRARIES, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (422, "RequestNotValid")


async def test_without_tokens_there_is_no_key_either(api: Api, nomarr: Nomarr) -> None:
    assert await api.get(TOKENS) == []
    assert not await nomarr.tokens.were_made()


async def test_large_answers_are_zipped(api: Api) -> None:
    answer = await api.client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(("host", "own"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)])
def test_only_own_addresses_need_no_tokens(host: str, own: bool) -> None:
    assert is_loopback(host) == own
    assert options_for(host, tokens_exist=True).tokens_required != own


def test_behind_a_proxy_own_addresses_need_tokens_too() -> None:
    wanted = options_for("127.0.0.1", tokens_exist=True, require_tokens=True)
    # The proxy says under which name it was asked.
    assert (wanted.tokens_required, wanted.allowed_hosts) == (True, ())
    with pytest.raises(ConfigurationError, match="nomarr token create"):
        options_for("127.0.0.1", tokens_exist=False, require_tokens=True)


def test_without_any_token_others_are_not_served() -> None:
    with pytest.raises(ConfigurationError, match="docker compose … run --rm nomarr token create"):
        options_for("0.0.0.0", tokens_exist=False)


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_with_an_exit_code_has_a_status(kind: type[NomarrError]) -> None:
    error = kind.__new__(kind)
    assert (status_of(error) == 500) == (exit_code_of(error) is ExitCode.UNEXPECTED)


async def test_the_service_tells_nothing_of_its_program(api: Api) -> None:
    answer: httpx.Response = await api.client.get("/healthz")
    assert "server" not in answer.headers
