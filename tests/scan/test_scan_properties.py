"""Whatever happens on the disk, and whatever part of it is scanned: database equals disk there, and ids are kept.

What is expected is worked out from the rows before the scan and the disk alone, by the rules of the documentation:
a file that is still at its path keeps its id; a file that is at another path keeps it if it is the only one that left
with its identity (device, inode, size, mtime) and only one arrived with it; everything else is a new file.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from support.disk import OnDisk, as_known, assert_equal, disk_files
from support.music import build, tone, wait_for_another_timestamp
from support.scans import scan

from nomarr import FileRecord, Library, Nomarr, ScanTarget

FOLDERS = (
    "",
    "Rock",
    "rock",
    "Rock/Live",
    "Rock/Live/1",
    "Pop",
    "Caf\u00e9",
    "Cafe\u0301",
    "Pop/\udce9t\udce9",
    "new.wav",
)
NAMES = (
    "a.wav",
    "A.wav",
    "b.wav",
    "Bj\u00f6rk.wav",
    "Bjo\u0308rk.wav",
    "\udcff\udcfe.wav",
    "new.wav",
    "c.MP3",
    "notes.txt",
)
STAYS = "README"


class Disk:
    """A music folder to which things happen. Every step is possible at any time; what makes no sense does nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made = 0

    def do(self, step: str, a: int, b: int, c: int) -> None:
        try:
            getattr(self, step)(a, b, c)
        except OSError:
            # The name is taken by something of the other kind.
            return

    def files(self) -> list[str]:
        every = (os.path.join(folder, name) for folder, _, names in os.walk(self.root) for name in names)
        return sorted(file for file in every if not file.endswith(STAYS))

    def folders(self) -> list[str]:
        return sorted(os.path.join(above, name) for above, names, _ in os.walk(self.root) for name in names)

    def create(self, a: int, b: int, c: int) -> None:
        """A new file, or another content for one that is there."""
        Path(self._place(b, c)).write_bytes(self._content())

    def edit(self, a: int, b: int, c: int) -> None:
        for file in self._file(a):
            Path(file).write_bytes(self._content())

    def edit_restoring_mtime(self, a: int, b: int, c: int) -> None:
        for file in self._file(a):
            before = os.stat(file)
            with open(file, "r+b") as opened:
                opened.seek(-1, os.SEEK_END)
                opened.write(bytes([b % 256]))
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    def replace_atomically(self, a: int, b: int, c: int) -> None:
        """As editors and taggers do it: write beside, then rename over."""
        for file in self._file(a):
            Path(file + ".tmp").write_bytes(self._content())
            os.replace(file + ".tmp", file)

    def recreate(self, a: int, b: int, c: int) -> None:
        """Deleted and put there again from a backup."""
        for file in self._file(a):
            before, content = os.stat(file), Path(file).read_bytes()
            os.unlink(file)
            Path(file).write_bytes(content)
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    def delete(self, a: int, b: int, c: int) -> None:
        for file in self._file(a):
            os.unlink(file)

    def move(self, a: int, b: int, c: int) -> None:
        """Over whatever file is there."""
        for file in self._file(a):
            os.rename(file, self._place(b, c))

    def spell_differently(self, a: int, b: int, c: int) -> None:
        """Another case or another Unicode form of the same name."""
        for path in self._one_of([*self.files(), *self.folders()], a):
            above, name = os.path.split(path)
            spellings = (name.swapcase(), *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))
            new = os.path.join(above, spellings[b % 3])
            if not os.path.lexists(new):
                os.rename(path, new)

    def link(self, a: int, b: int, c: int) -> None:
        for file in self._file(a):
            os.link(file, self._place(b, c))

    def copy(self, a: int, b: int, c: int) -> None:
        for file in self._file(a):
            place = self._place(b, c)
            if not os.path.lexists(place):
                shutil.copy2(file, place)

    def swap(self, a: int, b: int, c: int) -> None:
        for one in self._file(a):
            for other in self._file(b):
                self._swap(one, other)

    def move_folder(self, a: int, b: int, c: int) -> None:
        for folder in self._one_of(self.folders(), a):
            new = os.path.join(self._folder(b), NAMES[c % 3].removesuffix(".wav") if c % 2 else "Rock")
            if not os.path.lexists(new) and not new.startswith(folder + "/"):
                os.rename(folder, new)

    def swap_folders(self, a: int, b: int, c: int) -> None:
        for one in self._one_of(self.folders(), a):
            for other in self._one_of(self.folders(), b):
                if not (other + "/").startswith(one + "/") and not (one + "/").startswith(other + "/"):
                    self._swap(one, other)

    def delete_folder(self, a: int, b: int, c: int) -> None:
        for folder in self._one_of(self.folders(), a):
            shutil.rmtree(folder)

    def _swap(self, one: str, other: str) -> None:
        if one != other:
            os.rename(one, one + ".swap")
            os.rename(other, one)
            os.rename(one + ".swap", other)

    def _content(self) -> bytes:
        # A size of its own: a file system may give a new file the inode and the time of one that was just deleted.
        self._made += 1
        return tone(100 + self._made)

    def _folder(self, number: int) -> str:
        folder = os.path.join(self.root, FOLDERS[number % len(FOLDERS)])
        os.makedirs(folder, exist_ok=True)
        return folder

    def _place(self, folder: int, name: int) -> str:
        return os.path.join(self._folder(folder), NAMES[name % len(NAMES)])

    def _file(self, number: int) -> Iterator[str]:
        return self._one_of(self.files(), number)

    @staticmethod
    def _one_of(things: list[str], number: int) -> Iterator[str]:
        """None if there are none."""
        if things:
            yield things[number % len(things)]


