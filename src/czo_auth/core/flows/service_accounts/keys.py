"""API keys of service accounts: create and rotate."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.budgets import Budget, consume_budget
from czo_auth.core.context import Context
from czo_auth.core.errors import ApiKeyLimitReached, Forbidden, InsufficientScope, NotFound
from czo_auth.core.events import types
from czo_auth.core.flows.api_keys.new_key import (
    CreatedApiKey,
    KeyOwner,
    NewApiKey,
    check_overlap,
    check_replaceable,
    find_longest_days,
    generate_key,
    generate_key_text,
    key_event,
    store_key,
    store_successor,
)
from czo_auth.core.flows.organizations.owners import compose_notices_of_changed_key
from czo_auth.core.flows.organizations.two_factor import Proof
from czo_auth.core.flows.service_accounts.authority import Authority, Grantor, known_account
from czo_auth.core.flows.service_accounts.manage import NO_PROOF
from czo_auth.core.flows.services import Services
from czo_auth.core.limits import MAX_SERVICE_ACCOUNT_KEYS, MAX_SERVICE_ACCOUNT_KEYS_A_DAY
from czo_auth.core.mail import MailDraft
from czo_auth.core.service_accounts.account import ServiceAccount
from czo_auth.core.transaction import Transaction

PERMISSION = "apiKey:create"


class ServiceAccountKeys:
    """
    Operations of owners and admins on the keys of service accounts.

    A key has at most the scopes that its account has and its grantor may grant at that moment (S38).
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._authority = Authority(services)

    async def create(
        self,
        organization_id: str,
        account_id: str,
        new: NewApiKey,
        *,
        proof: Proof = NO_PROOF,
        context: Context,
    ) -> CreatedApiKey:
        """
        Create a key, with recent proof. It counts against nobody's own limit.

        Raises:
            ValidationFailed: Invalid name, metadata, expiry, scopes, allow-list or rate limit.
            SessionRequired, UnknownOrganization, Forbidden, OrganizationTwoFactorRequired, ReauthenticationRequired,
            InvalidPassword, InvalidCode, AccountLocked: See ``Authority.run_with_proof``.
            NotFound: There is no such account.
            InsufficientScope: The account lacks one of the scopes, or the caller may not grant it.
            LifetimeTooLong: The expiry lies beyond the maximum lifetime of the organization or the deployment.
            ApiKeyLimitReached, RateLimited: The account has, or the organization made today, as many as are allowed.
        """
        generated = self._generate(organization_id, account_id, new, context=context)

        def check(tx: Transaction, grantor: Grantor) -> None:
            check_new(tx, grantor, generated.api_key)

        return await self._authority.run_with_proof(
            organization_id,
            PERMISSION,
            lambda tx, grantor: self._store(tx, grantor, generated),
            check=check,
            proof=proof,
            context=context,
        )

    async def operate_create(
        self, organization_id: str, account_id: str, new: NewApiKey, *, context: Context
    ) -> CreatedApiKey:
        """
        Create a key for an operator or the host's code.

        Raises:
            UnknownOrganization, NotFound, ValidationFailed, InsufficientScope, LifetimeTooLong, ApiKeyLimitReached,
            RateLimited: As ``create``.
        """
        generated = self._generate(organization_id, account_id, new, context=context)
        return await self._authority.operate(
            organization_id, lambda tx, grantor: self._store(tx, grantor, generated), context=context
        )

    def _generate(
        self, organization_id: str, account_id: str, new: NewApiKey, *, context: Context
    ) -> CreatedApiKey:
        owner = KeyOwner(service_account_id=account_id, created_by=context.user_id)
        new = replace(new, organization_id=organization_id)
        return generate_key(self._services, new, owner, now=context.now)

    def _store(self, tx: Transaction, grantor: Grantor, generated: CreatedApiKey) -> CreatedApiKey:
        check_new(tx, grantor, generated.api_key)
        count_key(tx, grantor)
        longest_days = find_longest_days(self._services, grantor.organization)
        return replace(generated, api_key=store_key(tx, generated, longest_days=longest_days))

    async def rotate(
        self,
        organization_id: str,
        key_id: str,
        *,
        overlap: timedelta,
        proof: Proof = NO_PROOF,
        context: Context,
    ) -> CreatedApiKey:
        """
        Create a successor with the same rights, with recent proof; the old key expires after *overlap*.

        The owners are mailed, except the one who rotates it.

        Raises:
            NotFound: No such key acts in the organization, or it expired.
            Forbidden: It is a member's.
            ApiKeyAlreadyRotated: It has a successor.
            ValidationFailed: The overlap is out of bounds.
            InsufficientScope: The caller cannot give one of its scopes.
            ApiKeyLimitReached, RateLimited, SessionRequired, UnknownOrganization, OrganizationTwoFactorRequired,
            ReauthenticationRequired, InvalidPassword, InvalidCode, AccountLocked: As ``create``.
        """
        check_overlap(self._services, overlap)
        text = generate_key_text(self._services)
        made, mails = await self._authority.run_with_proof(
            organization_id,
            PERMISSION,
            lambda tx, grantor: self._rotate(tx, grantor, key_id, text=text, overlap=overlap),
            check=lambda tx, grantor: _check_rotation(tx, grantor, key_id),
            proof=proof,
            context=context,
        )
        for mail in mails:
            self._services.background.post(mail)
        return CreatedApiKey(api_key=made, key=text)

    async def operate_rotate(
        self, organization_id: str, key_id: str, *, overlap: timedelta, context: Context
    ) -> CreatedApiKey:
        """
        Rotate a key for an operator or the host's code.

        Raises:
            UnknownOrganization, NotFound, Forbidden, ApiKeyAlreadyRotated, ValidationFailed, InsufficientScope,
            ApiKeyLimitReached, RateLimited: As ``rotate``.
        """
        check_overlap(self._services, overlap)
        text = generate_key_text(self._services)
        made, mails = await self._authority.operate(
            organization_id,
            lambda tx, grantor: self._rotate(tx, grantor, key_id, text=text, overlap=overlap),
            context=context,
        )
        for mail in mails:
            self._services.background.post(mail)
        return CreatedApiKey(api_key=made, key=text)

    def _rotate(
        self, tx: Transaction, grantor: Grantor, key_id: str, *, text: str, overlap: timedelta
    ) -> tuple[ApiKey, Sequence[MailDraft]]:
        old = _check_rotation(tx, grantor, key_id)
        check_replaceable(old, now=tx.now)
        if overlap:
            check_overlapping(tx, old.owner_id)
        count_key(tx, grantor)
        owner = KeyOwner(service_account_id=old.service_account_id, created_by=grantor.user_id)
        longest_days = find_longest_days(self._services, grantor.organization)
        made = store_successor(tx, old, owner, text=text, overlap=overlap, longest_days=longest_days)
        tx.record(key_event(types.API_KEY_ROTATED, made, replaces=old.id))
        return made, compose_notices_of_changed_key(
            tx, grantor.organization, old, "rotated", by=grantor.user_id
        )

    async def check_creation(
        self, organization_id: str, account_id: str, scopes: Collection[str], *, context: Context
    ) -> None:
        """
        Refuse unless the caller may create a key with these rights now; creates nothing.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden, OrganizationTwoFactorRequired, ReauthenticationRequired,
            NotFound, InsufficientScope: As ``create``.
        """

        def check(tx: Transaction, grantor: Grantor) -> None:
            check_scopes(tx, grantor, account_id, scopes)

        await self._authority.check(organization_id, PERMISSION, check, context=context)


