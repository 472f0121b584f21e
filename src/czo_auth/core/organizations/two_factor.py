"""When an organization requires two factors of a member, and the port for storing that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

REMINDED_DAYS: Final = (14, 7, 1)
"""How many days ahead members are reminded."""


def days_ahead(due_at: datetime, *, now: datetime) -> int:
    """Return which of `REMINDED_DAYS` it is time for; *due_at* comes within the longest of them."""
    return min(each for each in REMINDED_DAYS if due_at - now <= timedelta(days=each))


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRule:
    """
    The two-factor rule of an organization.

    Attributes:
        from_: When it takes effect; None for never.
        grace_days: Days after first joining during which a member needs no factor.
    """

    from_: datetime | None
    grace_days: int

    def due_at(self, *, first_joined_at: datetime, exempt_until: datetime | None) -> datetime | None:
        """Return when a member starts to need a factor; `FactorRules.apply` does the same in SQL."""
        if self.from_ is None:
            return None
        due_at = max(self.from_, first_joined_at + timedelta(days=self.grace_days))
        return due_at if exempt_until is None else max(due_at, exempt_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """
    A member who need not have a factor yet.

    Attributes:
        since: When the first exemption of this member was granted; all of them are bounded by it.
        by: The owner who granted it.
    """

    organization_id: str
    user_id: str
    since: datetime
    until: datetime
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFactors:
    """
    A member and what they have; one line of the report.

    Attributes:
        enabled: Whether two factors are on.
        owns_factor: Whether they have an authenticator app or a passkey, which is what a rule asks for.
        phishing_resistant: Whether they have a passkey.
        live_keys: How many of their API keys act in the organization.
    """

    user_id: str
    name: str
    email: str
    role: str
    enabled: bool
    owns_factor: bool
    phishing_resistant: bool
    first_joined_at: datetime
    exempt_until: datetime | None
    live_keys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """A member who is reminded that they need a factor soon."""

    member_id: str
    user_id: str
    email: str
    organization_id: str
    organization_name: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationDue:
    """
    How many members of one organization lack the factor that it requires. Banned users are not counted.

    Attributes:
        refused: Members of whom it is already required.
        soon: Members of whom it will be required within the requested time.
    """

    name: str
    refused: int
    soon: int


class FactorRules(Protocol):
    """
    When members start to need a factor.

    The result of rule, first joining and exemption is stored with each membership, where the hot path reads it. Code
    that changes one of them must call ``apply`` in the same transaction, with the organization locked.
    """

    def apply(self, organization_id: str, *, user_id: str | None = None) -> None:
        """
        Store when each member, or one, starts to need a factor; after a change of the date, members are reminded again.
        """

    def remember_first_join(self, organization_id: str, user_id: str, *, joined_at: datetime) -> None:
        """Store when a leaving member first joined, unless it is already stored."""

    def find_earliest(self, user_id: str) -> datetime | None:
        """Return the earliest date from which one of the user's organizations requires a factor of them."""

    def exempt_since(self, organization_id: str, user_id: str) -> datetime | None:
        """Return when the first exemption of a member was granted; None if there was none."""

    def put_exemption(self, exemption: Exemption, *, joined_at: datetime) -> None:
        """Store an exemption in place of the previous one. Call ``apply`` afterwards."""

    def end_exemption(self, organization_id: str, user_id: str, *, now: datetime) -> bool:
        """End a member's exemption; False if none is in force. That there was one stays recorded."""

    def list_members(self, organization_id: str, *, now: datetime, limit: int) -> Sequence[MemberFactors]:
        """Read the members, oldest first, with what they have."""

    def list_reminders(self, *, now: datetime, limit: int, after: str | None = None) -> Sequence[Reminder]:
        """Read members without a factor whose date comes within the longest of `REMINDED_DAYS`, by id."""

    def count_due(self, *, now: datetime, until: datetime, limit: int) -> Sequence[OrganizationDue]:
        """Count members who lack a factor that is demanded by *until*, by organization, the most refused first."""

    def mark_reminded(self, reminder: Reminder, *, days: int) -> bool:
        """Record that a member was reminded *days* ahead; False if they were already. One atomic statement."""
