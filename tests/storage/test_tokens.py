"""The list of tokens on each backend: what is on it, and when it is forgotten."""

from __future__ import annotations

import json
import logging

import anyio
import pytest

from nomarr.helpers.dto.tokens import KeptToken, TokenScope
from nomarr.helpers.exceptions import InvalidTokenName, TokenNotFound, TooManyTokens
from nomarr.persistence.db import Database
from nomarr.services.infrastructure import token_svc
from nomarr.services.infrastructure.token_svc import TokenService

DAY = 86_400
START = 1_800_000_000


class Now:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.seconds = START

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def tokens(db: Database, now: Now) -> TokenService:
    return TokenService(db, clock=now)


def stored(db: Database) -> int:
    return len(db.settings.below("api_token/"))


async def names(tokens: TokenService) -> list[str]:
    return [token.name for token in await tokens.list_tokens()]


async def test_what_is_kept_tells_everything_but_the_token(db: Database, tokens: TokenService, now: Now) -> None:
    assert await tokens.list_tokens() == []
    assert not await tokens.were_made()
    tablet, key = await tokens.keep("kitchen tablet", TokenScope.READ, 2)
    now.seconds += 5
    phone, same_key = await tokens.keep(" Zoë's phone ", TokenScope.ADMIN, 0.5)
    assert (await tokens.were_made(), key == same_key) == (True, True)
    assert tablet == KeptToken(tablet.token_id, "kitchen tablet", TokenScope.READ, START, START + 2 * DAY)
    assert phone.name == "Zoë's phone"
    assert await tokens.list_tokens() == [phone, tablet]
    assert (await tokens.known()).token_ids == {phone.token_id, tablet.token_id}
    assert key not in str(db.settings.below("api_token/"))
    assert key not in repr(await tokens.known())


async def test_one_is_revoked_and_the_others_stay(db: Database, tokens: TokenService) -> None:
    first, _ = await tokens.keep("first", TokenScope.READ, 1)
    second, _ = await tokens.keep("second", TokenScope.READ, 1)
    await tokens.revoke(first.token_id)
    assert await tokens.list_tokens() == [second]
    assert (await tokens.known()).token_ids == {second.token_id}
    assert stored(db) == 1
    with pytest.raises(TokenNotFound):
        await tokens.revoke(first.token_id)


@pytest.mark.parametrize("odd", ["", "nobody", "../x", "\0", "\udcff", "x" * 10_000, "%"])
async def test_what_is_no_id_revokes_nothing(tokens: TokenService, odd: str) -> None:
    with pytest.raises(TokenNotFound):
        await tokens.revoke(odd)
    kept, _ = await tokens.keep("a", TokenScope.READ, 1)
    with pytest.raises(TokenNotFound):
        await tokens.revoke(odd)
    assert await tokens.list_tokens() == [kept]


async def test_all_are_revoked_also_those_that_nobody_listed(db: Database, tokens: TokenService) -> None:
    _, old_key = await tokens.keep("a", TokenScope.READ, 1)
    await tokens.revoke_all()
    assert await tokens.list_tokens() == []
    assert (await tokens.known()).key != old_key
    assert stored(db) == 0


async def test_what_an_old_key_has_signed_is_neither_listed_nor_kept(db: Database, tokens: TokenService) -> None:
    """As an older Nomarr revokes all, which knows nothing of the list."""
    await tokens.keep("a", TokenScope.READ, 1)
    db.settings.set("api_token_key", "another key")
    assert await tokens.list_tokens() == []
    assert (await tokens.known()).token_ids == set()
    await tokens.keep("b", TokenScope.READ, 1)
    assert (await names(tokens), stored(db)) == (["b"], 1)


async def test_what_has_ended_is_not_listed_and_forgotten_when_room_is_needed(
    db: Database, tokens: TokenService, now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_svc, "MOST_TOKENS", 3)
    await tokens.keep("short", TokenScope.READ, 1)
    await tokens.keep("long", TokenScope.READ, 30)
    now.seconds += DAY
    assert await names(tokens) == ["long"]
    await tokens.keep("new", TokenScope.READ, 1)
    assert stored(db) == 3
    now.seconds += 1
    await tokens.keep("newer", TokenScope.READ, 1)
    assert (await names(tokens), stored(db)) == (["newer", "new", "long"], 3)


async def test_a_token_made_while_the_clock_is_ahead_takes_no_other_one_away(tokens: TokenService, now: Now) -> None:
    await tokens.keep("tablet", TokenScope.READ, 30)
    now.seconds += 400 * DAY
    await tokens.keep("phone", TokenScope.READ, 30)
    now.seconds -= 400 * DAY
    assert await names(tokens) == ["phone", "tablet"]


async def test_there_are_not_more_than_there_may_be(
    db: Database, tokens: TokenService, now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_svc, "MOST_TOKENS", 2)
    first, _ = await tokens.keep("first", TokenScope.READ, 1)
    await tokens.keep("second", TokenScope.READ, 2)
    with pytest.raises(TooManyTokens):
        await tokens.keep("third", TokenScope.READ, 1)
    assert (sorted(await names(tokens)), stored(db)) == (["first", "second"], 2)
    await tokens.revoke(first.token_id)
    await tokens.keep("third", TokenScope.READ, 1)
    now.seconds += DAY
    await tokens.keep("what has ended takes no place", TokenScope.READ, 1)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b[31m", "\u202eevil", "\ud800", "x" * 101, "\0"])
async def test_nobody_is_called_so(db: Database, tokens: TokenService, name: str) -> None:
    with pytest.raises(InvalidTokenName):
        await tokens.keep(name, TokenScope.READ, 1)
    assert stored(db) == 0


async def test_those_that_are_made_at_the_same_time_do_not_lose_each_other(db: Database, now: Now) -> None:
    """Each service stands for a process: they have nothing in common but the database."""
    services = [TokenService(db, clock=now) for _ in range(8)]
    async with anyio.create_task_group() as tasks:
        for number, service in enumerate(services):
            tasks.start_soon(service.keep, str(number), TokenScope.READ, 1)
    assert sorted(await names(services[0])) == [str(number) for number in range(8)]
    assert len(await services[1].list_tokens()) == stored(db) == 8


@pytest.mark.parametrize("broken", ["{", "[]", "{}", '{"name": 1, "scope": "all", "created_at": 1, "expires_at": 1}'])
async def test_what_cannot_be_read_is_worthless_and_told(
    db: Database, tokens: TokenService, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    await tokens.keep("good", TokenScope.READ, 1)
    ((setting, text),) = db.settings.below("api_token/").items()
    db.settings.set(setting + "x", broken)
    db.settings.set(setting + "y", json.dumps(json.loads(text) | {"of a newer version": 1}))
    with caplog.at_level(logging.WARNING):
        assert await names(tokens) == ["good", "good"]
    assert "can't be read" in caplog.text
    await tokens.keep("next", TokenScope.READ, 1)
    assert stored(db) == 3
