"""What `doctor` says of enrichment: its tools, the folder of covers, what waits, what failed, and who works."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.music import png, tones
from support.owners import dead_owner, owner_elsewhere
from support.scans import scan
from support.system import give_away, open_to_everybody, without_privileges

from nomarr import Nomarr
from nomarr.components.media import fingerprint_comp
from nomarr.components.media.cover_store_comp import CoverStore
from nomarr.helpers.time_helper import system_clock
from nomarr.workflows.library.doctor_wf import Check


async def checks(nomarr: Nomarr) -> dict[str, Check]:
    found = [*await nomarr.doctor.check_machine(), *await nomarr.doctor.check_database()]
    return {check.name: check for check in found}


async def scanned(nomarr: Nomarr, music: Path) -> None:
    await scan(nomarr, await nomarr.libraries.add_library("Music", music))


async def test_the_tools_are_there(nomarr: Nomarr) -> None:
    found = await checks(nomarr)
    for name in ("Pillow", "fpcalc", "ffprobe", "chromaprint"):
        assert found[name].status == "ok"


async def test_without_chromaprint_it_says_what_that_costs_and_what_to_install(
    nomarr: Nomarr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "chromaprint", None)
    fingerprint_comp._chromaprint.cache_clear()
    check = (await checks(nomarr))["chromaprint"]
    assert check.status == "warn"
    assert "songs in other encodings are not recognized" in check.detail
    assert "libchromaprint1" in (check.remedy or "")


async def test_what_waits_is_counted_until_it_is_done(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    await scanned(nomarr, music_tree(tones(2)))
    check = (await checks(nomarr))["enrichment"]
    assert (check.status, check.detail) == ("ok", "files that wait: 2")
    assert "'nomarr enrich'" in (check.remedy or "")
    await nomarr.enrichment.run()
    found = await checks(nomarr)
    assert found["enrichment"] == Check("enrichment", "ok", "no file waits")
    assert "failed files" not in found


async def test_who_works_on_it_is_told(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    await scanned(nomarr, music_tree(tones(1)))
    owner = owner_elsewhere()
    nomarr.database.enrichment.take_lease(owner, now=system_clock(), lease_seconds=60)
    assert (await checks(nomarr))["enrichment"].detail == f"process {owner.pid} works on it now, files that wait: 1"
    nomarr.database.enrichment.give_lease_back(owner)
    nomarr.database.enrichment.take_lease(dead_owner(), now=system_clock(), lease_seconds=60)
    assert (await checks(nomarr))["enrichment"].detail == "files that wait: 1"


async def test_files_that_failed_are_told_with_their_errors(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    broken = {f"broken {number}\n.mp3": b"no sound" for number in range(5)}
    await scanned(nomarr, music_tree({**tones(1), **broken}))
    check = (await checks(nomarr))["failed files"]
    assert check.status == "warn"
    assert check.detail.startswith("files with an error: 5: broken 0\\n.mp3: ")
    assert check.detail.endswith("; and 2 more")
    assert "--retry-failed" in (check.remedy or "")


async def test_covers_are_counted_with_what_they_take(nomarr: Nomarr, music_tree: Callable[..., Path]) -> None:
    await scanned(nomarr, music_tree({**tones(1), "cover.png": png()}))
    folder = nomarr.enrichment.covers.folder
    assert (await checks(nomarr))["covers"].detail.startswith(f"{folder}: 0 stored, 0.0 MB; ")
    assert not folder.exists()
    await nomarr.enrichment.run()
    usage = nomarr.enrichment.covers.usage()
    assert (usage.covers, usage.bytes) == (1, sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
    assert (await checks(nomarr))["covers"].detail.startswith(f"{folder}: 1 stored, ")


async def test_a_folder_of_covers_that_is_none_is_an_error(nomarr: Nomarr) -> None:
    folder = nomarr.enrichment.covers.folder
    folder.parent.mkdir()
    folder.write_text("in the way")
    check = (await checks(nomarr))["covers"]
    assert check.status == "error"
    assert str(folder) in check.detail
    assert "data_folder" in (check.remedy or "")


def test_a_folder_without_the_right_to_write_is_noticed_without_writing() -> None:
    with open_to_everybody() as folder:
        give_away(folder)
        assert CoverStore(folder / "a" / "b").why_unwritable() is None
        folder.chmod(0o555)
        with without_privileges():
            assert CoverStore(folder / "a" / "b").why_unwritable() == f"{folder} can't be written to"
        assert list(folder.iterdir()) == []
