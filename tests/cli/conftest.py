"""The command line as other programs see it: real processes over real files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CommandLine
from mutagen.id3 import TALB, TIT2, TPE1, TRCK
from mutagen.wave import WAVE
from support.fork_server import ForkServer
from support.music import build, tone


@pytest.fixture
def cli(tmp_path: Path, forks: ForkServer) -> CommandLine:
    return CommandLine(tmp_path, forks=forks)


@pytest.fixture(scope="module")
def tagged() -> Callable[..., Path]:
    """Writes a WAV file with tags."""

    def write(path: Path, title: str, artist: str = "An artist", album: str = "An album", track: str = "3/12") -> Path:
        path.write_bytes(tone(440))
        audio = WAVE(path)
        audio.add_tags()
        for frame in (TIT2(3, [title]), TPE1(3, [artist]), TALB(3, [album]), TRCK(3, [track])):
            audio.tags.add(frame)
        audio.save()
        return path

    return write


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory, tagged: Callable[..., Path], forks: ForkServer) -> CommandLine:
    """A scanned library `Music`, for tests that change nothing: Rock, Jazz, a broken file, odd names, a playlist."""
    folder = tmp_path_factory.mktemp("scanned")
    music = build(
        folder / "Music",
        {
            "Rock": {"new\nline.wav": tone(200), os.fsdecode(b"\xff\xfe.wav"): tone(210)},
            "Jazz": {"broken.mp3": "this is no sound", "list.m3u": "tagged.wav\nnowhere.mp3\n"},
            "Ignored": {".nomedia": "", "hidden.wav": tone(220)},
        },
    )
    tagged(music / "Jazz" / "tagged.wav", "[bold]Déjà vu[/bold]\x1b[31m")
    command_line = CommandLine(folder, forks=forks)
    finished = command_line("scan", music)
    assert finished.code == 0, finished.err
    return command_line
