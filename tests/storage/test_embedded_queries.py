"""SQLite only: no question and no batch walks through a whole table."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from storage_kit import Scan, folder, give_lease_back, gone, hidden, image, moved, playlist, seen, start_scan, upsert

from nomarr.helpers.dto.library import ScanTarget
from nomarr.persistence.db import Database

PARTIAL_INDEXES = (
    "playlist_entries_unresolved",
    "events_moves",
    "enrichment_unheard",
    "enrichment_unhashed",
    "library_files_failed",
)
LARGE_TABLES = ("library_files", "library_folders", "library_sidecars", "playlist_entries", "events", "scan_runs")


def purge(scan: Scan) -> None:
    scan.write(gone=[gone(scan.files()["A/a"])])
    give_lease_back(scan)
    assert scan.db.library_files.purge_missing("music", before=scan.now, now=scan.now, limit=5) == ["A/a"]


def undo(scan: Scan) -> None:
    scan.write(moves=[moved(scan.files()["A/a"], "A/z")])
    give_lease_back(scan)
    scan.db.library_files.undo_move(scan.db.events.last_seq(), "fresh", now=scan.now)


QUESTIONS: dict[str, Callable[[Scan], object]] = {
    "in_folders": lambda scan: scan.db.library_files.in_folders("music", ["A", "B"]),
    "below": lambda scan: list(scan.db.library_files.below("music", "A")),
    "below all": lambda scan: list(scan.db.library_files.below("music", "")),
    "with_inodes": lambda scan: scan.db.library_files.with_inodes([1, 2, 3]),
    "sample": lambda scan: scan.db.library_files.sample("music", 5),
    "find": lambda scan: scan.db.library_files.find("music", "A/a"),
    "count_present": lambda scan: scan.db.library_files.count_present("music"),
    "records": lambda scan: list(scan.db.library_files.records("music", folder="A")),
    "missing records": lambda scan: list(scan.db.library_files.records("music", missing=True)),
    "within": lambda scan: scan.db.library_folders.within(ScanTarget("music", "A")),
    "within all": lambda scan: scan.db.library_folders.within(ScanTarget("music")),
    "within shallow": lambda scan: scan.db.library_folders.within(ScanTarget("music", "A", recursive=False)),
    "sidecars in_folders": lambda scan: scan.db.library_sidecars.in_folders("music", ["A"]),
    "sidecars below": lambda scan: scan.db.library_sidecars.below("music", "A"),
    "playlists": lambda scan: list(scan.db.library_sidecars.playlists("music")),
    "page_of_playlists": lambda scan: scan.db.library_sidecars.page_of_playlists("music", after="a", limit=5),
    "page_of_entries": lambda scan: scan.db.library_sidecars.page_of_entries("music", "p.m3u", after=1, limit=5),
    "resolve_entries": lambda scan: scan.db.library_sidecars.resolve_entries(scan.lease, now=scan.now),
    "libraries": lambda scan: scan.db.library.list_libraries(0.0),
    "events after": lambda scan: scan.db.events.after(3),
    "moves": lambda scan: scan.db.events.moves(),
    "moves of a library": lambda scan: scan.db.events.moves("music"),
    "long_missing": lambda scan: scan.db.library_files.long_missing("music", before=scan.now, limit=5),
    "count_long_missing": lambda scan: scan.db.library_files.count_long_missing("music", before=scan.now),
    "long_missing_alone": lambda scan: scan.db.library_files.long_missing_alone("music", before=scan.now),
    "purge_missing": lambda scan: purge(scan),
    "undo_move": lambda scan: undo(scan),
    "want_fingerprints": lambda scan: scan.db.enrichment.want_fingerprints(now=scan.now),
    "want_content_hashes": lambda scan: scan.db.enrichment.want_content_hashes(),
    "retry_failed": lambda scan: scan.db.enrichment.retry_failed(now=scan.now),
    "retry_failed of a library": lambda scan: scan.db.enrichment.retry_failed(now=scan.now, library_id="music"),
    "last_seq": lambda scan: scan.db.events.last_seq(),
    "runs": lambda scan: scan.db.scan_runs.list_runs("music"),
    "batch": lambda scan: scan.write(
        moves=[moved(scan.files()["A/a"], "A/z")],
        upserts=[upsert("A/b", number=99), upsert("A/new")],
        seen=[seen(scan.files()["B/a"])],
        gone=[gone(scan.files()["C/a"])],
        hidden=[hidden(scan.files()["C/b"])],
        playlists=[playlist("p.m3u", "A/b")],
        images=[image("d.jpg")],
        gone_sidecars=["c.jpg"],
        folders=[folder("A")],
        gone_folders=["B"],
    ),
}


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that SQLite runs, with its values filled in."""
    traced: list[str] = []
    connect = sqlite3.connect

    def connect_traced(*arguments: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)  # type: ignore[call-overload]
        connection.set_trace_callback(traced.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_traced)
    return traced


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nomarr.db"


