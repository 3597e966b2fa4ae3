"""Which folder a scan is asked for, and what that includes."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomarr.helpers.dto.library import ScanTarget, without_covered
from nomarr.helpers.exceptions import InvalidPath


def target(folder_path: str = "", *, recursive: bool = True, library_id: str = "music") -> ScanTarget:
    return ScanTarget(library_id, folder_path, recursive)


@pytest.mark.parametrize(
    ("given_path", "normalized"),
    [
        ("", ""),
        (".", ""),
        ("./", ""),
        ("Rock", "Rock"),
        ("Rock/", "Rock"),
        ("./Rock/", "Rock"),
        ("Rock/./Live/.", "Rock/Live"),
        ("...", "..."),
        (" ", " "),
        ("~", "~"),
        ("back\\slash", "back\\slash"),
        ("new\nline", "new\nline"),
        (os.fsdecode(b"\xff"), os.fsdecode(b"\xff")),
        ("cafe\u0301", "cafe\u0301"),
    ],
)
def test_a_folder_is_normalized_and_otherwise_left_alone(given_path: str, normalized: str) -> None:
    assert target(given_path).folder_path == normalized
    assert target(given_path) == target(normalized)
    assert hash(target(given_path)) == hash(target(normalized))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/", "absolute"),
        ("/Rock", "absolute"),
        ("..", "leave"),
        ("Rock/..", "leave"),
        ("../Rock", "leave"),
        ("Rock/../Pop", "leave"),
        ("Rock//Live", "empty segment"),
        ("Rock//", "empty segment"),
        ("Rock\0", "NUL"),
    ],
)
def test_what_is_no_folder_of_a_library_is_refused(path: str, reason: str) -> None:
    with pytest.raises(InvalidPath, match=reason) as caught:
        target(path)
    assert caught.value.path == path
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("one", "other", "covered"),
    [
        (target(), target("Rock"), True),
        (target("Rock"), target(), False),
        (target("Rock"), target("Rock"), True),
        (target("Rock"), target("Rock/Live"), True),
        (target("Rock"), target("Rockabilly"), False),
        (target("Rock"), target("rock"), False),
        (target("Rock"), target("Rock+"), False),
        (target("Rock"), target("Rock", recursive=False), True),
        (target("Rock", recursive=False), target("Rock"), False),
        (target("Rock", recursive=False), target("Rock", recursive=False), True),
        (target("Rock", recursive=False), target("Rock/Live", recursive=False), False),
        (target("", recursive=False), target("Rock", recursive=False), False),
        (target(library_id="a"), target(library_id="b"), False),
    ],
)
def test_a_target_covers_what_it_looks_at(one: ScanTarget, other: ScanTarget, covered: bool) -> None:
    assert one.covers(other) is covered


@pytest.mark.parametrize(
    ("asked", "path", "contained"),
    [
        (target(), "a", True),
        (target(), "Rock/a", True),
        (target("", recursive=False), "a", True),
        (target("", recursive=False), "Rock/a", False),
        (target("Rock"), "Rock/Live/a", True),
        (target("Rock"), "Rock+/a", False),
        (target("Rock"), "Rock", False),
        (target("Rock", recursive=False), "Rock/Live/a", False),
        (target("Rock", recursive=False), "Rock/a", True),
    ],
)
def test_a_target_contains_the_files_of_its_folders(asked: ScanTarget, path: str, contained: bool) -> None:
    assert asked.contains_file(path) is contained


@pytest.mark.parametrize(
    ("folders", "kept"),
    [
        ([], []),
        (["Rock", "Rockabilly"], ["Rock", "Rockabilly"]),
        (["", "Rock"], [""]),
        (["Rock/Live", "Rock", "Rock"], ["Rock"]),
        (["b", "a"], ["a", "b"]),
        (["a/b/c/d", "a/b", "a/c"], ["a/b", "a/c"]),
    ],
)
def test_a_folder_inside_another_is_not_scanned_twice(folders: list[str], kept: list[str]) -> None:
    assert without_covered(target(folder) for folder in folders) == [target(folder) for folder in kept]


def test_shallow_targets_and_libraries_are_told_apart() -> None:
    shallow, deep = target("Rock", recursive=False), target("Rock")
    below = target("Rock/Live", recursive=False)
    elsewhere = target("Rock", library_id="other")
    assert without_covered([shallow, below]) == [shallow, below]
    assert without_covered([shallow, below, deep, elsewhere]) == [deep, elsewhere]


paths = st.lists(st.sampled_from(["a", "b", "A", "a+"]), max_size=3).map("/".join)
targets = st.builds(ScanTarget, st.sampled_from(["one", "two"]), paths, st.booleans())


@settings(derandomize=True, deadline=None)
@given(st.lists(targets, max_size=8))
def test_merging_loses_nothing_and_leaves_no_overlap(asked: list[ScanTarget]) -> None:
    kept = without_covered(asked)
    assert kept == sorted(set(kept))
    assert set(kept) <= set(asked)
    assert all(any(other.covers(one) for other in kept) for one in asked)
    assert not any(one.covers(other) for one in kept for other in kept if one != other)
