"""
A device requests an API key, someone approves it in the browser, and the device fetches it once (S40).

Source: RFC 8628.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.scopes import check_form
from czo_auth.core.budgets import Budget, consume_budget, network_budget
from czo_auth.core.context import Context
from czo_auth.core.devices.authorization import (
    CODE_LIFETIME,
    DEVICE_KEY,
    FETCHED_TWICE,
    KEY_LIFETIME,
    POLL_INTERVAL,
    SLOWER_BY,
    DeviceAuthorization,
)
from czo_auth.core.devices.user_code import new_user_code, shown_user_code, user_code_digests
from czo_auth.core.errors import (
    AuthorizationPending,
    DeviceDenied,
    ExpiredDeviceCode,
    InvalidDeviceCode,
    InvalidScope,
    InvalidUserCode,
    OpenedInAnotherSession,
    RateLimited,
    Refusal,
    SecretUnreadable,
    SlowDown,
    ValidationFailed,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.fields import checked_name
from czo_auth.core.flows.api_keys.create import CreateApiKeys
from czo_auth.core.flows.api_keys.new_key import NewApiKey
from czo_auth.core.flows.api_keys.revoke import revoke_key
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_DEVICE_CODES, MAX_DEVICE_CODES_AN_HOUR, MAX_DEVICE_GUESSES_A_MINUTE
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import tokens
from czo_auth.crypto.sealing import OpenError

T = TypeVar("T")

_TRIES: Final = 5
"""Attempts to generate an unused user code; a collision is as rare as a correct guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRequest:
    """What a device asks for."""

    client_id: str
    name: str | None = None
    scopes: Sequence[str] = ()
    organization_id: str | None = None
    key_lifetime: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCodes:
    """The two codes of a request: one for the device, one for its user."""

    device_code: str = field(repr=False)
    user_code: str
    authorization: DeviceAuthorization


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRequest:
    """A request as the browser sees it; *is_own* when this session opened it and may decide."""

    user_code: str
    authorization: DeviceAuthorization
    is_own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedKey:
    """The key, which is handed out only once."""

    key: str = field(repr=False)
    scopes: tuple[str, ...]
    expires_in: timedelta | None