@pytest.fixture
def filled(path: Path, statements: list[str]) -> Iterator[Scan]:
    with Database.open(f"sqlite:///{path}") as db:
        scan = start_scan(db)
        scan.add(*(f"{name}/{file}" for name in "ABC" for file in "abcdefgh"))
        scan.write(
            folders=[folder(name) for name in ("", "A", "B", "C")],
            images=[image("c.jpg")],
            playlists=[playlist("p.m3u", "A/a", "nowhere")],
        )
        statements.clear()
        yield scan


def plan_of(path: Path, statement: str) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    finally:
        connection.close()


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_index_leads_to_every_row(filled: Scan, path: Path, statements: list[str], question: str) -> None:
    QUESTIONS[question](filled)
    asked = [text for text in statements if text.split()[0] in ("SELECT", "UPDATE", "DELETE", "INSERT")]
    assert asked
    statements.clear()
    aliases = {"f": "library_files", "s": "library_sidecars", "e": "playlist_entries"}
    for text in dict.fromkeys(asked):
        for step in plan_of(path, text):
            words = step.split()
            if words[0] == "SCAN" and aliases.get(words[1], words[1]) in LARGE_TABLES:
                # Walking only an index's own few rows is what a partial index is for.
                assert any(name in step for name in PARTIAL_INDEXES), f"{step}: {text}"


def test_a_page_of_below_is_not_sorted(filled: Scan, path: Path, statements: list[str]) -> None:
    for question in ("below", "below all"):
        QUESTIONS[question](filled)
    for text in [text for text in statements if "library_files" in text]:
        assert not any("TEMP B-TREE" in step for step in plan_of(path, text)), text


def test_a_sample_of_a_large_library_comes_from_an_index_alone(filled: Scan, path: Path, statements: list[str]) -> None:
    for start in range(0, 4000, 1000):
        filled.write(upserts=[upsert(f"N/{start + index}", number=start + index) for index in range(1000)])
    statements.clear()
    sample = filled.db.library_files.sample("music", 8)
    [asked] = statements
    assert plan_of(path, asked) == [
        "SEARCH library_files USING INDEX library_files_sampled (library_id=? AND file_id<?)"
    ]
    assert sample == sorted(filled.known(), key=lambda file: file.file_id)[:8]


def test_sounds_are_found_by_what_is_asked_for(filled: Scan, path: Path, statements: list[str]) -> None:
    """Never by walking through all missing files, of which there may be many more."""
    enrichment = filled.db.enrichment
    for ask, index in (
        (lambda: enrichment.missing_at("music", ["A", "B"]), "library_files_by_path"),
        (lambda: enrichment.folders_of_missing("music", ["A", "B"]), "library_files_by_folder"),
        (lambda: enrichment.audio_lengths({1, 2}), "enrichment_by_audio_bytes"),
        (lambda: enrichment.with_audio_bytes([1, 2]), "enrichment_by_audio_bytes"),
        (lambda: enrichment.sounds_of(["a", "b"]), "sqlite_autoindex_library_files_1"),
        (lambda: enrichment.next_jobs(now=1e12, limit=10), "library_files_due_art"),
        (lambda: enrichment.covers_in_use(["a", "b"]), "enrichment_by_cover"),
    ):
        statements.clear()
        ask()
        assert any(index in step for step in plan_of(path, statements[0])), statements[0]


def test_an_empty_batch_asks_nothing(filled: Scan, statements: list[str]) -> None:
    filled.write()
    assert statements == []


def test_a_batch_is_one_transaction(filled: Scan, statements: list[str]) -> None:
    QUESTIONS["batch"](filled)
    assert [text for text in statements if text.split()[0] in ("BEGIN", "COMMIT", "ROLLBACK")] == [
        "BEGIN IMMEDIATE",
        "COMMIT",
    ]


def test_a_first_scan_is_one_transaction_a_batch(filled: Scan, statements: list[str]) -> None:
    for start in range(0, 1000, 200):
        filled.write(
            upserts=[upsert(f"N/{start + index}", number=index) for index in range(200)], folders=[folder("N")]
        )
    assert sum(text.startswith("COMMIT") for text in statements) == 5


def test_failed_files_come_sorted_out_of_their_index(filled: Scan, path: Path, statements: list[str]) -> None:
    filled.db.enrichment.failed_files(limit=3)
    [statement] = [text for text in statements if text.startswith("SELECT")]
    plan = plan_of(path, statement)
    assert any("library_files_failed" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan
