"""What people see when they do not ask for JSON."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import CommandLine


@pytest.mark.parametrize(
    "command", ["library list", "library show Music", "files Music", "files Music --wide", "verify Music", "scans"]
)
def test_answers_are_on_stdout(scanned: CommandLine, command: str) -> None:
    finished = scanned(*command.split())
    assert finished.code == 0
    assert "Music" in finished.out or "Jazz" in finished.out


def test_tags_and_names_are_neither_markup_nor_terminal_commands(scanned: CommandLine) -> None:
    for command in ("files Music", "events", "verify Music", "explain Music/Jazz/tagged.wav"):
        finished = scanned(*command.split())
        assert "\x1b" not in finished.out
    shown = scanned("files", "Music").out
    assert "[bold]Déjà vu[/bold]\\x1b[31m" in shown
    assert "Rock/new\\nline.wav" in shown
    assert "Rock/\\xff\\xfe.wav" in shown


def test_nothing_is_cut_off_in_a_pipe(scanned: CommandLine) -> None:
    assert "Jazz/broken.mp3" in scanned("files", "Music").out
    assert max(map(len, scanned("files", "Music", "--wide").out.splitlines())) > 80


def test_an_unscanned_database_says_how_to_begin(cli: CommandLine) -> None:
    for command in ("library list", "scans"):
        finished = cli(*command.split())
        assert finished.out == ""
        assert "nomarr scan" in finished.err


def test_a_new_folder_is_added_and_summed_up(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "[My] music").mkdir()
    finished = cli("scan", tmp_path / "[My] music")
    assert "added library '[My] music'" in finished.err
    assert finished.out.startswith("[My] music: nothing changed (0 files looked at")


def test_the_version_is_printed(cli: CommandLine) -> None:
    assert cli("--version").out.startswith("nomarr ")


def test_libraries_are_listed_with_their_watch_modes(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    assert cli("library", "add", "Music", tmp_path / "music", "--watch", "poll").code == 0
    heading, _, row = cli("library", "list").out.splitlines()
    assert row[heading.index("Watch") :].startswith("poll ")
    assert "Watching poll" in " ".join(cli("library", "show", "Music").out.split())
