"""Shared by the parts of the server-side API: the deployment, the acting principal, and a user's rights."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from czo_auth.core.context import Context
from czo_auth.core.errors import NotFound
from czo_auth.core.principal import Principal
from czo_auth.core.users.user import User

if TYPE_CHECKING:
    from czo_auth.runtime import Runtime


class HostApi:
    """
    A part of the server-side API.

    The host's code is trusted: it has the rights of an administrator over all users. The deployment starts with the
    first call if it was not started.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def _started(self) -> Runtime:
        await self._runtime.start()
        return self._runtime

    async def _user(self, user_id: str) -> User:
        runtime = await self._started()
        user = await runtime.services.transactions.read(lambda tx: tx.users.find(user_id))
        if user is None:
            raise NotFound
        return user

    async def _principal(self, user_id: str, *, actor_type: str | None = None) -> Principal:
        """Return a user with the rights that a session of *actor_type*, by default the default one, would have."""
        user, services = await self._user(user_id), self._runtime.services
        name = actor_type or services.actors.default.name
        administers = name in user.actor_types and services.actors.administers(name)
        may_use = partial(
            services.policies.scopes.allows,
            actor_types=user.actor_types,
            organization_role=None,
            administers=administers,
        )
        return Principal(
            kind="session",
            user_id=user.id,
            actor_type=name,
            actor_types=user.actor_types,
            may_use=may_use,
            administers=administers,
            has_factor=user.has_factor,
        )


def context_of(by: Principal | None, *, now: datetime, principal: Principal | None = None) -> Context:
    """
    Return the context of an operation of the host's code.

    Args:
        by: The acting user for the audit log; None for the host itself.
        principal: For flows that need one; it is not recorded as the actor.
    """
    host = Context(now=now, actor_kind="system", method="host")
    context = host if by is None else host.of(by)
    return context if principal is None else replace(context, principal=principal)
