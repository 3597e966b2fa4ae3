"""`nomarr enrich`: what it finds out, how it tells of it, and how it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from media.audio_factory import AudioFactory
from on_terminal import SHOW_CURSOR, on_terminal
from support.music import build, png, tones
from support.patience import promised
from support.songs import encode, song

from nomarr.helpers.dto.enrichment import EnrichmentReport

USAGE, UNREACHABLE, BUSY, INTERRUPTED, TERMINATED = 2, 3, 4, 130, 143


@pytest.fixture
def music(tmp_path: Path, encoded: AudioFactory) -> Path:
    """Two songs, one of them with a cover."""
    folder = tmp_path / "Music"
    folder.mkdir()
    encode(song(1, 10), folder / "song.wav")
    encode(song(2, 10), folder / "other.flac", "-metadata", "title=Other")
    return folder


@pytest.fixture
def known(cli: CommandLine, music: Path) -> CommandLine:
    """The library `Music`, scanned."""
    assert cli("scan", music).code == 0
    return cli


@pytest.fixture
def hanging(known: CommandLine, tmp_path: Path) -> CommandLine:
    """The library `Music`, and a tool that makes no fingerprint within any time."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "fpcalc").write_text("#!/bin/sh\nexec sleep 600\n")
    (tools / "fpcalc").chmod(0o755)
    return CommandLine(known.folder, {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"})


def wide(cli: CommandLine, library: str = "Music") -> dict[str, dict[str, Any]]:
    return {file["path"]: file for file in cli("files", library, "--wide", "--json").json_lines}


def broken_inside(path: Path) -> Path:
    """A FLAC file whose header is in order, and the rest is not."""
    whole = encode(song(3, 10), path).read_bytes()
    path.write_bytes(whole[:9000] + bytes(range(256)) * 100)
    return path


def test_it_finds_out_what_a_scan_does_not(known: CommandLine) -> None:
    before = wide(known)
    assert {(file["audio_hash"], file["fingerprint"]) for file in before.values()} == {(None, None)}
    finished = known("enrich", "--json")
    assert finished.code == 0
    assert finished.json.keys() == {field.name for field in fields(EnrichmentReport)}
    assert (finished.json["files_completed"], finished.json["steps_done"], finished.json["files_failed"]) == (2, 4, 0)
    after = wide(known)
    assert all(len(file["audio_hash"]) == 32 and file["fingerprint"] for file in after.values())
    assert {file["processing_status"] for file in after.values()} == {"complete"}
    assert "fingerprint" not in known("files", "Music", "--json").json_lines[0]


def test_covers_and_hashes_of_whole_files_have_their_place(
    cli: CommandLine, music_tree: Callable[..., Path], encoded: AudioFactory
) -> None:
    music = music_tree({"album": {**tones(1), "cover.png": png()}})
    assert cli("scan", music).code == 0
    assert CommandLine(cli.folder, {"NOMARR_CONTENT_HASHES": "true"})("enrich").code == 0
    (file,) = wide(cli, "music").values()
    assert [len(file[name]) for name in ("cover_id", "content_xxh3", "content_sha256")] == [32, 32, 64]


def test_people_read_what_was_done(known: CommandLine) -> None:
    finished = known("enrich", "Music")
    assert finished.out.startswith("2 files done (4 steps in ")
    assert finished.err == ""
    assert known("enrich").out == "nothing to do\n"


def test_files_that_fail_are_counted_and_named_and_no_failure(known: CommandLine, music: Path) -> None:
    broken_inside(music / "broken.flac")
    assert known("scan", "Music").code == 0
    finished = known("enrich")
    assert finished.code == 0
    assert finished.out.startswith("2 files done, 1 failed (6 steps in ")
    named, waits = finished.err.splitlines()
    assert named == "  1 file with an error: 'nomarr files Music' shows which and why"
    assert waits.startswith("  1 file waits for another try, from 2")
    assert "can't be decoded" in known("files", "Music").out


def test_a_failed_file_is_tried_again_at_once_only_if_asked(known: CommandLine, music: Path) -> None:
    broken_inside(music / "broken.flac")
    assert known("scan", "Music").code == 0
    assert known("enrich", "--json").json["files_failed"] == 1
    assert known("enrich", "--json").json["steps_done"] == 0
    again = known("enrich", "Music", "--retry-failed", "--json").json
    assert (again["files_failed"], again["files_completed"]) == (1, 0)
    encode(song(3, 10), music / "broken.flac")
    assert known("scan", "Music").code == 0
    assert known("enrich", "--json").json["files_completed"] == 1


def test_only_the_named_libraries_are_worked_on(known: CommandLine, music_tree: Callable[..., Path]) -> None:
    for name in ("one", "two"):
        assert known("scan", music_tree(tones(2), name)).code == 0
    report = known("enrich", "one", known.folder / "two", "one", "--json").json
    assert report["files_completed"] == 4
    assert wide(known)["song.wav"]["audio_hash"] is None
    assert known("enrich", "--json").json["files_completed"] == 2


def test_an_offline_library_waits(known: CommandLine, music: Path) -> None:
    music.rename(music.with_name("away"))
    assert known("scan", "Music").code == UNREACHABLE
    finished = known("enrich")
    assert finished.code == 0
    assert finished.out == "nothing to do\n"
    assert "library 'Music' is offline" in finished.err


def test_a_missing_tool_is_a_warning(known: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    bare = CommandLine(known.folder, {"PATH": str(tmp_path / "empty")})
    first, *_ = bare("enrich").err.splitlines()
    assert first == "  warning: fpcalc is not installed: no fingerprints are made; see 'nomarr doctor'"
    assert len(bare("enrich", "--json").json["warnings"]) == 2
    assert wide(known)["song.wav"]["audio_hash"]
    # When the tool has come, they are made up for.
    assert known("enrich", "--json").json["files_completed"] == 2
    assert wide(known)["song.wav"]["fingerprint"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["enrich"], "'nomarr scan FOLDER' adds a folder"), (["enrich", "nope"], "no library is called 'nope'")],
)
def test_without_a_library_there_is_nothing_to_enrich(cli: CommandLine, arguments: list[str], told: str) -> None:
    finished = cli(*arguments)
    assert told in finished.error
    assert finished.code == USAGE


def test_a_folder_for_covers_that_can_not_be_used(
    cli: CommandLine, music_tree: Callable[..., Path], tmp_path: Path
) -> None:
    assert cli("scan", music_tree({**tones(1), "cover.png": png()})).code == 0
    (build(tmp_path / "kept", {}) / "covers").write_text("in the way")
    finished = CommandLine(cli.folder, {"NOMARR_DATA_FOLDER": str(tmp_path / "kept")})("enrich", "--json")
    assert f"covers can't be kept in {tmp_path / 'kept' / 'covers'}" in finished.error
    assert finished.code == UNREACHABLE


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)])
def test_a_signal_ends_it_within_a_second(hanging: CommandLine, number: int, code: int) -> None:
    with on_terminal(hanging, "enrich") as enriching:
        enriching.wait_for(b"fingerprints")
        ended, seconds = enriching.end(number)
    assert ended == code
    assert seconds < promised(1.5)  # a second, and the end of the process
    assert enriching.seen.rstrip().endswith(b"stopped; what was found out until now is kept")
    assert enriching.seen.rindex(SHOW_CURSOR) > enriching.seen.index(b"fingerprints")
    assert b"Traceback" not in enriching.seen
    assert {file["processing_status"] for file in wide(hanging).values()} == {"art_done"}


def test_one_process_enriches_at_a_time(known: CommandLine, hanging: CommandLine) -> None:
    with on_terminal(hanging, "enrich") as enriching:
        enriching.wait_for(b"fingerprints")
        finished = known("enrich", "--json")
        assert "another process enriches this database" in finished.error
        assert finished.code == BUSY
        enriching.end(signal.SIGINT)
    assert known("enrich", "--json").json["files_completed"] == 2


def test_it_waits_while_a_scan_runs(known: CommandLine, music: Path) -> None:
    encode(song(5, 10), music / "new.wav")
    slow = CommandLine(known.folder, {"NOMARR_SETTLE_SECONDS": "60"})
    with on_terminal(slow, "scan", "Music") as scanning:
        scanning.wait_for(b"files")
        with on_terminal(known, "enrich") as enriching:
            enriching.wait_for(b"waiting while a scan runs")
            scanning.end(signal.SIGINT)
            assert enriching.process.stdout is not None
            assert b" files done (" in enriching.process.stdout.read()
            assert enriching.process.wait() == 0
