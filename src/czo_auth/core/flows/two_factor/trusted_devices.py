"""Trusted devices: browsers that may skip the second step for a while (S10)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from czo_auth.core.context import Context
from czo_auth.core.errors import NotFound
from czo_auth.core.events.types import DEVICE_TRUST_REVOKED, DEVICE_TRUSTED, AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_TRUSTED_DEVICES
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery, page_of
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import TrustedDevice
from czo_auth.core.two_factor.policy import TwoFactorPolicy
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens


class TrustedDevices:
    """Lists and revokes a user's trusted devices."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def list(self, page: PageQuery = FIRST_PAGE, *, context: Context) -> Page[TrustedDevice]:
        """
        List the live devices, newest first.

        Raises:
            ValidationFailed: The cursor is not valid.
        """
        principal = context.caller
        after = page.position

        def read(tx: Transaction) -> Page[TrustedDevice]:
            found = tx.challenges.list_trusted_devices(
                principal.require_user(), after=after, limit=page.limit + 1, now=context.now
            )
            total = tx.challenges.count_trusted_devices(principal.require_user(), now=context.now)
            return page_of(found, page, total=total, position=lambda each: (each.created_at, each.id))

        return await self._services.transactions.read(read)

    async def revoke(self, device_id: str, *, context: Context) -> None:
        """
        Forget one device.

        Raises:
            NotFound: No such id, or it belongs to someone else.
        """
        principal = context.caller

        def drop(tx: Transaction) -> None:
            if not tx.challenges.drop_trusted_device(principal.require_user(), device_id):
                raise NotFound
            audit_event = AuditEvent(
                action=DEVICE_TRUST_REVOKED, user_id=principal.user_id, details={"deviceId": device_id}
            )
            tx.record(audit_event)

        await self._services.transactions.run(drop, context)

    async def revoke_all(self, *, context: Context) -> None:
        """Forget all devices."""
        principal = context.caller

        def drop(tx: Transaction) -> None:
            if not tx.challenges.drop_trusted_devices(principal.require_user()):
                return
            audit_event = AuditEvent(
                action=DEVICE_TRUST_REVOKED, user_id=principal.user_id, details={"all": True}
            )
            tx.record(audit_event)

        await self._services.transactions.run(drop, context)


def may_trust(services: Services, user: User, *, now: datetime) -> bool:
    """
    Return whether *user* may trust devices: not if an actor type requires two factors, unless a setting allows it.
    """
    demanded = services.actors.demand_two_factor_now(user.actor_types, user.grants, now=now)
    return services.policies.two_factor.trust_mandatory_devices or not demanded


def trust_device(services: Services, tx: Transaction, user: User) -> str | None:
    """Trust the browser that just proved a second factor; None if this user may not trust devices."""
    if not may_trust(services, user, now=tx.now):
        return None
    token = tokens.new_token(tokens.TRUSTED_DEVICE)
    device = TrustedDevice(
        id=new_id(tx.now),
        user_id=user.id,
        credential_version=user.credential_version,
        user_agent=tx.context.user_agent,
        ip=tx.context.ip,
        created_at=tx.now,
        last_used_at=tx.now,
        expires_at=tx.now + services.policies.two_factor.trusted_device_lifetime,
    )
    tx.challenges.add_trusted_device(device, digest=tokens.digest(token))
    tx.challenges.drop_surplus_devices(user.id, limit=MAX_TRUSTED_DEVICES)
    audit_event = AuditEvent(action=DEVICE_TRUSTED, user_id=user.id, details={"deviceId": device.id})
    tx.record(audit_event)
    return token


def find_trusted_device(
    services: Services, tx: Transaction, user: User, cookie: str | None
) -> tuple[TrustedDevice, str] | None:
    """
    Find the device of *user* whose token the browser holds, if it can replace the second factor now.

    Args:
        cookie: Tokens joined by dots, as in the cookie: several users may trust one browser.

    Returns:
        The device and its token.
    """
    if not may_trust(services, user, now=tx.now):
        return None
    for token in tokens.split_tokens(cookie or "", tokens.TRUSTED_DEVICE):
        device = tx.challenges.find_trusted_device(tokens.digest(token), now=tx.now)
        if device is not None and device.user_id == user.id:
            is_current = device.credential_version == user.credential_version
            return (device, token) if is_current else None
    return None


def renew_trust(tx: Transaction, found: tuple[TrustedDevice, str], *, policy: TwoFactorPolicy) -> str | None:
    """Give a used device a new token and expiry; None if a concurrent sign-in was first."""
    device, old_token = found
    token = tokens.new_token(tokens.TRUSTED_DEVICE)
    renewed = replace(device, last_used_at=tx.now, expires_at=tx.now + policy.trusted_device_lifetime)
    done = tx.challenges.rotate_trusted_device(
        renewed, old_digest=tokens.digest(old_token), new_digest=tokens.digest(token)
    )
    return token if done else None
