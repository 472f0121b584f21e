"""Cache of verified credentials, as exact as the storage's change tokens allow (S18)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from czo_auth.core.transaction import Lookup

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    proved: T
    change_token: object
    since: datetime
    until: datetime


class CredentialCache(Generic[T]):
    """
    Principals by the digest of their credential.

    The cache is cleared when the change token changes, so a revocation does not need to name anyone. Only verified
    credentials are cached, so a flood of unknown ones cannot evict them; the oldest is evicted when the cache is full.

    Args:
        lookup: Returns the change tokens, and how long one may be out of date.
        max_entries: How many are cached; 0 for none.
    """

    def __init__(self, lookup: Lookup, *, max_entries: int) -> None:
        self._lookup = lookup
        self._bound = lookup.bound
        self._max_entries = max_entries
        self._change_token: object | None = None
        self._known: dict[str, _Entry[T]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is cached."""
        return not self._known

    def __contains__(self, digest: str) -> bool:
        """Return whether the credential may be cached; only `get` knows whether the entry is still valid."""
        return digest in self._known

    def change_token(self) -> object | None:
        """Return the change token to read under; None if nothing may be cached."""
        return self._lookup.change_token() if self._max_entries else None

    def get(self, digest: str, *, change_token: object | None, now: datetime) -> T | None:
        """Return the cached principal of a credential, if nothing has changed since."""
        found = self._known.get(digest)
        # By the entry's own change token: each thread has its own, and they may clear and put at the same time.
        if change_token is None or found is None or found.change_token is not change_token:
            return None
        # A clock set back must not extend the lifetime of an entry.
        return found.proved if found.since <= now < found.until else None

    def get_current(self, digest: str, *, clock: Callable[[], datetime]) -> tuple[T, datetime] | None:
        """
        Do the same as `get` under the change token of now, which is read for a cached credential only.

        Returns:
            The principal, and the time that *clock* returned.
        """
        found = self._known.get(digest)
        if found is None:
            return None
        now = clock()
        # The token of an entry is never None, so without a token at present nothing is found.
        if found.change_token is not self._lookup.change_token() or not found.since <= now < found.until:
            return None
        return found.proved, now

    def put(
        self, digest: str, proved: T, *, change_token: object | None, until: datetime, now: datetime
    ) -> None:
        """Cache what was read after *change_token* was returned, at most until *until*."""
        if change_token is None:
            return
        if change_token is not self._change_token:
            self._known.clear()
            self._change_token = change_token
        self._known.pop(digest, None)
        make_room(self._known, max_entries=self._max_entries)
        end = until if self._bound is None else min(until, now + self._bound)
        self._known[digest] = _Entry(proved, change_token, now, end)


def make_room(known: dict[Any, Any], *, max_entries: int) -> None:
    """Drop the oldest entry of *known* if it is full."""
    if len(known) >= max_entries:
        del known[next(iter(known))]
