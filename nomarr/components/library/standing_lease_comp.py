"""A lease that nobody renews although it is told to last for long."""

from __future__ import annotations

from nomarr.helpers.dto.scan import SeenLease

__all__ = ["StandingLease"]


class StandingLease:
    """Watches the lease that a scan waits for; it reads no clock.

    A lease tells its end by the clock of its owner. If that was ahead, and the owner ended where nobody can look it up,
    the lease would last until then. Whoever lives renews it several times in its length, so one that ends too late and
    stands still for that long has run out.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._seen: SeenLease | None = None
        self._since = 0.0

    def saw(self, owner: str, expires_at: float, steady_now: float) -> None:
        """Note who has it at this moment of the steady clock."""
        seen = SeenLease(owner, expires_at)
        if seen != self._seen:
            self._seen, self._since = seen, steady_now

    def unrenewed(self, now: float, steady_now: float) -> SeenLease | None:
        """The lease if it has run out whatever it tells."""
        if self._seen is None or not self._seen.ends_too_late(now):
            return None
        return self._seen if steady_now - self._since > self._lease_seconds else None
