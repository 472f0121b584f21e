"""Actor types: what a user may act as, and what each demands. Frozen when the product starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from czo_auth.core.errors import UnknownActorType

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorType:
    """
    One actor type.

    Attributes:
        name: As it stands in the path, ``/{name}/sign-in/email``.
        sign_up_open: Whether strangers may sign up for it.
        founds_organization: Whether a sign-up may create an organization.
        requires_two_factor: Whether every user who holds it must have a second factor (S9); the same as *two_factor*
            being ``required``.
        two_factor: ``required`` demands a second factor of every user who holds it; ``phishing_resistant`` demands a
            passkey, and that it is used.
        administers: Whether its sessions may use ``/admin`` and grant reserved scopes.
    """

    name: str
    sign_up_open: bool = False
    founds_organization: bool = False
    requires_two_factor: bool = False
    administers: bool = False
    two_factor: TwoFactorDemand = "optional"

    def __post_init__(self) -> None:
        if self.two_factor not in get_args(TwoFactorDemand):
            raise ValueError(f"two_factor is one of {', '.join(get_args(TwoFactorDemand))}")
        if self.two_factor != "optional":
            object.__setattr__(self, "requires_two_factor", True)
        elif self.requires_two_factor:
            object.__setattr__(self, "two_factor", "required")


CUSTOMER = ActorType(name="customer", sign_up_open=True)
MERCHANT = ActorType(name="merchant", sign_up_open=True, founds_organization=True)
ADMIN = ActorType(name="admin", requires_two_factor=True, administers=True)


class ActorRegistry:
    """
    The actor types of one deployment; the first is the default that every user holds.

    Raises:
        ValueError: For no type, a doubled or reserved name, or one that does not fit a path.
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
        self._demanding = frozenset(actor.name for actor in known if actor.requires_two_factor)
        self._phishing_resistant = frozenset(
            actor.name for actor in known if actor.two_factor == "phishing_resistant"
        )

    def __iter__(self) -> Iterator[ActorType]:
        return iter(self._types.values())

    def get(self, name: str) -> ActorType:
        """
        Find the actor type called *name*.

        Raises:
            UnknownActorType: There is none.
        """
        found = self._types.get(name)
        if found is None:
            raise UnknownActorType
        return found

    def administers(self, name: str) -> bool:
        """Return whether sessions of the actor type *name* administer the deployment."""
        found = self._types.get(name)
        return found is not None and found.administers

    def demand_two_factor(self, held: Iterable[str]) -> bool:
        """Return whether any of the actor types *held* demands a second factor."""
        return not self._demanding.isdisjoint(held)

    def demand_passkey(self, held: Iterable[str]) -> bool:
        """Whether any of the actor types *held* demands a passkey."""
        return not self._phishing_resistant.isdisjoint(held)

    def must_enroll(self, held: Iterable[str], *, owns_factor: bool, has_passkey: bool) -> bool:
        """
        Whether a user may do nothing but enroll a factor (S9).

        Args:
            held: The actor types that the user holds.
            owns_factor: Whether they have an authenticator app or a passkey.
        """
        held = frozenset(held)
        if self.demand_passkey(held):
            return not has_passkey
        return not owns_factor and self.demand_two_factor(held)
