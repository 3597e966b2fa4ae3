"""Measure scans against `find` and MPD in one run, and hold them against the acceptance lines A2, A3 and A4."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import acceptance
from acceptance import FAIL, Check, judged, skipped
from change_library import SETTLED_SECONDS, retag, retag_files, wait_until_settled
from make_library import LibraryError, LibrarySummary, make_library, make_tiny_library, read_marker, tiny_path
from measure import BenchmarkError, Samples, read_all, run, use_cores
from scanners import Mpd, Nomarr, NomarrScan, find, mpd_version, serve_mpd, why_no_mpd

FIND, MPD, REPORT, PROCESS, CPU = "find", "MPD", "Nomarr", "Nomarr process", "Nomarr CPU"
FIRST, UNCHANGED, CHANGED = "first scan", "unchanged scan", f"{acceptance.CHANGED_PERCENT:g} % changed"
FOLDER, FOLDER_CHANGED = "one folder", "one folder, 1 file changed"
UNCHANGED_SCANS_A_ROUND = 3
FOLDERS_A_ROUND = 5
TINY_FILES_PER_FOLDER = 10


def default_nomarr() -> str:
    """The command that stands beside the running Python, or the one in the path."""
    beside = Path(sys.executable).with_name("nomarr")
    return shlex.quote(str(beside)) if beside.exists() else "nomarr"


@dataclass(slots=True)
class Bench:
    """One run: what to measure with, and what was found."""

    nomarr_command: list[str]
    work: Path
    rounds: int
    no_mpd: str | None
    samples: Samples = field(default_factory=Samples)
    checks: list[Check] = field(default_factory=list)
    peaks: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    _states: int = 0

    def new_state(self, what: str) -> Path:
        """A folder for the database of a scanner that has seen nothing yet."""
        self._states += 1
        return self.work / "state" / f"{what}{self._states}"

    def nomarr(self, library: Path) -> Nomarr:
        return Nomarr(self.nomarr_command, library, self.new_state("nomarr"))

    def mpd(self, library: Path, stack: ExitStack) -> Mpd | None:
        return None if self.no_mpd else stack.enter_context(serve_mpd(library, self.new_state("mpd")))

    def median(self, case: str, what: str) -> float:
        median = self.samples.median(case, what)
        assert median is not None, (case, what)
        return median

    def expect(self, line: str, text: str, passed: bool, measured: str) -> None:
        """A check that every round makes, kept once: the first failure, or that all rounds passed."""
        earlier = next((check for check in self.checks if (check.line, check.text) == (line, text)), None)
        if earlier is None:
            self.checks.append(judged(line, text, passed, measured))
        elif earlier.state != FAIL and not passed:
            self.checks[self.checks.index(earlier)] = judged(line, text, passed, measured)

    def keep(self, case: str, scan: NomarrScan) -> NomarrScan:
        self.samples.add(case, REPORT, scan.seconds)
        self.samples.add(case, PROCESS, scan.process.seconds)
        self.samples.add(case, CPU, scan.process.cpu_seconds)
        return scan


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def in_turn(turn: int, *steps: Callable[[], object]) -> None:
    """Take the steps in an order that changes from turn to turn, so that nobody is always the first."""
    start = turn % len(steps)
    for step in (*steps[start:], *steps[:start]):
        step()


# --- A library of 20,000 files ----------------------------------------------------------------------------------------


def measure_library(bench: Bench, library: Path, summary: LibrarySummary) -> None:
    say(f"reading {library} into the page cache")
    read_all(library)
    for number in range(bench.rounds):
        say(f"round {number + 1} of {bench.rounds}: first, unchanged, {CHANGED}")
        with ExitStack() as stack:
            measure_round(bench, library, summary, number, bench.nomarr(library), bench.mpd(library, stack))
    say("memory")
    measure_memory(bench, library)
    judge_library(bench, summary)


def measure_round(
    bench: Bench, library: Path, summary: LibrarySummary, number: int, nomarr: Nomarr, mpd: Mpd | None
) -> None:
    def scan_all(case: str, turn: int, check: Callable[[NomarrScan], None]) -> None:
        steps: list[Callable[[], None]] = [
            lambda: bench.samples.add(case, FIND, find(library)),
            lambda: check(bench.keep(case, nomarr.scan())),
        ]
        if mpd:
            steps.append(lambda: bench.samples.add(case, MPD, mpd.update()))
        in_turn(turn, *steps)

    scan_all(FIRST, number, lambda scan: check_first(bench, scan, summary))
    if mpd:
        check_mpd_songs(bench, mpd, summary)
    for turn in range(UNCHANGED_SCANS_A_ROUND):
        scan_all(UNCHANGED, turn, lambda scan: check_unchanged(bench, scan, summary))

    take = f"{time.time_ns():x}"
    changed = retag(library, acceptance.CHANGED_PERCENT, seed=number, take=take)
    wait_until_settled(library, changed)
    scan_all(CHANGED, number, lambda scan: check_changed(bench, scan, len(changed)))
    if mpd:
        seen = mpd.songs_titled(f"(take {take})")
        speakable = sum("\n" not in path for path in changed)
        bench.expect("MPD", "sees every changed file (but names with a newline)", seen == speakable, f"{seen} files")
    bench.notes["changed_files"] = len(changed)
    bench.expect("A1", "`nomarr verify` says equal after all scans", nomarr.equals_disk(), "verify")


def check_first(bench: Bench, scan: NomarrScan, summary: LibrarySummary) -> None:
    added, failed = scan.count("files_added"), scan.count("files_failed")
    bench.notes["first_scan_report"] = scan.report
    bench.expect(
        "A2",
        "first scan adds every audio file, none failed",
        # Playlists and folder images may be counted as files too.
        summary.audio_files <= added <= summary.files and not failed,
        f"{added} added, {failed} failed",
    )


def check_unchanged(bench: Bench, scan: NomarrScan, summary: LibrarySummary) -> None:
    read = scan.count("files_processed")
    bench.expect("A3", "unchanged scan: 0 files read", read == 0, f"{read} read")
    changes = scan.count("files_added", "files_updated", "files_moved", "files_missing", "files_restored")
    written = scan.count("batches_written")
    clean = not written and not changes and not scan.report["changes_detected"]
    bench.expect("A3", "unchanged scan: 0 rows written", clean, f"{written} batches, {changes} changes")
    # The root counts as a folder, or doesn't.
    folders = scan.count("folders_unchanged")
    every_folder = folders in (summary.folders, summary.folders + 1)
    bench.expect("A3", "unchanged scan: every folder unchanged", every_folder, f"{folders} of {summary.folders}")


def check_changed(bench: Bench, scan: NomarrScan, changed: int) -> None:
    read, updated = scan.count("files_processed"), scan.count("files_updated")
    text = f"{CHANGED}: exactly the changed files are read and updated"
    bench.expect("A4", text, read == updated == changed, f"{read} read, {updated} updated of {changed}")


def check_mpd_songs(bench: Bench, mpd: Mpd, summary: LibrarySummary) -> None:
    songs, expected = mpd.songs(), summary.audio_files - summary.newline_files
    text = "has every audio file (but names with a newline)"
    bench.expect("MPD", text, songs == expected, f"{songs} of {expected}")


def measure_memory(bench: Bench, library: Path) -> None:
    bench.peaks[REPORT] = bench.nomarr(library).scan(sample_memory=True).process.peak_rss_bytes or 0
    with ExitStack() as stack:
        mpd = bench.mpd(library, stack)
        if mpd:
            bench.peaks[MPD] = mpd.update_and_peak_memory()


def judge_library(bench: Bench, summary: LibrarySummary) -> None:
    files = summary.audio_files
    mpd_seconds = bench.samples.median(FIRST, MPD)
    bench.checks += [
        acceptance.first_scan(files, bench.median(FIRST, PROCESS), mpd_seconds, bench.no_mpd or ""),
        acceptance.peak_memory(f"{files:,} files", bench.peaks[REPORT], acceptance.PEAK_RSS_MB),
        acceptance.unchanged_scan(bench.median(UNCHANGED, REPORT), bench.median(UNCHANGED, FIND)),
        acceptance.changed_scan(
            bench.median(CHANGED, REPORT),
            bench.median(UNCHANGED, REPORT),
            bench.median(FIRST, REPORT),
            files,
            bench.notes["changed_files"],
        ),
    ]


# --- One folder of a small and of a large library ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two libraries whose folders are scanned in turn."""

    library: Path
    files: int
    nomarr: Nomarr
    mpd: Mpd | None

    def case(self, case: str) -> str:
        return f"{case} of {self.files:,} files"


