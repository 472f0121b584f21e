"""Memory of proved credentials, as exact as the storage's stamps allow (S18)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from czo_auth.core.principal import Principal

MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Proved:
    principal: Principal
    since: datetime
    until: datetime


class ProvedCredentials:
    """
    Principals by the digest of their credential.

    All are forgotten when the stamp changes, so a revocation needs to name nobody. Only credentials that were proved
    are kept: a flood of unknown ones cannot push them out, and the oldest goes when there are too many.

    Args:
        bound: How long a stamp may be out of date; None when it never is.
    """

    def __init__(self, *, bound: timedelta | None) -> None:
        self._bound = bound
        self._stamp: object | None = None
        self._known: dict[str, _Proved] = {}

    def find(self, digest: str, *, stamp: object | None, now: datetime) -> Principal | None:
        """Recall the principal of a credential, if nothing has changed since."""
        if stamp is None or stamp is not self._stamp:
            return None
        found = self._known.get(digest)
        # A clock that was set back must not stretch what was to be forgotten.
        return found.principal if found is not None and found.since <= now < found.until else None

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()

    def keep(
        self, digest: str, principal: Principal, *, stamp: object | None, until: datetime, now: datetime
    ) -> None:
        """Remember a principal that was read after *stamp* was given, at most until *until*."""
        if stamp is None:
            return
        if stamp is not self._stamp:
            self._known.clear()
            self._stamp = stamp
        elif len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        end = until if self._bound is None else min(until, now + self._bound)
        self._known[digest] = _Proved(principal, now, end)
