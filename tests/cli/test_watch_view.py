"""What the view of `nomarr watch` shows, and that it fits."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len

from nomarr import ChangeEvent, EventType, Library, ScanProgress, ScanReport, ScanRunState, ScanTarget, WatchMode
from nomarr.helpers.dto.enrichment import EnrichmentProgress, EnrichmentState
from nomarr.helpers.dto.scan import ScanPhase
from nomarr.helpers.dto.watching import WatcherState, WatchMessage, WatchMessageType, WatchStatus
from nomarr.interfaces.cli.watch_view_cli import WatchBoard

NOW = 1_700_000_000.0
MUSIC = Library("1", "Music", "/srv/music", files=20_000, last_scan_at=NOW - 7200)


def message(kind: WatchMessageType, library: Library = MUSIC, before: float = 0, **more: Any) -> WatchMessage:
    status = WatchStatus(
        library.library_id,
        library.name,
        library.root_path,
        WatchMode.AUTO,
        more.pop("state", WatcherState.WATCHING),
        more.pop("reason", None),
        next_whole_scan_at=more.pop("next_whole_scan_at", None),
    )
    return WatchMessage(kind, library.library_id, NOW - before, status, **more)


def report(**counters: Any) -> ScanReport:
    return ScanReport("s", MUSIC.library_id, ScanRunState.COMPLETED, **counters)


def change(path: str, kind: EventType = EventType.CREATED, old_path: str | None = None) -> ChangeEvent:
    return ChangeEvent(1, NOW, kind, MUSIC.library_id, "f", path, old_path)


def shown(board: WatchBoard, width: int = 80, height: int = 24) -> list[str]:
    """The board's lines without those that are always there."""
    *lines, farewell = [line.plain.rstrip() for line in board.lines(width, height, NOW)]
    assert farewell == "Ctrl-C stops watching"
    return [line for line in lines if line]


def test_a_library_is_shown_before_its_watcher_says_anything() -> None:
    assert shown(WatchBoard([MUSIC])) == ["Music  starting", "  20,000 files, last scan 2 h ago"]


def test_a_library_that_was_never_scanned_says_so() -> None:
    assert shown(WatchBoard([Library("1", "New", "/new")]))[1] == "  0 files, not scanned yet"


def test_the_last_scan_is_told_with_what_it_did() -> None:
    board = WatchBoard([MUSIC])
    board.hear(message(WatchMessageType.SCAN_COMPLETED, before=60, report=report(files_added=3, files_moved=1)))
    assert shown(board) == ["Music  watching", "  20,000 files, last scan 1 min ago: 3 added, 1 moved"]
    board.hear(message(WatchMessageType.SCAN_COMPLETED, report=report()))
    assert shown(board)[1] == "  20,000 files, last scan just now: nothing changed"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (WatcherState.STARTING, "starting"),
        (WatcherState.WATCHING, "watching"),
        (WatcherState.DEGRADED, "watching, but not everything"),
        (WatcherState.POLLING, "looking regularly"),
        (WatcherState.OFFLINE, "offline"),
        (WatcherState.OFF, "not watched"),
    ],
)
def test_every_state_has_words_and_its_reason(state: WatcherState, words: str) -> None:
    board = WatchBoard([MUSIC])
    board.hear(message(WatchMessageType.STATE, state=state, reason="its disk\nis away"))
    assert shown(board)[:2] == [f"Music  {words}", "  its disk\\nis away"]


def test_a_polled_library_says_when_it_is_looked_at_next() -> None:
    board = WatchBoard([MUSIC])
    board.hear(message(WatchMessageType.STATE, state=WatcherState.POLLING, next_whole_scan_at=NOW + 300))
    assert shown(board)[0].startswith("Music  looking regularly, next look at ")


def test_a_bar_is_shown_for_a_scan_that_takes_longer() -> None:
    board = WatchBoard([MUSIC])
    progress = ScanProgress(ScanPhase.READING, files_done=50, files_total=100, files_per_second=10, eta_seconds=5)
    board.hear(message(WatchMessageType.SCAN_STARTED, before=0.1, targets=(ScanTarget("1"),)))
    assert len(shown(board)) == 2
    board.hear(message(WatchMessageType.SCAN_STARTED, before=2, targets=(ScanTarget("1"),)))
    board.hear(message(WatchMessageType.SCAN_PROGRESS, before=1, progress=progress))
    assert shown(board)[2] == f"  {'━' * 10}{'─' * 10} reading tags 50/100 files 10/s 0:05 left"
    board.hear(message(WatchMessageType.SCAN_COMPLETED, report=report()))
    assert len(shown(board)) == 2


def test_a_failed_scan_is_told_until_one_succeeds() -> None:
    board = WatchBoard([MUSIC])
    board.hear(message(WatchMessageType.SCAN_FAILED, error="the disk is full"))
    assert shown(board)[2] == "  the last scan failed: the disk is full"
    board.hear(message(WatchMessageType.SCAN_COMPLETED, report=report()))
    assert len(shown(board)) == 2


def test_a_library_that_is_offline_tells_its_reason_once() -> None:
    board = WatchBoard([MUSIC])
    board.hear(message(WatchMessageType.SCAN_FAILED, error="x", state=WatcherState.OFFLINE, reason="it is away"))
    assert shown(board)[1:] == ["  it is away", "  20,000 files, last scan 2 h ago"]


