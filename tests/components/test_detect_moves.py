"""A move is one departed file and one arrival of the same identity; everything else is not a move."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nomarr.components.library.detect_moves_comp import (
    SAME_INODE,
    Arrival,
    FileIdentity,
    Move,
    detect_moves,
    identity_of,
    in_safe_order,
)
from nomarr.helpers.dto.files import FileStat, KnownFile


def known(file_id: str, path: str, inode: int, *, device: int = 1, library_id: str = "l") -> KnownFile:
    return KnownFile(file_id, library_id, path, FileStat(10, 20, 30, inode), device, read_at=1.0)


def arrival(path: str, inode: int, *, device: int = 1, size: int = 10) -> Arrival:
    return Arrival(path, identity_of(FileStat(size, 20, 99, inode), device))


def test_one_departed_and_one_arrival_are_a_move() -> None:
    gone = known("a", "old.mp3", 7)
    assert detect_moves([arrival("new.mp3", 7)], [gone]) == [Move(gone, "new.mp3", SAME_INODE)]


def test_another_size_or_device_is_another_file() -> None:
    gone = [known("a", "old.mp3", 7)]
    assert detect_moves([arrival("new.mp3", 7, size=11)], gone) == []
    assert detect_moves([arrival("new.mp3", 7, device=2)], gone) == []


def test_hard_links_on_either_side_are_ambiguous() -> None:
    assert detect_moves([arrival("c", 7), arrival("d", 7)], [known("a", "a", 7)]) == []
    assert detect_moves([arrival("c", 7)], [known("a", "a", 7), known("b", "b", 7)]) == []


def test_inode_zero_means_nothing() -> None:
    assert detect_moves([arrival("new", 0)], [known("a", "old", 0)]) == []


def test_a_disk_with_another_number_since_the_reboot_is_the_same_disk() -> None:
    gone = known("a", "old", 7, device=5)
    assert detect_moves([arrival("new", 7, device=9)], [gone], {5: 9}) == [Move(gone, "new", SAME_INODE)]


def test_a_chain_is_written_from_its_end() -> None:
    first, second = Move(known("1", "a", 1), "b", ""), Move(known("2", "b", 2), "c", "")
    assert in_safe_order([first, second], "l") == [[second], [first]]
    assert in_safe_order([second, first], "l") == [[second], [first]]


def test_a_displaced_file_moves_beside_the_one_that_stands_at_its_path() -> None:
    displaced = Move(replace(known("1", "a", 1), displaced=True), "b", "")
    standing = Move(known("2", "a", 2), "c", "")
    assert in_safe_order([displaced, standing], "l") == [[displaced], [standing]]


def test_a_swap_is_one_group() -> None:
    there, back = Move(known("1", "a", 1), "b", ""), Move(known("2", "b", 2), "a", "")
    assert [len(group) for group in in_safe_order([there, back], "l")] == [2]


def test_the_same_path_in_another_library_is_another_place() -> None:
    moves = [
        Move(known("1", "a", 1, library_id="other"), "b", ""),
        Move(known("2", "b", 2, library_id="other"), "c", ""),
    ]
    assert sorted(len(group) for group in in_safe_order(moves, "l")) == [1, 1]


@given(st.permutations(range(8)))
def test_in_any_permutation_of_files_no_move_takes_a_path_that_is_still_occupied(targets: list[int]) -> None:
    moves = [Move(known(str(n), f"p{n}", n), f"p{target}", "") for n, target in enumerate(targets) if n != target]
    occupied = {move.file.path for move in moves}
    for group in in_safe_order(moves, "l"):
        occupied -= {move.file.path for move in group}
        assert not occupied & {move.to_path for move in group}
    assert sum(len(group) for group in in_safe_order(moves, "l")) == len(moves)


@given(
    st.lists(st.integers(1, 4), max_size=8),
    st.lists(st.integers(1, 4), max_size=8),
)
def test_moves_are_exactly_the_identities_that_stand_once_on_each_side(gone: list[int], came: list[int]) -> None:
    departed = [known(f"g{n}", f"g{n}", inode) for n, inode in enumerate(gone)]
    arrivals = [arrival(f"c{n}", inode) for n, inode in enumerate(came)]
    found = {move.file.stat.inode for move in detect_moves(arrivals, departed)}
    assert found == {inode for inode in set(gone) if gone.count(inode) == 1 and came.count(inode) == 1}


def test_identity_leaves_the_change_time_out() -> None:
    assert identity_of(FileStat(1, 2, 3, 4), 5) == FileIdentity(device=5, inode=4, size=1, mtime_ns=2)
