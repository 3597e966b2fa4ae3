"""Whatever happens to the events, the disk or the kernel's limits: the database ends equal (A9 to A16, A18 to A26)."""

from __future__ import annotations

import asyncio
import mmap
import multiprocessing
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import psutil
import pytest
from support.music import tone
from support.scans import missing, scan
from support.system import give_away, mounted, open_to_everybody, without_privileges
from watch_kit import Watched, watched

from nomarr import Nomarr
from nomarr.components.library.mount_watch_comp import MountWatch
from nomarr.components.watch.inotify_tree_comp import InotifyTree
from nomarr.helpers.dto.watching import FaultKind, WatcherState, WatchFault
from nomarr.services.infrastructure.library_watch_svc import LibraryWatch

SYSCTL = Path("/proc/sys/fs/inotify")


@contextmanager
def sysctl(name: str, value: int) -> Iterator[None]:
    """Another limit of the kernel, inside the block; skips the test where it may not be changed."""
    path = SYSCTL / name
    before = path.read_text()
    try:
        path.write_text(str(value))
    except OSError:
        pytest.skip(f"needs root: fs.inotify.{name} can't be changed here")
    try:
        yield
    finally:
        path.write_text(before)


def folders(root: Path, count: int) -> None:
    for number in range(count):
        (root / f"{number // 100}" / f"{number}").mkdir(parents=True, exist_ok=True)


def watch_of(seen: Watched) -> LibraryWatch:
    """What watches the library."""
    return seen.nomarr.watcher._watches[seen.library.library_id]


def tree_of(seen: Watched) -> Any:
    """The tree of watches, for tests that break it."""
    return watch_of(seen)._watching.tree


def churn(root: str, seed: int, seconds: float) -> None:
    """What many programs at once do to a folder."""
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        folder = Path(root) / str(chance.randrange(20)) / str(chance.randrange(4))
        path = folder / f"{chance.randrange(30)}.mp3"
        try:
            match chance.randrange(8):
                case 0 | 1 | 2:
                    folder.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(os.urandom(chance.randrange(100)))
                case 3:
                    path.unlink()
                case 4:
                    path.rename(path.with_name(f"{chance.randrange(30)}.mp3"))
                case 5:
                    folder.rename(folder.parent / str(chance.randrange(4)))
                case 6:
                    folder.parent.rename(Path(root) / str(chance.randrange(20)))
                case 7:
                    shutil.rmtree(folder)
        except OSError:
            pass


class TestFloods:
    @pytest.mark.slow
    @pytest.mark.timeout(180)
    # The large queue is the kernel's own; it takes a while until the small one overflows.
    @pytest.mark.parametrize(("queue", "seconds"), [(16384, 5.0), pytest.param(256, 10.0, marks=pytest.mark.alone)])
    async def test_a9_four_processes_at_once(self, root: Path, database: Path, queue: int, seconds: float) -> None:
        (root / "here.mp3").touch()
        with sysctl("max_queued_events", queue):
            async with watched(root, database) as seen:
                context = multiprocessing.get_context("spawn")
                workers = [context.Process(target=churn, args=(str(root), seed, seconds)) for seed in range(4)]
                for worker in workers:
                    worker.start()
                for worker in workers:
                    await anyio.to_thread.run_sync(worker.join)
                # A library whose files went by the hundred holds back what it lost.
                await seen.until_quiet(60)
                await scan(seen.nomarr, seen.library, accept_losses=True)
                await seen.until_equal(60)
                assert tree_of(seen).is_alive()
                if queue == 256:
                    assert seen.status.overflows > 0
                (root / "after.mp3").touch()
                await seen.until_equal()

    @pytest.mark.slow
    @pytest.mark.timeout(120)
    async def test_a10_attributes_of_all_folders(self, root: Path, database: Path) -> None:
        folders(root, 5000)
        (root / "0" / "0" / "a.wav").write_bytes(tone(440))
        async with watched(root, database) as seen:
            for folder, _, _ in os.walk(root):
                os.chmod(folder, 0o700)
            await seen.until_quiet(60)
            assert seen.whole_scans <= 5
            (root / "49" / "4900" / "new.wav").write_bytes(tone(441))
            await seen.until_equal()

    @pytest.mark.alone
    async def test_a_queue_that_overflowed_is_counted_and_made_up_for(self, root: Path, database: Path) -> None:
        folders(root, 300)
        with sysctl("max_queued_events", 16):
            async with watched(root, database) as seen:
                with reader_stalled(seen):
                    for number in range(300):
                        (root / f"{number // 100}" / f"{number}" / "a.mp3").touch()
                await seen.until_equal()
                assert seen.status.overflows == 1
                assert seen.status.rebuilds == 1
                (root / "2" / "299" / "after.mp3").touch()
                await seen.until_equal()


