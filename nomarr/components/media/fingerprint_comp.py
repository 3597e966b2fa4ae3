"""Chromaprint fingerprints: made by fpcalc, compared here; they tell a recording however it is encoded and tagged."""

from __future__ import annotations

import json
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nsmallest
from typing import Any, Final

from nomarr.components.media.audio_file_comp import UnreadableAudio
from nomarr.helpers.exceptions import FingerprintLibraryMissing

__all__ = [
    "SAME_ERROR_RATE",
    "SAME_SECONDS",
    "Fingerprint",
    "bit_error_rate",
    "comparing_problem",
    "fpcalc_command",
    "fpcalc_command_for_several",
    "is_same_recording",
    "parse_fpcalc",
    "same_recordings",
]

SAME_ERROR_RATE: Final = 0.20
"""Up to this share of differing bits two fingerprints are of one recording.

Measured: 0.00 to 0.08 between encodings of one song, cut at any place; from 0.35 on between songs that share key,
tempo and instruments.
"""

SAME_SECONDS: Final = 3.0
"""Up to this difference two durations may be of one recording: encoders add silence, rips begin and end elsewhere."""

_HEARD_SECONDS: Final = 120
"""AcoustID's length: how much of the beginning becomes the fingerprint."""

_ITEM_BITS: Final = 32
_OFFSET_ITEMS: Final = 24
"""How far two beginnings may lie apart: an item is 0.124 s (1365 samples at 11025 Hz), so these are 3 s."""
_FEWEST_ITEMS: Final = 24
"""Less than 3 s of sound are no evidence."""
_SILENCE: Final = 627_964_279
"""The item of silence, and of a single steady tone: nothing changes in them."""

_CONSTANT_CHARACTERS: Final = 22
"""A header of 4 bytes and one item of up to 33 times 3 bits, in base64; what repeats the item is all "A"."""
_PARTLY_READ: Final = 3
"""fpcalc 1.5 ends with it when a file ends before 120 s, although the fingerprint is complete."""
_REASON_CHARACTERS: Final = 200

