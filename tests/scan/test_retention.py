"""Missing files are forgotten after a while, and never because a disk is away."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.music import tone, tones
from support.owners import owner_elsewhere
from support.scanned import Music, Scanned
from support.scans import DAY, days_later, ids, kept_for, missing, scan

from nomarr import ConfigurationError, Library, LibraryOffline, Nomarr, ScanTarget
from nomarr.helpers.dto.library import LibraryState
from nomarr.helpers.dto.scan import ScanOptions
from nomarr.helpers.time_helper import system_clock
from nomarr.services.domain.library_svc import LibraryService, LibrarySettings


async def without(music: Music, *paths: str) -> Music:
    """These files are deleted, and a scan has found out."""
    for path in paths:
        os.unlink(music.root / path)
    await music.scan()
    return music


async def kept(music: Music) -> set[str]:
    return set(await missing(music.nomarr, music.library))


async def scan_again(libraries: LibraryService, library: Library, *, folder: str = "", dry_run: bool = False) -> None:
    await libraries.scan_targets([ScanTarget(library.library_id, folder)], dry_run=dry_run)


async def scan_twice(music: Music, days: float, *, keep: float | None = 30.0, folder: str = "") -> None:
    """So many days from now, and once more a week later: only then nobody needs to believe one clock."""
    for later in (days, days + 7):
        await scan_again(days_later(music.nomarr, later, keep=keep), music.library, folder=folder)


@pytest.mark.parametrize(
    ("days", "keep", "is_kept"),
    [(29, 30.0, True), (31, 30.0, False), (0, 0.0, False), (8, 7.0, False), (60, None, True)],
)
async def test_a_scan_forgets_what_is_missing_for_long(
    scanned: Scanned, days: float, keep: float | None, is_kept: bool
) -> None:
    music = await without(await scanned({"a.wav": tone(440), "b.wav": tone(441)}), "a.wav")
    await scan_twice(music, days, keep=keep)
    assert await kept(music) == ({"a.wav"} if is_kept else set())
    assert set(await music.ids()) == {"b.wav"}
    assert (await music.happened())[-1] == (("missing" if is_kept else "removed"), "a.wav")


async def test_the_scan_that_finds_a_file_again_does_not_forget_it(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440), "b.wav": tone(441)})
    (music.root / "a.wav").rename(music.root.parent / "away.wav")
    await music.scan()
    (music.root.parent / "away.wav").rename(music.root / "Found.wav")
    await scan_again(days_later(music.nomarr, 400), music.library)
    assert (await music.ids())["Found.wav"] == music.before["a.wav"]


async def test_what_comes_back_after_it_was_forgotten_is_new(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440), "b.wav": tone(441)})
    (music.root / "a.wav").rename(music.root.parent / "away.wav")
    await music.scan()
    await scan_twice(music, 31)
    (music.root.parent / "away.wav").rename(music.root / "a.wav")
    await music.scan()
    now = await music.ids()
    assert set(now) == {"a.wav", "b.wav"}
    assert now["a.wav"] != music.before["a.wav"]


async def test_a_dry_run_forgets_nothing(scanned: Scanned) -> None:
    music = await without(await scanned({"a.wav": tone(440), "b.wav": tone(441)}), "a.wav")
    await scan_again(days_later(music.nomarr, 31), music.library, dry_run=True)
    assert await kept(music) == {"a.wav"}


async def test_a_scan_of_one_folder_forgets_what_is_due_in_the_library(scanned: Scanned) -> None:
    music = await without(await scanned({"Rock": tones(2), "Pop": tones(2, first=300)}), "Rock/0000.wav")
    await scan_twice(music, 31, folder="Pop")
    assert await kept(music) == set()


async def test_losses_that_are_held_back_are_not_missing(scanned: Scanned) -> None:
    music = await scanned(tones(70))
    for number in range(60):
        os.unlink(music.root / f"{number:04}.wav")
    assert (await music.scan()).files_held_back == 60
    report = await days_later(music.nomarr, 400).purge_missing(older_than_days=0)
    assert report.files == 0
    assert len(await ids(music.nomarr, music.library)) == 70


async def test_a_scan_that_ended_offline_forgets_nothing(scanned: Scanned) -> None:
    music = await without(await scanned({"a.wav": tone(440), "b.wav": tone(441)}), "a.wav")
    music.root.rename(music.root.with_name("unplugged"))
    libraries = days_later(music.nomarr, 31)
    with pytest.raises(LibraryOffline):
        await scan_again(libraries, music.library)
    report = await libraries.purge_missing()
    assert report.files == 0
    assert "it is offline" in (report.libraries[0].skipped or "")
    assert await kept(music) == {"a.wav"}


@pytest.mark.parametrize("away", ["unplugged", "empty", "another disk", "without marker"])
async def test_a_disk_that_is_away_unnoticed_costs_nothing(scanned: Scanned, away: str) -> None:
    music = await without(await scanned({"a.wav": tone(440), "b.wav": tone(441), "marker": "x"}), "a.wav")
    if away == "without marker":
        os.unlink(music.root / "marker")
    else:
        music.root.rename(music.root.with_name("drawer"))
    if away in ("empty", "another disk"):
        music.root.mkdir()
    if away == "another disk":
        (music.root / "other.wav").write_bytes(tone(500))
    libraries = days_later(music.nomarr, 31, marker="marker" if away == "without marker" else "")
    for dry_run in (True, False):
        report = await libraries.purge_missing(music.library.library_id, dry_run=dry_run)
        assert report.files == 0
        assert "it is offline" in (report.libraries[0].skipped or "")
    assert await kept(music) == {"a.wav"}


async def test_a_library_that_is_back_waits_for_its_next_scan(scanned: Scanned) -> None:
    music = await without(await scanned({"a.wav": tone(440), "b.wav": tone(441)}), "a.wav")
    music.root.rename(music.root.with_name("drawer"))
    libraries = days_later(music.nomarr, 31)
    with pytest.raises(LibraryOffline):
        await scan_again(libraries, music.library)
    music.root.with_name("drawer").rename(music.root)
    assert (await libraries.get_library(music.library.library_id)).state is LibraryState.OFFLINE
    assert (await libraries.purge_missing()).libraries[0].skipped
    await scan_twice(music, 31)
    assert await kept(music) == set()


async def test_purging_says_what_goes(scanned: Scanned) -> None:
    music = await without(await scanned({"a.wav": tone(440), "b.wav": tone(441), "c.wav": tone(442)}), "a.wav", "b.wav")
    libraries = days_later(music.nomarr, 10)
    for days, dry_run, files in ((None, False, 0), (7, True, 2), (7, False, 2), (7, False, 0)):
        report = await libraries.purge_missing(older_than_days=days, dry_run=dry_run)
        assert (report.files, report.dry_run, report.older_than_days) == (files, dry_run, days or 30.0)
        (library,) = report.libraries
        assert (library.name, library.skipped) == ("music", None)
        assert sorted(library.paths) == (["a.wav", "b.wav"] if files else [])
    assert await kept(music) == set()


async def test_a_file_that_is_on_the_disk_again_is_kept_for_the_next_scan(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440), "b.wav": tone(441), "c.wav": tone(442)})
    before = await music.ids()
    (music.root / "b.wav").rename(music.root.with_name("elsewhere"))
    await without(music, "a.wav")
    music.root.with_name("elsewhere").rename(music.root / "b.wav")
    libraries = days_later(music.nomarr, 31)
    for dry_run in (True, False):
        (purged,) = (await libraries.purge_missing(dry_run=dry_run)).libraries
        assert (purged.files, purged.paths) == (1, ("a.wav",))
    assert await kept(music) == {"b.wav"}
    await music.scan()
    assert await music.ids() == {path: file_id for path, file_id in before.items() if path != "a.wav"}


async def test_many_files_are_counted_and_some_are_named(scanned: Scanned) -> None:
    music = await scanned({"Rock": {f"{number:04}.wav": tone(100) for number in range(1200)}, "a.wav": tone(440)})
    shutil.rmtree(music.root / "Rock")
    await music.scan(accept_losses=True)
    libraries = days_later(music.nomarr, 31)
    for dry_run in (True, False):
        (purged,) = (await libraries.purge_missing(dry_run=dry_run)).libraries
        assert (purged.files, len(purged.paths)) == (1200, 1000)
    assert await kept(music) == set()


async def test_a_library_that_is_being_scanned_is_left_out(scanned: Scanned) -> None:
    music = await without(await scanned({"a.wav": tone(440), "b.wav": tone(441)}), "a.wav")
    libraries = days_later(music.nomarr, 31)
    target = ScanTarget(music.library.library_id)
    lease = music.nomarr.database.library.mark_scan_started(
        music.library.library_id,
        "other",
        owner_elsewhere(),
        [target],
        now=system_clock() + 31 * DAY,
        lease_seconds=600,
    )
    assert lease is not None
    (purged,) = (await libraries.purge_missing()).libraries
    assert (purged.files, "being scanned" in (purged.skipped or "")) == (0, True)
    assert await kept(music) == {"a.wav"}


async def test_files_that_are_kept_for_ever_go_only_when_a_time_is_told(scanned: Scanned) -> None:
    music = await without(await scanned({"a.wav": tone(440), "b.wav": tone(441)}), "a.wav")
    libraries = days_later(music.nomarr, 4000, keep=None)
    with pytest.raises(ConfigurationError, match="--older-than"):
        await libraries.purge_missing()
    assert (await libraries.purge_missing(older_than_days=3999)).files == 1


@pytest.mark.parametrize("days", [-1.0, float("nan"), float("inf")])
async def test_a_time_that_is_none_is_refused(nomarr: Nomarr, days: float) -> None:
    with pytest.raises(ConfigurationError, match="number of days"):
        await nomarr.libraries.purge_missing(older_than_days=days)


@pytest.mark.parametrize(("setting", "is_kept"), [(0, False), ("never", True), (30, True)])
async def test_the_configuration_decides(
    tmp_path: Path, music_tree: Callable[..., Path], setting: int | str, is_kept: bool
) -> None:
    music = music_tree({"a.wav": tone(440), "b.wav": tone(441)})
    url = f"sqlite:///{tmp_path / 'x.db'}"
    async with Nomarr.open(url, settle_seconds=0, tag_workers=1, purge_missing_after_days=setting) as nomarr:
        library = await nomarr.libraries.add_library("Music", music)
        await scan(nomarr, library)
        os.unlink(music / "a.wav")
        await scan(nomarr, library)
        assert set(await missing(nomarr, library)) == ({"a.wav"} if is_kept else set())


async def keep_for(nomarr: Nomarr, days: object) -> None:
    """As the service stores what is chosen on its page."""
    nomarr.database.settings.set("service_settings", json.dumps({"purge_missing_after_days": days}))


@pytest.mark.parametrize(("configured", "chosen", "is_kept"), [(0, "never", True), (0, 30, True), ("never", 0, False)])
async def test_what_was_chosen_for_the_database_holds_whoever_scans(
    nomarr: Nomarr, music_tree: Callable[..., Path], configured: int | str, chosen: int | str, is_kept: bool
) -> None:
    music = music_tree({"a.wav": tone(440), "b.wav": tone(441)})
    library = await nomarr.libraries.add_library("Music", music)
    settings = {"settle_seconds": 0, "tag_workers": 1, "purge_missing_after_days": configured}
    async with Nomarr.open(nomarr.config.database_url, **settings) as other:
        await scan(other, library)
        # Of a process that runs already.
        await keep_for(nomarr, chosen)
        os.unlink(music / "a.wav")
        await scan(other, library)
        assert set(await missing(other, library)) == ({"a.wav"} if is_kept else set())
        if is_kept:
            assert (await other.libraries.purge_missing(older_than_days=0)).files == 1


@pytest.mark.parametrize("unusable", ["sometimes", -1, None, []])
async def test_as_long_as_nobody_can_tell_what_was_chosen_nothing_is_purged(
    nomarr: Nomarr, music_tree: Callable[..., Path], caplog: pytest.LogCaptureFixture, unusable: object
) -> None:
    music = music_tree({"a.wav": tone(440), "b.wav": tone(441)})
    library = await nomarr.libraries.add_library("Music", music)
    settings = {"settle_seconds": 0, "tag_workers": 1, "purge_missing_after_days": 0}
    async with Nomarr.open(nomarr.config.database_url, **settings) as other:
        await scan(other, library)
        await keep_for(nomarr, unusable)
        os.unlink(music / "a.wav")
        await scan(other, library)
        assert set(await missing(other, library)) == {"a.wav"}
        assert caplog.text.count("what was chosen for purge_missing_after_days can't be read") == 1
        with pytest.raises(ConfigurationError, match="never purged"):
            await other.libraries.purge_missing()
        await keep_for(nomarr, 0)
        await scan(other, library)
        assert await missing(other, library) == {}


async def test_what_was_forgotten_is_logged(scanned: Scanned, caplog: pytest.LogCaptureFixture) -> None:
    music = await without(await scanned({"a.wav": tone(440), "b.wav": tone(441)}), "a.wav")
    with caplog.at_level(logging.INFO, logger="nomarr"):
        await scan_twice(music, 31)
    assert "purged 1 files of music" in caplog.text


def at_moment(music: Music, moment: float, *, keep: float = 30.0) -> LibraryService:
    """The libraries as a computer sees them whose clock stands there, in seconds since 1970."""
    settings = LibrarySettings(ScanOptions(settle_seconds=0))
    return LibraryService(music.nomarr.database, music.nomarr.tasks, kept_for(keep), settings, lambda: moment)


IN_1970 = 100.0
IN_2106 = system_clock() + 80 * 365 * DAY


async def test_what_is_found_missing_by_a_clock_in_1970_is_not_old_when_the_clock_is_right(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440), "b.wav": tone(441)})
    (music.root / "a.wav").rename(music.root.parent / "away.wav")
    # The last scan was long ago: the computer was off.
    await scan_again(at_moment(music, IN_1970), music.library)
    assert await kept(music) == {"a.wav"}
    for hours in (0, 1, 100):
        await scan_again(days_later(music.nomarr, 60 + hours / 24), music.library)
    assert await kept(music) == {"a.wav"}
    (music.root.parent / "away.wav").rename(music.root / "a.wav")
    await music.scan()
    assert await music.ids() == music.before


async def test_a_scan_that_dies_with_its_wrong_clock_makes_nothing_old(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440), "b.wav": tone(441)})
    (music.root / "a.wav").rename(music.root.parent / "away.wav")
    music.rename("b.wav", "../b.wav")
    with pytest.raises(LibraryOffline):
        await scan_again(at_moment(music, IN_1970), music.library)
    (music.root.parent / "b.wav").rename(music.root / "b.wav")
    known = json.loads(music.nomarr.database.settings.get(f"known_moment:{music.library.library_id}") or "null")
    assert known == IN_1970


async def test_one_clock_in_2106_forgets_nothing_that_is_not_old(scanned: Scanned) -> None:
    music = await without(await scanned({"a.wav": tone(440), "b.wav": tone(441)}), "a.wav")
    events = await music.happened()
    for minutes in (0, 1):
        await scan_again(at_moment(music, IN_2106 + minutes * 60), music.library)
    await scan_again(days_later(music.nomarr, 10), music.library)
    await scan_again(days_later(music.nomarr, 29), music.library)
    assert await kept(music) == {"a.wav"}
    assert await music.happened() == events


async def test_a_computer_that_is_on_once_a_month_forgets_in_the_end(scanned: Scanned) -> None:
    music = await without(await scanned({"a.wav": tone(440), "b.wav": tone(441)}), "a.wav")
    left = []
    for month in (1, 2, 3):
        await scan_again(days_later(music.nomarr, 30.5 * month), music.library)
        left.append(await kept(music))
    assert left == [{"a.wav"}, set(), set()]


async def test_events_are_kept_for_three_months(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440)})
    for days, is_kept in ((80, True), (95, True), (103, False)):
        await scan_again(days_later(music.nomarr, days), music.library)
        assert bool(await music.nomarr.event_feed.list_events(0)) == is_kept


async def test_a_known_moment_that_nobody_can_read_begins_anew(scanned: Scanned) -> None:
    music = await without(await scanned({"a.wav": tone(440), "b.wav": tone(441)}), "a.wav")
    music.nomarr.database.settings.set(f"known_moment:{music.library.library_id}", "yesterday")
    await scan_again(days_later(music.nomarr, 60), music.library)
    assert await kept(music) == {"a.wav"}
    await scan_again(days_later(music.nomarr, 67), music.library)
    assert await kept(music) == set()


async def test_a_removed_library_leaves_no_known_moment(scanned: Scanned) -> None:
    music = await scanned({"a.wav": tone(440)})
    assert music.nomarr.database.settings.below("known_moment:")
    await music.nomarr.libraries.remove_library(music.library.library_id)
    assert music.nomarr.database.settings.below("known_moment:") == {}