@pytest.mark.alone
class TestLimits:
    @pytest.mark.slow
    async def test_a11_too_few_watches_then_enough(
        self, root: Path, database: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folders(root, 100)
        enough = 200_000
        with sysctl("max_user_watches", 20):
            async with watched(root, database, watcher_poll_seconds=1.0) as seen:
                await seen.until_state(WatcherState.DEGRADED)
                assert "sysctl fs.inotify.max_user_watches=" in (seen.status.reason or "")
                assert seen.status.blind_folders > 50
                for number in (0, 50, 99):
                    (root / "0" / str(number) / "a.mp3").touch()
                await seen.until_equal()
                (SYSCTL / "max_user_watches").write_text(str(enough))
                await seen.until_state(WatcherState.WATCHING)
                assert seen.status.blind_folders == 0
                await seen.until_equal_with_probes()

    async def test_a11_the_limit_is_reached_later(self, root: Path, database: Path) -> None:
        (root / "here.mp3").touch()
        async with watched(root, database, watcher_poll_seconds=1.0) as seen:
            with sysctl("max_user_watches", 1):
                (root / "A" / "B").mkdir(parents=True)
                await seen.until_state(WatcherState.DEGRADED)
                (root / "A" / "B" / "b.mp3").touch()
                await seen.until_equal()
            await seen.until_state(WatcherState.WATCHING)
            await seen.until_equal_with_probes()

    async def test_a12_no_inotify_instance_is_left(self, root: Path, database: Path) -> None:
        (root / "here.mp3").touch()
        with sysctl("max_user_instances", 0):
            async with watched(root, database, watcher_poll_seconds=1.0) as seen:
                assert seen.status.state is WatcherState.POLLING
                assert "max_user_instances" in (seen.status.reason or "")
                (root / "a.mp3").touch()
                await seen.until_equal()
                (SYSCTL / "max_user_instances").write_text("128")
                await seen.until_state(WatcherState.WATCHING)
                await seen.until_equal_with_probes()

    async def test_a13_folders_that_may_not_be_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with open_to_everybody() as place:
            monkeypatch.setenv("XDG_CONFIG_HOME", str(place))
            monkeypatch.setattr("tempfile.tempdir", str(place))
            root = place / "music"
            for name in ("A", "B"):
                (root / name).mkdir(parents=True)
                (root / name / "a.mp3").touch()
            give_away(root)
            with without_privileges():
                (root / "A").chmod(0)
                async with watched(root, place / "nomarr.db") as seen:
                    assert seen.status.state is WatcherState.WATCHING
                    assert "can't be read" in (seen.status.reason or "")
                    (root / "A").chmod(0o755)
                    await seen.until_equal_with_probes()
                    before = await seen.ids()
                    (root / "B").chmod(0)
                    await seen.until_quiet()
                    assert await seen.ids() == before
                    assert "B/a.mp3" not in await missing(seen.nomarr, seen.library)
                    (root / "B").chmod(0o755)
                    await seen.until_equal_with_probes()
                    assert await seen.ids() == before


class TestRoots:
    @pytest.fixture
    async def here(self, seen: Watched) -> Watched:
        for number in range(5):
            (seen.root / f"{number}.wav").write_bytes(tone(400 + number))
        await seen.until_equal()
        return seen

    async def test_a14_renamed_and_back(self, here: Watched, tmp_path: Path) -> None:
        before = await here.ids()
        here.root.rename(tmp_path / "elsewhere")
        await here.until_state(WatcherState.OFFLINE)
        assert await here.ids() == before
        (tmp_path / "elsewhere" / "0.wav").unlink()
        (tmp_path / "elsewhere").rename(here.root)
        await here.until_equal_with_probes()
        assert here.status.state is WatcherState.WATCHING

    async def test_a14_deleted_and_made_again(self, here: Watched, tmp_path: Path) -> None:
        before = await here.ids()
        shutil.copytree(here.root, tmp_path / "copy", copy_function=shutil.copy2)
        shutil.rmtree(here.root)
        await here.until_state(WatcherState.OFFLINE)
        assert await here.ids() == before
        (tmp_path / "copy").rename(here.root)
        await here.until_equal_with_probes()
        assert await here.ids() == before

    async def test_a14_replaced_by_something_else(self, here: Watched, tmp_path: Path) -> None:
        before = await here.ids()
        here.root.rename(tmp_path / "elsewhere")
        here.root.mkdir()
        (here.root / "other.wav").write_bytes(tone(900))
        await here.until_state(WatcherState.OFFLINE)
        assert await here.ids() == before
        shutil.rmtree(here.root)
        (tmp_path / "elsewhere").rename(here.root)
        await here.until_equal_with_probes()

    @pytest.mark.parametrize("form", ["link", "slash"])
    async def test_a14_symbolic_links_and_slashes(self, root: Path, database: Path, tmp_path: Path, form: str) -> None:
        (root / "a.wav").write_bytes(tone(440))
        (tmp_path / "link").symlink_to(root)
        async with watched(tmp_path / "link" if form == "link" else f"{root}/", database) as seen:
            (root / "b.wav").write_bytes(tone(441))
            await seen.until_equal_with_probes()

    async def test_a15_unmounted_and_mounted_again(self, root: Path, database: Path, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        (disk / "a.wav").write_bytes(tone(440))
        with ExitStack() as first_time:
            first_time.enter_context(mounted(root, of=disk))
            async with watched(root, database) as seen:
                before = await seen.ids()
                first_time.close()
                await seen.until_state(WatcherState.OFFLINE)
                assert await seen.ids() == before
                (root / "in the bare mount point.wav").write_bytes(tone(441))
                with mounted(root, of=disk):
                    await seen.until_state(WatcherState.WATCHING)
                    (disk / "b.wav").write_bytes(tone(442))
                    await seen.until_equal_with_probes()
                    assert before.items() <= (await seen.ids()).items()

    async def test_a15_a_disk_inside(self, seen: Watched) -> None:
        (seen.root / "inside").mkdir()
        (seen.root / "inside" / "below.wav").write_bytes(tone(440))
        await seen.until_equal()
        with mounted(seen.root / "inside"):
            (seen.root / "inside" / "disk.wav").write_bytes(tone(441))
            await seen.until_equal_with_probes()
        # The file of the disk that is away stays, beside the one below.
        kept = {"here.wav", "inside/below.wav", "inside/disk.wav"}
        await seen.until_paths(kept)
        (seen.root / "inside" / "new.wav").write_bytes(tone(442))
        await seen.until_paths(kept | {"inside/new.wav"})

    async def test_a16_a_file_system_without_events_is_polled(
        self, root: Path, database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A mount table that says "fuse": the far side of one changes without an event."""
        table = tmp_path / "mountinfo"
        table.write_text(f"1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:50 / {root} rw - fuse.sshfs far:/music rw\n")
        for module in ("file_systems_comp", "mount_watch_comp"):
            monkeypatch.setattr(f"nomarr.components.library.{module}.MOUNTS", str(table))
        async with watched(root, database, watcher_poll_seconds=1.0) as seen:
            assert seen.status.state is WatcherState.POLLING
            assert "fuse.sshfs" in (seen.status.reason or "")
            # Events or not: what polling finds is what counts here.
            tree_of(seen)._on_event = raising_nothing
            (root / "a.wav").write_bytes(tone(440))
            # Inodes mean nothing there, so only the paths are compared.
            await seen.until(lambda: seen.scans >= 2, "polling")
            await seen.until_quiet()
            assert set(await seen.ids()) == {"a.wav"}


class TestBrokenWatching:
    async def test_a18_the_reader_raises(self, seen: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
        tree = tree_of(seen)
        monkeypatch.setattr(tree, "handle_event", raising)
        (seen.root / "a.mp3").touch()
        await seen.until_equal(6)
        assert dict(seen.status.faults) == {FaultKind.BROKEN: 1}
        await seen.until_equal_with_probes()

    async def test_a18_the_handler_raises(self, seen: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nomarr.components.watch.pending_changes_comp.targets_of", raise_once(targets_of_before()))
        (seen.root / "a.mp3").touch()
        await seen.until_equal(6)
        assert FaultKind.BROKEN in dict(seen.status.faults)
        await seen.until_equal_with_probes()

    async def test_a18_the_reader_is_gone(self, seen: Watched) -> None:
        tree = tree_of(seen)
        tree.stopped_event.set()
        await anyio.to_thread.run_sync(tree.wait_until_read, 1.0)
        (seen.root / "a.mp3").touch()
        await seen.until_equal(6)
        await seen.until(lambda: seen.status.rebuilds == 1, "new watches")
        await seen.until_equal_with_probes()

    async def test_a18_the_reader_is_gone_while_new_watches_are_planned_for_later(
        self, seen: Watched, tmp_path: Path
    ) -> None:
        (seen.root / "A").mkdir()
        await seen.until(lambda: seen.status.watched_folders == 2, "a watch")
        (seen.root / "A").rename(tmp_path / "A")
        await seen.until(lambda: watch_of(seen)._rebuild_at is not None, "a plan for the stray watch")
        tree_of(seen).stopped_event.set()
        (seen.root / "first.mp3").touch()
        await seen.until(lambda: not tree_of(seen).is_alive() or seen.status.rebuilds, "the reader's end")
        (seen.root / "second.mp3").touch()
        await seen.until_equal(6)

    async def test_folders_that_stay_without_a_watch_are_named_and_polled(
        self, root: Path, database: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The kernel is asked after every whole scan; new watches are tried once, not for ever."""
        monkeypatch.setattr(InotifyTree, "unwatched", lambda _: ["A/B"])
        (root / "here.mp3").touch()
        async with watched(root, database, watcher_poll_seconds=1.0) as seen:
            await seen.until_state(WatcherState.DEGRADED)
            assert "A/B" in (seen.status.reason or "")
            assert seen.status.rebuilds == 1
            seen.forget()
            await seen.until(lambda: seen.whole_scans >= 2, "polling")
            assert seen.status.rebuilds == 1

    async def test_new_watches_that_can_not_be_made_are_tried_again(
        self, root: Path, database: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = "nomarr.services.infrastructure.library_watch_svc.MountWatch"
        monkeypatch.setattr(module, raise_once(MountWatch))
        async with watched(root, database) as seen:
            (root / "a.mp3").touch()
            await seen.until_equal()

    async def test_an_audit_that_fails_ends_nothing(
        self, root: Path, database: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(InotifyTree, "unwatched", raising)
        async with watched(root, database) as seen:
            (root / "a.mp3").touch()
            await seen.until_equal_with_probes()

    async def test_rules_reach_below_their_folder(self, seen: Watched) -> None:
        (seen.root / "A" / "B").mkdir(parents=True)
        (seen.root / "A" / "B" / "b.wav").write_bytes(tone(440))
        await seen.until_equal()
        await seen.until_quiet()
        before = seen.status.events
        (seen.root / "A" / ".nomedia").touch()
        await seen.until(lambda: seen.status.events > before, "the rule")
        await seen.until_quiet()
        assert set(await seen.ids()) == {"here.wav"}
        (seen.root / "A" / ".nomedia").unlink()
        await seen.until_equal()

    async def test_what_was_stopped_stays_stopped(self, seen: Watched) -> None:
        await seen.nomarr.watcher.stop_watching_library(seen.library.library_id)
        await seen.nomarr.watcher.follow_libraries()
        assert seen.nomarr.watcher.status() == []
        await seen.nomarr.watcher.start_watching_library(seen.library.library_id)
        await seen.until_equal_with_probes()

    async def test_new_patterns_take_effect_at_once(self, seen: Watched) -> None:
        (seen.root / "a.mp3").touch()
        await seen.until_equal()
        libraries = seen.nomarr.libraries
        await libraries.update_library(seen.library.library_id, ignore_patterns=["a.*"])
        await seen.nomarr.watcher.follow_libraries()
        await seen.until(lambda: seen.whole_scans, "a scan")
        await seen.until_quiet()
        assert set(await seen.ids()) == {"here.wav"}

    async def test_a18_after_new_watches_everything_is_scanned(
        self, seen: Watched, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also if a second fault came, and puts the new watches off, while a scan was running."""
        story: list[str] = []
        held = anyio.Event()
        scan_targets, rebuild = seen.nomarr.libraries.scan_targets, LibraryWatch._rebuild

        async def held_scan(targets: Any, **options: Any) -> Any:
            story.append("all" if targets[0].folder_path == "" and targets[0].recursive else "some")
            await held.wait()
            return await scan_targets(targets, **options)

        async def noted_rebuild(self: LibraryWatch) -> None:
            story.append("watches")
            await rebuild(self)

        monkeypatch.setattr(seen.nomarr.libraries, "scan_targets", held_scan)
        monkeypatch.setattr(LibraryWatch, "_rebuild", noted_rebuild)
        (seen.root / "a.mp3").touch()
        await seen.until(lambda: story, "a scan")
        handler = watch_of(seen)._watching.handler
        assert handler is not None
        for number in (1, 2):
            handler.on_fault(WatchFault(FaultKind.BROKEN, "made by a test"))
            faults = {FaultKind.BROKEN: number}
            await seen.until(lambda wanted=faults: dict(seen.status.faults) == wanted, "the fault")  # type: ignore[misc]
        held.set()
        await seen.until(lambda: "watches" in story, "new watches")
        await seen.until(lambda: story[-1] == "all", "a whole scan after them")
        await seen.until_quiet()
        assert story[-1] == "all"
        assert story.index("watches") < len(story) - 1

    async def test_a18_a_step_of_the_loop_raises(self, seen: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(LibraryWatch, "_look_after_machine", raise_once(LibraryWatch._look_after_machine))
        (seen.root / "a.mp3").touch()
        await seen.until_equal()

    async def test_a_scan_that_fails_is_done_again(self, seen: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
        libraries = seen.nomarr.libraries
        monkeypatch.setattr(libraries, "scan_targets", raise_once(libraries.scan_targets))
        (seen.root / "a.mp3").touch()
        await seen.until_equal()

    @pytest.mark.slow
    @pytest.mark.timeout(120)
    async def test_a19_endless_writing(self, root: Path, database: Path) -> None:
        (root / "here.mp3").touch()
        async with watched(root, database, watcher_debounce_seconds=1.0, watcher_max_wait_seconds=3.0) as seen:
            end = time.monotonic() + 10
            with (root / "a.mp3").open("wb") as file:
                while time.monotonic() < end:
                    file.write(b"x")
                    file.flush()
                    (root / "here.mp3").touch()
                    await anyio.sleep(0.1)
            assert seen.scans >= 3
            await seen.until_equal()

    async def test_a20_a_blocked_loop_is_called_once(self, seen: Watched) -> None:
        """Nobody reads for a while: one call waits, and few targets."""
        calls: list[Callable[..., object]] = []
        loop = asyncio.get_running_loop()
        call_soon_threadsafe = loop.call_soon_threadsafe

        def counted(call: Callable[..., object], *arguments: Any, **options: Any) -> Any:
            if call == watch_of(seen)._wake_up:
                calls.append(call)
            return call_soon_threadsafe(call, *arguments, **options)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign] # only looks, and passes on
        try:
            for folder in range(1000):
                (seen.root / str(folder)).mkdir()
                for number in range(3):
                    (seen.root / str(folder) / f"{number}.mp3").touch()
            # The loop is blocked by this test itself until the reader is done.
            assert tree_of(seen).wait_until_read(20)
        finally:
            del loop.call_soon_threadsafe
        assert len(calls) == 1
        assert 0 < seen.status.pending_targets <= 512
        await seen.until_equal(60)

    async def test_a21_what_makes_no_event_is_found_by_the_next_whole_scan(
        self, root: Path, database: Path, tmp_path: Path
    ) -> None:
        for name in ("mapped", "linked"):
            (root / f"{name}.wav").write_bytes(tone(440))
        os.link(root / "linked.wav", tmp_path / "outside.wav")
        async with watched(root, database) as seen:
            with (root / "mapped.wav").open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
                memory[100:104] = b"xxxx"
                memory.flush()
                (tmp_path / "outside.wav").write_bytes(tone(441))
                watch_of(seen)._plan.scan_everything(time.time())
                watch_of(seen)._wake_up()
                await seen.until_equal()

    async def test_a22_symbolic_link_loops(self, root: Path, database: Path) -> None:
        (root / "A").mkdir()
        (root / "A" / "a.wav").write_bytes(tone(440))
        (root / "A" / "up").symlink_to(root)
        (root / "B").symlink_to(root / "C")
        (root / "C").symlink_to(root / "B")
        async with watched(root, database) as seen:
            assert seen.status.watched_folders == 2
            assert len(await seen.ids()) == len(set((await seen.ids()).values()))
            (root / "A" / "b.wav").write_bytes(tone(441))
            await seen.until(lambda: seen.scans, "a scan")


class TestA23Ends:
    @pytest.mark.slow
    @pytest.mark.timeout(120)
    async def test_a_hundred_starts_and_ends(self, root: Path, database: Path) -> None:
        folders(root, 30)
        async with Nomarr.open(f"sqlite:///{database}", settle_seconds=0) as nomarr:
            library = await nomarr.libraries.add_library("Music", root)
            for number in range(100):
                await nomarr.watcher.start_watching_library(library.library_id)
                if number % 3:
                    await anyio.sleep(0.005 * (number % 7))
                since = time.monotonic()
                await nomarr.watcher.stop_watching_library(library.library_id)
                assert time.monotonic() - since < 5
                # A start that was given up, as a disk may hang, ends a moment later by itself.
                while (left := (inotify_instances(), threads("watch"))) != (0, 0):
                    assert time.monotonic() - since < 5, left
                    await anyio.sleep(0.01)
        assert psutil.Process().num_fds() < 100

    async def test_an_end_during_a_rebuild(self, root: Path, database: Path) -> None:
        folders(root, 300)
        async with watched(root, database) as seen:
            watch_of(seen)._start_anew(time.time())
        assert inotify_instances() == 0

    async def test_switching_the_mode(self, seen: Watched) -> None:
        watcher, library_id = seen.nomarr.watcher, seen.library.library_id
        await watcher.switch_watch_mode(library_id, "poll")
        await seen.until_state(WatcherState.POLLING)
        assert inotify_instances() == 0
        await watcher.switch_watch_mode(library_id, "events")
        await seen.until_state(WatcherState.WATCHING)
        await watcher.switch_watch_mode(library_id, "off")
        assert watcher.status() == []
        (seen.root / "meanwhile.mp3").touch()
        await watcher.switch_watch_mode(library_id, "auto")
        await seen.until_equal_with_probes()

    async def test_libraries_that_come_and_go(
        self, seen: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        libraries = seen.nomarr.libraries
        (tmp_path / "more").mkdir()
        other = await libraries.add_library("More", tmp_path / "more")
        await seen.nomarr.watcher.follow_libraries()
        assert {status.name for status in seen.nomarr.watcher.status()} == {"Music", "More"}
        await anyio.lowlevel.checkpoint()
        await seen.nomarr.watcher.stop_watching_library(other.library_id)
        await libraries.remove_library(other.library_id)
        await seen.nomarr.watcher.follow_libraries()
        assert {status.name for status in seen.nomarr.watcher.status()} == {"Music"}


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a26_files_that_come_while_a_large_scan_reads(root: Path, database: Path) -> None:
    for number in range(3000):
        (root / str(number // 50)).mkdir(exist_ok=True)
        (root / str(number // 50) / f"{number}.wav").write_bytes(tone(440))
    async with Nomarr.open(
        f"sqlite:///{database}", watcher_debounce_seconds=0.1, settle_seconds=0.1, tag_workers=1
    ) as nomarr:
        seen = Watched(nomarr, await nomarr.libraries.add_library("Music", root))
        await nomarr.watch_all()
        await seen.until(lambda: tree_of(seen) is not None, "watches")
        for number in range(500):
            (root / str(number % 60) / f"new {number}.wav").write_bytes(tone(441))
            await anyio.lowlevel.checkpoint()
        await seen.until_equal(90)
        await seen.until_quiet(30)
        seen.forget()
        await seen.until_quiet(30)
        assert seen.scans == 0


@contextmanager
def reader_stalled(seen: Watched) -> Iterator[None]:
    """The reader handles nothing meanwhile, so that the kernel's queue fills."""
    lock = tree_of(seen)._lock_of_tree
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def raising(*_: object, **__: object) -> None:
    raise RuntimeError("as a mistake in a program would")


def raising_nothing(*_: object) -> None:
    """Hears nothing."""


def raise_once(call: Any) -> Any:
    """`call` that fails the first time."""
    failed = threading.Event()

    def wrapper(*arguments: Any, **options: Any) -> Any:
        if not failed.is_set():
            failed.set()
            raising()
        return call(*arguments, **options)

    return wrapper


def targets_of_before() -> Any:
    from nomarr.components.watch.event_filter_comp import targets_of

    return targets_of


def inotify_instances() -> int:
    """Of this process."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}") == "anon_inode:inotify"
        except FileNotFoundError:
            continue
    return found


def threads(kind: str) -> int:
    """Threads of trees."""
    return sum(type(thread).__name__ == "InotifyTree" for thread in threading.enumerate())
