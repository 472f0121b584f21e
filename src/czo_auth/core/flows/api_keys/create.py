"""New API keys of users: create and rotate."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.scopes import check_grant
from czo_auth.core.budgets import Budget, consume_budget
from czo_auth.core.context import Context
from czo_auth.core.errors import (
    ApiKeyLimitReached,
    InsufficientApiKeyPermissions,
    InvalidToken,
    NotMemberOfOrganization,
)
from czo_auth.core.events import types
from czo_auth.core.flows.api_keys.new_key import (
    CreatedApiKey,
    KeyOwner,
    NewApiKey,
    check_overlap,
    check_replaceable,
    generate_key,
    generate_key_text,
    key_event,
    store_key,
    store_successor,
)
from czo_auth.core.flows.api_keys.own_keys import find_own_key, is_host, lock_longest_days
from czo_auth.core.flows.owner_mails import mail_notice_by_id
from czo_auth.core.flows.required_factor import check_factor
from czo_auth.core.flows.services import Services
from czo_auth.core.organizations import roles
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedApiKey:
    """A key that was checked and generated, but is not stored yet."""

    principal: Principal
    generated: CreatedApiKey


class CreateApiKeys:
    """Makes keys for users. The owner is the session's user, whatever the body says (S16)."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def create(self, new: NewApiKey, *, context: Context) -> CreatedApiKey:
        """
        Create a key. If a maximum lifetime is set, a key without an expiry gets it (docs/decisions/0011).

        Raises:
            ValidationFailed: Invalid name, metadata, expiry, scopes, allow-list or limits.
            LifetimeTooLong: The expiry lies beyond the maximum lifetime of the organization or the deployment.
            NotMemberOfOrganization, InsufficientApiKeyPermissions: By the organization.
            InsufficientScope: More than the creator may use is requested.
            ApiKeyLimitReached: The user has the maximum number of live keys.
            RateLimited: The user reached today's limit, which includes keys that have since ended.
        """
        prepared = self.prepare(new, context=context)
        made = await self._services.transactions.run(lambda tx: self.store(tx, prepared), context)
        self.notify_of_creation(made, context=context)
        return CreatedApiKey(api_key=made, key=prepared.generated.key)

    def notify_of_creation(self, made: ApiKey, *, context: Context) -> None:
        """Mail the owner that a key was created with their session."""
        if context.actor_kind == "user" and made.user_id is not None:
            mail_notice_by_id(
                self._services,
                made.user_id,
                "api_key_created",
                context=context,
                name=made.name,
                prefix=made.prefix,
            )

    def prepare(self, new: NewApiKey, *, context: Context) -> PreparedApiKey:
        """
        Check the request, and generate the key; nothing is stored yet.

        Raises:
            ValidationFailed: Invalid name, metadata, expiry, scopes, allow-list or limits.
        """
        principal = context.caller
        owner = _owner_of(principal)
        return PreparedApiKey(
            principal=principal, generated=generate_key(self._services, new, owner, now=context.now)
        )

    def store(self, tx: Transaction, prepared: PreparedApiKey) -> ApiKey:
        """
        Store a prepared key if its maker may create it now; part of the caller's transaction.

        Raises:
            LifetimeTooLong, NotMemberOfOrganization, InsufficientApiKeyPermissions, InsufficientScope,
            ApiKeyLimitReached, RateLimited, InvalidToken: As `create`.
        """
        principal, api_key = prepared.principal, prepared.generated.api_key
        longest_days = lock_longest_days(self._services, tx, api_key.organization_id)
        owner = _lock_owner(tx, principal)
        role = self._check_organization(tx, principal, api_key.organization_id)
        check_grant(api_key.scopes, may_use=self._may_use(principal, owner, role))
        limit = self._services.policies.api_keys.limit
        if tx.api_keys.count_live(principal.require_user(), now=tx.now) >= limit:
            raise ApiKeyLimitReached
        self._count_creation(tx, principal)
        return store_key(tx, prepared.generated, longest_days=longest_days)

    async def rotate(self, key_id: str, *, overlap: timedelta, context: Context) -> CreatedApiKey:
        """
        Replace a key with a successor that has the same rights; the old one expires after *overlap*.

        The owner is mailed, because a stolen session could make itself a key this way too.

        Raises:
            NotFound: Not one of the user's keys, or it expired.
            ApiKeyAlreadyRotated: It has a successor.
            ApiKeyLimitReached: The user has the maximum number of rotated keys that are still valid.
            RateLimited: As ``create``.
            ValidationFailed: The overlap is out of bounds.
            NotMemberOfOrganization, InsufficientApiKeyPermissions, InsufficientScope: The user may not create it now.
        """
        principal = context.caller
        check_overlap(self._services, overlap)
        text = generate_key_text(self._services)

        def replace_key(tx: Transaction) -> ApiKey:
            longest_days = lock_longest_days(
                self._services, tx, find_own_key(tx, principal, key_id).organization_id
            )
            _lock_owner(tx, principal)
            old = find_own_key(tx, principal, key_id)
            check_replaceable(old, now=tx.now)
            self._check_organization(tx, principal, old.organization_id)
            if overlap and self._has_most_overlapping(tx, principal):
                raise ApiKeyLimitReached
            self._count_creation(tx, principal)
            successor = store_successor(
                tx,
                old,
                replace(_owner_of(principal), actor_type=old.actor_type),
                text=text,
                overlap=overlap,
                longest_days=longest_days,
            )
            audit_event = key_event(types.API_KEY_ROTATED, successor, replaces=old.id)
            tx.record(audit_event)
            return successor

        made = await self._services.transactions.run(replace_key, context)
        self.notify_of_creation(made, context=context)
        return CreatedApiKey(api_key=made, key=text)

    async def check_creation(
        self, *, organization_id: str | None, scopes: Collection[str], context: Context
    ) -> None:
        """
        Refuse unless the caller may create a key with these rights now; creates nothing.

        Raises:
            NotMemberOfOrganization, InsufficientApiKeyPermissions, InsufficientScope, InvalidToken: As `create`.
        """

        principal = context.caller

        def check_rights(tx: Transaction) -> None:
            owner = tx.users.find(principal.require_user())
            if owner is None:
                raise InvalidToken
            role = self._check_organization(tx, principal, organization_id)
            check_grant(scopes, may_use=self._may_use(principal, owner, role))

        await self._services.transactions.read(check_rights, context)

    async def offered_scopes(self, *, context: Context) -> tuple[Sequence[str], bool]:
        """
        Return the scopes that a form can list for the caller, and whether there are others that they may grant.

        They include what roles in organizations allow; `create` checks whether a scope fits the chosen organization.
        """
        principal, policy = context.caller, self._services.policies.scopes

        def read(tx: Transaction) -> tuple[Sequence[str], bool]:
            memberships = tx.organizations.list_memberships(principal.require_user())
            answers = [
                policy.offered(
                    actor_types=principal.actor_types,
                    organization_role=role,
                    administers=principal.administers,
                )
                for role in {None, *(member.role for _, member in memberships)}
            ]
            listed = frozenset[str]().union(*(scopes for scopes, _ in answers))
            return sorted(listed), any(has_others for _, has_others in answers)

        return await self._services.transactions.read(read, context)

    def _may_use(self, principal: Principal, owner: User, role: str | None) -> Callable[[str], bool]:
        return partial(
            self._services.policies.scopes.allows,
            actor_types=owner.actor_types,
            organization_role=role,
            administers=principal.administers,
        )

    def _count_creation(self, tx: Transaction, principal: Principal) -> None:
        """Count a new key, so that short-lived keys cannot make a user's rows grow without bound."""
        limit = self._services.policies.api_keys.daily_limit
        consume_budget(tx, Budget(name=f"api_keys/{principal.user_id}", limit=limit))

    def _check_organization(
        self, tx: Transaction, principal: Principal, organization_id: str | None
    ) -> str | None:
        if organization_id is None:
            return None
        member = tx.organizations.find_member(organization_id, principal.require_user())
        if member is None:
            raise NotMemberOfOrganization
        if not roles.may(member.role, "apiKey:create"):
            raise InsufficientApiKeyPermissions
        check_factor(tx, member)
        return member.role

    def _has_most_overlapping(self, tx: Transaction, principal: Principal) -> bool:
        return (
            tx.api_keys.count_overlapping(principal.require_user(), now=tx.now)
            >= self._services.policies.api_keys.limit
        )


def _lock_owner(tx: Transaction, principal: Principal) -> User:
    """
    Lock the owner of a new key, and check again that the session is still valid.

    A ban, a lost actor type or a new password may have ended it in between, and no key may survive that.

    Raises:
        InvalidToken: It ended.
    """
    owner = tx.users.lock(principal.require_user())
    if is_host(principal):
        if owner is None or owner.banned_at is not None:
            raise InvalidToken
        return owner
    session = tx.sessions.find(principal.session_id) if principal.session_id is not None else None
    if owner is None or session is None:
        raise InvalidToken
    return owner


def _owner_of(principal: Principal) -> KeyOwner:
    user_id = principal.require_user()
    return KeyOwner(user_id=user_id, actor_type=principal.actor_type, created_by=user_id)
