"""Actor types: what a user may act as, and what each demands. Frozen when the product starts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
        "token",
    }
    | {"sessions", "session", "sign-in", "sign-up", "sign-out", "docs"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorType:
    """
    One actor type.

    Attributes:
        name: As it stands in the path, ``/{name}/sign-in/email``.
        sign_up_open: Whether strangers may sign up for it.
        founds_organization: Whether a sign-up may create an organization.
        requires_two_factor: Whether every user who holds it must have a second factor (S9).
        administers: Whether its sessions may use ``/admin`` and grant reserved scopes.
    """

    name: str
    sign_up_open: bool = False
    founds_organization: bool = False
    requires_two_factor: bool = False
    administers: bool = False


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
        """Say whether sessions of the actor type *name* administer the deployment."""
        found = self._types.get(name)
        return found is not None and found.administers

    def demand_two_factor(self, held: Iterable[str]) -> bool:
        """Say whether any of the actor types *held* demands a second factor."""
        return not self._demanding.isdisjoint(held)
