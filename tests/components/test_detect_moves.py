"""Moves are recognized by evidence, one to one, and written in an order in which every new path is free."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomarr.components.library.detect_moves_comp import (
    RENAME_EVENT,
    SAME_INODE,
    Arrival,
    FileIdentity,
    Move,
    detect_moves,
    in_safe_order,
)
from nomarr.helpers.dto.files import FileStat, KnownFile


def known(path: str, inode: int, *, size: int = 1, mtime_ns: int = 1, device: int = 1) -> KnownFile:
    return KnownFile(f"id of {path}", "music", path, FileStat(size, mtime_ns, 0, inode), device, 0.0)


def arrived(path: str, inode: int, *, size: int = 1, mtime_ns: int = 1, device: int = 1) -> Arrival:
    return Arrival(path, FileIdentity(device, inode, size, mtime_ns))


def pairs(moves: list[Move]) -> set[tuple[str, str]]:
    return {(move.file.path, move.to_path) for move in moves}


def test_the_same_identity_at_another_path_is_a_move() -> None:
    moves = detect_moves([arrived("b", 7), arrived("new", 8)], [known("a", 7), known("gone", 9)], "l")
    assert pairs(moves) == {("a", "b")}


def test_anything_less_than_the_whole_identity_is_no_move() -> None:
    for other in (
        arrived("b", 8),
        arrived("b", 7, size=2),
        arrived("b", 7, mtime_ns=2),
        arrived("b", 7, device=2),
    ):
        assert detect_moves([other], [known("a", 7)], "l") == []


def test_two_of_one_identity_on_either_side_are_ambiguous() -> None:
    assert detect_moves([arrived("b", 7), arrived("c", 7)], [known("a", 7)], "l") == []
    assert detect_moves([arrived("b", 7)], [known("a", 7), known("c", 7)], "l") == []
    assert detect_moves([arrived("b", 7), arrived("d", 7)], [known("a", 7), known("c", 7)], "l") == []


def test_one_that_is_back_at_its_own_path_is_not_ambiguous() -> None:
    assert pairs(detect_moves([arrived("a", 7)], [known("a", 7), known("c", 7)], "music")) == {("a", "a")}
    assert pairs(detect_moves([arrived("a", 7), arrived("b", 7)], [known("a", 7)], "music")) == {("a", "a")}
    both = detect_moves([arrived("a", 7), arrived("b", 7)], [known("a", 7), known("c", 7)], "music")
    assert pairs(both) == {("a", "a"), ("c", "b")}


def test_two_that_were_at_the_same_path_are_ambiguous_there() -> None:
    one, other = known("a", 7), replace(known("a", 7), file_id="another")
    assert detect_moves([arrived("a", 7)], [one, other], "music") == []


def test_the_same_path_in_another_library_is_no_place_to_be_back_at() -> None:
    assert detect_moves([arrived("a", 7), arrived("b", 7)], [known("a", 7)], "another library") == []


def test_inodes_that_mean_nothing_are_no_evidence() -> None:
    assert detect_moves([arrived("b", 0)], [known("a", 0)], "l") == []


def test_a_disk_with_a_new_device_number_is_the_same_disk() -> None:
    moves = detect_moves([arrived("b", 7, device=5)], [known("a", 7, device=1)], "l", lambda _: 5)
    assert pairs(moves) == {("a", "b")}


def test_a_disk_that_kept_its_number_is_that_disk_whatever_is_at_its_place_now() -> None:
    moves = detect_moves([arrived("b", 7, device=1)], [known("a", 7, device=1)], "l", lambda _: 5)
    assert pairs(moves) == {("a", "b")}


@pytest.mark.parametrize(
    "now", [arrived("b", 7, size=2, mtime_ns=2), arrived("b", 8), arrived("b", 0, device=0), arrived("b", 7)]
)
def test_a_move_that_was_noticed_counts_whatever_the_numbers_of_the_file_are(now: Arrival) -> None:
    file = known("a", 7)
    assert detect_moves([now], [file], "music", noticed=[(file, now)]) == [Move(file, "b", RENAME_EVENT)]


def test_files_that_moved_on_after_they_were_noticed_are_told_apart_by_their_numbers() -> None:
    a, b, c, d = known("a", 7), known("b", 8), arrived("c", 8), arrived("d", 7)
    moves = detect_moves([c, d], [a, b], "music", noticed=[(a, c)])
    assert set(moves) == {Move(a, "d", SAME_INODE), Move(b, "c", SAME_INODE)}


def test_a_move_that_was_noticed_tells_hard_links_apart() -> None:
    a, b, c, d = known("a", 7), known("b", 7), arrived("c", 7), arrived("d", 7)
    moves = detect_moves([c, d], [a, b], "music", noticed=[(b, c)])
    assert set(moves) == {Move(b, "c", RENAME_EVENT), Move(a, "d", SAME_INODE)}


def test_the_one_that_was_present_until_now_has_moved_not_one_whose_link_was_gone_already() -> None:
    departed = [known("a", 7), replace(known("lost before", 7), missing_since=1.0)]
    assert pairs(detect_moves([arrived("b", 7)], departed, "music")) == {("a", "b")}
    both = [replace(file, missing_since=1.0) for file in departed]
    assert detect_moves([arrived("b", 7)], both, "music") == []


def test_a_file_that_was_seen_twice_while_it_moved_is_where_it_is_now() -> None:
    seen = [arrived("between", 7), arrived("now", 7)]

    def is_there(arrival: Arrival) -> bool:
        return arrival.path == "now"

    file = known("a", 7)
    assert pairs(detect_moves(seen, [file], "music", is_there=is_there)) == {("a", "now")}
    noticed = [(file, seen[0])]
    assert pairs(detect_moves(seen, [file], "music", noticed=noticed, is_there=is_there)) == {("a", "now")}


@given(st.permutations(range(8)), st.integers(0, 8))
def test_every_new_path_is_free_when_its_group_is_written(places: list[int], kept: int) -> None:
    files = {place: known(str(place), place + 1) for place in range(8)}
    moves = [Move(files[old], str(new), "") for old, new in enumerate(places) if old != new and old < kept + 1]
    moving = {move.file.path for move in moves}
    taken = {move.to_path for move in moves}
    # What stays where a move wants to go was replaced by it and makes room, as a file renamed over it does.
    at = {path: path for path in moving}
    written = in_safe_order(moves, "music")
    assert sorted(move.file.path for group in written for move in group) == sorted(moving)
    for group in written:
        leaving = {move.file.path for move in group}
        for move in group:
            assert move.to_path not in at or move.to_path in leaving
        for move in group:
            del at[move.file.path]
        at |= {move.to_path: move.file.path for move in group if move.to_path in taken - moving}