def measure_one_folder(bench: Bench) -> None:
    with ExitStack() as stack:
        sides = [prepare_side(bench, files, stack) for files in SIDE_FILES]
        folders = [tiny_path(number * TINY_FILES_PER_FOLDER) for number in range(bench.rounds * FOLDERS_A_ROUND)]
        say(f"{len(folders)} single folders of {' and '.join(f'{side.files:,}' for side in sides)} files")
        scan_folders(bench, sides, folders, FOLDER, files_read=0)
        for side in sides:
            retag_files(side.library, folders, take=f"{time.time_ns():x}")
            wait_until_settled(side.library, folders)
        scan_folders(bench, sides, folders, FOLDER_CHANGED, files_read=1)
    small, large = sides
    for case in (FOLDER, FOLDER_CHANGED):
        seconds = (bench.median(side.case(case), REPORT) for side in (small, large))
        bench.checks.append(acceptance.one_folder(case, *seconds))


SIDE_FILES = (acceptance.SMALL_LIBRARY_FILES, acceptance.LARGE_LIBRARY_FILES)


def prepare_side(bench: Bench, files: int, stack: ExitStack) -> Side:
    library = tiny_library(bench.work, files)
    read_all(library)
    side = Side(library, files, bench.nomarr(library), bench.mpd(library, stack))
    side.nomarr.scan()
    if side.mpd:
        side.mpd.update()
    return side


