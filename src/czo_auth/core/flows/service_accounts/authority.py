"""Who may create, rotate and extend what belongs to an organization instead of a person (S38)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from czo_auth.core.api_keys.scopes import check_grant
from czo_auth.core.context import Context
from czo_auth.core.errors import (
    InvalidToken,
    NotFound,
    OrganizationTwoFactorRequired,
    ReauthenticationRequired,
    UnknownOrganization,
)
from czo_auth.core.flows.organizations.membership import (
    Membership,
    lock_organization,
    require_session,
    see_organization,
)
from czo_auth.core.flows.organizations.two_factor import Proof
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.principal import Principal
from czo_auth.core.service_accounts.account import ServiceAccount
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grantor:
    """
    Someone who creates or changes something in a locked organization, and the scopes that they may grant.

    Attributes:
        user_id: None for an operator or the host's code.
        may_grant: Whether a scope may be granted to a service account now.
    """

    organization: Organization
    user_id: str | None
    may_grant: Callable[[str], bool]

    def check_grant(self, scopes: Collection[str]) -> None:
        """
        Refuse to grant more than the grantor holds now, or than a service account may have.

        Raises:
            InsufficientScope
        """
        check_grant(scopes, may_use=self.may_grant)


Step = Callable[[Transaction, Grantor], T]


class Authority:
    """Runs the steps of owners and admins, with the organization's row locked."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)

    async def read(
        self,
        organization_id: str,
        permission: str,
        step: Callable[[Transaction, Membership], T],
        *,
        context: Context,
    ) -> T:
        """
        Run a step that only reads.

        Raises:
            SessionRequired: An API key asks.
            UnknownOrganization, OrganizationTwoFactorRequired: As ``ManageOrganizations.get``.
            Forbidden: The caller's role may not.
        """
        principal = context.caller
        require_session(principal)

        def look(tx: Transaction) -> T:
            seen = see_organization(tx, principal, organization_id)
            seen.require(permission)
            return step(tx, seen)

        return await self._services.transactions.read(look, context)

    async def change(
        self,
        organization_id: str,
        permission: str,
        step: Callable[[Transaction, Membership], T],
        *,
        context: Context,
    ) -> T:
        """
        Run a step that removes something or changes a name; it requires no proof.

        Raises:
            SessionRequired, UnknownOrganization, OrganizationTwoFactorRequired, Forbidden: As ``read``.
        """
        principal = context.caller
        require_session(principal)

        def act(tx: Transaction) -> T:
            membership = lock_organization(tx, principal, organization_id)
            membership.require(permission)
            return step(tx, membership)

        return await self._services.transactions.run(act, context)

    async def check(
        self, organization_id: str, permission: str, check: Step[object], *, context: Context
    ) -> None:
        """
        Refuse unless the caller could create something now, apart from recent proof; creates nothing.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden: As ``read``.
            OrganizationTwoFactorRequired, ReauthenticationRequired: By the organization's rule, as ``run_with_proof``.
        """
        principal = context.caller
        require_session(principal)

        def look(tx: Transaction) -> None:
            seen = see_organization(tx, principal, organization_id)
            seen.require(permission)
            check(tx, self._grantor(tx, principal, seen, tx.users.find(principal.require_user())))

        await self._services.transactions.read(look, context)

    async def run_with_proof(
        self,
        organization_id: str,
        permission: str,
        step: Step[T],
        *,
        check: Step[object],
        proof: Proof,
        context: Context,
    ) -> T:
        """
        Run a step that creates, rotates or extends something, with recent proof.

        In an organization that requires two factors it takes a session with ``aal`` 2, as soon as the rule is set.

        Args:
            check: Refuses what the step would refuse before a proof is required, so that no code is spent.

        Raises:
            SessionRequired, UnknownOrganization, Forbidden: As ``read``.
            OrganizationTwoFactorRequired: The organization demands a factor, and the caller has none.
            ReauthenticationRequired: The proof is too old, or no second factor was proved in this session.
            InvalidPassword, InvalidCode, AccountLocked: See ``Reauthentication``.
        """
        principal = context.caller
        await self.check(organization_id, permission, check, context=context)
        verified = await self._proof.require(password=proof.password, code=proof.code, context=context)

        def act(tx: Transaction) -> T:
            membership = lock_organization(tx, principal, organization_id)
            membership.require(permission)
            return step(tx, self._grantor(tx, principal, membership, verified.consume(tx)))

        return await self._services.transactions.run(act, context)

    async def operate(self, organization_id: str, step: Step[T], *, context: Context) -> T:
        """
        Run a step of an operator or the host's code, who may grant whatever service accounts may have.

        Raises:
            UnknownOrganization: It does not exist.
        """

        def act(tx: Transaction) -> T:
            organization = tx.organizations.lock(organization_id)
            if organization is None:
                raise UnknownOrganization
            may_grant = self._services.may_service_account_use
            return step(tx, Grantor(organization=organization, user_id=context.user_id, may_grant=may_grant))

        return await self._services.transactions.run(act, context)

    def _grantor(self, tx: Transaction, principal: Principal, seen: Membership, user: User | None) -> Grantor:
        if user is None:
            raise InvalidToken
        _check_assurance(seen.organization, principal, user)
        holds = partial(
            self._services.policies.scopes.allows,
            actor_types=user.actor_types,
            organization_role=seen.role,
            administers=principal.administers,
        )
        return Grantor(
            organization=seen.organization,
            user_id=user.id,
            may_grant=lambda scope: holds(scope) and self._services.may_service_account_use(scope),
        )


def _check_assurance(organization: Organization, principal: Principal, user: User) -> None:
    if organization.require_two_factor_from is None:
        return
    if not user.owns_factor:
        raise OrganizationTwoFactorRequired
    if principal.aal < 2:
        raise ReauthenticationRequired("Sign in with your second factor, or step up, to do this.")


def known_account(tx: Transaction, organization_id: str, account_id: str) -> ServiceAccount:
    """
    Read a service account of an organization.

    Raises:
        NotFound: It does not exist.
    """
    account = tx.service_accounts.find(organization_id, account_id)
    if account is None:
        raise NotFound
    return account
