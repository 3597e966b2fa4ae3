"""Which lengths are guesses, and what counting the packets says instead."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media.audio_factory import KINDS, AudioFactory, Song
from support.songs import encode, song

from nomarr.components.media.audio_file_comp import UnreadableAudio
from nomarr.components.media.duration_comp import ffprobe_command, is_duration_estimated, parse_ffprobe
from nomarr.components.media.read_tags_comp import read_tags

pytestmark = pytest.mark.skipif(
    not (shutil.which("ffprobe") and shutil.which("ffmpeg")), reason="ffmpeg is missing: ffprobe measures lengths"
)

SECONDS = 20.0
WITHOUT_HEADER = ("-write_xing", "0")
PADDING = 0.1
"""Encoders fill the first and the last frame."""


def measured(path: Path) -> float | None:
    done = subprocess.run(ffprobe_command("ffprobe", str(path)), capture_output=True, check=False)
    assert len(done.stdout) < 1000
    return parse_ffprobe(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def encoded_song(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("songs")

    def make(name: str, *options: str) -> Path:
        return encode(song(1, SECONDS), folder / name, *options)

    return make


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("variable.mp3", ("-q:a", "5", *WITHOUT_HEADER)),
        ("constant.mp3", ("-b:a", "128k", *WITHOUT_HEADER)),
        ("low.mp3", ("-b:a", "64k", "-ar", "22050", *WITHOUT_HEADER)),
        ("layer2.mp3", ("-c:a", "mp2", "-f", "mp2")),
        ("a.aac", ("-b:a", "96k")),
    ],
)
def test_guesses_are_measured(encoded_song: Callable[..., Path], name: str, options: tuple[str, ...]) -> None:
    path = encoded_song(name, *options)
    assert is_duration_estimated(str(path))
    assert measured(path) == pytest.approx(SECONDS, abs=PADDING)


def test_a_variable_bitrate_misleads_the_header_alone(encoded_song: Callable[..., Path]) -> None:
    path = encoded_song("variable.mp3", "-q:a", "5", *WITHOUT_HEADER)
    tags = read_tags(str(path)).tags
    assert tags is not None
    assert tags.duration_seconds != pytest.approx(SECONDS, rel=0.2)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "aac"])
@pytest.mark.parametrize("tags", [None, Song()], ids=["plain", "tagged"])
def test_a_header_that_says_it_is_enough(tmp_path: Path, encoded: AudioFactory, kind: str, tags: Song | None) -> None:
    assert not is_duration_estimated(str(encoded.write(tmp_path / f"a.{kind}", kind, tags)))


def test_the_bytes_count_and_not_the_name(encoded_song: Callable[..., Path], tmp_path: Path) -> None:
    shutil.copy(encoded_song("constant.mp3", "-b:a", "128k", *WITHOUT_HEADER), tmp_path / "a.flac")
    shutil.copy(encoded_song("a.flac"), tmp_path / "b.mp3")
    assert is_duration_estimated(str(tmp_path / "a.flac"))
    assert not is_duration_estimated(str(tmp_path / "b.mp3"))


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_a_header_of_another_amount_of_audio_is_not_believed(
    encoded_song: Callable[..., Path], tmp_path: Path, share: float
) -> None:
    whole = encoded_song("whole.mp3", "-b:a", "128k").read_bytes()
    path = tmp_path / "other.mp3"
    path.write_bytes((whole * 2)[: round(len(whole) * share)])
    assert is_duration_estimated(str(path))
    assert measured(path) == pytest.approx(SECONDS * share, abs=2 * PADDING)


def test_what_is_not_made_of_equal_packets_has_no_counted_length(encoded_song: Callable[..., Path]) -> None:
    assert measured(encoded_song("a.flac")) is None


@pytest.mark.parametrize("content", [b"", b"no sound at all" * 100, b"#EXTM3U\n#EXTINF:1\nhttp://localhost:1/a.mp3\n"])
def test_what_is_no_audio_has_no_length(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "-a.mp3"
    path.write_bytes(content)
    assert measured(path) is None
    with pytest.raises(UnreadableAudio):
        is_duration_estimated(str(path))


@pytest.mark.parametrize(("profile", "seconds"), [("LC", 1024.0), ("HE-AAC", 2048.0), ("HE-AACv2", 2048.0)])
def test_high_efficiency_doubles_the_samples_of_a_packet(profile: str, seconds: float) -> None:
    stream = {"codec_name": "aac", "profile": profile, "sample_rate": "44100", "nb_read_packets": "44100"}
    assert parse_ffprobe(0, json.dumps({"streams": [stream]}).encode(), b"") == seconds


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["streams", "codec_name", "sample_rate", "nb_read_packets"]), inner, max_size=4
        )
    ),
)


@given(st.integers(-15, 3), st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_a_length_or_none(returncode: int, stdout: bytes) -> None:
    seconds = parse_ffprobe(returncode, stdout, b"")
    assert seconds is None or seconds > 0
