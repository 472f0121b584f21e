"""The port for storing answers to repeatable requests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from czo_auth.core.idempotency.answer import RequestIdentity, StoredAnswer


class IdempotencyStore(Protocol):
    """Answers by session lineage, route and name."""

    def begin(self, request: RequestIdentity) -> bool:
        """
        Claim the name for a request that starts now; an expired row with the same name is replaced.

        One atomic statement: of concurrent requests with one name, exactly one gets True. Until the transaction ends,
        no other one of the lineage begins, so that all of them see what they count.
        """

    def find(self, *, lineage_id: str, route: str, name_digest: str, now: datetime) -> StoredAnswer | None:
        """Read what is stored under a name, unless it expired."""

    def find_by_id(self, answer_id: str, *, lineage_id: str, now: datetime) -> StoredAnswer | None:
        """Read one of a lineage's answers, unless it expired."""

    def keep(self, answer_id: str, *, sealed: str) -> bool:
        """Store the answer of a completed request; False if its row is gone."""

    def sealed_after(self, answer_id: str, *, limit: int) -> Sequence[StoredAnswer]:
        """Read stored answers, ordered by id, after *answer_id*."""

    def forget(self, answer_id: str) -> None:
        """Release the name of a refused request."""

    def forget_enrollment(self, user_id: str) -> int:
        """Delete the user's answers that contain what an enrollment showed, in every session (S8)."""

    def forget_oldest(self, request: RequestIdentity, *, keep: int) -> int:
        """
        Delete the oldest answers of the lineage of *request*, so that at most *keep* are left.

        That of *request* itself stays, even if requests that began later were faster: it runs, and without its name a
        repetition would run too.
        """

    def prune_expired(self, *, before: datetime) -> int:
        """Delete a batch of the answers that expired before *before*; returns how many."""
