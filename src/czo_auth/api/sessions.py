"""``auth.sessions``: see and end the sessions of users."""

from __future__ import annotations

from collections.abc import Sequence

from czo_auth.api.host_api import HostApi, context_of
from czo_auth.core.principal import Principal
from czo_auth.core.sessions.session import Session


class Sessions(HostApi):
    """Sessions of users. Ending one takes effect at the next request, in every process."""

    async def list(self, user_id: str) -> Sequence[Session]:
        """
        List the live sessions of a user, newest first.

        Raises:
            NotFound: There is no such user.
        """
        user = await self._user(user_id)
        runtime = self._runtime
        return await runtime.administer_accounts.list_sessions(user.id, now=runtime.now())

    async def revoke(self, user_id: str, session_id: str, *, by: Principal | None = None) -> None:
        """
        End one session of a user.

        Raises:
            NotFound: There is no such user, or no such session of theirs.
        """
        principal = await self._principal(user_id)
        runtime = self._runtime
        await runtime.manage_sessions.revoke(
            session_id, context=context_of(by, now=runtime.now(), principal=principal)
        )

    async def revoke_all(self, user_id: str, *, by: Principal | None = None) -> None:
        """
        End all sessions of a user, their refresh tokens and pending challenges.

        Raises:
            NotFound: There is no such user.
        """
        principal = await self._principal(user_id)
        runtime = self._runtime
        await runtime.manage_sessions.revoke_all(
            context=context_of(by, now=runtime.now(), principal=principal)
        )
