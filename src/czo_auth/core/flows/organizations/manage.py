"""Organizations for their members: create, read, change, delete, activate."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from czo_auth.core.budgets import Budget, consume_budget
from czo_auth.core.context import Context
from czo_auth.core.errors import (
    InvalidToken,
    OrganizationCreationNotAllowed,
    SlugTaken,
    UnknownOrganization,
)
from czo_auth.core.events.types import ORGANIZATION_DELETED, ORGANIZATION_UPDATED
from czo_auth.core.flows.api_keys.expiry import shorten_lifetimes
from czo_auth.core.flows.api_keys.revoke import revoke_keys
from czo_auth.core.flows.organizations.changes import NewOrganization, OrganizationChanges, apply_changes
from czo_auth.core.flows.organizations.create import (
    checked_slug,
    create_organization,
)
from czo_auth.core.flows.organizations.membership import (
    Membership,
    SeenOrganization,
    acts_in,
    end_membership,
    lock_organization,
    record,
    see_invitations,
    see_organization,
    session_of,
    shown_member,
    view_organization,
)
from czo_auth.core.flows.organizations.two_factor import (
    check_policy_change,
)
from czo_auth.core.flows.required_factor import lacks_required_factor
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.ids import is_id
from czo_auth.core.limits import DEFAULT_PAGE, MAX_MEMBERS, MAX_ORGANIZATIONS_A_DAY, MAX_PAGE
from czo_auth.core.organizations.organization import Invitation, Member, Organization
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery, Position, page_of
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class FullOrganization:
    """
    An organization with those of its contents that the caller may see.

    Attributes:
        members: The first ones, the oldest first.
        members_total: How many there are in all.
        invitations: The newest ones.
    """

    seen: SeenOrganization
    members: Sequence[Member]
    members_total: int
    invitations: Sequence[Invitation]


class ManageOrganizations:
    """
    Operations of users on organizations; for members see `ManageMembers`.

    A step that changes an organization locks its row before any user's, to avoid deadlocks.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)

    async def create(self, new: NewOrganization, *, context: Context) -> Membership:
        """
        Create an organization; its creator becomes its owner.

        Raises:
            ValidationFailed, SlugTaken, OrganizationLimitReached: The input is not valid, or conflicts with existing
                data.
            OrganizationCreationNotAllowed: This deployment allows it to certain actor types only.
            RateLimited: The user created as many today as are allowed, which includes those that are gone.
        """
        principal = context.caller
        policy = self._services.policies.organizations
        actor_type = principal.actor_type or self._services.actors.default.name
        if not policy.founding_open and not self._services.actors.get(actor_type).founds_organization:
            raise OrganizationCreationNotAllowed

        def store_organization(tx: Transaction) -> Membership:
            # Locked while owned organizations are counted, or two concurrent requests could exceed the limit.
            if tx.users.lock(principal.require_user()) is None:
                raise InvalidToken
            consume_budget(
                tx, Budget(name=f"organizations/{principal.user_id}", limit=MAX_ORGANIZATIONS_A_DAY)
            )
            organization = create_organization(
                tx,
                principal.require_user(),
                name=new.name,
                slug=new.slug,
                logo=new.logo,
                metadata=new.metadata,
                policy=policy,
            )
            if new.activates:
                tx.sessions.set_organization(session_of(principal), organization.id)
            return see_organization(tx, principal, organization.id)

        return await self._services.transactions.run(store_organization, context)

    async def list(
        self, principal: Principal, page: PageQuery = FIRST_PAGE, *, newest_first: bool = False
    ) -> Page[tuple[Organization, str | None]]:
        """
        List the caller's organizations with the role in each, oldest first; for a scoped key, only its own.

        A service account has no role.

        Raises:
            ValidationFailed: The cursor is not valid.
        """
        after = page.position
        bound_to = principal.organization_id if principal.kind == "api_key" else None

        def read(tx: Transaction) -> Page[tuple[Organization, str | None]]:
            found = _list_of(
                tx,
                principal,
                only=None if bound_to is None else [bound_to],
                after=after,
                limit=page.limit + 1,
                newest_first=newest_first,
            )
            total = len(found)
            if bound_to is None:
                total = tx.organizations.count_of(principal.require_user())
            return page_of(found, page, total=total, position=lambda each: (each[0].created_at, each[0].id))

        return await self._services.transactions.read(read)

    async def find(
        self, organization_ids: Collection[str], *, context: Context
    ) -> Sequence[tuple[Organization, str | None]]:
        """
        Read the caller's organizations among the given ids, at most `MAX_PAGE`.

        One that requires a factor which the caller lacks is left out, like one that they are not a member of (S37).
        """
        principal = context.caller
        wanted = sorted(each for each in set(organization_ids) if is_id(each) and acts_in(principal, each))
        if not wanted:
            return []

        def read(tx: Transaction) -> Sequence[tuple[Organization, str | None]]:
            found = _list_of(tx, principal, only=wanted[:MAX_PAGE], limit=MAX_PAGE)
            return [each for each in found if not self._is_refused(tx, principal, each[0].id)]

        return await self._services.transactions.read(read, context)

    def _is_refused(self, tx: Transaction, principal: Principal, organization_id: str) -> bool:
        if principal.service_account_id is not None:
            return False
        member = tx.organizations.find_member(organization_id, principal.require_user())
        return member is None or lacks_required_factor(tx, member)

    async def get(self, organization_id: str, *, context: Context) -> SeenOrganization:
        """
        Read an organization.

        Raises:
            UnknownOrganization: It does not exist, or the caller is not a member.
            OrganizationScopeMismatch: The API key acts in another one.
        """
        principal = context.caller
        return await self._services.transactions.read(
            lambda tx: view_organization(tx, principal, organization_id), context
        )

    async def get_membership(self, organization_id: str, *, context: Context) -> Membership:
        """
        Read an organization with the caller's membership.

        Raises:
            UserRequired: The caller is a service account.
            UnknownOrganization, OrganizationScopeMismatch: As ``get``.
        """
        principal = context.caller
        return await self._services.transactions.read(
            lambda tx: see_organization(tx, principal, organization_id), context
        )

    async def get_by_slug(self, slug: str, *, context: Context) -> SeenOrganization:
        """
        Read an organization by its slug.

        Raises:
            UnknownOrganization, OrganizationScopeMismatch: As ``get``.
        """

        principal = context.caller

        def find_organization(tx: Transaction) -> SeenOrganization:
            organization = tx.organizations.find_by_slug(slug)
            if organization is None:
                raise UnknownOrganization
            return view_organization(tx, principal, organization.id)

        return await self._services.transactions.read(find_organization, context)

    async def get_full(
        self, organization_id: str, *, members_limit: int = DEFAULT_PAGE, context: Context
    ) -> FullOrganization:
        """
        Read an organization with its first members and newest invitations, as far as the caller may see them.

        An API key sees neither members' addresses nor invitations.

        Raises:
            UnknownOrganization, OrganizationScopeMismatch: As ``get``.
        """

        principal = context.caller

        def read_organization(tx: Transaction) -> FullOrganization:
            seen = view_organization(tx, principal, organization_id)
            members: Sequence[Member] = [seen.member] if isinstance(seen, Membership) else []
            total = 1
            if seen.may("member:read"):
                members = tx.organizations.list_members(organization_id, limit=members_limit)
                total = tx.organizations.count_members(organization_id)
            return FullOrganization(
                seen=seen,
                members=[shown_member(principal, member) for member in members],
                members_total=total,
                invitations=_shown_invitations(tx, principal, seen),
            )

        return await self._services.transactions.read(read_organization, context)

    async def is_slug_free(self, slug: str) -> bool:
        """
        Return whether an organization could take *slug* now.

        Raises:
            ValidationFailed: It is not a slug.
        """
        slug = checked_slug(slug)
        return await self._services.transactions.read(lambda tx: tx.organizations.find_by_slug(slug)) is None

    async def has_permissions(
        self, organization_id: str, permissions: Collection[str], *, context: Context
    ) -> bool:
        """
        Return whether the caller has all of *permissions* there; False if none are given.

        Raises:
            UnknownOrganization, OrganizationScopeMismatch: As ``get``.
        """
        seen = await self.get(organization_id, context=context)
        return bool(permissions) and all(map(seen.may, permissions))

    async def update(
        self, organization_id: str, changes: OrganizationChanges, *, context: Context
    ) -> Membership:
        """
        Change name, slug, logo, metadata, the rules for key lifetimes, or the factors that members need.

        Only owners may change the last, with recent proof (S7).

        A new maximum lifetime also applies to existing keys: those that would end later, or never, expire at the new
        limit, counted from now (docs/decisions/0011).

        Raises:
            UnknownOrganization: It does not exist, or the caller is not a member.
            Forbidden: The caller's role may not.
            ValidationFailed, SlugTaken: The input is not valid, or conflicts with existing data.
            TwoFactorNotEnabled: The owner who wants to require two factors has none.
            ReauthenticationRequired, InvalidPassword, InvalidCode, AccountLocked: See ``Reauthentication``.
        """
        principal = context.caller
        from_ = changes.require_two_factor_from
        verified = None
        if changes.change_policy:
            await self._services.transactions.read(
                lambda tx: self._check_policy_change(tx, organization_id, changes, context=context), context
            )
            proof = changes.proof
            verified = await self._proof.require(password=proof.password, code=proof.code, context=context)

        def update_organization(tx: Transaction) -> Membership:
            membership = lock_organization(tx, principal, organization_id)
            membership.require("organization:update")
            if verified is not None:
                check_policy_change(membership, verified.consume(tx), from_=from_)
            changed = apply_changes(membership.organization, changes)
            if changed == membership.organization:
                return membership
            changed = replace(changed, updated_at=tx.now)
            if not tx.organizations.update(changed):
                raise SlugTaken
            if changed.api_key_max_days != membership.organization.api_key_max_days:
                shorten_lifetimes(tx, organization_id, days=changed.api_key_max_days)
            if changes.change_policy:
                tx.factor_rules.apply(organization_id)
            details = {"changed": sorted(changes.given)}
            record(tx, ORGANIZATION_UPDATED, membership.member, details=details)
            return replace(membership, organization=changed)

        return await self._services.transactions.run(update_organization, context)

    def _check_policy_change(
        self, tx: Transaction, organization_id: str, changes: OrganizationChanges, *, context: Context
    ) -> None:
        """Refuse before requiring a proof, so that no code is spent."""
        seen = see_organization(tx, context.caller, organization_id)
        user = tx.users.find(context.caller.require_user())
        if user is None:
            raise InvalidToken
        check_policy_change(seen, user, from_=changes.require_two_factor_from)
        apply_changes(seen.organization, changes)

    async def delete(self, organization_id: str, *, context: Context) -> Organization:
        """
        Delete an organization with its members and invitations, and revoke the API keys scoped to it.

        Raises:
            UnknownOrganization: It does not exist, or the caller is not a member.
            Forbidden: The caller's role may not.
        """
        principal = context.caller

        def delete_organization(tx: Transaction) -> Organization:
            membership = lock_organization(tx, principal, organization_id)
            membership.require("organization:delete")
            delete_locked_organization(tx, membership.organization, membership.member)
            return membership.organization

        return await self._services.transactions.run(delete_organization, context)

    async def activate(self, organization_id: str, *, context: Context) -> Membership:
        """
        Make an organization the active one of the caller's session.

        Raises:
            UnknownOrganization: It does not exist, or the caller is not a member.
            SessionRequired: The caller has no session.
        """

        principal = context.caller

        def activate_organization(tx: Transaction) -> Membership:
            seen = see_organization(tx, principal, organization_id)
            tx.sessions.set_organization(session_of(principal), organization_id)
            return seen

        return await self._services.transactions.run(activate_organization, context)

    async def deactivate(self, principal: Principal) -> None:
        """
        Leave the caller's session without an active organization.

        Raises:
            SessionRequired: The caller has no session.
        """
        session_id = session_of(principal)
        await self._services.transactions.run(lambda tx: tx.sessions.set_organization(session_id, None))


