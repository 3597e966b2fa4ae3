"""Files and folders change in every way there is; a moment later the database says the same (A1 to A8, A17, A25)."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

import anyio
import pytest
from mutagen.wave import WAVE
from support.music import tone, tones
from support.scans import happened, scan
from watch_kit import SECONDS, Watched, watched

from nomarr.helpers.dto.watching import WatcherState

RENAME_EXCHANGE = 2


def retag(path: Path, title: str) -> None:
    """Edit a WAV file in place, as taggers do."""
    from mutagen.id3 import TIT2

    audio = WAVE(path)
    if audio.tags is None:
        audio.add_tags()
    audio.tags.setall("TIT2", [TIT2(3, title)])
    audio.save()


class TestA1SingleChanges:
    async def test_a_new_file(self, seen: Watched) -> None:
        (seen.root / "a.wav").write_bytes(tone(440))
        await seen.until_equal()
        await seen.until_quiet()
        assert seen.scans <= 2

    async def test_a_file_that_grows(self, seen: Watched) -> None:
        path = seen.root / "a.wav"
        path.write_bytes(tone(440))
        await seen.until_equal()
        with path.open("ab") as file:
            file.write(bytes(1000))
        await seen.until_equal()

    async def test_a_file_rewritten_to_the_same_size(self, seen: Watched) -> None:
        path = seen.root / "a.wav"
        path.write_bytes(tone(440))
        await seen.until_equal()
        path.write_bytes(bytes(len(tone(440))))
        await seen.until_equal()

    async def test_an_atomic_save(self, seen: Watched) -> None:
        path = seen.root / "a.wav"
        path.write_bytes(tone(440))
        await seen.until_equal()
        before = await seen.ids()
        (seen.root / "a.wav.tmp").write_bytes(tone(441))
        (seen.root / "a.wav.tmp").rename(path)
        await seen.until_equal()
        assert await seen.ids() == before

    async def test_renamed_over_another_file(self, seen: Watched) -> None:
        (seen.root / "a.wav").write_bytes(tone(440))
        (seen.root / "b.wav").write_bytes(tone(441))
        await seen.until_equal()
        before = await seen.ids()
        (seen.root / "a.wav").rename(seen.root / "b.wav")
        await seen.until_equal()
        assert (await seen.ids())["b.wav"] == before["a.wav"]

    async def test_moved_out_and_in_again(self, seen: Watched, tmp_path: Path) -> None:
        (seen.root / "a.wav").write_bytes(tone(440))
        await seen.until_equal()
        before = await seen.ids()
        (seen.root / "a.wav").rename(tmp_path / "a.wav")
        await seen.until_equal()
        (tmp_path / "a.wav").rename(seen.root / "a.wav")
        await seen.until_equal()
        assert await seen.ids() == before

    async def test_deleted(self, seen: Watched) -> None:
        (seen.root / "here.wav").unlink()
        (seen.root / "a.wav").write_bytes(tone(440))
        await seen.until_equal()

    async def test_hard_link_touch_chmod_and_times(self, seen: Watched) -> None:
        path = seen.root / "a.wav"
        path.write_bytes(tone(440))
        await seen.until_equal()
        os.link(path, seen.root / "b.wav")
        await seen.until_equal()
        path.touch()
        await seen.until_equal()
        path.chmod(0o600)
        os.utime(path, (1_500_000_000, 1_500_000_000))
        await seen.until_equal()

    async def test_a_burst_is_one_scan(self, seen: Watched) -> None:
        for number in range(20):
            (seen.root / f"{number}.wav").write_bytes(tone(400 + number))
        await seen.until_equal()
        await seen.until_quiet()
        assert seen.scans <= 2


class TestA2Names:
    async def test_only_the_case_changes(self, seen: Watched) -> None:
        (seen.root / "rock").mkdir()
        (seen.root / "rock" / "a.wav").write_bytes(tone(440))
        await seen.until_equal()
        before = await seen.ids()
        (seen.root / "rock").rename(seen.root / "ROCK")
        (seen.root / "ROCK" / "a.wav").rename(seen.root / "ROCK" / "A.wav")
        await seen.until_equal_with_probes()
        assert (await seen.ids())["ROCK/A.wav"] == before["rock/a.wav"]

    @pytest.mark.parametrize("name", [b"caf\xe9.wav", b"new\nline.wav", b"x" * 251 + b".wav", "n\u0303.wav".encode()])
    async def test_odd_names(self, seen: Watched, name: bytes) -> None:
        path = seen.root / os.fsdecode(name)
        path.write_bytes(tone(440))
        await seen.until_equal()
        before = await seen.ids()
        path.rename(seen.root / "plain.wav")
        await seen.until_equal()
        assert (await seen.ids())["plain.wav"] == before[os.fsdecode(name)]


class TestA3Trees:
    async def test_folders_that_are_filled_at_once(self, seen: Watched) -> None:
        for number in range(50):
            folder = seen.root / str(number) / "b" / "c"
            folder.mkdir(parents=True)
            (folder / "a.wav").write_bytes(tone(300 + number))
        await seen.until_equal_with_probes()

    @pytest.mark.slow
    @pytest.mark.timeout(180)
    async def test_a_copy_of_2400_folders(self, seen: Watched, tmp_path: Path) -> None:
        source = tmp_path / "source"
        for artist in range(60):
            for album in range(40):
                folder = source / str(artist) / str(album)
                folder.mkdir(parents=True)
                (folder / "a.wav").write_bytes(b"")
        await anyio.to_thread.run_sync(shutil.copytree, source, seen.root / "copy")
        await seen.until_equal(60)
        assert all(len(message.targets) <= 512 for message in seen.messages)

    async def test_written_under_another_name_first(self, seen: Watched) -> None:
        (seen.root / "a.wav.part").write_bytes(tone(440))
        await seen.until_quiet()
        assert seen.scans == 0
        (seen.root / "a.wav.part").rename(seen.root / "a.wav")
        await seen.until_equal()


class TestA4Bursts:
    @pytest.mark.slow
    @pytest.mark.timeout(180)
    async def test_five_thousand_files_at_once(self, root: Path, database: Path, tmp_path: Path) -> None:
        """With the usual pauses; the files come as fast as the disk can take them."""
        for number in range(5000):
            folder = tmp_path / "source" / str(number // 12)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.wav").write_bytes(tone(440))
        async with watched(root, database, watcher_debounce_seconds=2.0, settle_seconds=2.0, tag_workers=2) as seen:
            await anyio.to_thread.run_sync(shutil.copytree, tmp_path / "source", root / "copy")
            await seen.until_equal(60)
            await seen.until_quiet()
            assert seen.scans <= 3


class TestMovedTrees:
    def fill(self, folder: Path, count: int) -> None:
        for number in range(count):
            (folder / str(number // 20)).mkdir(parents=True, exist_ok=True)
            (folder / str(number // 20) / f"{number}.wav").write_bytes(tone(200 + number % 50))

    @pytest.mark.timeout(120)
    async def test_a5_moved_in_then_changed_inside(self, seen: Watched, tmp_path: Path) -> None:
        await anyio.to_thread.run_sync(self.fill, tmp_path / "tree", 2000)
        (tmp_path / "tree").rename(seen.root / "tree")
        await seen.until_equal(40)
        (seen.root / "tree" / "7" / "new.wav").write_bytes(tone(440))
        (seen.root / "tree" / "8" / "160.wav").unlink()
        await seen.until_equal()

    async def test_a6_out_changed_back_under_another_name_recreated_deleted_purged(
        self, seen: Watched, tmp_path: Path
    ) -> None:
        self.fill(seen.root / "A", 40)
        await seen.until_equal()
        before = await seen.ids()
        (seen.root / "A").rename(tmp_path / "trash")
        (tmp_path / "trash" / "0" / "0.wav").unlink()
        (tmp_path / "trash" / "1" / "new.wav").write_bytes(tone(440))
        (tmp_path / "trash").rename(seen.root / "back")
        self.fill(seen.root / "A", 5)
        await seen.until_equal()
        shutil.rmtree(seen.root / "A")
        (seen.root / "back").rename(tmp_path / "trash")
        shutil.rmtree(tmp_path / "trash")
        (seen.root / "after.wav").write_bytes(tone(440))
        await seen.until_equal_with_probes()
        assert set(await seen.ids()) == {"here.wav", "after.wav"}
        assert before

    async def test_a7_two_hundred_folders_renamed_at_once(self, seen: Watched) -> None:
        for number in range(200):
            (seen.root / "A" / str(number)).mkdir(parents=True)
            (seen.root / "A" / str(number) / "a.wav").write_bytes(tone(200 + number))
        await seen.until_equal()
        before = await seen.ids()
        (seen.root / "A").rename(seen.root / "B")
        await seen.until_equal_with_probes()
        after = await seen.ids()
        assert {path.replace("A/", "B/", 1): file_id for path, file_id in before.items()} == after

    @pytest.mark.parametrize("how", ["three renames", "one exchange"])
    async def test_a7_two_folders_swapped(self, seen: Watched, how: str) -> None:
        self.fill(seen.root / "A", 25)
        self.fill(seen.root / "B", 45)
        await seen.until_equal()
        before = await seen.ids()
        if how == "three renames":
            for old, new in (("A", "T"), ("B", "A"), ("T", "B")):
                (seen.root / old).rename(seen.root / new)
        else:
            paths = [os.fsencode(seen.root / name) for name in ("A", "B")]
            if ctypes.CDLL(None).renameat2(-100, paths[0], -100, paths[1], RENAME_EXCHANGE):
                pytest.skip("this file system can't exchange two names")
        await seen.until_equal_with_probes()
        after = await seen.ids()
        assert {_swapped(path): file_id for path, file_id in before.items()} == after

    async def test_a7_over_an_empty_folder(self, seen: Watched) -> None:
        self.fill(seen.root / "A", 5)
        (seen.root / "empty").mkdir()
        await seen.until_equal()
        (seen.root / "A").rename(seen.root / "empty")
        await seen.until_equal_with_probes()

    async def test_a7_a_name_that_is_used_again_at_once(self, seen: Watched) -> None:
        for _ in range(20):
            (seen.root / "X").mkdir()
            (seen.root / "X").rename(seen.root / "Y")
            (seen.root / "X").mkdir()
            (seen.root / "Y").rmdir()
            (seen.root / "X").rmdir()
        (seen.root / "X").mkdir()
        (seen.root / "X").rename(seen.root / "Y")
        (seen.root / "X").mkdir()
        await seen.until_equal_with_probes()

    @pytest.mark.slow
    @pytest.mark.timeout(180)
    async def test_a8_two_thousand_files_renamed_then_deleted(self, seen: Watched) -> None:
        self.fill(seen.root / "A", 2000)
        await seen.until_equal(60)
        before = await seen.ids()
        for path in list((seen.root / "A").rglob("*.wav")):
            path.rename(path.with_name(f"new {path.name}"))
        await seen.until_equal(60)
        after = await seen.ids()
        assert set(after.values()) == set(before.values())
        for path in list((seen.root / "A").rglob("*.wav")):
            path.unlink()
        # So many losses at once are held back, until somebody says that they are meant.
        await seen.until_quiet(60)
        assert "held back" in (seen.status.reason or "")
        await scan(seen.nomarr, seen.library, accept_losses=True)
        await seen.until_equal(60)

    @pytest.mark.slow
    @pytest.mark.timeout(180)
    async def test_a8_two_thousand_folders_renamed(self, seen: Watched) -> None:
        for number in range(2000):
            (seen.root / f"album {number}").mkdir()
            (seen.root / f"album {number}" / "a.wav").write_bytes(b"")
        await seen.until_equal(60)
        before = await seen.ids()
        for number in range(2000):
            (seen.root / f"album {number}").rename(seen.root / f"Album {number}")
        await seen.until_equal(60)
        assert {path.replace("album", "Album"): file_id for path, file_id in before.items()} == await seen.ids()


class TestLosses:
    @pytest.fixture
    async def lost(self, seen: Watched) -> Watched:
        """So many files are gone at once that nothing is believed yet."""
        (seen.root / "A").mkdir()
        for name, content in tones(60).items():
            (seen.root / "A" / name).write_bytes(content)
        await seen.until_equal()
        shutil.rmtree(seen.root / "A")
        await seen.until(lambda: "60 files are gone" in (seen.status.reason or ""), "losses are told")
        return seen

    async def test_losses_that_somebody_accepts_are_told_no_more(self, lost: Watched) -> None:
        await scan(lost.nomarr, lost.library, accept_losses=True)
        await lost.until(lambda: lost.status.reason is None, "nothing is held back", SECONDS)

    async def test_losses_that_somebody_discards_are_told_no_more(self, lost: Watched) -> None:
        await lost.until_quiet()
        await lost.nomarr.libraries.discard_held_back_losses(lost.library.library_id)
        await lost.until(lambda: lost.status.reason is None, "nothing is held back", SECONDS)


class TestOwnReadsAndScans:
    @pytest.mark.slow
    @pytest.mark.timeout(120)
    async def test_a17_a_full_scan_is_no_event(self, root: Path, database: Path) -> None:
        for name, content in tones(1000).items():
            (root / name).write_bytes(content)
        async with watched(root, database, tag_workers=2) as seen:
            await seen.until_quiet()
            seen.forget()
            events = seen.status.events
            report = await scan(seen.nomarr, seen.library, full=True)
            assert report.files_processed == 1000
            await seen.until_quiet()
            assert (seen.status.events, seen.scans) == (events, 0)

    async def test_a25_an_event_during_a_scan_is_scanned_after_it(self, seen: Watched) -> None:
        for name, content in tones(300).items():
            (seen.root / name).write_bytes(content)
        await seen.until(lambda: seen.scans, "a scan")
        (seen.root / "late.wav").write_bytes(tone(440))
        (seen.root / "0000.wav").unlink()
        await seen.until_equal()

    async def test_a24_what_changed_while_nothing_watched(self, root: Path, database: Path) -> None:
        (root / "a.wav").write_bytes(tone(440))
        (root / "b.wav").write_bytes(tone(441))
        async with watched(root, database) as seen:
            before = await seen.ids()
        (root / "a.wav").rename(root / "c.wav")
        (root / "b.wav").unlink()
        (root / "d.wav").write_bytes(tone(442))
        async with watched(root, database) as seen:
            await seen.until_equal()
            assert (await seen.ids())["c.wav"] == before["a.wav"]

    async def test_a_rename_together_with_a_retag_keeps_the_id(self, seen: Watched) -> None:
        # A folder is watched a moment after it was made; a rename into it before that has no event with both paths.
        (seen.root / "new").mkdir()
        (seen.root / "a.wav").write_bytes(tone(440))
        await seen.until_equal()
        before = await seen.ids()
        (seen.root / "a.wav").rename(seen.root / "new" / "b.wav")
        retag(seen.root / "new" / "b.wav", "Another title")
        await seen.until_equal()
        assert (await seen.ids())["new/b.wav"] == before["a.wav"]
        assert ("moved", "new/b.wav") in await happened(seen.nomarr)


async def test_watching_is_the_normal_state(seen: Watched) -> None:
    assert (seen.status.state, seen.status.reason) == (WatcherState.WATCHING, None)
    assert seen.status.watched_folders == 1


def _swapped(path: str) -> str:
    return {"A": "B", "B": "A"}.get(path[0], path[0]) + path[1:]
