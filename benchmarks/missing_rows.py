"""Measure what missing files cost: a scan of 500 new files with 10,000 missing ones in the library, and without.

Every file is an MP3 stream cut at a place of its own, so that its audio has a length and a hash of its own. The missing
files are known by their sound, as enrichment leaves them; their fingerprints are made up, since none is compared.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from acceptance import FAIL, Check, judged
from make_library import encode_sounds
from mutagen.id3 import ID3, TIT2, TPE1

from nomarr import Library, Nomarr, ScanTarget
from nomarr.components.library.lease_owner_comp import lease_owner
from nomarr.components.media.audio_hash_comp import audio_hash
from nomarr.helpers.dto.enrichment import Enrichment, EnrichmentUpdate, ProcessingStatus
from nomarr.helpers.dto.files import FileRecord, FileStat
from nomarr.helpers.time_helper import system_clock

MISSING, NEW = 10_000, 500
TIMES_WITHOUT = 2.0
FILES_PER_FOLDER = 11
MADE_UP_FINGERPRINT = "AQAA" * 700


@dataclass(frozen=True, slots=True)
class Cost:
    """One scan of the new files."""

    wall_seconds: float
    cpu_seconds: float


def make_files(folder: Path, count: int, streams: list[bytes], chance: random.Random) -> None:
    for number in range(count):
        place = folder / f"album {number // FILES_PER_FOLDER}"
        place.mkdir(parents=True, exist_ok=True)
        stream = chance.choice(streams)
        path = place / f"{number:05}.mp3"
        path.write_bytes(stream[: chance.randrange(len(stream) // 2, len(stream))])
        tags = ID3()  # type: ignore[no-untyped-call]
        tags.add(TIT2(text=f"Title {number}"))  # type: ignore[no-untyped-call]
        tags.add(TPE1(text=f"Artist {number % 97}"))  # type: ignore[no-untyped-call]
        tags.save(path)


async def scan(nomarr: Nomarr, library: Library, folder: str = "", **options: bool) -> None:
    await nomarr.libraries.scan_targets([ScanTarget(library.library_id, folder)], **options)  # type: ignore[arg-type]


def remember_sound(nomarr: Nomarr, root: Path, file: FileRecord) -> None:
    hashed = audio_hash(str(root / file.path))
    stat = FileStat(file.size, file.mtime_ns, file.ctime_ns, file.inode)
    found = Enrichment(
        stat,
        hashed.digest,
        hashed.payload_bytes,
        fingerprint=MADE_UP_FINGERPRINT,
        fingerprint_seconds=file.tags.duration_seconds,
    )
    update = EnrichmentUpdate(file.file_id, stat, ProcessingStatus.COMPLETE, None, found)
    enrichment = nomarr.database.enrichment
    with lease_owner() as owner:
        enrichment.take_lease(owner, now=system_clock(), lease_seconds=60)
        enrichment.store(update, owner, now=system_clock)
        enrichment.give_lease_back(owner)


async def measure(place: Path, missing: int, new: int, streams: list[bytes]) -> Cost:
    chance = random.Random(1)
    root = place / "music"
    root.mkdir()
    async with Nomarr.open(f"sqlite:///{place / 'nomarr.db'}", settle_seconds=0) as nomarr:
        library = await nomarr.libraries.add_library("Music", root)
        # One file that stays: else sounds would not be compared at all.
        make_files(root, missing + 1, streams, chance)
        await scan(nomarr, library)
        for file in await nomarr.libraries.list_files(library.library_id):
            remember_sound(nomarr, root, file)
        for path in sorted(root.rglob("*.mp3"))[1:]:
            path.unlink()
        await scan(nomarr, library, accept_losses=True)
        make_files(root / "new", new, streams, chance)
        before, since = os.times(), time.perf_counter()
        await scan(nomarr, library, "new")
        after = os.times()
        return Cost(time.perf_counter() - since, sum(after[:4]) - sum(before[:4]))


def judge(without: list[Cost], with_missing: list[Cost]) -> Check:
    """By processor time: it is what other programs on the machine disturb least."""
    alone, beside = (median(cost.cpu_seconds for cost in costs) for costs in (without, with_missing))
    wall = median(cost.wall_seconds for cost in with_missing) / median(cost.wall_seconds for cost in without)
    text = f"{NEW} new files beside {MISSING:,} missing ones: at most {TIMES_WITHOUT:g} × the same scan without these"
    measured = f"{beside / alone:.2f} × the processor time ({beside:.2f} against {alone:.2f} s), {wall:.2f} × the time"
    return judged("I6", text, beside <= TIMES_WITHOUT * alone, measured)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds: int = parser.parse_args().rounds
    streams = encode_sounds().audio["mp3"]
    costs: dict[int, list[Cost]] = {0: [], MISSING: []}
    for _ in range(rounds):
        for missing, found in costs.items():
            place = Path(tempfile.mkdtemp(prefix="nomarr-bench-"))
            try:
                found.append(asyncio.run(measure(place, missing, NEW, streams)))
            finally:
                shutil.rmtree(place)
    check = judge(costs[0], costs[MISSING])
    print(f"{check.state}  {check.line}  {check.text}: {check.measured}")
    return int(check.state == FAIL)


if __name__ == "__main__":
    sys.exit(main())
