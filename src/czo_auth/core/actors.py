"""Actor types: what a user may act as, and what each requires. Fixed when the process starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol, get_args

from czo_auth.core.errors import UnknownActorType
from czo_auth.core.limits import MAX_GRACE_DAYS

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
RESERVED_NAMES = frozenset(
    {
        "two-factor",
        "api-keys",
        "api-key",
        "organizations",
        "organization",
        "invitations",
        "admin-api",
        "passkey",
        "token",
    }
    | {"sessions", "session", "sign-in", "sign-up", "sign-out", "docs"}
)


TwoFactorDemand = Literal["optional", "required", "phishing_resistant"]


class GrantDates(Protocol):
    """Tells since when a user has each actor type."""

    def granted_at(self, name: str) -> datetime:
        """Return when the actor type *name* was first granted."""


@dataclass(frozen=True, slots=True)
class Grants:
    """
    Since when a user holds their actor types.

    Attributes:
        since: When the account was made, and with it the actor types that it began with.
        later: When each other one was first granted. If it was taken away and granted again, the first time counts.
    """

    since: datetime
    later: Mapping[str, datetime] = field(default_factory=dict)

    def granted_at(self, name: str) -> datetime:
        """Return when the actor type *name* was first granted."""
        return self.later.get(name, self.since)

    def changed(self, *, added: Iterable[str], removed: Iterable[str], now: datetime) -> dict[str, datetime]:
        """Return the updated grants after actor types were granted and taken away."""
        later = dict(self.later)
        for name in removed:
            later.setdefault(name, self.since)
        for name in added:
            later.setdefault(name, now)
        return later


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorType:
    """
    One actor type.

    Attributes:
        name: As it appears in the path, ``/{name}/sign-in/email``.
        sign_up_open: Whether strangers may sign up for it.
        founds_organization: Whether a sign-up may also create an organization.
        requires_two_factor: Whether every user who holds it must have a second factor (S9); the same as *two_factor*
            being ``required``.
        two_factor: ``required`` demands a second factor of every user who holds it; ``phishing_resistant`` demands a
            passkey, and that it is used.
        administers: Whether its sessions may use ``/admin`` and grant reserved scopes.
        required_from: When the second factor starts to be required; None for immediately.
        grace: How long after the first grant of the type nothing is required yet; at most 90 days. Administrators get
            none.

    Raises:
        ValueError: *two_factor* is unknown, or a date or grace is set where it is not allowed.
    """

    name: str
    sign_up_open: bool = False
    founds_organization: bool = False
    requires_two_factor: bool = False
    administers: bool = False
    two_factor: TwoFactorDemand = "optional"
    required_from: datetime | None = None
    grace: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.two_factor not in get_args(TwoFactorDemand):
            raise ValueError(f"two_factor is one of {', '.join(get_args(TwoFactorDemand))}")
        if self.two_factor != "optional":
            object.__setattr__(self, "requires_two_factor", True)
        elif self.requires_two_factor:
            object.__setattr__(self, "two_factor", "required")
        if not timedelta(0) <= self.grace <= timedelta(days=MAX_GRACE_DAYS):
            raise ValueError(f"grace is between 0 and {MAX_GRACE_DAYS} days")
        if self.required_from is not None and self.required_from.tzinfo is None:
            raise ValueError("required_from needs a time zone, like 2027-01-01T00:00:00Z")
        if self.is_dated and not self.requires_two_factor:
            raise ValueError("required_from and grace need two_factor to be required or phishing_resistant")
        if self.is_dated and self.administers:
            raise ValueError("an actor type that administers has neither required_from nor grace")

    @property
    def is_dated(self) -> bool:
        """Whether a second factor is required from a later date, not immediately."""
        return self.required_from is not None or self.grace > timedelta(0)

    def due_at(self, granted_at: datetime) -> datetime:
        """Return when someone who got a dated type at *granted_at* starts to need the factor."""
        due_at = granted_at + self.grace
        return due_at if self.required_from is None else max(self.required_from, due_at)


CUSTOMER = ActorType(name="customer", sign_up_open=True)
MERCHANT = ActorType(name="merchant", sign_up_open=True, founds_organization=True)
ADMIN = ActorType(name="admin", requires_two_factor=True, administers=True)


class ActorRegistry:
    """
    The actor types of one deployment; the first is the default that every user holds.

    Raises:
        ValueError: There are no types, or a name is used twice, reserved, or not usable in a path.
    """

    def __init__(self, types: Iterable[ActorType] = (CUSTOMER, MERCHANT, ADMIN)) -> None:
        known = tuple(types)
        self._types = {actor.name: actor for actor in known}
        if not known or len(self._types) != len(known):
            raise ValueError("actor types need distinct names, and there must be at least one")
        for actor in known:
            if not _NAME.fullmatch(actor.name) or actor.name in RESERVED_NAMES:
                raise ValueError(f"{actor.name!r} cannot be the name of an actor type")
        self.default = known[0]
        self.not_administering = frozenset(actor.name for actor in known if not actor.administers)
        """Names of the actor types whose users do not administer the deployment."""
        self._demanding = frozenset(actor.name for actor in known if actor.requires_two_factor)
        self._phishing_resistant = frozenset(
            actor.name for actor in known if actor.two_factor == "phishing_resistant"
        )
        self._dated = {actor.name: actor for actor in known if actor.is_dated}

    def __iter__(self) -> Iterator[ActorType]:
        return iter(self._types.values())

    def get(self, name: str) -> ActorType:
        """
        Find the actor type called *name*.

        Raises:
            UnknownActorType: It does not exist.
        """
        found = self._types.get(name)
        if found is None:
            raise UnknownActorType
        return found

    def administers(self, name: str) -> bool:
        """Return whether sessions of the actor type *name* administer the deployment."""
        found = self._types.get(name)
        return found is not None and found.administers

    @property
    def dated(self) -> tuple[ActorType, ...]:
        """The actor types that require a second factor from a later date."""
        return tuple(self._dated.values())

    def demand_two_factor(self, actor_types: Iterable[str]) -> bool:
        """Return whether any of *actor_types* requires a second factor, now or later."""
        return not self._demanding.isdisjoint(actor_types)

    def demand_two_factor_now(self, actor_types: Set[str], grants: GrantDates, *, now: datetime) -> bool:
        """Whether any of *actor_types* demands a second factor by now."""
        return self.demand_two_factor(self._due(actor_types, grants, now=now))

    def demand_passkey(self, actor_types: Set[str], grants: GrantDates, *, now: datetime) -> bool:
        """Whether any of *actor_types* demands a passkey by now."""
        return not self._phishing_resistant.isdisjoint(self._due(actor_types, grants, now=now))

    def must_enroll(
        self,
        actor_types: Set[str],
        grants: GrantDates,
        *,
        owns_factor: bool,
        has_passkey: bool,
        now: datetime,
    ) -> bool:
        """
        Whether a user may do nothing but enroll a factor (S9); the strictest rule counts.

        Args:
            actor_types: The actor types that the user holds.
            grants: Since when.
            owns_factor: Whether they have an authenticator app or a passkey.
        """
        due = self._due(actor_types, grants, now=now)
        if not self._phishing_resistant.isdisjoint(due):
            return not has_passkey
        return not owns_factor and self.demand_two_factor(due)

    def find_due_at(
        self, actor_types: Set[str], grants: GrantDates, *, owns_factor: bool, has_passkey: bool
    ) -> datetime | None:
        """Return the earliest date from which a dated type requires what the user lacks; None if no type does."""
        lacking = (
            actor.due_at(grants.granted_at(name))
            for name, actor in self._dated.items()
            if name in actor_types
            and not (has_passkey if actor.two_factor == "phishing_resistant" else owns_factor)
        )
        return min(lacking, default=None)

    def next_due_at(self, actor_types: Set[str], grants: GrantDates, *, now: datetime) -> datetime | None:
        """Return when the requirements of *actor_types* next change because of a date; None for never."""
        if not self._dated or self._dated.keys().isdisjoint(actor_types):
            return None
        dates = (
            actor.due_at(grants.granted_at(name))
            for name, actor in self._dated.items()
            if name in actor_types
        )
        return min((due_at for due_at in dates if due_at > now), default=None)

    def _due(self, actor_types: Set[str], grants: GrantDates, *, now: datetime) -> Set[str]:
        """Return *actor_types* except those whose date is in the future."""
        if not self._dated or self._dated.keys().isdisjoint(actor_types):
            return actor_types
        return {
            name
            for name in actor_types
            if name not in self._dated or self._dated[name].due_at(grants.granted_at(name)) <= now
        }
