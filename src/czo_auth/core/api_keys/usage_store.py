"""The ports for storing uses of keys: by day, and against a quota."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from czo_auth.core.api_keys.usage import DayUsage, GatheredUses


class KeyUses(Protocol):
    """Uses of keys by day, and the latest use of each (S19). Deleted keys are skipped."""

    def add(self, gathered: GatheredUses, *, keeps_addresses: bool) -> frozenset[str]:
        """
        Add counts, and advance the last use of keys: at most once a minute over all processes, and never backwards.

        Args:
            keeps_addresses: Whether the network of the last use is stored; otherwise it is cleared.

        Returns:
            The ids of keys that other transactions hold: of several keys, those are left out, so that this waits for
            nobody.
        """

    def list_days(self, key_id: str, *, first: date, last: date) -> Sequence[DayUsage]:
        """Read the days from *first* to *last* on which anything happened, the oldest first."""

    def days_of_user(self, user_id: str) -> Mapping[str, Sequence[DayUsage]]:
        """Read all days of all keys of a user, by the key's id, the oldest first."""

    def forget_addresses(self) -> int:
        """Clear the networks of at most a thousand keys; call it again until it returns 0."""

    def prune(self, *, before: date) -> int:
        """Delete at most a thousand days before *before*; call it again while it answers more than 0."""


@dataclass(frozen=True, slots=True)
class TakenBlock:
    """
    Uses reserved from a quota.

    Attributes:
        granted: How many uses may be allowed; 0 if nothing was left.
        left: What others may still reserve.
    """

    granted: int
    left: int


class KeyQuotas(Protocol):
    """How much of each quota all processes together have reserved in each period."""

    def take(
        self, counter_id: str, *, period: str, maximum: int, block: int, expires_at: datetime
    ) -> TakenBlock:
        """
        Reserve up to *block* uses of a period, never more than *maximum* in total. One atomic statement.

        Args:
            period: Name of the period; the count of another one is not touched.
            expires_at: The count may be deleted after this time.
        """

    def give_back(self, counter_id: str, *, period: str, count: int) -> None:
        """Return what was reserved but not used."""

    def count(self, counter_id: str, *, period: str) -> int:
        """Return how much was taken in a period."""

    def move(self, counter_id: str, *, days: Sequence[str], month: str, expires_at: datetime) -> None:
        """Count what was reserved on *days* towards the period *month* instead."""

    def prune_expired(self, *, before: datetime) -> int:
        """Delete at most a thousand counts that expired; call it again while it answers more than 0."""
