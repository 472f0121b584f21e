"""An operator who acts for a user: with the rights that the user has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from czo_auth.api.host_api import HostApi
from czo_auth.cli.command import operator_context

if TYPE_CHECKING:
    from czo_auth.core.context import Context
    from czo_auth.core.principal import Principal
    from czo_auth.runtime import Runtime


class _Operator(HostApi):
    """Works on a deployment that the command opened, without background work."""

    async def _started(self) -> Runtime:
        return self._runtime

    async def principal(self, user_id: str, actor_type: str | None) -> Principal:
        return await self._principal(user_id, actor_type=actor_type)


async def acting_for(runtime: Runtime, user_id: str, *, actor_type: str | None = None) -> Context:
    """
    Return the context of an operator who acts with the rights that a session of a user's *actor_type* would have.

    Raises:
        NotFound: There is no such user.
    """
    principal = await _Operator(runtime).principal(user_id, actor_type)
    return replace(operator_context(runtime.now()), principal=principal)
