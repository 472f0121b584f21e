"""What the reads of the hot path promise."""

from __future__ import annotations

from czo_auth.core.api_keys.key import KeyRestrictions
from czo_auth.core.throttle import RateLimit
from czo_auth.core.transaction import CredentialRecord
from czo_auth.core.users.user import User
from tests.support.records import HOUR, NOW, a_digest, an_id
from tests.support.rows import Rows


async def test_key_comes_with_its_owners_standing(rows: Rows) -> None:
    user, digest = await rows.user(actor_types=frozenset({"customer", "merchant"})), a_digest()
    acme = await rows.organization({user: "admin"})
    key = await rows.key(
        user,
        digest=digest,
        organization_id=acme.id,
        actor_type="merchant",
        expires_at=NOW + HOUR,
        last_used_at=NOW,
        enabled=False,
    )
    lookup = rows.storage.lookup
    expected = CredentialRecord(
        id=key.id,
        user_id=user.id,
        actor_type="merchant",
        actor_types=frozenset({"customer", "merchant"}),
        banned=False,
        owns_factor=False,
        has_passkey=False,
        has_factor=False,
        organization_id=acme.id,
        organization_role="admin",
        expires_at=NOW + HOUR,
        enabled=False,
        scopes=("orders:read", "orders:write"),
        aal=1,
        amr=(),
        auth_time=None,
        factor_proved_at=None,
        last_used_at=NOW,
        grants=user.grants,
    )
    assert _with_grants_of(user, await lookup.find_api_key(digest)) == expected
    assert await lookup.find_api_key(a_digest()) is None
    assert await lookup.find_session(digest) is None


def _with_grants_of(user: User, found: CredentialRecord | None) -> CredentialRecord | None:
    """Grants are parsed when they are asked for: compare what they tell, and put the user's in their place."""
    if found is None:
        return None
    for name in ("customer", "merchant", "admin"):
        assert found.grants.granted_at(name) == user.grants.granted_at(name)
    return found._replace(grants=user.grants)


async def test_dates_of_grants_come_with_the_owner(rows: Rows) -> None:
    user, digest, session_digest = await rows.user(), a_digest(), a_digest()
    await rows.key(user, digest=digest)
    await rows.session(user, digest=session_digest)
    actor_types, grants = frozenset({"customer", "merchant"}), {"merchant": NOW + HOUR}
    await rows.run(
        lambda tx: tx.users.set_actor_types(user.id, actor_types=actor_types, grants=grants, now=NOW)
    )
    for found in (
        await rows.storage.lookup.find_api_key(digest),
        await rows.storage.lookup.find_session(session_digest),
    ):
        assert found is not None
        assert found.grants.granted_at("merchant") == NOW + HOUR
        assert found.grants.granted_at("customer") == user.created_at


