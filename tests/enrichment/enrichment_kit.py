"""Short words for tests of enrichment: files with real covers, and tools that are watched, missing or misbehave."""

from __future__ import annotations

import base64
import io
import os
import shutil
import time
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3, TIT2
from mutagen.mp4 import MP4, MP4Cover
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE
from PIL import Image
from support.music import wait_for_another_timestamp
from support.scans import scan
from support.songs import encode, song

from nomarr import FileRecord, Library, Nomarr
from nomarr.components.media.cover_store_comp import THUMBNAIL_SIZES, CoverStore
from nomarr.helpers.dto.enrichment import EnrichmentReport

_MARK = "MARK_OF_ENRICHMENT_TEST"
FPCALC, FFPROBE = "fpcalc", "ffprobe"
_ANSWERS = "answers"
_HELPERS = ("multiprocessing.resource_tracker", "support/fork_server.py", "playwright", "chromium")
HANGS = "exec sleep 600"
IGNORES_SIGTERM = "trap '' TERM; sleep 600; sleep 600"
CRASHES = "kill -SEGV $$"
FLOODS = "exec cat /dev/zero"
SECONDS = 6.0
"""Long enough for a fingerprint."""


class Tools:
    """A folder in front of the search path; what it holds is found instead of the real tools, and logs each call."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._path = os.environ["PATH"]
        folder.mkdir()
        (folder / "nothing").mkdir()
        # What is started from now on can be told from everything else, whoever its parent is by then.
        monkeypatch.setenv(_MARK, str(folder))
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{self._path}")

    def wrap(self, name: str = FPCALC, *, only: str = "*", do: str = ":", before: str = ":", then: str = "") -> None:
        """Log each file that a tool is called for; for those that fit the shell pattern `only`, first `do` this.

        In `do`, "$file" is the path of the file; `before` is done once a call, before that, and `then` follows the
        call of the real tool.
        """
        real = shutil.which(name, path=self._path)
        assert real is not None, f"these tests need {name}"
        run = f'{real} "$@" {then}' if then else f'exec {real} "$@"'
        script = self._folder / f"{name}.new"
        script.write_text(
            f"""#!/bin/sh
{before}
for file; do
    case "$file" in (/*)
        printf '%s\\n' "${{file##*/}}" >> '{self._log(name)}'
        case "$file" in ({only}) {do};; esac
    esac
done
{run}
"""
        )
        script.chmod(0o755)
        script.replace(self._folder / name)

    def calls(self, name: str = FPCALC) -> list[str]:
        """The names of the files that a wrapped tool was called for, in order; one call may be for several."""
        log = self._log(name)
        return log.read_text().splitlines() if log.exists() else []

    def wrap_and_note_answers(self) -> None:
        """As `wrap`, and `answers` tells how many files fpcalc has told something of."""
        self.wrap(then=f"| tee -a '{self._log(_ANSWERS)}'")

    def answers(self) -> int:
        return len(self.calls(_ANSWERS))

    def forget_calls(self) -> None:
        for name in (FPCALC, FFPROBE, _ANSWERS):
            self._log(name).unlink(missing_ok=True)

    def hide_all(self) -> None:
        """From now on no tool is installed."""
        self._monkeypatch.setenv("PATH", str(self._folder / "nothing"))

    def show_only(self, name: str) -> None:
        """From now on only this tool is installed."""
        only = self._folder / f"only {name}"
        only.mkdir()
        (only / name).symlink_to(self._folder / name)
        self._monkeypatch.setenv("PATH", str(only))

    def show_all(self) -> None:
        self._monkeypatch.setenv("PATH", f"{self._folder}{os.pathsep}{self._path}")

    def processes(self) -> list[psutil.Process]:
        """Everything that was started since these tools are in place and still runs."""
        every = psutil.process_iter(["environ"])
        return [one for one in every if (one.info["environ"] or {}).get(_MARK) == str(self._folder) and _runs(one)]

    def wait_until_gone(self, seconds: float = 5.0) -> None:
        """Until nothing of it runs any more."""
        deadline = time.monotonic() + seconds
        while found := self.processes():
            assert time.monotonic() < deadline, f"still running: {found}"
            time.sleep(0.01)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


# -- files ----------------------------------------------------------------------------------------------------


def picture(number: int, size: int = 40) -> bytes:
    """A PNG, another one for each number below 16 million."""
    image = Image.new("RGB", (size, size), (number % 256, number // 256 % 256, number // 65536))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def sound(path: Path, number: int = 1, cover: bytes | None = None, seconds: float = SECONDS) -> Path:
    """A piece of music, encoded by the extension of its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encode(song(number, seconds), path)
    if cover is not None:
        embed(path, cover)
    return path


def embed(path: Path, cover: bytes | None) -> None:
    """Let this be the only picture in the file; None leaves none."""
    _EMBED[path.suffix](path, cover)
    wait_for_another_timestamp(path.parents[1])