STEPS = tuple(name for name in vars(Disk) if not name.startswith("_") and name not in ("do", "files", "folders"))

Step = tuple[str, int, int, int]
Round = tuple[list[Step], list[tuple[int, bool]] | None]

numbers = st.integers(0, 30)
steps = st.tuples(st.sampled_from(STEPS), numbers, numbers, numbers)
creations = st.tuples(st.just("create"), st.just(0), numbers, numbers)
scopes = st.none() | st.lists(st.tuples(numbers, st.booleans()), min_size=1, max_size=3)
rounds = st.lists(st.tuples(st.lists(steps, min_size=1, max_size=6), scopes), min_size=1, max_size=4)
beginnings = st.lists(creations | steps, min_size=1, max_size=12)


class Scope:
    """Which paths a scan of some targets judges."""

    def __init__(self, root: Path, targets: list[ScanTarget]) -> None:
        self._root = root
        self._targets = [self._existing(target.folder_path, target.recursive) for target in targets]

    def __contains__(self, path: str) -> bool:
        return any(self._judges(folder, recursive, path) for folder, recursive in self._targets)

    def _existing(self, folder: str, recursive: bool) -> tuple[str, bool]:
        while folder and not (self._root / folder).is_dir():
            folder, recursive = os.path.dirname(folder), False
        return folder, recursive

    def _judges(self, folder: str, recursive: bool, path: str) -> bool:
        inside = f"{folder}/" if folder else ""
        if not path.startswith(inside):
            return False
        segments = path.removeprefix(inside).split("/")
        # The files of a folder, and the folders in it that are gone.
        return recursive or len(segments) == 1 or not (self._root / inside / segments[0]).is_dir()


