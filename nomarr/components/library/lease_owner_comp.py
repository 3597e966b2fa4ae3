"""Who we are among the processes that share a database, and whether another owner is certainly dead."""

from __future__ import annotations

import os
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nomarr.helpers.dto.scan import LeaseOwner

__all__ = ["is_certainly_dead", "lease_owner"]

_ALIVE: Final[set[LeaseOwner]] = set()
"""The owners of this process whose work has not ended."""


@contextmanager
def lease_owner() -> Iterator[LeaseOwner]:
    """A new owner of leases in this process; each one is another owner, and dead when the block is left.

    It takes and uses its leases inside the block. One that could not be given back, as the database was away, is then
    free for the next owner in this process.
    """
    pid = os.getpid()
    owner = LeaseOwner(_host(), pid, _started(pid) or 0, uuid.uuid4().hex)
    _ALIVE.add(owner)
    try:
        yield owner
    finally:
        _ALIVE.discard(owner)


def is_certainly_dead(owner: str) -> bool:
    """True only if the owner's work has ended in this process, or in one that does not run any more.

    The other process is one of this machine, boot and process namespace: nothing is certain about others. A dead
    owner's lease need not run out: after a crash the next start goes on at once.
    """
    known = LeaseOwner.parse(owner)
    if known is None or known.host != _host():
        return False
    started = _started(known.pid)
    if started is None:
        return not os.path.exists(f"/proc/{known.pid}") and os.path.exists("/proc/self")
    return started != known.started or (known.pid == os.getpid() and known not in _ALIVE)


def _host() -> str:
    """Process ids of one value are comparable: same host, same boot, same process namespace."""
    return "/".join((platform.node(), _text("/proc/sys/kernel/random/boot_id"), _link("/proc/self/ns/pid")))


def _started(pid: int) -> int | None:
    """Start time of a running process in ticks since boot (proc_pid_stat(5), field 22); None if there is none."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    if after_name[0] in (b"Z", b"X"):
        return None
    return int(after_name[19])


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
