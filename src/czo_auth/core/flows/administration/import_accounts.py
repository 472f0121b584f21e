"""Importing complete accounts of another system: second factors, passkeys, API keys and organizations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from czo_auth.core.context import Context
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.fields import checked_metadata, checked_name
from czo_auth.core.flows.administration.import_keys import ImportKeys
from czo_auth.core.flows.administration.import_records import (
    ImportResult,
    Kind,
    Outcome,
    SourceAccount,
    SourceOrganization,
    SourcePasskey,
    SourceTotp,
)
from czo_auth.core.flows.administration.import_users import ImportUsers
from czo_auth.core.flows.organizations.create import checked_slug
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_PASSKEYS
from czo_auth.core.organizations import roles
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.passkeys.passkey import Passkey
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import TOTP_SECRET, TotpFactor
from czo_auth.core.users.user import User
from czo_auth.crypto import totp

RENEW_WITHIN: Final = timedelta(days=90)


class _RollBack(Exception):
    """Ends the transaction of a dry run."""


class ImportAccounts:
    """
    Imports each account with everything that belongs to it in one transaction, so that an import can stop anywhere.

    Args:
        source: The name of the other system. A record that was imported once is not imported again, even if it was
            deleted here since.
        rp_id: The relying party id that passkeys were made for; with None, no passkeys are imported.
        renew_within: How long TOTP secrets under 128 bits are accepted.
        dry_run: Whether to roll every transaction back.
    """

    def __init__(
        self,
        services: Services,
        *,
        source: str,
        rp_id: str | None,
        renew_within: timedelta = RENEW_WITHIN,
        dry_run: bool = False,
    ) -> None:
        self._services = services
        self._users = ImportUsers(services)
        self._keys = ImportKeys(services, self._digest)
        self._source = source
        self._rp_id = rp_id
        self._renew_within = renew_within
        self._dry_run = dry_run
        self._tried: set[str] = set()

    async def import_account(self, account: SourceAccount, *, context: Context) -> ImportResult:
        """
        Import one account, or the missing parts of it.

        Raises:
            Refusal: The user is refused as ``ImportUsers.import_user`` would; nothing of the account was stored.
        """
        wanted = self._users.as_new(account.user, context=context)

        def store(tx: Transaction) -> ImportResult:
            outcomes: list[tuple[Kind, Outcome]] = []
            notes = list(account.notes)
            user = self._user(tx, account, wanted, outcomes, notes)
            if user is not None:
                if account.totp is not None:
                    outcomes.append(("totp", self._totp(tx, user, account, account.totp, notes)))
                outcomes += [("passkey", self._passkey(tx, user, each, notes)) for each in account.passkeys]
                outcomes += [
                    ("apiKey", self._keys.import_for_user(tx, user, each, notes)) for each in account.api_keys
                ]
            return ImportResult(outcomes=tuple(outcomes), notes=tuple(notes))

        imported = await self._run(store, context)
        self._tried.add(account.source_id)
        return imported

    async def import_organization(self, record: SourceOrganization, *, context: Context) -> ImportResult:
        """
        Import an organization, or those of its members and keys that were not imported yet.

        Raises:
            ValidationFailed: Invalid name or slug.
        """
        organization = Organization(
            id=new_id(context.now),
            name=checked_name(record.name),
            slug=checked_slug(record.slug),
            logo=None,
            metadata=checked_metadata(record.metadata),
            created_at=context.now,
            updated_at=context.now,
        )

        def store(tx: Transaction) -> ImportResult:
            notes = list(record.notes)
            digest = self._digest("organization", record.source_id)
            target = tx.imported_records.find(digest)
            outcome: Outcome = "there"
            if target is None:
                if not tx.organizations.add(organization):
                    notes.append(
                        f"the slug {record.slug} is taken here by an organization that was not imported"
                    )
                    return ImportResult(outcomes=(("organization", "refused"),), notes=tuple(notes))
                tx.imported_records.add(digest, target_id=organization.id, now=tx.now)
                target, outcome = organization.id, "imported"
                details = {"name": organization.name, "slug": organization.slug, "imported": True}
                tx.record(
                    AuditEvent(action=types.ORGANIZATION_CREATED, organization_id=target, details=details)
                )
            # Locked, as by everything else that adds members or keys to it.
            present = tx.organizations.lock(target)
            if present is None:
                notes.append("it was imported before, and deleted here")
                return ImportResult(outcomes=(("organization", "there"),), notes=tuple(notes))
            outcomes: list[tuple[Kind, Outcome]] = [("organization", outcome)]
            outcomes += [
                ("member", self._member(tx, target, record, source_id, role, notes))
                for source_id, role in record.members
            ]
            outcomes += self._keys.import_for_organization(tx, present, record, notes)
            return ImportResult(outcomes=tuple(outcomes), notes=tuple(notes))

        return await self._run(store, context)

    async def _run(self, store: Callable[[Transaction], ImportResult], context: Context) -> ImportResult:
        if not self._dry_run:
            return await self._services.transactions.run(store, context)
        tried: list[ImportResult] = []

        def only_try(tx: Transaction) -> ImportResult:
            tried.append(store(tx))
            raise _RollBack

        with suppress(_RollBack):
            await self._services.transactions.run(only_try, context)
        return tried[-1]

    def _digest(self, kind: Kind, source_id: str) -> str:
        return hashlib.sha256(f"{self._source}\0{kind}\0{source_id}".encode()).hexdigest()

    def _user(
        self,
        tx: Transaction,
        account: SourceAccount,
        wanted: User,
        outcomes: list[tuple[Kind, Outcome]],
        notes: list[str],
    ) -> User | None:
        digest = self._digest("user", account.source_id)
        target = tx.imported_records.find(digest)
        if target is not None:
            user = tx.users.lock(target)
            if user is None:
                notes.append("the account was imported before, and deleted here")
            outcomes.append(("user", "there"))
            return user
        existing = tx.users.find_by_email(wanted.email)
        if existing is not None and not (existing.made_by == "import" or existing.email_verified):
            # Someone may have signed up with another person's address, and would get that person's keys.
            notes.append("an account with this address exists here and never confirmed it: nothing was taken")
            outcomes.append(("user", "refused"))
            return None
        outcome, stored = self._users.store(tx, wanted, account.user.fields)
        outcomes.append(("user", "there" if outcome == "unchanged" else outcome))
        tx.imported_records.add(digest, target_id=stored.id, now=tx.now)
        return stored

    def _totp(
        self, tx: Transaction, user: User, account: SourceAccount, record: SourceTotp, notes: list[str]
    ) -> Outcome:
        if len(record.secret) < totp.MIN_IMPORTED_SECRET_BYTES:
            notes.append("the TOTP secret is shorter than 80 bits: the user has to enroll again")
            return "refused"
        digest = self._digest("totp", account.source_id)
        factor_id = new_id(tx.now)
        if tx.two_factor.find_factor(user.id) is not None or not tx.imported_records.add(
            digest, target_id=factor_id, now=tx.now
        ):
            return "there"
        is_short = len(record.secret) < totp.MIN_SECRET_BYTES
        tx.two_factor.put_factor(
            TotpFactor(
                id=factor_id,
                user_id=user.id,
                sealed_secret=self._services.key_ring.seal(
                    record.secret, purpose=TOTP_SECRET, bound_to={"user": user.id, "enrolment": factor_id}
                ),
                # The current code may just have been used there.
                last_step=max(record.last_step or 0, totp.step_at(tx.now)),
                enabled_at=tx.now,
                renew_by=tx.now + self._renew_within if is_short else None,
            )
        )
        if is_short:
            notes.append(
                f"the TOTP secret has less than 128 bits: to be renewed by {tx.now + self._renew_within:%Y-%m-%d}"
            )
        tx.users.bump_credential_version(user.id, now=tx.now)
        details = {"method": "totp", "replaced": False, "imported": True}
        tx.record(AuditEvent(action=types.TWO_FACTOR_ENABLED, user_id=user.id, details=details))
        notes.append("backup codes were not imported: the user makes new ones")
        return "imported"

    def _passkey(self, tx: Transaction, user: User, record: SourcePasskey, notes: list[str]) -> Outcome:
        if self._rp_id is None:
            notes.append("passkeys were not imported: this deployment offers none")
            return "refused"
        digest = self._digest("passkey", record.credential_id)
        passkey_id = new_id(tx.now)
        if tx.imported_records.find(digest) is not None:
            return "there"
        if tx.passkeys.count(user.id) >= MAX_PASSKEYS:
            notes.append(f"a user has at most {MAX_PASSKEYS} passkeys")
            return "refused"
        passkey = Passkey(
            id=passkey_id,
            user_id=user.id,
            name=record.name,
            credential_id=record.credential_id,
            public_key=record.public_key,
            sign_count=record.sign_count,
            aaguid=record.aaguid,
            backup_eligible=record.backup_eligible,
            backed_up=record.backed_up,
            transports=record.transports,
            rp_id=self._rp_id,
            created_at=record.created_at or tx.now,
            last_used_at=None,
            user_handle=record.user_handle,
        )
        if not tx.passkeys.add(passkey):
            notes.append("a passkey belongs to an account here already")
            return "refused"
        tx.imported_records.add(digest, target_id=passkey_id, now=tx.now)
        if record.is_factor and user.passkeys_enabled_at is None:
            tx.users.set_passkeys_enabled(user.id, tx.now, now=tx.now)
        tx.users.bump_credential_version(user.id, now=tx.now)
        details = {"passkeyId": passkey_id, "imported": True}
        tx.record(AuditEvent(action=types.PASSKEY_ADDED, user_id=user.id, details=details))
        return "imported"

    def _member(
        self,
        tx: Transaction,
        organization_id: str,
        record: SourceOrganization,
        source_id: str,
        role: str,
        notes: list[str],
    ) -> Outcome:
        if not roles.is_role(role):
            notes.append(f"a member had the role {role!r}, and is a member here")
            role = roles.MEMBER
        user_id = tx.imported_records.find(self._digest("user", source_id))
        if user_id is None and self._dry_run and source_id in self._tried:
            return "imported"
        user = None if user_id is None else tx.users.lock(user_id)
        if user is None:
            notes.append("a member was not imported")
            return "refused"
        digest = self._digest("member", f"{record.source_id}\0{source_id}")
        member_id = new_id(tx.now)
        if not tx.imported_records.add(digest, target_id=member_id, now=tx.now):
            return "there"
        if not tx.organizations.add_member(
            member_id, organization_id=organization_id, user_id=user.id, role=role, now=tx.now
        ):
            return "there"
        details = {"role": role, "imported": True}
        tx.record(
            AuditEvent(
                action=types.MEMBER_ADDED, user_id=user.id, organization_id=organization_id, details=details
            )
        )
        return "imported"
