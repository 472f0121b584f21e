"""Service accounts of an organization: create, list, change, disable, delete."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from czo_auth.core.api_keys.scopes import check_form
from czo_auth.core.budgets import Budget, consume_budget
from czo_auth.core.context import Context
from czo_auth.core.errors import NotFound, ServiceAccountLimitReached
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.fields import check_not_null, checked_description, checked_name
from czo_auth.core.flows.api_keys.revoke import revoke_keys
from czo_auth.core.flows.organizations.membership import Membership
from czo_auth.core.flows.organizations.two_factor import Proof
from czo_auth.core.flows.service_accounts.authority import Authority, Grantor, known_account
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_SERVICE_ACCOUNTS, MAX_SERVICE_ACCOUNTS_A_DAY
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery, page_of
from czo_auth.core.service_accounts.account import ServiceAccount
from czo_auth.core.transaction import Transaction

NO_PROOF = Proof()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewServiceAccount:
    """Input for a new service account."""

    name: str
    description: str | None = None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountChanges:
    """Changes to a service account; *given* names the fields that were sent."""

    given: frozenset[str]
    name: str | None = None
    description: str | None = None
    scopes: tuple[str, ...] | None = None
    enabled: bool | None = None


class ManageServiceAccounts:
    """
    Operations of owners and admins on the service accounts of their organization.

    Nobody grants an account more than they hold at that moment (S38). Every step locks the organization's row.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._authority = Authority(services)

    async def create(
        self, organization_id: str, new: NewServiceAccount, *, proof: Proof = NO_PROOF, context: Context
    ) -> ServiceAccount:
        """
        Create a service account, with recent proof.

        Raises:
            ValidationFailed: Invalid name, description or scopes.
            SessionRequired, UnknownOrganization, Forbidden, OrganizationTwoFactorRequired, ReauthenticationRequired,
            InvalidPassword, InvalidCode, AccountLocked: See ``Authority.run_with_proof``.
            InsufficientScope: The caller cannot give one of the scopes.
            ServiceAccountLimitReached, RateLimited: The organization has, or made today, as many as are allowed.
        """
        checked = _checked(new)

        def check(tx: Transaction, grantor: Grantor) -> None:
            grantor.check_grant(checked.scopes)
            _check_count(tx, organization_id)

        return await self._authority.run_with_proof(
            organization_id,
            "serviceAccount:create",
            lambda tx, grantor: _store(tx, grantor, checked),
            check=check,
            proof=proof,
            context=context,
        )

    async def check_creation(
        self, organization_id: str, scopes: Collection[str], *, context: Context
    ) -> None:
        """
        Refuse unless the caller may create a service account with these scopes now; creates nothing.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden, OrganizationTwoFactorRequired, ReauthenticationRequired,
            InsufficientScope: As ``create``.
        """
        await self._authority.check(
            organization_id,
            "serviceAccount:create",
            lambda _, grantor: grantor.check_grant(scopes),
            context=context,
        )

    async def operate_create(
        self, organization_id: str, new: NewServiceAccount, *, context: Context
    ) -> ServiceAccount:
        """
        Create a service account for an operator or the host's code.

        Raises:
            UnknownOrganization: It does not exist.
            ValidationFailed, InsufficientScope, ServiceAccountLimitReached, RateLimited: As ``create``.
        """
        checked = _checked(new)
        return await self._authority.operate(
            organization_id, lambda tx, grantor: _store(tx, grantor, checked), context=context
        )

    async def list(
        self, organization_id: str, page: PageQuery = FIRST_PAGE, *, context: Context
    ) -> Page[ServiceAccount]:
        """
        List the service accounts of an organization, newest first.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden: See ``Authority.read``.
            ValidationFailed: The cursor is not valid.
        """
        return await self._authority.read(
            organization_id,
            "serviceAccount:read",
            lambda tx, _: list_accounts(tx, organization_id, page),
            context=context,
        )

    async def get(self, organization_id: str, account_id: str, *, context: Context) -> ServiceAccount:
        """
        Read a service account.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden: See ``Authority.read``.
            NotFound: It does not exist.
        """
        return await self._authority.read(
            organization_id,
            "serviceAccount:read",
            lambda tx, _: known_account(tx, organization_id, account_id),
            context=context,
        )

    async def change(
        self,
        organization_id: str,
        account_id: str,
        changes: ServiceAccountChanges,
        *,
        proof: Proof = NO_PROOF,
        context: Context,
    ) -> ServiceAccount:
        """
        Change name, description or scopes, disable or enable. Removed rights take effect at the next request.

        Adding a scope requires recent proof, and that the caller may grant it.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden: See ``Authority.read``.
            NotFound: There is no such account.
            ValidationFailed: Invalid name, description or scopes.
            InsufficientScope, OrganizationTwoFactorRequired, ReauthenticationRequired, InvalidPassword, InvalidCode,
            AccountLocked: By scopes that are added, as ``create``.
        """
        wanted = frozenset(check_form(changes.scopes or ())) if "scopes" in changes.given else frozenset()
        if proof != NO_PROOF or await self._widens(organization_id, account_id, wanted, context=context):
            return await self._authority.run_with_proof(
                organization_id,
                "serviceAccount:update",
                lambda tx, grantor: _change(tx, grantor, account_id, changes),
                check=lambda tx, grantor: _check_added(tx, grantor, account_id, wanted),
                proof=proof,
                context=context,
            )

        def narrow(tx: Transaction, membership: Membership) -> ServiceAccount:
            # Scopes that were removed in the meantime must not come back without proof: nothing may be granted here.
            grantor = Grantor(
                organization=membership.organization,
                user_id=membership.member.user_id,
                may_grant=lambda _: False,
            )
            return _change(tx, grantor, account_id, changes)

        return await self._authority.change(organization_id, "serviceAccount:update", narrow, context=context)

    async def operate_change(
        self, organization_id: str, account_id: str, changes: ServiceAccountChanges, *, context: Context
    ) -> ServiceAccount:
        """
        Change a service account for an operator or the host's code.

        Raises:
            UnknownOrganization, NotFound, ValidationFailed, InsufficientScope: As ``change``.
        """
        return await self._authority.operate(
            organization_id, lambda tx, grantor: _change(tx, grantor, account_id, changes), context=context
        )

    async def _widens(
        self, organization_id: str, account_id: str, wanted: frozenset[str], *, context: Context
    ) -> bool:
        return await self._authority.read(
            organization_id,
            "serviceAccount:update",
            lambda tx, _: not wanted <= set(known_account(tx, organization_id, account_id).scopes),
            context=context,
        )

    async def delete(self, organization_id: str, account_id: str, *, context: Context) -> None:
        """
        Delete a service account; its keys end at the next request.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden: See ``Authority.read``.
            NotFound: There is no such account.
        """
        await self._authority.change(
            organization_id,
            "serviceAccount:delete",
            lambda tx, _: _delete(tx, organization_id, account_id),
            context=context,
        )

    async def operate_delete(self, organization_id: str, account_id: str, *, context: Context) -> None:
        """
        Delete a service account for an operator or the host's code.

        Raises:
            UnknownOrganization, NotFound: As ``delete``.
        """
        await self._authority.operate(
            organization_id, lambda tx, _: _delete(tx, organization_id, account_id), context=context
        )


