"""Everything that is stored about a user, as one JSON document: no secrets, no hashes, nothing about other people."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from czo_auth.core.context import Context
from czo_auth.core.errors import NotFound
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent, AuditFilter, AuditRecord
from czo_auth.core.flows.accounts.export_records import Json, audit_json, sections
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.two_factor.proofs import ConsumeProof, no_proof
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.mail_drafts import compose_account_exported
from czo_auth.core.text import iso_timestamp
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User

BATCH: Final = 500


class ExportUser:
    """Exports an account. The audit records are read in batches, however many there are."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)

    async def export_own(self, *, context: Context) -> Json:
        """
        Export the caller's own account.

        Raises:
            SessionRequired, ReauthenticationRequired: See ``Reauthentication``.
        """
        principal = context.caller
        proof = await self._proof.require(context=context)
        document, _ = await self._export(principal.require_user(), consume=proof.consume, context=context)
        return document

    async def export_of(self, user_id: str, *, consume: ConsumeProof = no_proof, context: Context) -> Json:
        """
        Export someone's account, for an administrator or an operator; the user is notified.

        Raises:
            NotFound: There is no such user.
        """
        document, user = await self._export(user_id, consume=consume, context=context)
        self._services.background.post(compose_account_exported(user, at=context.now))
        return document

    async def _export(self, user_id: str, *, consume: ConsumeProof, context: Context) -> tuple[Json, User]:
        def record_export(tx: Transaction) -> None:
            consume(tx)
            if tx.users.find(user_id) is None:
                raise NotFound
            tx.record(AuditEvent(action=types.USER_EXPORTED, user_id=user_id))

        def read_account(tx: Transaction) -> tuple[Json, User]:
            user = tx.users.find(user_id)
            if user is None:
                raise NotFound
            return sections(tx, user, self._services.policies.user_fields), user

        await self._services.transactions.run(record_export, context)
        # It may be long; reading it in batches delays no writer.
        document, user = await self._services.transactions.read(read_account, context)
        return {
            "exportedAt": iso_timestamp(context.now),
            **document,
            "audit": await self._audit(user_id),
        }, user

    async def _audit(self, user_id: str) -> list[Json]:
        records: list[Json] = []
        before: int | None = None
        while batch := await self._services.transactions.read(partial(_batch, user_id, before)):
            records += [audit_json(record, user_id) for record in batch]
            before = batch[-1].sequence
        return records


def _batch(user_id: str, before: int | None, tx: Transaction) -> Sequence[AuditRecord]:
    return tx.audit_log.audit_before(before, AuditFilter(person=user_id), limit=BATCH)
