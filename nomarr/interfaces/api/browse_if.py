"""Which folders a client may see: those inside the roots that the operator allows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import anyio

from nomarr.helpers.paths_helper import is_within
from nomarr.interfaces.api.problems_if import Refused
from nomarr.interfaces.contract import JsonObject

__all__ = ["default_roots", "folders_in", "require_inside"]

_USUAL: Final = ("/music", "/srv", "/mnt", "/media")
_MOST: Final = 5000
_PATIENCE_SECONDS: Final = 5.0
_LOOKS: Final = 4
"""So many folders are looked at at the same time, disks that do not answer included: no more threads hang on them."""
_THREADS: Final = ThreadPoolExecutor(_LOOKS, "look at folders")
"""Of its own: a disk that does not answer must not hold up what else is done in threads, such as the database. anyio's
threads would not do, as one that is given up makes room for the next."""

T = TypeVar("T")


def default_roots() -> tuple[str, ...]:
    """The user's own folder, and where disks are usually mounted."""
    return (str(Path.home()), *(path for path in _USUAL if os.path.isdir(path)))


async def require_inside(path: str, roots: Sequence[str]) -> str:
    """`path` without links. Raises `Refused` unless it is absolute and inside one of the roots."""
    return await _looked_up(partial(_inside, path, roots))


async def folders_in(path: str, roots: Sequence[str]) -> JsonObject:
    """The folders in `path`, by name; the roots for the empty path. Raises `Refused`."""
    return await _looked_up(partial(_folders_in, path, roots))


async def _looked_up(look: Callable[[], T]) -> T:
    """What a thread finds on the disk. Raises `Refused` if it does not come back in time: nobody waits for ever."""
    try:
        with anyio.fail_after(_PATIENCE_SECONDS):
            # One that still waits for a thread then is never begun.
            return await asyncio.wrap_future(_THREADS.submit(look))
    except TimeoutError:
        raise Refused(
            503,
            "this disk does not answer; check that it is mounted and reachable, then try again",
            error="DiskDoesNotAnswer",
        ) from None


def _inside(path: str, roots: Sequence[str]) -> str:
    real = os.path.realpath(path) if path.startswith("/") else ""
    if not any(is_within(real, os.path.realpath(root).removesuffix("/")) for root in roots) or not real:
        allowed = ", ".join(roots) or "none"
        raise Refused(
            403,
            f"only folders inside the allowed ones can be used here ({allowed}); the setting browse_roots names them",
            error="PathNotAllowed",
        )
    return real


def _folders_in(path: str, roots: Sequence[str]) -> JsonObject:
    if not path:
        return {"path": "", "parent": None, "folders": [{"name": root, "path": root} for root in roots]}
    real = _inside(path, roots)
    try:
        names = _folder_names(real)
    except OSError as error:
        raise Refused(404, f"this folder can't be listed: {error.strerror}", error="FolderUnreadable") from error
    parent = os.path.dirname(real)
    return {
        "path": real,
        "parent": parent if any(is_within(parent, os.path.realpath(root)) for root in roots) else "",
        "folders": [{"name": name, "path": os.path.join(real, name)} for name in names],
    }


def _folder_names(folder: str) -> list[str]:
    """Without hidden ones, and without links: these may lead out."""
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
    return sorted(names, key=str.casefold)[:_MOST]
