"""An API key as the database holds it; of the key itself, only digest and prefix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

LeakResponse = Literal["revoke", "quarantine"]
"""What becomes of a key that was seen where it should not be: ended, or off until its owner decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyPolicy:
    """
    Attributes:
        prefix: What every key starts with; secret scanners look for it.
        limit: Live keys that a user may have.
        longest_years: The farthest ``expiresAt``, in years by the calendar.
        longest_overlap: How long a rotated key may go on.
        when_leaked: What a report of a leak does to a key.
    """

    prefix: str = "czo_"
    limit: int = 100
    longest_years: int = 10
    longest_overlap: timedelta = timedelta(days=1)
    when_leaked: LeakResponse = "revoke"

    def farthest_end(self, now: datetime) -> datetime:
        """Give the last moment at which a key that is made *now* may end."""
        year = now.year + self.longest_years
        try:
            return now.replace(year=year)
        except ValueError:
            # The 29th of February, in a year that has none.
            return now.replace(year=year, month=3, day=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """
    Attributes:
        prefix: The first eight characters, for people to recognise it.
        actor_type: The hat of the session that created it.
        rotated_at: When a successor was made; from then on it does not count against the limit.
    """

    id: str
    user_id: str
    organization_id: str | None
    actor_type: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    metadata: Mapping[str, object] | None
    enabled: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    rotated_at: datetime | None
    created_at: datetime
    updated_at: datetime
