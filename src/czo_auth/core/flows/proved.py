"""Memory of proved credentials, as exact as the storage's stamps allow (S18)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Lookup


@dataclass(frozen=True, slots=True)
class _Proved:
    principal: Principal
    stamp: object
    since: datetime
    until: datetime


class ProvedCredentials:
    """
    Principals by the digest of their credential.

    All are forgotten when the stamp changes, so a revocation needs to name nobody. Only credentials that were proved
    are kept: a flood of unknown ones cannot push them out, and the oldest goes when there are too many.

    Args:
        lookup: Gives the stamps, and says how long one may be out of date.
        most: So many are remembered; 0 for none.
    """

    def __init__(self, lookup: Lookup, *, most: int) -> None:
        self._lookup = lookup
        self._bound = lookup.bound
        self._most = most
        self._stamp: object | None = None
        self._known: dict[str, _Proved] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is remembered."""
        return not self._known

    def __contains__(self, digest: str) -> bool:
        """Say whether the credential may be remembered; only `find` knows whether that still counts."""
        return digest in self._known

    def stamp(self) -> object | None:
        """Give the stamp to read under; None when nothing may be remembered."""
        return self._lookup.stamp() if self._most else None

    def find(self, digest: str, *, stamp: object | None, now: datetime) -> Principal | None:
        """Recall the principal of a credential, if nothing has changed since."""
        found = self._known.get(digest)
        # By the entry's own stamp: threads have stamps of their own, and may clear and keep at the same time.
        if stamp is None or found is None or found.stamp is not stamp:
            return None
        # A clock that was set back must not stretch what was to be forgotten.
        return found.principal if found.since <= now < found.until else None

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
        self._known.pop(digest, None)
        make_room(self._known, most=self._most)
        end = until if self._bound is None else min(until, now + self._bound)
        self._known[digest] = _Proved(principal, stamp, now, end)


def make_room(known: dict[str, Any], *, most: int) -> None:
    """Drop the oldest entry of *known*, if there are *most* already."""
    if len(known) >= most:
        del known[next(iter(known))]
