"""The ports through which uses of keys are kept: by day, and against a quota."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from czo_auth.core.api_keys.usage import DayUsage, GatheredUses


class KeyUses(Protocol):
    """Uses of keys by day, and the newest of each (S19). Keys that are gone are left out."""

    def add(self, gathered: GatheredUses, *, keeps_addresses: bool) -> None:
        """
        Add counts, and move the last use of keys forward: at most once a minute for all processes, and never back.

        Args:
            keeps_addresses: Whether the network of the last use is kept; otherwise it is forgotten.
        """

    def list_days(self, key_id: str, *, first: date, last: date) -> Sequence[DayUsage]:
        """Read the days from *first* to *last* on which anything happened, the oldest first."""

    def days_of_user(self, user_id: str) -> Mapping[str, Sequence[DayUsage]]:
        """Read all days of all keys of a user, by the key's id, the oldest first."""

    def forget_addresses(self) -> int:
        """Forget the networks of at most a thousand keys; call it again while it answers more than 0."""

    def prune(self, *, before: date) -> int:
        """Delete at most a thousand days before *before*; call it again while it answers more than 0."""


@dataclass(frozen=True, slots=True)
class TakenBlock:
    """
    What was taken of a quota.

    Attributes:
        granted: So many uses may be let pass; 0 when nothing was left.
        left: What others may still take.
    """

    granted: int
    left: int


class KeyQuotas(Protocol):
    """How much of each quota was taken in each of its periods, by all processes together."""

    def take(
        self, counter_id: str, *, period: str, maximum: int, block: int, expires_at: datetime
    ) -> TakenBlock:
        """
        Take up to *block* uses of a period, never more than *maximum* of all. One atomic statement.

        Args:
            period: Name of the period; the count of another one is not touched.
            expires_at: After it the count may be deleted.
        """

    def give_back(self, counter_id: str, *, period: str, count: int) -> None:
        """Give back what was taken and not used."""

    def count(self, counter_id: str, *, period: str) -> int:
        """Return how much was taken in a period."""

    def move(self, counter_id: str, *, days: Sequence[str], month: str, expires_at: datetime) -> None:
        """Count what was taken on *days* for the period *month* instead."""

    def prune_expired(self, *, before: datetime) -> int:
        """Delete at most a thousand counts that expired; call it again while it answers more than 0."""
