"""Where files are after renames and deletions is worked out for all of them at once, and for thousands in no time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomarr.components.library.path_changes_comp import places_after
from nomarr.helpers.dto.watching import PathChange, path_after
from nomarr.helpers.paths_helper import folder_of, is_within

PATHS = ("a", "b", "Rock/a", "Rock/b", "Rock/Live/a", "Pop/a", "Pop/Live/b", "Rocka")
FOLDERS = ("Rock", "Rock/Live", "Pop", "Pop/Live", "New", "a")


def file(old: str, new: str | None) -> PathChange:
    return PathChange(old, new, is_folder=False)


def folder(old: str, new: str | None) -> PathChange:
    return PathChange(old, new, is_folder=True)


def ends_of(paths: Iterable[str], changes: Iterable[PathChange]) -> dict[str, str]:
    """As `places_after`, by going through all files for every change."""
    at = {path: path for path in paths}
    for change in changes:
        taken = [p for p in at if p == change.old or (change.is_folder and is_within(p, change.old))]
        moved = {path[len(change.old) :]: at.pop(path) for path in taken}
        if change.new is None:
            continue
        if change.is_folder:
            at = {path: origin for path, origin in at.items() if not is_within(path, change.new)}
        elif not moved and folder_of(change.old) != folder_of(change.new):
            moved = {"": "unknown"}
        at |= {change.new + rest: origin for rest, origin in moved.items()}
    return {origin: path for path, origin in at.items() if origin not in (path, "unknown")}


changes_of_files = st.builds(file, st.sampled_from(PATHS), st.none() | st.sampled_from(PATHS))
changes_of_folders = st.builds(folder, st.sampled_from(FOLDERS), st.none() | st.sampled_from(FOLDERS))
changes = st.lists(changes_of_files | changes_of_folders, max_size=8)


@given(st.sets(st.sampled_from(PATHS)), changes)
def test_the_ends_are_those_of_going_through_all_files_for_every_change(
    paths: set[str], changes: list[PathChange]
) -> None:
    assert places_after(paths, changes) == ends_of(paths, changes)


@given(st.sets(st.sampled_from(PATHS)), changes)
def test_a_file_is_where_its_own_changes_lead_and_at_no_place_are_two(
    paths: set[str], changes: list[PathChange]
) -> None:
    ends = places_after(paths, changes)
    assert ends == {path: path_after(path, changes) for path in ends}
    assert len(set(ends.values())) == len(ends)


@pytest.mark.parametrize(
    ("known", "changes", "ends"),
    [
        ("a", [], {}),
        ("a", [file("a", "b")], {"a": "b"}),
        ("a", [file("a", "b"), file("b", "a")], {}),
        ("a", [file("a", "b"), file("b", None)], {}),
        ("ab", [file("a", "t"), file("b", "a"), file("t", "b")], {"a": "b", "b": "a"}),
        ("ab", [file("b", "c"), file("a", "b")], {"a": "b", "b": "c"}),
        ("ab", [file("a", "b")], {"a": "b"}),
        ("ac", [file("a", "b"), file("c", "b")], {"c": "b"}),
        ("ac", [file("a", "b"), file("c", "b"), file("b", "d")], {"c": "d"}),
        ("a", [file("a", "b"), file("b.tmp", "b")], {"a": "b"}),
        ("a", [file("a", "b"), file("Inbox/b", "b")], {}),
        ("a", [file("a", "b"), file("Inbox/b", "t"), file("t", "b"), file("b", "c")], {}),
        ("a", [folder("a", "b")], {"a": "b"}),
    ],
)
def test_each_kind_of_change(known: str, changes: list[PathChange], ends: dict[str, str]) -> None:
    assert places_after(known, changes) == ends


def test_a_folder_takes_everything_below_along_and_nothing_beside_it() -> None:
    paths = ["Rock/a", "Rock/Live/b", "Rocka/c", "Rock.wav"]
    assert places_after(paths, [folder("Rock", "Pop/Old"), file("Pop/Old/a", "a")]) == {
        "Rock/a": "a",
        "Rock/Live/b": "Pop/Old/Live/b",
    }


def test_a_file_renamed_as_a_file_leaves_alone_what_is_below_a_folder_of_its_name() -> None:
    assert places_after(["a.wav", "a.wav/b"], [file("a.wav", "c.wav")]) == {"a.wav": "c.wav"}


@pytest.mark.parametrize(("change", "inside"), [(file, ""), (folder, "/1"), (folder, "/Live/1")])
def test_each_of_many_changes_to_many_files_costs_the_same(
    change: Callable[[str, str], PathChange], inside: str
) -> None:
    def seconds(count: int) -> float:
        paths = [f"Rock/{number}{inside}" for number in range(count)]
        changes = [change(f"Rock/{number}", f"Pop/{number}") for number in range(count)]
        started = time.process_time()
        ends = places_after(paths, changes)
        took = time.process_time() - started
        assert ends == {path: path.replace("Rock", "Pop") for path in paths}
        return took

    # Ten times as much takes about ten times as long; if each change looked at each file, it would be a hundred times.
    assert min(seconds(5000) for _ in range(3)) < 40 * min(seconds(500) for _ in range(3))
