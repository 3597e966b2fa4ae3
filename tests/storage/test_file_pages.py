"""Files a page at a time: every order, every filter, and every file exactly once."""

from __future__ import annotations

import pytest
from storage_kit import ODD_NAMES, START, Scan, give_lease_back, gone, read, start_scan, unreadable, upsert

from nomarr.helpers.dto.enrichment import ProcessingStatus
from nomarr.helpers.dto.file_pages import FilePlace, FileQuery, FileSort
from nomarr.helpers.dto.scan import HeldBackLosses
from nomarr.helpers.exceptions import LibraryAlreadyScanning
from nomarr.helpers.paths_helper import escaped
from nomarr.persistence.db import Database
from nomarr.persistence.rows import matches

MUSIC = FileQuery("music")


def pages(db: Database, query: FileQuery, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    after: FilePlace | None = None
    while True:
        page = db.library_files.page(query, after=after, limit=limit)
        found.append([record.path for record in page.files])
        if page.next_place is None:
            return found
        after = page.next_place


def paths(db: Database, query: FileQuery, limit: int = 100) -> list[str]:
    return [path for page in pages(db, query, limit) for path in page]


@pytest.mark.parametrize("sort", FileSort)
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_every_order_tells_every_file_once(scan: Scan, sort: FileSort, descending: bool, limit: int) -> None:
    scan.write(upserts=[upsert(path, number=index // 3) for index, path in enumerate(ODD_NAMES)])
    found = pages(scan.db, FileQuery("music", sort=sort, descending=descending), limit)
    assert sorted(path for page in found for path in page) == sorted(ODD_NAMES)
    assert {len(page) for page in found[:-1]} <= {limit}
    assert found[-1]


def test_paths_are_in_the_order_of_their_bytes(scan: Scan) -> None:
    scan.add(*ODD_NAMES)
    in_order = sorted(ODD_NAMES, key=lambda path: escaped(path).encode())
    assert paths(scan.db, MUSIC, 7) == in_order
    assert paths(scan.db, FileQuery("music", descending=True), 7) == in_order[::-1]


def test_titles_are_sorted_whatever_the_case_of_their_letters(scan: Scan) -> None:
    titles = {"a": "beta", "b": "Alpha", "c": None, "d": "Gamma"}
    scan.write(upserts=[upsert(path, tags=read(title)) for path, title in titles.items()])
    assert paths(scan.db, FileQuery("music", sort=FileSort.TITLE), 1) == ["c", "b", "a", "d"]


def test_no_library_means_all_of_them(scan: Scan, other: Scan) -> None:
    scan.add("a")
    other.add("b")
    assert paths(scan.db, FileQuery()) == ["a", "b"]
    assert paths(scan.db, FileQuery("other")) == ["b"]


def test_a_folder_means_everything_below_it_and_nothing_beside_it(scan: Scan) -> None:
    scan.add("Rock/a", "Rock/Sub/b", "Rock+/c", "d")
    assert paths(scan.db, FileQuery("music", "Rock")) == ["Rock/Sub/b", "Rock/a"]


def test_missing_files_are_listed_alone(scan: Scan) -> None:
    known = scan.add("a", "b")
    scan.write(gone=[gone(known["a"])])
    assert paths(scan.db, MUSIC) == ["b"]
    assert paths(scan.db, FileQuery("music", missing=True)) == ["a"]


def test_files_are_found_by_their_status(scan: Scan) -> None:
    scan.write(upserts=[upsert("a"), upsert("b", number=2, tags=unreadable())])
    assert paths(scan.db, FileQuery("music", status=ProcessingStatus.ERROR)) == ["b"]


def test_a_text_is_found_in_any_case_across_pages(scan: Scan) -> None:
    scan.write(
        upserts=[upsert(f"{n:04}", number=n, tags=read("STRASSE" if n % 1200 == 0 else "x")) for n in range(2500)]
    )
    assert pages(scan.db, FileQuery("music", text="straße"), 2) == [["0000", "1200"], ["2400"]]


@pytest.mark.parametrize("text", ['"', "\\", "\n", "\x1f", '"Ba\\r"\n', "ss", "S", "É", "\udcff", "a\tb"])
def test_every_text_is_found_in_names_and_titles_with_any_character(scan: Scan, text: str) -> None:
    titles = [
        'the "BA\\R"\n',
        "STRASSE",
        "Straße",
        "\x1fé",
        "a\tB",
        "bare",
    ]
    scan.write(
        upserts=[upsert(f"{n} plain", number=n, tags=read(title)) for n, title in enumerate(titles)]
        + [upsert(f"name {title}", number=10 + n, tags=read(None)) for n, title in enumerate([*titles, "\udcff"])]
    )
    by_hand = {record.path for record in scan.db.library_files.records("music") if matches(record, text)}
    assert by_hand
    assert set(paths(scan.db, FileQuery("music", text=text))) == by_hand
    assert {record.path for record in scan.db.library_files.records("music", query=text)} == by_hand


def test_a_text_that_only_other_tags_hold_is_not_found(scan: Scan) -> None:
    scan.write(upserts=[upsert("a", tags=read("x"))])
    assert paths(scan.db, FileQuery("music", text="title")) == []


def test_a_page_of_nothing_is_empty(scan: Scan) -> None:
    assert pages(scan.db, MUSIC, 5) == [[]]


def test_a_file_is_found_by_its_id_missing_or_not(scan: Scan) -> None:
    known = scan.add("a")["a"]
    scan.write(gone=[gone(known)])
    found = scan.db.library_files.get(known.file_id)
    assert found is not None
    assert (found.path, found.missing_since) == ("a", scan.now)
    assert scan.db.library_files.get("nobody") is None


def test_events_are_told_of_one_file_or_library(scan: Scan, other: Scan) -> None:
    known = scan.add("a", "b")
    other.add("c")
    scan.write(gone=[gone(known["a"])])
    events = scan.db.events
    assert [event.type for event in events.after(0, file_id=known["a"].file_id)] == ["created", "missing"]
    assert [event.path for event in events.after(0, library_id="other")] == ["c"]
    assert [event.path for event in events.after(0, library_id="music", limit=2)] == ["a", "b"]


def test_held_back_losses_are_forgotten_unless_a_scan_runs(db: Database) -> None:
    scan = start_scan(db, lease_seconds=60)
    db.library.set_held_back(scan.lease, HeldBackLosses(99, START, 1), now=START)
    with pytest.raises(LibraryAlreadyScanning):
        db.library.forget_held_back("music", now=START)
    give_lease_back(scan)
    db.library.forget_held_back("music", now=START)
    state = db.library.get_scan_state("music")
    assert state is not None
    assert state.held_back is None