def known_key(tx: Transaction, organization_id: str, key_id: str) -> ApiKey:
    """
    Read a key that acts in an organization.

    Raises:
        NotFound: It does not exist, or it was revoked.
    """
    key = tx.api_keys.find(key_id)
    if key is None or key.organization_id != organization_id:
        raise NotFound
    return key


def check_scopes(
    tx: Transaction, grantor: Grantor, account_id: str, scopes: Collection[str]
) -> ServiceAccount:
    """
    Refuse to give a key more scopes than its account has, or than the grantor holds now.

    Raises:
        NotFound: There is no such account.
        InsufficientScope
    """
    account = known_account(tx, grantor.organization.id, account_id)
    missing = [scope for scope in scopes if scope not in account.scopes]
    if missing:
        raise InsufficientScope.of(missing, "The service account does not have this scope.")
    grantor.check_grant(scopes)
    return account


def check_new(tx: Transaction, grantor: Grantor, key: ApiKey) -> None:
    """
    Refuse a new key of a service account by its scopes or its number.

    Raises:
        NotFound, InsufficientScope, ApiKeyLimitReached
    """
    account = check_scopes(tx, grantor, key.service_account_id or "", key.scopes)
    if tx.api_keys.count_live(account.id, now=tx.now) >= MAX_SERVICE_ACCOUNT_KEYS:
        raise ApiKeyLimitReached("The service account has the maximum number of API keys. Revoke one first.")


def check_overlapping(tx: Transaction, owner_id: str) -> None:
    """
    Refuse to rotate if the account has the maximum number of rotated keys that are still valid.

    Raises:
        ApiKeyLimitReached
    """
    if tx.api_keys.count_overlapping(owner_id, now=tx.now) >= MAX_SERVICE_ACCOUNT_KEYS:
        raise ApiKeyLimitReached


def count_key(tx: Transaction, grantor: Grantor) -> None:
    """
    Count a new key of a service account, so that short-lived keys cannot make an organization's rows grow without
    bound.

    Raises:
        RateLimited
    """
    name = f"service_account_keys/{grantor.organization.id}"
    consume_budget(tx, Budget(name=name, limit=MAX_SERVICE_ACCOUNT_KEYS_A_DAY))


def _check_rotation(tx: Transaction, grantor: Grantor, key_id: str) -> ApiKey:
    key = known_key(tx, grantor.organization.id, key_id)
    if key.service_account_id is None:
        raise Forbidden("Only its owner can rotate a member's API key.")
    grantor.check_grant(key.scopes)
    return key
