"""What a scan keeps in memory of each new folder until it has looked at the last one."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from nomarr.components.library.diff_folder_comp import diff_folder
from nomarr.components.library.ignore_rules_comp import IgnoreRules
from nomarr.components.library.walk_folders_comp import FolderWalker
from nomarr.helpers.dto.files import no_entries
from nomarr.helpers.dto.library import ScanTarget

FOLDERS = 2000


def bytes_kept_per_folder(root: Path) -> float:
    walker = FolderWalker(str(root), IgnoreRules(), stable_identity=True)
    tracemalloc.start()
    try:
        diffs = [
            diff_folder(listing, (), (), read_everything=False, timestamp_granularity=0.0)
            for listing in walker.walk(ScanTarget("l"))
        ]
        return tracemalloc.get_traced_memory()[0] / len(diffs)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("files", "most_bytes"),
    [
        # Measured: 660 and 880; with a `dict` or `list` of its own for whatever a folder may have, 1,580 and 1,790.
        pytest.param([], 800, id="empty"),
        pytest.param(["01 - Song.mp3"], 1100, id="one file"),
    ],
)
def test_a_new_folder_takes_little_memory(tmp_path: Path, files: list[str], most_bytes: int) -> None:
    for number in range(FOLDERS):
        folder = tmp_path / f"Artist {number // 100:02}" / f"Album {number:04}"
        folder.mkdir(parents=True)
        for name in files:
            (folder / name).touch()
    assert bytes_kept_per_folder(tmp_path) < most_bytes


def test_nobody_can_write_into_what_all_folders_share() -> None:
    with pytest.raises(TypeError):
        no_entries()["a"] = "b"  # type: ignore[index]  # what is tested
    assert dict(no_entries()) == {}
