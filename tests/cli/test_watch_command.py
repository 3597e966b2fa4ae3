"""`nomarr watch` as programs and logs see it, with a watcher that scans when it is told to."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from on_terminal import SHOW_CURSOR, on_terminal
from support.music import png, tone, tones
from support.patience import promised
from test_json_contract import EVENT, ISO8601, REPORT

from nomarr.helpers.dto.scan import ScanProgress

USAGE, INTERRUPTED, TERMINATED = 2, 130, 143
COUNTERS = {"watched_folders", "blind_folders", "events", "targets", "folds", "overflows", "rebuilds"} | {
    "faults",
    "scans",
    "pending_targets",
}
ENRICHMENT = {"type", "time", "state", "step", "steps_done", "steps_total", "files_failed", "problem"}


class PretendedCommandLine(CommandLine):
    """`nomarr` with the pretended watcher."""

    def command(self, *arguments: str | Path) -> list[str]:
        program = Path(__file__).with_name("pretended_watcher.py")
        return [sys.executable, str(program), "--db", self.url, *map(str, arguments)]


class Watching:
    """A `nomarr watch` that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def order(self, line: str) -> None:
        """Have the pretended watcher do something."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def until(self, words: str) -> list[str]:
        """The lines until one with these words."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line.rstrip("\n"))
            if words in line:
                return lines
        raise AssertionError(f"it ended without telling {words!r}: {lines} {self._complaints()}")

    def objects_until(self, kind: str) -> list[dict[str, Any]]:
        """The objects until one of this type."""
        return [json.loads(line) for line in self.until(f'"type": "{kind}"')]

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send a signal; the exit code and what was on stderr."""
        self.process.send_signal(number)
        return self.process.wait(), self._complaints()

    def _complaints(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()


@contextmanager
def watching(cli: CommandLine, *arguments: str | Path) -> Iterator[Watching]:
    process = subprocess.Popen(
        cli.command("watch", *arguments),
        env=cli.environment,
        cwd=cli.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield Watching(process)
        process.kill()


@pytest.fixture
def pretended(cli: CommandLine) -> CommandLine:
    return PretendedCommandLine(cli.folder, {"NOMARR_ENABLE_ENRICHMENT": "false"})


@pytest.fixture
def enriching(cli: CommandLine) -> CommandLine:
    """As `pretended`, with enrichment in the background."""
    return PretendedCommandLine(cli.folder)


@pytest.fixture
def library(cli: CommandLine, music_tree: Callable[..., Path]) -> dict[str, Any]:
    """A library `Music` that was never scanned."""
    music = music_tree({"Rock": tones(2), "Jazz": tones(1, first=200)})
    shown: dict[str, Any] = cli("library", "add", "Music", music, "--json").json
    return shown


def add_file(library: dict[str, Any], path: str = "Rock/new.wav") -> None:
    (Path(library["root_path"]) / path).write_bytes(tone(300))


def test_without_a_library_there_is_nothing_to_watch(cli: CommandLine) -> None:
    finished = cli("watch")
    assert "'nomarr watch FOLDER' adds a folder" in finished.error
    assert finished.code == USAGE


@pytest.mark.parametrize("change", [["--watch", "off"], ["--disable"]])
def test_if_no_library_is_to_be_watched_it_says_how_to_change_that(
    cli: CommandLine, library: dict[str, Any], change: list[str]
) -> None:
    assert cli("library", "edit", "Music", *change).code == 0
    finished = cli("watch")
    assert "'nomarr library edit NAME --enable --watch auto'" in finished.error
    assert finished.code == USAGE


def test_a_named_library_whose_mode_is_off_is_refused(cli: CommandLine, library: dict[str, Any]) -> None:
    assert cli("library", "edit", "Music", "--name", "My music", "--watch", "off").code == 0
    finished = cli("watch", library["root_path"], "--json")
    assert finished.error.endswith("nomarr library edit 'My music' --watch auto")
    assert finished.code == USAGE


def test_a_named_library_that_is_disabled_is_refused(cli: CommandLine, library: dict[str, Any]) -> None:
    assert cli("library", "edit", "Music", "--disable").code == 0
    finished = cli("watch", "Music")
    assert finished.error.endswith("nomarr library edit Music --enable")
    assert finished.code == USAGE


def test_a_library_that_is_added_later_is_told_of(
    cli: CommandLine, pretended: CommandLine, library: dict[str, Any], music_tree: Callable[..., Path]
) -> None:
    with watching(pretended, "--json") as watch:
        watch.objects_until("watching")
        later = cli("library", "add", "Later", music_tree(tones(1), "later"), "--json").json
        watch.order("follow")
        told = watch.objects_until("watching")
        watch.end()
    assert {line["library_id"] for line in told} - {library["library_id"]} == {later["library_id"]}
    assert [line["path"] for line in told if line["type"] == "created"] == ["0000.wav"]


def test_what_is_no_library_and_no_folder_is_refused(cli: CommandLine) -> None:
    finished = cli("watch", "nope")
    assert "no library is called 'nope'" in finished.error
    assert finished.code == USAGE


def test_watching_that_is_turned_off_is_refused_before_anything_is_added(cli: CommandLine, tmp_path: Path) -> None:
    cli.settings["NOMARR_ENABLE_FILE_WATCHING"] = "false"
    (tmp_path / "folder").mkdir()
    finished = cli("watch", tmp_path / "folder")
    assert "enable_file_watching" in finished.error
    assert finished.code == USAGE
    assert cli("library", "list", "--json").json == []


def test_every_line_is_an_object_with_known_keys(pretended: CommandLine, library: dict[str, Any]) -> None:
    library_id = library["library_id"]
    with watching(pretended, "Music", "--json") as watch:
        told = watch.objects_until("watching")
        add_file(library)
        watch.order("scan")
        told += watch.objects_until("scan_completed")
        code, complaints = watch.end()
    assert (code, complaints) == (INTERRUPTED, "stopped watching\n")
    assert {line["library_id"] for line in told} == {library_id}
    of_type = {line["type"]: line for line in told}
    assert of_type["watching"] == {"type": "watching", "library_id": library_id}
    assert of_type["scan_started"].keys() == {"type", "library_id", "time", "targets"}
    assert of_type["scan_started"]["targets"] == [{"folder_path": "", "recursive": True}]
    progress = {field.name for field in fields(ScanProgress)}
    assert of_type["scan_progress"].keys() == {"type", "library_id", "time"} | progress
    assert of_type["scan_completed"].keys() == {"type", "library_id", "time", "report"}
    assert of_type["scan_completed"]["report"].keys() == REPORT
    assert of_type["state"].keys() == {"type", "library_id", "time", "state", "reason", "counters"} | {
        "last_event_at",
        "last_scan_at",
        "next_whole_scan_at",
    }
    assert (of_type["state"]["state"], of_type["state"]["reason"]) == ("watching", None)
    assert of_type["state"]["counters"].keys() == COUNTERS
    assert ISO8601.fullmatch(of_type["scan_completed"]["time"])


def test_changes_are_the_objects_of_events_and_come_before_the_end_of_their_scan(
    pretended: CommandLine, library: dict[str, Any]
) -> None:
    with watching(pretended, "--json") as watch:
        first = watch.objects_until("watching")
        add_file(library)
        watch.order("scan")
        second = watch.objects_until("scan_completed")
        watch.end()
    changes = [line for line in first + second if line.keys() == EVENT]
    assert changes == pretended("events", "--json").json_lines
    assert [line["path"] for line in second if line["type"] == "created"] == ["Rock/new.wav"]
    assert len(changes) == 4


def test_only_changes_of_watched_libraries_since_the_start_are_told(
    cli: CommandLine, pretended: CommandLine, library: dict[str, Any], music_tree: Callable[..., Path]
) -> None:
    assert cli("scan", "Music").code == 0
    other = music_tree(tones(3), "other")
    with watching(pretended, "Music", "--json") as watch:
        told = watch.objects_until("watching")
        assert cli("scan", other).code == 0
        add_file(library)
        assert cli("scan", "Music").code == 0  # another process finds it, and the reader hears of it all the same
        told += watch.objects_until("created")
        watch.end()
    assert [line["path"] for line in told if line.keys() == EVENT] == ["Rock/new.wav"]


def test_a_folder_that_is_no_library_yet_is_added(pretended: CommandLine, music_tree: Callable[..., Path]) -> None:
    with watching(pretended, music_tree(tones(1), "Songs")) as watch:
        lines = watch.until("ready")
        code, complaints = watch.end(signal.SIGTERM)
    assert code == TERMINATED
    assert [line.partition(" at ")[0] for line in complaints.splitlines()] == [
        "added library 'Songs'",
        "stopped watching",
    ]
    assert [line[len("2026-11-21 05:12:39  ") :].partition(" (")[0] for line in lines] == [
        "Songs: looking through the whole library",
        "Songs: created   0000.wav",
        "Songs: 1 added",
        "Songs: watching",
        "Songs: ready, the first scan is done",
    ]


def test_names_steer_no_terminal(pretended: CommandLine, library: dict[str, Any]) -> None:
    add_file(library, "evil\x1b[31m\nname.wav")
    with watching(pretended, "Music") as watch:
        lines = watch.until("ready")
        watch.order("state offline no\x1b[32mwhere")
        lines += watch.until("offline")
        watch.end()
    assert any(line.endswith("evil\\x1b[31m\\nname.wav") for line in lines)
    assert lines[-1].endswith("Music: offline: no\\x1b[32mwhere")


@pytest.mark.parametrize("form", [["--json"], []])
def test_it_ends_quietly_when_nobody_reads_any_more(
    pretended: CommandLine, library: dict[str, Any], form: list[str]
) -> None:
    with watching(pretended, "Music", *form) as watch:
        watch.until("watching" if form else "ready")
        assert watch.process.stdout is not None
        watch.process.stdout.close()
        # Although nothing happens that it could tell.
        assert watch.process.wait() == 0
        assert watch.process.stderr is not None
        assert watch.process.stderr.read() == ""


def test_a_reader_that_is_stuck_does_not_hold_up_the_end(
    pretended: CommandLine, library: dict[str, Any], music_tree: Callable[..., Path]
) -> None:
    content = tone(100)
    music_tree({"many": {f"{number}.wav": content for number in range(600)}})
    with watching(pretended, "Music", "--json") as watch:
        assert watch.process.stdout is not None
        # All changes together are more than a pipe takes.
        while unread(watch.process.stdout.fileno()) < 32_768:
            time.sleep(0.01)
        started = time.monotonic()
        code = watch.process.send_signal(signal.SIGTERM) or watch.process.wait()
    assert code == TERMINATED
    assert time.monotonic() - started < promised(4)


def unread(pipe: int) -> int:
    """Bytes that wait in a pipe."""
    return int(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))[0])


@pytest.mark.parametrize("named", [["Music"], []])
def test_what_a_scan_found_is_enriched_and_told(
    enriching: CommandLine, library: dict[str, Any], named: list[str]
) -> None:
    with watching(enriching, *named, "--json") as watch:
        told = objects_until_enriched(watch, 6)
        add_file(library)
        watch.order("scan")
        again = objects_until_enriched(watch, 2)
        assert watch.end() == (INTERRUPTED, "stopped watching\n")
    lines = [line for line in told + again if line["type"] == "enrichment"]
    assert all(line.keys() == ENRICHMENT for line in lines)
    assert {line["state"] for line in lines} <= {"running", "paused", "idle"}
    assert lines[-1] | {"time": ""} == {
        "type": "enrichment",
        "time": "",
        "state": "idle",
        "step": "sound",
        "steps_done": 2,
        "steps_total": 2,
        "files_failed": 0,
        "problem": None,
    }
    assert {file["processing_status"] for file in enriching("files", "Music", "--json").json_lines} == {"complete"}


def objects_until_enriched(watch: Watching, steps: int) -> list[dict[str, Any]]:
    """The objects until a run has ended in which so many steps were done."""
    told: list[dict[str, Any]] = []
    while not told or (told[-1]["state"], told[-1]["steps_done"]) != ("idle", steps):
        told += watch.objects_until("enrichment")
    return told


def test_a_log_tells_what_a_run_of_enrichment_did(enriching: CommandLine, library: dict[str, Any]) -> None:
    with watching(enriching, "Music") as watch:
        last = watch.until("enrichment")[-1]
        watch.end()
    assert last[len("2026-11-21 05:12:39  ") :] == "enrichment: 6 steps done"


def test_trouble_of_enrichment_is_told(enriching: CommandLine, library: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "nomarr.db-data").mkdir()
    (tmp_path / "nomarr.db-data" / "covers").write_text("in the way")
    (Path(library["root_path"]) / "Rock" / "cover.png").write_bytes(png())
    with watching(enriching, "--json") as watch:
        line = json.loads(watch.until('"failed"')[-1])
        watch.end()
    assert (line["type"], line["state"]) == ("enrichment", "failed")
    assert line["problem"].startswith("covers can't be kept in ")


def test_enrichment_can_be_turned_off(pretended: CommandLine, library: dict[str, Any]) -> None:
    with watching(pretended, "--json") as watch:
        told = watch.objects_until("watching")
        add_file(library)
        watch.order("scan")
        told += watch.objects_until("scan_completed")
        watch.end()
    assert "enrichment" not in {line["type"] for line in told}
    assert {file["processing_status"] for file in pretended("files", "Music", "--json").json_lines} == {"metadata_done"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)])
def test_a_terminal_shows_the_libraries_until_a_signal_comes(
    pretended: CommandLine, library: dict[str, Any], number: int, code: int
) -> None:
    with on_terminal(pretended, "watch", "Music", answers_too=True) as watch:
        watch.wait_for(b"last scan just now")
        add_file(library)
        watch.order("scan")
        watch.wait_for(b"Rock/new.wav")
        ended, seconds = watch.end(number)
    assert ended == code
    assert seconds < promised(4)
    assert watch.seen.rstrip().endswith(b"stopped watching")
    assert watch.seen.rindex(SHOW_CURSOR) > watch.seen.index(b"Rock/new.wav")
    assert b"Traceback" not in watch.seen


def test_a_terminal_without_a_cursor_gets_lines(pretended: CommandLine, library: dict[str, Any]) -> None:
    environment = pretended.environment | {"TERM": "dumb"}
    ours, theirs = os.openpty()
    with subprocess.Popen(
        pretended.command("watch"), env=environment, stdin=subprocess.PIPE, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = b""
        while b"ready" not in seen:
            seen += os.read(ours, 4096)
        process.kill()
    os.close(ours)
    assert b"\x1b" not in seen
