"""Keys and forms of `--json`: programs are written against them."""

from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path

import pytest
from command_line import CommandLine

from nomarr import AudioTags, ScanReport

LIBRARY = {"library_id", "name", "root_path", "watch_mode", "state", "files", "missing"} | {
    "last_scan_at",
    "last_scan_started_at",
    "transcode_policy",
}
REPORT = {field.name for field in fields(ScanReport)}
TAGS = {"title", "artist", "album", "albumartist", "track", "disc", "year", "genre"}
PROPERTIES = {"duration_seconds", "bitrate", "format", "has_cover"}
STATE = {"processing_status", "last_error", "missing_since"}
FILE = {"file_id", "path", "size", "mtime_ns", "inode"} | TAGS | PROPERTIES | STATE
ENRICHED = {"audio_hash", "fingerprint", "cover_id", "content_xxh3", "content_sha256"}
RUN = {"scan_id", "library_id", "state", "started_at", "ended_at", "targets", "full", "error", "report"}
EVENT = {"seq", "time", "type", "library_id", "file_id", "path", "old_path", "old_library_id", "evidence"}
EXPLANATION = {"library", "file_id", "state", "rule", "rule_file", "error", "last_seen", "reason", "path"}
CHECK = {"name", "status", "detail", "remedy"}
ISO8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_library_is_an_object(scanned: CommandLine) -> None:
    shown = scanned("library", "show", "Music", "--json").json
    assert shown.keys() >= LIBRARY
    assert (shown["name"], shown["state"], shown["watch_mode"]) == ("Music", "ready", "auto")
    assert (shown["files"], shown["missing"]) == (4, 0)
    assert ISO8601.fullmatch(shown["last_scan_at"])
    assert ISO8601.fullmatch(shown["last_scan_started_at"])


def test_libraries_are_an_array(scanned: CommandLine) -> None:
    (shown,) = scanned("library", "list", "--json").json
    assert shown["root_path"] == str(scanned.folder / "Music")


