"""Passkeys and answered ceremonies as they are stored."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from czo_auth.core.transaction import Transaction
from tests.support.records import HOUR, NOW, SECOND, a_digest, a_passkey
from tests.support.rows import Rows


async def test_credential_id_belongs_to_one_user(rows: Rows) -> None:
    ada, ben = await rows.user(), await rows.user()
    passkey = await rows.passkey(ada)
    again = a_passkey(ben.id, credential_id=passkey.credential_id)
    assert not await rows.run(lambda tx: tx.passkeys.add(again))
    assert await rows.run(lambda tx: tx.passkeys.find_by_credential(passkey.credential_id)) == passkey
    assert await rows.run(lambda tx: tx.passkeys.find(ben.id, passkey.id)) is None
    assert not await rows.run(lambda tx: tx.passkeys.rename(ben.id, passkey.id, name="mine"))
    assert not await rows.run(lambda tx: tx.passkeys.delete(ben.id, passkey.id))


@pytest.mark.parametrize(
    ("stored", "received", "counts"),
    [(0, 0, True), (0, 1, True), (5, 6, True), (5, 5, False), (5, 4, False), (5, 0, False)],
)
async def test_counter_only_grows(rows: Rows, stored: int, received: int, counts: bool) -> None:
    passkey = await rows.passkey(await rows.user(), sign_count=stored)
    used = await rows.run(
        lambda tx: tx.passkeys.record_use(
            passkey.id, sign_count=received, backup_eligible=True, backed_up=False, now=NOW
        )
    )
    assert used is counts
    found = await rows.run(lambda tx: tx.passkeys.find(passkey.user_id, passkey.id))
    assert found is not None
    assert (found.sign_count, found.last_used_at) == ((received, NOW) if counts else (stored, None))


async def test_of_two_uses_with_one_counter_one_counts(rows: Rows) -> None:
    passkey = await rows.passkey(await rows.user(), sign_count=1)
    used = await asyncio.gather(
        *(
            rows.run(
                lambda tx: tx.passkeys.record_use(
                    passkey.id, sign_count=2, backup_eligible=True, backed_up=False, now=NOW
                )
            )
            for _ in range(8)
        )
    )
    assert sorted(used) == [*[False] * 7, True]


async def test_factors_of_a_user_are_of_both_kinds(rows: Rows) -> None:
    user = await rows.user()
    passkey = await rows.passkey(user)

    async def state() -> tuple[bool, bool, bool, bool]:
        found = await rows.run(lambda tx: tx.users.lock(user.id))
        assert found is not None
        return found.has_totp, found.has_passkey, found.owns_factor, found.has_factor

    assert await state() == (False, True, True, False)
    await rows.run(lambda tx: tx.users.set_passkeys_enabled(user.id, NOW, now=NOW))
    assert await state() == (False, True, True, True)
    await rows.run(lambda tx: tx.passkeys.delete(user.id, passkey.id))
    assert await state() == (False, False, False, False)
    await rows.factor(user)
    assert await state() == (True, False, True, True)


async def test_lookups_know_both_kinds_of_factors(rows: Rows) -> None:
    for has_totp, has_passkey in ((False, False), (True, False), (False, True), (True, True)):
        user = await rows.user()
        digest = a_digest()
        await rows.session(user, digest=digest)
        if has_totp:
            await rows.factor(user)
        if has_passkey:
            await rows.passkey(user)
        found = await rows.storage.lookup.find_session(digest)
        assert found is not None
        assert (found.owns_factor, found.has_passkey) == (has_totp or has_passkey, has_passkey)
        # A passkey alone is a way to sign in, until two factors are on.
        assert found.has_factor is has_totp
        await rows.run(partial(_switch_on, user.id))
        found = await rows.storage.lookup.find_session(digest)
        assert found is not None
        assert found.has_factor is (has_totp or has_passkey)


def _switch_on(user_id: str, tx: Transaction) -> None:
    tx.users.set_passkeys_enabled(user_id, NOW, now=NOW)


async def test_all_passkeys_of_a_user_go_at_once_and_nobody_elses(rows: Rows) -> None:
    ada, ben = await rows.user(), await rows.user()
    mine = [await rows.passkey(ada) for _ in range(3)]
    theirs = await rows.passkey(ben)
    gone = await rows.run(lambda tx: tx.passkeys.delete_all(ada.id))
    assert {passkey.id for passkey in gone} == {passkey.id for passkey in mine}
    assert await rows.run(lambda tx: tx.passkeys.list(ada.id)) == []
    assert await rows.run(lambda tx: tx.passkeys.list(ben.id)) == [theirs]


async def test_passkeys_are_counted_by_relying_party(rows: Rows) -> None:
    user = await rows.user()
    await rows.passkey(user, rp_id="old.example")
    await rows.passkey(user, rp_id="shop.example")
    counted = await rows.run(lambda tx: (tx.passkeys.count_by_rp_id(), tx.passkeys.count(user.id)))
    assert counted == ({"old.example": 1, "shop.example": 1}, 2)


async def test_ceremony_is_spent_once_counted_and_pruned(rows: Rows) -> None:
    digest = a_digest()
    end = NOW + 300 * SECOND
    spent = await asyncio.gather(
        *(
            rows.run(lambda tx: tx.passkeys.consume_ceremony(digest, network="192.0.2.7", expires_at=end))
            for _ in range(8)
        )
    )
    assert sorted(spent) == [*[False] * 7, True]
    counts = [
        await rows.run(lambda tx, network=network, now=now: tx.passkeys.count_answered(network, now=now))
        for network, now in (("192.0.2.7", NOW), ("192.0.2.8", NOW), ("192.0.2.7", end))
    ]
    assert counts == [1, 0, 0]
    assert await rows.run(lambda tx: tx.passkeys.prune_expired(before=end)) == 0
    assert await rows.run(lambda tx: tx.passkeys.prune_expired(before=end + HOUR)) == 1
