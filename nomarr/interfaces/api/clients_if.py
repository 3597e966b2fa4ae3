"""Who a client is, and how much of the service it may have for itself."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.types import Scope

__all__ = ["THIS_COMPUTER", "client_in", "client_of", "share_of"]

THIS_COMPUTER: Final = "this computer"
_OWN_PART: Final = 2
"""This computer may have a half: a proxy here speaks for many."""
_PART: Final = 10
"""Every other client may have a tenth."""


def client_of(address: str) -> str:
    """To whom an address belongs. Whoever has an address of IPv6 has a whole network of them (RFC 7421: a /64)."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address):
        known = known.ipv4_mapped or known
    if known.is_loopback:
        return THIS_COMPUTER
    if isinstance(known, IPv6Address):
        return str(IPv6Network((int(known), 64), strict=False))
    return str(known)


def client_in(scope: Scope) -> str:
    """Who has sent a request."""
    return client_of(scope["client"][0] if scope.get("client") else "")


def share_of(client: str, places: int) -> int:
    """How many of the places one client may take."""
    return max(1, places // (_OWN_PART if client == THIS_COMPUTER else _PART))
