"""What the port of the API keys promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from czo_auth.core.api_keys.key import ApiKey, OwnedApiKey
from czo_auth.core.paging import PageQuery
from czo_auth.core.transaction import Transaction
from czo_auth.storage.errors import StorageError
from tests.support.records import HOUR, NOW, SECOND, a_digest, a_key, an_id
from tests.support.rows import Rows


async def revoke(rows: Rows, key: ApiKey) -> bool:
    return await rows.run(lambda tx: tx.api_keys.revoke(key.id, reason="test", now=NOW))


async def test_key_comes_back_as_kept(rows: Rows) -> None:
    user = await rows.user()
    key = await rows.key(
        user,
        organization_id=an_id(),
        scopes=("b:read", "a:write"),
        metadata={"b": [1, 2.5, None, True], "a": {"ü": "🦊"}},
        expires_at=NOW + HOUR,
        last_used_at=NOW,
        enabled=False,
    )
    assert await rows.run(lambda tx: tx.api_keys.find(key.id)) == key
    bare = await rows.key(user, scopes=(), metadata=None)
    assert await rows.run(lambda tx: tx.api_keys.find(bare.id)) == bare
    assert await rows.run(lambda tx: tx.api_keys.find(an_id())) is None


async def test_times_are_truncated_to_milliseconds_and_returned_in_utc(rows: Rows) -> None:
    east = timezone(timedelta(hours=5))
    at = datetime(2026, 7, 1, 17, 30, 15, 123999, tzinfo=east)
    key = await rows.key(await rows.user(), expires_at=at)
    found = await rows.run(lambda tx: tx.api_keys.find(key.id))
    assert found is not None
    assert found.expires_at == NOW
    assert found.expires_at.utcoffset() == timedelta(0)


async def test_two_keys_never_share_a_digest(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    await rows.key(user, digest=digest)
    with pytest.raises(StorageError) as caught:
        await rows.key(user, digest=digest)
    assert digest not in str(caught.value)


@pytest.mark.parametrize("scope", ["a b", "", "a\tb", "a\u00a0b"])
async def test_scope_that_would_be_read_as_others_is_not_kept(rows: Rows, scope: str) -> None:
    user = await rows.user()
    with pytest.raises(StorageError):
        await rows.key(user, scopes=(scope,))


async def test_keys_are_listed_newest_first_with_expired_but_without_dead_ones(rows: Rows) -> None:
    user = await rows.user()
    await rows.key(await rows.user())
    old = await rows.key(user, created_at=NOW - HOUR)
    expired = await rows.key(user, expires_at=NOW - HOUR)
    revoked = await rows.key(user)
    assert await revoke(rows, revoked)
    rotated = await rows.key(user, created_at=NOW + SECOND)
    end = NOW + HOUR
    assert await rows.run(lambda tx: tx.api_keys.mark_rotated(rotated.id, expires_at=end, now=NOW))
    ids = [key.id for key in await rows.run(lambda tx: tx.api_keys.list_live(user.id, limit=9, now=NOW))]
    assert ids == [rotated.id, expired.id, old.id]
    ids = [key.id for key in await rows.run(lambda tx: tx.api_keys.list_live(user.id, limit=9, now=end))]
    assert ids == [expired.id, old.id]


async def test_everybodys_keys_are_found_by_owner_and_by_what_they_begin_with(rows: Rows) -> None:
    ada = await rows.user(email="ada_1@example.com", name="Ada")
    eve = await rows.user(email="eve@example.com", name="Eve % Ada")
    old = await rows.key(ada, prefix="czo_AAAA")
    other = await rows.key(eve, prefix="czo_aaaa")
    assert await revoke(rows, await rows.key(ada, prefix="czo_AAAA"))

    async def search(text: str | None, before: str | None = None, limit: int = 10) -> list[tuple[str, str]]:
        def read(tx: Transaction) -> tuple[list[OwnedApiKey], int]:
            found = tx.api_keys.search(text=text, page=PageQuery(limit=limit, cursor=before), now=NOW)
            return list(found)[:limit], tx.api_keys.count_found(text=text, now=NOW)

        found, total = await rows.run(read)
        assert total == len(found) or before is not None or limit == 1
        return [(each.key.id, each.owner_email) for each in found]

    both = sorted([(old.id, ada.email), (other.id, eve.email)], reverse=True)
    assert await search(None) == both
    assert await search("ADA") == both
    assert await search("ada_1") == [(old.id, ada.email)]
    assert await search("%") == [(other.id, eve.email)]
    assert await search(f"{other.prefix}{'x' * 39}") == [(other.id, eve.email)], (
        "of a whole key its beginning counts"
    )
    assert await search(None, limit=1) == both[:1]
    assert await search(None, before=both[0][0]) == both[1:]


async def test_expired_rotated_and_revoked_keys_do_not_count(rows: Rows) -> None:
    user = await rows.user()
    await rows.key(await rows.user())
    await rows.key(user)
    await rows.key(user, expires_at=NOW + SECOND, enabled=False)
    await rows.key(user, expires_at=NOW)
    assert await revoke(rows, await rows.key(user))
    rotated = await rows.key(user)
    await rows.run(lambda tx: tx.api_keys.mark_rotated(rotated.id, expires_at=NOW + HOUR, now=NOW))
    assert await rows.run(lambda tx: tx.api_keys.count_live(user.id, now=NOW)) == 2


async def test_update_replaces_what_the_owner_may_change(rows: Rows) -> None:
    key = await rows.key(await rows.user(), metadata={"a": 1})
    changed = replace(
        key,
        name="new",
        enabled=False,
        scopes=("a:b",),
        expires_at=NOW + HOUR,
        metadata=None,
        allowed_ips=("192.0.2.0/24", "2001:db8::1"),
        rate_limit_max=10,
        rate_limit_window_seconds=60,
        noticed_days=1,
        updated_at=NOW + SECOND,
    )
    assert await rows.run(lambda tx: tx.api_keys.update(changed))
    assert await rows.run(lambda tx: tx.api_keys.find(key.id)) == changed
    assert await revoke(rows, key)
    assert not await rows.run(lambda tx: tx.api_keys.update(changed))
    assert not await rows.run(lambda tx: tx.api_keys.update(replace(changed, id=an_id())))


async def test_update_leaves_what_its_owner_may_not_change(rows: Rows) -> None:
    key = await rows.key(await rows.user())
    foreign = replace(
        key,
        user_id=(await rows.user()).id,
        organization_id=an_id(),
        actor_type="admin",
        last_used_at=NOW,
        rotated_at=NOW,
        unused_noticed_at=NOW,
        created_at=NOW + HOUR,
    )
    assert await rows.run(lambda tx: tx.api_keys.update(foreign))
    assert await rows.run(lambda tx: tx.api_keys.find(key.id)) == key


async def test_update_that_leaves_the_expiry_leaves_the_notice(rows: Rows) -> None:
    key = await rows.key(await rows.user(), expires_at=NOW + HOUR)
    assert await rows.run(lambda tx: tx.key_expiry.mark_noticed(key, days=7))
    assert await rows.run(lambda tx: tx.api_keys.update(replace(key, name="new", noticed_days=1)))
    found = await rows.run(lambda tx: tx.api_keys.find(key.id))
    assert found is not None
    assert (found.name, found.noticed_days) == ("new", 7)
    moved = replace(key, expires_at=NOW + 2 * HOUR, noticed_days=1)
    assert await rows.run(lambda tx: tx.api_keys.update(moved))
    assert await rows.run(lambda tx: tx.api_keys.find(key.id)) == moved


async def test_key_gets_one_successor(rows: Rows) -> None:
    key, end = await rows.key(await rows.user()), NOW + HOUR
    assert await rows.run(lambda tx: tx.api_keys.mark_rotated(key.id, expires_at=end, now=NOW))
    assert not await rows.run(lambda tx: tx.api_keys.mark_rotated(key.id, expires_at=end + HOUR, now=NOW))
    assert await rows.run(lambda tx: tx.api_keys.find(key.id)) == replace(key, rotated_at=NOW, expires_at=end)


async def test_revoked_key_gets_no_successor(rows: Rows) -> None:
    key = await rows.key(await rows.user())
    assert await revoke(rows, key)
    assert not await rows.run(lambda tx: tx.api_keys.mark_rotated(key.id, expires_at=NOW, now=NOW))


async def test_keys_are_found_by_digest_unless_they_were_revoked(rows: Rows) -> None:
    user, digests = await rows.user(), [a_digest() for _ in range(3)]
    keys = [await rows.key(user, digest=digest, scopes=("a:b",)) for digest in digests]
    assert await revoke(rows, keys[2])
    found = await rows.run(lambda tx: tx.api_keys.find_by_digests({*digests, a_digest()}))
    assert found == dict(zip(digests[:2], keys[:2], strict=True))
    assert await rows.run(lambda tx: tx.api_keys.find_by_digests(())) == {}


async def test_key_is_switched_off_once(rows: Rows) -> None:
    key, later = await rows.key(await rows.user()), NOW + SECOND
    assert await rows.run(lambda tx: tx.api_keys.switch_off(key.id, now=later))
    assert not await rows.run(lambda tx: tx.api_keys.switch_off(key.id, now=later))
    found = await rows.run(lambda tx: tx.api_keys.find(key.id))
    assert found == replace(key, enabled=False, updated_at=later)
    revoked = await rows.key(await rows.user())
    assert await revoke(rows, revoked)
    assert not await rows.run(lambda tx: tx.api_keys.switch_off(revoked.id, now=later))


async def test_key_is_revoked_once(rows: Rows) -> None:
    key = await rows.key(await rows.user())
    assert await revoke(rows, key)
    assert not await revoke(rows, key)
    assert await rows.run(lambda tx: tx.api_keys.find(key.id)) is None


async def test_revoking_all_takes_user_and_organization_as_conditions(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    acme, globex = an_id(), an_id()
    both = await rows.key(user, organization_id=acme)
    own = await rows.key(user)
    elsewhere = await rows.key(user, organization_id=globex)
    foreign = await rows.key(other, organization_id=acme)

    async def revoke_all(user_id: str | None, organization_id: str | None) -> list[str]:
        ended = await rows.run(
            lambda tx: tx.api_keys.revoke_all(
                user_id=user_id, organization_id=organization_id, reason="test", now=NOW
            )
        )
        return [key.id for key in ended]

    assert await revoke_all(user.id, acme) == [both.id]
    assert await revoke_all(None, acme) == [foreign.id]
    assert await revoke_all(user.id, None) == [own.id, elsewhere.id]
    assert await revoke_all(user.id, None) == []
    with pytest.raises(ValueError, match="neither"):
        await revoke_all(None, None)


async def test_pruning_deletes_dead_keys_and_leaves_expired_ones_for_a_while(rows: Rows) -> None:
    user = await rows.user()
    await rows.key(user, expires_at=NOW - 3 * HOUR)
    old = NOW - 2 * HOUR
    live, expired = await rows.key(user), await rows.key(user, expires_at=NOW - HOUR)
    digest = a_digest()
    assert await revoke(rows, await rows.key(user, digest=digest))
    rotated = await rows.key(user)
    await rows.run(lambda tx: tx.api_keys.mark_rotated(rotated.id, expires_at=NOW, now=NOW))
    assert await rows.run(lambda tx: tx.api_keys.prune_expired(before=NOW, expired=old)) == 1
    assert await rows.run(lambda tx: tx.api_keys.prune_expired(before=NOW, expired=old)) == 0
    due = NOW + SECOND
    pruned = [await rows.run(lambda tx: tx.api_keys.prune_expired(before=due, expired=old)) for _ in range(3)]
    assert pruned == [1, 1, 0]
    listed = await rows.run(lambda tx: tx.api_keys.list_live(user.id, limit=9, now=NOW))
    assert {key.id for key in listed} == {live.id, expired.id}
    assert await rows.run(lambda tx: tx.api_keys.add(a_key(user.id), digest=digest)) is None  # type: ignore[func-returns-value]
