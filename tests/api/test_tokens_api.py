"""Tokens that are listed and revoked one by one, while a service runs that wants them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import anyio
import httpx
import jwt
import pytest
from api_kit import Api, check_shape, new_token, running_api, running_server, until
from support.arango import ArangoDouble
from support.arango.faults import UNAVAILABLE, no_faults

from nomarr import Nomarr
from nomarr.helpers.dto.tokens import TokenScope
from nomarr.interfaces.api.options_if import ServiceOptions
from nomarr.interfaces.api.tokens_if import sign

LIBRARIES, SESSION, TOKENS = "/api/v1/libraries", "/api/v1/session", "/api/v1/tokens"
NEVER = 1e6


@pytest.fixture
async def closed(nomarr: Nomarr, options: ServiceOptions) -> AsyncIterator[Api]:
    """A service that wants tokens, and looks by itself at nothing after its start."""
    wanted = replace(options, tokens_required=True, allowed_hosts=(), token_look_seconds=NEVER)
    async with running_api(nomarr, wanted) as api:
        yield api


@pytest.fixture
async def admin(nomarr: Nomarr) -> dict[str, str]:
    return bearer(await new_token(nomarr, TokenScope.ADMIN))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def status(api: Api, headers: dict[str, str]) -> int:
    return (await api.client.get(LIBRARIES, headers=headers)).status_code


async def test_the_list_tells_everything_but_the_tokens(closed: Api, admin: dict[str, str]) -> None:
    made = await closed.ask("POST", TOKENS, {"name": "kitchen tablet", "days": 2}, headers=admin)
    answer = await closed.client.get(TOKENS, headers=admin)
    check_shape(closed.app, answer)
    tablet, own = sorted(answer.json(), key=lambda token: str(token["scope"]), reverse=True)
    assert tablet == {name: value for name, value in made.items() if name != "token"}
    assert (tablet["name"], tablet["scope"], own["scope"]) == ("kitchen tablet", "read", "admin")
    assert made["token"] not in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_a_token_of_a_computer_whose_clock_is_ahead_is_good(closed: Api, nomarr: Nomarr) -> None:
    kept, key = await nomarr.tokens.keep("tablet", TokenScope.READ, 1)
    ahead = replace(kept, created_at=kept.created_at + 3600)
    assert await status(closed, bearer(sign(ahead, key))) == 200


async def test_one_token_is_revoked_at_once_and_the_others_stay(closed: Api, admin: dict[str, str]) -> None:
    tablet, phone = [await closed.ask("POST", TOKENS, {"name": name}, headers=admin) for name in ("tablet", "phone")]
    await closed.ask("DELETE", f"{TOKENS}/{tablet['token_id']}", headers=admin)
    problem = await closed.problem("GET", LIBRARIES, headers=bearer(tablet["token"]))
    assert (problem["error"], "was revoked" in problem["detail"]) == ("TokenNotValid", True)
    assert await status(closed, bearer(phone["token"])) == 200
    again = await closed.problem("DELETE", f"{TOKENS}/{tablet['token_id']}", headers=admin)
    assert (again["status"], again["error"]) == (404, "TokenNotFound")


async def test_a_token_may_revoke_itself(closed: Api, admin: dict[str, str]) -> None:
    (own,) = await closed.get(TOKENS, headers=admin)
    await closed.ask("DELETE", f"{TOKENS}/{own['token_id']}", headers=admin)
    assert await status(closed, admin) == 401


async def test_what_another_process_makes_is_good_at_once(closed: Api, nomarr: Nomarr) -> None:
    reader = bearer(await new_token(nomarr))
    assert await status(closed, reader) == 200
    await closed.ask("PUT", SESSION, {"token": await new_token(nomarr)})
    assert await closed.get(SESSION) == {"has_token": True}


@pytest.mark.parametrize("path", ["/api/v1/events/stream", "/api/v1/logs/stream"])
async def test_what_another_process_revokes_is_noticed_and_its_streams_end(
    nomarr: Nomarr, options: ServiceOptions, path: str
) -> None:
    wanted = replace(options, tokens_required=True, allowed_hosts=(), token_look_seconds=0.05)
    revoked, good = bearer(await new_token(nomarr)), bearer(await new_token(nomarr, TokenScope.ADMIN))
    (token_id,) = [token.token_id for token in await nomarr.tokens.list_tokens() if token.scope is TokenScope.READ]
    async with running_server(nomarr, wanted) as address, httpx.AsyncClient(base_url=address, timeout=20) as client:
        await client.put(SESSION, json={"token": revoked["Authorization"].partition(" ")[2]})
        assert (await client.get(SESSION)).json() == {"has_token": True}
        with anyio.fail_after(10):
            async with client.stream("GET", path, headers=good) as other:
                async with client.stream("GET", path, headers=revoked) as answer:
                    await nomarr.tokens.revoke(token_id)
                    assert (await answer.aread()).startswith(b"retry: 2000")
                assert await anext(other.aiter_lines()) == "retry: 2000"
        assert (await client.get(LIBRARIES, headers=revoked)).status_code == 401
        assert (await client.get(SESSION)).json() == {"has_token": False}
        assert (await client.get(LIBRARIES, headers=good)).status_code == 200


async def test_a_reader_neither_lists_nor_revokes_tokens(closed: Api, nomarr: Nomarr, admin: dict[str, str]) -> None:
    reader = bearer(await new_token(nomarr))
    (own, _) = await closed.get(TOKENS, headers=admin)
    for method, path in [("GET", TOKENS), ("GET", f"{TOKENS}/"), ("DELETE", f"{TOKENS}/{own['token_id']}")]:
        assert (await closed.problem(method, path, headers=reader))["error"] == "ScopeTooSmall"
    assert (await closed.client.head(TOKENS, headers=reader)).status_code == 403
    for method, path in [("GET", TOKENS), ("DELETE", f"{TOKENS}/{own['token_id']}")]:
        other_site = admin | {"Sec-Fetch-Site": "cross-site"}
        assert (await closed.problem(method, path, headers=other_site))["error"] == "OtherOrigin"


async def test_tokens_of_before_the_list_work_until_all_are_revoked(closed: Api, nomarr: Nomarr) -> None:
    now = int(time.time())
    claims = {"aud": "nomarr", "scope": "read", "iat": now, "exp": now + 1000, "jti": "0" * 32}
    old = bearer(jwt.encode(claims, (await nomarr.tokens.known()).key, algorithm="HS256"))
    assert await status(closed, old) == 200
    admin = bearer(await new_token(nomarr, TokenScope.ADMIN))
    assert len(await closed.get(TOKENS, headers=admin)) == 1
    await closed.ask("DELETE", TOKENS, headers=admin)
    assert await status(closed, old) == 401


@pytest.mark.parametrize("claims", [{"jti": "0" * 16}, {}, {"jti": 7}, {"jti": ["0"]}, {"jti": None}])
async def test_a_listed_token_needs_an_id_that_is_on_the_list(
    closed: Api, nomarr: Nomarr, claims: dict[str, object]
) -> None:
    common = {"aud": "nomarr", "scope": "admin", "exp": int(time.time()) + 1000, "listed": True}
    forged = jwt.encode(common | claims, (await nomarr.tokens.known()).key, algorithm="HS256")
    assert await status(closed, bearer(forged)) == 401


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[2J", "\u202e", "x" * 101, 7])
async def test_what_is_no_name_is_not_valid(api: Api, name: object) -> None:
    assert (await api.problem("POST", TOKENS, {"name": name}))["status"] == 422
    assert await api.get(TOKENS) == []


@pytest.mark.parametrize("token_id", ["nobody", "%00", "%ff", "..%2f", "%25", "x" * 3000])
async def test_nobody_has_such_an_id(api: Api, token_id: str) -> None:
    assert (await api.problem("DELETE", f"{TOKENS}/{token_id}"))["status"] == 404


async def test_many_who_show_a_revoked_token_at_the_same_time_cost_few_looks(
    closed: Api, nomarr: Nomarr, admin: dict[str, str]
) -> None:
    made = await closed.ask("POST", TOKENS, {}, headers=admin)
    await closed.ask("DELETE", f"{TOKENS}/{made['token_id']}", headers=admin)
    current = closed.app.state.current
    looks = current._begun
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(status, closed, bearer(made["token"]))
    assert current._begun - looks <= 10


async def test_while_the_database_is_away_nobody_new_gets_in(options: ServiceOptions) -> None:
    """Those who are known already do."""
    with ArangoDouble() as server:
        url = f"{server.database_url()}?patience_seconds=0.2"
        wanted = replace(options, tokens_required=True, allowed_hosts=(), token_look_seconds=NEVER)
        async with Nomarr.open(url, data_folder=options.browse_roots[0]) as nomarr:
            known = bearer(await new_token(nomarr))
            async with running_api(nomarr, wanted) as api:
                new = bearer(await new_token(nomarr))
                server.faults = lambda _: UNAVAILABLE
                problem = await api.problem("GET", "/openapi.json", headers=new)
                assert (problem["status"], "not known now" in problem["detail"]) == (503, True)
                assert (await api.client.get("/openapi.json", headers=known)).is_success
                server.faults = no_faults
                await until(lambda: gets_in(api, new))


async def gets_in(api: Api, headers: dict[str, str]) -> bool:
    return await status(api, headers) == 200
