"""What a host's route asks of its caller; the same question in every framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from czo_auth.asgi.authentication import PRINCIPAL
from czo_auth.core.errors import Unauthorized
from czo_auth.core.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """
    Attributes:
        actor: Actor type that the session, or the session that made the API key, must have.
        scopes: All of them are needed.
        aal: 2 asks for a second factor proved in this session; no API key has that.
        organization_id: Organization that must be the active one, or the key's.
    """

    actor: str | None = None
    scopes: tuple[str, ...] = ()
    aal: int = 1
    organization_id: str | None = None

    def check(self, scope: Mapping[str, Any]) -> Principal:
        """
        Give the principal of an ASGI connection, if it meets the requirement.

        Raises:
            RuntimeError: The connection did not pass ``AuthMiddleware``.
            Unauthorized, TwoFactorSetupRequired, ActorTypeMismatch, SecondFactorNeeded, InsufficientScope,
            OrganizationScopeMismatch
        """
        principal = principal_in(scope)
        if principal is None:
            raise Unauthorized
        principal.require(
            actor=self.actor, scopes=self.scopes, aal=self.aal, organization_id=self.organization_id
        )
        return principal


def principal_in(scope: Mapping[str, Any]) -> Principal | None:
    """
    Give the principal of an ASGI connection, or None for an anonymous one.

    Raises:
        RuntimeError: The connection did not pass ``AuthMiddleware``; nobody is let in unchecked.
    """
    state = scope.get("state", {})
    if PRINCIPAL not in state:
        raise RuntimeError("the application needs AuthMiddleware(app, auth=auth) around it")
    found: Principal | None = state[PRINCIPAL]
    return found
