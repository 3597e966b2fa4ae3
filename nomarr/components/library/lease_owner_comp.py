"""Who we are among the processes that share a database, and whether another owner is certainly dead."""

from __future__ import annotations

import os
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nomarr.helpers.dto.scan import LeaseOwner

__all__ = ["is_certainly_dead", "lease_owner"]

_HOST_PARTS: Final = 3
_ALIVE: Final[set[LeaseOwner]] = set()
"""The owners of this process whose work has not ended."""


@contextmanager
def lease_owner() -> Iterator[LeaseOwner]:
    """A new owner of leases in this process; each one is another owner, and dead when the block is left.

    It takes and uses its leases inside the block. One that could not be given back, as the database was away, is then
    free for the next owner in this process.
    """
    pid = os.getpid()
    process = _look_up(pid)
    owner = LeaseOwner(_host(), pid, process.started if process else 0, uuid.uuid4().hex)
    _ALIVE.add(owner)
    try:
        yield owner
    finally:
        _ALIVE.discard(owner)


def is_certainly_dead(owner: str, *, of_one_machine: bool) -> bool:
    """True only if the owner's work has ended in this process, or in one that does not run any more.

    The other process is one of this machine, boot and process namespace, or of an earlier boot: nothing is certain
    about others. A dead owner's lease need not run out: after a crash the next start goes on at once.

    Args:
        of_one_machine: `Database.is_of_one_machine`. Names of hosts are not unique, so a boot that is not ours is an
            earlier one only if no other machine can have the database open.
    """
    known = LeaseOwner.parse(owner)
    if known is None:
        return False
    if known.host != _host():
        return of_one_machine and _is_of_earlier_boot(known.host)
    process = _look_up(known.pid)
    if process is None:
        return os.path.exists("/proc/self") and _is_gone(known.pid)
    is_another = process.started != known.started
    return process.has_ended or is_another or (known.pid == os.getpid() and known not in _ALIVE)


def _is_gone(pid: int) -> bool:
    """True if there is no such process; /proc may hide those of other users (proc(5), hidepid)."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


def _is_of_earlier_boot(host: str) -> bool:
    """True if both boots are known and differ; another name may be a container of a virtual machine, with its own."""
    [name, boot, _], [our_name, our_boot, _] = _parts(host), _parts(_host())
    return name == our_name and "" not in (boot, our_boot) and boot != our_boot


def _parts(host: str) -> list[str]:
    """The parts of a value of `_host`; none of another one are known."""
    parts = host.split("/")
    return parts if len(parts) == _HOST_PARTS else [host, "", ""]


def _host() -> str:
    """Process ids of one value are comparable: same host, same boot, same process namespace."""
    return "/".join((platform.node(), _text("/proc/sys/kernel/random/boot_id"), _link("/proc/self/ns/pid")))


@dataclass(frozen=True, slots=True)
class _Process:
    started: int
    """In ticks since boot (proc_pid_stat(5), field 22)."""
    has_ended: bool
    """True for one that nobody has waited for yet."""


def _look_up(pid: int) -> _Process | None:
    """None if there is no such process, or none that may be looked at."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return _Process(int(after_name[19]), after_name[0] in (b"Z", b"X"))


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
