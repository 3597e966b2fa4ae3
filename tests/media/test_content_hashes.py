"""What the hashes of whole files promise."""

from __future__ import annotations

import hashlib
import os
import pickle
import tracemalloc
from pathlib import Path
from random import Random

import pytest
import xxhash

from nomarr.components.media.audio_file_comp import UnreadableAudio
from nomarr.components.media.content_hashes_comp import ContentHashes, content_hashes


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (2 << 20) + 5])
def test_both_hashes_are_those_of_the_whole_file(tmp_path: Path, size: int) -> None:
    content = Random(size).randbytes(size)
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    expected = ContentHashes(xxhash.xxh3_128_hexdigest(content), hashlib.sha256(content).hexdigest())
    assert content_hashes(str(path)) == expected


def test_a_large_file_needs_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.touch()
    os.truncate(path, 64 << 20)
    tracemalloc.start()
    try:
        content_hashes(str(path))
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UnreadableAudio, match="is a named pipe"):
        content_hashes(str(tmp_path / "fifo"))
    with pytest.raises(FileNotFoundError):
        content_hashes(str(tmp_path / "gone"))


def test_they_can_be_sent_to_a_worker_process() -> None:
    for value in (ContentHashes("a", "b"), content_hashes):
        assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own values