_KEY_SHIFT: Final = 4
"""An item without its lowest bits, which differ most between two encodings; AcoustID's index does the same."""
_KEYS: Final = 128
"""Two encodings of one song that differ in a tenth of their bits still share two to twenty of them."""
_MIXING: Final = 0x9E3779B1
_COMMON: Final = 200
"""A key that so many different recordings have tells nothing about which one it is."""
_CANDIDATES: Final = 32


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A fingerprint in chromaprint's compressed text form, of the first two minutes, and the whole sound's length.

    The length is what the container says, to 0.01 s: for an MP3 or AAC file without a header it is a guess.
    """

    compressed: str
    duration_seconds: float


def fpcalc_command(fpcalc: str, path: str) -> list[str]:
    """The command for one file; `path` is absolute, so that no file name is an option or a protocol."""
    return [fpcalc, "-json", "-length", str(_HEARD_SECONDS), path]


def fpcalc_command_for_several(fpcalc: str, paths: Sequence[str]) -> list[str]:
    """The command for several files: starting fpcalc takes as long as hearing half a song (0.04 s, 130 libraries).

    Its answers are a line each, in the order of `paths` and written at once; at a file without an answer it ends.
    """
    # Without it, 1.5 ends behind the first file that is shorter than what it was told to hear.
    return [fpcalc, "-json", "-length", str(_HEARD_SECONDS), "-ignore-errors", *paths]


def parse_fpcalc(returncode: int, stdout: bytes, stderr: bytes) -> Fingerprint | None:
    """What fpcalc found out; None for a sound that is too short or too even for a fingerprint, as silence is.

    UnreadableAudio for a file that can't be decoded, or whose answer makes no sense.
    """
    if returncode in (0, _PARTLY_READ) and stdout.strip():
        found = _parse_answer(stdout)
        return None if _is_constant(found.compressed) else found
    if b"Empty fingerprint" in stderr:
        return None
    raise UnreadableAudio(f"can't be decoded: {_last_line(stderr) or f'fpcalc ended with {returncode}'}")


def _parse_answer(stdout: bytes) -> Fingerprint:
    try:
        answer = json.loads(stdout)
        return Fingerprint(str(answer["fingerprint"]), float(answer["duration"]))
    except (ValueError, LookupError, TypeError) as problem:
        raise UnreadableAudio("can't be decoded: fpcalc's answer makes no sense") from problem


def _is_constant(compressed: str) -> bool:
    return not compressed[_CONSTANT_CHARACTERS:].strip("A")


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    return " ".join(last.removeprefix("ERROR: ").split())[:_REASON_CHARACTERS]


def bit_error_rate(a: str, b: str) -> float:
    """The share of differing bits where two compressed fingerprints fit best: 0 if equal, about 0.5 if unrelated.

    Either may begin up to 3 s later than the other. Where both are silent nothing is compared, and 1.0 is the answer
    when less than 3 s of sound are left. ValueError for a text that is no fingerprint.
    """
    return _error_rate(_decode(a), _decode(b))


def is_same_recording(a: Fingerprint, b: Fingerprint) -> bool:
    """Whether both are one recording: equal to `SAME_SECONDS` in length and to `SAME_ERROR_RATE` in sound.

    Only the first two minutes are heard: recordings that differ later and end alike are taken for one.
    """
    if abs(a.duration_seconds - b.duration_seconds) > SAME_SECONDS:
        return False
    return bit_error_rate(a.compressed, b.compressed) <= SAME_ERROR_RATE


@dataclass(frozen=True, slots=True)
class _Sound:
    """A decoded fingerprint as big numbers, the first item lowest: all items are compared at once."""

    length: int
    bits: int
    silent: int
    """Ones where the items are silence."""
    keys: tuple[int, ...]
    """A few items that stand for all: chosen by value, so two encodings choose mostly the same."""


def _decode(compressed: str) -> _Sound:
    items = _items(compressed)
    return _Sound(
        len(items),
        _as_number(items),
        _as_number([0xFFFFFFFF if item == _SILENCE else 0 for item in items]),
        _keys(items),
    )


def _items(compressed: str) -> list[int]:
    chromaprint = _chromaprint()
    try:
        items: list[int] = chromaprint.decode_fingerprint(compressed.encode("ascii"))[0]
    except (chromaprint.FingerprintError, UnicodeEncodeError) as problem:
        raise ValueError("this text is no fingerprint") from problem
    return items


def comparing_problem() -> str | None:
    """Why fingerprints can't be compared on this machine; None if they can."""
    try:
        _chromaprint()
    except FingerprintLibraryMissing as missing:
        return missing.reason
    return None


@lru_cache(maxsize=1)
def _chromaprint() -> Any:
    """pyacoustid's module, which looks for chromaprint's shared library when it is imported."""
    try:
        import chromaprint
    except ImportError as problem:
        raise FingerprintLibraryMissing(str(problem)) from problem
    return chromaprint


def _as_number(items: Sequence[int]) -> int:
    return int.from_bytes(array("I", items).tobytes(), "little")


def _keys(items: Sequence[int]) -> tuple[int, ...]:
    telling = {item >> _KEY_SHIFT for item in items if item != _SILENCE}
    return tuple(nsmallest(_KEYS, telling, key=lambda key: key * _MIXING & 0xFFFFFFFF))


def _error_rate(one: _Sound, other: _Sound) -> float:
    most = min(_OFFSET_ITEMS, one.length - _FEWEST_ITEMS, other.length - _FEWEST_ITEMS)
    return min(
        (
            _error_at(offset, longer, other_one)
            for offset in range(most + 1)
            for longer, other_one in ((one, other), (other, one))
        ),
        default=1.0,
    )