def list_accounts(tx: Transaction, organization_id: str, page: PageQuery) -> Page[ServiceAccount]:
    """
    List the service accounts of an organization, newest first. The caller has already been authorized.

    Raises:
        ValidationFailed: The cursor is not valid.
    """
    found = tx.service_accounts.list_of(organization_id, after=page.position, limit=page.limit + 1)
    total = tx.service_accounts.count_of(organization_id)
    return page_of(found, page, total=total, position=lambda each: (each.created_at, each.id))


def _checked(new: NewServiceAccount) -> NewServiceAccount:
    return NewServiceAccount(
        name=checked_name(new.name),
        description=checked_description(new.description),
        scopes=check_form(new.scopes),
    )


def _check_count(tx: Transaction, organization_id: str) -> None:
    if tx.service_accounts.count_of(organization_id) >= MAX_SERVICE_ACCOUNTS:
        raise ServiceAccountLimitReached


def _store(tx: Transaction, grantor: Grantor, new: NewServiceAccount) -> ServiceAccount:
    organization_id = grantor.organization.id
    grantor.check_grant(new.scopes)
    _check_count(tx, organization_id)
    consume_budget(tx, Budget(name=f"service_accounts/{organization_id}", limit=MAX_SERVICE_ACCOUNTS_A_DAY))
    account = ServiceAccount(
        id=new_id(tx.now),
        organization_id=organization_id,
        name=new.name,
        description=new.description,
        scopes=new.scopes,
        enabled=True,
        created_by=grantor.user_id,
        created_at=tx.now,
        updated_at=tx.now,
    )
    tx.service_accounts.add(account)
    _record(tx, types.SERVICE_ACCOUNT_CREATED, account, scopes=list(account.scopes))
    return account


def _check_added(tx: Transaction, grantor: Grantor, account_id: str, wanted: frozenset[str]) -> None:
    present = known_account(tx, grantor.organization.id, account_id)
    grantor.check_grant(sorted(wanted - set(present.scopes)))


def _change(
    tx: Transaction, grantor: Grantor, account_id: str, changes: ServiceAccountChanges
) -> ServiceAccount:
    given = changes.given
    present = known_account(tx, grantor.organization.id, account_id)
    check_not_null(given, name=changes.name, enabled=changes.enabled, scopes=changes.scopes)
    scopes = check_form(changes.scopes or ()) if "scopes" in given else present.scopes
    grantor.check_grant(sorted(set(scopes) - set(present.scopes)))
    changed = replace(
        present,
        name=checked_name(changes.name or "") if "name" in given else present.name,
        description=checked_description(changes.description)
        if "description" in given
        else present.description,
        scopes=scopes,
        enabled=bool(changes.enabled) if "enabled" in given else present.enabled,
    )
    if changed == present:
        return present
    changed = replace(changed, updated_at=tx.now)
    if not tx.service_accounts.update(changed):
        raise NotFound
    _record(
        tx,
        types.SERVICE_ACCOUNT_UPDATED,
        changed,
        changed=sorted(given),
        enabled=changed.enabled,
        scopes=list(changed.scopes),
    )
    return changed


def _delete(tx: Transaction, organization_id: str, account_id: str) -> None:
    account = known_account(tx, organization_id, account_id)
    revoke_keys(
        tx,
        user_id=None,
        organization_id=None,
        service_account_id=account.id,
        reason="service_account_deleted",
    )
    if not tx.service_accounts.delete(account.id):
        raise NotFound
    _record(tx, types.SERVICE_ACCOUNT_DELETED, account)


def _record(tx: Transaction, action: str, account: ServiceAccount, **more: object) -> None:
    details = {"serviceAccountId": account.id, "name": account.name, **more}
    tx.record(AuditEvent(action=action, organization_id=account.organization_id, details=details))