def retitle(path: Path, title: str) -> None:
    """Change nothing but a tag."""
    audio: Any = {".flac": FLAC, ".ogg": OggVorbis, ".opus": OggOpus, ".m4a": MP4, ".wav": WAVE}.get(path.suffix, ID3)(
        path
    )
    match path.suffix:
        case ".m4a":
            audio["\xa9nam"] = [title]
        case ".mp3":
            audio.add(TIT2(encoding=3, text=[title]))
        case ".wav":
            audio.tags.add(TIT2(encoding=3, text=[title]))
        case _:
            audio["title"] = [title]
    audio.save(path)
    wait_for_another_timestamp(path.parents[1])


def _embed_id3(path: Path, cover: bytes | None) -> None:
    tags = ID3(path)
    tags.delall("APIC")
    if cover is not None:
        tags.add(APIC(encoding=3, mime="image/png", type=3, desc="", data=cover))
    tags.save(path)


def _embed_wave(path: Path, cover: bytes | None) -> None:
    audio: Any = WAVE(path)
    if audio.tags is None:
        audio.add_tags()
    audio.tags.delall("APIC")
    if cover is not None:
        audio.tags.add(APIC(encoding=3, mime="image/png", type=3, desc="", data=cover))
    audio.save()


def _embed_flac(path: Path, cover: bytes | None) -> None:
    audio = FLAC(path)
    audio.clear_pictures()
    if cover is not None:
        audio.add_picture(_flac_picture(cover))
    audio.save()


def _embed_ogg(path: Path, cover: bytes | None) -> None:
    audio: Any = (OggOpus if path.suffix == ".opus" else OggVorbis)(path)
    pictures = [] if cover is None else [base64.b64encode(_flac_picture(cover).write()).decode()]
    audio["metadata_block_picture"] = pictures
    audio.save()


def _embed_mp4(path: Path, cover: bytes | None) -> None:
    audio: Any = MP4(path)
    audio["covr"] = [] if cover is None else [MP4Cover(cover, MP4Cover.FORMAT_PNG)]
    audio.save()


def _flac_picture(cover: bytes) -> Picture:
    found = Picture()
    found.type, found.mime, found.data = 3, "image/png", cover
    return found


_EMBED = {
    ".mp3": _embed_id3,
    ".wav": _embed_wave,
    ".flac": _embed_flac,
    ".ogg": _embed_ogg,
    ".opus": _embed_ogg,
    ".m4a": _embed_mp4,
}


# -- what Nomarr says -----------------------------------------------------------------------------------------


async def add(nomarr: Nomarr, root: Path) -> Library:
    """The folder as a library, scanned."""
    wait_for_another_timestamp(root.parent)
    library = await nomarr.libraries.add_library(root.name, root)
    await scan(nomarr, library)
    return library


async def scan_and_enrich(nomarr: Nomarr, library: Library, **options: Any) -> EnrichmentReport:
    """Bring everything up to date."""
    wait_for_another_timestamp(Path(library.root_path).parent)
    await scan(nomarr, library, **options)
    return await nomarr.enrichment.run()


async def rows(nomarr: Nomarr, library: Library) -> dict[str, FileRecord]:
    """The files that are there, by path, with their fingerprints."""

    def read() -> dict[str, FileRecord]:
        every = nomarr.database.library_files.records(library.library_id, fingerprints=True)
        return {record.path: record for record in every}

    return await anyio.to_thread.run_sync(read)


async def statuses(nomarr: Nomarr, library: Library) -> dict[str, str]:
    return {path: record.processing_status for path, record in (await rows(nomarr, library)).items()}


async def errors(nomarr: Nomarr, library: Library) -> dict[str, str]:
    """What is wrong, by path."""
    found = await rows(nomarr, library)
    return {path: record.last_error for path, record in found.items() if record.last_error is not None}


# -- covers ---------------------------------------------------------------------------------------------------


def cover_folder(nomarr: Nomarr) -> Path:
    """Where covers are kept."""
    assert nomarr.database.own_folder is not None
    return nomarr.database.own_folder / "covers"


def cover_files(nomarr: Nomarr) -> list[Path]:
    """Everything that is kept for covers."""
    return sorted(path for path in cover_folder(nomarr).rglob("*") if path.is_file())


def is_whole(covers: CoverStore, cover_id: str | None) -> bool:
    """The original and each thumbnail are there."""
    if cover_id is None:
        return False
    parts = [covers.original(cover_id), *(covers.thumbnail(cover_id, size) for size in THUMBNAIL_SIZES)]
    return None not in parts


async def assert_covers_are_those_of(nomarr: Nomarr, *libraries: Library) -> None:
    """Each cover that a file has is there, and no other."""
    used = {record.cover_id for library in libraries for record in (await rows(nomarr, library)).values()}
    used.discard(None)
    assert set(nomarr.enrichment.covers.ids()) == used
    assert all(is_whole(nomarr.enrichment.covers, cover_id) for cover_id in used)
    assert len(cover_files(nomarr)) == len(used) * (1 + len(THUMBNAIL_SIZES))


# -- processes ------------------------------------------------------------------------------------------------


def children() -> list[psutil.Process]:
    """What this process started and still runs. Helpers of other tests end with it."""
    return [one for one in psutil.Process().children(recursive=True) if _runs(one)]


def _runs(process: psutil.Process) -> bool:
    try:
        is_helper = any(helper in part for part in process.cmdline() for helper in _HELPERS)
        return bool(process.status() != psutil.STATUS_ZOMBIE) and not is_helper
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
