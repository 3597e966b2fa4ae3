"""After a scan and a run everything is known of every file."""

from __future__ import annotations

from pathlib import Path

import pytest
from enrichment_kit import (
    FFPROBE,
    Tools,
    add,
    assert_covers_are_those_of,
    errors,
    picture,
    retitle,
    rows,
    sound,
    statuses,
)
from media.audio_factory import KINDS, AudioFactory, Song
from support.songs import encode, song

from nomarr import Nomarr
from nomarr.components.media.fingerprint_comp import SAME_ERROR_RATE, bit_error_rate
from nomarr.helpers.dto.enrichment import DueWork, EnrichmentProgress, EnrichmentState

SUFFIXES = ("mp3", "flac", "ogg", "opus", "m4a", "wav")


@pytest.mark.usefixtures("tools")
async def test_every_usual_file_becomes_complete(nomarr: Nomarr, root: Path) -> None:
    for number, suffix in enumerate(SUFFIXES):
        sound(root / f"song.{suffix}", cover=picture(number))
    library = await add(nomarr, root)
    assert set((await statuses(nomarr, library)).values()) == {"metadata_done"}
    assert await nomarr.enrichment.due_work() == DueWork(art=6)
    report = await nomarr.enrichment.run()
    assert (report.files_completed, report.files_failed, report.steps_done, report.warnings) == (6, 0, 12, ())
    found = await rows(nomarr, library)
    assert len(found) == len(SUFFIXES)
    for record in found.values():
        assert record.processing_status == "complete"
        assert record.last_error is None
        assert record.audio_hash is not None
        assert record.cover_id is not None
        assert record.fingerprint is not None
        # One song, however it is encoded.
        assert bit_error_rate(record.fingerprint, found["song.wav"].fingerprint or "") < SAME_ERROR_RATE
    assert len({record.audio_hash for record in found.values()}) == len(SUFFIXES)
    await assert_covers_are_those_of(nomarr, library)
    assert await nomarr.enrichment.due_work() == DueWork()
    assert (await nomarr.enrichment.run()).steps_done == 0


async def test_a_length_that_a_header_guesses_is_measured(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    music = song(1, 20.0)
    encode(music, root / "a.aac")
    # No Xing header, and a first frame that says nothing of the others.
    encode(music, root / "b.mp3", "-q:a", "5", "-write_xing", "0", "-id3v2_version", "0")
    encode(music, root / "c.mp3")
    retitle(root / "c.mp3", "With a header")
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    lengths = {path: record.tags.duration_seconds for path, record in (await rows(nomarr, library)).items()}
    # An encoder adds some silence at both ends.
    assert lengths == {path: pytest.approx(20.0, abs=0.15) for path in ("a.aac", "b.mp3", "c.mp3")}
    assert set(await statuses(nomarr, library)) == {"a.aac", "b.mp3", "c.mp3"}
    assert sorted(tools.calls(FFPROBE)) == ["a.aac", "b.mp3"]


@pytest.mark.usefixtures("tools")
async def test_rare_formats_are_complete_too(nomarr: Nomarr, root: Path, encoded: AudioFactory) -> None:
    """What fpcalc can't decode (the streams made by hand are no sound) says so and never more than that."""
    for kind in KINDS:
        encoded.write(root / f"sound.{kind}", kind, Song())
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    by_hand = {"sound.ape", "sound.mpc", "sound.dsf"}
    wrong = {path for path, status in (await statuses(nomarr, library)).items() if status != "complete"}
    assert wrong <= by_hand
    for path, error in (await errors(nomarr, library)).items():
        # These covers are no images.
        assert "can't be decoded" in error if path in wrong else "has a cover that can't be used" in error
    assert all(record.audio_hash for path, record in (await rows(nomarr, library)).items() if path not in by_hand)


@pytest.mark.usefixtures("tools")
async def test_odd_names(nomarr: Nomarr, root: Path) -> None:
    names = ["-json.flac", "%d.flac", "a\nb.flac", "concat:x.flac", b"caf\xe9.flac".decode("utf-8", "surrogateescape")]
    content = sound(root / "x.flac").read_bytes()
    for name in names:
        (root / name).write_bytes(content)
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    found = await rows(nomarr, library)
    assert set(found) == {"x.flac", *names}
    assert {record.processing_status for record in found.values()} == {"complete"}
    assert len({record.fingerprint for record in found.values()}) == 1


@pytest.mark.usefixtures("tools")
async def test_progress_is_told(nomarr: Nomarr, root: Path) -> None:
    for number in range(4):
        sound(root / f"{number}.flac", number)
    await add(nomarr, root)
    told: list[EnrichmentProgress] = []
    nomarr.enrichment.subscribe(told.append)
    await nomarr.enrichment.run()
    assert told[-1].state is EnrichmentState.IDLE
    assert nomarr.enrichment.progress == told[-1]
    running = [progress for progress in told if progress.state is EnrichmentState.RUNNING]
    done = [progress.steps_done for progress in running]
    assert done == sorted(done)
    assert (running[0].steps_done, running[-1].steps_done) == (0, 8)
    assert {progress.steps_total for progress in running} == {8}


@pytest.mark.usefixtures("tools")
async def test_one_library_alone(nomarr: Nomarr, tmp_path: Path) -> None:
    for name in ("one", "two"):
        sound(tmp_path / name / "a.flac")
    one, two = await add(nomarr, tmp_path / "one"), await add(nomarr, tmp_path / "two")
    await nomarr.enrichment.run(one.library_id)
    assert await statuses(nomarr, one) == {"a.flac": "complete"}
    assert await statuses(nomarr, two) == {"a.flac": "metadata_done"}
