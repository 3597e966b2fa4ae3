"""An independent idea of what a library should look like: the disk as os.walk and os.stat show it, and changes.

Nothing here uses Nomarr. Of ignore rules it knows `.nomedia` and names (`/name`) in `.nomarrignore`.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

OLDEST_NS = 1_500_000_000 * 10**9
RATE = 8000


class Identity(NamedTuple):
    """What stays the same when a file is renamed."""

    device: int
    inode: int
    size: int
    mtime_ns: int


class Seen(NamedTuple):
    """A file on the disk."""

    identity: Identity
    ctime_ns: int


def files_on(root: Path) -> dict[str, Seen]:
    """Every audio file that belongs to the library at `root`, by its path in it."""
    found = {}
    for folder, subfolders, names in os.walk(root):
        if ".nomedia" in names:
            subfolders.clear()
            continue
        hidden = _hidden_names(folder) if ".nomarrignore" in names else set()
        subfolders[:] = [name for name in subfolders if name not in hidden]
        for name in names:
            if name.endswith(".wav") and name not in hidden:
                path = os.path.join(folder, name)
                status = os.stat(path)
                identity = Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
                found[os.path.relpath(path, root)] = Seen(identity, status.st_ctime_ns)
    return found


def _hidden_names(folder: str) -> set[str]:
    lines = Path(folder, ".nomarrignore").read_text().splitlines()
    return {line.removeprefix("/") for line in lines if line}


def playlists_on(root: Path) -> dict[str, list[str]]:
    """Every playlist that belongs to the library, with the paths of its entries."""
    found = {}
    for folder, subfolders, names in os.walk(root):
        if ".nomedia" in names:
            subfolders.clear()
            continue
        hidden = _hidden_names(folder) if ".nomarrignore" in names else set()
        subfolders[:] = [name for name in subfolders if name not in hidden]
        for name in names:
            if name.endswith(".m3u") and name not in hidden:
                path = os.path.relpath(os.path.join(folder, name), root)
                entries = Path(folder, name).read_text().splitlines()
                found[path] = [os.path.normpath(os.path.join(os.path.dirname(path), entry)) for entry in entries]
    return found


def wav(frames: int) -> bytes:
    """A mono wave file of `frames` samples."""
    data = bytes(frames * 2)
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
    return header + struct.pack("<4sI", b"data", len(data)) + data


class Disk:
    """One or more library roots and random changes of them; the same seed makes the same changes."""

    def __init__(self, roots: list[Path], rng: random.Random) -> None:
        self.roots = roots
        self._rng = rng
        self._numbers = itertools.count(1)
        for root in roots:
            root.mkdir()

    # -- making -----------------------------------------------------------------------------------------------

    def fill(self, root: Path, files: int) -> None:
        """A first set of files in folders of different sizes and depths."""
        left = files
        while left > 0:
            folder = root / f"Artist {next(self._numbers)}" / f"Album {next(self._numbers)}"
            folder = folder if self._rng.random() < 0.8 else folder.parent
            count = min(left, self._rng.choice([1, 5, 12, 12, 20, 90]))
            for _ in range(count):
                self._add(folder)
            left -= count
            if self._rng.random() < 0.2:
                self._put_playlist(folder)
            if self._rng.random() < 0.2:
                (folder / "cover.jpg").write_bytes(b"\xff\xd8\xff" + bytes(next(self._numbers) % 50))

    def change(self, steps: int) -> list[str]:
        """Random changes, each all over the libraries; their names."""
        done = []
        changes: list[tuple[Callable[[], None], int]] = [
            (self._add_files, 4),
            (self._edit_files, 3),
            (self._edit_unnoticeably, 1),
            (self._replace_files, 2),
            (self._rename_files, 3),
            (self._move_files, 3),
            (self._rotate_files, 2),
            (self._move_folder, 3),
            (self._delete_files, 3),
            (self._delete_folder, 1),
            (self._recreate_file, 1),
            (self._link_file, 1),
            (self._toggle_nomedia, 1),
            (self._toggle_ignored, 1),
            (self._change_playlists, 1),
            (self._break_file, 1),
        ]
        for change in self._rng.choices(*zip(*changes, strict=True), k=steps):
            change()
            done.append(change.__name__.removeprefix("_"))
        return done

    def _write(self, path: Path, content: bytes | None = None) -> None:
        number = next(self._numbers)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav(number % 2000 + 10) if content is None else content)
        self._age(path, number)

    def _age(self, path: Path, number: int) -> None:
        # Long ago and never twice the same: an identity then means exactly one file.
        mtime_ns = OLDEST_NS + number * 1_000_003
        os.utime(path, ns=(mtime_ns, mtime_ns))

    def _add(self, folder: Path) -> Path:
        path = folder / f"{self._rng.choice(['Track', 'Tïtle', '01 -'])} {next(self._numbers)}.wav"
        self._write(path)
        return path

    # -- choosing ---------------------------------------------------------------------------------------------

    def _root(self) -> Path:
        return self._rng.choice(self.roots)

    def _folders(self, root: Path) -> list[Path]:
        return sorted(Path(folder) for folder, _, _ in os.walk(root) if Path(folder) != root)

    def _folder(self, root: Path | None = None) -> Path:
        folders = self._folders(root or self._root())
        return self._rng.choice(folders) if folders else (root or self._root()) / f"Folder {next(self._numbers)}"

    def _files(self, at_most: int) -> list[Path]:
        every = sorted(path for root in self.roots for path in root.rglob("*.wav"))
        return self._rng.sample(every, min(len(every), self._rng.randint(1, at_most)))

    def _new_name(self, folder: Path) -> Path:
        return folder / f"Moved {next(self._numbers)}.wav"

    # -- changes ----------------------------------------------------------------------------------------------

    def _add_files(self) -> None:
        # Sometimes enough for worker processes.
        for _ in range(self._rng.choice([1, 2])):
            folder = self._folder()
            if self._rng.random() < 0.5:
                folder = folder / f"New {next(self._numbers)}"
            for _ in range(self._rng.choice([1, 7, 30, 150])):
                self._add(folder)

    def _edit_files(self) -> None:
        for path in self._files(30):
            with path.open("r+b") as file:
                file.truncate()
                file.write(wav(next(self._numbers) % 2000 + 10))
            self._age(path, next(self._numbers))

    def _edit_unnoticeably(self) -> None:
        """Another content of the same size, and the mtime put back: only the ctime tells."""
        for path in self._files(5):
            before = path.stat()
            if before.st_size > 100:
                with path.open("r+b") as file:
                    file.seek(60)
                    file.write(b"other")
                os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))

    def _replace_files(self) -> None:
        """As programs save: a new file takes the place of the old one."""
        for path in self._files(10):
            new = path.with_name(path.name + ".tmp")
            self._write(new)
            new.replace(path)

    def _rename_files(self) -> None:
        for path in self._files(20):
            path.rename(self._new_name(path.parent))

    def _move_files(self) -> None:
        for path in self._files(20):
            path.rename(self._new_name(self._folder()))

    def _rotate_files(self) -> None:
        """Swaps and longer rings: each file goes where the next one was."""
        ring = self._files(4)
        if len(ring) < 2:
            return
        spare = ring[0].with_name("spare.tmp")
        ring[0].rename(spare)
        for path, free in zip(ring[1:], ring, strict=False):
            path.rename(free)
        spare.rename(ring[-1])

    def _move_folder(self) -> None:
        folder = self._folder()
        into = self._folder(self._root())
        if not folder.is_dir() or not into.is_dir() or into.is_relative_to(folder) or not _is_small(folder, 45):
            return
        folder.rename(into / f"Moved {next(self._numbers)}")

    def _delete_files(self) -> None:
        for path in self._files(12):
            path.unlink()

    def _delete_folder(self) -> None:
        folder = self._folder()
        if folder.is_dir() and _is_small(folder, 25):
            shutil.rmtree(folder)

    def _recreate_file(self) -> None:
        for path in self._files(3):
            path.unlink()
            self._write(path)

    def _link_file(self) -> None:
        for path in self._files(2):
            os.link(path, self._new_name(path.parent))

    def _toggle_nomedia(self) -> None:
        folder = self._folder()
        marker = folder / ".nomedia"
        if marker.exists():
            marker.unlink()
        elif folder.is_dir() and _is_small(folder, 45):
            marker.touch()

    def _toggle_ignored(self) -> None:
        for path in self._files(3):
            rules = path.with_name(".nomarrignore")
            if rules.exists():
                rules.unlink()
            else:
                rules.write_text(f"/{path.name}\n")

    def _change_playlists(self) -> None:
        for _ in range(3):
            folder = self._folder()
            if folder.is_dir():
                self._put_playlist(folder)

    def _put_playlist(self, folder: Path) -> None:
        entries = [path.name for path in sorted(folder.glob("*.wav"))[:5]]
        (folder / "list.m3u").write_text("\n".join([*entries, "not there.wav"]) + "\n")

    def _break_file(self) -> None:
        self._write(self._new_name(self._folder()), b"" if self._rng.random() < 0.5 else b"no wave file at all")


def _is_small(folder: Path, files: int) -> bool:
    """Small enough that losing it does not look like an accident."""
    return sum(1 for _ in itertools.islice(folder.rglob("*.wav"), files + 1)) <= files


def unambiguous(identities: Iterator[Identity] | list[Identity]) -> set[Identity]:
    """Those that occur once: a hard link has two places and is nobody's move."""
    return {identity for identity, times in Counter(identities).items() if times == 1}
