"""API keys as their owner sees them: create, list, narrow, rotate, revoke; and verify for other services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.scopes import VERIFY_KEYS, check_form, check_grant
from czo_auth.core.errors import (
    ApiKeyAlreadyRotated,
    ApiKeyLimitReached,
    InsufficientApiKeyPermissions,
    InsufficientScope,
    InvalidToken,
    NotFound,
    NotMemberOfOrganization,
    Refusal,
    Unavailable,
    ValidationFailed,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import Fact
from czo_auth.core.flows.authenticate import Authenticate
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import is_id, new_id
from czo_auth.core.organizations import roles
from czo_auth.core.principal import Principal
from czo_auth.core.provenance import Provenance
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """What a user asks of a new key."""

    name: str
    organization_id: str | None = None
    expires_at: datetime | None = None
    expires_in: timedelta | None = None
    scopes: tuple[str, ...] = ()
    metadata: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyChanges:
    """What a user changes on a key; *given* names the fields that were sent."""

    given: frozenset[str]
    name: str | None = None
    enabled: bool | None = None
    scopes: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    metadata: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedApiKey:
    """A key with its text, shown this once (S20)."""

    api_key: ApiKey
    key: str = field(repr=False)


class ManageApiKeys:
    """What a user does with their own keys. The owner is the session's user, whatever the body says (S16)."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def create(
        self, principal: Principal, new: NewApiKey, *, provenance: Provenance, now: datetime
    ) -> CreatedApiKey:
        """
        Create a key.

        Raises:
            ValidationFailed: By the expiry or the form of the scopes.
            NotMemberOfOrganization, InsufficientApiKeyPermissions: By the organization.
            InsufficientScope: More than the creator may use is asked for.
            ApiKeyLimitReached: The user has as many live keys as are allowed.
        """
        scopes = check_form(new.scopes)
        expires_at = self._expiry(new, now=now)
        key = tokens.new_token(self._services.policies.api_keys.prefix)
        api_key = ApiKey(
            id=new_id(now),
            user_id=principal.user_id,
            organization_id=new.organization_id,
            actor_type=principal.actor_type,
            name=new.name,
            prefix=key[: tokens.SHOWN_CHARACTERS],
            scopes=scopes,
            metadata=new.metadata,
            enabled=True,
            expires_at=expires_at,
            last_used_at=None,
            rotated_at=None,
            created_at=now,
            updated_at=now,
        )

        def keep(tx: Transaction) -> None:
            owner = _hold_owner(tx, principal)
            role = self._check_organization(tx, principal, new.organization_id)
            may_use = partial(
                self._services.policies.scopes.allows,
                actor_types=owner.actor_types,
                organization_role=role,
                administers=principal.administers,
            )
            check_grant(scopes, may_use=may_use)
            if tx.api_keys.count_live(principal.user_id, now=now) >= self._services.policies.api_keys.limit:
                raise ApiKeyLimitReached
            tx.api_keys.add(api_key, digest=tokens.digest(key))
            tx.journal.record(_fact(types.API_KEY_CREATED, api_key), provenance=provenance, now=now)

        await self._services.transactions.run(keep)
        return CreatedApiKey(api_key=api_key, key=key)

    def _check_organization(
        self, tx: Transaction, principal: Principal, organization_id: str | None
    ) -> str | None:
        if organization_id is None:
            return None
        member = (
            tx.organizations.find_member(organization_id, principal.user_id)
            if is_id(organization_id)
            else None
        )
        if member is None:
            raise NotMemberOfOrganization
        if not roles.may(member.role, "apiKey:create"):
            raise InsufficientApiKeyPermissions
        return member.role

    def _expiry(self, new: NewApiKey, *, now: datetime) -> datetime | None:
        if new.expires_at is not None and new.expires_in is not None:
            raise ValidationFailed(details=(("expiresIn", "Send either expiresAt or expiresIn."),))
        expires_at = new.expires_at if new.expires_in is None else now + new.expires_in
        if expires_at is not None:
            self._check_expiry(expires_at, now=now)
        return expires_at

    def _check_expiry(self, expires_at: datetime, *, now: datetime) -> None:
        if expires_at <= now:
            raise ValidationFailed(details=(("expiresAt", "The expiry lies in the past."),))
        if expires_at > self._services.policies.api_keys.farthest_end(now):
            raise ValidationFailed(details=(("expiresAt", "The expiry is too far away."),))

    async def list(
        self, principal: Principal, *, organization_id: str | None, now: datetime
    ) -> Sequence[ApiKey]:
        """List the user's keys, newest first; those of one organization if given."""
        keys = await self._services.transactions.read(
            lambda tx: tx.api_keys.list_live(principal.user_id, now=now)
        )
        return [key for key in keys if organization_id is None or key.organization_id == organization_id]

    async def get(self, principal: Principal, key_id: str) -> ApiKey:
        """
        Read one of the user's keys.

        Raises:
            NotFound: There is none with this id, or it is somebody else's.
        """
        return await self._services.transactions.read(lambda tx: _own(tx, principal, key_id))

    async def change(
        self,
        principal: Principal,
        key_id: str,
        changes: ApiKeyChanges,
        *,
        provenance: Provenance,
        now: datetime,
    ) -> ApiKey:
        """
        Rename, narrow, switch off or on, or move the expiry.

        Raises:
            NotFound: Not one of the user's keys.
            ValidationFailed: Scopes would widen, or the key has expired already.
        """

        def keep(tx: Transaction) -> ApiKey:
            tx.users.lock(principal.user_id)
            key = _own(tx, principal, key_id)
            changed = self._apply(key, changes, now=now)
            done = tx.api_keys.update(
                key.id,
                name=changed.name,
                enabled=changed.enabled,
                scopes=changed.scopes,
                expires_at=changed.expires_at,
                metadata=changed.metadata,
                now=now,
            )
            if not done:
                raise NotFound
            fact = _fact(AUDIT_CHANGED, changed, changed=sorted(changes.given))
            tx.journal.record(fact, provenance=provenance, now=now)
            return changed

        return await self._services.transactions.run(keep)

    def _apply(self, key: ApiKey, changes: ApiKeyChanges, *, now: datetime) -> ApiKey:
        given = changes.given
        scopes = key.scopes
        if "scopes" in given:
            scopes = check_form(changes.scopes or ())
            if not set(scopes) <= set(key.scopes):
                raise ValidationFailed(details=(("scopes", "Scopes can only be narrowed."),))
        if changes.enabled and "enabled" in given and _died_at_rotation(key):
            raise ValidationFailed(details=(("enabled", "A rotated key cannot be revived."),))
        expires_at = key.expires_at
        if "expires_at" in given:
            if key.expires_at is not None and key.expires_at <= now:
                raise ValidationFailed(details=(("expiresAt", "An expired key cannot be revived."),))
            if key.rotated_at is not None:
                raise ValidationFailed(details=(("expiresAt", "A rotated key keeps its end."),))
            expires_at = changes.expires_at
            if expires_at is not None:
                self._check_expiry(expires_at, now=now)
        return replace(
            key,
            name=changes.name if "name" in given and changes.name is not None else key.name,
            enabled=changes.enabled if "enabled" in given and changes.enabled is not None else key.enabled,
            metadata=changes.metadata if "metadata" in given else key.metadata,
            scopes=scopes,
            expires_at=expires_at,
            updated_at=now,
        )

    async def rotate(
        self, principal: Principal, key_id: str, *, overlap: timedelta, provenance: Provenance, now: datetime
    ) -> CreatedApiKey:
        """
        Give a key a successor with the same rights; the old one dies after *overlap*.

        Raises:
            NotFound: Not one of the user's keys, or it expired.
            ApiKeyAlreadyRotated: It has a successor.
            ValidationFailed: The overlap is out of bounds.
            NotMemberOfOrganization, InsufficientApiKeyPermissions, InsufficientScope: The user may not create it now.
        """
        if not timedelta(0) <= overlap <= self._services.policies.api_keys.longest_overlap:
            raise ValidationFailed(details=(("overlapSeconds", "From 0 to 86400 seconds."),))
        text = tokens.new_token(self._services.policies.api_keys.prefix)

        def keep(tx: Transaction) -> ApiKey:
            _hold_owner(tx, principal)
            old = _own(tx, principal, key_id)
            if old.rotated_at is not None:
                raise ApiKeyAlreadyRotated
            if old.expires_at is not None and old.expires_at <= now:
                raise NotFound
            self._check_organization(tx, principal, old.organization_id)
            end = now + overlap
            if old.expires_at is not None:
                end = min(end, old.expires_at)
            if not tx.api_keys.mark_rotated(old.id, expires_at=end, now=now):
                raise ApiKeyAlreadyRotated
            successor = replace(
                old,
                id=new_id(now),
                prefix=text[: tokens.SHOWN_CHARACTERS],
                last_used_at=None,
                created_at=now,
                updated_at=now,
            )
            tx.api_keys.add(successor, digest=tokens.digest(text))
            fact = _fact(types.API_KEY_ROTATED, successor, replaces=old.id)
            tx.journal.record(fact, provenance=provenance, now=now)
            return successor

        return CreatedApiKey(api_key=await self._services.transactions.run(keep), key=text)

    async def revoke(
        self, principal: Principal, key_id: str, *, provenance: Provenance, now: datetime
    ) -> None:
        """
        End a key for good.

        Raises:
            NotFound: Not one of the user's keys, or revoked already.
        """

        def end(tx: Transaction) -> None:
            key = _own(tx, principal, key_id)
            revoke_key(tx, key, reason="revoked", provenance=provenance, now=now)

        await self._services.transactions.run(end)