def scan_folders(bench: Bench, sides: Sequence[Side], files: Sequence[str], case: str, *, files_read: int) -> None:
    for turn, file in enumerate(files):
        folder = os.path.dirname(file)
        in_turn(turn, *(partial(scan_folder, bench, side, folder, case, files_read) for side in sides))


def scan_folder(bench: Bench, side: Side, folder: str, case: str, files_read: int) -> None:
    bench.samples.add(side.case(case), FIND, find(side.library / folder))
    if side.mpd:
        bench.samples.add(side.case(case), MPD, side.mpd.update(folder))
    scan = bench.keep(side.case(case), side.nomarr.scan("--folder", folder, "--shallow"))
    folders, read = scan.count("folders_scanned"), scan.count("files_processed")
    bench.expect("A4", f"{case}: lists only that folder", folders == 1, f"{folders} folders")
    bench.expect("A4", f"{case}: {files_read} files read", read == files_read, f"{read} read")


# --- A million files --------------------------------------------------------------------------------------------------


def measure_million(bench: Bench, files: int) -> None:
    library = tiny_library(bench.work, files)
    say(f"first scan of {files:,} tiny files")
    read_all(library)
    case = f"first scan of {files:,} tiny files"
    bench.samples.add(case, FIND, find(library))
    scan = bench.keep(case, bench.nomarr(library).scan(sample_memory=True))
    bench.peaks[case] = scan.process.peak_rss_bytes or 0
    bench.expect("A2", f"{case}: adds all", scan.count("files_added") == files, f"{scan.count('files_added')} added")
    bench.checks.append(
        acceptance.peak_memory(f"{files:,} tiny files", bench.peaks[case], acceptance.MILLION_PEAK_RSS_MB)
    )


# --- Libraries --------------------------------------------------------------------------------------------------------


def realistic_library(bench: Bench, options: argparse.Namespace) -> tuple[Path, LibrarySummary]:
    """The library that was named, or one in the work folder, made when it isn't there."""
    if options.library:
        return options.library, read_marker(options.library)
    library = bench.work / f"library-{options.files}-{options.seed}"
    if not library.exists():
        say(f"making {library}")
        make_library(library, options.files, options.seed)
        time.sleep(SETTLED_SECONDS)
    return library, read_marker(library)


def tiny_library(work: Path, files: int) -> Path:
    library = work / f"tiny-{files}"
    if not library.exists():
        say(f"making {library}")
        make_tiny_library(library, files)
        time.sleep(SETTLED_SECONDS)
    read_marker(library)
    return library


# --- Report -----------------------------------------------------------------------------------------------------------


def print_report(bench: Bench, summary: LibrarySummary) -> None:
    print(f"\nLibrary: {summary.audio_files:,} audio files in {summary.folders:,} folders, medians in seconds\n")
    if bench.no_mpd:
        print(f"MPD is skipped: {bench.no_mpd}.\n")
    print_rows([["", FIND, MPD, REPORT, PROCESS, CPU, "Nomarr / find", "process / MPD"], *map_cases(bench)])
    print_rates(bench, summary.audio_files)
    for what, peak in bench.peaks.items():
        print(f"peak RSS, {what}: {peak / 1e6:.0f} MB")
    print()
    for check in sorted(bench.checks, key=lambda check: check.line):
        print(f"{check.state} {check.line:3} {check.text}: {check.measured}")


