"""What the port of the sessions promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from czo_auth.core.sessions.session import RefreshToken
from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from czo_auth.storage.errors import StorageFault
from tests.storage.rows import HOUR, NOW, SECOND, Things, a_digest, an_id

WEEK = 7 * 24 * HOUR


def a_signing_key(kid: str, **changes: object) -> StoredSigningKey:
    key = StoredSigningKey(
        kid=kid,
        sealed_private_key="v1.k1.nonce.sealed",
        public_jwk={"kty": "EC", "crv": "P-256", "x": "…", "y": "…"},
        created_at=NOW,
        retired_at=None,
        expires_at=None,
    )
    return replace(key, **changes)  # type: ignore[arg-type]


async def test_session_comes_back_as_kept(things: Things) -> None:
    user = await things.user()
    session = await things.session(
        user, organization_id=an_id(), ip=None, factor_proved_at=None, amr=("pwd",), aal=1
    )
    assert await things.run(lambda tx: tx.sessions.find(session.id)) == session
    assert await things.run(lambda tx: tx.sessions.find(an_id())) is None


async def test_expired_session_is_found_but_not_listed(things: Things) -> None:
    user = await things.user()
    session = await things.session(user)
    assert await things.run(lambda tx: tx.sessions.find(session.id)) == session
    assert await things.run(lambda tx: tx.sessions.list_live(user.id, now=NOW + WEEK)) == []


async def test_live_sessions_are_listed_newest_first(things: Things) -> None:
    user, other = await things.user(), await things.user()
    await things.session(other)
    old = await things.session(user, created_at=NOW - HOUR)
    new = await things.session(user)
    gone = await things.session(user)
    await things.run(lambda tx: tx.sessions.revoke(gone.id, reason="sign_out", now=NOW))
    assert await things.run(lambda tx: tx.sessions.list_live(user.id, now=NOW)) == [new, old]


async def test_organization_is_activated_in_one_session(things: Things) -> None:
    user, organization_id = await things.user(), an_id()
    session, other = await things.session(user), await things.session(user)
    await things.run(lambda tx: tx.sessions.set_organization(session.id, organization_id))
    found = await things.run(lambda tx: tx.sessions.find(session.id))
    assert found == replace(session, organization_id=organization_id)
    assert await things.run(lambda tx: tx.sessions.find(other.id)) == other
    await things.run(lambda tx: tx.sessions.set_organization(session.id, None))
    assert await things.run(lambda tx: tx.sessions.find(session.id)) == session


async def test_assurance_is_lowered(things: Things) -> None:
    session = await things.session(await things.user())
    await things.run(lambda tx: tx.sessions.lower_assurance(session.id))
    found = await things.run(lambda tx: tx.sessions.find(session.id))
    assert found == replace(session, aal=1, amr=("pwd",), factor_proved_at=None)


async def test_revoking_ends_session_and_family_once(things: Things) -> None:
    session, digest = await things.session(await things.user()), a_digest()
    await things.refresh_token(session, digest=digest)
    assert await things.run(lambda tx: tx.sessions.revoke(session.id, reason="sign_out", now=NOW))
    assert not await things.run(lambda tx: tx.sessions.revoke(session.id, reason="sign_out", now=NOW))
    assert not await things.run(lambda tx: tx.sessions.revoke(an_id(), reason="sign_out", now=NOW))
    assert await things.run(lambda tx: tx.sessions.find(session.id)) is None
    found = await things.run(lambda tx: tx.sessions.find_refresh_token(digest))
    assert found is not None
    assert found.revoked


async def test_link_added_to_an_ended_session_is_dead(things: Things) -> None:
    session, digest = await things.session(await things.user()), a_digest()
    await things.run(lambda tx: tx.sessions.revoke(session.id, reason="sign_out", now=NOW))
    await things.refresh_token(session, digest=digest)
    found = await things.run(lambda tx: tx.sessions.find_refresh_token(digest))
    assert found is not None
    assert found.revoked


async def test_revoking_all_answers_the_live_ones_that_ended(things: Things) -> None:
    user, other = await things.user(), await things.user()
    foreign = await things.session(other)
    ended = [await things.session(user), await things.session(user)]
    kept = await things.session(user)
    await things.session(user, expires_at=NOW)
    gone = await things.session(user)
    await things.run(lambda tx: tx.sessions.revoke(gone.id, reason="sign_out", now=NOW))

    answer = await things.run(
        lambda tx: tx.sessions.revoke_all(user.id, reason="password", now=NOW, keep=kept.id)
    )
    assert answer == sorted(session.id for session in ended)
    assert await things.run(lambda tx: tx.sessions.list_live(user.id, now=NOW)) == [kept]
    assert await things.run(lambda tx: tx.sessions.list_live(other.id, now=NOW)) == [foreign]


async def test_revoking_all_of_some_actor_types(things: Things) -> None:
    user = await things.user()
    shop = await things.session(user, actor_type="merchant")
    private = await things.session(user)

    def revoke(tx: Transaction, actor_types: tuple[str, ...]) -> Sequence[str]:
        return tx.sessions.revoke_all(user.id, reason="demoted", now=NOW, actor_types=frozenset(actor_types))

    assert await things.run(lambda tx: revoke(tx, ())) == []
    assert await things.run(lambda tx: revoke(tx, ("merchant", "admin"))) == [shop.id]
    assert await things.run(lambda tx: tx.sessions.list_live(user.id, now=NOW)) == [private]


async def test_refresh_token_is_found_replaced_or_not(things: Things) -> None:
    user = await things.user()
    session, digest = await things.session(user), a_digest()
    token_id = await things.refresh_token(session, digest=digest)
    expected = RefreshToken(
        id=token_id,
        session_id=session.id,
        user_id=user.id,
        expires_at=session.expires_at,
        replaced_at=None,
        revoked=False,
    )
    assert await things.run(lambda tx: tx.sessions.find_refresh_token(digest)) == expected
    assert await things.run(lambda tx: tx.sessions.find_refresh_token(a_digest())) is None
    assert await things.run(lambda tx: tx.sessions.replace_refresh_token(token_id, now=NOW))
    assert not await things.run(lambda tx: tx.sessions.replace_refresh_token(token_id, now=NOW))
    found = await things.run(lambda tx: tx.sessions.find_refresh_token(digest))
    assert found == replace(expected, replaced_at=NOW)


async def test_link_never_has_two_successors(things: Things) -> None:
    session = await things.session(await things.user())
    parent = await things.refresh_token(session)
    await things.refresh_token(session, parent_id=parent)
    with pytest.raises(StorageFault):
        await things.refresh_token(session, parent_id=parent)


async def test_signing_keys_come_newest_first(things: Things) -> None:
    old, new = a_signing_key("old"), a_signing_key("new", created_at=NOW + SECOND)
    await things.run(lambda tx: tx.sessions.lock_signing_keys())
    for key in (old, new):
        await things.run(lambda tx: tx.sessions.add_signing_key(key))  # noqa: B023
    assert await things.run(lambda tx: tx.sessions.signing_keys()) == [new, old]


async def test_signing_key_is_retired_once_and_dropped_after_its_overlap(things: Things) -> None:
    key, end = a_signing_key("k"), NOW + HOUR
    await things.run(lambda tx: tx.sessions.add_signing_key(key))
    await things.run(lambda tx: tx.sessions.retire_signing_key("k", now=NOW, expires_at=end))
    await things.run(lambda tx: tx.sessions.retire_signing_key("k", now=NOW + HOUR, expires_at=end + HOUR))
    retired = replace(key, retired_at=NOW, expires_at=end)
    assert await things.run(lambda tx: tx.sessions.signing_keys()) == [retired]
    assert await things.run(lambda tx: tx.sessions.drop_signing_keys(before=end)) == 0
    assert await things.run(lambda tx: tx.sessions.drop_signing_keys(before=end + SECOND)) == 1
    assert await things.run(lambda tx: tx.sessions.signing_keys()) == []


async def test_signing_key_is_resealed_only_from_what_was_read(things: Things) -> None:
    await things.run(lambda tx: tx.sessions.add_signing_key(a_signing_key("k")))
    old = "v1.k1.nonce.sealed"
    assert await things.run(lambda tx: tx.sessions.reseal_signing_key("k", old=old, new="v1.k2.a.b"))
    assert not await things.run(lambda tx: tx.sessions.reseal_signing_key("k", old=old, new="v1.k3.a.b"))
    (key,) = await things.run(lambda tx: tx.sessions.signing_keys())
    assert key.sealed_private_key == "v1.k2.a.b"


async def test_pruning_deletes_expired_sessions_with_their_families(things: Things) -> None:
    user: User = await things.user()
    session, digest = await things.session(user), a_digest()
    await things.refresh_token(session, digest=digest)
    later = await things.session(user, expires_at=NOW + 2 * WEEK)
    assert await things.run(lambda tx: tx.sessions.prune_expired(before=NOW + WEEK)) == 0
    assert await things.run(lambda tx: tx.sessions.prune_expired(before=NOW + WEEK + SECOND)) == 1
    assert await things.run(lambda tx: tx.sessions.find(session.id)) is None
    assert await things.run(lambda tx: tx.sessions.find_refresh_token(digest)) is None
    assert await things.run(lambda tx: tx.sessions.find(later.id)) == later
