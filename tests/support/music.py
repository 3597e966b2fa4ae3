"""Music folders out of a literal, made of tiny but valid audio."""

from __future__ import annotations

import io
import math
import os
import time
import wave
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TypeAlias

from PIL import Image

Tree: TypeAlias = Mapping[str, "Tree | bytes | str | None"]
"""Name to what is there: a folder, a file's bytes or text, or None for an empty file."""

_RATE = 8000


@cache
def tone(frequency: int) -> bytes:
    """A valid WAV file. Every frequency has its own size, so no two tones look alike to anybody."""
    samples = bytes(128 + round(100 * math.sin(2 * math.pi * frequency * i / _RATE)) for i in range(2 * frequency))
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(_RATE)
        file.writeframes(samples)
    return written.getvalue()


@cache
def png() -> bytes:
    """A valid picture: a square of one colour."""
    written = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(written, "PNG")
    return written.getvalue()


def build(root: Path, tree: Tree) -> Path:
    """Make `root` with everything in `tree`; what is there already stays."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in tree.items():
        path = root / name
        if isinstance(content, Mapping):
            build(path, content)
        else:
            path.write_bytes(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content or b"")
    return root


def tones(count: int, *, first: int = 100, prefix: str = "") -> dict[str, bytes]:
    """So many different files, named by their numbers."""
    return {f"{prefix}{number:04}.wav": tone(first + number) for number in range(count)}


def wait_for_another_timestamp(folder: Path, seconds: float = 0.0) -> None:
    """Until a change made now bears another time than every change made before, and is `seconds` younger.

    Two changes within one tick of the kernel's clock bear the same time; no test can see a difference then.
    """
    probe = folder / f".probe-{os.getpid()}"
    probe.touch()
    start = probe.stat().st_ctime_ns
    while True:
        probe.touch()
        if probe.stat().st_ctime_ns > start + seconds * 1e9:
            break
        time.sleep(0.001)
    probe.unlink()
