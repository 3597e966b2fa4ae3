"""Is a library's root really there? A disk that is away must never look like a library without files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from nomarr.helpers.dto.files import KnownFile, int64
from nomarr.helpers.dto.library import RootIdentity
from nomarr.helpers.paths_helper import join, strip_control

__all__ = ["SAMPLE_SIZE", "RootVerdict", "check_root", "may_exist"]

SAMPLE_SIZE: Final = 64
_PROOF: Final = 0.5
"""Share of the sampled files that prove another device or folder to hold the same library."""


@dataclass(frozen=True, slots=True)
class RootVerdict:
    """What was found where the root should be."""

    identity: RootIdentity | None
    offline_reason: str | None = None
    warning: str | None = None


def check_root(
    root: str,
    known: RootIdentity | None,
    sample: Callable[[], Sequence[KnownFile]],
    *,
    may_be_empty: bool,
    marker: str = "",
) -> RootVerdict:
    """Judge the folder `root`.

    Args:
        known: the root at the last scan; None for a first scan.
        sample: some files that should be there; asked only when something is odd.
        may_be_empty: somebody has confirmed that all files may be gone.
        marker: name of a file that must be in the root; empty for none.
    """
    try:
        status = os.stat(root)
        with os.scandir(root) as entries:
            is_empty = next(entries, None) is None
    except FileNotFoundError:
        return RootVerdict(None, f"the folder {strip_control(root)} is not there")
    except NotADirectoryError:
        return RootVerdict(None, f"{strip_control(root)} is not a folder")
    except OSError as error:
        return RootVerdict(None, f"the folder {strip_control(root)} can't be read ({error.strerror})")
    identity = RootIdentity(int64(status.st_dev), int64(status.st_ino))
    if marker and not os.path.lexists(join(root, marker)):
        return RootVerdict(identity, f"the marker file '{marker}' is not in {strip_control(root)}")
    if is_empty and not may_be_empty and sample():
        return RootVerdict(
            identity, f"the folder {strip_control(root)} is empty, though files are known in it; is its disk mounted?"
        )
    if known is None or identity == known:
        return RootVerdict(identity)
    return _judge_other_root(root, known, identity, sample())


def _judge_other_root(
    root: str, known: RootIdentity, identity: RootIdentity, expected: Sequence[KnownFile]
) -> RootVerdict:
    """Device numbers change with reboots and restores: what counts is whether the known files are there."""
    found = sum(_is_there(join(root, file.path), file.stat.size) for file in expected)
    if found < len(expected) * _PROOF:
        return RootVerdict(
            identity,
            f"another folder or disk is at {strip_control(root)}: {len(expected) - found} of {len(expected)} files"
            " looked for are not on it; if it is meant to be, use 'nomarr library relocate' with this folder",
        )
    if identity.inode == known.inode:
        return RootVerdict(identity)
    return RootVerdict(
        identity, warning=f"{strip_control(root)} is another folder or disk than before, with the same files"
    )


def _is_there(path: str, size: int) -> bool:
    try:
        return os.stat(path).st_size == size
    except OSError:
        return False


def may_exist(path: str) -> bool:
    """False if there is certainly no file at `path`: what can't be looked at may be one."""
    try:
        return not stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
