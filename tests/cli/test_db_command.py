"""`nomarr db`, as people and programs use it."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CommandLine
from support.arango import ArangoDouble
from support.music import tones

COPY = {"source", "target", "tables", "rows", "resumed", "duration_seconds", "data_folder"}
CHECK = {"consistent", "rows", "findings", "in_use"}
FINDING = {"kind", "count", "meaning", "remedy", "examples", "repaired"}
KILLS = 6


@pytest.fixture(scope="module")
def server() -> Iterator[ArangoDouble]:
    with ArangoDouble() as running:
        yield running


@pytest.fixture
def music(cli: CommandLine, music_tree: Callable[..., Path]) -> Path:
    """A scanned library `music`."""
    root = music_tree({"Rock": tones(5), "Jazz": tones(3, first=300)})
    assert cli("scan", root).code == 0
    return root


def files(cli: CommandLine, url: str) -> str:
    return cli("--db", url, "files", "music", "--wide", "--json").out


def test_a_copy_is_an_object(cli: CommandLine, music: Path, server: ArangoDouble) -> None:
    url = server.database_url("copied")
    cli.settings |= {"NOMARR_COPY_FROM": cli.url, "NOMARR_COPY_TO": url}
    finished = cli("db", "copy", "--json")
    assert finished.json.keys() == COPY
    assert (finished.json["resumed"], finished.json["data_folder"]) == (False, str(cli.folder / "nomarr.db-data"))
    rows = {table["table"]: table["rows"] for table in finished.json["tables"]}
    assert (rows["libraries"], rows["library_files"], rows["events"]) == (1, 8, 8)
    assert (finished.code, finished.err) == (0, "")
    assert "secret" not in finished.out
    cli.settings["NOMARR_DATA_FOLDER"] = str(cli.folder / "data")
    assert files(cli, url) == files(cli, cli.url)
    assert cli("--db", url, "scan", "music", "--json").json["changes_detected"] is False


def test_people_are_told_what_was_copied_and_where_covers_are(cli: CommandLine, music: Path) -> None:
    finished = cli("db", "copy", "nomarr.db", "other.db")
    assert "both are equal" in finished.out
    assert "8  library_files" in finished.out
    assert "covers were not copied: they stay in" in finished.err
    assert files(cli, f"sqlite:///{cli.folder / 'other.db'}") == files(cli, cli.url)


def test_urls_can_be_given_as_variables(cli: CommandLine, music: Path) -> None:
    cli.settings |= {"NOMARR_COPY_FROM": cli.url, "NOMARR_COPY_TO": str(cli.folder / "other.db")}
    assert cli("db", "copy").code == 0
    assert (cli.folder / "other.db").exists()


def test_wrong_copies_are_told_in_one_line(cli: CommandLine, music: Path) -> None:
    for source, target, told, code in (
        ("nowhere.db", "other.db", "there is no database nowhere.db", 3),
        ("nomarr.db", "nomarr.db", "is the database to be copied itself", 2),
        ("nomarr.db", "mysql://user:secret@host/music", "is not supported", 2),
    ):
        finished = cli("db", "copy", source, target)
        # A password is warned of before.
        assert told in finished.err.splitlines()[-1]
        assert "secret" not in finished.err
        assert finished.code == code
    assert not (cli.folder / "other.db").exists()


def test_a_copy_that_is_killed_again_and_again_is_complete_in_the_end(
    cli: CommandLine, music: Path, server: ArangoDouble
) -> None:
    cli.settings["NOMARR_DATA_FOLDER"] = str(cli.folder / "data")
    url = server.database_url("killed")
    command = cli.command("db", "copy", "nomarr.db", url)
    seconds = random.Random(1)
    for _ in range(KILLS):
        started = time.monotonic()
        process = subprocess.Popen(command, env=cli.environment, cwd=cli.folder, stderr=subprocess.DEVNULL)
        try:
            process.wait(seconds.uniform(0.3, 1.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert time.monotonic() - started < 30
    finished = cli("db", "copy", "nomarr.db", url)
    # An earlier one may have come to its end in spite of everything.
    assert finished.code == 0 or "is not empty" in finished.err
    assert files(cli, url) == files(cli, cli.url)


def test_a_check_is_an_object_and_says_by_its_exit_code_what_it_found(cli: CommandLine, music: Path) -> None:
    finished = cli("db", "check", "--json")
    assert finished.json.keys() == CHECK
    assert (finished.json["consistent"], finished.json["findings"], finished.code) == (True, [], 0)
    assert "nothing is wrong" in cli("db", "check").out
    with closing(sqlite3.connect(cli.folder / "nomarr.db")) as db, db:
        db.execute("UPDATE sqlite_sequence SET seq = 3 WHERE name = 'events'")
    finished = cli("db", "check", "--json")
    (finding,) = finished.json["findings"]
    assert finding.keys() == FINDING
    assert (finding["kind"], finding["count"], finding["repaired"]) == ("event_beyond_counter", 5, False)
    assert finished.code == 1
    told = cli("db", "check")
    assert "event_beyond_counter: 5: events have higher numbers" in told.out
    assert told.code == 1
    repaired = cli("db", "check", "--repair")
    assert "5 (repaired)" in repaired.out
    assert (repaired.code, cli("db", "check").code) == (0, 0)
