"""Owners of leases other than the Nomarr under test."""

from __future__ import annotations

from nomarr.components.library.lease_owner_comp import lease_owner
from nomarr.helpers.dto.scan import LeaseOwner

__all__ = ["dead_owner", "owner_before_the_boot", "owner_elsewhere"]


def owner_elsewhere(token: str = "x") -> LeaseOwner:
    """One of another computer, of which nothing is certain."""
    return LeaseOwner("another computer", 1, 1, token)


def owner_before_the_boot() -> LeaseOwner:
    """One of a process of this computer in an earlier boot."""
    with lease_owner() as owner:
        name, _, processes = owner.host.split("/")
        return LeaseOwner(f"{name}/an earlier boot/{processes}", 4242, 77, "x")


def dead_owner() -> LeaseOwner:
    """One of a process of this computer that has ended."""
    with lease_owner() as owner:
        return LeaseOwner(owner.host, owner.pid, owner.started - 1, "dead")
