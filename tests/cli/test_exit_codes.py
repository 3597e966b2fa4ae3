"""Exit codes, and one line on stderr that says what to do."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CommandLine
from support.music import build, tones

USAGE, UNREACHABLE, UNEXPECTED = 2, 3, 70


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["scan", "nope"], "no library is called 'nope'"),
        (["files", "nope"], "'nomarr library list' shows them"),
        (["scan"], "'nomarr scan FOLDER' adds a folder"),
        (["scan", "--folder", "Rock"], "--folder needs exactly one LIBRARY"),
        (["library", "add", "Music", "nowhere"], "there is no such folder"),
        (["library", "add", "Music", ".", "--watch", "often"], "'often'"),
        (["library", "add", "Music", ".", "--transcodes", "sometimes"], "'sometimes'"),
        (["library", "add", "Music", ".", "--ignore", "[z-a]"], "ignore patterns: '[z-a]' can't be understood: "),
        (["fils", "Music"], "Did you mean 'files'?"),
        (["files"], "missing argument 'LIBRARY'; 'nomarr files --help' shows"),
        (["scan", "Music", "--db", "x"], "--db goes before the command"),
        (["library", "edit", "Music"], "nothing to change"),
        (["events", "--after", "-1"], "--after"),
    ],
)
def test_wrong_usage_is_told_in_one_line(cli: CommandLine, arguments: list[str], told: str) -> None:
    finished = cli(*arguments)
    assert told in finished.error
    assert finished.code == USAGE


@pytest.mark.parametrize("folder", ["../x", "/etc", "a//b"])
def test_a_folder_outside_is_refused(scanned: CommandLine, folder: str) -> None:
    finished = scanned("scan", "Music", "--folder", folder, "--json")
    assert "is not a folder inside a library" in finished.error
    assert finished.code == USAGE


@pytest.mark.parametrize("folder", ["..", "Rok"])
def test_a_refused_folder_adds_no_library(cli: CommandLine, tmp_path: Path, folder: str) -> None:
    (tmp_path / "music").mkdir()
    assert cli("scan", tmp_path / "music", "--folder", folder).code == USAGE
    assert cli("library", "list", "--json").json == []


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_folder_that_nobody_knows_is_an_error(scanned: CommandLine, more: list[str]) -> None:
    finished = scanned("scan", "Music", "--folder", "Jazz", "--folder", "Jaz/Live", *more)
    assert finished.error == (
        "error: 'Jaz/Live' is not a folder inside a library: it is neither on the disk nor in the database; "
        "check the spelling, capital letters too"
    )
    assert finished.code == USAGE


def test_a_folder_that_was_known_and_is_gone_may_be_scanned(cli: CommandLine) -> None:
    build(cli.folder / "Music", {"Rock": tones(1), "Jazz": {"Live": tones(1)}})
    assert cli("scan", "Music").code == 0
    shutil.rmtree(cli.folder / "Music" / "Jazz")
    assert cli("scan", "Music", "--folder", "Jazz", "--json").json["files_missing"] == 1
    assert cli("scan", "Music", "--folder", "Jazz").code == 0, "its missing file is in the database"


@pytest.mark.parametrize("command", [["library", "add", "x"], ["library", "relocate", "Music"]])
def test_a_root_that_is_not_there_is_told_as_one(scanned: CommandLine, command: list[str]) -> None:
    finished = scanned(*command, "/nosuch")
    assert finished.error == (
        "error: '/nosuch' can't be a library: there is no such folder; check the spelling, or mount the disk first"
    )
    assert finished.code == USAGE


@pytest.mark.parametrize("url", ["mysql://user:secret@host/music", "nonsense"])
def test_a_wrong_database_url_is_told_without_its_password(cli: CommandLine, url: str) -> None:
    finished = cli("--db", url, "library", "list")
    assert "use sqlite:///" in finished.err
    assert "secret" not in finished.err
    assert finished.code == USAGE


def test_a_password_that_others_can_see_is_warned_of(cli: CommandLine) -> None:
    finished = cli("--db", "arangodb://user:secret@127.0.0.1:9/music?opening_seconds=0.1", "library", "list")
    assert "put the URL into NOMARR_DATABASE_URL" in finished.err
    assert "secret" not in finished.err
    assert finished.code == UNREACHABLE


def test_a_wrong_configuration_is_told(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("scan_batch_size: many\n")
    finished = cli("--config", tmp_path / "wrong.yaml", "library", "list")
    assert "scan_batch_size" in finished.error
    assert finished.code == USAGE


@pytest.mark.parametrize(
    ("variable", "text"),
    [("NOMARR_BROWSE_ROOTS", "music"), ("NOMARR_BROWSE_ROOTS", "["), ("NOMARR_DATA_FOLDER", "~nobody-here/covers")],
)
def test_a_wrong_variable_is_told(cli: CommandLine, variable: str, text: str) -> None:
    cli.settings[variable] = text
    finished = cli("library", "list")
    assert f"the variable {variable}: " in finished.error
    assert finished.code == USAGE


def test_a_database_that_cannot_be_opened(cli: CommandLine) -> None:
    finished = cli("--db", "sqlite:////proc/nowhere/nomarr.db", "library", "list", "--json")
    assert "can't be opened" in finished.error
    assert finished.code == UNREACHABLE


def test_doctor_tells_what_it_can_without_a_database(cli: CommandLine) -> None:
    finished = cli("--db", "sqlite:////proc/nowhere/nomarr.db", "doctor", "--json")
    statuses = {check["name"]: check["status"] for check in finished.json}
    assert (statuses["python"], statuses["database"]) == ("ok", "error")
    assert finished.code == UNREACHABLE


def test_an_offline_library(cli: CommandLine, music_tree: Callable[..., Path]) -> None:
    music = music_tree(tones(2))
    assert cli("scan", music).code == 0
    music.rename(music.with_name("away"))
    for command in ("scan", "verify"):
        finished = cli(command, "music", "--json")
        assert "is offline" in finished.error
        assert finished.code == UNREACHABLE
    assert cli("library", "show", "music", "--json").json["state"] == "offline"
    assert cli("doctor", "--json").code == 1


def test_a_pattern_that_cannot_be_understood_is_a_warning(cli: CommandLine, music_tree: Callable[..., Path]) -> None:
    music = music_tree({**tones(2), ".nomarrignore": "[Various-Artists]/\n"})
    for command in ("scan", "verify"):
        finished = cli(command, music if command == "scan" else "music")
        assert "line 1 of .nomarrignore: the pattern '[Various-Artists]/' can't mean what it says" in finished.err
        assert "not compared" not in finished.err
        assert finished.code == 0
    assert cli("explain", music / "0000.wav", "--json").code == 0


def test_settings_that_cannot_be_read_are_mended_by_the_command_that_doctor_names(
    cli: CommandLine, music_tree: Callable[..., Path], tmp_path: Path
) -> None:
    assert cli("scan", music_tree(tones(1), "My music")).code == 0
    with closing(sqlite3.connect(tmp_path / "nomarr.db")) as database, database:
        database.execute("UPDATE libraries SET watch_mode = 'sometimes'")
    finished = cli("doctor", "--json")
    assert finished.code == 1
    (remedy,) = [check["remedy"] for check in finished.json if check["name"] == "library My music"]
    command = shlex.split(remedy.partition(": ")[2])
    assert command[0] == "nomarr"
    assert cli(*command[1:]).code == 0
    assert cli("doctor", "--json").code == 0


def test_one_offline_library_does_not_stop_the_others(cli: CommandLine, music_tree: Callable[..., Path]) -> None:
    away = music_tree(tones(1), "away")
    here = music_tree(tones(2), "here")
    assert cli("scan", away, here).code == 0
    away.rename(away.with_name("gone"))
    finished = cli("scan", "--json")
    assert "'away' is offline" in finished.err
    assert [report["files_scanned"] for report in finished.json] == [2]
    assert finished.code == UNREACHABLE


def test_drift_is_exit_code_1(cli: CommandLine, music_tree: Callable[..., Path]) -> None:
    music = music_tree(tones(3))
    assert cli("scan", music).code == 0
    (music / "0000.wav").rename(music / "new.wav")
    (music / "0001.wav").write_bytes(b"other")
    finished = cli("verify", music, "--json")
    assert finished.code == 1
    assert (finished.json["equal"], finished.json["stale"]) == (False, ["0001.wav"])
    assert (finished.json["not_on_disk"], finished.json["not_in_database"]) == (["0000.wav"], ["new.wav"])


def test_losses_held_back_are_exit_code_1_until_they_are_accepted(
    cli: CommandLine, music_tree: Callable[..., Path]
) -> None:
    music = music_tree(tones(70))
    assert cli("scan", music).code == 0
    for number in range(60):
        (music / f"{number:04}.wav").unlink()
    told = cli("scan", music)
    assert told.code == 1
    assert "nomarr scan music --accept-losses" in told.err
    assert cli("scan", music, "--json").json["files_held_back"] == 60
    accepted = cli("scan", music, "--accept-losses", "--json")
    assert (accepted.code, accepted.json["files_missing"]) == (0, 60)
    assert len(cli("files", music, "--missing", "--json").json_lines) == 60


def test_a_dry_run_writes_nothing(cli: CommandLine, music_tree: Callable[..., Path]) -> None:
    music = music_tree({"a": tones(2)})
    assert cli("scan", music, "--dry-run").code == USAGE  # adding the library would be a write
    assert cli("library", "list", "--json").json == []
    assert cli("library", "add", "Music", music).code == 0
    before = cli("library", "list", "--json").json
    finished = cli("scan", "Music", "--dry-run", "--json")
    assert (finished.json["files_added"], finished.json["dry_run"], finished.code) == (2, True, 0)
    assert "would be: 2 added" in cli("scan", "Music", "--dry-run").out
    assert cli("library", "list", "--json").json == before
    assert [cli(question, "--json").out for question in ("scans", "events")] == ["[]\n", ""]
    assert cli("files", "Music", "--json").json_lines == []


def test_scopes_of_a_scan(cli: CommandLine, music_tree: Callable[..., Path]) -> None:
    music = music_tree({"a": {**tones(1), "deep": tones(1, first=200)}, "b": tones(1, first=300), "c": tones(1)})
    shallow = cli("scan", music, "--folder", "a", "--folder", "b", "--shallow", "--json").json
    assert shallow["files_added"] == 2
    assert cli("scan", music, "--folder", "a", "--json").json["files_added"] == 1
    assert cli("scan", music, "--full", "--json").json["files_processed"] == 4


def test_removing_asks_first(cli: CommandLine, music_tree: Callable[..., Path]) -> None:
    music = music_tree(tones(1))
    assert cli("scan", music).code == 0
    refused = cli("library", "remove", "music", stdin="y\n")
    assert "add --yes" in refused.error
    assert refused.code == USAGE
    assert cli("library", "remove", "music", "--yes").code == 0
    assert (music / "0000.wav").exists()


def test_a_traceback_comes_only_with_the_debug_level(cli: CommandLine) -> None:
    assert "Traceback" not in cli("files", "nope").err
    assert "Traceback" in cli("--log-level", "debug", "files", "nope").err


def test_a_disabled_library_is_scanned_only_by_name(cli: CommandLine, music_tree: Callable[..., Path]) -> None:
    assert cli("library", "add", "Music", music_tree(tones(1))).code == 0
    assert cli("library", "edit", "Music", "--disable").code == 0
    assert cli("scan").code == USAGE
    assert cli("scan", "Music", "--json").json["files_added"] == 1


@pytest.mark.parametrize("form", [["--json"], []])
def test_a_reader_that_has_seen_enough_is_no_error(scanned: CommandLine, form: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        finished = subprocess.run(
            scanned.command("files", "Music", *form),
            env=scanned.environment,
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert finished.returncode == 0
    assert b"rror" not in finished.stderr


def test_closed_streams_are_no_error(scanned: CommandLine) -> None:
    closed = subprocess.run(
        ["sh", "-c", '"$@" >&- 2>&-', "sh", *scanned.command("library", "list")], env=scanned.environment, check=False
    )
    assert closed.returncode == 0