AUDIT_CHANGED = "auth.apikey.changed"


def _died_at_rotation(key: ApiKey) -> bool:
    return key.rotated_at is not None and key.expires_at is not None and key.expires_at <= key.rotated_at


def revoke_key(tx: Transaction, key: ApiKey, *, reason: str, provenance: Provenance, now: datetime) -> None:
    """
    End a key and record it.

    Raises:
        NotFound: It was revoked meanwhile.
    """
    if not tx.api_keys.revoke(key.id, reason=reason, now=now):
        raise NotFound
    tx.journal.record(_fact(types.API_KEY_REVOKED, key, reason=reason), provenance=provenance, now=now)


def revoke_keys(
    tx: Transaction,
    *,
    user_id: str | None,
    organization_id: str | None,
    reason: str,
    provenance: Provenance,
    now: datetime,
) -> None:
    """End all keys of a user, of an organization, or of a user in one, and record each."""
    ended = tx.api_keys.revoke_all(user_id=user_id, organization_id=organization_id, reason=reason, now=now)
    for key in ended:
        tx.journal.record(_fact(types.API_KEY_REVOKED, key, reason=reason), provenance=provenance, now=now)


def _hold_owner(tx: Transaction, principal: Principal) -> User:
    """
    Hold the owner of a key to be, and look again whether the session lives that was proved a moment ago.

    A ban, a lost hat or a new password may have ended it in between, and no key may outlive them by that.

    Raises:
        InvalidToken: It ended.
    """
    owner = tx.users.lock(principal.user_id)
    session = tx.sessions.find(principal.session_id) if principal.session_id is not None else None
    if owner is None or session is None:
        raise InvalidToken
    return owner


