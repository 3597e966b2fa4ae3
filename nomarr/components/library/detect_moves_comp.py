"""Recognize a file that is at another place now, by evidence and never by guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from nomarr.helpers.dto.files import FileStat, KnownFile

__all__ = [
    "RENAME_EVENT",
    "SAME_INODE",
    "Arrival",
    "FileIdentity",
    "Move",
    "detect_moves",
    "identity_of",
    "in_safe_order",
]

SAME_INODE: Final = "device+inode+size+mtime"
RENAME_EVENT: Final = "rename event"


class FileIdentity(NamedTuple):
    """What a rename keeps and no other file has at the same time, hard links apart.

    A symbolic link has its own inode, with size and mtime of the file that it leads to.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file at a path where it was not before."""

    path: str
    identity: FileIdentity


@dataclass(frozen=True, slots=True)
class Move:
    """A known file and the path where it is now."""

    file: KnownFile
    to_path: str
    evidence: str


def identity_of(stat: FileStat, device: int) -> FileIdentity:
    """The identity of a file with these numbers on this device."""
    return FileIdentity(device, stat.inode, stat.size, stat.mtime_ns)


def detect_moves(
    arrivals: Iterable[Arrival],
    departed: Iterable[KnownFile],
    library_id: str,
    device_now: Callable[[KnownFile], int] = lambda file: file.device,
    noticed: Iterable[tuple[KnownFile, Arrival]] = (),
    is_there: Callable[[Arrival], bool] | None = None,
) -> list[Move]:
    """Pair departed files with arrivals in the library `library_id`, one to one: first what was noticed, then the rest.

    Of the rest, files of the same identity belong together. Two of one identity on either side (hard links) are
    ambiguous, and ambiguous means not a move. Two things can still tell them apart: a file that another one had
    displaced, and whose path has its identity again, is back there; and if all but one were missing before, it is that
    one that moved, since the others' links were gone already.

    The same physical file may be in several libraries that lie inside each other. It is another file in each of them,
    so a file of another library counts only if the library itself had none of that identity.

    Args:
        device_now: the number of the disk that is where the file was. It counts for a file of whose identity nothing
            arrived on the disk that has the old number: disks get other numbers, by a reboot for one.
        noticed: files and where they are now for somebody who saw them move, no file and no path twice. It is believed
            unless identity proves that one of the two belongs to something else.
        is_there: asks the disk whether an arrival is still there. Of several with one identity, those that are not are
            left out: a file that was moved while the folders were walked is seen twice.
    """
    # Inode 0 stands for a file system whose inodes mean nothing.
    identities = {file: _identities(file, device_now) for file in departed if file.stat.inode}
    wanted = {identity for both in identities.values() for identity in both}
    came: dict[FileIdentity, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        if arrival.identity in wanted:
            came[arrival.identity].append(arrival)
    gone: dict[FileIdentity, list[KnownFile]] = defaultdict(list)
    for file, (recorded, renumbered) in identities.items():
        gone[recorded if recorded in came else renumbered].append(file)
    if is_there is not None:
        came = {identity: _of_several(arrivals, is_there) for identity, arrivals in came.items()}

    def is_credible(file: KnownFile, arrival: Arrival) -> bool:
        # It was noticed before the disk was looked at: since then the file may have moved on, or another one come.
        (recorded, renumbered), now = _identities(file, device_now), arrival.identity
        before = recorded if recorded in came else renumbered
        if before == now and now in came:
            return arrival in came[now]
        return before == now or (before not in came and now not in gone)

    seen = [Move(file, arrival.path, RENAME_EVENT) for file, arrival in noticed if is_credible(file, arrival)]
    return seen + _same_identity(came, gone, library_id, seen)


def _identities(file: KnownFile, device_now: Callable[[KnownFile], int]) -> tuple[FileIdentity, FileIdentity]:
    """As it was recorded, and by the number that the disk at its place has now."""
    return identity_of(file.stat, file.device), identity_of(file.stat, device_now(file))


def _of_several(arrivals: list[Arrival], is_there: Callable[[Arrival], bool]) -> list[Arrival]:
    if len(arrivals) == 1:
        return arrivals
    return [arrival for arrival in arrivals if is_there(arrival)]


def _same_identity(
    came: Mapping[FileIdentity, Sequence[Arrival]],
    gone: Mapping[FileIdentity, Sequence[KnownFile]],
    library_id: str,
    known: Sequence[Move],
) -> list[Move]:
    """The moves that identity proves, of files and to paths that have no part in those known already."""
    moved = {move.file.file_id for move in known}
    taken = {move.to_path for move in known}
    moves = []
    for identity, arrivals in came.items():
        found = [arrival for arrival in arrivals if arrival.path not in taken]
        files = [file for file in gone[identity] if file.file_id not in moved]
        own = [file for file in files if file.library_id == library_id]
        back = _back_at_their_paths(found, own)
        moves += [Move(file, path, SAME_INODE) for path, file in back.items()]
        found = [arrival for arrival in found if arrival.path not in back]
        candidates = [file for file in own or files if file not in back.values()]
        candidates = [file for file in candidates if file.is_present] or candidates
        if len(found) == 1 and len(candidates) == 1:
            moves.append(Move(candidates[0], found[0].path, SAME_INODE))
    return moves


def _back_at_their_paths(found: Iterable[Arrival], own: Iterable[KnownFile]) -> dict[str, KnownFile]:
    """The files that are found at the very path at which they are known, if they are the only ones known there."""
    known_at: dict[str, list[KnownFile]] = defaultdict(list)
    for file in own:
        known_at[file.path].append(file)
    places = {arrival.path: known_at.get(arrival.path, []) for arrival in found}
    return {path: files[0] for path, files in places.items() if len(files) == 1}


def in_safe_order(moves: Iterable[Move], library_id: str) -> list[list[Move]]:
    """Groups of moves into `library_id` to be written together, each new path free by the time it is taken.

    A chain (a to b, b to c) is written from its end; only a cycle (a swap) has to be one transaction.
    """
    every = list(moves)
    # A displaced file stands at no path: another one may move away from the path that it remembers.
    by_old_path = {(move.file.library_id, move.file.path): move for move in every if not move.file.displaced}
    groups: list[list[Move]] = []
    done: set[str] = set()
    for start in every:
        chain: list[Move] = []
        on_chain: set[str] = set()
        move: Move | None = start
        while move is not None and move.file.file_id not in done and move.file.file_id not in on_chain:
            chain.append(move)
            on_chain.add(move.file.file_id)
            move = by_old_path.get((library_id, move.to_path))
        done |= on_chain
        if move is not None and move.file.file_id in on_chain:
            groups.append(chain)
        else:
            groups += [[one] for one in reversed(chain)]
    return groups