class AuthorizeDevice:
    """Requests, approvals and the single fetch."""

    def __init__(self, services: Services, api_keys: CreateApiKeys, proof: Reauthentication) -> None:
        self._services = services
        self._api_keys = api_keys
        self._proof = proof

    async def request(self, asked: DeviceRequest, *, context: Context) -> DeviceCodes:
        """
        Begin: generate the codes and store the request.

        Raises:
            ValidationFailed: Invalid name or lifetime.
            InvalidScope: A scope is malformed, or there are too many.
            RateLimited: This address, or the whole deployment, has too many pending requests.
        """
        lifetime = KEY_LIFETIME if asked.key_lifetime is None else asked.key_lifetime
        if (
            not timedelta(0)
            < lifetime
            <= self._services.policies.api_keys.farthest_end(context.now) - context.now
        ):
            raise ValidationFailed(
                details=(("expiresIn", "The expiry is in the past or too far in the future."),)
            )
        device_code = tokens.new_token(tokens.DEVICE_CODE)
        client_id = checked_name(asked.client_id, field="client_id")
        authorization = DeviceAuthorization(
            id=new_id(context.now),
            client_id=client_id,
            name=client_id if asked.name is None else checked_name(asked.name),
            scopes=_checked_scopes(asked.scopes),
            organization_id=asked.organization_id,
            key_lifetime_seconds=int(lifetime.total_seconds()),
            ip=context.ip,
            status="pending",
            lineage_id=None,
            user_id=None,
            api_key_id=None,
            sealed_key=None,
            poll_seconds=int(POLL_INTERVAL.total_seconds()),
            polled_at=None,
            fetched_at=None,
            created_at=context.now,
            expires_at=context.now + CODE_LIFETIME,
        )

        def store_request(tx: Transaction) -> str:
            hour = timedelta(hours=1)
            consume_budget(tx, network_budget("device_codes", MAX_DEVICE_CODES_AN_HOUR, context, window=hour))
            if tx.device_authorizations.count(now=tx.now) >= MAX_DEVICE_CODES:
                raise RateLimited(retry_after=60)
            for _ in range(_TRIES):
                user_code = new_user_code()
                digest = user_code_digests(self._services.key_ring, user_code)[0]
                if tx.device_authorizations.add(
                    authorization, device_digest=tokens.digest(device_code), user_digest=digest
                ):
                    return user_code
            raise RateLimited(retry_after=60)

        user_code = await self._services.transactions.run(store_request, context)
        return DeviceCodes(device_code=device_code, user_code=user_code, authorization=authorization)

    async def open(self, user_code: str, *, context: Context) -> OpenedRequest:
        """
        Show a request to a session, and bind it to the first one.

        Raises:
            InvalidUserCode: No request has this code.
            ExpiredDeviceCode: It expired.
            RateLimited: Too many wrong codes from this address or session.
        """
        principal = context.caller

        def open_request(tx: Transaction, found: DeviceAuthorization) -> OpenedRequest:
            is_own = _bind(tx, principal, found) if found.status == "pending" else _is_bound(principal, found)
            return OpenedRequest(user_code=shown_user_code(user_code), authorization=found, is_own=is_own)

        return await self._with_code(user_code, open_request, context=context)

    async def approve(
        self, user_code: str, *, password: str | None = None, code: str | None = None, context: Context
    ) -> None:
        """
        Create the key with the approver's current rights, store it encrypted for the device, and mail the approver.

        Raises:
            InvalidUserCode: No request has this code, or it was already answered.
            ExpiredDeviceCode, RateLimited: As `open`.
            OpenedInAnotherSession: Another session opened it.
            ReauthenticationRequired, InvalidPassword, InvalidCode: By the proof.
            InsufficientScope, NotMemberOfOrganization, InsufficientApiKeyPermissions, ApiKeyLimitReached,
            LifetimeTooLong: By the key.
        """
        principal = context.caller
        proof = await self._proof.require(password=password, code=code, context=context)

        def approve_request(tx: Transaction, found: DeviceAuthorization) -> ApiKey:
            # Organizations are locked before users everywhere, to avoid deadlocks.
            if found.organization_id is not None:
                tx.organizations.lock(found.organization_id)
            proof.consume(tx)
            _require_own(tx, principal, found)
            prepared = self._api_keys.prepare(
                NewApiKey(
                    name=found.name,
                    organization_id=found.organization_id,
                    expires_in=timedelta(seconds=found.key_lifetime_seconds),
                    scopes=found.scopes,
                ),
                context=context,
            )
            made = self._api_keys.store(tx, prepared)
            sealed = self._services.key_ring.seal(
                prepared.generated.key.encode(), purpose=DEVICE_KEY, bound_to={"device": found.id}
            )
            if not tx.device_authorizations.decide(
                found.id,
                status="approved",
                user_id=principal.require_user(),
                api_key_id=made.id,
                sealed_key=sealed,
            ):
                raise InvalidUserCode
            tx.record(_decision(types.DEVICE_APPROVED, principal, found, made))
            return made

        made = await self._with_code(user_code, approve_request, context=context)
        self._api_keys.notify_of_creation(made, context=context)

    async def deny(self, user_code: str, *, context: Context) -> None:
        """
        Refuse a request.

        Raises:
            InvalidUserCode, ExpiredDeviceCode, OpenedInAnotherSession, RateLimited: As `approve`.
        """
        principal = context.caller

        def deny_request(tx: Transaction, found: DeviceAuthorization) -> None:
            _require_own(tx, principal, found)
            if not tx.device_authorizations.decide(
                found.id, status="denied", user_id=principal.require_user(), api_key_id=None, sealed_key=None
            ):
                raise InvalidUserCode
            tx.record(_decision(types.DEVICE_DENIED, principal, found, None))

        await self._with_code(user_code, deny_request, context=context)

    async def fetch(self, device_code: str, *, client_id: str, context: Context) -> FetchedKey:
        """
        Hand the key to the device, once.

        Raises:
            AuthorizationPending, SlowDown: Ask again later.
            DeviceDenied: The request was denied.
            ExpiredDeviceCode: Its ten minutes are over.
            InvalidDeviceCode: Unknown, another client's, or fetched already; or its key ended.
            SecretUnreadable: The encrypted key does not open; it is kept.
        """
        if not tokens.is_well_formed(device_code, tokens.DEVICE_CODE):
            raise InvalidDeviceCode
        digest = tokens.digest(device_code)

        def fetch_key(tx: Transaction) -> tuple[str, ApiKey] | Refusal:
            found = tx.device_authorizations.lock_by_device_code(digest)
            if found is None or found.client_id != client_id:
                return InvalidDeviceCode()
            return self._judge_fetch(tx, found)

        outcome = await self._services.transactions.run(fetch_key, context)
        if isinstance(outcome, Refusal):
            raise outcome
        text, api_key = outcome
        return FetchedKey(
            key=text,
            scopes=api_key.scopes,
            expires_in=None if api_key.expires_at is None else api_key.expires_at - context.now,
        )

    def _judge_fetch(self, tx: Transaction, found: DeviceAuthorization) -> tuple[str, ApiKey] | Refusal:
        """Decide about a poll of the right device. Changes are committed even if the poll is refused."""
        if found.status == "fetched":
            if found.fetched_at is not None and tx.now - found.fetched_at <= FETCHED_TWICE:
                _revoke(tx, found, reason="fetched_twice")
            return InvalidDeviceCode()
        if found.expires_at <= tx.now:
            return ExpiredDeviceCode()
        if found.status == "denied":
            return DeviceDenied()
        if found.status == "pending":
            return _pending(tx, found)
        api_key = tx.api_keys.find(found.api_key_id or "")
        if api_key is None or _is_over(api_key, now=tx.now):
            return InvalidDeviceCode()
        if not tx.device_authorizations.fetch(found.id, now=tx.now):
            return InvalidDeviceCode()
        # Inside the transaction: if the key does not open, it is not deleted, and the device can ask again.
        return self._opened(found), api_key

    async def end_unfetched(self, *, context: Context) -> None:
        """Revoke keys that were approved but never fetched, and delete expired requests; for housekeeping."""

        def revoke_unfetched(tx: Transaction) -> int:
            late = tx.device_authorizations.unfetched_expired(before=tx.now, limit=100)
            for found in late:
                _revoke(tx, found, reason="not_fetched")
                tx.device_authorizations.end(found.id)
            return len(late)

        while await self._services.transactions.run(revoke_unfetched, context):
            continue
        before = context.now - FETCHED_TWICE
        while await self._services.transactions.run(
            lambda tx: tx.device_authorizations.prune_expired(before=before), context
        ):
            continue

    async def _with_code(
        self, user_code: str, act: Callable[[Transaction, DeviceAuthorization], T], *, context: Context
    ) -> T:
        """Find a request by its user code and act on it; wrong codes are always counted."""
        digests = user_code_digests(self._services.key_ring, user_code)
        budgets = _guesses(context)

        def find_and_act(tx: Transaction) -> T | Refusal:
            # Counted first: the row locks of the counters serialize concurrent guesses.
            for budget in budgets:
                consume_budget(tx, budget)
            found = tx.device_authorizations.lock_by_user_code(digests) if digests else None
            if found is None:
                return InvalidUserCode()
            for budget in budgets:
                tx.budgets.give_back(budget)
            if found.expires_at <= tx.now:
                raise ExpiredDeviceCode
            return act(tx, found)

        outcome = await self._services.transactions.run(find_and_act, context)
        if isinstance(outcome, Refusal):
            raise outcome
        return outcome

    def _opened(self, found: DeviceAuthorization) -> str:
        try:
            return self._services.key_ring.open(
                found.sealed_key or "", purpose=DEVICE_KEY, bound_to={"device": found.id}
            ).decode()
        except OpenError:
            raise SecretUnreadable from None


