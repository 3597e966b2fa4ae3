"""The three that are compared: find, MPD and Nomarr."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import BenchmarkError, PeakMemory, Run, run

FIND_FORMAT = r"%p %s %T@ %i\n"
MPD_START_SECONDS = 30.0

_MPD_CONFIG = """\
music_directory "{music}"
playlist_directory "{state}/playlists"
db_file "{state}/database"
log_file "{state}/log"
bind_to_address "{address}"
auto_update "no"
max_playlist_length "1000000"
zeroconf_enabled "no"
audio_output {{
    type "null"
    name "none"
}}
"""


def find(folder: Path, *options: str) -> float:
    """Seconds of a `find` that prints what a scanner has to know of every file."""
    done = run(["find", str(folder), *options, "-printf", FIND_FORMAT], cwd=folder, keep_output=False)
    if done.exit_code:
        raise BenchmarkError(f"find failed: {done.errors.strip()}")
    return done.seconds


# --- MPD --------------------------------------------------------------------------------------------------------------


def why_no_mpd() -> str | None:
    """The reason why MPD can't be measured, or None."""
    missing = [name for name in ("mpd", "mpc") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


def mpd_version() -> str:
    done = subprocess.run(["mpd", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


class Mpd:
    """A running MPD of our own, reached through a socket."""

    def __init__(self, process: subprocess.Popen[bytes], address: Path) -> None:
        self._process = process
        self._address = address

    def update(self, folder: str = "") -> float:
        """Seconds from `mpc update` until MPD has finished the update."""
        started = time.perf_counter()
        self._mpc("--wait", "update", *([folder] if folder else []))
        return time.perf_counter() - started

    def update_and_peak_memory(self) -> int:
        with PeakMemory(self._process.pid) as memory:
            self.update()
        return memory.peak_bytes

    def songs(self) -> int:
        found = re.search(r"^Songs:\s*(\d+)", self._mpc("stats"), re.MULTILINE)
        if found is None:
            raise BenchmarkError("`mpc stats` names no number of songs.")
        return int(found[1])

    def songs_titled(self, text: str) -> int:
        return len(self._mpc("search", "title", text).splitlines())

    def _mpc(self, *arguments: str) -> str:
        done = subprocess.run(["mpc", "--host", str(self._address), *arguments], capture_output=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"mpc {' '.join(arguments)} failed: {os.fsdecode(done.stderr).strip()}")
        return os.fsdecode(done.stdout)


@contextmanager
def serve_mpd(music: Path, state: Path) -> Iterator[Mpd]:
    """MPD with an empty database for that folder. A missing database would make it start an update by itself."""
    music_free_state = state / "empty"
    with _mpd_process(music_free_state / "music", music_free_state) as mpd:
        mpd.update()
    state.mkdir(parents=True, exist_ok=True)
    shutil.copy(music_free_state / "database", state / "database")
    with _mpd_process(music, state) as mpd:
        if mpd.songs():
            raise BenchmarkError("MPD did not start with an empty database.")
        yield mpd


@contextmanager
def _mpd_process(music: Path, state: Path) -> Iterator[Mpd]:
    music.mkdir(parents=True, exist_ok=True)
    (state / "playlists").mkdir(parents=True, exist_ok=True)
    # The address of a socket has at most 107 bytes, so it can't be in a state folder that may be deep down.
    with tempfile.TemporaryDirectory(prefix="mpd-", dir="/tmp") as folder:
        address = Path(folder) / "socket"
        config = state / "mpd.conf"
        config.write_text(_MPD_CONFIG.format(music=music.resolve(), state=state.resolve(), address=address))
        process = subprocess.Popen(
            ["mpd", "--no-daemon", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_serving(process, address, state / "log")
            yield Mpd(process, address)
        finally:
            process.terminate()
            process.wait()


def _wait_until_serving(process: subprocess.Popen[bytes], address: Path, log: Path) -> None:
    give_up_at = time.monotonic() + MPD_START_SECONDS
    while process.poll() is None and time.monotonic() < give_up_at:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(str(address)) == 0:
                client.settimeout(MPD_START_SECONDS)
                client.recv(100)  # it greets when it serves
                return
        time.sleep(0.01)
    raise BenchmarkError(f"MPD did not start: {log.read_text().strip() if log.exists() else 'no log'}")


# --- Nomarr -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NomarrScan:
    """One `nomarr scan`: its report, and the process from start to end."""

    report: dict[str, Any]
    process: Run

    @property
    def seconds(self) -> float:
        return float(self.report["duration_seconds"])

    def count(self, *keys: str) -> int:
        return sum(int(self.report[key]) for key in keys)


class Nomarr:
    """The command line with a database of its own."""

    def __init__(self, command: Sequence[str], library: Path, state: Path) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self._command = [*command, "--db", f"sqlite:///{state.resolve() / 'music.db'}"]
        self._library = str(library.resolve())
        self._state = state
        # Settings of whoever runs the benchmark must not change what is measured.
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("NOMARR_")}

    def scan(self, *options: str, sample_memory: bool = False) -> NomarrScan:
        done = self._run("scan", self._library, *options, "--json", sample_memory=sample_memory)
        if done.exit_code:
            raise BenchmarkError(f"nomarr scan ended with {done.exit_code}: {done.errors.strip() or done.output}")
        return NomarrScan(_report(done.output), done)

    def equals_disk(self) -> bool:
        done = self._run("verify", self._library, "--json")
        return done.exit_code == 0 and json.loads(done.output)["equal"] is True

    def _run(self, *arguments: str, sample_memory: bool = False) -> Run:
        return run(
            [*self._command, *arguments],
            cwd=self._state,
            environment=self._environment,
            sample_memory=sample_memory,
        )


def _report(output: str) -> dict[str, Any]:
    try:
        report = json.loads(output)
    except ValueError as error:
        raise BenchmarkError(f"nomarr scan --json printed something else: {output[:200]!r}") from error
    if not isinstance(report, dict) or "duration_seconds" not in report:
        raise BenchmarkError(f"nomarr scan --json printed no scan report: {output[:200]!r}")
    return report