def delete_locked_organization(tx: Transaction, organization: Organization, by: Member) -> None:
    """
    Delete an organization with its members, invitations and keys, and record it. Call it with the organization locked.
    """
    members = sorted(
        tx.organizations.list_members(organization.id, limit=MAX_MEMBERS), key=lambda member: member.user_id
    )
    for member in members:
        # Creating a key locks its owner, so none can appear between here and the commit.
        tx.users.lock(member.user_id)
    for member in members:
        end_membership(tx, member, reason="organization_deleted")
    revoke_keys(tx, user_id=None, organization_id=organization.id, reason="organization_deleted")
    tx.organizations.delete(organization.id, now=tx.now)
    details = {"name": organization.name, "slug": organization.slug}
    record(tx, ORGANIZATION_DELETED, by, details=details)


def _list_of(
    tx: Transaction,
    principal: Principal,
    *,
    only: Collection[str] | None,
    limit: int,
    after: Position | None = None,
    newest_first: bool = False,
) -> Sequence[tuple[Organization, str | None]]:
    """List the caller's organizations; for a service account its own, if it is among *only*."""
    if principal.service_account_id is None:
        return tx.organizations.list_of(
            principal.require_user(), only=only, after=after, limit=limit, newest_first=newest_first
        )
    own = principal.organization_id
    found = tx.organizations.find(own) if own is not None and (only is None or own in only) else None
    is_beyond = found is not None and (after is None or (found.created_at, found.id) > after)
    return [(found, None)] if found is not None and is_beyond else []


def _shown_invitations(tx: Transaction, principal: Principal, seen: SeenOrganization) -> Sequence[Invitation]:
    if principal.kind != "session" or not isinstance(seen, Membership) or not seen.may("invitation:read"):
        return []
    return see_invitations(tx, principal, seen).items