def test_a_library_that_is_added_changed_moved_and_removed_is_an_object(cli: CommandLine, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    added = cli("library", "add", "Music", tmp_path / "one", "--watch", "poll", "--ignore", "*.tmp", "--json").json
    edited = cli("library", "edit", "Music", "--name", "Songs", "--watch", "off", "--no-ignore", "--json").json
    relocated = cli("library", "relocate", "Songs", tmp_path / "two", "--json").json
    removed = cli("library", "remove", "Songs", "--yes", "--json").json
    assert all(shown.keys() >= LIBRARY for shown in (added, edited, relocated, removed))
    assert len({shown["library_id"] for shown in (added, edited, relocated, removed)}) == 1
    assert (added["watch_mode"], added["ignore_patterns"], added["last_scan_at"]) == ("poll", ["*.tmp"], None)
    assert (edited["name"], edited["watch_mode"], edited["ignore_patterns"]) == ("Songs", "off", [])
    assert relocated["root_path"] == str(tmp_path / "two")
    assert cli("library", "list", "--json").json == []
    assert (tmp_path / "two").is_dir()


def test_the_policy_for_transcodes_is_kept(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    added = cli("library", "add", "Music", tmp_path / "music", "--transcodes", "new_id", "--json").json
    renamed = cli("library", "edit", "Music", "--name", "Songs", "--json").json
    edited = cli("library", "edit", "Songs", "--transcodes", "keep_id", "--json").json
    policies = [shown["transcode_policy"] for shown in (added, renamed, edited)]
    assert policies == ["new_id", "new_id", "keep_id"]
    assert "Transcodes  keep_id: " in cli("library", "show", "Songs").out


def test_a_scan_of_one_library_is_a_report(scanned: CommandLine) -> None:
    finished = scanned("scan", "Music", "--json")
    assert finished.json.keys() == REPORT
    assert (finished.json["state"], finished.json["files_scanned"]) == ("completed", 4)
    assert finished.json["changes_detected"] is False
    assert finished.err == ""


@pytest.mark.parametrize("named", [("one", "two"), ()])
def test_a_scan_of_several_libraries_is_an_array(cli: CommandLine, tmp_path: Path, named: tuple[str, ...]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert cli("library", "add", name, tmp_path / name).code == 0
    finished = cli("scan", *named, "--json")
    assert [report.keys() for report in finished.json] == [REPORT, REPORT]
    assert finished.code == 0


def test_files_are_a_line_each_with_every_key(scanned: CommandLine) -> None:
    files = scanned("files", "Music", "--json").json_lines
    assert all(file.keys() >= FILE for file in files)
    assert not ENRICHED & files[0].keys()
    (tagged,) = scanned("files", "Music", "--query", "an ARTIST", "--json").json_lines
    assert tagged["title"] == "[bold]Déjà vu[/bold]\x1b[31m"
    assert (tagged["artist"], tagged["album"], tagged["track"]) == ("An artist", "An album", 3)
    assert (tagged["path"], tagged["format"], tagged["processing_status"]) == (
        "Jazz/tagged.wav",
        "wav",
        "metadata_done",
    )


def test_wide_files_have_hashes_and_all_tags(scanned: CommandLine) -> None:
    (tagged,) = scanned("files", "Music", "--folder", "Jazz", "--query", "tagged", "--wide", "--json").json_lines
    assert tagged.keys() >= FILE | ENRICHED
    assert {field.name for field in fields(AudioTags)} <= tagged.keys()
    assert tagged["track_total"] == 12


def test_no_files_are_no_lines(scanned: CommandLine) -> None:
    assert scanned("files", "Music", "--missing", "--json").json_lines == []


def test_names_of_any_bytes_survive(scanned: CommandLine) -> None:
    finished = scanned("files", "Music", "--folder", "Rock", "--json")
    assert finished.out.isascii()
    assert {os.fsencode(file["path"]) for file in finished.json_lines} == {b"Rock/\xff\xfe.wav", b"Rock/new\nline.wav"}


def test_a_broken_file_says_what_is_wrong(scanned: CommandLine) -> None:
    (broken,) = scanned("files", "Music", "--query", "broken", "--json").json_lines
    assert (broken["processing_status"], broken["title"]) == ("error", None)
    assert broken["last_error"]


def test_verify_is_an_object(scanned: CommandLine) -> None:
    finished = scanned("verify", "Music", "--json")
    assert finished.json == {"equal": True, "not_in_database": [], "not_on_disk": [], "stale": [], "warnings": []}
    assert finished.code == 0


@pytest.mark.parametrize(
    ("path", "state"),
    [
        ("Music/Jazz/tagged.wav", "in_library"),
        ("Music/Jazz/broken.mp3", "in_library"),
        ("Music/Ignored/hidden.wav", "ignored"),
        ("Music/Jazz/nowhere.wav", "not_found"),
        ("elsewhere.wav", "outside"),
    ],
)
def test_explain_is_an_object(scanned: CommandLine, path: str, state: str) -> None:
    finished = scanned("explain", path, "--json")
    assert finished.json.keys() >= EXPLANATION
    assert finished.json["state"] == state
    assert finished.json["path"] == str(scanned.folder / path)
    assert finished.json["reason"]
    assert finished.code == 0


def test_events_are_lines(scanned: CommandLine) -> None:
    events = scanned("events", "--json").json_lines
    assert all(event.keys() == EVENT for event in events)
    assert [event["type"] for event in events] == ["created"] * 4
    assert ISO8601.fullmatch(events[0]["time"])
    assert scanned("events", "--after", str(events[1]["seq"]), "--json").json_lines == events[2:]


def test_scans_are_an_array_newest_first(scanned: CommandLine) -> None:
    runs = scanned("scans", "Music", "--json").json
    assert all(run.keys() == RUN for run in runs)
    assert [run["started_at"] for run in runs] == sorted((run["started_at"] for run in runs), reverse=True)
    assert runs[-1]["targets"] == [{"folder_path": "", "recursive": True}]
    assert runs[-1]["report"].keys() == REPORT
    assert len(scanned("scans", "--limit", "1", "--json").json) == 1


def test_playlists_are_an_array(scanned: CommandLine) -> None:
    (playlist,) = scanned("playlists", "Music", "--json").json
    assert playlist.keys() == {"library_id", "path", "entries", "error"}
    assert playlist["path"] == "Jazz/list.m3u"
    assert [(entry["text"], entry["file_id"] is None) for entry in playlist["entries"]] == [
        ("tagged.wav", False),
        ("nowhere.mp3", True),
    ]


def test_doctor_is_an_array_of_checks(scanned: CommandLine) -> None:
    finished = scanned("doctor", "--json")
    checks = {check["name"]: check for check in finished.json}
    assert all(check.keys() == CHECK for check in checks.values())
    assert {check["status"] for check in checks.values()} <= {"ok", "warn"}
    assert {"database", "integrity", "ffprobe", "fpcalc", "inotify", "library Music"} <= checks.keys()
    assert {"Pillow", "chromaprint", "covers", "enrichment", "failed files"} <= checks.keys()
    assert finished.code == 0
