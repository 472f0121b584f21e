"""What the port of the second factors promises of factors, enrolments and backup codes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.core.two_factor.factor import StoredCode, TotpFactor
from tests.storage.rows import (
    HOUR,
    LINEAGE,
    NOW,
    SECOND,
    Things,
    a_challenge,
    a_digest,
    an_enrolment,
    an_id,
    some_codes,
)


# factors
async def test_user_has_one_factor(things: Things) -> None:
    user, other = await things.user(), await things.user()
    assert await things.run(lambda tx: tx.two_factor.find_factor(user.id)) is None
    await things.factor(user)
    factor = await things.factor(user, last_step=99)
    foreign = await things.factor(other)
    assert await things.run(lambda tx: tx.two_factor.find_factor(user.id)) == factor
    assert await things.run(lambda tx: tx.two_factor.find_factor(other.id)) == foreign


async def test_step_is_spent_once_and_only_forwards(things: Things) -> None:
    factor = await things.factor(await things.user(), last_step=10)
    spent = [
        await things.run(lambda tx: tx.two_factor.spend_step(factor.id, step=step))  # noqa: B023
        for step in (10, 9, 11, 11, 10, 2**40, 12)
    ]
    assert spent == [False, False, True, False, False, True, False]


async def test_step_of_an_unknown_factor_is_not_spent(things: Things) -> None:
    assert not await things.run(lambda tx: tx.two_factor.spend_step(an_id(), step=1))


async def test_dropped_factor_takes_unused_codes_along(things: Things) -> None:
    user = await things.user()
    await things.factor(user)
    used, unused, _ = await things.codes(user)
    code = await things.run(lambda tx: tx.two_factor.find_code(user.id, used.selector))
    assert code is not None
    assert await things.run(lambda tx: tx.two_factor.spend_code(code.id, now=NOW))

    assert await things.run(lambda tx: tx.two_factor.drop_factor(user.id))
    assert not await things.run(lambda tx: tx.two_factor.drop_factor(user.id))
    assert await things.run(lambda tx: tx.two_factor.find_factor(user.id)) is None
    assert await things.run(lambda tx: tx.two_factor.find_code(user.id, unused.selector)) is None
    assert await things.run(lambda tx: tx.two_factor.selectors(user.id)) == {used.selector}


async def test_factor_is_resealed_only_from_what_was_read(things: Things) -> None:
    factor = await things.factor(await things.user())
    old = factor.sealed_secret
    assert await things.run(lambda tx: tx.two_factor.reseal_factor(factor.id, old=old, new="v1.k2.a.b"))
    assert not await things.run(lambda tx: tx.two_factor.reseal_factor(factor.id, old=old, new="v1.k3.a.b"))
    found = await things.run(lambda tx: tx.two_factor.find_factor(factor.user_id))
    assert found == replace(factor, sealed_secret="v1.k2.a.b")


async def test_factors_are_read_in_batches_by_id(things: Things) -> None:
    factors = [await things.factor(await things.user()) for _ in range(5)]
    found: list[TotpFactor] = []
    after = ""
    while batch := await things.run(lambda tx: tx.two_factor.sealed_after(after, limit=2)):  # noqa: B023
        found += batch
        after = batch[-1].id
    assert found == factors


# enrolments
async def test_new_enrolment_replaces_the_one_before_with_its_codes(things: Things) -> None:
    user = await things.user()
    first = await things.enrolment(user)
    await things.run(lambda tx: tx.two_factor.put_pending_codes(first.id, user.id, some_codes()))
    second = await things.enrolment(user, replaces=True, sealed_codes=None)
    assert (
        await things.run(lambda tx: tx.two_factor.find_enrolment(user.id, lineage_id=LINEAGE, now=NOW))
        == second
    )
    assert not await things.run(lambda tx: tx.two_factor.has_pending_codes(first.id))
    assert not await things.run(lambda tx: tx.two_factor.take_enrolment(first.id))
    assert await things.run(lambda tx: tx.two_factor.selectors(user.id)) == set()


async def test_expired_enrolment_is_not_found(things: Things) -> None:
    user = await things.user()
    enrolment = await things.enrolment(user)
    end = enrolment.expires_at
    assert (
        await things.run(
            lambda tx: tx.two_factor.find_enrolment(user.id, lineage_id=LINEAGE, now=end - SECOND)
        )
        == enrolment
    )
    assert (
        await things.run(lambda tx: tx.two_factor.find_enrolment(user.id, lineage_id=LINEAGE, now=end))
        is None
    )


async def test_enrolment_is_taken_once(things: Things) -> None:
    enrolment = await things.enrolment(await things.user())
    assert await things.run(lambda tx: tx.two_factor.take_enrolment(enrolment.id))
    assert not await things.run(lambda tx: tx.two_factor.take_enrolment(enrolment.id))


async def test_dropped_enrolment_takes_its_codes_along_and_leaves_live_ones(things: Things) -> None:
    user = await things.user()
    live = await things.codes(user)
    enrolment = await things.enrolment(user)
    await things.run(lambda tx: tx.two_factor.put_pending_codes(enrolment.id, user.id, some_codes()))
    await things.run(lambda tx: tx.two_factor.drop_enrolment(user.id))
    assert (
        await things.run(lambda tx: tx.two_factor.find_enrolment(user.id, lineage_id=LINEAGE, now=NOW))
        is None
    )
    assert await things.run(lambda tx: tx.two_factor.selectors(user.id)) == {code.selector for code in live}


# pending codes
async def test_pending_codes_replace_the_sealed_ones_and_count_for_nothing_yet(things: Things) -> None:
    user, codes = await things.user(), some_codes()
    enrolment = await things.enrolment(user)
    assert not await things.run(lambda tx: tx.two_factor.has_pending_codes(enrolment.id))
    assert await things.run(lambda tx: tx.two_factor.put_pending_codes(enrolment.id, user.id, codes))
    assert await things.run(lambda tx: tx.two_factor.has_pending_codes(enrolment.id))
    found = await things.run(lambda tx: tx.two_factor.find_enrolment(user.id, lineage_id=LINEAGE, now=NOW))
    assert found == replace(enrolment, sealed_codes=None)
    assert await things.run(lambda tx: tx.two_factor.count_codes(user.id)) == 0
    assert await things.run(lambda tx: tx.two_factor.find_code(user.id, codes[0].selector)) is None
    assert not await things.run(
        lambda tx: tx.two_factor.spend_code(f"{enrolment.id}.{codes[0].selector}", now=NOW)
    )
    assert await things.run(lambda tx: tx.two_factor.selectors(user.id)) == {code.selector for code in codes}


async def test_pending_codes_of_an_enrolment_that_is_gone_are_not_kept(things: Things) -> None:
    user, other = await things.user(), await things.user()
    enrolment = await things.enrolment(user)
    assert not await things.run(
        lambda tx: tx.two_factor.put_pending_codes(enrolment.id, other.id, some_codes())
    )
    await things.run(lambda tx: tx.two_factor.take_enrolment(enrolment.id))
    assert not await things.run(
        lambda tx: tx.two_factor.put_pending_codes(enrolment.id, user.id, some_codes())
    )
    assert not await things.run(lambda tx: tx.two_factor.has_pending_codes(enrolment.id))


async def test_pending_codes_that_were_hashed_twice_are_kept_once(things: Things) -> None:
    user, codes = await things.user(), some_codes()
    enrolment = await things.enrolment(user)
    again = [replace(code, hash="other salt") for code in codes]
    assert await things.run(lambda tx: tx.two_factor.put_pending_codes(enrolment.id, user.id, codes))
    assert await things.run(lambda tx: tx.two_factor.put_pending_codes(enrolment.id, user.id, again))
    await things.run(lambda tx: tx.two_factor.activate_pending_codes(user.id, set_id=enrolment.id, now=NOW))
    assert await things.run(lambda tx: tx.two_factor.count_codes(user.id)) == len(codes)
    found = await things.run(lambda tx: tx.two_factor.find_code(user.id, codes[0].selector))
    assert found is not None
    assert found.hash == codes[0].hash


async def test_codes_hashed_at_the_confirmation_replace_those_hashed_ahead(things: Things) -> None:
    user, codes = await things.user(), some_codes()
    enrolment = await things.enrolment(user)
    again = [replace(code, hash="other salt") for code in codes]
    await things.run(lambda tx: tx.two_factor.put_pending_codes(enrolment.id, user.id, codes))
    await things.run(lambda tx: tx.two_factor.put_codes(user.id, set_id=enrolment.id, codes=again, now=NOW))
    assert await things.run(lambda tx: tx.two_factor.count_codes(user.id)) == len(codes)
    assert not await things.run(lambda tx: tx.two_factor.has_pending_codes(enrolment.id))
    found = await things.run(lambda tx: tx.two_factor.find_code(user.id, codes[0].selector))
    assert found is not None
    assert found.hash == "other salt"


async def test_activated_codes_are_the_only_live_set(things: Things) -> None:
    user, new = await things.user(), some_codes()
    old = await things.codes(user)
    enrolment = await things.enrolment(user)
    await things.run(lambda tx: tx.two_factor.put_pending_codes(enrolment.id, user.id, new))
    assert await things.run(lambda tx: tx.two_factor.find_code(user.id, old[0].selector)) is not None
    await things.run(lambda tx: tx.two_factor.activate_pending_codes(user.id, set_id=enrolment.id, now=NOW))
    assert await things.run(lambda tx: tx.two_factor.find_code(user.id, old[0].selector)) is None
    found = await things.run(lambda tx: tx.two_factor.find_code(user.id, new[0].selector))
    assert found == StoredCode(id=f"{enrolment.id}.{new[0].selector}", hash=new[0].hash)
    assert await things.run(lambda tx: tx.two_factor.count_codes(user.id)) == len(new)


# backup codes
async def test_new_codes_are_the_only_live_set_and_used_ones_stay(things: Things) -> None:
    user, other = await things.user(), await things.user()
    foreign = await things.codes(other)
    used, old, _ = await things.codes(user)
    spent = await things.run(lambda tx: tx.two_factor.find_code(user.id, used.selector))
    assert spent is not None
    await things.run(lambda tx: tx.two_factor.spend_code(spent.id, now=NOW))
    new = await things.codes(user)
    assert await things.run(lambda tx: tx.two_factor.find_code(user.id, old.selector)) is None
    assert await things.run(lambda tx: tx.two_factor.count_codes(user.id)) == len(new)
    expected = {used.selector} | {code.selector for code in new}
    assert await things.run(lambda tx: tx.two_factor.selectors(user.id)) == expected
    assert await things.run(lambda tx: tx.two_factor.count_codes(other.id)) == len(foreign)


async def test_pending_codes_survive_new_live_ones(things: Things) -> None:
    user = await things.user()
    enrolment = await things.enrolment(user)
    await things.run(lambda tx: tx.two_factor.put_pending_codes(enrolment.id, user.id, some_codes()))
    await things.codes(user)
    await things.run(lambda tx: tx.two_factor.drop_factor(user.id))
    assert await things.run(lambda tx: tx.two_factor.has_pending_codes(enrolment.id))


async def test_code_is_used_once(things: Things) -> None:
    user, other = await things.user(), await things.user()
    codes = await things.codes(user)
    code = await things.run(lambda tx: tx.two_factor.find_code(user.id, codes[0].selector))
    assert code is not None
    assert code.hash == codes[0].hash
    assert await things.run(lambda tx: tx.two_factor.find_code(other.id, codes[0].selector)) is None
    assert await things.run(lambda tx: tx.two_factor.spend_code(code.id, now=NOW))
    assert not await things.run(lambda tx: tx.two_factor.spend_code(code.id, now=NOW))
    assert await things.run(lambda tx: tx.two_factor.find_code(user.id, codes[0].selector)) is None
    assert await things.run(lambda tx: tx.two_factor.count_codes(user.id)) == len(codes) - 1


async def test_code_whose_set_was_replaced_is_not_spent(things: Things) -> None:
    user = await things.user()
    codes = await things.codes(user)
    code = await things.run(lambda tx: tx.two_factor.find_code(user.id, codes[0].selector))
    assert code is not None
    await things.codes(user)
    assert not await things.run(lambda tx: tx.two_factor.spend_code(code.id, now=NOW))


# keeping house
async def test_sealed_rows_are_counted_by_key(things: Things) -> None:
    assert await things.run(lambda tx: tx.two_factor.count_by_kid()) == {}
    await things.factor(await things.user(), sealed_secret="v1.k1.a.b")
    await things.factor(await things.user(), sealed_secret="v1.2026-07.a.b")
    await things.enrolment(await things.user(), sealed_secret="v1.k1.a.b")
    key = StoredSigningKey(
        kid="s",
        sealed_private_key="v1.k1.a.b",
        public_jwk={},
        created_at=NOW,
        retired_at=None,
        expires_at=None,
    )
    await things.run(lambda tx: tx.sessions.add_signing_key(key))
    assert await things.run(lambda tx: tx.two_factor.count_by_kid()) == {"k1": 3, "2026-07": 1}


async def test_pruning_deletes_what_expired(things: Things) -> None:
    user, other = await things.user(), await things.user()
    enrolment = await things.enrolment(user)
    await things.run(lambda tx: tx.two_factor.put_pending_codes(enrolment.id, user.id, some_codes()))
    live = await things.codes(user)
    await things.challenge(user)
    await things.device(user)
    kept = await things.enrolment(other, expires_at=NOW + 1000 * HOUR)
    before = NOW + 800 * HOUR
    assert await things.run(lambda tx: tx.two_factor.prune_expired(before=NOW)) == 0
    assert await things.run(lambda tx: tx.two_factor.prune_expired(before=before)) == 3
    assert await things.run(lambda tx: tx.two_factor.prune_expired(before=before)) == 0
    assert await things.run(lambda tx: tx.two_factor.selectors(user.id)) == {code.selector for code in live}
    assert (
        await things.run(lambda tx: tx.two_factor.find_enrolment(other.id, lineage_id=LINEAGE, now=NOW))
        == kept
    )


async def test_pruning_takes_at_most_a_batch(things: Things, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("czo_auth.storage.store.PRUNED_AT_ONCE", 2)
    monkeypatch.setattr("czo_auth.storage.two_factor.PRUNED_AT_ONCE", 2)
    for _ in range(3):
        user = await things.user()
        await things.run(lambda tx: tx.two_factor.put_enrolment(an_enrolment(user)))  # noqa: B023
        await things.run(
            lambda tx: tx.two_factor.add_challenge(a_challenge(user), digest=a_digest(), now=NOW)  # noqa: B023
        )
    before = NOW + 100 * HOUR
    pruned = [await things.run(lambda tx: tx.two_factor.prune_expired(before=before)) for _ in range(3)]
    assert pruned == [4, 2, 0]
