"""What a look at a database server found."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LicenseUsage", "QueryPlan", "ServerExamination"]


@dataclass(frozen=True, slots=True)
class LicenseUsage:
    """How much of what the licence allows is used."""

    bytes_used: int
    bytes_limit: int
    status: str
    """`good`, `limit-reached`, `read-only` or `shutdown`."""
    seconds_until_read_only: float
    seconds_until_shut_down: float


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """How the server would run one of our queries."""

    name: str
    scanned: tuple[str, ...] = ()
    """Collections that it would read from end to end, though that is not meant to be."""
    warnings: tuple[str, ...] = ()
    problem: str | None = None
    """Why it can't be run at all."""

    @property
    def is_good(self) -> bool:
        """True if nothing is to be said."""
        return not (self.scanned or self.warnings or self.problem)


@dataclass(frozen=True, slots=True)
class ServerExamination:
    """One server and our database on it, at one moment."""

    version: str
    edition: str
    """`community` or `enterprise`."""
    role: str
    """`SINGLE`, or `COORDINATOR` for a cluster."""
    is_one_shard: bool
    """Always true for a single server: a batch is one transaction."""
    is_read_only: bool
    license: LicenseUsage | None
    """None where the server does not tell it."""
    missing_indexes: tuple[str, ...]
    plans: tuple[QueryPlan, ...]
    probe_problem: str | None
    """Why a value could not be written, read and deleted."""
    skew_seconds: float
    """By how much the server's clock is ahead of ours."""
    latency_seconds: float
    """The middle one of a few requests that do nothing."""
