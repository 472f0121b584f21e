"""The port for the expiry of API keys: notices, unused keys, the maximum lifetime."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from czo_auth.core.api_keys.key import ApiKey


class KeyExpiry(Protocol):
    """Keys that are about to end, and keys that have to end earlier."""

    def list_owners_due(self, *, now: datetime, limit: int) -> Sequence[str]:
        """Return the owners (users and service accounts) of live keys that expire soon and whose notice is due."""

    def list_due(self, owner_id: str, *, now: datetime, until: datetime) -> Sequence[ApiKey]:
        """Read an owner's live keys whose notice is due by *until*, ordered by expiry."""

    def mark_noticed(self, key: ApiKey, *, days: int) -> bool:
        """
        Record the notice sent *days* before the expiry of *key*.

        One atomic statement: False if it was already sent, or if the key ended or its expiry changed since it was read.
        """

    def list_unused(
        self, organization_id: str | None, *, before: datetime, now: datetime, limit: int
    ) -> Sequence[ApiKey]:
        """
        Read live keys last used (or created and never used) before *before*, whose owners were not warned since.

        Args:
            organization_id: Keys of this organization only; None for all.
        """

    def mark_unused_noticed(self, key: ApiKey, *, now: datetime) -> bool:
        """
        Record the warning that an unused key will expire. False if already recorded, or if the key was used since it
        was read.
        """

    def expire_unused(
        self, organization_id: str | None, *, before: datetime, noticed_before: datetime, now: datetime
    ) -> Sequence[ApiKey]:
        """
        Expire live keys that were not used since *before* and whose owners were warned after that use, before
        *noticed_before*.

        They are disabled as well, so that a clock set back cannot revive them. One atomic statement of at most a
        thousand rows; call it again until it returns none.
        """

    def cap_ends(self, organization_id: str | None, *, end: datetime, now: datetime) -> Sequence[ApiKey]:
        """
        Set the expiry of live keys that would end after *end*, or never, to *end*; their owners have yet to be
        notified.

        At most a thousand rows a call; call it again until it returns none.

        Args:
            organization_id: Keys of this organization only; None for all.
        """
