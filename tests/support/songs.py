"""Music-like sound that is quick to make: every seed is another song, and an artist's songs sound alike."""

from __future__ import annotations

import io
import math
import os
import random
import shutil
import subprocess
import wave
from array import array
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import xxhash

__all__ = ["KEPT_IN", "encode", "song", "wav_of"]

KEPT_IN = "SONGS_OF_TESTS_ARE_KEPT_IN"
"""The environment variable that names the folder of what was encoded in this run, for all its processes."""

_RATE = 44_100
_TABLE = 1024
_LOUDEST = 6000
_VOICES = 5
"""A melody, three notes of a chord and a drum: their sum stays within 16 bits."""
_CENTRE = 32_768
_SCALE = (0, 2, 4, 5, 7, 9, 11)
_KEYS = tuple(range(45, 57))


@lru_cache(maxsize=8)
def song(seed: int, seconds: float = 30.0, *, artist: int = 0) -> bytes:
    """A WAV file, 44100 Hz, mono, 16 bits: the same for the same numbers, on every machine.

    Songs of one artist share key, tempo, instruments and drums; chords and melody are each song's own. 30 s take
    about 5 ms, the first song of an artist 0.1 s more.
    """
    beats = _beats(seed, artist)
    samples = math.ceil(seconds * _RATE)
    sound = bytearray()
    while len(sound) < 2 * samples:
        sound += next(beats)
    return wav_of(bytes(sound[: 2 * samples]))


def wav_of(samples: bytes) -> bytes:
    """Samples (16 bits, signed, little endian) as a WAV file of 44100 Hz, mono."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(samples)
    return written.getvalue()


def encode(wav: bytes, target: Path, *options: str) -> Path:
    """Encode by the extension of `target`, with these options of ffmpeg's; a WAV file is just written.

    What was encoded before in this run is copied: the same sound with the same options is the same file.
    """
    if target.suffix == ".wav" and not options:
        target.write_bytes(wav)
    elif folder := os.environ.get(KEPT_IN):
        shutil.copyfile(_kept(Path(folder), wav, target.suffix, options), target)
    else:
        _encode(wav, target, options)
    return target


def _kept(folder: Path, wav: bytes, suffix: str, options: tuple[str, ...]) -> Path:
    key = xxhash.xxh3_128(wav)
    key.update(repr(options).encode())
    kept = folder / f"{key.hexdigest()}{suffix}"
    if not kept.exists():
        # Another process may be making the same one; whichever is ready last stays.
        new = folder / f"{os.getpid()} {kept.name}"
        _encode(wav, new, options)
        new.replace(kept)
    return kept


def _encode(wav: bytes, target: Path, options: tuple[str, ...]) -> None:
    command = ["ffmpeg", "-v", "error", "-y", "-threads", "1", "-f", "wav", "-i", "pipe:0", *options, str(target)]
    subprocess.run(command, check=True, input=wav, capture_output=True)


def _beats(seed: int, artist: int) -> Iterator[bytes]:
    """The song's beats without end, each as samples."""
    style = random.Random(f"artist {artist}")
    key, length = style.choice(_KEYS), round(_RATE * style.uniform(0.18, 0.30))
    rhythm = [style.random() < 0.6 for _ in range(8)]
    composer = random.Random(f"song {artist} {seed}")
    flip = int.from_bytes(b"\0\x80" * length, "little")
    while True:
        chord = composer.randrange(7)
        for drum in rhythm:
            degrees = (chord, chord + 2, chord + 4)
            notes = [_note(artist, 0, _pitch(key, degree), length) for degree in degrees]
            melody = _note(artist, 1, _pitch(key, composer.randrange(14)) + 12, length)
            # Samples are unsigned until here and never carry over into their neighbours, so one addition of big
            # numbers adds all of them at once; the highest bit then makes them signed.
            mixed = sum(notes) + melody + _drum(artist, length, drum)
            yield (mixed ^ flip).to_bytes(2 * length, "little")


def _pitch(key: int, degree: int) -> int:
    octave, step = divmod(degree, len(_SCALE))
    return key + 12 * octave + _SCALE[step]


@lru_cache(maxsize=512)
def _note(artist: int, instrument: int, pitch: int, length: int) -> int:
    """A decaying tone."""
    table, fading = _timbre(artist, instrument), _fading(length)
    step = 440 * 2 ** ((pitch - 69) / 12) * _TABLE / _RATE
    return _packed([round(table[int(at * step) % _TABLE] * loud) for at, loud in enumerate(fading)], _LOUDEST)


@lru_cache(maxsize=64)
def _timbre(artist: int, instrument: int) -> list[float]:
    """One period of an instrument: a few harmonics."""
    chance = random.Random(f"instrument {artist} {instrument}")
    strengths = [chance.uniform(0.2, 1.0) / harmonic for harmonic in range(1, 7)]
    scale = _LOUDEST / sum(strengths)
    return [
        scale
        * sum(loud * math.sin(2 * math.pi * at * harmonic / _TABLE) for harmonic, loud in enumerate(strengths, start=1))
        for at in range(_TABLE)
    ]


@lru_cache(maxsize=64)
def _fading(length: int) -> list[float]:
    return [min(1.0, at / 200) * math.exp(-2.5 * at / length) for at in range(length)]


@lru_cache(maxsize=64)
def _drum(artist: int, length: int, sounds: bool) -> int:
    """A burst of noise, or nothing; it also lifts all voices together to the middle of 16 bits."""
    middle = _CENTRE - (_VOICES - 1) * _LOUDEST
    chance = random.Random(f"drum {artist}")
    burst = length // 4 if sounds else 0
    noise = [chance.randint(-_LOUDEST, _LOUDEST) * (burst - at) // burst for at in range(burst)]
    return _packed(noise + [0] * (length - burst), middle)


def _packed(samples: list[int], middle: int) -> int:
    return int.from_bytes(array("H", [middle + sample for sample in samples]).tobytes(), "little")