def _error_at(offset: int, longer: _Sound, other: _Sound) -> float:
    """The share of differing bits when `longer` has `offset` items before those that `other` begins with."""
    shift = offset * _ITEM_BITS
    overlap = (1 << min(longer.length - offset, other.length) * _ITEM_BITS) - 1
    silent = (longer.silent >> shift & other.silent).bit_count()
    compared = overlap.bit_length() - silent
    if compared < _FEWEST_ITEMS * _ITEM_BITS:
        return 1.0
    return ((longer.bits >> shift ^ other.bits) & overlap).bit_count() / compared


def _ignore_number(_: int) -> None:
    """Nobody counts."""


def same_recordings(
    fingerprints: Mapping[str, Fingerprint], *, on_compared: Callable[[int], None] = _ignore_number
) -> list[list[str]]:
    """Groups of ids, two or more each, of one recording each, by rising length and then id.

    Every member is the same recording as the first of its group, so no group drifts from one sound to another over
    members between them. ValueError if a text is no fingerprint.

    Not all pairs are compared: fingerprints of nearly one length that share a few items are. It takes 1.5 to 3 ms for
    each, and memory only for those whose lengths lie within `SAME_SECONDS` of each other (30 KB each): 20 MB for
    20,000 songs of usual lengths, 600 MB if all of them are equally long. Encodings that differ in more than a tenth
    of their bits may share nothing and be missed.

    `on_compared` is told after each how many are done; what it raises ends the search.
    """
    known = _KnownRecordings()
    groups: dict[str, list[str]] = {}
    by_length = sorted(fingerprints.items(), key=lambda one: (one[1].duration_seconds, one[0]))
    for done, (file_id, fingerprint) in enumerate(by_length, start=1):
        recording = _Recording(file_id, fingerprint.duration_seconds, _decode(fingerprint.compressed))
        known.forget_shorter_than(fingerprint.duration_seconds - SAME_SECONDS)
        same = known.find(recording.sound)
        if same is None:
            known.add(recording)
        groups.setdefault(same or file_id, []).append(file_id)
        on_compared(done)
    return [group for group in groups.values() if len(group) > 1]


@dataclass(frozen=True, slots=True)
class _Recording:
    """A recording as the first that was seen of it."""

    file_id: str
    duration_seconds: float
    sound: _Sound


class _KnownRecordings:
    """Different recordings by the items that they contain: an index like those of words in texts."""

    def __init__(self) -> None:
        self._by_length: deque[_Recording] = deque()
        self._sounds: dict[str, _Sound] = {}
        self._by_key: dict[int, list[str]] = {}

    def add(self, recording: _Recording) -> None:
        """Recordings come by rising length."""
        self._by_length.append(recording)
        self._sounds[recording.file_id] = recording.sound
        for key in recording.sound.keys:
            self._by_key.setdefault(key, []).append(recording.file_id)

    def forget_shorter_than(self, seconds: float) -> None:
        """Drop what nothing that comes later can equal."""
        while self._by_length and self._by_length[0].duration_seconds < seconds:
            self._forget(self._by_length.popleft())

    def _forget(self, recording: _Recording) -> None:
        del self._sounds[recording.file_id]
        for key in recording.sound.keys:
            holders = self._by_key[key]
            holders.remove(recording.file_id)
            if not holders:
                del self._by_key[key]

    def find(self, sound: _Sound) -> str | None:
        """The recording that this sound is, if it is known; those that share most items are compared first."""
        for file_id in self._candidates(sound):
            if _error_rate(self._sounds[file_id], sound) <= SAME_ERROR_RATE:
                return file_id
        return None

    def _candidates(self, sound: _Sound) -> Iterator[str]:
        shared: Counter[str] = Counter()
        for key in sound.keys:
            holders = self._by_key.get(key, ())
            if len(holders) <= _COMMON:
                shared.update(holders)
        return (file_id for file_id, _ in shared.most_common(_CANDIDATES))