def map_cases(bench: Bench) -> list[list[str]]:
    rows = []
    for case in bench.samples.cases():
        find_seconds, mpd, report, process, cpu = (
            bench.samples.median(case, what) for what in (FIND, MPD, REPORT, PROCESS, CPU)
        )
        seconds = [_shown(value, "{:.3f}") for value in (find_seconds, mpd, report, process, cpu)]
        ratios = [_shown(_ratio(report, find_seconds), "{:.2f} ×"), _shown(_ratio(process, mpd), "{:.2f} ×")]
        rows.append([case, *seconds, *ratios])
    return rows


def _ratio(value: float | None, reference: float | None) -> float | None:
    return value / reference if value is not None and reference else None


def _shown(value: float | None, shape: str) -> str:
    return "-" if value is None else shape.format(value)


def print_rows(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        print(
            first.ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)),
            sep="  ",
        )
    print()


def print_rates(bench: Bench, files: int) -> None:
    for what in (MPD, PROCESS, REPORT):
        seconds = bench.samples.median(FIRST, what)
        if seconds:
            print(f"first scan, {what}: {files / seconds:,.0f} files/s")


def as_json(bench: Bench, summary: LibrarySummary, cores: int) -> dict[str, Any]:
    return {
        "environment": {
            "python": platform.python_version(),
            "kernel": platform.release(),
            "cores": cores,
            "load_average": os.getloadavg(),
            "mpd": None if bench.no_mpd else mpd_version(),
            "mpd_skipped": bench.no_mpd,
        },
        "library": asdict(summary),
        "rounds": bench.rounds,
        "seconds": [
            {"case": case, "what": what, "median": bench.samples.median(case, what), "values": values}
            for (case, what), values in bench.samples.values.items()
        ],
        "peak_rss_bytes": bench.peaks,
        "first_scan_report": bench.notes.get("first_scan_report"),
        "changed_files": bench.notes.get("changed_files"),
        "acceptance": [asdict(check) for check in bench.checks],
        "passed": passed(bench),
    }


def passed(bench: Bench) -> bool:
    return all(check.state != FAIL for check in bench.checks)


# --- Command line -----------------------------------------------------------------------------------------------------


def arguments_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nomarr", default=default_nomarr(), metavar="COMMAND", help="default: %(default)s")
    parser.add_argument("--library", type=Path, help="a library of make_library.py; some of its files get other titles")
    parser.add_argument(
        "--files", type=int, default=acceptance.LIBRARY_FILES, help="of a library to make (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, metavar="K", help="medians of K rounds (default %(default)s)")
    parser.add_argument("--cores", type=int, default=acceptance.CORES, help="use that many (default %(default)s)")
    parser.add_argument(
        "--million", action="store_true", help="also the memory for 1,000,000 tiny files (4 GB of disk)"
    )
    parser.add_argument("--without-mpd", action="store_true")
    parser.add_argument("--without-folders", action="store_true", help="leave out the one-folder targets")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep libraries here and use them again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = arguments_parser().parse_args(arguments)
    work = options.work or Path(tempfile.mkdtemp(prefix="bench-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        return measure(options, work)
    except (BenchmarkError, LibraryError) as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(work / "state" if options.work else work, ignore_errors=True)


def measure(options: argparse.Namespace, work: Path) -> int:
    cores = use_cores(options.cores)
    no_mpd = "--without-mpd was given" if options.without_mpd else why_no_mpd()
    bench = Bench(shlex.split(options.nomarr), work, options.rounds, no_mpd)
    ensure_runs(bench)
    library, summary = realistic_library(bench, options)
    measure_library(bench, library, summary)
    if options.without_folders:
        bench.checks.append(skipped("A4", "one-folder target", "--without-folders was given"))
    else:
        measure_one_folder(bench)
    if options.million:
        measure_million(bench, 1_000_000)
    else:
        bench.checks.append(skipped("A2", "1,000,000 tiny files", "only with --million"))
    print_report(bench, summary)
    if options.json:
        options.json.write_text(json.dumps(as_json(bench, summary, cores), indent=2) + "\n")
    return 0 if passed(bench) else 1


def ensure_runs(bench: Bench) -> None:
    try:
        done = run([*bench.nomarr_command, "--help"], cwd=bench.work)
    except OSError as error:
        raise BenchmarkError(f"{shlex.join(bench.nomarr_command)} can't be started: {error.strerror}") from error
    if done.exit_code:
        raise BenchmarkError(f"{shlex.join(bench.nomarr_command)} --help failed: {done.errors.strip()}")


if __name__ == "__main__":
    sys.exit(main())
