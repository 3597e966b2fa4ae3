"""A small collection of real songs: made once for many tests, because encoding is what takes long."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import mutagen
from mutagen.easyid3 import EasyID3

from support.songs import encode, song

__all__ = ["FORMATS", "make_songs", "retag", "tag"]

FORMATS = ("mp3", "flac", "ogg", "opus", "m4a", "wav")


def make_songs(
    folder: Path, count: int, *, formats: Sequence[str] = FORMATS, seconds: float = 8.0, artist: int = 0
) -> list[Path]:
    """`count` songs that differ in sound, title and name; tagged, three folders deep."""
    made = []
    for number in range(count):
        place = folder / f"Artist {number % 5}" / f"Album {number % 11}"
        place.mkdir(parents=True, exist_ok=True)
        suffix = formats[number % len(formats)]
        path = encode(song(1000 * artist + number, seconds, artist=artist), place / f"{number:03} song.{suffix}")
        tag(path, title=f"Song {number}", artist=f"Artist {number % 5}")
        made.append(path)
    return made


def tag(path: Path, **texts: str) -> None:
    """Set simple tags."""
    audio = _open(path)
    for name, text in texts.items():
        audio[name] = text
    audio.save()


def retag(paths: Iterable[Path], chance: random.Random) -> None:
    """Give every file another title, artist and comment of another length."""
    for path in paths:
        tag(path, title=f"New {chance.random()}", artist="x" * chance.randrange(1, 3000), album="Other")


def _open(path: Path) -> Any:
    if path.suffix == ".wav":
        return _Wav(path)
    audio: Any = mutagen.File(path, easy=True)  # type: ignore[attr-defined] - mutagen has few annotations
    if audio.tags is None:
        audio.add_tags()
    return audio


class _Wav:
    """mutagen has easy tags for most formats, but not for ID3 in WAV."""

    def __init__(self, path: Path) -> None:
        from mutagen.wave import WAVE

        self._audio: Any = WAVE(path)
        if self._audio.tags is None:
            self._audio.add_tags()

    def __setitem__(self, name: str, text: str) -> None:
        frames = EasyID3()
        frames[name] = text
        for frame in frames._EasyID3__id3.values():
            self._audio.tags.add(frame)

    def save(self) -> None:
        self._audio.save()
