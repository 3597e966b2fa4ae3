"""Disks inside a library that are away or others than before: ids stay, and no other file gets them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support.disk import assert_equal
from support.music import build, tone, tones
from support.scanned import Music, Scanned
from support.scans import days_later, execute, ids, missing
from support.system import Disk, mounted

from nomarr import PathState, ScanReport, ScanTarget
from nomarr.workflows.library import scan_library_direct_wf

OWN = {"own.wav": tone(300), "usb": {}}
STICK = {"a.wav": tone(440), "Album": {"b.wav": tone(441), "Live": {"c.wav": tone(442)}}}
OTHER_STICK = {"Other": {"d.wav": tone(443)}}
BENEATH = {"usb/a.wav", "usb/Album/b.wav", "usb/Album/Live/c.wav"}


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Path]:
    """A disk, which lies here as long as it is mounted nowhere else."""
    with a_disk(tmp_path / "stick", STICK) as folder:
        yield folder


@contextmanager
def a_disk(folder: Path, tree: dict[str, object]) -> Iterator[Path]:
    folder.mkdir()
    with mounted(folder):
        yield build(folder, tree)


async def scanned_with(scanned: Scanned, disk: Path, own: dict[str, object] = OWN, at: str = "usb") -> Music:
    """A library that was scanned while the disk was mounted in it, and a stop after which it is away."""
    music = await scanned(own)
    (music.root / at).mkdir(exist_ok=True)
    with mounted(music.root / at, of=disk):
        await music.scan()
        music.before = await music.ids()
    return music


async def assert_kept(music: Music, *folders: str, at: str = "usb") -> ScanReport:
    """A scan says that the disk is away, and the ids are there then and a month later."""
    report = await music.scan(*folders)
    assert any(warning.startswith(f"{at}: the disk that was mounted here is away") for warning in report.warnings)
    assert report.files_missing == report.files_moved == 0
    await days_later(music.nomarr, 31).scan_targets([ScanTarget(music.library.library_id)])
    await assert_nothing_lost(music)
    return report


async def assert_nothing_lost(music: Music) -> None:
    assert await missing(music.nomarr, music.library) == {}
    assert music.before.items() <= (await ids(music.nomarr, music.library)).items()


@pytest.mark.parametrize("folder", ["", "usb", "usb/Album", "usb/Album/Live"])
async def test_the_files_of_a_disk_that_is_away_stay(scanned: Scanned, stick: Path, folder: str) -> None:
    music = await scanned_with(scanned, stick)
    assert music.before.keys() >= BENEATH
    report = await assert_kept(music, folder)
    assert len(report.warnings) == 1
    with mounted(music.root / "usb", of=stick):
        report = await music.scan()
        assert (report.files_added, report.files_processed, report.warnings) == (0, 0, ())
        assert await music.ids() == music.before


async def test_a_mount_point_may_hold_a_note(scanned: Scanned, stick: Path) -> None:
    music = await scanned_with(scanned, stick, {"own.wav": tone(300), "usb": {"NOT_MOUNTED.txt": None}})
    await assert_kept(music)


async def test_a_mount_point_may_be_removed_with_its_disk(scanned: Scanned, stick: Path) -> None:
    music = await scanned_with(scanned, stick)
    (music.root / "usb").rmdir()
    await assert_kept(music)


async def test_a_disk_inside_another_one_may_be_away(scanned: Scanned, stick: Path, tmp_path: Path) -> None:
    with a_disk(tmp_path / "inner", {"e.wav": tone(445), "Album": {"f.wav": tone(446)}}) as inner:
        (stick / "deep").mkdir()
        music = await scanned(OWN)
        with mounted(music.root / "usb", of=stick):
            with mounted(music.root / "usb/deep", of=inner):
                await music.scan()
                music.before = await music.ids()
            await assert_kept(music, at="usb/deep")
        await assert_kept(music)


async def test_a_folder_of_the_same_disk_may_not_be_bound(scanned: Scanned, tmp_path: Path) -> None:
    archive = build(tmp_path / "archive", STICK)
    music = await scanned_with(scanned, archive)
    await assert_kept(music)


async def test_the_folder_around_a_disk_that_is_away_may_be_renamed(scanned: Scanned, stick: Path) -> None:
    music = await scanned_with(scanned, stick, {"disks": {"own.wav": tone(300), "usb": {}}}, at="disks/usb")
    own = music.before.pop("disks/own.wav")
    music.rename("disks", "drives")
    report = await music.scan()
    assert (report.files_moved, report.files_missing) == (1, 0)
    await assert_kept(music, at="disks/usb")
    with mounted(music.root / "drives/usb", of=stick):
        await music.scan()
        assert await music.ids() == {path.replace("disks", "drives"): id for path, id in music.before.items()} | {
            "drives/own.wav": own
        }


async def test_two_disks_take_turns_at_one_mount_point(scanned: Scanned, stick: Path, tmp_path: Path) -> None:
    music = await scanned_with(scanned, stick)
    with a_disk(tmp_path / "other", OTHER_STICK) as other:
        with mounted(music.root / "usb", of=other):
            report = await assert_kept(music)
            assert report.files_added == 1
        music.before = await ids(music.nomarr, music.library)
        assert BENEATH | {"usb/Other/d.wav"} <= music.before.keys()
        for here in (stick, other, stick):
            with mounted(music.root / "usb", of=here):
                report = await music.scan()
                assert report.files_added == report.files_missing == report.files_moved == 0
        await assert_nothing_lost(music)


async def test_a_file_of_another_disk_does_not_get_the_id_of_its_path(
    scanned: Scanned, stick: Path, tmp_path: Path
) -> None:
    music = await scanned_with(scanned, stick)
    with (
        a_disk(tmp_path / "other", {"Album": {"b.wav": tone(500)}}) as other,
        mounted(music.root / "usb", of=other),
    ):
        report = await music.scan()
        assert report.files_updated == report.files_processed == report.files_missing == 0
    with mounted(music.root / "usb", of=stick):
        await music.scan()
        assert await music.ids() == music.before


async def test_files_that_a_disk_is_mounted_over_are_missing_meanwhile(scanned: Scanned, stick: Path) -> None:
    music = await scanned({"own.wav": tone(300), "usb": {"e.wav": tone(301), "Deep": tones(2, first=310)}})
    with mounted(music.root / "usb", of=stick):
        report = await music.scan()
        assert (report.files_missing, report.warnings) == (3, ())
        await assert_equal(music.nomarr, music.library)
    await music.scan()
    await assert_nothing_lost(music)


async def test_a_disk_that_will_not_come_back_is_confirmed(scanned: Scanned, stick: Path) -> None:
    music = await scanned_with(scanned, stick)
    report = await music.scan("usb", accept_losses=True)
    assert (report.files_missing, report.warnings) == (3, ())
    report = await music.scan()
    assert (report.files_missing, report.warnings) == (0, ())
    await assert_equal(music.nomarr, music.library)
    (stick / "a.wav").write_bytes(tone(470))
    with mounted(music.root / "usb", of=stick):
        assert (await music.scan()).files_restored == 3
        assert await music.ids() == music.before


async def test_what_another_disk_has_for_a_missing_file_is_told(scanned: Scanned, stick: Path, tmp_path: Path) -> None:
    music = await scanned_with(scanned, stick)
    with mounted(music.root / "usb", of=stick):
        (stick / "Album/b.wav").unlink()
        await music.scan()
    with (
        a_disk(tmp_path / "other", {"Album": {"b.wav": tone(500)}}) as other,
        mounted(music.root / "usb", of=other),
    ):
        report = await music.scan()
        assert (report.files_restored, len(report.warnings)) == (0, 1)
    assert set(await missing(music.nomarr, music.library)) == {"usb/Album/b.wav"}


async def test_what_is_deleted_on_a_disk_that_is_there_is_missing(scanned: Scanned, stick: Path) -> None:
    music = await scanned_with(scanned, stick)
    with mounted(music.root / "usb", of=stick):
        shutil.rmtree(stick / "Album")
        report = await music.scan()
        assert (report.files_missing, report.warnings) == (2, ())


async def test_what_was_missing_on_a_disk_is_not_forgotten_while_that_is_away(scanned: Scanned, stick: Path) -> None:
    music = await scanned_with(scanned, stick)
    with mounted(music.root / "usb", of=stick):
        shutil.rmtree(stick / "Album")
        await music.scan()
    gone = set(await missing(music.nomarr, music.library))
    assert gone == {"usb/Album/b.wav", "usb/Album/Live/c.wav"}
    # A week apart: no single clock is believed.
    for days in (31, 38):
        later = days_later(music.nomarr, days)
        await later.scan_targets([ScanTarget(music.library.library_id)])
        assert (await later.purge_missing(dry_run=True)).files == 0
        assert set(await missing(music.nomarr, music.library)) == gone
    with mounted(music.root / "usb", of=stick):
        await days_later(music.nomarr, 45).scan_targets([ScanTarget(music.library.library_id)])
        assert await missing(music.nomarr, music.library) == {}


async def test_a_disk_at_another_place_in_the_library_brings_its_ids(scanned: Scanned, stick: Path) -> None:
    music = await scanned_with(scanned, stick)
    (music.root / "elsewhere").mkdir()
    with mounted(music.root / "elsewhere", of=stick):
        report = await music.scan()
        assert (report.files_moved, report.files_missing, report.warnings) == (3, 0, ())
        assert await music.ids() == {path.replace("usb/", "elsewhere/"): id for path, id in music.before.items()}


async def test_a_copy_of_the_disk_in_its_place_is_the_disk(scanned: Scanned, stick: Path) -> None:
    music = await scanned_with(scanned, stick)
    shutil.copytree(stick, music.root / "usb", dirs_exist_ok=True)
    report = await music.scan()
    assert (report.files_added, report.files_missing, report.warnings) == (0, 0, ())
    assert await music.ids() == music.before
    (music.root / "usb/a.wav").unlink()
    assert (await music.scan()).files_missing == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it writes SQL
@pytest.mark.parametrize("is_back_before", [True, False])
async def test_a_disk_that_an_older_version_knew_is_known(scanned: Scanned, stick: Path, is_back_before: bool) -> None:
    music = await scanned_with(scanned, stick, {"own.wav": tone(300), "usb": {"NOT_MOUNTED.txt": None}})
    execute(music.nomarr, "UPDATE library_folders SET on_other_device = on_other_device > 0")
    if is_back_before:
        with mounted(music.root / "usb", of=stick):
            report = await music.scan()
            assert (report.warnings, report.changes_detected) == ((), False)
    await assert_kept(music)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it writes SQL
async def test_a_bound_folder_that_an_older_version_did_not_know_is_known_from_the_next_scan_on(
    scanned: Scanned, tmp_path: Path
) -> None:
    archive = build(tmp_path / "archive", STICK)
    music = await scanned_with(scanned, archive)
    execute(music.nomarr, "UPDATE library_folders SET on_other_device = 0")
    with mounted(music.root / "usb", of=archive):
        report = await music.scan()
        assert (report.warnings, report.changes_detected) == ((), False)
    await assert_kept(music)


@pytest.mark.parametrize("at", ["", "usb", "usb/Album", "usb/Album/Live"])
async def test_a_disk_may_go_during_a_scan(scanned: Scanned, stick: Path, disk: Disk, at: str) -> None:
    music = await scanned_with(scanned, stick)
    with ExitStack() as mount:
        mount.enter_context(mounted(music.root / "usb", of=stick))
        disk.once_before_listing(music.root / at, mount.close)
        report = await music.scan(full=True)
        assert report.files_missing == 0
    disk.recover()
    await assert_kept(music)


async def test_a_scan_that_was_killed_has_noted_the_disk(
    scanned: Scanned, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    async def killed(scan: scan_library_direct_wf._Scan, *_: object) -> None:
        await scan._flush()
        raise Killed

    music = await scanned({"own.wav": tone(300)})
    (music.root / "usb").mkdir()
    with mounted(music.root / "usb", of=stick), monkeypatch.context() as patched:
        patched.setattr(scan_library_direct_wf._Scan, "_end_folder", killed)
        with pytest.raises(Killed):
            await music.scan("usb/Album/Live")
    music.before = await ids(music.nomarr, music.library)
    assert set(music.before) == {"own.wav", "usb/Album/Live/c.wav"}
    await assert_kept(music, at="usb/Album/Live")


async def test_verify_does_not_compare_with_a_disk_that_is_away(scanned: Scanned, stick: Path) -> None:
    music = await scanned_with(scanned, stick)
    verification = await music.nomarr.libraries.verify(music.library.library_id)
    assert verification.equal
    assert verification.warnings == ("3 files are on disks inside the library that are away; not compared",)


async def test_explain_tells_of_a_disk_that_is_away(scanned: Scanned, stick: Path) -> None:
    music = await scanned_with(scanned, stick)
    explanation = await music.nomarr.libraries.explain(music.root / "usb/a.wav")
    assert explanation.state is PathState.OFFLINE
    assert "away" in explanation.reason
