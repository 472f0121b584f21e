"""The user behind a credential of any kind."""

from __future__ import annotations

from czo_auth.core.errors import InvalidToken
from czo_auth.core.flows.services import Services
from czo_auth.core.principal import Principal
from czo_auth.core.users.user import User


async def get_user(services: Services, principal: Principal) -> User:
    """
    Read the user whom *principal* acts for.

    Raises:
        InvalidToken: There is no such user any more.
    """
    user = await services.transactions.read(lambda tx: tx.users.find(principal.user_id))
    if user is None:
        raise InvalidToken
    return user