def _own(tx: Transaction, principal: Principal, key_id: str) -> ApiKey:
    key = tx.api_keys.find(key_id) if is_id(key_id) else None
    if key is None or key.user_id != principal.user_id:
        raise NotFound
    return key


def _fact(action: str, key: ApiKey, **more: object) -> Fact:
    details = {
        "apiKeyId": key.id,
        "prefix": key.prefix,
        "actorType": key.actor_type,
        "name": key.name,
        **more,
    }
    return Fact(action=action, user_id=key.user_id, organization_id=key.organization_id, details=details)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVerdict:
    """What another service learns about a key; *code* says why it is not valid."""

    valid: bool
    code: str | None = None
    api_key: ApiKey | None = None


class VerifyApiKey:
    """Decides about a key for another service, exactly as the middleware would."""

    def __init__(self, services: Services, authenticate: Authenticate) -> None:
        self._services = services
        self._authenticate = authenticate

    async def verify(
        self,
        caller: Principal,
        key: str,
        *,
        scopes: Sequence[str],
        organization_id: str | None,
        now: datetime,
    ) -> KeyVerdict:
        """
        Decide about *key*, asked by a service that holds the scope ``api-keys:verify``.

        Raises:
            InsufficientScope: The caller is not such an API key.
            StorageUnavailable: An outage is never a verdict.
        """
        if caller.kind != "api_key" or not caller.has_scope(VERIFY_KEYS):
            raise InsufficientScope
        try:
            owner = await self._authenticate.api_key(key, now=now)
            owner.require(scopes=scopes, organization_id=organization_id)
        except Unavailable:
            raise
        except Refusal as refusal:
            return KeyVerdict(valid=False, code=refusal.code)
        key_id = owner.api_key_id or ""
        stored = await self._services.transactions.read(lambda tx: tx.api_keys.find(key_id))
        if stored is None:
            return KeyVerdict(valid=False, code="INVALID_API_KEY")
        return KeyVerdict(valid=True, api_key=replace(stored, scopes=owner.scopes))
