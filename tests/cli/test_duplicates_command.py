"""`nomarr duplicates` as people and programs see it."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import CommandLine
from support.fork_server import ForkServer
from support.songs import encode, song
from test_json_contract import FILE

USAGE, UNREACHABLE = 2, 3


@pytest.fixture(scope="module")
def enriched(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer) -> CommandLine:
    """The library `Music`: one song three times, another one once, and a file that was not enriched yet."""
    folder = tmp_path_factory.mktemp("duplicates")
    music = folder / "Music"
    music.mkdir()
    encode(song(1, 15), music / "a.flac")
    (music / "evil\x1b[31m.flac").write_bytes((music / "a.flac").read_bytes())
    encode(song(1, 15), music / "c.mp3", "-b:a", "128k")
    encode(song(2, 15), music / "d.flac")
    cli = CommandLine(folder, forks=forks)
    assert cli("scan", music).code == 0
    assert cli("enrich").code == 0
    encode(song(1, 15), music / "e.wav")
    assert cli("scan", music).code == 0
    return cli


def test_groups_are_lines(enriched: CommandLine) -> None:
    finished = enriched("duplicates", "Music", "--json")
    assert finished.code == 0
    audio, recording = finished.json_lines
    assert (audio.keys(), recording.keys()) == ({"kind", "files"}, {"kind", "files"})
    assert (audio["kind"], recording["kind"]) == ("same_audio", "same_recording")
    assert [file["path"] for file in audio["files"]] == ["a.flac", "evil\x1b[31m.flac"]
    assert [file["path"] for file in recording["files"]] == ["a.flac", "c.mp3", "evil\x1b[31m.flac"]
    assert all(file.keys() == FILE | {"audio_hash"} for file in recording["files"])
    first, other, copy = (file["audio_hash"] for file in recording["files"])
    assert first == copy != other


def test_people_see_groups_and_what_was_left_out(enriched: CommandLine) -> None:
    finished = enriched("duplicates", "Music")
    assert finished.code == 0
    lines = [" ".join(line.split()) for line in finished.out.splitlines()]
    assert lines[0] == "2 files with the same audio"
    assert lines[1].startswith("a.flac 0:15 flac ")
    assert lines[4] == "3 files of the same recording"
    assert lines[6].startswith("c.mp3 0:15 mp3 128 kbit/s")
    assert lines[7].startswith("evil\\x1b[31m.flac ")
    assert lines[7].endswith(" same audio as a.flac")
    assert finished.err.splitlines() == [
        "1 group with the same audio, 1 group of the same recording",
        "1 file is not enriched yet, and not or only partly compared: 'nomarr enrich' works on them",
    ]


def test_what_has_no_fingerprint_is_told(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    encode(song(1, 15), tmp_path / "music" / "a.wav")
    (tmp_path / "empty").mkdir()
    bare = CommandLine(cli.folder, {"PATH": str(tmp_path / "empty")})
    assert bare("scan", tmp_path / "music").code == 0
    assert bare("enrich").code == 0
    told = cli("duplicates", "music").err.splitlines()
    assert told == [
        "no duplicates",
        "1 file has no fingerprint, for want of sound or of the tool fpcalc: only the audio was compared",
    ]


def test_without_chromaprint_the_groups_with_equal_audio_are_told(enriched: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "chromaprint.py").write_text("raise ImportError('no chromaprint here')\n")
    bare = CommandLine(enriched.folder, {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"})
    for form in ([], ["--json"]):
        finished = bare("duplicates", "Music", *form)
        assert finished.code == UNREACHABLE
        assert "Install the package libchromaprint1" in finished.err
        assert "evil" in finished.out


def test_an_unknown_library_is_refused(enriched: CommandLine) -> None:
    finished = enriched("duplicates", "nope")
    assert "no library is called 'nope'" in finished.error
    assert finished.code == USAGE
