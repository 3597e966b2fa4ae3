"""Which folders a client may see: those inside the roots that the operator allows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio

from nomarr.helpers.paths_helper import is_within, join
from nomarr.interfaces.api.problems_if import Refused
from nomarr.interfaces.contract import JsonObject

__all__ = ["default_roots", "folders_in", "require_inside"]

_USUAL: Final = ("/music", "/srv", "/mnt", "/media")
_MOST: Final = 5000
_PATIENCE_SECONDS: Final = 5.0
_LOOKS: Final = 2
"""So many folders of one place are looked at at the same time, disks that do not answer included,"""
_PLACES: Final = 8
"""and at so many places, all others being one: no more threads hang, and one disk holds up no other."""
_OTHERS: Final = "others"

T = TypeVar("T")


def default_roots() -> tuple[str, ...]:
    """The user's own folder, and where disks are usually mounted."""
    # Users of services often have `/` for a home, and that would be the whole computer.
    home = Path.home()
    own = [] if home == home.parent else [str(home)]
    return (*own, *(path for path in _USUAL if os.path.isdir(path)))


async def require_inside(path: str, roots: Sequence[str]) -> str:
    """`path` without links. Raises `Refused` unless it is absolute and inside one of the roots."""
    real, _ = await _looked_up(path, roots, partial(_inside, path, roots))
    return real


async def folders_in(path: str, roots: Sequence[str]) -> JsonObject:
    """The folders in `path`, by name; the roots for the empty path, without a look at them. Raises `Refused`."""
    if not path:
        return {"path": "", "parent": None, "folders": [{"name": root, "path": root} for root in roots]}
    return await _looked_up(path, roots, partial(_folders_in, path, roots))


class _Place:
    """What is probably on one disk, with threads of its own.

    A disk that does not answer must not hold up what else is done in threads, such as the database. anyio's threads
    would not do, as one that is given up makes room for the next.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKS, "look at folders")
        self._wanted: set[Future[Any]] = set()
        self._looked_at: list[str] = []

    @property
    def is_in_use(self) -> bool:
        """True while a look has not come back, or is still to be begun."""
        return bool(self._wanted)

    def begin(self, path: str, look: Callable[[], T]) -> Future[T]:
        """What `look` finds at `path`."""
        answer = self._threads.submit(self._look, path, look)
        self._wanted.add(answer)
        answer.add_done_callback(self._wanted.discard)
        return answer

    def is_looked_at(self, path: str) -> bool:
        """True while a look at `path`, or at a folder that holds it, has not come back."""
        return any(is_within(path, other) for other in list(self._looked_at))

    def close(self) -> None:
        """Nobody asks here any more."""
        self._threads.shutdown(wait=False)

    def _look(self, path: str, look: Callable[[], T]) -> T:
        self._looked_at.append(path)
        try:
            return look()
        finally:
            self._looked_at.remove(path)


_places: Final[dict[str, _Place]] = {_OTHERS: _Place()}


def _place_of(path: str, roots: Sequence[str]) -> _Place:
    """Told by the path alone, as asking the disk may take for ever: disks are mounted at roots or right below them."""
    name = _name_of_place(os.path.normpath(path), roots)
    if name not in _places and len(_places) > _PLACES:
        _forget_one()
    if name not in _places and len(_places) > _PLACES:
        return _places[_OTHERS]
    return _places.setdefault(name, _Place())


def _name_of_place(path: str, roots: Sequence[str]) -> str:
    root = max((root.removesuffix("/") for root in roots if _seems_inside(path, root)), key=len, default=None)
    if root is None:
        return _OTHERS
    return join(root, path.removeprefix(root).removeprefix("/").partition("/")[0])


def _forget_one() -> None:
    """The place that has been there for the longest and is not in use, if there is one."""
    for name, place in _places.items():
        if name != _OTHERS and not place.is_in_use:
            _places.pop(name).close()
            return


def _seems_inside(path: str, root: str) -> bool:
    return is_within(path, root.removesuffix("/"))


async def _looked_up(path: str, roots: Sequence[str], look: Callable[[], T]) -> T:
    """What a thread finds on the disk. Raises `Refused` if it does not come back in time: nobody waits for ever."""
    place = _place_of(path, roots)
    answer = place.begin(path, look)
    try:
        with anyio.fail_after(_PATIENCE_SECONDS):
            # One that still waits for a thread then is never begun.
            return await asyncio.wrap_future(answer)
    except TimeoutError:
        raise _unanswered(is_this_disk=not answer.cancelled() or place.is_looked_at(path)) from None


def _unanswered(*, is_this_disk: bool) -> Refused:
    if is_this_disk:
        return Refused(
            503,
            "this disk does not answer; check that it is mounted and reachable, then try again",
            error="DiskDoesNotAnswer",
        )
    return Refused(
        503,
        "another disk does not answer and holds up looking at folders; check that all disks are mounted and reachable, "
        "then try again",
        error="OtherDiskDoesNotAnswer",
    )


def _inside(path: str, roots: Sequence[str]) -> tuple[str, str]:
    """`path`, and the root that it is in, without links. Raises `Refused`."""
    real = os.path.realpath(path) if path.startswith("/") else ""
    # Other roots may be on disks that do not answer: they are looked at only if links may lead there.
    for root in sorted(roots if real else (), key=lambda root: (not _seems_inside(path, root), len(root))):
        real_root = os.path.realpath(root).removesuffix("/")
        if is_within(real, real_root):
            return real, real_root
    allowed = ", ".join(roots) or "none"
    raise Refused(
        403,
        f"only folders inside the allowed ones can be used here ({allowed}); the setting browse_roots names them",
        error="PathNotAllowed",
    )


def _folders_in(path: str, roots: Sequence[str]) -> JsonObject:
    real, root = _inside(path, roots)
    try:
        names = _folder_names(real)
    except OSError as error:
        raise Refused(404, f"this folder can't be listed: {error.strerror}", error="FolderUnreadable") from error
    parent = os.path.dirname(real)
    return {
        "path": real,
        "parent": parent if is_within(parent, root) else "",
        "folders": [{"name": name, "path": os.path.join(real, name)} for name in names],
    }


def _folder_names(folder: str) -> list[str]:
    """Without hidden ones, and without links: these may lead out."""
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
    return sorted(names, key=str.casefold)[:_MOST]
