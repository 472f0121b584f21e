"""Users of another system, brought in with the password hashes that it kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from czo_auth.core.context import Context
from czo_auth.core.errors import UserAlreadyExists, ValidationFailed
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.fields import checked_name
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import canonical_email, deliverable_email
from czo_auth.core.users.user import User
from czo_auth.crypto import passwords


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownUser:
    """
    A user as another system knew them.

    Attributes:
        password_hash: As it was stored there, in a format of ``crypto.passwords``. None: they have to set a password
            by a mailed link before they can sign in.
        email_verified: Whether the other system had the address confirmed.
        actor_types: Held besides the default one.
    """

    email: str
    name: str
    password_hash: str | None = field(repr=False)
    email_verified: bool = False
    actor_types: tuple[str, ...] = ()


class ImportUsers:
    """Brings users in, one transaction each, so that an import that was stopped can be run again."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def add(self, known: KnownUser, *, context: Context) -> User:
        """
        Create the user. Their first sign-in replaces the hash by one of ours.

        Raises:
            ValidationFailed: The address is none, the name is blank or too long, or the hash could never be verified.
            UnknownActorType: There is no such type.
            UserAlreadyExists: The address is taken; that user is left as they are.
        """
        if known.password_hash is not None and not passwords.is_verifiable(known.password_hash):
            raise ValidationFailed(
                details=(("passwordHash", "This is no password hash that can be verified."),)
            )
        actors = self._services.actors
        held = frozenset({actors.default.name, *(actors.get(name).name for name in known.actor_types)})
        user = User(
            id=new_id(context.now),
            email=canonical_email(known.email),
            mailbox=deliverable_email(known.email),
            name=checked_name(known.name),
            image=None,
            email_verified=known.email_verified,
            password_hash=known.password_hash,
            actor_types=held,
            credential_version=1,
            has_factor=False,
            banned_at=None,
            made_by="import",
            created_at=context.now,
            updated_at=context.now,
        )

        def store_user(tx: Transaction) -> None:
            if not tx.users.add(user) or tx.email_changes.is_reserved(user.email, but_for=None, now=tx.now):
                raise UserAlreadyExists
            audit_event = AuditEvent(
                action=types.USER_REGISTERED,
                user_id=user.id,
                details={"actorTypes": sorted(held), "imported": True},
            )
            tx.record(audit_event)

        await self._services.transactions.run(store_user, context)
        return user
