"""How the service protects itself, as values."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

__all__ = ["ServiceOptions", "is_loopback"]


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """Limits and permissions of one running service."""

    tokens_required: bool = False
    """False: whoever can connect may do everything, which is right for this computer's own addresses only."""
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    """What a browser may have been told to connect to; any other name is an attack by DNS. Empty: anything."""
    browse_roots: tuple[str, ...] = ()
    """Folders inside of which libraries may be added and paths be looked at."""
    max_body_bytes: int = 1 << 20
    requests_per_second: float = 100.0
    """Of one client, on average;"""
    burst: int = 400
    """so many at once."""
    max_streams: int = 200
    """Clients that listen to events at the same time."""
    stream_backlog: int = 5000
    """A client that is so many events behind is disconnected; it resumes with its `Last-Event-ID`."""
    watch: bool = True
    """Watch every library while the service runs."""


def is_loopback(host: str) -> bool:
    """True if only this computer can connect to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
