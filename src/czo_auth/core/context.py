"""Who makes a request, when, how and from where: input of the flows, and part of every audit record."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from czo_auth.core.errors import Unauthorized
from czo_auth.core.principal import Principal

ActorKind = Literal["anonymous", "user", "api_key", "operator", "system"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """
    Attributes:
        now: The time of the request. Nothing in the core reads a clock.
        principal: The admitted principal; None for anonymous requests, operators and the system.
        actor_kind: ``anonymous``, ``user``, ``api_key``, ``operator`` (command line) or ``system``.
        user_id: The acting user, when one is known.
        method: How they authenticated: ``pwd``, ``otp``, ``bkp``, ``apikey``, ``session``, ``cli``, or a link from a
            ``mail`` or an ``operator``.
        language: The language of the deployment that the request prefers; None if it names none of them.
        ip, user_agent, request_id: From the request; control characters already escaped (S29).
    """

    now: datetime
    principal: Principal | None = field(default=None, repr=False)
    actor_kind: ActorKind = "anonymous"
    user_id: str | None = None
    organization_id: str | None = None
    method: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    language: str | None = None

    @property
    def caller(self) -> Principal:
        """
        The principal, for operations that need one.

        Raises:
            Unauthorized: There is none.
        """
        if self.principal is None:
            raise Unauthorized
        return self.principal

    def of(self, principal: Principal) -> Context:
        """Add the principal that the request was admitted for."""
        is_key = principal.kind == "api_key"
        return replace(
            self,
            principal=principal,
            actor_kind="api_key" if is_key else "user",
            user_id=principal.user_id,
            organization_id=principal.organization_id,
            method="apikey" if is_key else "session",
        )

    def by(self, user_id: str, method: str) -> Context:
        """Add that *user_id* just proved who they are by *method*."""
        return replace(self, actor_kind="user", user_id=user_id, method=method)

    def at(self, now: datetime) -> Context:
        """Return the context of the same actor at another time."""
        return replace(self, now=now)


def system_context(now: datetime) -> Context:
    """Return the context of what the service does on its own at *now*."""
    return Context(now=now, actor_kind="system")
