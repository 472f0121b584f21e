"""What the port of the sessions promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from czo_auth.core.sessions.session import RefreshToken
from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from czo_auth.storage.errors import StorageError
from tests.support.records import HOUR, NOW, SECOND, a_digest, an_id
from tests.support.rows import Rows

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


async def test_session_comes_back_as_kept(rows: Rows) -> None:
    user = await rows.user()
    session = await rows.session(
        user, organization_id=an_id(), ip=None, factor_proved_at=None, amr=("pwd",), aal=1
    )
    assert await rows.run(lambda tx: tx.sessions.find(session.id)) == session
    assert await rows.run(lambda tx: tx.sessions.find(an_id())) is None


async def test_expired_session_is_found_but_not_listed(rows: Rows) -> None:
    user = await rows.user()
    session = await rows.session(user)
    assert await rows.run(lambda tx: tx.sessions.find(session.id)) == session
    assert await rows.run(lambda tx: tx.sessions.list_live(user.id, now=NOW + WEEK)) == []


async def test_live_sessions_are_listed_newest_first(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    await rows.session(other)
    old = await rows.session(user, created_at=NOW - HOUR)
    new = await rows.session(user)
    gone = await rows.session(user)
    await rows.run(lambda tx: tx.sessions.revoke(gone.id, reason="sign_out", now=NOW))
    assert await rows.run(lambda tx: tx.sessions.list_live(user.id, now=NOW)) == [new, old]


async def test_organization_is_activated_in_one_session(rows: Rows) -> None:
    user, organization_id = await rows.user(), an_id()
    session, other = await rows.session(user), await rows.session(user)
    await rows.run(lambda tx: tx.sessions.set_organization(session.id, organization_id))
    found = await rows.run(lambda tx: tx.sessions.find(session.id))
    assert found == replace(session, organization_id=organization_id)
    assert await rows.run(lambda tx: tx.sessions.find(other.id)) == other
    await rows.run(lambda tx: tx.sessions.set_organization(session.id, None))
    assert await rows.run(lambda tx: tx.sessions.find(session.id)) == session


async def test_assurance_is_lowered(rows: Rows) -> None:
    session = await rows.session(await rows.user())
    await rows.run(lambda tx: tx.sessions.lower_assurance(session.id))
    found = await rows.run(lambda tx: tx.sessions.find(session.id))
    assert found == replace(session, aal=1, amr=("pwd",), factor_proved_at=None)


async def test_revoking_ends_session_and_family_once(rows: Rows) -> None:
    session, digest = await rows.session(await rows.user()), a_digest()
    await rows.refresh_token(session, digest=digest)
    assert await rows.run(lambda tx: tx.sessions.revoke(session.id, reason="sign_out", now=NOW))
    assert not await rows.run(lambda tx: tx.sessions.revoke(session.id, reason="sign_out", now=NOW))
    assert not await rows.run(lambda tx: tx.sessions.revoke(an_id(), reason="sign_out", now=NOW))
    assert await rows.run(lambda tx: tx.sessions.find(session.id)) is None
    found = await rows.run(lambda tx: tx.sessions.find_refresh_token(digest))
    assert found is not None
    assert found.revoked


async def test_link_added_to_an_ended_session_is_dead(rows: Rows) -> None:
    session, digest = await rows.session(await rows.user()), a_digest()
    await rows.run(lambda tx: tx.sessions.revoke(session.id, reason="sign_out", now=NOW))
    await rows.refresh_token(session, digest=digest)
    found = await rows.run(lambda tx: tx.sessions.find_refresh_token(digest))
    assert found is not None
    assert found.revoked


async def test_revoking_all_answers_the_live_ones_that_ended(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    foreign = await rows.session(other)
    ended = [await rows.session(user), await rows.session(user)]
    kept = await rows.session(user)
    await rows.session(user, expires_at=NOW)
    gone = await rows.session(user)
    await rows.run(lambda tx: tx.sessions.revoke(gone.id, reason="sign_out", now=NOW))

    answer = await rows.run(
        lambda tx: tx.sessions.revoke_all(user.id, reason="password", now=NOW, keep=kept.id)
    )
    assert answer == sorted(session.id for session in ended)
    assert await rows.run(lambda tx: tx.sessions.list_live(user.id, now=NOW)) == [kept]
    assert await rows.run(lambda tx: tx.sessions.list_live(other.id, now=NOW)) == [foreign]


async def test_revoking_all_of_some_actor_types(rows: Rows) -> None:
    user = await rows.user()
    shop = await rows.session(user, actor_type="merchant")
    private = await rows.session(user)

    def revoke(tx: Transaction, actor_types: tuple[str, ...]) -> Sequence[str]:
        return tx.sessions.revoke_all(user.id, reason="demoted", now=NOW, actor_types=frozenset(actor_types))

    assert await rows.run(lambda tx: revoke(tx, ())) == []
    assert await rows.run(lambda tx: revoke(tx, ("merchant", "admin"))) == [shop.id]
    assert await rows.run(lambda tx: tx.sessions.list_live(user.id, now=NOW)) == [private]


async def test_refresh_token_is_found_replaced_or_not(rows: Rows) -> None:
    user = await rows.user()
    session, digest = await rows.session(user), a_digest()
    token_id = await rows.refresh_token(session, digest=digest)
    expected = RefreshToken(
        id=token_id,
        session_id=session.id,
        user_id=user.id,
        expires_at=session.expires_at,
        replaced_at=None,
        revoked=False,
        family_size=1,
    )
    assert await rows.run(lambda tx: tx.sessions.find_refresh_token(digest)) == expected
    assert await rows.run(lambda tx: tx.sessions.find_refresh_token(a_digest())) is None
    assert await rows.run(lambda tx: tx.sessions.replace_refresh_token(token_id, now=NOW))
    assert not await rows.run(lambda tx: tx.sessions.replace_refresh_token(token_id, now=NOW))
    found = await rows.run(lambda tx: tx.sessions.find_refresh_token(digest))
    assert found == replace(expected, replaced_at=NOW)


async def test_link_never_has_two_successors(rows: Rows) -> None:
    session = await rows.session(await rows.user())
    parent = await rows.refresh_token(session)
    await rows.refresh_token(session, parent_id=parent)
    with pytest.raises(StorageError):
        await rows.refresh_token(session, parent_id=parent)


async def test_signing_keys_come_newest_first(rows: Rows) -> None:
    old, new = a_signing_key("old"), a_signing_key("new", created_at=NOW + SECOND)
    await rows.run(lambda tx: tx.sessions.lock_signing_keys())
    for key in (old, new):
        await rows.run(lambda tx: tx.sessions.add_signing_key(key))  # noqa: B023
    assert await rows.run(lambda tx: tx.sessions.signing_keys()) == [new, old]


async def test_signing_key_is_retired_once_and_dropped_after_its_overlap(rows: Rows) -> None:
    key, end = a_signing_key("k"), NOW + HOUR
    await rows.run(lambda tx: tx.sessions.add_signing_key(key))
    await rows.run(lambda tx: tx.sessions.retire_signing_key("k", retired_at=NOW, expires_at=end))
    await rows.run(
        lambda tx: tx.sessions.retire_signing_key("k", retired_at=NOW + HOUR, expires_at=end + HOUR)
    )
    retired = replace(key, retired_at=NOW, expires_at=end)
    assert await rows.run(lambda tx: tx.sessions.signing_keys()) == [retired]
    assert await rows.run(lambda tx: tx.sessions.drop_signing_keys(before=end)) == 0
    assert await rows.run(lambda tx: tx.sessions.drop_signing_keys(before=end + SECOND)) == 1
    assert await rows.run(lambda tx: tx.sessions.signing_keys()) == []


async def test_signing_key_is_reencrypted_only_from_what_was_read(rows: Rows) -> None:
    await rows.run(lambda tx: tx.sessions.add_signing_key(a_signing_key("k")))
    old = "v1.k1.nonce.sealed"
    assert await rows.run(lambda tx: tx.sessions.reencrypt_signing_key("k", old=old, new="v1.k2.a.b"))
    assert not await rows.run(lambda tx: tx.sessions.reencrypt_signing_key("k", old=old, new="v1.k3.a.b"))
    (key,) = await rows.run(lambda tx: tx.sessions.signing_keys())
    assert key.sealed_private_key == "v1.k2.a.b"


async def test_pruning_deletes_expired_sessions_with_their_families(rows: Rows) -> None:
    user: User = await rows.user()
    session, digest = await rows.session(user), a_digest()
    await rows.refresh_token(session, digest=digest)
    later = await rows.session(user, expires_at=NOW + 2 * WEEK)
    assert await rows.run(lambda tx: tx.sessions.prune_expired(before=NOW + WEEK)) == 0
    assert await rows.run(lambda tx: tx.sessions.prune_expired(before=NOW + WEEK + SECOND)) == 1
    assert await rows.run(lambda tx: tx.sessions.find(session.id)) is None
    assert await rows.run(lambda tx: tx.sessions.find_refresh_token(digest)) is None
    assert await rows.run(lambda tx: tx.sessions.find(later.id)) == later
