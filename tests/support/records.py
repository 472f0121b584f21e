"""
Records with plausible values for the tests, one builder each.

`now` is when the record was made, by default `NOW`; *changes* replace any field.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.events.types import Event
from czo_auth.core.ids import new_id
from czo_auth.core.organizations.organization import Invitation, Organization
from czo_auth.core.passkeys.passkey import Passkey
from czo_auth.core.service_accounts.account import ServiceAccount
from czo_auth.core.sessions.session import Session
from czo_auth.core.two_factor.factor import Challenge, Enrollment, HashedCode, TotpFactor, TrustedDevice
from czo_auth.core.users.email import canonical_email
from czo_auth.core.users.user import User
from czo_auth.core.webhooks.webhook import Webhook
from czo_auth.crypto import tokens

NOW = datetime(2026, 7, 1, 12, 30, 15, 123000, tzinfo=UTC)
HOUR = timedelta(hours=1)
LINEAGE = "01900000-0000-7000-8000-00000000000a"
"""Of the session that begins an enrollment here."""
SECOND = timedelta(seconds=1)

_numbers = count(1)


def an_id(now: datetime | None = None) -> str:
    """Make an id of *now*; without it, one that sorts behind those made before."""
    return new_id(now or NOW + timedelta(milliseconds=next(_numbers)))


def a_passkey(user_id: str, *, now: datetime | None = None, **changes: Any) -> Passkey:
    passkey = Passkey(
        id=an_id(now),
        user_id=user_id,
        name="phone",
        credential_id=a_digest(),
        public_key="AA",
        sign_count=0,
        aaguid="00000000-0000-0000-0000-000000000000",
        backup_eligible=False,
        backed_up=False,
        transports=("hybrid", "internal"),
        rp_id="shop.example",
        created_at=now or NOW,
        last_used_at=None,
    )
    return replace(passkey, **changes)


def a_webhook(*, now: datetime | None = None, **changes: Any) -> Webhook:
    """Make an endpoint of the operator, which receives everything."""
    webhook = Webhook(
        id=an_id(now),
        organization_id=None,
        url="https://hooks.example.com/",
        events=("*",),
        description=None,
        enabled=True,
        disabled_reason=None,
        failing_since=None,
        dead_since=None,
        created_by=None,
        created_at=now or NOW,
        updated_at=now or NOW,
    )
    return replace(webhook, **changes)


def a_digest() -> str:
    """Make a digest that no other row has, in this process or another."""
    return tokens.digest(tokens.new_token(tokens.SESSION))


def some_codes(amount: int = 3) -> list[HashedCode]:
    """Make hashed codes with selectors that no other set has."""
    return [HashedCode(selector=f"S{next(_numbers)}", hash=f"hash {number}") for number in range(amount)]


def a_user(name: str | None = None, /, *, now: datetime | None = None, **changes: Any) -> User:
    """Make a customer without a password: `<name>@example.com`, or Ada with an address that no other user has."""
    user_id = an_id(now)
    user = User(
        id=user_id,
        email=canonical_email(f"{name or user_id}@example.com"),
        name=name or "Ada",
        image=None,
        email_verified=False,
        password_hash=None,
        actor_types=frozenset({"customer"}),
        credential_version=1,
        has_factor=False,
        banned_at=None,
        created_at=now or NOW,
        updated_at=now or NOW,
    )
    return replace(user, **changes)


def a_session(user_id: str, *, now: datetime | None = None, **changes: Any) -> Session:
    """Make a customer's session with both factors proved, the password an hour ago."""
    at = now or NOW
    session_id = changes.get("id") or an_id(now)
    session = Session(
        id=session_id,
        lineage_id=session_id,
        user_id=user_id,
        actor_type="customer",
        organization_id=None,
        aal=2,
        amr=("pwd", "otp"),
        auth_time=at - HOUR,
        factor_proved_at=at,
        remembered=True,
        ip="192.0.2.1",
        user_agent="test",
        created_at=at,
        expires_at=at + 7 * 24 * HOUR,
    )
    return replace(session, **changes)


