# mypy: disable-error-code="no-untyped-call"
# (mutagen says that it is typed, but most of its functions are not.)
"""Measure enrichment: against `fpcalc` run for one file after the other, its memory, and how free the event loop stays.

The library: 200 songs (pink noise of 30 to 60 s, each of a seed of its own) are encoded by ffmpeg, in equal parts as
MP3, FLAC, Opus and M4A. Each file of the library is one of these songs cut at another place: ffmpeg copies the
encoded frames from a start of its own (0, 0.5, 1.0 s ...) and gives it a title of its own, so that no two files have
the same audio and nothing has to be encoded twice. Then its album's cover, one of 100 JPEGs, is embedded by mutagen.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from acceptance import FAIL, Check, judged
from measure import BenchmarkError, Run, read_all, run, use_cores
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3
from mutagen.mp4 import MP4, MP4Cover
from mutagen.oggopus import OggOpus
from PIL import Image

from nomarr import Config, Nomarr

FILES, SONGS, ALBUMS = 2_000, 200, 100
SHORTEST_SECONDS, LONGEST_SECONDS = 30, 60
CUT_SECONDS = 0.5
COVER_PIXELS = 600
TIMES_FPCALC = 1.7
PEAK_RSS_MB = 300
BLOCKED_SECONDS = 0.050
HEARTBEAT_SECONDS = 0.005
CORES = 2
ENCODERS = {
    "mp3": ("-c:a", "libmp3lame", "-b:a", "192k"),
    "flac": ("-c:a", "flac"),
    "opus": ("-c:a", "libopus", "-b:a", "128k"),
    "m4a": ("-c:a", "aac", "-b:a", "160k"),
}
MARKER = ".enrichment-library.json"


# --- The library ------------------------------------------------------------------------------------------------------


def make_library(folder: Path, files: int) -> None:
    """Make it in `folder`, unless it is there already."""
    plan = {"files": files, "songs": SONGS, "albums": ALBUMS, "version": 1}
    marker = folder / MARKER
    if marker.exists() and json.loads(marker.read_text()) == plan:
        return
    if folder.exists() and any(folder.iterdir()):
        raise BenchmarkError(f"{folder} is not empty and not a library of {files} files for this benchmark")
    folder.mkdir(parents=True, exist_ok=True)
    songs = min(SONGS, files)
    with tempfile.TemporaryDirectory(prefix="songs-", dir=folder.parent) as place, ThreadPoolExecutor(CORES) as threads:
        encoded = list(threads.map(lambda number: _encode(Path(place), number), range(songs)))
        covers = list(threads.map(_cover, range(ALBUMS)))
        list(threads.map(lambda number: _make_file(folder, number, encoded, covers), range(files)))
    marker.write_text(json.dumps(plan))


def _encode(folder: Path, number: int) -> Path:
    kind = list(ENCODERS)[number % len(ENCODERS)]
    seconds = random.Random(number).randint(SHORTEST_SECONDS, LONGEST_SECONDS) + 10
    path = folder / f"{number}.{kind}"
    noise = f"anoisesrc=seed={number + 1}:duration={seconds}:sample_rate=44100:color=pink:amplitude=0.4"
    _ffmpeg("-f", "lavfi", "-i", noise, "-ac", "2", *ENCODERS[kind], str(path))
    return path


def _cover(number: int) -> bytes:
    rng = random.Random(number)
    image = Image.effect_noise((COVER_PIXELS // 4, COVER_PIXELS // 4), rng.randint(20, 80))
    image = image.resize((COVER_PIXELS, COVER_PIXELS)).convert("RGB")
    image.paste((number, 255 - number, 128), (0, 0, COVER_PIXELS // 2, COVER_PIXELS // 2))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return stream.getvalue()


def _make_file(folder: Path, number: int, songs: list[Path], covers: list[bytes]) -> None:
    song = songs[number % len(songs)]
    start = number // len(songs) * CUT_SECONDS
    album = number % ALBUMS
    path = folder / f"Album {album:03}" / f"{number:05}{song.suffix}"
    path.parent.mkdir(exist_ok=True)
    tags = ("-metadata", f"title=Song {number}", "-metadata", f"album=Album {album}")
    _ffmpeg("-ss", str(start), "-i", str(song), "-c", "copy", *tags, str(path))
    _EMBED[song.suffix](path, covers[album])


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-threads", "1", *arguments], check=True, stdin=subprocess.DEVNULL)


def _embed_mp3(path: Path, cover: bytes) -> None:
    tags = ID3(path)
    tags.add(APIC(encoding=3, mime="image/jpeg", type=3, desc="", data=cover))
    tags.save(path)


def _embed_flac(path: Path, cover: bytes) -> None:
    audio = FLAC(path)
    audio.add_picture(_flac_picture(cover))
    audio.save()


def _embed_opus(path: Path, cover: bytes) -> None:
    audio: Any = OggOpus(path)
    audio["metadata_block_picture"] = [base64.b64encode(_flac_picture(cover).write()).decode()]
    audio.save()


def _embed_m4a(path: Path, cover: bytes) -> None:
    audio: Any = MP4(path)
    audio["covr"] = [MP4Cover(cover, MP4Cover.FORMAT_JPEG)]
    audio.save()


def _flac_picture(cover: bytes) -> Picture:
    picture = Picture()
    picture.type, picture.mime, picture.data = 3, "image/jpeg", cover
    return picture


_EMBED = {".mp3": _embed_mp3, ".flac": _embed_flac, ".opus": _embed_opus, ".m4a": _embed_m4a}


# --- The measurement --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enriched:
    """One run in a process of its own."""

    process: Run
    """From the start of Python to its end; the scan is not in it."""
    files: int
    longest_block_seconds: float
    longest_wait_seconds: float
    """Of a process beside it that does nothing: how long the machine let anybody wait for a processor."""


@dataclass(frozen=True, slots=True)
class Round:
    """Both, one after the other."""

    fpcalc: Run
    """All of its runs, one by one."""
    enriched: Enriched
    load: float

    @property
    def times_fpcalc(self) -> float:
        return self.fpcalc.seconds / self.enriched.process.seconds

    def __str__(self) -> str:
        nomarr = self.enriched.process
        return (
            f"fpcalc {self.fpcalc.seconds:.1f} s (processor {self.fpcalc.cpu_seconds:.1f} s),"
            f" nomarr {nomarr.seconds:.1f} s (processor {nomarr.cpu_seconds:.1f} s): {self.times_fpcalc:.2f} ×,"
            f" longest block {self.enriched.longest_block_seconds * 1000:.0f} ms"
            f" (of an idle process {self.enriched.longest_wait_seconds * 1000:.0f} ms), load {self.load:.1f}"
        )


def fpcalc_one_by_one(paths: list[Path], work: Path) -> Run:
    """As a shell loop does it."""
    fpcalc = shutil.which("fpcalc")
    if fpcalc is None:
        raise BenchmarkError("fpcalc is missing")
    runs = [run([fpcalc, "-json", "-length", "120", str(path)], cwd=work, keep_output=False) for path in paths]
    return Run(sum(one.seconds for one in runs), sum(one.cpu_seconds for one in runs), 0, "", "", None)


def enrich(library: Path, work: Path, *, sample_memory: bool = False) -> Enriched:
    """Scan into a database of its own, then enrich in a new process."""
    with tempfile.TemporaryDirectory(prefix="state-", dir=work) as state:
        _ourselves("scan", state, library)
        idle_command = [sys.executable, __file__, "--task", "idle"]
        with subprocess.Popen(idle_command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as idle:
            process = _ourselves("enrich", state, library, sample_memory=sample_memory)
            waited, _ = idle.communicate()
    found = json.loads(process.output)
    return Enriched(process, found["files"], found["longest_block_seconds"], float(waited))


def _ourselves(task: str, state: str, library: Path, *, sample_memory: bool = False) -> Run:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NOMARR_")}
    command = [sys.executable, __file__, "--task", task, "--state", state, "--library", str(library)]
    done = run(command, cwd=Path(state), environment=environment, sample_memory=sample_memory)
    if done.exit_code:
        raise BenchmarkError(f"the process that was to {task} ended with {done.exit_code}: {done.errors}")
    return done


async def scan_or_enrich(task: str, state: Path, library: Path) -> None:
    """What the processes do that `enrich` starts."""
    config = Config(database_url=f"sqlite:///{state}/nomarr.db", settle_seconds=0)
    # As the command line does it: what was imported takes no part in collections, of which a full one blocks the loop.
    gc.freeze()
    async with Nomarr.open(config) as nomarr:
        if task == "scan":
            known = await nomarr.libraries.find_or_add_library(library)
            handle = await nomarr.libraries.start_scan_for_library(known.library_id)
            await handle.result()
            return
        heart = Heart()
        beating = asyncio.create_task(heart.beat())
        report = await nomarr.enrichment.run()
        beating.cancel()
    print(json.dumps({"files": report.files_completed, "longest_block_seconds": heart.longest_block_seconds}))


async def be_idle() -> None:
    """Until the standard input ends."""
    heart = Heart()
    beating = asyncio.create_task(heart.beat())
    await asyncio.to_thread(sys.stdin.read)
    beating.cancel()
    print(heart.longest_block_seconds)


class Heart:
    """Notices when the event loop does not come round."""

    def __init__(self) -> None:
        self.longest_block_seconds = 0.0

    async def beat(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            now = time.perf_counter()
            self.longest_block_seconds = max(self.longest_block_seconds, now - last - HEARTBEAT_SECONDS)
            last = now


def one_round(paths: list[Path], library: Path, work: Path, *, fpcalc_first: bool) -> Round:
    """In turn first: what comes second finds a machine that may be warmer or busier."""
    read_all(library)
    if fpcalc_first:
        fpcalc = fpcalc_one_by_one(paths, work)
    enriched = enrich(library, work)
    if not fpcalc_first:
        fpcalc = fpcalc_one_by_one(paths, work)
    return Round(fpcalc, enriched, os.getloadavg()[0])


def measure(library: Path, work: Path, rounds: int) -> list[Check]:
    """Memory is measured in a run of its own, since sampling it costs time."""
    paths = sorted(path for path in library.rglob("*") if path.suffix in _EMBED)
    found: list[Round] = []
    for number in range(rounds):
        found.append(one_round(paths, library, work, fpcalc_first=number % 2 == 0))
        print(f"round {number + 1}: {found[-1]}", flush=True)
    watched = enrich(library, work, sample_memory=True)
    ratio = median(one.times_fpcalc for one in found)
    block = median(one.enriched.longest_block_seconds for one in found)
    wait = median(one.enriched.longest_wait_seconds for one in found)
    rate = len(paths) / median(one.enriched.process.seconds for one in found)
    complete = min(one.enriched.files for one in found)
    peak = watched.process.peak_rss_bytes or 0
    return [
        judged("all", f"each of {len(paths):,} files is complete", complete == len(paths), f"{complete:,}"),
        judged("speed", f"at least {TIMES_FPCALC} × as fast as fpcalc one by one", ratio >= TIMES_FPCALC,
               f"{ratio:.2f} ×, {rate:.1f} files/s"),
        judged("memory", f"all processes together below {PEAK_RSS_MB} MB", 0 < peak < PEAK_RSS_MB * 1e6,
               f"{peak / 1e6:.0f} MB"),
        judged("loop", f"the event loop is never blocked for more than {BLOCKED_SECONDS * 1000:.0f} ms",
               block <= BLOCKED_SECONDS, f"{block * 1000:.0f} ms; of an idle process {wait * 1000:.0f} ms"),
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--library", type=Path, help="where the library is kept for the next time (default: nowhere)")
    parser.add_argument("--work", type=Path, help="where the databases are made (default: a temporary folder)")
    parser.add_argument("--files", type=int, default=FILES, help=f"how many files (default: {FILES})")
    parser.add_argument("--rounds", type=int, default=1, help="how often both are measured (default: once)")
    parser.add_argument("--task", choices=("scan", "enrich", "idle"), help=argparse.SUPPRESS)
    parser.add_argument("--state", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task == "idle":
        asyncio.run(be_idle())
        return 0
    if options.task:
        asyncio.run(scan_or_enrich(options.task, options.state, options.library))
        return 0
    use_cores(CORES)
    with tempfile.TemporaryDirectory(prefix="nomarr-enrichment-", dir=options.work) as work:
        library = options.library or Path(work) / "library"
        make_library(library, options.files)
        checks = measure(library, Path(work), options.rounds)
    for check in checks:
        print(f"{check.state} {check.line:8} {check.text}: {check.measured}")
    return int(any(check.state == FAIL for check in checks))


if __name__ == "__main__":
    sys.exit(main())
