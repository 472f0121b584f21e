"""API keys for their owner: list, restrict, revoke."""

from __future__ import annotations

from datetime import datetime

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.quota import is_looser
from czo_auth.core.api_keys.store import KeyOrder
from czo_auth.core.context import Context
from czo_auth.core.errors import NotFound, ReauthenticationRequired
from czo_auth.core.events.types import API_KEY_CHANGED
from czo_auth.core.flows.api_keys.changes import (
    ApiKeyChanges,
    ConsumableProof,
    ProofOfCaller,
    apply_changes,
    quota_details,
)
from czo_auth.core.flows.api_keys.new_key import key_event
from czo_auth.core.flows.api_keys.own_keys import find_own_key, is_host, list_keys_of, lock_longest_days
from czo_auth.core.flows.api_keys.quotas import carry_count_over
from czo_auth.core.flows.api_keys.revoke import revoke_key
from czo_auth.core.flows.services import Services
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction


class ManageApiKeys:
    """Operations of users on their own keys. The owner is the session's user, whatever the body says (S16)."""

    def __init__(self, services: Services, reauthentication: ProofOfCaller) -> None:
        self._services = services
        self._reauthentication = reauthentication

    async def list(
        self,
        *,
        organization_id: str | None,
        unused_since: datetime | None = None,
        page: PageQuery = FIRST_PAGE,
        context: Context,
    ) -> Page[ApiKey]:
        """
        List the user's keys, newest first; those of one organization, or those not used since a time, if given.

        Raises:
            ValidationFailed: The cursor is not valid.
        """
        principal = context.caller
        return await list_keys_of(
            self._services,
            principal.require_user(),
            organization_id=organization_id,
            unused_since=unused_since,
            page=page,
            now=context.now,
        )

    async def list_sorted(
        self,
        *,
        organization_id: str | None = None,
        by: KeyOrder,
        descending: bool,
        offset: int,
        limit: int,
        context: Context,
    ) -> Page[ApiKey]:
        """List the user's keys in another order, from the row *offset* on."""
        principal = context.caller

        def read(tx: Transaction) -> Page[ApiKey]:
            found = tx.api_keys.list_sorted(
                principal.require_user(),
                organization_id=organization_id,
                by=by,
                descending=descending,
                offset=offset,
                limit=limit,
                now=context.now,
            )
            total = tx.api_keys.count_listed(
                principal.require_user(), organization_id=organization_id, now=context.now
            )
            return Page(items=found, total=total)

        return await self._services.transactions.read(read)

    async def get(self, principal: Principal, key_id: str) -> ApiKey:
        """
        Read one of the user's keys.

        Raises:
            NotFound: No such id, or it belongs to someone else.
        """
        return await self._services.transactions.read(lambda tx: find_own_key(tx, principal, key_id))

    async def change(self, key_id: str, changes: ApiKeyChanges, *, context: Context) -> ApiKey:
        """
        Rename, restrict, disable or enable, change the expiry, or set a quota. Raising a quota requires recent proof,
        except of the host's own code.

        Raises:
            NotFound: Not one of the user's keys.
            ValidationFailed: Scopes, allow-list or rate limit would widen, or the key has expired already.
            LifetimeTooLong: The expiry exceeds the maximum lifetime, counted from the key's creation.
            ReauthenticationRequired, InvalidPassword, InvalidCode, AccountLocked: See ``Reauthentication``.
        """
        principal = context.caller
        proof = await self._prove_raise(key_id, changes, context=context)

        def update_key(tx: Transaction) -> ApiKey:
            longest_days = lock_longest_days(
                self._services, tx, find_own_key(tx, principal, key_id).organization_id
            )
            if proof is None:
                tx.users.lock(principal.require_user())
            else:
                proof.consume(tx)
            key = find_own_key(tx, principal, key_id)
            changed = apply_changes(self._services, key, changes, longest_days=longest_days, now=tx.now)
            if proof is None and not is_host(principal) and is_looser(changed.quota, key.quota):
                # It was tightened during this request.
                raise ReauthenticationRequired
            if not tx.api_keys.update(changed):
                raise NotFound
            carry_count_over(tx, old=key.quota, new=changed.quota)
            given = sorted(changes.given | changes.quota.given)
            tx.record(key_event(API_KEY_CHANGED, changed, changed=given, **quota_details(key, changed)))
            return changed

        return await self._services.transactions.run(update_key, context)

    async def _prove_raise(
        self, key_id: str, changes: ApiKeyChanges, *, context: Context
    ) -> ConsumableProof | None:
        """Require recent proof if the quota would be raised; other errors come first."""
        principal = context.caller
        if not changes.quota.given or is_host(principal):
            return None
        key = await self._services.transactions.read(lambda tx: find_own_key(tx, principal, key_id), context)
        changed = apply_changes(self._services, key, changes, longest_days=None, now=context.now)
        if not is_looser(changed.quota, key.quota):
            return None
        return await self._reauthentication.require(
            password=changes.password, code=changes.code, context=context
        )

    async def revoke(self, key_id: str, *, context: Context) -> None:
        """
        End a key for good.

        Raises:
            NotFound: Not one of the user's keys, or revoked already.
        """
        principal = context.caller

        def end(tx: Transaction) -> None:
            key = find_own_key(tx, principal, key_id)
            revoke_key(tx, key, reason="revoked")

        await self._services.transactions.run(end, context)