def a_key(user_id: str | None, *, now: datetime | None = None, **changes: Any) -> ApiKey:
    key = ApiKey(
        id=an_id(now),
        user_id=user_id,
        organization_id=None,
        actor_type="customer",
        name="deploy",
        prefix="czo_abcd",
        scopes=("orders:read", "orders:write"),
        metadata=None,
        enabled=True,
        expires_at=None,
        last_used_at=None,
        rotated_at=None,
        created_at=now or NOW,
        updated_at=now or NOW,
    )
    return replace(key, **changes)


def a_service_account(organization: Organization, **changes: Any) -> ServiceAccount:
    account = ServiceAccount(
        id=an_id(),
        organization_id=organization.id,
        name="pipeline",
        description=None,
        scopes=("orders:read", "orders:write"),
        enabled=True,
        created_by=None,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(account, **changes)


def an_account_key(account: ServiceAccount, **changes: Any) -> ApiKey:
    owned = {"service_account_id": account.id, "organization_id": account.organization_id, "actor_type": None}
    return a_key(None, **{**owned, "scopes": ("orders:read",), **changes})


def an_organization(*, now: datetime | None = None, **changes: Any) -> Organization:
    organization_id = an_id(now)
    organization = Organization(
        id=organization_id,
        name="Acme",
        slug=f"acme-{organization_id}",
        logo=None,
        metadata=None,
        created_at=now or NOW,
        updated_at=now or NOW,
    )
    return replace(organization, **changes)


def an_invitation(organization: Organization, inviter: User, **changes: Any) -> Invitation:
    invitation = Invitation(
        id=an_id(),
        organization_id=organization.id,
        email="guest@example.com",
        role="member",
        inviter_id=inviter.id,
        status="pending",
        expires_at=NOW + 48 * HOUR,
        created_at=NOW,
    )
    return replace(invitation, **changes)


def a_factor(user_id: str, *, now: datetime | None = None, **changes: Any) -> TotpFactor:
    factor = TotpFactor(
        id=an_id(now),
        user_id=user_id,
        sealed_secret="v1.k1.nonce.sealed",
        last_step=10,
        enabled_at=now or NOW,
    )
    return replace(factor, **changes)


def an_enrollment(user_id: str, *, now: datetime | None = None, **changes: Any) -> Enrollment:
    at = now or NOW
    enrollment = Enrollment(
        id=an_id(now),
        user_id=user_id,
        lineage_id=LINEAGE,
        sealed_secret="v1.k1.nonce.sealed",
        sealed_codes="v1.k1.nonce.codes",
        replaces=False,
        created_at=at,
        expires_at=at + HOUR / 6,
    )
    return replace(enrollment, **changes)


def a_challenge(user: User, **changes: Any) -> Challenge:
    challenge = Challenge(
        id=an_id(),
        user_id=user.id,
        actor_type="customer",
        credential_version=user.credential_version,
        attempts=0,
        remembered=True,
        renews=None,
        auth_time=NOW,
        expires_at=NOW + HOUR / 12,
    )
    return replace(challenge, **changes)


def a_device(user: User, **changes: Any) -> TrustedDevice:
    device = TrustedDevice(
        id=an_id(),
        user_id=user.id,
        credential_version=user.credential_version,
        user_agent="test",
        ip="192.0.2.1",
        created_at=NOW,
        last_used_at=NOW,
        expires_at=NOW + 30 * 24 * HOUR,
    )
    return replace(device, **changes)


def an_event(
    sequence: int = 1,
    *,
    type: str = "auth.apikey.created",
    user_id: str | None = "ada",
    at: datetime = NOW,
    **data: Any,
) -> Event:
    """Make the event *sequence* of the outbox, with the id `event-<sequence>`; *data* is added to its `userId`."""
    return Event(
        sequence=sequence,
        id=f"event-{sequence}",
        type=type,
        user_id=user_id,
        at=at,
        data={"userId": user_id, **data},
    )
