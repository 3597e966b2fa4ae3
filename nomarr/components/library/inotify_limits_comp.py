"""The limits of inotify, the kernel's notification of changes (inotify(7)), and how they are raised."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

__all__ = ["INOTIFY_LIMITS", "InotifyLimit", "allowed", "how_to_raise"]

INOTIFY_LIMITS: Final = Path("/proc/sys/fs/inotify")


class InotifyLimit(StrEnum):
    """What a user's programs share. The first two count for all of them together."""

    WATCHES = "max_user_watches"
    """Watched folders."""
    INSTANCES = "max_user_instances"
    """Watchers."""
    QUEUED_EVENTS = "max_queued_events"
    """Changes that wait for one watcher; of more than that nothing is told but that they are lost."""


def allowed(limit: InotifyLimit, limits: Path = INOTIFY_LIMITS) -> int:
    """What the kernel allows. Raises `OSError` or `ValueError` where it does not say."""
    return int((limits / limit).read_text(encoding="ascii"))


def how_to_raise(limit: InotifyLimit, number: int) -> str:
    """The commands that raise a limit, now and for good."""
    setting = f"fs.inotify.{limit}={number}"
    return f"sudo sysctl {setting}; to keep it: echo {setting} | sudo tee -a /etc/sysctl.d/60-nomarr.conf"