async def test_session_comes_with_its_owners_standing(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    session = await rows.session(user, digest=digest)
    lookup = rows.storage.lookup
    expected = CredentialRecord(
        id=session.id,
        user_id=user.id,
        actor_type="customer",
        actor_types=frozenset({"customer"}),
        banned=False,
        owns_factor=False,
        has_passkey=False,
        has_factor=False,
        organization_id=None,
        organization_role=None,
        expires_at=session.expires_at,
        enabled=True,
        scopes=(),
        aal=2,
        amr=("pwd", "otp"),
        auth_time=session.auth_time,
        factor_proved_at=NOW,
        lineage_id=session.id,
        last_used_at=session.created_at,
        grants=user.grants,
    )
    assert _with_grants_of(user, await lookup.find_session(digest)) == expected
    assert _with_grants_of(user, await lookup.find_session_by_id(session.id)) == expected
    assert await lookup.find_session(a_digest()) is None
    assert await lookup.find_session_by_id(an_id()) is None


async def test_key_without_scopes_has_none(rows: Rows) -> None:
    digest = a_digest()
    await rows.key(await rows.user(), digest=digest, scopes=())
    found = await rows.storage.lookup.find_api_key(digest)
    assert found is not None
    assert (found.scopes, found.expires_at, found.last_used_at, found.enabled) == ((), None, None, True)


async def test_every_change_shows_at_the_next_lookup(rows: Rows) -> None:
    user, key_digest, session_digest = await rows.user(), a_digest(), a_digest()
    acme = await rows.organization({user: "owner"})
    await rows.key(user, digest=key_digest, organization_id=acme.id)
    await rows.session(user, digest=session_digest, organization_id=acme.id)
    lookup = rows.storage.lookup
    key, session = await lookup.find_api_key(key_digest), await lookup.find_session(session_digest)
    assert key is not None
    assert session is not None

    async def both_become(**changes: object) -> None:
        nonlocal key, session
        assert key is not None
        assert session is not None
        key, session = key._replace(**changes), session._replace(**changes)  # type: ignore[arg-type]
        assert await lookup.find_api_key(key_digest) == key
        assert await lookup.find_session(session_digest) == session

    actor_types = frozenset({"admin", "customer"})
    await rows.run(lambda tx: tx.users.set_actor_types(user.id, actor_types=actor_types, grants={}, now=NOW))
    await both_become(actor_types=actor_types)
    await rows.run(lambda tx: tx.users.set_ban(user.id, banned_at=NOW, reason="spam", now=NOW))
    await both_become(banned=True)
    await rows.factor(user)
    await both_become(owns_factor=True, has_factor=True)
    await rows.run(lambda tx: tx.two_factor.drop_factor(user.id))
    await both_become(owns_factor=False, has_factor=False)
    await rows.run(lambda tx: tx.organizations.set_role(acme.id, user.id, role="viewer"))
    await both_become(organization_role="viewer")
    await rows.run(lambda tx: tx.organizations.remove_member(acme.id, user.id))
    await both_become(organization_role=None)
    await rows.member(acme, user, role="member")
    await both_become(organization_role="member")
    await rows.run(lambda tx: tx.organizations.delete(acme.id, now=NOW))
    await both_become(organization_role=None)


async def test_pending_enrollment_is_no_factor(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    await rows.session(user, digest=digest)
    await rows.enrollment(user)
    found = await rows.storage.lookup.find_session(digest)
    assert found is not None
    assert not found.owns_factor
    assert not found.has_factor


async def test_role_is_that_of_the_credentials_own_organization(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    await rows.organization({user: "owner"})
    other = await rows.organization()
    await rows.key(user, digest=digest, organization_id=other.id)
    found = await rows.storage.lookup.find_api_key(digest)
    assert found is not None
    assert (found.organization_id, found.organization_role) == (other.id, None)


async def test_role_is_that_of_the_credentials_own_user(rows: Rows) -> None:
    users = {await rows.user(): role for role in ("viewer", "owner", "admin")}
    acme = await rows.organization(users)
    for user, role in users.items():
        digest = a_digest()
        await rows.session(user, digest=digest, organization_id=acme.id)
        found = await rows.storage.lookup.find_session(digest)
        assert found is not None
        assert found.organization_role == role


async def test_revoked_credentials_are_not_found(rows: Rows) -> None:
    user, key_digest, session_digest = await rows.user(), a_digest(), a_digest()
    key = await rows.key(user, digest=key_digest)
    session = await rows.session(user, digest=session_digest)
    lookup = rows.storage.lookup
    assert await lookup.find_api_key(key_digest) is not None
    assert await lookup.find_session(session_digest) is not None
    await rows.run(lambda tx: tx.api_keys.revoke(key.id, reason="test", now=NOW))
    await rows.run(lambda tx: tx.sessions.revoke(session.id, reason="test", now=NOW))
    assert await lookup.find_api_key(key_digest) is None
    assert await lookup.find_session(session_digest) is None
    assert await lookup.find_session_by_id(session.id) is None


async def test_expired_credentials_are_found_with_their_end(rows: Rows) -> None:
    user, key_digest, session_digest = await rows.user(), a_digest(), a_digest()
    await rows.key(user, digest=key_digest, expires_at=NOW - HOUR)
    await rows.session(user, digest=session_digest, expires_at=NOW - HOUR)
    for found in (
        await rows.storage.lookup.find_api_key(key_digest),
        await rows.storage.lookup.find_session(session_digest),
    ):
        assert found is not None
        assert found.expires_at == NOW - HOUR


async def test_lookup_gives_the_guard_of_a_key_that_has_one(rows: Rows) -> None:
    user = await rows.user()
    for fields, restrictions in (
        ({}, None),
        (
            {"allowed_ips": ("::1", "192.0.2.7")},
            KeyRestrictions(allowed_ips=("::1", "192.0.2.7"), rate_limit=None),
        ),
        (
            {"rate_limit_max": 5, "rate_limit_window_seconds": 60},
            KeyRestrictions(allowed_ips=None, rate_limit=RateLimit(requests=5, window_seconds=60)),
        ),
    ):
        digest = a_digest()
        await rows.key(user, digest=digest, **fields)
        found = await rows.storage.lookup.find_api_key(digest)
        assert found is not None
        assert found.restrictions == restrictions
