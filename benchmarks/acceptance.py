"""The limits of the acceptance lines A2, A3 and A4, and what was measured against them."""

from __future__ import annotations

from dataclasses import dataclass

# A2 "First scan on 2 cores, warm cache, 20,000 files: at least 1.5 × the files/s of MPD (0.23, `mpc update`) in the
# same run, 2 × is the goal; peak RSS of all processes together below 250 MB; a synthetic library of 1,000,000 tiny
# files below 500 MB."
CORES = 2
LIBRARY_FILES = 20_000
FIRST_SCAN_TIMES_MPD = 1.5
FIRST_SCAN_GOAL_TIMES_MPD = 2.0
PEAK_RSS_MB = 250
MILLION_PEAK_RSS_MB = 500

# A3 "Unchanged scan of 20,000 files: report's duration at most 3 × the time of `find` above; 0 files read, 0 rows
# written, one row per folder read."
UNCHANGED_TIMES_FIND = 3.0

# A4 "1 % changed: at most the unchanged time + 3 × the cost per changed file of a first scan. One-folder target:
# independent of library size (2,000 vs 50,000 files within noise), lists only that folder when shallow."
CHANGED_PERCENT = 1.0
CHANGED_TIMES_FIRST_SCAN_COST = 3.0
SMALL_LIBRARY_FILES = 2_000
LARGE_LIBRARY_FILES = 50_000
# Noise: the medians differ by less than this share, or by less than this time. Reading 50,000 rows takes longer.
FOLDER_NOISE_SHARE = 0.5
FOLDER_NOISE_SECONDS = 0.010

PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the verdict."""

    line: str
    text: str
    state: str
    measured: str


def judged(line: str, text: str, passed: bool, measured: str) -> Check:
    return Check(line, text, PASS if passed else FAIL, measured)


def skipped(line: str, text: str, reason: str) -> Check:
    return Check(line, text, SKIP, reason)


def first_scan(files: int, nomarr_seconds: float, mpd_seconds: float | None, why_no_mpd: str) -> Check:
    """Judged by the whole process, start-up included: that is what a user waits for."""
    text = f"first scan: at least {FIRST_SCAN_TIMES_MPD} × the files/s of MPD (goal {FIRST_SCAN_GOAL_TIMES_MPD} ×)"
    if mpd_seconds is None:
        return skipped("A2", text, why_no_mpd)
    times = mpd_seconds / nomarr_seconds
    rates = f"{files / nomarr_seconds:,.0f} against {files / mpd_seconds:,.0f} files/s"
    return judged("A2", text, times >= FIRST_SCAN_TIMES_MPD, f"{times:.2f} ×, {rates}")


def peak_memory(what: str, peak_bytes: int, limit_mb: int) -> Check:
    text = f"{what}: peak RSS of all processes together below {limit_mb} MB"
    return judged("A2", text, peak_bytes < limit_mb * 1e6, f"{peak_bytes / 1e6:.0f} MB")


def unchanged_scan(nomarr_seconds: float, find_seconds: float) -> Check:
    text = f"unchanged scan: report's duration at most {UNCHANGED_TIMES_FIND:g} × the time of find"
    times = nomarr_seconds / find_seconds
    return judged("A3", text, times <= UNCHANGED_TIMES_FIND, f"{times:.2f} ×")


def changed_scan(seconds: float, unchanged_seconds: float, first_seconds: float, files: int, changed: int) -> Check:
    text = (
        f"{CHANGED_PERCENT:g} % changed: at most the unchanged time"
        f" + {CHANGED_TIMES_FIRST_SCAN_COST:g} × the cost per changed file of a first scan"
    )
    limit = unchanged_seconds + CHANGED_TIMES_FIRST_SCAN_COST * first_seconds / files * changed
    return judged("A4", text, seconds <= limit, f"{seconds:.3f} s, limit {limit:.3f} s")


def one_folder(case: str, small_seconds: float, large_seconds: float) -> Check:
    text = f"{case}: {SMALL_LIBRARY_FILES:,} vs {LARGE_LIBRARY_FILES:,} files within noise"
    apart = abs(large_seconds - small_seconds)
    noise = max(FOLDER_NOISE_SECONDS, FOLDER_NOISE_SHARE * small_seconds)
    return judged("A4", text, apart <= noise, f"{small_seconds * 1000:.1f} ms vs {large_seconds * 1000:.1f} ms")
