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
    token_look_seconds: float = 10.0
    """So often it is looked whether tokens were revoked, and whether that of a stream is still good."""
    library_look_seconds: float = 5.0
    """So often it is looked whether another program has removed a library."""
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    """What a browser may have been told to connect to; any other name is an attack by DNS. Empty: anything."""
    browse_roots: tuple[str, ...] = ()
    """Folders inside of which libraries may be added and paths be looked at."""
    max_body_bytes: int = 1 << 20
    requests_per_second: float = 100.0
    """Of one client, on average;"""
    burst: int = 400
    """so many at once."""
    max_connections: int = 1000
    """Of all clients together; `clients_if` has what one of them may have of this and of the next."""
    max_streams: int = 200
    """Streams that are listened to at the same time, of all clients together."""
    head_seconds: float = 10.0
    """So long a client may take for the head of a request,"""
    body_seconds: float = 30.0
    """for its body,"""
    send_seconds: float = 60.0
    """to take at least something of an answer,"""
    idle_seconds: int = 5
    """and until it asks for something else."""
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
