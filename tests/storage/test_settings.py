"""Small named values: nobody who changes one at the same time as others loses anything."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from nomarr.persistence.db import Database


def test_a_setting_is_set_once_by_whoever_asks_first(db: Database) -> None:
    assert db.settings.get_or_set("key", "first") == "first"
    assert db.settings.get_or_set("key", "second") == "first"


def test_a_setting_is_made_of_what_is_stored(db: Database) -> None:
    assert db.settings.update("key", lambda text: f"{text} first") == "None first"
    assert db.settings.update("key", lambda text: f"{text} second") == "None first second"
    assert db.settings.get("key") == "None first second"
    assert db.settings.update("key", lambda text: f"{text}") == "None first second"
    assert db.settings.get("another") is None


def test_a_change_of_a_setting_that_fails_changes_nothing(db: Database) -> None:
    db.settings.set("key", "before")
    with pytest.raises(ZeroDivisionError):
        db.settings.update("key", lambda text: str(1 / 0))
    assert db.settings.get("key") == "before"


@pytest.mark.parametrize("before", [None, "[]"])
def test_whoever_changes_a_setting_at_the_same_time_loses_nothing(database_url: str, before: str | None) -> None:
    together = threading.Barrier(4, timeout=10)

    def add(number: int) -> None:
        with Database.open(database_url) as db:
            together.wait()
            db.settings.update("key", lambda text: json.dumps(sorted({*json.loads(text or "[]"), number})))

    with Database.open(database_url) as db:
        if before is not None:
            db.settings.set("key", before)
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(add, range(4)))
        assert db.settings.get("key") == "[0, 1, 2, 3]"


def test_settings_are_found_by_the_beginning_of_their_keys(db: Database) -> None:
    for key in ("a/", "a/one", "a/two", "A/three", "a", "a0", "a_", "b/a/"):
        db.settings.set(key, key.upper())
    assert db.settings.below("a/") == {"a/": "A/", "a/one": "A/ONE", "a/two": "A/TWO"}
    assert db.settings.below("a_") == {"a_": "A_"}
    assert db.settings.below("c") == {}


def test_settings_are_removed_whether_they_are_there_or_not(db: Database) -> None:
    for key in ("one", "two", "three"):
        db.settings.set(key, key)
    db.settings.remove(["one", "nothing", "two", "one"])
    db.settings.remove([])
    assert [db.settings.get(key) for key in ("one", "two", "three")] == [None, None, "three"]
