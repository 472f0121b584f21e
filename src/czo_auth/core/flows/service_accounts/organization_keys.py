"""The keys that act in an organization: list, revoke, and transfer a member's key to a service account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta

from czo_auth.core.api_keys.key import ApiKey, OwnedApiKey
from czo_auth.core.api_keys.store import NO_FILTER, KeyFilter, KeyOrder
from czo_auth.core.api_keys.usage import DayUsage
from czo_auth.core.context import Context
from czo_auth.core.errors import Forbidden, NotFound
from czo_auth.core.events import types
from czo_auth.core.flows.api_keys.new_key import (
    CreatedApiKey,
    KeyOwner,
    check_overlap,
    check_replaceable,
    find_longest_days,
    generate_key_text,
    key_event,
    store_successor,
)
from czo_auth.core.flows.api_keys.revoke import revoke_key
from czo_auth.core.flows.api_keys.usage import list_days
from czo_auth.core.flows.organizations.membership import Membership
from czo_auth.core.flows.organizations.owners import compose_notices_of_changed_key
from czo_auth.core.flows.organizations.two_factor import Proof
from czo_auth.core.flows.service_accounts.authority import Authority, Grantor, known_account
from czo_auth.core.flows.service_accounts.keys import (
    PERMISSION,
    check_new,
    check_overlapping,
    count_key,
    known_key,
)
from czo_auth.core.flows.service_accounts.manage import NO_PROOF
from czo_auth.core.flows.services import Services
from czo_auth.core.mail import MailDraft
from czo_auth.core.mail_drafts import KeyEnding, compose_key_changed
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery, page_of
from czo_auth.core.transaction import Transaction


class OrganizationKeys:
    """Operations of owners and admins on all keys that act in their organization. Admins may revoke owners' keys."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._authority = Authority(services)

    async def list(
        self,
        organization_id: str,
        wanted: KeyFilter = NO_FILTER,
        page: PageQuery = FIRST_PAGE,
        *,
        context: Context,
    ) -> Page[OwnedApiKey]:
        """
        List the keys that act in an organization, newest first.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden: See ``Authority.read``.
            ValidationFailed: The cursor is not valid.
        """
        return await self._authority.read(
            organization_id,
            "apiKey:read",
            lambda tx, _: list_acting_keys(tx, organization_id, wanted, page),
            context=context,
        )

    async def list_of_account(
        self, organization_id: str, account_id: str, page: PageQuery = FIRST_PAGE, *, context: Context
    ) -> Page[OwnedApiKey]:
        """
        List the keys of a service account, newest first.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden, ValidationFailed: As ``list``.
            NotFound: There is no such account.
        """

        def read_keys(tx: Transaction, _: Membership) -> Page[OwnedApiKey]:
            account = known_account(tx, organization_id, account_id)
            return list_acting_keys(tx, organization_id, KeyFilter(owner=account.id), page)

        return await self._authority.read(organization_id, "apiKey:read", read_keys, context=context)

    async def list_sorted(
        self,
        organization_id: str,
        *,
        by: KeyOrder,
        descending: bool,
        offset: int,
        limit: int,
        context: Context,
    ) -> Page[ApiKey]:
        """
        List the keys that act in an organization in another order, from the row *offset* on.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden: See ``Authority.read``.
        """

        def read_keys(tx: Transaction, _: Membership) -> Page[ApiKey]:
            found = tx.api_keys.list_sorted(
                None,
                organization_id=organization_id,
                by=by,
                descending=descending,
                offset=offset,
                limit=limit,
                now=tx.now,
            )
            return Page(items=found, total=tx.api_keys.count_acting(organization_id, now=tx.now))

        return await self._authority.read(organization_id, "apiKey:read", read_keys, context=context)

    async def get(
        self, organization_id: str, key_id: str, *, account_id: str | None = None, context: Context
    ) -> ApiKey:
        """
        Read one key that acts in an organization.

        Args:
            account_id: The service account that it must belong to.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden: See ``Authority.read``.
            NotFound: No such key acts there.
        """

        def read_key(tx: Transaction, _: Membership) -> ApiKey:
            key = known_key(tx, organization_id, key_id)
            if account_id not in (None, key.service_account_id):
                raise NotFound
            return key

        return await self._authority.read(organization_id, "apiKey:read", read_key, context=context)

    async def find_organization(self, key_id: str) -> str:
        """
        Return the organization that a key acts in, whether the caller may see it or not.

        Raises:
            NotFound: It acts in none, or there is no such key.
        """
        key = await self._services.transactions.read(lambda tx: tx.api_keys.find(key_id))
        if key is None or key.organization_id is None:
            raise NotFound
        return key.organization_id

    async def usage_of_account(
        self,
        organization_id: str,
        account_id: str,
        key_id: str,
        *,
        first: date | None = None,
        last: date | None = None,
        context: Context,
    ) -> Sequence[DayUsage]:
        """
        Read the days on which a service account's key was used or refused, the oldest first.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden: See ``Authority.read``.
            NotFound: There is no such account, or the key is not its own.
            ValidationFailed: *first* lies behind *last*.
        """

        def read_days(tx: Transaction, _: Membership) -> Sequence[DayUsage]:
            account = known_account(tx, organization_id, account_id)
            key = known_key(tx, organization_id, key_id)
            if key.service_account_id != account.id:
                raise NotFound
            return list_days(tx, key, first=first, last=last, now=tx.now)

        return await self._authority.read(organization_id, "apiKey:read", read_days, context=context)

    async def revoke(self, organization_id: str, key_id: str, *, context: Context) -> None:
        """
        End a key for good. Its owner is mailed: the member, or of a service account's key the organization's owners.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden: See ``Authority.read``.
            NotFound: No such key acts there.
        """

        def end_key(tx: Transaction, membership: Membership) -> Sequence[MailDraft]:
            key = known_key(tx, organization_id, key_id)
            revoke_key(tx, key, reason="revoked_by_organization")
            return _compose_notices(tx, membership.organization, key, "revoked", by=membership.member.user_id)

        mails = await self._authority.change(organization_id, "apiKey:delete", end_key, context=context)
        for mail in mails:
            self._services.background.post(mail)

    async def transfer(
        self,
        organization_id: str,
        key_id: str,
        account_id: str,
        *,
        overlap: timedelta,
        proof: Proof = NO_PROOF,
        context: Context,
    ) -> CreatedApiKey:
        """
        Transfer a member's key to a service account with its scopes; the old key stays valid for *overlap*.

        Raises:
            NotFound: There is no such account, no such key acts there, or it expired.
            Forbidden: The key is a service account's already.
            ApiKeyAlreadyRotated: It has a successor.
            ValidationFailed: The overlap is out of bounds.
            InsufficientScope: The account does not have one of its scopes, or the caller cannot give it.
            ApiKeyLimitReached, RateLimited, SessionRequired, UnknownOrganization, OrganizationTwoFactorRequired,
            ReauthenticationRequired, InvalidPassword, InvalidCode, AccountLocked: See ``ServiceAccountKeys.create``.
        """
        check_overlap(self._services, overlap)
        text = generate_key_text(self._services)
        transfer = self._transfer(key_id, account_id, text=text, overlap=overlap)
        made, mails = await self._authority.run_with_proof(
            organization_id,
            PERMISSION,
            transfer,
            check=lambda tx, grantor: _check_transfer(tx, grantor, key_id, account_id),
            proof=proof,
            context=context,
        )
        for mail in mails:
            self._services.background.post(mail)
        return CreatedApiKey(api_key=made, key=text)

    def _transfer(
        self, key_id: str, account_id: str, *, text: str, overlap: timedelta
    ) -> Callable[[Transaction, Grantor], tuple[ApiKey, Sequence[MailDraft]]]:
        def transfer_key(tx: Transaction, grantor: Grantor) -> tuple[ApiKey, Sequence[MailDraft]]:
            old = _check_transfer(tx, grantor, key_id, account_id)
            if overlap:
                check_overlapping(tx, old.owner_id)
            count_key(tx, grantor)
            owner = KeyOwner(service_account_id=account_id, created_by=grantor.user_id)
            longest_days = find_longest_days(self._services, grantor.organization)
            made = store_successor(tx, old, owner, text=text, overlap=overlap, longest_days=longest_days)
            moved = key_event(types.API_KEY_TRANSFERRED, made, replaces=old.id, previousUserId=old.user_id)
            tx.record(moved)
            return made, _compose_notices(tx, grantor.organization, old, "transferred", by=grantor.user_id)

        return transfer_key