class Expectation:
    """What a scan has to make of the rows, given the disk."""

    def __init__(
        self, root: Path, scope: Scope, here: dict[str, FileRecord], absent: list[FileRecord], disk: dict[str, OnDisk]
    ) -> None:
        self.here, self.absent, self.disk, self.scope = here, absent, disk, scope
        self._absent_at: dict[str, list[FileRecord]] = defaultdict(list)
        for row in absent:
            self._absent_at[row.path].append(row)
        self._arrived: dict[OnDisk, list[str]] = defaultdict(list)
        for path, numbers in disk.items():
            if path in scope and not self._in_place(path):
                self._arrived[numbers].append(path)
        self._left: dict[OnDisk, list[FileRecord]] = defaultdict(list)
        for row in (*here.values(), *absent):
            if self._has_left(row):
                self._left[as_known(row)].append(row)

        # A missing file whose inode is at its path again with another content: it was edited, or another file has got
        # its inode. Either is right, so nothing is expected of files of this identity.
        self._unclear = {numbers for path, numbers in disk.items() if self._is_unclear(path)}
        self.may_move = {row.file_id for numbers in self._unclear for row in self._left[numbers]}

    def moves(self) -> dict[str, str]:
        """Id to new path of every file that is at another path beyond doubt."""
        return {
            candidates[0].file_id: paths[0]
            for numbers, paths in self._arrived.items()
            if len(paths) == len(candidates := self._candidates(numbers)) == 1 and numbers not in self._unclear
        }

    def _candidates(self, numbers: OnDisk) -> list[FileRecord]:
        """Those that may have moved: where one was there until now, not others whose links were gone before."""
        left = self._left[numbers]
        return [row for row in left if row.missing_since is None] or left

    def ids_at(self, path: str, moved: dict[str, str]) -> set[str]:
        """The known ids that the file at `path` may have."""
        if in_place := self._in_place(path):
            return in_place
        for file_id, new_path in moved.items():
            if new_path == path:
                return {file_id}
        # Another file at a known path, such as an editor makes it, goes on as the one that was there.
        there = [self.here[path]] if path in self.here else self._absent_at[path]
        kept = {row.file_id for row in there if row.file_id not in moved}
        return kept | self.may_move if self.disk[path] in self._unclear else kept

    def is_known_at(self, path: str, moved: dict[str, str]) -> bool:
        """True if the file at `path` must have one of those ids, and may not be a new one.

        A path may have been the place of several files that are missing now; none of them has to be the new one.
        """
        if self._in_place(path) or path in moved.values():
            return True
        return path in self.here and self.here[path].file_id not in {*moved, *self.may_move}

    def _in_place(self, path: str) -> set[str]:
        """The rows of this path whose very file is there."""
        if path not in self.disk:
            return set()
        if path in self.here and self._is_inode_there(self.here[path]):
            return {self.here[path].file_id}
        back = {row.file_id for row in self._absent_at[path] if as_known(row) == self.disk[path]}
        return back if len(back) == 1 and not self._is_unclear(path) else set()

    def _has_left(self, row: FileRecord) -> bool:
        """True if the row's file is not at its path, or if only its numbers are, which are those of a file that came.

        A missing file whose inode is at its path as another known file, a hard link of it, can't have come elsewhere.
        """
        return not self._is_inode_there(row) or (row.path in self.scope and not self._in_place(row.path))

    def _is_inode_there(self, row: FileRecord) -> bool:
        there = self.disk.get(row.path)
        return there is not None and (row.device, row.inode) == (there.device, there.inode)

    def _is_unclear(self, path: str) -> bool:
        if path in self.here:
            return False
        same_inode = [as_known(row) for row in self._absent_at[path] if self._is_inode_there(row)]
        # Several hard links that are missing at one path can't be told apart; one of them may have its place there.
        return len(same_inode) > 1 or any(numbers != self.disk[path] for numbers in same_inode)


async def scan_and_check(nomarr: Nomarr, library: Library, targets: list[ScanTarget]) -> None:
    root = Path(library.root_path)
    wait_for_another_timestamp(root.parent)
    scope = Scope(root, targets)
    before = {record.path: record for record in await nomarr.libraries.list_files(library.library_id)}
    absent = await nomarr.libraries.list_files(library.library_id, missing=True)
    expected = Expectation(root, scope, before, absent, disk_files(root))

    await nomarr.libraries.scan_targets(targets)

    await assert_equal(nomarr, library, lambda path: path in scope)
    after = {record.path: record for record in await nomarr.libraries.list_files(library.library_id)}
    absent_after = await nomarr.libraries.list_files(library.library_id, missing=True)
    known = {record.file_id for record in (*before.values(), *absent)}
    moved = expected.moves()
    for path, record in after.items():
        if path in scope:
            allowed = expected.ids_at(path, moved)
            assert record.file_id in allowed or record.file_id not in known, f"{path!r} took the id of another file"
            assert record.file_id in allowed or not expected.is_known_at(path, moved), f"{path!r} has not kept its id"
        else:
            assert record == before.get(path), f"{path!r} is out of scope and was touched"
    for path, record in before.items():
        if path not in scope and record.file_id not in moved and record.file_id not in expected.may_move:
            assert after.get(path) == record, f"{path!r} is out of scope and was lost"
    everybody = [record.file_id for record in (*after.values(), *absent_after)]
    assert len(set(everybody)) == len(everybody)
    assert known <= set(everybody), "an id was forgotten"


