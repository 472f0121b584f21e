"""Who asked for something, how and from where: what the audit log says beside each fact."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from czo_auth.core.principal import Principal

ActorKind = Literal["anonymous", "user", "api_key", "operator", "system"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """
    Attributes:
        actor_kind: ``anonymous``, ``user``, ``api_key``, ``operator`` (command line) or ``system``.
        user_id: The acting user, when one is known.
        method: How they proved it: by ``pwd``, ``otp``, ``bkp``, ``apikey``, ``session``, ``cli``, or a link that
            came by ``mail`` or from an ``operator``.
        ip, user_agent, request_id: From the request; control characters already escaped (S29).
    """

    actor_kind: ActorKind = "anonymous"
    user_id: str | None = None
    organization_id: str | None = None
    method: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None

    def of(self, principal: Principal) -> Context:
        """Add who the request turned out to act for."""
        is_key = principal.kind == "api_key"
        return replace(
            self,
            actor_kind="api_key" if is_key else "user",
            user_id=principal.user_id,
            organization_id=principal.organization_id,
            method="apikey" if is_key else "session",
        )

    def by(self, user_id: str, method: str) -> Context:
        """Add that *user_id* just proved who they are by *method*."""
        return replace(self, actor_kind="user", user_id=user_id, method=method)


SYSTEM = Context(actor_kind="system")
