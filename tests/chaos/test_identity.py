"""Ids at the size that people have: hundreds of songs, moved, retagged, transcoded, and songs that only look alike."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from support.collection import make_songs, retag, tag
from support.scans import ids, scan
from support.songs import encode, song

from nomarr import Library, Nomarr

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]

MOVED, TRANSCODED, LOOK_ALIKES = 300, 100, 100


def files_of(*roots: Path) -> list[Path]:
    return sorted(path for root in roots for path in root.rglob("*") if path.is_file())


async def known(nomarr: Nomarr, *libraries: Library) -> dict[str, str]:
    """Song number, with which every name begins, to id."""
    found = [item for library in libraries for item in (await ids(nomarr, library)).items()]
    by_number = {os.path.basename(path)[:3]: file_id for path, file_id in found}
    assert len(by_number) == len(found)
    return by_number


async def enriched(nomarr: Nomarr, *roots: Path) -> list[Library]:
    libraries = []
    for root in roots:
        libraries.append(await nomarr.libraries.add_library(root.name, root))
        await scan(nomarr, libraries[-1])
    await nomarr.enrichment.run()
    return libraries


async def test_renamed_retagged_and_moved_across_folders_and_libraries(database: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    one, two = tmp_path / "one", tmp_path / "two"
    make_songs(one, MOVED)
    for number, path in enumerate(files_of(one)):
        if number % 2:
            target = two / path.relative_to(one)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    async with Nomarr.open(f"sqlite:///{database}", settle_seconds=0) as nomarr:
        before = await known(nomarr, *await enriched(nomarr, one, two))
    for path in files_of(one, two):
        root = chance.choice((one, two))
        target = root / f"New {chance.randrange(20)}" / f"{path.name[:3]} {chance.random()}{path.suffix}"
        target.parent.mkdir(exist_ok=True)
        if chance.random() < 0.5:
            path.rename(target)
        else:
            shutil.copyfile(path, target)
            path.unlink()
    retag(files_of(one, two), chance)
    async with Nomarr.open(f"sqlite:///{database}", settle_seconds=0) as nomarr:
        libraries = await nomarr.libraries.list_libraries()
        for library in libraries:
            await scan(nomarr, library, accept_losses=True)
        after = await known(nomarr, *libraries)
    wrong = [number for number, file_id in after.items() if file_id in before.values() and before[number] != file_id]
    kept = sum(before[number] == file_id for number, file_id in after.items())
    print(f"{kept} of {MOVED} kept their ids, {len(wrong)} wrong")
    assert (kept, wrong) == (MOVED, [])


@pytest.mark.parametrize("suffix", [".flac", ".opus", ".m4a"])
async def test_transcoded_in_place(nomarr: Nomarr, tmp_path: Path, suffix: str) -> None:
    root, originals = tmp_path / "songs", tmp_path / "originals"
    make_songs(originals, TRANSCODED, formats=("wav",), seconds=20.0)
    for path in files_of(originals):
        target = root / path.relative_to(originals).with_suffix(".mp3")
        target.parent.mkdir(parents=True, exist_ok=True)
        encode(path.read_bytes(), target)
    [library] = await enriched(nomarr, root)
    before = await known(nomarr, library)
    for path in files_of(root):
        transcode(path, suffix)
        path.unlink()
    await scan(nomarr, library, accept_losses=True)
    after = await known(nomarr, library)
    kept = sum(before[number] == file_id for number, file_id in after.items())
    wrong = [number for number, file_id in after.items() if file_id in before.values() and before[number] != file_id]
    print(f"mp3 to {suffix}: {kept} of {TRANSCODED} kept their ids, {len(wrong)} wrong")
    assert kept >= 0.98 * TRANSCODED
    assert wrong == []


def transcode(path: Path, suffix: str) -> None:
    """From the lossy file itself, as people do."""
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(path), str(path.with_suffix(suffix))]
    subprocess.run(command, check=True, capture_output=True)


async def test_look_alikes_stay_strangers(nomarr: Nomarr, tmp_path: Path) -> None:
    root = tmp_path / "songs"
    root.mkdir()
    chance = random.Random(5)
    for number in range(LOOK_ALIKES):
        path = encode(song(number, 20 + chance.random(), artist=4), root / f"{number:03}.mp3")
        tag(path, title=f"Song {number % 10}", artist="Same")
    [library] = await enriched(nomarr, root)
    before = await known(nomarr, library)
    for number, path in enumerate(files_of(root)):
        new = encode(song(5000 + number, 20 + chance.random(), artist=4), path.with_suffix(".flac"))
        tag(new, title=f"Song {number % 10}", artist="Same")
        path.unlink()
    report = await scan(nomarr, library, accept_losses=True)
    after = await known(nomarr, library)
    merged = set(before.values()) & set(after.values())
    print(f"{len(merged)} of {LOOK_ALIKES} merged")
    assert (report.files_moved, report.files_added, merged) == (0, LOOK_ALIKES, set())
