"""Fingerprints tell a recording however it is encoded, and tell songs of one artist apart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.songs import encode, song, wav_of

from nomarr.components.media import fingerprint_comp
from nomarr.components.media.audio_file_comp import UnreadableAudio
from nomarr.components.media.fingerprint_comp import (
    SAME_ERROR_RATE,
    SAME_SECONDS,
    Fingerprint,
    bit_error_rate,
    fpcalc_command,
    fpcalc_command_for_several,
    is_same_recording,
    parse_fpcalc,
    same_recordings,
)
from nomarr.helpers.exceptions import FingerprintLibraryMissing

pytestmark = pytest.mark.skipif(
    not (shutil.which("fpcalc") and shutil.which("ffmpeg")),
    reason="fpcalc (libchromaprint-tools) or ffmpeg is missing: one makes fingerprints, the other encodes songs",
)

ENCODINGS = {
    "flac": ("a.flac",),
    "mp3 128": ("128.mp3", "-b:a", "128k"),
    "mp3 320": ("320.mp3", "-b:a", "320k"),
    "opus 96": ("96.opus", "-b:a", "96k"),
    "m4a": ("a.m4a", "-b:a", "128k"),
}
WAV_HEADER_BYTES = 44
SECONDS = 20


def fingerprint(path: Path) -> Fingerprint | None:
    done = subprocess.run(fpcalc_command("fpcalc", str(path)), capture_output=True, check=False)
    return parse_fpcalc(done.returncode, done.stdout, done.stderr)


def heard(path: Path) -> Fingerprint:
    found = fingerprint(path)
    assert found is not None
    return found


def cut(wav: bytes, seconds: float) -> bytes:
    """Without its beginning."""
    return wav_of(wav[WAV_HEADER_BYTES + 2 * round(seconds * 44_100) :])


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Fingerprint]:
    """The fingerprint of a song, encoded; each is made and heard once."""
    folder = tmp_path_factory.mktemp("songs")

    @cache
    def make(seed: int, encoding: str = "wav", *, artist: int = 0) -> Fingerprint:
        name, *options = ENCODINGS.get(encoding, ("a.wav",))
        return heard(encode(song(seed, SECONDS, artist=artist), folder / f"{artist} {seed} {name}", *options))

    return make


@pytest.mark.parametrize("seed", [1, 2])
def test_encodings_of_one_song_are_one_recording(songs: Callable[..., Fingerprint], seed: int) -> None:
    found = [songs(seed, encoding) for encoding in ENCODINGS]
    assert all(bit_error_rate(a.compressed, b.compressed) < 0.05 for a, b in combinations(found, 2))
    assert all(is_same_recording(a, b) for a, b in combinations(found, 2))
    assert all(one.duration_seconds == pytest.approx(SECONDS, abs=0.1) for one in found)


@pytest.mark.parametrize("seconds", [0.031, 0.062, 0.5, 1.7, 2.9])
def test_a_later_beginning_is_no_other_recording(tmp_path: Path, seconds: float) -> None:
    whole = song(1, SECONDS)
    one = heard(encode(whole, tmp_path / "one.wav"))
    other = heard(encode(cut(whole, seconds), tmp_path / "other.mp3", "-b:a", "128k"))
    assert is_same_recording(one, other)
    assert is_same_recording(other, one)


def test_songs_of_one_artist_are_different(songs: Callable[..., Fingerprint]) -> None:
    found = [songs(seed) for seed in range(10)]
    assert len({one.compressed for one in found}) == 10
    rates = [bit_error_rate(a.compressed, b.compressed) for a, b in combinations(found, 2)]
    assert min(rates) > 1.5 * SAME_ERROR_RATE


def test_songs_of_other_artists_are_different(songs: Callable[..., Fingerprint]) -> None:
    found = [songs(1, artist=artist) for artist in range(4)]
    assert not any(is_same_recording(a, b) for a, b in combinations(found, 2))


def test_another_length_is_another_recording(songs: Callable[..., Fingerprint]) -> None:
    one = songs(1)
    nearly = Fingerprint(one.compressed, one.duration_seconds + SAME_SECONDS)
    longer = Fingerprint(one.compressed, one.duration_seconds + SAME_SECONDS + 0.01)
    assert is_same_recording(one, nearly)
    assert not is_same_recording(one, longer)


def test_a_name_may_be_anything(tmp_path: Path) -> None:
    for name in (b"-raw \xff\n.wav", b"http: %d.wav", "日本.wav".encode()):
        path = tmp_path / os.fsdecode(name)
        path.write_bytes(song(1, SECONDS))
        assert heard(path).duration_seconds == SECONDS


@pytest.mark.parametrize("seconds", [0.5, 3.0, 20.0])
def test_silence_has_no_fingerprint(tmp_path: Path, seconds: float) -> None:
    for number, kind in enumerate(("wav", "mp3", "opus")):
        silence = wav_of(bytes(2 * round(seconds * 44_100)))
        assert fingerprint(encode(silence, tmp_path / f"{number}.{kind}")) is None


def test_a_sound_that_is_too_short_has_no_fingerprint(tmp_path: Path) -> None:
    assert fingerprint(encode(song(1, 1.0), tmp_path / "short.flac")) is None


def test_common_silence_is_no_evidence(tmp_path: Path) -> None:
    """Hidden tracks: minutes of nothing, then a song."""
    found = []
    for seed in (1, 2):
        sound = bytes(2 * 44_100 * 60) + song(seed, 15.0)[WAV_HEADER_BYTES:]
        found.append(heard(encode(wav_of(sound), tmp_path / f"{seed}.flac")))
    assert not is_same_recording(*found)
    assert is_same_recording(found[0], found[0])


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "can't be decoded: "), (b"no sound at all" * 100, "can't be decoded: Could not open the input file")],
)
def test_what_can_not_be_decoded_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "broken.mp3"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudio, match=reason) as caught:
        fingerprint(path)
    assert str(caught.value).isprintable()


@given(st.integers(-15, 3), st.binary(max_size=60), st.binary(max_size=60))
def test_any_answer_is_a_fingerprint_none_or_a_reason(returncode: int, stdout: bytes, stderr: bytes) -> None:
    with suppress(UnreadableAudio):
        found = parse_fpcalc(returncode, stdout, stderr)
        assert found is None or found.compressed


@pytest.mark.parametrize("text", ["", "no fingerprint", "AQAAé"])
def test_a_text_that_is_no_fingerprint_is_refused(songs: Callable[..., Fingerprint], text: str) -> None:
    with pytest.raises(ValueError, match="no fingerprint"):
        bit_error_rate(text, songs(1).compressed)


def test_without_the_shared_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chromaprint", None)
    fingerprint_comp._chromaprint.cache_clear()
    with pytest.raises(FingerprintLibraryMissing, match="libchromaprint1"):
        bit_error_rate("AQAA", "AQAA")


def test_same_recordings_are_found_among_many(songs: Callable[..., Fingerprint]) -> None:
    found = {f"{seed} {kind}": songs(seed, kind) for seed in range(6) for kind in ("mp3 128", "m4a", "opus 96")}
    alone = {f"alone {seed}": songs(seed) for seed in range(10, 14)}
    groups = same_recordings({**alone, **found})
    assert sorted(sorted(group) for group in groups) == [
        sorted(f"{seed} {kind}" for kind in ("mp3 128", "m4a", "opus 96")) for seed in range(6)
    ]
    assert same_recordings(dict(reversed({**found, **alone}.items()))) == groups


def test_a_group_is_around_its_shortest_member(songs: Callable[..., Fingerprint]) -> None:
    compressed = songs(1).compressed
    found = {str(seconds): Fingerprint(compressed, float(seconds)) for seconds in (20, 22, 24, 26)}
    assert same_recordings(found) == [["20", "22"], ["24", "26"]]


def test_a_search_tells_how_far_it_is_and_can_be_ended(songs: Callable[..., Fingerprint]) -> None:
    found = {str(seed): songs(seed) for seed in range(3)}
    told: list[int] = []
    same_recordings(found, on_compared=told.append)
    assert told == [1, 2, 3]

    def end(done: int) -> None:
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        same_recordings(found, on_compared=end)


def test_nothing_has_no_groups() -> None:
    assert same_recordings({}) == []


def heard_together(*paths: Path) -> list[Fingerprint | None]:
    command = fpcalc_command_for_several("fpcalc", [str(path) for path in paths])
    done = subprocess.run(command, capture_output=True, check=False)
    return [parse_fpcalc(0, line, b"") for line in done.stdout.splitlines()]


def test_several_files_at_once_have_the_answers_of_each(tmp_path: Path) -> None:
    kinds = enumerate(("mp3", "flac", "wav"))
    paths = [encode(song(seed, 5 + seed), tmp_path / f"{seed}.{kind}") for seed, kind in kinds]
    assert heard_together(*paths) == [heard(path) for path in paths]


SOUNDLESS = {"empty": b"", "text": b"This is no sound.", "silent": wav_of(bytes(2 * 44_100))}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("case", SOUNDLESS)
def test_at_one_without_an_answer_fpcalc_ends(tmp_path: Path, place: int, case: str) -> None:
    """Otherwise the answers behind it would be taken for those of other files."""
    paths = [encode(song(seed, 5), tmp_path / f"{seed}.wav") for seed in range(3)]
    paths[place].write_bytes(SOUNDLESS[case])
    assert heard_together(*paths) == [heard(path) for path in paths[:place]]


def test_an_answer_is_written_before_the_next_file_is_heard(tmp_path: Path) -> None:
    first, second = encode(song(1, 5), tmp_path / "1.wav"), tmp_path / "2.wav"
    os.mkfifo(second)
    command = fpcalc_command_for_several("fpcalc", [str(first), str(second)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as fpcalc:
        assert fpcalc.stdout is not None
        assert parse_fpcalc(0, fpcalc.stdout.readline(), b"") == heard(first)
        assert fpcalc.poll() is None
        fpcalc.kill()
