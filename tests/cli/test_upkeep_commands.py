"""`nomarr purge` and `nomarr moves`, as people and programs use them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CommandLine
from support.music import tone, tones

USAGE = 2
PURGE = {"older_than_days", "dry_run", "files", "libraries"}
PURGED_LIBRARY = {"library_id", "name", "files", "paths", "skipped"}
UNDONE = {"seq", "file_id", "library_id", "path", "new_file_id", "new_library_id", "new_path"}


@pytest.fixture
def music(cli: CommandLine, music_tree: Callable[..., Path]) -> Path:
    """A scanned library `music` with five files, of which one is missing and one was renamed."""
    root = music_tree({"Rock": tones(5)})
    assert cli("scan", root).code == 0
    os.unlink(root / "Rock/0000.wav")
    (root / "Rock/0001.wav").rename(root / "new\n\udcff.wav")
    assert cli("scan", root).code == 0
    return root


def backdate_missing_files(cli: CommandLine, days: float) -> None:
    with closing(sqlite3.connect(cli.folder / "nomarr.db")) as db, db:
        db.execute("UPDATE library_files SET missing_since = missing_since - ?", (days * 86400,))


def backdate_known_moment(cli: CommandLine, days: float) -> None:
    """As if the last scan by whose clock anything is judged was so long ago."""
    with closing(sqlite3.connect(cli.folder / "nomarr.db")) as db, db:
        db.execute(
            "UPDATE settings SET value = CAST(value - ? AS TEXT) WHERE key LIKE 'known_moment:%'", (days * 86400,)
        )


# -- purge ----------------------------------------------------------------------------------------------------


def test_purging_is_an_object(cli: CommandLine, music: Path) -> None:
    nothing = cli("purge", "--json").json
    assert nothing.keys() == PURGE
    assert (nothing["files"], nothing["older_than_days"], nothing["dry_run"]) == (0, 30, False)
    backdate_missing_files(cli, 31)
    for options, dry_run in ((["--dry-run"], True), ([], False)):
        finished = cli("purge", "music", music, *options, "--json")
        assert (finished.json["files"], finished.json["dry_run"], finished.code) == (1, dry_run, 0)
        (library,) = finished.json["libraries"]
        assert library.keys() == PURGED_LIBRARY
        assert (library["name"], library["paths"], library["skipped"]) == ("music", ["Rock/0000.wav"], None)
    assert cli("purge", "--json").json["files"] == 0
    assert cli("events", "--json").json_lines[-1]["type"] == "removed"


def test_people_are_told_what_goes(cli: CommandLine, music: Path) -> None:
    assert cli("purge").out == "music: no file is missing for 30 days or longer\n"
    told = cli("purge", "--older-than", "0", "--dry-run").out
    assert told == "music: 1 file would be purged, missing for 0 days or longer\n  Rock/0000.wav\n"
    assert cli("purge", "--older-than", "0").out.startswith("music: 1 file purged")
    assert cli("files", "music", "--missing", "--json").json_lines == []


def test_a_scan_purges_what_is_due(cli: CommandLine, music: Path) -> None:
    backdate_missing_files(cli, 39)
    assert cli("scan", music).code == 0
    assert len(cli("files", "music", "--missing", "--json").json_lines) == 1, "one clock is not believed"
    backdate_known_moment(cli, 8)
    assert cli("scan", music, "--dry-run").code == 0
    assert len(cli("files", "music", "--missing", "--json").json_lines) == 1
    assert cli("scan", music).code == 0
    assert cli("files", "music", "--missing", "--json").json_lines == []


def test_an_offline_library_is_left_out_with_a_word_why(cli: CommandLine, music: Path) -> None:
    music.rename(music.with_name("drawer"))
    finished = cli("purge", "--older-than", "0", "--json")
    assert finished.json["files"] == 0
    assert "it is offline" in finished.json["libraries"][0]["skipped"]
    assert "'music' was left out: it is offline" in finished.err
    assert finished.code == 0


def test_files_that_are_kept_for_ever_need_a_time(cli: CommandLine, music: Path) -> None:
    cli.settings["NOMARR_PURGE_MISSING_AFTER_DAYS"] = "never"
    finished = cli("purge")
    assert "--older-than DAYS" in finished.error
    assert finished.code == USAGE
    assert cli("purge", "--older-than", "0", "--json").json["files"] == 1


def test_what_was_chosen_on_the_page_holds_for_commands(cli: CommandLine, music: Path) -> None:
    with closing(sqlite3.connect(cli.folder / "nomarr.db")) as db, db:
        db.execute("INSERT INTO settings VALUES ('service_settings', '{\"purge_missing_after_days\": \"never\"}')")
    backdate_missing_files(cli, 31)
    assert cli("scan", music).code == 0
    assert len(cli("files", "music", "--missing", "--json").json_lines) == 1
    assert "--older-than DAYS" in cli("purge").error
    assert cli("purge", "--older-than", "0", "--json").json["files"] == 1


@pytest.mark.parametrize("arguments", [["nope"], ["music", "nope"], ["--older-than", "-1"], ["--older-than", "nan"]])
def test_a_wrong_purge_purges_nothing(cli: CommandLine, music: Path, arguments: list[str]) -> None:
    finished = cli("purge", *arguments)
    assert finished.error
    assert finished.code == USAGE
    assert len(cli("files", "music", "--missing", "--json").json_lines) == 1


# -- moves ----------------------------------------------------------------------------------------------------


def test_moves_are_an_array_of_events(cli: CommandLine, music: Path) -> None:
    (move,) = cli("moves", "--json").json
    assert (move["type"], move["old_path"], move["path"]) == ("moved", "Rock/0001.wav", "new\n\udcff.wav")
    assert move["old_library_id"] == move["library_id"]
    for arguments in (["list"], ["music"], ["list", music], ["--limit", "1"], ["music", "--limit", "1"]):
        assert cli("moves", *arguments, "--json").json == [move]


def test_people_see_number_paths_and_evidence(cli: CommandLine, music: Path) -> None:
    (move,) = cli("moves", "--json").json
    (line,) = (line for line in cli("moves").out.splitlines() if "→" in line)
    assert line.split()[0] == str(move["seq"])
    assert "Rock/0001.wav → new" in line
    assert "device+inode+size+mtime" in line


def test_a_move_out_of_another_library_says_so(cli: CommandLine, music: Path, music_tree: Callable[..., Path]) -> None:
    other = music_tree({"x.wav": tone(900)}, "other")
    assert cli("scan", other).code == 0
    (music / "Rock/0002.wav").rename(other / "y.wav")
    assert cli("scan", other).code == 0
    assert "music: Rock/0002.wav → y.wav" in cli("moves", "other").out
    assert len(cli("moves", "music", "--json").json) == 2


def test_no_moves_are_no_moves(scanned: CommandLine) -> None:
    assert scanned("moves", "--json").json == []
    assert "no file was moved" in scanned("moves").err


def test_an_undone_move_is_an_object(cli: CommandLine, music: Path) -> None:
    (move,) = cli("moves", "--json").json
    undone = cli("moves", "undo", str(move["seq"]), "--json").json
    assert undone.keys() == UNDONE
    assert (undone["file_id"], undone["path"], undone["new_path"]) == (move["file_id"], "Rock/0001.wav", move["path"])
    assert [event["type"] for event in cli("events", "--json").json_lines[-2:]] == ["missing", "created"]
    report = cli("scan", "music", "--full", "--json").json
    assert (report["files_moved"], report["changes_detected"]) == (0, False)
    again = cli("moves", "undo", str(move["seq"]))
    assert "can't be undone" in again.error
    assert again.code == USAGE


def test_people_are_told_what_an_undo_did(cli: CommandLine, music: Path) -> None:
    (move,) = cli("moves", "--json").json
    told = cli("moves", "undo", str(move["seq"])).out.splitlines()
    assert told[0] == f"Rock/0001.wav has its id {move['file_id']} again and is missing"
    assert told[1].endswith(cli("files", "music", "--query", "new", "--json").json_lines[0]["file_id"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["undo", "4711"], "'nomarr moves' shows"), (["undo", "x"], "integer"), (["undo"], "SEQ"), (["nope"], "'nope'")],
)
def test_a_wrong_undo_is_told_in_one_line(scanned: CommandLine, arguments: list[str], told: str) -> None:
    finished = scanned("moves", *arguments)
    assert told in finished.error
    assert finished.code == USAGE


def test_while_a_scan_runs_an_undo_gives_up_if_it_may_not_wait(cli: CommandLine, music: Path) -> None:
    (move,) = cli("moves", "--json").json
    with closing(sqlite3.connect(cli.folder / "nomarr.db")) as db, db:
        db.execute("UPDATE libraries SET scan_owner = 'elsewhere|1|1|x', scan_expires_at = 1e12")
    finished = cli("moves", "undo", str(move["seq"]), "--no-wait")
    assert "is being scanned by another process" in finished.error
    assert finished.code == 4