def list_acting_keys(
    tx: Transaction, organization_id: str, wanted: KeyFilter, page: PageQuery
) -> Page[OwnedApiKey]:
    """
    List the keys that act in an organization, newest first. The caller has already been authorized.

    Raises:
        ValidationFailed: The cursor is not valid.
    """
    found = tx.api_keys.list_acting(
        organization_id, wanted, after=page.position, limit=page.limit + 1, now=tx.now
    )
    total = tx.api_keys.count_acting(organization_id, wanted, now=tx.now)
    return page_of(found, page, total=total, position=lambda each: (each.key.created_at, each.key.id))


def _check_transfer(tx: Transaction, grantor: Grantor, key_id: str, account_id: str) -> ApiKey:
    key = known_key(tx, grantor.organization.id, key_id)
    if key.user_id is None:
        raise Forbidden("This API key belongs to a service account already.")
    check_replaceable(key, now=tx.now)
    check_new(tx, grantor, replace(key, user_id=None, service_account_id=account_id))
    return key


def _compose_notices(
    tx: Transaction, organization: Organization, key: ApiKey, what: KeyEnding, *, by: str | None
) -> Sequence[MailDraft]:
    if key.user_id is None:
        return compose_notices_of_changed_key(tx, organization, key, what, by=by)
    owner = tx.users.find(key.user_id)
    actor = None if by is None else tx.users.find(by)
    if owner is None or key.user_id == by:
        return []
    mail = compose_key_changed(
        owner,
        "api_key_ended",
        by="czo-auth" if actor is None else actor.name,
        name=key.name,
        prefix=key.prefix,
        organization=organization.name,
        what=what,
        at=tx.now,
    )
    return [mail]
