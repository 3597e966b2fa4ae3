"""What costs the same however long a file is, and what the event loop has to bear."""

from __future__ import annotations

import os
import time
from pathlib import Path

import anyio
import pytest
from enrichment_kit import Tools, add, embed, picture, rows, sound
from support.music import tone
from support.songs import encode, song, wav_of

from nomarr import Nomarr

HOURS = 20
LONG_SECONDS = HOURS * 3600.0
BLOCKED_SECONDS = 0.25
"""`make bench-enrichment` measures it and allows 0.05; a machine that is shared may stop us for longer."""


def adts_frames(content: bytes) -> list[bytes]:
    """The frames of an AAC file without a container (ISO 14496-3, 1.A.2.2: 13 bits of length from bit 30 on)."""
    found, at = [], 0
    while at < len(content):
        length = int.from_bytes(content[at + 3 : at + 6], "big") >> 5 & 0x1FFF
        found.append(content[at : at + length])
        at += length
    return found


@pytest.mark.usefixtures("tools")
async def test_a_file_of_twenty_hours(nomarr: Nomarr, root: Path, tmp_path: Path) -> None:
    music = encode(song(1, 6.0), tmp_path / "some.aac", "-b:a", "24k").read_bytes()
    silence = encode(wav_of(bytes(2 * 44_100)), tmp_path / "silence.aac", "-b:a", "8k").read_bytes()
    frame = adts_frames(silence)[-1]
    (root / "long.aac").write_bytes(music + frame * int((LONG_SECONDS - 6) * 44_100 / 1024))
    library = await add(nomarr, root)
    began = time.monotonic()
    report = await nomarr.enrichment.run()
    assert time.monotonic() - began < 40
    assert report.files_completed == 1
    record = (await rows(nomarr, library))["long.aac"]
    assert (record.processing_status, record.last_error) == ("complete", None)
    assert record.fingerprint is not None
    assert record.tags.duration_seconds == pytest.approx(LONG_SECONDS, rel=1e-4)


async def test_a_terabyte_in_which_the_decoder_looks_for_more(impatient: Nomarr, root: Path, tools: Tools) -> None:
    """A hole that no disk holds: whoever reads all of it never comes back."""
    path = sound(root / "sparse.flac", cover=picture(1))
    os.truncate(path, 1 << 40)
    library = await add(impatient, root)
    began = time.monotonic()
    await impatient.enrichment.run()
    assert time.monotonic() - began < 10
    record = (await rows(impatient, library))["sparse.flac"]
    assert record.audio_hash is not None
    assert record.cover_id is not None
    assert record.last_error == "takes longer than 1 s to decode"
    tools.wait_until_gone()


async def longest_block(stop: anyio.Event) -> float:
    """How long the event loop did not come round."""
    longest, last = 0.0, time.monotonic()
    while not stop.is_set():
        await anyio.sleep(0.005)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


@pytest.mark.usefixtures("tools")
async def test_the_event_loop_stays_free(nomarr: Nomarr, root: Path) -> None:
    for number in range(200):
        path = root / f"{number}.wav"
        path.write_bytes(tone(2000 + number))
        if number % 5 == 0:
            embed(path, picture(number, 500))
    await add(nomarr, root)
    stop = anyio.Event()
    found: list[float] = []

    async def measure() -> None:
        found.append(await longest_block(stop))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(measure)
        report = await nomarr.enrichment.run()
        stop.set()
    assert report.steps_done == 400
    assert found[0] < BLOCKED_SECONDS