def _checked_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    # Where scopes are an OAuth parameter, a malformed one has an error of its own: RFC 6749 section 5.2.
    try:
        return check_form(scopes)
    except ValidationFailed as refused:
        raise InvalidScope(refused.details[0][1]) from None


def _guesses(context: Context) -> list[Budget]:
    minute = timedelta(minutes=1)
    return [
        network_budget("device_guesses", MAX_DEVICE_GUESSES_A_MINUTE, context, window=minute),
        Budget(
            name=f"device_guesses/{context.caller.lineage_id}",
            limit=MAX_DEVICE_GUESSES_A_MINUTE,
            window=minute,
        ),
    ]


def _is_bound(principal: Principal, found: DeviceAuthorization) -> bool:
    return found.lineage_id is not None and found.lineage_id == principal.lineage_id


def _bind(tx: Transaction, principal: Principal, found: DeviceAuthorization) -> bool:
    return tx.device_authorizations.bind(found.id, lineage_id=principal.lineage_id or "")


def _require_own(tx: Transaction, principal: Principal, found: DeviceAuthorization) -> None:
    if found.status != "pending":
        raise InvalidUserCode
    if not _bind(tx, principal, found):
        raise OpenedInAnotherSession


def _pending(tx: Transaction, found: DeviceAuthorization) -> Refusal:
    too_soon = found.polled_at is not None and tx.now - found.polled_at < timedelta(
        seconds=found.poll_seconds
    )
    slower = int(SLOWER_BY.total_seconds()) if too_soon else 0
    tx.device_authorizations.poll(
        found.id, polled_at=tx.now, poll_seconds=min(found.poll_seconds + slower, 600)
    )
    return SlowDown() if too_soon else AuthorizationPending()


def _is_over(api_key: ApiKey, *, now: datetime) -> bool:
    """Whether the key expired, as one does whose owner rotated it before the device fetched it."""
    return api_key.expires_at is not None and api_key.expires_at <= now


def _revoke(tx: Transaction, found: DeviceAuthorization, *, reason: str) -> None:
    api_key = tx.api_keys.find(found.api_key_id or "")
    if api_key is not None:
        revoke_key(tx, api_key, reason=reason)


def _decision(
    action: str, principal: Principal, found: DeviceAuthorization, made: ApiKey | None
) -> AuditEvent:
    details: dict[str, object] = {"clientId": found.client_id, "deviceIp": found.ip}
    if made is not None:
        details |= {"apiKeyId": made.id, "prefix": made.prefix}
    return AuditEvent(
        action=action, user_id=principal.user_id, organization_id=found.organization_id, details=details
    )
