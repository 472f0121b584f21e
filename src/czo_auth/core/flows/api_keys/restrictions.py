"""Checks at each use of a restricted key: address, rate and quota."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from czo_auth.core.api_keys.addresses import admits
from czo_auth.core.api_keys.key import KeyRestrictions
from czo_auth.core.api_keys.quota import period_at
from czo_auth.core.budgets import Budget
from czo_auth.core.context import Context
from czo_auth.core.errors import ApiKeyLimited, ApiKeyRateLimited, IpAddressNotAllowed
from czo_auth.core.events.types import API_KEY_ADDRESS_REFUSED, AuditEvent
from czo_auth.core.flows.api_keys.quotas import SpendQuotas
from czo_auth.core.flows.services import Services
from czo_auth.core.limit_report import QUOTA, RATE_LIMIT, LimitPolicy, LimitReport, Remaining
from czo_auth.core.principal import Principal
from czo_auth.core.record_throttle import RECORDED_EVERY, RecordThrottle
from czo_auth.core.transaction import Transaction

ClientAddress = Callable[[], str | None]
"""Returns the canonical address of the client, None if unknown; called only if needed."""


@dataclass(frozen=True, slots=True)
class RestrictedKey:
    """The principal of a key, and its restrictions."""

    principal: Principal
    restrictions: KeyRestrictions


class EnforceRestrictions:
    """
    Enforces allow-lists, rate limits and quotas.

    A refused address is recorded for each key at most once an hour: a flood of requests must not become a flood of
    audit records.
    """

    def __init__(self, services: Services, quotas: SpendQuotas) -> None:
        self._services = services
        self._quotas = quotas
        self._recorded = RecordThrottle()

    async def admit(self, key: RestrictedKey, *, client: ClientAddress, now: datetime) -> LimitReport | None:
        """
        Allow one use of a key.

        The address is checked first, so that strangers use up neither rate nor quota; the rate is checked before the
        quota, so that requests refused as too fast do not use up the quota.

        Returns:
            The limits of the key, and what is left of them; None when it has neither.

        Raises:
            IpAddressNotAllowed: The key has a list that the address is not on, or the address is not known.
            ApiKeyRateLimited, QuotaExceeded: It was used too often.
            StorageUnavailable: The rest of its quota is unknown.
        """
        restrictions, key_id = key.restrictions, key.principal.api_key_id or ""
        if restrictions.allowed_ips is not None:
            address = client()
            if not admits(restrictions.allowed_ips, address):
                self._record(Context(now=now, ip=address).of(key.principal))
                raise IpAddressNotAllowed
        if restrictions.rate_limit is None and restrictions.quota is None:
            return None
        policies = _policies(restrictions, now=now)
        try:
            return LimitReport(policies, await self._spend(key_id, restrictions, now=now))
        except ApiKeyLimited as refusal:
            name = RATE_LIMIT if isinstance(refusal, ApiKeyRateLimited) else QUOTA
            refusal.limits = LimitReport(policies, (Remaining(name, 0, refusal.retry_after or 1),))
            raise

    async def _spend(
        self, key_id: str, restrictions: KeyRestrictions, *, now: datetime
    ) -> tuple[Remaining, ...]:
        remaining = []
        if restrictions.rate_limit is not None:
            remaining.append(await self._services.key_limits.hit(key_id, restrictions.rate_limit))
        if restrictions.quota is not None:
            remaining.append(await self._quotas.spend(restrictions.quota, now=now))
        return tuple(remaining)

    def _record(self, context: Context) -> None:
        principal = context.caller
        key_id = principal.api_key_id or ""
        if not self._recorded.claim(key_id, now=context.now):
            return
        audit_event = AuditEvent(
            action=API_KEY_ADDRESS_REFUSED,
            user_id=principal.user_id,
            organization_id=principal.organization_id,
            outcome="denied",
            details={"apiKeyId": key_id, "actorType": principal.actor_type},
        )

        def record_once(tx: Transaction) -> None:
            # The database counts for all processes and across restarts; the memory of this process only saves the
            # transaction.
            once = Budget(name=f"address_refused/{key_id}", limit=1, window=RECORDED_EVERY)
            if tx.budgets.spend(once, now=tx.now) is None:
                tx.record(audit_event)

        async def record_denied() -> None:
            await self._services.transactions.run(record_once, context)

        self._services.background.spawn(record_denied())


def _policies(restrictions: KeyRestrictions, *, now: datetime) -> tuple[LimitPolicy, ...]:
    policies = []
    rate, quota = restrictions.rate_limit, restrictions.quota
    if rate is not None:
        policies.append(LimitPolicy(RATE_LIMIT, rate.requests, rate.window_seconds))
    if quota is not None:
        policies.append(LimitPolicy(QUOTA, quota.maximum, period_at(quota.period, now).seconds))
    return tuple(policies)
