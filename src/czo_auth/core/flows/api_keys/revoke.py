"""Revoking keys and recording each; part of the caller's transaction."""

from __future__ import annotations

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.errors import NotFound
from czo_auth.core.events import types
from czo_auth.core.flows.api_keys.new_key import key_event
from czo_auth.core.transaction import Transaction


def revoke_key(tx: Transaction, key: ApiKey, *, reason: str) -> None:
    """
    End a key and record it.

    Raises:
        NotFound: It was revoked in the meantime.
    """
    if not tx.api_keys.revoke(key.id, reason=reason, now=tx.now):
        raise NotFound
    tx.record(key_event(types.API_KEY_REVOKED, key, reason=reason))


def revoke_keys(
    tx: Transaction,
    *,
    user_id: str | None,
    organization_id: str | None,
    service_account_id: str | None = None,
    reason: str,
) -> None:
    """
    End all keys of a user, of an organization, of a user in one, or of a service account, and record each.

    Expired keys are neither read nor written, however many there are.
    """
    while ended := tx.api_keys.revoke_all(
        user_id=user_id,
        organization_id=organization_id,
        service_account_id=service_account_id,
        reason=reason,
        now=tx.now,
    ):
        for key in ended:
            audit_event = key_event(types.API_KEY_REVOKED, key, reason=reason)
            tx.record(audit_event)
