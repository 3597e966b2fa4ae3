"""Tools that are missing, hang, crash or talk too much, and when a file that failed is tried again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from enrichment_kit import (
    CRASHES,
    FFPROBE,
    FLOODS,
    FPCALC,
    HANGS,
    IGNORES_SIGTERM,
    SECONDS,
    Tools,
    add,
    children,
    cover_folder,
    errors,
    picture,
    rows,
    scan_and_enrich,
    sound,
    statuses,
)
from support.songs import encode, song, wav_of

from nomarr import Library, Nomarr
from nomarr.helpers.dto.enrichment import DueWork, EnrichmentOptions, EnrichmentReport
from nomarr.services.infrastructure.enrichment_svc import EnrichmentService

WAITS = (60.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
"""How long a file is left alone after each failure."""


# -- missing --------------------------------------------------------------------------------------------------


async def test_without_tools_everything_else_is_found(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    for suffix in ("flac", "mp3"):
        sound(root / f"a.{suffix}", cover=picture(1))
    tools.hide_all()
    library = await add(nomarr, root)
    report = await nomarr.enrichment.run()
    assert (report.files_completed, report.files_failed) == (2, 0)
    assert [warning.split()[0] for warning in report.warnings] == ["fpcalc", "ffprobe"]
    assert all("nomarr doctor" in warning for warning in report.warnings)
    for record in (await rows(nomarr, library)).values():
        assert (record.processing_status, record.last_error, record.fingerprint) == ("complete", None, None)
        assert record.audio_hash is not None
        assert record.cover_id is not None
    # Nothing waits for a tool that is not there.
    assert (await nomarr.enrichment.run()).steps_done == 0


async def test_fingerprints_are_made_once_the_tool_is_there(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    paths = [sound(root / f"{number}.flac", number) for number in range(3)]
    tools.hide_all()
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    tools.show_all()
    report = await nomarr.enrichment.run()
    assert (report.files_completed, report.steps_done, report.warnings) == (3, 3, ())
    assert sorted(tools.calls()) == [path.name for path in paths]
    assert all(record.fingerprint is not None for record in (await rows(nomarr, library)).values())
    assert (await nomarr.enrichment.run()).steps_done == 0


async def test_a_measured_length_outlives_the_tool_that_measured_it(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    encode(song(1, SECONDS), root / "a.aac")
    library = await add(nomarr, root)
    tools.show_only(FFPROBE)
    await nomarr.enrichment.run()
    measured = (await rows(nomarr, library))["a.aac"].tags.duration_seconds
    assert measured == pytest.approx(SECONDS, abs=0.15)
    tools.show_only(FPCALC)
    await nomarr.enrichment.run()
    record = (await rows(nomarr, library))["a.aac"]
    assert record.fingerprint is not None
    assert record.tags.duration_seconds == measured


# -- misbehaving ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (HANGS, "takes longer than 1 s to decode"),
        (IGNORES_SIGTERM, "takes longer than 1 s to decode"),
        (CRASHES, "can't be decoded: fpcalc ended with -11"),
        (FLOODS, "can't be decoded: fpcalc was ended: it wrote more than 1,048,576 bytes"),
        ("echo nonsense; exit 0", "can't be decoded: fpcalc's answer makes no sense"),
        ("echo 'ERROR: Could not decode' >&2; exit 2", "can't be decoded: Could not decode"),
    ],
    ids=["hangs", "ignores SIGTERM", "crashes", "floods", "talks nonsense", "refuses"],
)
async def test_a_file_that_its_decoder_fails_with(
    impatient: Nomarr, root: Path, tools: Tools, behaviour: str, reason: str
) -> None:
    tools.wrap(only="*/bad.flac", do=behaviour)
    for number, name in enumerate(("a", "bad", "b", "c")):
        sound(root / f"{name}.flac", number, picture(number))
    library = await add(impatient, root)
    before = time.monotonic()
    report = await impatient.enrichment.run()
    assert time.monotonic() - before < 10
    assert (report.files_completed, report.files_failed) == (3, 1)
    assert await statuses(impatient, library) == {
        "a.flac": "complete",
        "b.flac": "complete",
        "bad.flac": "error",
        "c.flac": "complete",
    }
    found = await errors(impatient, library)
    assert set(found) == {"bad.flac"}
    assert found["bad.flac"].startswith(reason)
    bad = (await rows(impatient, library))["bad.flac"]
    assert bad.audio_hash is not None
    assert bad.cover_id is not None
    tools.wait_until_gone()
    assert children() == []


async def test_a_measuring_tool_that_hangs_costs_the_exact_length_only(
    impatient: Nomarr, root: Path, tools: Tools
) -> None:
    tools.wrap(FFPROBE, do=HANGS)
    encode(song(1, SECONDS), root / "a.aac")
    library = await add(impatient, root)
    await impatient.enrichment.run()
    record = (await rows(impatient, library))["a.aac"]
    assert (record.processing_status, record.last_error) == ("complete", "takes longer than 1 s to measure")
    assert record.fingerprint is not None
    tools.wait_until_gone()


# -- again ----------------------------------------------------------------------------------------------------


@dataclass
class Story:
    """Enrichment with a clock of its own."""

    nomarr: Nomarr
    library: Library
    service: EnrichmentService = field(init=False)
    now: float = field(default_factory=lambda: time.time() + 1)

    def __post_init__(self) -> None:
        options = EnrichmentOptions(str(cover_folder(self.nomarr)), workers=1)
        self.service = EnrichmentService(self.nomarr.database, self.nomarr.tasks, options, lambda: self.now)

    async def run(self, *, retry_failed: bool = False) -> EnrichmentReport:
        return await self.service.run(retry_failed=retry_failed)

    async def status(self) -> str:
        return (await statuses(self.nomarr, self.library))["a.flac"]


@pytest.fixture
async def story(nomarr: Nomarr, root: Path, tools: Tools) -> Story:
    """A file that no decoder likes."""
    tools.wrap(do="exit 2")
    sound(root / "a.flac")
    return Story(nomarr, await add(nomarr, root))


async def test_a_file_that_failed_is_tried_again_ever_more_rarely(story: Story, tools: Tools) -> None:
    assert (await story.run()).files_failed == 1
    for wait in WAITS:
        assert await story.service.due_work() == DueWork(failed=1, later=1, next_due_at=story.now + wait)
        story.now += wait - 1
        assert (await story.run()).steps_done == 0
        story.now += 1
        assert (await story.run()).files_failed == 1
        assert await story.status() == "error"
    assert await story.service.due_work() == DueWork(failed=1, given_up=1)
    story.now += 1e9
    assert (await story.run()).steps_done == 0
    assert len(tools.calls()) == 1 + len(WAITS)


async def test_a_file_that_changed_has_all_its_attempts_again(story: Story, tools: Tools, root: Path) -> None:
    await story.run()
    for wait in WAITS:
        story.now += wait
        await story.run()
    encode(song(2, SECONDS), root / "a.flac")
    await scan_and_enrich(story.nomarr, story.library)
    assert len(tools.calls()) == 2 + len(WAITS)
    assert (await story.nomarr.enrichment.due_work()).next_due_at == pytest.approx(time.time() + WAITS[0], abs=20)


async def test_an_attempt_that_succeeds_ends_the_story(story: Story, tools: Tools) -> None:
    await story.run()
    tools.wrap()
    story.now += WAITS[0]
    assert (await story.run()).files_completed == 1
    assert await story.status() == "complete"
    assert await errors(story.nomarr, story.library) == {}
    assert await story.service.due_work() == DueWork()


async def test_what_failed_can_be_tried_again_at_once(story: Story, tools: Tools) -> None:
    await story.run()
    for wait in WAITS:
        story.now += wait
        await story.run()
    tools.forget_calls()
    assert (await story.run(retry_failed=True)).files_failed == 1
    assert tools.calls() == ["a.flac"]
    assert (await story.service.due_work()).next_due_at == story.now + WAITS[0]
    tools.wrap()
    assert (await story.run(retry_failed=True)).files_completed == 1
    assert await story.status() == "complete"


async def test_a_full_scan_is_no_reason_to_try_again(story: Story, tools: Tools) -> None:
    await story.run()
    before = await rows(story.nomarr, story.library)
    await scan_and_enrich(story.nomarr, story.library, full=True)
    assert await rows(story.nomarr, story.library) == before
    assert len(tools.calls()) == 1


# -- several files in one call --------------------------------------------------------------------------------


async def test_several_files_are_heard_by_one_process(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    starts = root.parent / "starts"
    tools.wrap(before=f"echo start >> '{starts}'")
    for number in range(24):
        sound(root / f"{number}.flac", number)
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    assert set((await statuses(nomarr, library)).values()) == {"complete"}
    assert len(tools.calls()) == 24
    assert len(starts.read_text().split()) <= 12


async def test_what_is_heard_is_stored_while_fpcalc_still_runs(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    """So a kill costs no more than the file in work."""
    for number in range(4):
        sound(root / f"{number}.flac", number)
    library = await add(nomarr, root)
    may_end = root.parent / "may end"
    tools.wrap(then=f"; while [ ! -e '{may_end}' ]; do sleep 0.01; done")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(nomarr.enrichment.run)
        deadline = time.monotonic() + 20
        while set((await statuses(nomarr, library)).values()) != {"complete"}:
            assert time.monotonic() < deadline, "nothing is stored before it ends"
            await anyio.sleep(0.01)
        assert tools.processes() != []
        may_end.touch()


@pytest.mark.parametrize("place", range(4))
async def test_one_soundless_file_costs_the_others_nothing(
    nomarr: Nomarr, root: Path, tools: Tools, place: int
) -> None:
    for number in range(8):
        sound(root / f"{number}.flac", number)
    encode(wav_of(bytes(2 * 44_100 * 6)), root / f"{place}.flac")
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    assert set((await statuses(nomarr, library)).values()) == {"complete"}
    found = await rows(nomarr, library)
    assert [path for path in sorted(found) if found[path].fingerprint is None] == [f"{place}.flac"]
    assert len({record.fingerprint for record in found.values()}) == 8


async def test_an_fpcalc_that_hears_one_file_only_is_asked_for_one(nomarr: Nomarr, root: Path, tools: Tools) -> None:
    tools.wrap(before="""[ "$#" -gt 4 ] && exit 2""")
    for number in range(24):
        sound(root / f"{number}.flac", number)
    library = await add(nomarr, root)
    await nomarr.enrichment.run()
    assert set((await statuses(nomarr, library)).values()) == {"complete"}
    assert {record.last_error for record in (await rows(nomarr, library)).values()} == {None}
    assert len(tools.calls()) == 24
