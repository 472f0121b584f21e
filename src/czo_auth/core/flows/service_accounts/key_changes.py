"""Changes of service accounts' keys by owners and admins; a change that widens a key requires more than others."""

from __future__ import annotations

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.quota import is_looser
from czo_auth.core.context import Context
from czo_auth.core.errors import Forbidden, NotFound, ReauthenticationRequired
from czo_auth.core.events.types import API_KEY_CHANGED
from czo_auth.core.flows.api_keys.changes import ApiKeyChanges, apply_changes, quota_details
from czo_auth.core.flows.api_keys.new_key import find_longest_days, key_event
from czo_auth.core.flows.api_keys.quotas import carry_count_over
from czo_auth.core.flows.organizations.membership import Membership
from czo_auth.core.flows.organizations.two_factor import Proof
from czo_auth.core.flows.service_accounts.authority import Authority, Grantor
from czo_auth.core.flows.service_accounts.keys import PERMISSION, known_key
from czo_auth.core.flows.service_accounts.manage import NO_PROOF
from czo_auth.core.flows.services import Services
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.transaction import Transaction


class ChangeServiceAccountKeys:
    """
    Changes keys of service accounts.

    A change that only restricts a key requires no proof. A later expiry or a larger quota is equivalent to a new key
        and has the same requirements: recent proof, and that the caller may grant the key's scopes now (S38).
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._authority = Authority(services)

    async def change(
        self, organization_id: str, key_id: str, changes: ApiKeyChanges, *, context: Context
    ) -> ApiKey:
        """
        Rename or restrict a key, switch it off or on, change its expiry, or set a quota.

        Raises:
            SessionRequired, UnknownOrganization, OrganizationTwoFactorRequired, Forbidden: See ``Authority.read``.
            NotFound: No such key acts in the organization.
            Forbidden: It is a member's.
            ValidationFailed, LifetimeTooLong: As ``ManageApiKeys.change``.
            InsufficientScope, ReauthenticationRequired, InvalidPassword, InvalidCode, AccountLocked: By a change that
                widens, see ``Authority.run_with_proof``.
        """
        proof = Proof(password=changes.password, code=changes.code)
        if proof != NO_PROOF or await self._widens(organization_id, key_id, changes, context=context):
            return await self._authority.run_with_proof(
                organization_id,
                PERMISSION,
                lambda tx, grantor: self._give(tx, grantor, key_id, changes),
                check=lambda tx, grantor: self._check(tx, grantor, key_id, changes),
                proof=proof,
                context=context,
            )

        def narrow(tx: Transaction, membership: Membership) -> ApiKey:
            key, changed = self._applied(tx, membership.organization, key_id, changes)
            if _is_wider(key, changed):
                # It was narrowed while this request was under way.
                raise ReauthenticationRequired
            return _store(tx, key, changed, changes)

        return await self._authority.change(organization_id, PERMISSION, narrow, context=context)

    async def _widens(
        self, organization_id: str, key_id: str, changes: ApiKeyChanges, *, context: Context
    ) -> bool:
        return await self._authority.read(
            organization_id,
            PERMISSION,
            lambda tx, seen: _is_wider(*self._applied(tx, seen.organization, key_id, changes)),
            context=context,
        )

    def _applied(
        self, tx: Transaction, organization: Organization, key_id: str, changes: ApiKeyChanges
    ) -> tuple[ApiKey, ApiKey]:
        """Return a key and what *changes* make of it."""
        key = known_key(tx, organization.id, key_id)
        if key.service_account_id is None:
            raise Forbidden("Only its owner can change a member's API key.")
        longest_days = find_longest_days(self._services, organization)
        return key, apply_changes(self._services, key, changes, longest_days=longest_days, now=tx.now)

    def _check(
        self, tx: Transaction, grantor: Grantor, key_id: str, changes: ApiKeyChanges
    ) -> tuple[ApiKey, ApiKey]:
        key, changed = self._applied(tx, grantor.organization, key_id, changes)
        if _is_wider(key, changed):
            grantor.check_grant(changed.scopes)
        return key, changed

    def _give(self, tx: Transaction, grantor: Grantor, key_id: str, changes: ApiKeyChanges) -> ApiKey:
        key, changed = self._check(tx, grantor, key_id, changes)
        return _store(tx, key, changed, changes)


def _is_wider(key: ApiKey, changed: ApiKey) -> bool:
    """Return whether a change lets a key live longer or be used more often."""
    ends_later = key.expires_at is not None and (
        changed.expires_at is None or changed.expires_at > key.expires_at
    )
    return ends_later or is_looser(changed.quota, key.quota)


def _store(tx: Transaction, key: ApiKey, changed: ApiKey, changes: ApiKeyChanges) -> ApiKey:
    if not tx.api_keys.update(changed):
        raise NotFound
    carry_count_over(tx, old=key.quota, new=changed.quota)
    given = sorted(changes.given | changes.quota.given)
    tx.record(key_event(API_KEY_CHANGED, changed, changed=given, **quota_details(key, changed)))
    return changed
