"""The user of any credential, and changes of users to their own profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from czo_auth.core.context import Context
from czo_auth.core.errors import InvalidToken, NotFound
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.fields import checked_image, checked_name
from czo_auth.core.flows.services import Services
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User


async def get_user(services: Services, principal: Principal) -> User:
    """
    Read the user whom *principal* acts for.

    Raises:
        InvalidToken: There is no such user any more.
    """
    user = await services.transactions.read(lambda tx: tx.users.find(principal.require_user()))
    if user is None:
        raise InvalidToken
    return user


async def remember_language(services: Services, language: str, *, context: Context) -> None:
    """Write mails to the caller in *language*, until another sign-in asks for another one."""
    user_id = context.caller.require_user()
    await services.transactions.run(lambda tx: tx.users.set_language(user_id, language), context)


async def set_user_fields(
    services: Services, user_id: str, fields: Mapping[str, object], *, context: Context
) -> User:
    """
    Change the host's own fields of a user, for the host.

    Raises:
        NotFound: There is no such user.
        ValidationFailed: A field is unknown or not valid.
    """

    def store_fields(tx: Transaction) -> User:
        user = tx.users.lock(user_id)
        if user is None:
            raise NotFound
        own = services.policies.user_fields.changed(user.fields, fields, by_host=True)
        tx.users.set_fields(user.id, fields=own, now=tx.now)
        tx.record(AuditEvent(action=types.USER_UPDATED, user_id=user.id, details={"changed": sorted(fields)}))
        return replace(user, fields=own, updated_at=tx.now)

    return await services.transactions.run(store_fields, context)


async def update_profile(
    services: Services,
    *,
    name: str | None,
    image: str | None,
    clears_image: bool,
    fields: Mapping[str, object] | None = None,
    context: Context,
) -> None:
    """
    Change the name, the picture or own fields; None leaves a value unchanged, unless *clears_image*.

    Raises:
        ValidationFailed: Invalid name, picture or own field.
    """
    principal = context.caller
    name = None if name is None else checked_name(name)
    image = checked_image(image)

    def store_profile(tx: Transaction) -> None:
        user = tx.users.lock(principal.require_user())
        if user is None:
            raise InvalidToken
        changed = [key for key, value in (("name", name), ("image", image)) if value is not None]
        if fields:
            own = services.policies.user_fields.changed(user.fields, fields, by_host=False)
            tx.users.set_fields(user.id, fields=own, now=tx.now)
            changed += sorted(fields)
        tx.users.update_profile(
            user.id,
            name=user.name if name is None else name,
            image=None if clears_image else (user.image if image is None else image),
            email_verified=user.email_verified,
            now=tx.now,
        )
        tx.record(
            AuditEvent(
                action=types.USER_UPDATED,
                user_id=user.id,
                details={"changed": [*changed, *(["image"] if clears_image else [])]},
            )
        )

    await services.transactions.run(store_profile, context)