def play(beginning: list[Step], story: list[Round]) -> None:
    """Let it happen in a folder of its own, and scan after every round."""

    async def play_in(folder: Path) -> None:
        disk = Disk(folder / "music")
        build(disk.root, {STAYS: "A root without anything in it is taken for a disk that is away."})
        async with Nomarr.open(f"sqlite:///{folder}/nomarr.db", settle_seconds=0, tag_workers=1) as nomarr:
            library = await nomarr.libraries.add_library("Music", disk.root)
            everything = [ScanTarget(library.library_id)]
            for step in beginning:
                disk.do(*step)
            await scan_and_check(nomarr, library, everything)
            for steps_, scope in story:
                for step in steps_:
                    disk.do(*step)
                await scan_and_check(nomarr, library, _targets(library, disk, scope))
            await scan_and_check(nomarr, library, everything)
            await assert_equal(nomarr, library)
            assert (await scan(nomarr, library)).changes_detected is False
            assert (await nomarr.libraries.verify(library.library_id)).equal

    with tempfile.TemporaryDirectory(prefix="nomarr-") as folder:
        anyio.run(play_in, Path(folder))


def _targets(library: Library, disk: Disk, scope: list[tuple[int, bool]] | None) -> list[ScanTarget]:
    if scope is None:
        return [ScanTarget(library.library_id)]
    there = [os.path.relpath(folder, disk.root) for folder in disk.folders()]
    folders = sorted({*FOLDERS, *there})
    return [ScanTarget(library.library_id, folders[number % len(folders)], recursive) for number, recursive in scope]


def _settings(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    # Explaining a failure takes hundreds of scans more and tells little.
    phases = [phase for phase in Phase if phase is not Phase.explain]
    return settings(max_examples=examples, deadline=None, phases=phases, suppress_health_check=list(HealthCheck))


# Hard links of one file change places with another file, and back.
_SWAPPED_AND_BACK: tuple[list[Step], list[Round]] = (
    [("create", 0, 0, 0), ("create", 0, 9, 0)],
    [([("link", 1, 29, 20), ("swap", 0, 1, 0)], None), ([("swap", 0, 1, 0)], [(0, False)])],
)
_SWAPPED_TWICE_AND_WITH_FOLDERS: tuple[list[Step], list[Round]] = (
    [("create", 0, 12, 0), ("spell_differently", 1, 0, 0), ("create", 0, 0, 0)],
    [
        ([("link", 1, 29, 0), ("swap", 0, 1, 0)], None),
        ([("swap", 0, 1, 0)], [(0, False)]),
        ([("create", 0, 1, 0)], None),
        ([("swap_folders", 0, 2, 0)], None),
    ],
)


@pytest.mark.slow
@pytest.mark.timeout(300)
@given(beginnings, rounds)
@example(*_SWAPPED_AND_BACK)
@example(*_SWAPPED_TWICE_AND_WITH_FOLDERS)
@_settings(120)
def test_the_database_follows_the_disk_and_files_keep_their_ids(beginning: list[Step], story: list[Round]) -> None:
    play(beginning, story)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@given(beginnings, rounds)
@example(*_SWAPPED_AND_BACK)
@example(*_SWAPPED_TWICE_AND_WITH_FOLDERS)
@_settings(6000)
def test_the_database_follows_the_disk_for_a_long_time(beginning: list[Step], story: list[Round]) -> None:
    play(beginning, story)
