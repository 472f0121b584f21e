"""Verifying a passkey's signature, and recording its use."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from czo_auth.core.context import Context
from czo_auth.core.errors import AuthenticationFailed, Refusal
from czo_auth.core.events import types
from czo_auth.core.events.types import PASSKEY_REFUSED, AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.two_factor.cancel_reset import cancel_reset
from czo_auth.core.passkeys.passkey import Passkey
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import base64url
from czo_auth.crypto.passkeys import (
    Assertion,
    InvalidResponse,
    credential_id_of,
    user_handle_of,
    verify_assertion,
)

_LOG = logging.getLogger("czo_auth.passkeys")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPasskey:
    """A passkey that just signed; it counts once `record_use` accepts it."""

    passkey: Passkey
    assertion: Assertion


class VerifyPasskey:
    """Verifies signatures against stored public keys."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def verify(
        self,
        response: Mapping[str, Any],
        *,
        challenge: bytes,
        rp_id: str,
        user_id: str | None,
        context: Context,
    ) -> VerifiedPasskey:
        """
        Verify an assertion.

        Args:
            user_id: The user whose passkey it must be; None if the passkey identifies the user.

        Raises:
            AuthenticationFailed: Unknown, someone else's, or wrong in any way: the same answer for all.
        """
        passkey = await self._find(response)
        try:
            return self._check(response, passkey, challenge=challenge, rp_id=rp_id, user_id=user_id)
        except InvalidResponse as why:
            _LOG.info("a passkey was refused: %s", why)
        owner = user_id if passkey is None else passkey.user_id
        refused = AuditEvent(action=PASSKEY_REFUSED, user_id=owner, outcome="failure")
        await self._services.transactions.run(lambda tx: tx.record(refused), context)
        raise AuthenticationFailed

    async def _find(self, response: Mapping[str, Any]) -> Passkey | None:
        try:
            credential_id = base64url.encode(credential_id_of(response))
        except InvalidResponse:
            return None
        return await self._services.transactions.read(
            lambda tx: tx.passkeys.find_by_credential(credential_id)
        )

    def _check(
        self,
        response: Mapping[str, Any],
        passkey: Passkey | None,
        *,
        challenge: bytes,
        rp_id: str,
        user_id: str | None,
    ) -> VerifiedPasskey:
        if passkey is None:
            raise InvalidResponse("The credential is unknown.")
        if user_id is not None and passkey.user_id != user_id:
            raise InvalidResponse("The credential belongs to somebody else.")
        handle = user_handle_of(response)
        if handle is not None and not passkey.belongs_to_handle(handle):
            raise InvalidResponse("The user handle is not the owner's.")
        assertion = verify_assertion(
            response,
            challenge=challenge,
            rp_id=rp_id,
            accepts_origin=self._services.policies.passkeys.accepts_origin,
            public_key=base64url.decode(passkey.public_key),
        )
        if assertion.backup_eligible != passkey.backup_eligible:
            if not passkey.is_unused_import:
                raise InvalidResponse("The backup-eligible flag changed.")
            passkey = replace(passkey, backup_eligible=assertion.backup_eligible)
        return VerifiedPasskey(passkey=passkey, assertion=assertion)


def record_use(tx: Transaction, verified: VerifiedPasskey) -> Refusal | None:
    """
    Record the use of a verified passkey. Call it in the transaction that grants access, with the user locked.

    A pending reset is canceled, because the factor that it declared lost was just used.

    Returns:
        A refusal to raise after the commit, if the passkey is gone or its counter did not increase. The latter may mean
        a cloned passkey, and is recorded.
    """
    passkey, assertion = verified.passkey, verified.assertion
    if not tx.passkeys.record_use(
        passkey.id,
        sign_count=assertion.sign_count,
        backup_eligible=passkey.backup_eligible,
        backed_up=assertion.backed_up,
        now=tx.now,
    ):
        stored = tx.passkeys.find(passkey.user_id, passkey.id)
        if stored is not None:
            details = {
                "passkeyId": passkey.id,
                "stored": stored.sign_count,
                "received": assertion.sign_count,
            }
            regressed = AuditEvent(
                action=types.PASSKEY_COUNTER_REGRESSED,
                user_id=passkey.user_id,
                outcome="failure",
                details=details,
            )
            tx.record(regressed)
        return AuthenticationFailed()
    cancel_reset(tx, passkey.user_id, outcome="factor_proved")
    return None
