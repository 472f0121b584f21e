"""What the port of the second factors promises of factors, enrollments and backup codes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.core.two_factor.factor import StoredCode, TotpFactor
from tests.support.records import (
    HOUR,
    LINEAGE,
    NOW,
    SECOND,
    a_challenge,
    a_digest,
    an_enrollment,
    an_id,
    some_codes,
)
from tests.support.rows import Rows


# factors
async def test_user_has_one_factor(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    assert await rows.run(lambda tx: tx.two_factor.find_factor(user.id)) is None
    await rows.factor(user)
    factor = await rows.factor(user, last_step=99)
    foreign = await rows.factor(other)
    assert await rows.run(lambda tx: tx.two_factor.find_factor(user.id)) == factor
    assert await rows.run(lambda tx: tx.two_factor.find_factor(other.id)) == foreign


async def test_step_is_spent_once_and_only_forwards(rows: Rows) -> None:
    factor = await rows.factor(await rows.user(), last_step=10)
    spent = [
        await rows.run(lambda tx: tx.two_factor.consume_step(factor.id, step=step))  # noqa: B023
        for step in (10, 9, 11, 11, 10, 2**40, 12)
    ]
    assert spent == [False, False, True, False, False, True, False]


async def test_step_of_an_unknown_factor_is_not_spent(rows: Rows) -> None:
    assert not await rows.run(lambda tx: tx.two_factor.consume_step(an_id(), step=1))


async def test_dropped_factor_keeps_its_codes_until_they_are_dropped_too(rows: Rows) -> None:
    user = await rows.user()
    await rows.factor(user)
    used, unused, _ = await rows.codes(user)
    code = await rows.run(lambda tx: tx.two_factor.find_code(user.id, used.selector))
    assert code is not None
    assert await rows.run(lambda tx: tx.two_factor.consume_code(code.id, now=NOW))

    assert await rows.run(lambda tx: tx.two_factor.drop_factor(user.id))
    assert not await rows.run(lambda tx: tx.two_factor.drop_factor(user.id))
    assert await rows.run(lambda tx: tx.two_factor.find_factor(user.id)) is None
    assert await rows.run(lambda tx: tx.two_factor.find_code(user.id, unused.selector)) is not None
    await rows.run(lambda tx: tx.two_factor.drop_codes(user.id))
    assert await rows.run(lambda tx: tx.two_factor.find_code(user.id, unused.selector)) is None
    assert await rows.run(lambda tx: tx.two_factor.selectors(user.id)) == {used.selector}


async def test_factor_is_reencrypted_only_from_what_was_read(rows: Rows) -> None:
    factor = await rows.factor(await rows.user())
    old = factor.sealed_secret
    assert await rows.run(lambda tx: tx.two_factor.reencrypt_factor(factor.id, old=old, new="v1.k2.a.b"))
    assert not await rows.run(lambda tx: tx.two_factor.reencrypt_factor(factor.id, old=old, new="v1.k3.a.b"))
    found = await rows.run(lambda tx: tx.two_factor.find_factor(factor.user_id))
    assert found == replace(factor, sealed_secret="v1.k2.a.b")


async def test_factors_are_read_in_batches_by_id(rows: Rows) -> None:
    factors = [await rows.factor(await rows.user()) for _ in range(5)]
    found: list[TotpFactor] = []
    after = ""
    while batch := await rows.run(lambda tx: tx.two_factor.sealed_after(after, limit=2)):  # noqa: B023
        found += batch
        after = batch[-1].id
    assert found == factors


# enrollments
async def test_new_enrollment_replaces_the_one_before_with_its_codes(rows: Rows) -> None:
    user = await rows.user()
    first = await rows.enrollment(user)
    await rows.run(lambda tx: tx.two_factor.put_pending_codes(first.id, user.id, some_codes()))
    second = await rows.enrollment(user, replaces=True, sealed_codes=None)
    assert (
        await rows.run(lambda tx: tx.two_factor.find_enrollment(user.id, lineage_id=LINEAGE, now=NOW))
        == second
    )
    assert not await rows.run(lambda tx: tx.two_factor.has_pending_codes(first.id))
    assert not await rows.run(lambda tx: tx.two_factor.take_enrollment(first.id))
    assert await rows.run(lambda tx: tx.two_factor.selectors(user.id)) == set()


async def test_expired_enrollment_is_not_found(rows: Rows) -> None:
    user = await rows.user()
    enrollment = await rows.enrollment(user)
    end = enrollment.expires_at
    assert (
        await rows.run(
            lambda tx: tx.two_factor.find_enrollment(user.id, lineage_id=LINEAGE, now=end - SECOND)
        )
        == enrollment
    )
    assert (
        await rows.run(lambda tx: tx.two_factor.find_enrollment(user.id, lineage_id=LINEAGE, now=end)) is None
    )


async def test_enrollment_is_taken_once(rows: Rows) -> None:
    enrollment = await rows.enrollment(await rows.user())
    assert await rows.run(lambda tx: tx.two_factor.take_enrollment(enrollment.id))
    assert not await rows.run(lambda tx: tx.two_factor.take_enrollment(enrollment.id))


async def test_dropped_enrollment_takes_its_codes_along_and_leaves_live_ones(rows: Rows) -> None:
    user = await rows.user()
    live = await rows.codes(user)
    enrollment = await rows.enrollment(user)
    await rows.run(lambda tx: tx.two_factor.put_pending_codes(enrollment.id, user.id, some_codes()))
    await rows.run(lambda tx: tx.two_factor.drop_enrollment(user.id))
    assert (
        await rows.run(lambda tx: tx.two_factor.find_enrollment(user.id, lineage_id=LINEAGE, now=NOW)) is None
    )
    assert await rows.run(lambda tx: tx.two_factor.selectors(user.id)) == {code.selector for code in live}


# pending codes
async def test_pending_codes_replace_the_sealed_ones_and_count_for_nothing_yet(rows: Rows) -> None:
    user, codes = await rows.user(), some_codes()
    enrollment = await rows.enrollment(user)
    assert not await rows.run(lambda tx: tx.two_factor.has_pending_codes(enrollment.id))
    assert await rows.run(lambda tx: tx.two_factor.put_pending_codes(enrollment.id, user.id, codes))
    assert await rows.run(lambda tx: tx.two_factor.has_pending_codes(enrollment.id))
    found = await rows.run(lambda tx: tx.two_factor.find_enrollment(user.id, lineage_id=LINEAGE, now=NOW))
    assert found == replace(enrollment, sealed_codes=None)
    assert await rows.run(lambda tx: tx.two_factor.count_codes(user.id)) == 0
    assert await rows.run(lambda tx: tx.two_factor.find_code(user.id, codes[0].selector)) is None
    assert not await rows.run(
        lambda tx: tx.two_factor.consume_code(f"{enrollment.id}.{codes[0].selector}", now=NOW)
    )
    assert await rows.run(lambda tx: tx.two_factor.selectors(user.id)) == {code.selector for code in codes}


async def test_pending_codes_of_an_enrollment_that_is_gone_are_not_kept(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    enrollment = await rows.enrollment(user)
    assert not await rows.run(
        lambda tx: tx.two_factor.put_pending_codes(enrollment.id, other.id, some_codes())
    )
    await rows.run(lambda tx: tx.two_factor.take_enrollment(enrollment.id))
    assert not await rows.run(
        lambda tx: tx.two_factor.put_pending_codes(enrollment.id, user.id, some_codes())
    )
    assert not await rows.run(lambda tx: tx.two_factor.has_pending_codes(enrollment.id))


async def test_pending_codes_that_were_hashed_twice_are_kept_once(rows: Rows) -> None:
    user, codes = await rows.user(), some_codes()
    enrollment = await rows.enrollment(user)
    again = [replace(code, hash="other salt") for code in codes]
    assert await rows.run(lambda tx: tx.two_factor.put_pending_codes(enrollment.id, user.id, codes))
    assert await rows.run(lambda tx: tx.two_factor.put_pending_codes(enrollment.id, user.id, again))
    await rows.run(lambda tx: tx.two_factor.activate_pending_codes(user.id, set_id=enrollment.id, now=NOW))
    assert await rows.run(lambda tx: tx.two_factor.count_codes(user.id)) == len(codes)
    found = await rows.run(lambda tx: tx.two_factor.find_code(user.id, codes[0].selector))
    assert found is not None
    assert found.hash == codes[0].hash


async def test_codes_hashed_at_the_confirmation_replace_those_hashed_ahead(rows: Rows) -> None:
    user, codes = await rows.user(), some_codes()
    enrollment = await rows.enrollment(user)
    again = [replace(code, hash="other salt") for code in codes]
    await rows.run(lambda tx: tx.two_factor.put_pending_codes(enrollment.id, user.id, codes))
    await rows.run(lambda tx: tx.two_factor.put_codes(user.id, set_id=enrollment.id, codes=again, now=NOW))
    assert await rows.run(lambda tx: tx.two_factor.count_codes(user.id)) == len(codes)
    assert not await rows.run(lambda tx: tx.two_factor.has_pending_codes(enrollment.id))
    found = await rows.run(lambda tx: tx.two_factor.find_code(user.id, codes[0].selector))
    assert found is not None
    assert found.hash == "other salt"


async def test_activated_codes_are_the_only_live_set(rows: Rows) -> None:
    user, new = await rows.user(), some_codes()
    old = await rows.codes(user)
    enrollment = await rows.enrollment(user)
    await rows.run(lambda tx: tx.two_factor.put_pending_codes(enrollment.id, user.id, new))
    assert await rows.run(lambda tx: tx.two_factor.find_code(user.id, old[0].selector)) is not None
    await rows.run(lambda tx: tx.two_factor.activate_pending_codes(user.id, set_id=enrollment.id, now=NOW))
    assert await rows.run(lambda tx: tx.two_factor.find_code(user.id, old[0].selector)) is None
    found = await rows.run(lambda tx: tx.two_factor.find_code(user.id, new[0].selector))
    assert found == StoredCode(id=f"{enrollment.id}.{new[0].selector}", hash=new[0].hash)
    assert await rows.run(lambda tx: tx.two_factor.count_codes(user.id)) == len(new)


# backup codes
async def test_new_codes_are_the_only_live_set_and_used_ones_stay(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    foreign = await rows.codes(other)
    used, old, _ = await rows.codes(user)
    spent = await rows.run(lambda tx: tx.two_factor.find_code(user.id, used.selector))
    assert spent is not None
    await rows.run(lambda tx: tx.two_factor.consume_code(spent.id, now=NOW))
    new = await rows.codes(user)
    assert await rows.run(lambda tx: tx.two_factor.find_code(user.id, old.selector)) is None
    assert await rows.run(lambda tx: tx.two_factor.count_codes(user.id)) == len(new)
    expected = {used.selector} | {code.selector for code in new}
    assert await rows.run(lambda tx: tx.two_factor.selectors(user.id)) == expected
    assert await rows.run(lambda tx: tx.two_factor.count_codes(other.id)) == len(foreign)


async def test_pending_codes_survive_new_live_ones(rows: Rows) -> None:
    user = await rows.user()
    enrollment = await rows.enrollment(user)
    await rows.run(lambda tx: tx.two_factor.put_pending_codes(enrollment.id, user.id, some_codes()))
    await rows.codes(user)
    await rows.run(lambda tx: tx.two_factor.drop_factor(user.id))
    assert await rows.run(lambda tx: tx.two_factor.has_pending_codes(enrollment.id))


async def test_code_is_used_once(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    codes = await rows.codes(user)
    code = await rows.run(lambda tx: tx.two_factor.find_code(user.id, codes[0].selector))
    assert code is not None
    assert code.hash == codes[0].hash
    assert await rows.run(lambda tx: tx.two_factor.find_code(other.id, codes[0].selector)) is None
    assert await rows.run(lambda tx: tx.two_factor.consume_code(code.id, now=NOW))
    assert not await rows.run(lambda tx: tx.two_factor.consume_code(code.id, now=NOW))
    assert await rows.run(lambda tx: tx.two_factor.find_code(user.id, codes[0].selector)) is None
    assert await rows.run(lambda tx: tx.two_factor.count_codes(user.id)) == len(codes) - 1


async def test_code_whose_set_was_replaced_is_not_spent(rows: Rows) -> None:
    user = await rows.user()
    codes = await rows.codes(user)
    code = await rows.run(lambda tx: tx.two_factor.find_code(user.id, codes[0].selector))
    assert code is not None
    await rows.codes(user)
    assert not await rows.run(lambda tx: tx.two_factor.consume_code(code.id, now=NOW))


# housekeeping
async def test_sealed_rows_are_counted_by_key(rows: Rows) -> None:
    assert await rows.run(lambda tx: tx.two_factor.count_by_kid()) == {}
    await rows.factor(await rows.user(), sealed_secret="v1.k1.a.b")
    await rows.factor(await rows.user(), sealed_secret="v1.2026-07.a.b")
    await rows.enrollment(await rows.user(), sealed_secret="v1.k1.a.b")
    key = StoredSigningKey(
        kid="s",
        sealed_private_key="v1.k1.a.b",
        public_jwk={},
        created_at=NOW,
        retired_at=None,
        expires_at=None,
    )
    await rows.run(lambda tx: tx.sessions.add_signing_key(key))
    assert await rows.run(lambda tx: tx.two_factor.count_by_kid()) == {"k1": 3, "2026-07": 1}


async def test_pruning_deletes_what_expired(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    enrollment = await rows.enrollment(user)
    await rows.run(lambda tx: tx.two_factor.put_pending_codes(enrollment.id, user.id, some_codes()))
    live = await rows.codes(user)
    await rows.challenge(user)
    await rows.device(user)
    kept = await rows.enrollment(other, expires_at=NOW + 1000 * HOUR)
    before = NOW + 800 * HOUR
    assert await rows.run(lambda tx: tx.two_factor.prune_expired(before=NOW)) == 0
    assert await rows.run(lambda tx: tx.two_factor.prune_expired(before=before)) == 3
    assert await rows.run(lambda tx: tx.two_factor.prune_expired(before=before)) == 0
    assert await rows.run(lambda tx: tx.two_factor.selectors(user.id)) == {code.selector for code in live}
    assert (
        await rows.run(lambda tx: tx.two_factor.find_enrollment(other.id, lineage_id=LINEAGE, now=NOW))
        == kept
    )


async def test_pruning_takes_at_most_a_batch(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("czo_auth.storage.store.PRUNED_AT_ONCE", 2)
    monkeypatch.setattr("czo_auth.storage.two_factor.PRUNED_AT_ONCE", 2)
    for _ in range(3):
        user = await rows.user()
        await rows.run(lambda tx: tx.two_factor.put_enrollment(an_enrollment(user.id)))  # noqa: B023
        await rows.run(
            lambda tx: tx.challenges.add_challenge(a_challenge(user), digest=a_digest(), now=NOW)  # noqa: B023
        )
    before = NOW + 100 * HOUR
    pruned = [await rows.run(lambda tx: tx.two_factor.prune_expired(before=before)) for _ in range(3)]
    assert pruned == [4, 2, 0]
