"""What a look at a folder finds, and when its digest changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nomarr.components.library.ignore_rules_comp import IgnoreRules
from nomarr.components.library.walk_folders_comp import FolderWalker, existing_target
from nomarr.helpers.dto.files import FolderListing, int64
from nomarr.helpers.dto.library import ScanTarget


def walk(root: Path, folder: str = "", *, recursive: bool = True, stable: bool = True) -> dict[str, FolderListing]:
    walker = FolderWalker(str(root), IgnoreRules(), stable_identity=stable)
    return {listing.path: listing for listing in walker.walk(ScanTarget("l", folder, recursive))}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("b/2.mp3", "b/1.mp3", "a/x/1.FLAC", "a/cover.jpg", "a/list.m3u", "a/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def test_folders_and_names_come_sorted_and_only_what_is_ours(root: Path) -> None:
    found = walk(root)
    assert list(found) == ["", "a", "a/x", "b"]
    assert found["b"].names == ("1.mp3", "2.mp3")
    assert found["a"].names == ("cover.jpg", "list.m3u")
    assert (found["a"].audio_files, found["a/x"].audio_files) == (0, 1)


def test_a_shallow_target_is_one_folder(root: Path) -> None:
    assert list(walk(root, "a", recursive=False)) == ["a"]


def test_numbers_are_those_of_the_disk(root: Path) -> None:
    status = (root / "b" / "1.mp3").stat()
    assert walk(root)["b"].stat_at(0) == (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def test_a_digest_stays_until_something_changes(root: Path) -> None:
    before = walk(root)
    assert {path: listing.digest for path, listing in walk(root).items()} == {
        path: listing.digest for path, listing in before.items()
    }
    os.utime(root / "b" / "1.mp3", ns=(0, 0))
    after = walk(root)
    assert [path for path in before if before[path].digest != after[path].digest] == ["b"]


def test_a_digest_changes_with_the_rules(root: Path) -> None:
    before = walk(root)["b"].digest
    (root / ".nomarrignore").write_text("*.wav\n", encoding="utf-8")
    assert walk(root)["b"].digest != before


def test_an_edit_that_restores_the_old_time_changes_the_digest(root: Path) -> None:
    file = root / "b" / "1.mp3"
    status, before = file.stat(), walk(root)["b"].digest
    file.write_bytes(b"B" * status.st_size)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert walk(root)["b"].digest != before


def test_where_inodes_mean_nothing_they_are_left_out(root: Path) -> None:
    before = walk(root, stable=False)["b"]
    copy = (root / "b" / "1.mp3").read_bytes()
    times = (root / "b" / "1.mp3").stat()
    (root / "b" / "1.mp3").unlink()
    (root / "b" / "1.mp3").write_bytes(copy)
    os.utime(root / "b" / "1.mp3", ns=(times.st_atime_ns, times.st_mtime_ns))
    after = walk(root, stable=False)["b"]
    assert after.digest == before.digest
    assert after.stat_at(0)[2:] == (0, 0)


def test_a_rule_file_that_cannot_be_read_makes_its_folder_unknown(root: Path) -> None:
    (root / "a" / ".nomarrignore").mkdir()
    (root / "b" / ".nomarrignore").symlink_to(".nomarrignore")
    found = walk(root)
    assert found["a"].error is None
    assert found["b"].error is not None
    assert "can't be read" in found["b"].error


def test_a_loop_of_folders_is_walked_once(root: Path) -> None:
    (root / "a" / "loop").symlink_to(root)
    assert list(walk(root)) == ["", "a", "a/x", "b"]


def test_a_target_that_is_gone_becomes_its_nearest_parent(root: Path) -> None:
    assert existing_target(str(root), ScanTarget("l", "a/x")) == ScanTarget("l", "a/x")
    assert existing_target(str(root), ScanTarget("l", "a/none/deep")) == ScanTarget("l", "a", recursive=False)
    assert existing_target(str(root), ScanTarget("l", "none")) == ScanTarget("l", "", recursive=False)
    assert existing_target(str(root), ScanTarget("l", "b/1.mp3/x")) == ScanTarget("l", "b", recursive=False)


@pytest.mark.parametrize("number", [0, -1, (1 << 63) - 1, -(1 << 63)])
def test_numbers_that_fit_stay(number: int) -> None:
    assert int64(number) == number


def test_numbers_that_do_not_fit_stay_different() -> None:
    assert len({int64(number) for number in range((1 << 64) - 9, 1 << 64)} | {int64(1 << 63)}) == 10
