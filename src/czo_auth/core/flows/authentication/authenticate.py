"""From a credential to a principal: the hot path of every request."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from czo_auth.core.api_keys.usage import KeyUsage
from czo_auth.core.errors import (
    ApiKeyLimited,
    InvalidApiKey,
    InvalidToken,
    IpAddressNotAllowed,
    OrganizationTwoFactorRequired,
    TwoFactorSetupRequired,
)
from czo_auth.core.flows.api_keys.quotas import SpendQuotas
from czo_auth.core.flows.api_keys.restrictions import ClientAddress, EnforceRestrictions, RestrictedKey
from czo_auth.core.flows.authentication.cache import CredentialCache, make_room
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.signing_keys import SigningKeys
from czo_auth.core.ids import is_id
from czo_auth.core.passkeys.passkey import is_phishing_resistant
from czo_auth.core.principal import TWO_FACTOR_SETUP, Principal
from czo_auth.core.sessions.access_tokens import VerifiedToken
from czo_auth.core.sessions.last_used import SessionUses
from czo_auth.core.transaction import CredentialRecord
from czo_auth.core.two_factor.policy import must_renew
from czo_auth.crypto import jwt, tokens

_FAR = datetime.max.replace(tzinfo=UTC)


class Authenticate:
    """
    Verifies credentials.

    The signature of an access token is verified once and cached by digest. Session state and rights always reflect the
    database: it is queried each time, unless its change token shows that nothing changed (S9, S17, S18).
    """

    def __init__(
        self,
        services: Services,
        key_usage: KeyUsage,
        signing_keys: SigningKeys,
        *,
        max_remembered: int,
        session_uses: SessionUses | None = None,
        quotas: SpendQuotas | None = None,
    ) -> None:
        self._services = services
        self._key_usage = key_usage
        self._session_uses = session_uses or SessionUses(idle=services.policies.sessions.idle)
        self._signing_keys = signing_keys
        self._lookup = services.lookup
        self._key_policy = services.policies.api_keys
        self._max_remembered = max_remembered
        self._verified: dict[str, VerifiedToken] = {}
        self._cache: CredentialCache[Principal] = CredentialCache(services.lookup, max_entries=max_remembered)
        # Separate from the others, because each use needs more than a cache lookup.
        self._restricted: CredentialCache[RestrictedKey] = CredentialCache(
            services.lookup, max_entries=max_remembered
        )
        self._restrictions = EnforceRestrictions(services, quotas or SpendQuotas(services.transactions))

    @property
    def has_cached(self) -> bool:
        """Whether any credential is cached."""
        return not self._cache.is_empty

    def get_cached(
        self, token: bytes, *, client: ClientAddress, clock: Callable[[], datetime]
    ) -> Principal | None:
        """
        Return the cached principal of *token*, if it was verified and nothing has changed since.

        A matching digest means the same text, so its format need not be checked again.

        Args:
            token: The text after ``Bearer``.
            client: Returns the client's address; called once a minute for a key.
            clock: Called only for a known token.
        """
        found = self._cache.get_current(tokens.digest_bytes(token), clock=clock)
        if found is None:
            return None
        principal, now = found
        self._count_use(principal, client=client, now=now)
        return principal

    async def api_key(self, key: str, *, client: ClientAddress, now: datetime) -> Principal:
        """
        Verify an API key, and count a use of it.

        Args:
            client: Returns the client's address; called if the key has an allow-list, and once a minute.

        Raises:
            InvalidApiKey: Unknown, revoked, expired, disabled, or its owner or organization is gone: the same answer
                for all.
            TwoFactorSetupRequired, OrganizationTwoFactorRequired: The owner must have a second factor and has none.
            IpAddressNotAllowed, ApiKeyRateLimited, QuotaExceeded: This use is not allowed; the key lives.
            StorageUnavailable: The database does not answer.
        """
        digest = self._digest(key, now=now)
        change_token = self._cache.change_token()
        if change_token is not None:
            principal = self._cache.get(digest, change_token=change_token, now=now)
            if principal is not None:
                self._count_use(principal, client=client, now=now)
                return principal
            restricted = self._restricted.get(digest, change_token=change_token, now=now)
            if restricted is not None:
                return await self._admit(restricted, stored=None, client=client, now=now)
        found = await self._lookup.find_api_key(digest)
        if found is None:
            raise InvalidApiKey
        self._count_if_off(found, now=now)
        principal = self._owner(found, now=now)
        is_lasting = change_token is not None and (
            self._services.policies.scopes.is_fixed or not found.scopes
        )
        if found.restrictions is not None:
            restricted = RestrictedKey(principal, found.restrictions)
            if is_lasting:
                self._restricted.put(
                    digest, restricted, change_token=change_token, until=self._until(found, now=now), now=now
                )
            return await self._admit(restricted, stored=found.last_used_at, client=client, now=now)
        if is_lasting:
            self._cache.put(
                digest, principal, change_token=change_token, until=self._until(found, now=now), now=now
            )
        self._key_usage.count_use(found.id, stored=found.last_used_at, address=client, now=now)
        return principal

    async def _admit(
        self, key: RestrictedKey, *, stored: datetime | None, client: ClientAddress, now: datetime
    ) -> Principal:
        """Allow one use of a restricted key, and count it; refusals are counted too."""
        principal = key.principal
        key_id = principal.api_key_id or ""
        try:
            limits = await self._restrictions.admit(key, client=client, now=now)
        except (IpAddressNotAllowed, ApiKeyLimited):
            self._key_usage.count_refusal(key_id, now=now)
            raise
        self._key_usage.count_use(key_id, stored=stored, address=client, now=now)
        return principal if limits is None else replace(principal, limits=limits)

    def _count_if_off(self, found: CredentialRecord, *, now: datetime) -> None:
        """Count the refusal of a disabled or expired key."""
        if not found.enabled or (found.expires_at is not None and found.expires_at <= now):
            self._key_usage.count_refusal(found.id, now=now)

    async def check_owner_enrollment(self, key: str, *, now: datetime) -> None:
        """
        Refuse an API key whose owner must enroll a second factor, where the key itself is not used.

        Raises:
            InvalidApiKey, TwoFactorSetupRequired, StorageUnavailable: As ``api_key``.
        """
        found = await self._lookup.find_api_key(self._digest(key, now=now))
        if found is None:
            raise InvalidApiKey
        self._owner(found, now=now)

    def _digest(self, key: str, *, now: datetime) -> str:
        if not self._key_policy.accepts(key, now=now):
            raise InvalidApiKey
        return tokens.digest(key)

    def _owner(self, found: CredentialRecord, *, now: datetime) -> Principal:
        services = self._services
        if found.banned or not found.enabled:
            raise InvalidApiKey
        if found.expires_at is not None and found.expires_at <= now:
            raise InvalidApiKey
        if found.service_account_id is not None:
            return self._service_account(found)
        if found.user_id is None or found.actor_type is None:
            raise InvalidApiKey
        if found.organization_id is not None and found.organization_role is None:
            raise InvalidApiKey
        if self._must_enroll(found, now=now):
            raise TwoFactorSetupRequired
        if found.is_refused(now=now):
            raise OrganizationTwoFactorRequired
        # If the owner lost the actor type, the key falls back to the default one; the rights of the lost one are gone.
        actor_type = (
            found.actor_type if found.actor_type in found.actor_types else services.actors.default.name
        )
        administers = services.actors.administers(actor_type)
        return Principal(
            kind="api_key",
            user_id=found.user_id,
            actor_type=actor_type,
            actor_types=found.actor_types,
            may_use=self._may_use(found, administers),
            organization_id=found.organization_id,
            organization_role=found.organization_role,
            scopes=services.policies.scopes.allowed(
                found.scopes,
                actor_types=found.actor_types,
                organization_role=found.organization_role,
                administers=administers,
            ),
            api_key_id=found.id,
            expires_at=found.expires_at,
            administers=administers,
        )

    def _service_account(self, found: CredentialRecord) -> Principal:
        may_use = self._services.may_service_account_use
        return Principal(
            kind="api_key",
            user_id=None,
            service_account_id=found.service_account_id,
            actor_type=None,
            actor_types=frozenset(),
            may_use=may_use,
            organization_id=found.organization_id,
            scopes=tuple([scope for scope in found.scopes if may_use(scope)]),
            api_key_id=found.id,
            expires_at=found.expires_at,
        )

    async def session_token(self, token: str, *, now: datetime) -> Principal:
        """
        Verify a session token.

        Raises:
            InvalidToken: Unknown, expired or revoked.
            StorageUnavailable: The database does not answer.
        """
        if not tokens.is_well_formed(token, tokens.SESSION):
            raise InvalidToken
        digest = tokens.digest(token)
        change_token = self._cache.change_token()
        principal = self._cache.get(digest, change_token=change_token, now=now)
        if principal is None:
            found = await self._lookup.find_session(digest)
            principal = self._session(found, now=now)
            until = self._end_of_session(found, now=now)
            self._cache.put(digest, principal, change_token=change_token, until=until, now=now)
        self._count_use(principal, client=None, now=now)
        return principal

    async def access_token(self, token: str, *, client: ClientAddress, now: datetime) -> Principal:
        """
        Verify an access token: its signature, its time, and that its session, or the key it was exchanged for, is still
        valid.

        Args:
            client: As for ``api_key``: a token carries the restrictions of its key.

        Raises:
            InvalidToken: It is not ours or has expired, or its session or key has ended.
            TwoFactorSetupRequired, IpAddressNotAllowed, ApiKeyRateLimited, QuotaExceeded: As ``api_key``.
            StorageUnavailable: The database does not answer.
        """
        try:
            digest = tokens.digest(token)
        except ValueError:
            raise InvalidToken from None
        change_token = self._cache.change_token()
        principal = self._cache.get(digest, change_token=change_token, now=now)
        if principal is not None:
            self._count_use(principal, client=client, now=now)
            return principal
        restricted = self._restricted.get(digest, change_token=change_token, now=now)
        if restricted is not None:
            return await self._admit(restricted, stored=None, client=client, now=now)
        verified = await self._verify(token, digest, now=now)
        if verified.api_key_id is not None:
            return await self._exchanged(verified, digest, change_token=change_token, client=client, now=now)
        # PostgreSQL cannot compare every text that a JSON string may hold, and that is not an outage.
        if verified.session_id is None or not is_id(verified.session_id):
            raise InvalidToken
        found = await self._lookup.find_session_by_id(verified.session_id)
        principal = self._session(found, now=now)
        if principal.user_id != verified.subject:
            raise InvalidToken
        if change_token is not None:
            until = min(
                self._end_of_session(found, now=now), datetime.fromtimestamp(verified.expires_at, UTC)
            )
            self._cache.put(digest, principal, change_token=change_token, until=until, now=now)
        self._count_use(principal, client=client, now=now)
        return principal

    async def verify_for_introspection(
        self, token: str, audiences: Collection[str], *, client: ClientAddress, now: datetime
    ) -> tuple[VerifiedToken, Principal]:
        """
        Verify an access token that may be for another audience. For token introspection; never cached.

        Raises:
            InvalidToken, TwoFactorSetupRequired, IpAddressNotAllowed, ApiKeyRateLimited, QuotaExceeded,
            StorageUnavailable
        """
        verified = await self._verify_signature(token, audiences=audiences, now=now)
        if verified.api_key_id is None:
            if verified.audience != self._services.access_tokens.audience:
                raise InvalidToken
            return verified, await self.access_token(token, client=client, now=now)
        return verified, await self._exchanged(
            verified, tokens.digest(token), change_token=None, client=client, now=now
        )

    async def _exchanged(
        self,
        verified: VerifiedToken,
        digest: str,
        *,
        change_token: object | None,
        client: ClientAddress,
        now: datetime,
    ) -> Principal:
        """Verify a token that an API key was exchanged for: it ends with the key, and never has more rights."""
        key_id = verified.api_key_id
        found = await self._lookup.find_api_key_by_id(key_id) if key_id and is_id(key_id) else None
        if found is None:
            raise InvalidToken
        self._count_if_off(found, now=now)
        try:
            owner = self._owner(found, now=now)
        except InvalidApiKey:
            raise InvalidToken from None
        if owner.subject != verified.subject:
            raise InvalidToken
        ends_at = datetime.fromtimestamp(verified.expires_at, UTC)
        until = min(self._until(found, now=now), ends_at)
        ends_at = min(_end(found), ends_at)
        principal = replace(
            owner,
            scopes=tuple(scope for scope in owner.scopes if scope in verified.scopes),
            is_exchanged=True,
            expires_at=ends_at,
        )
        is_lasting = self._services.policies.scopes.is_fixed or not found.scopes
        if found.restrictions is not None:
            restricted = RestrictedKey(principal, found.restrictions)
            if is_lasting:
                self._restricted.put(digest, restricted, change_token=change_token, until=until, now=now)
            return await self._admit(restricted, stored=found.last_used_at, client=client, now=now)
        if is_lasting:
            self._cache.put(digest, principal, change_token=change_token, until=until, now=now)
        self._key_usage.count_use(found.id, stored=found.last_used_at, address=client, now=now)
        return principal

    def _count_use(self, principal: Principal, *, client: ClientAddress | None, now: datetime) -> None:
        if principal.api_key_id is not None:
            self._key_usage.count_use(principal.api_key_id, stored=None, address=client, now=now)
        elif principal.session_id is not None:
            self._session_uses.record_use(principal.session_id, now=now)

    def _end_of_session(self, found: CredentialRecord | None, *, now: datetime) -> datetime:
        """Return how long a session that is used now may be cached."""
        idle = self._session_uses.idle
        until = self._until(found, now=now)
        return until if idle is None else min(until, now + idle)

    async def _verify(self, token: str, digest: str, *, now: datetime) -> VerifiedToken:
        remembered = self._verified.get(digest)
        if remembered is not None and remembered.valid_from <= now.timestamp() < remembered.expires_at:
            return remembered
        verified = await self._verify_signature(token, audiences=None, now=now)
        if self._max_remembered:
            make_room(self._verified, max_entries=self._max_remembered)
            self._verified[digest] = verified
        return verified

    async def _verify_signature(
        self, token: str, *, audiences: Collection[str] | None, now: datetime
    ) -> VerifiedToken:
        access_tokens = self._services.access_tokens
        try:
            return access_tokens.verify(token, now=now, audiences=audiences)
        except jwt.UnknownSigningKey as unknown:
            if not await self._signing_keys.look_for(unknown.kid, now=now):
                raise InvalidToken from None
            return access_tokens.verify(token, now=now, audiences=audiences)

    def _session(self, found: CredentialRecord | None, *, now: datetime) -> Principal:
        if found is None or found.banned or found.actor_type not in found.actor_types:
            raise InvalidToken
        if found.user_id is None or found.actor_type is None:
            raise InvalidToken
        if self._session_uses.is_idle(found.id, stored=found.last_used_at, now=now):
            raise InvalidToken
        if found.expires_at is not None and found.expires_at <= now:
            raise InvalidToken
        services = self._services
        administers = services.actors.administers(found.actor_type)
        must_enroll = must_renew(found.renew_by, now=now) or self._must_enroll(found, now=now)
        is_member = found.organization_role is not None
        return Principal(
            kind="session",
            user_id=found.user_id,
            actor_type=found.actor_type,
            actor_types=found.actor_types,
            may_use=self._may_use(found, administers),
            organization_id=found.organization_id if is_member else None,
            organization_role=found.organization_role,
            aal=found.aal,
            amr=found.amr,
            session_id=found.id,
            expires_at=found.expires_at,
            lineage_id=found.lineage_id,
            restricted_to=TWO_FACTOR_SETUP if must_enroll else None,
            requires_passkey=found.has_passkey
            and services.actors.demand_passkey(found.actor_types, found.grants, now=now)
            and not is_phishing_resistant(aal=found.aal, amr=found.amr),
            administers=administers,
            organization_demands_factor=is_member and found.is_refused(now=now),
            has_factor=found.has_factor,
            auth_time=found.auth_time,
            factor_proved_at=found.factor_proved_at,
        )

    def _must_enroll(self, found: CredentialRecord, *, now: datetime) -> bool:
        return self._services.actors.must_enroll(
            found.actor_types,
            found.grants,
            owns_factor=found.owns_factor,
            has_passkey=found.has_passkey,
            now=now,
        )

    def _until(self, found: CredentialRecord | None, *, now: datetime) -> datetime:
        """Return how long it may be cached: until its end, or until a dated rule takes effect."""
        until = _end(found)
        if found is None:
            return until
        due_at = None if found.owns_factor else found.two_factor_due_at
        if due_at is not None and due_at > now:
            until = min(until, due_at)
        if found.renew_by is not None and found.renew_by > now:
            until = min(until, found.renew_by)
        due_at = self._services.actors.next_due_at(found.actor_types, found.grants, now=now)
        return until if due_at is None else min(until, due_at)

    def _may_use(self, found: CredentialRecord, administers: bool) -> partial[bool]:
        return partial(
            self._services.policies.scopes.allows,
            actor_types=found.actor_types,
            organization_role=found.organization_role,
            administers=administers,
        )


def _end(found: CredentialRecord | None) -> datetime:
    return _FAR if found is None or found.expires_at is None else found.expires_at