def test_a_library_that_comes_later_gets_its_place() -> None:
    board = WatchBoard([MUSIC])
    board.know(Library("2", "Books", "/srv/books", files=7))
    assert shown(board)[2:] == ["Books  starting", "  7 files, not scanned yet"]


def test_warnings_and_losses_say_what_to_do() -> None:
    board = WatchBoard([MUSIC])
    board.hear(message(WatchMessageType.SCAN_COMPLETED, report=report(warnings=("Rock can't be read", "b", "c"))))
    assert shown(board)[2] == "  Rock can't be read (and 2 more)"
    board.hear(message(WatchMessageType.SCAN_COMPLETED, report=report(files_held_back=60)))
    assert " ".join(line.strip() for line in shown(board)[2:]) == (
        "60 files can't be found. If no disk is away and they are really gone: nomarr scan Music --accept-losses"
    )


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (change("Rock/a.mp3"), "created   Rock/a.mp3"),
        (change("Rock/b.mp3", EventType.RENAMED, "Rock/a.mp3"), "renamed   Rock/a.mp3 → b.mp3"),
        (change("New/x/a.mp3", EventType.MOVED, "Old/x/a.mp3"), "moved     Old/ → New/x/a.mp3"),
        (change("New/a.mp3", EventType.MOVED, "a.mp3"), "moved     a.mp3 → New/a.mp3"),
        (change("a.mp3", EventType.MOVED, "Old/a.mp3"), "moved     Old/ → a.mp3"),
        (change("evil\x1b[31m\n.mp3"), "created   evil\\x1b[31m\\n.mp3"),
        (change("[bold]a[/bold].mp3", EventType.MISSING), "missing   [bold]a[/bold].mp3"),
    ],
)
def test_changes_are_told_on_one_line(event: ChangeEvent, told: str) -> None:
    board = WatchBoard([MUSIC])
    board.see(event)
    assert shown(board)[-1][len("  05:12:39  ") :] == told


def test_of_a_long_path_the_end_is_shown() -> None:
    board = WatchBoard([MUSIC])
    board.see(change("/".join(["a folder"] * 20) + "/日本語の曲.mp3"))
    (line,) = [line for line in shown(board) if "created" in line]
    assert line.endswith("a folder/日本語の曲.mp3")
    assert "  …" in line
    assert cell_len(line) == 80


def test_only_the_newest_changes_are_shown() -> None:
    board = WatchBoard([MUSIC])
    for number in range(100):
        board.see(change(f"{number}.mp3"))
    names = [line.split()[-1] for line in shown(board) if "created" in line]
    assert names == [f"{number}.mp3" for number in range(90, 100)]


def test_with_several_libraries_a_change_says_in_which_it_was() -> None:
    board = WatchBoard([MUSIC, Library("2", "Books", "/srv/books")])
    board.see(change("a.mp3"))
    assert shown(board)[-1].endswith("created   Music: a.mp3")


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        (
            EnrichmentProgress(EnrichmentState.RUNNING, steps_done=1204, steps_total=4000, steps_per_second=85.0),
            ["Enrichment  hashes and covers 1,204/4,000 steps 85/s"],
        ),
        (
            EnrichmentProgress(EnrichmentState.PAUSED, steps_done=3, steps_total=4),
            ["Enrichment  waiting while a scan runs, 3/4 steps"],
        ),
        (
            EnrichmentProgress(EnrichmentState.FAILED, problem="the folder\x1b can't be used"),
            ["Enrichment", "  the folder\\x1b can't be used"],
        ),
        (EnrichmentProgress(steps_done=4, steps_total=4), []),
    ],
)
def test_enrichment_has_a_line_while_there_is_something_to_tell(progress: EnrichmentProgress, told: list[str]) -> None:
    board = WatchBoard([MUSIC])
    board.see(change("a.mp3"))
    before = shown(board)
    board.enrich(progress)
    assert shown(board) == [*before, *told]


@pytest.mark.parametrize("libraries", [1, 2, 5, 100])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 50), (40, 10), (20, 5), (1, 1)])
def test_the_view_fits_into_any_terminal(libraries: int, width: int, height: int) -> None:
    several = [Library(str(number), f"Library 日本語 {number}" * 5, "/x") for number in range(libraries)]
    board = WatchBoard(several)
    board.enrich(EnrichmentProgress(EnrichmentState.FAILED, problem="word " * 99))
    for library in several:
        board.hear(
            message(WatchMessageType.SCAN_STARTED, library, before=9, state=WatcherState.OFFLINE, reason="x " * 99)
        )
        board.hear(message(WatchMessageType.SCAN_FAILED, library, error="word " * 99))
        board.see(ChangeEvent(1, NOW, EventType.MOVED, library.library_id, "f", "new/" * 50 + "a", "old/" * 50 + "b"))
    lines = board.lines(width, height, NOW)
    assert max(line.cell_len for line in lines) <= width
    assert len(lines) <= max(height, 4)


def test_libraries_that_find_no_room_are_counted() -> None:
    board = WatchBoard([Library(str(number), f"Library {number}", "/x") for number in range(100)])
    assert shown(board, height=24)[-1] == "… and 80 more libraries"
