"""Importing users of another system with their password hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

from czo_auth.core.context import Context
from czo_auth.core.errors import Conflict, UserAlreadyExists, ValidationFailed
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.fields import checked_name
from czo_auth.core.flows.administration.users import Administration
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_EXTERNAL_ID
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import canonical_email, deliverable_email
from czo_auth.core.users.user import User
from czo_auth.crypto import passwords

Outcome = Literal["imported", "updated", "unchanged"]
BAN_REASON: Final = "imported as banned"
_TRIES: Final = 3
"""Others may make or delete the user between two looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceUser:
    """
    A user from another system.

    Attributes:
        password_hash: As it was stored there, in a format of ``crypto.passwords``. None: they have to set a password
            by a mailed link before they can sign in.
        email_verified: Whether the address was confirmed there.
        actor_types: Held besides the default one.
        banned: Whether they were banned there.
        created_at: When the account was made there; None for now.
        external_id: Their id there; unique.
        fields: The host's own fields.
    """

    email: str
    name: str
    password_hash: str | None = field(repr=False)
    email_verified: bool = False
    actor_types: tuple[str, ...] = ()
    banned: bool = False
    created_at: datetime | None = None
    external_id: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict, repr=False)


class ImportUsers:
    """Imports users, one transaction each, so that an interrupted import can be run again."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._administration = Administration(services)

    async def import_user(self, record: SourceUser, *, context: Context) -> Outcome:
        """
        Create the user, or update an existing one. Their first sign-in replaces the hash with one of ours.

        For an existing user, the name, the external id and the given own fields are updated; a confirmed address and a
        ban only if they are new. Password, actor types and time of creation stay, because they may have changed here
        since.

        Raises:
            ValidationFailed: The address is not valid, the name is blank or too long, a field makes no sense, or the
                hash could never be verified.
            UnknownActorType: There is no such type.
            Conflict: The external id belongs to a user with another address.
            UserAlreadyExists: The address is taken by a change that waits.
            LastAdministrator: The ban would leave no administrator.
        """
        user = self.as_new(record, context=context)
        outcome, stored = await self._services.transactions.run(
            lambda tx: self.store(tx, user, record.fields), context
        )
        if record.banned and stored.banned_at is None:
            await self._administration.ban(stored.id, reason=BAN_REASON, context=context)
            return "updated"
        return outcome

    def store(self, tx: Transaction, user: User, fields: Mapping[str, object]) -> tuple[Outcome, User]:
        """
        Store what `as_new` made, or bring the user of the same address up to date; part of the caller's transaction.

        Raises:
            Conflict, UserAlreadyExists: As `import_user`.
        """
        new = user
        for _ in range(_TRIES):
            existing = self._find(tx, user)
            # Others work in the meantime: a user who was found may be deleted, and one who was not may be made.
            fresh = None if existing is None else tx.users.lock(existing.id)
            if fresh is not None:
                return self._update(tx, fresh, user, fields)
            new = replace(user, fields=self._services.policies.user_fields.of_new_user(fields, by_host=True))
            if tx.users.add(new):
                break
        else:
            raise UserAlreadyExists
        if tx.email_changes.is_reserved(user.email, but_for=None, now=tx.now):
            raise UserAlreadyExists
        if user.banned_at is not None:
            tx.users.set_ban(user.id, banned_at=user.banned_at, reason=BAN_REASON, now=tx.now)
        details = {"actorTypes": sorted(user.actor_types), "imported": True}
        tx.record(AuditEvent(action=types.USER_REGISTERED, user_id=user.id, details=details))
        return "imported", user

    def as_new(self, record: SourceUser, *, context: Context) -> User:
        """
        Return the user that *record* becomes where nobody has the address.

        Raises:
            ValidationFailed, UnknownActorType: As `import_user`.
        """
        if record.password_hash is not None and not passwords.is_verifiable(record.password_hash):
            raise ValidationFailed(
                details=(("passwordHash", "This is not a password hash that can be verified."),)
            )
        created_at = record.created_at or context.now
        if created_at > context.now:
            raise ValidationFailed(details=(("createdAt", "The time lies in the future."),))
        external_id = record.external_id
        if external_id is not None and not (
            0 < len(external_id) <= MAX_EXTERNAL_ID and external_id.isprintable()
        ):
            raise ValidationFailed(
                details=(("externalId", f"At most {MAX_EXTERNAL_ID} printable characters."),)
            )
        actors = self._services.actors
        granted = {actors.default.name, *(actors.get(name).name for name in record.actor_types)}
        return User(
            id=new_id(context.now),
            email=canonical_email(record.email),
            mailbox=deliverable_email(record.email),
            name=checked_name(record.name),
            image=None,
            email_verified=record.email_verified,
            password_hash=record.password_hash,
            actor_types=frozenset(granted),
            # The account may be older than what it is granted here.
            actor_type_grants=dict.fromkeys(granted, context.now) if created_at < context.now else {},
            credential_version=1,
            has_factor=False,
            banned_at=context.now if record.banned else None,
            made_by="import",
            external_id=external_id,
            created_at=created_at,
            updated_at=context.now,
        )

    def _find(self, tx: Transaction, user: User) -> User | None:
        by_email = tx.users.find_by_email(user.email)
        if user.external_id is None:
            return by_email
        by_id = tx.users.find_by_external_id(user.external_id)
        if by_id is not None and (by_email is None or by_id.id != by_email.id):
            raise Conflict("The external id belongs to a user with another address.")
        return by_email

    def _update(
        self, tx: Transaction, fresh: User, wanted: User, fields: Mapping[str, object]
    ) -> tuple[Outcome, User]:
        verified = fresh.email_verified or wanted.email_verified
        changed = []
        if fresh.name != wanted.name or fresh.email_verified != verified:
            changed += ["name"] if fresh.name != wanted.name else []
            changed += ["emailVerified"] if fresh.email_verified != verified else []
            tx.users.update_profile(
                fresh.id, name=wanted.name, image=fresh.image, email_verified=verified, now=tx.now
            )
        if wanted.external_id is not None and wanted.external_id != fresh.external_id:
            changed.append("externalId")
            tx.users.set_external_id(fresh.id, wanted.external_id, now=tx.now)
        if fields:
            own = self._services.policies.user_fields.changed(fresh.fields, fields, by_host=True)
            if own != fresh.fields:
                changed += sorted(name for name in fields if own.get(name) != (fresh.fields or {}).get(name))
                tx.users.set_fields(fresh.id, fields=own, now=tx.now)
        if not changed:
            return "unchanged", fresh
        tx.record(
            AuditEvent(
                action=types.USER_UPDATED, user_id=fresh.id, details={"changed": changed, "imported": True}
            )
        )
        return "updated", fresh
