"""What the port of the second factors promises of attempts, challenges and trusted devices."""

from __future__ import annotations

from dataclasses import replace

from czo_auth.core.transaction import Transaction
from tests.support.records import HOUR, NOW, SECOND, a_digest, an_id
from tests.support.rows import Rows


# attempts
async def test_attempts_are_counted_for_each_user(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    counted = [await rows.run(lambda tx: tx.challenges.reserve_attempt(user.id, now=NOW)) for _ in range(3)]
    assert counted == [1, 2, 3]
    assert await rows.run(lambda tx: tx.challenges.reserve_attempt(other.id, now=NOW)) == 1
    assert await rows.run(lambda tx: tx.challenges.find_lock(user.id)) == (None, False)
    assert await rows.run(lambda tx: tx.challenges.find_lock(an_id())) == (None, False)


async def test_nothing_is_counted_while_locked(rows: Rows) -> None:
    user, until = await rows.user(), NOW + HOUR
    await rows.run(lambda tx: tx.challenges.reserve_attempt(user.id, now=NOW))
    await rows.run(lambda tx: tx.challenges.lock_until(user.id, until=until, stopped=False))
    assert await rows.run(lambda tx: tx.challenges.find_lock(user.id)) == (until, False)
    for _ in range(2):
        assert await rows.run(lambda tx: tx.challenges.reserve_attempt(user.id, now=until - SECOND)) is None
    assert await rows.run(lambda tx: tx.challenges.reserve_attempt(user.id, now=until)) == 2


async def test_nothing_is_counted_once_stopped_whatever_comes_later(rows: Rows) -> None:
    user = await rows.user()
    await rows.run(lambda tx: tx.challenges.lock_until(user.id, until=None, stopped=True))
    await rows.run(lambda tx: tx.challenges.lock_until(user.id, until=NOW + HOUR, stopped=False))
    assert await rows.run(lambda tx: tx.challenges.find_lock(user.id)) == (NOW + HOUR, True)
    late = NOW + 1000 * HOUR
    assert await rows.run(lambda tx: tx.challenges.reserve_attempt(user.id, now=late)) is None


async def test_cleared_attempts_are_counted_from_zero(rows: Rows) -> None:
    user = await rows.user()
    await rows.run(lambda tx: tx.challenges.reserve_attempt(user.id, now=NOW))
    await rows.run(lambda tx: tx.challenges.lock_until(user.id, until=NOW + HOUR, stopped=True))
    await rows.run(lambda tx: tx.challenges.clear_attempts(user.id))
    assert await rows.run(lambda tx: tx.challenges.find_lock(user.id)) == (None, False)
    assert await rows.run(lambda tx: tx.challenges.reserve_attempt(user.id, now=NOW)) == 1


async def test_stop_is_cleared_with_its_failures_and_the_timed_lock_stays(rows: Rows) -> None:
    user, until = await rows.user(), NOW + HOUR
    assert not await rows.run(lambda tx: tx.challenges.clear_stop(user.id))
    await rows.run(lambda tx: tx.challenges.reserve_attempt(user.id, now=NOW))
    await rows.run(lambda tx: tx.challenges.lock_until(user.id, until=until, stopped=False))
    assert not await rows.run(lambda tx: tx.challenges.clear_stop(user.id))
    await rows.run(lambda tx: tx.challenges.lock_until(user.id, until=until, stopped=True))
    assert await rows.run(lambda tx: tx.challenges.clear_stop(user.id))
    assert await rows.run(lambda tx: tx.challenges.find_lock(user.id)) == (until, False)
    assert await rows.run(lambda tx: tx.challenges.reserve_attempt(user.id, now=until)) == 1


# challenges
async def test_challenge_is_claimed_up_to_one_beyond_the_most(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    challenge = await rows.challenge(user, digest=digest)
    claimed = [
        await rows.run(lambda tx: tx.challenges.claim_challenge(digest, now=NOW, max_attempts=2))
        for _ in range(5)
    ]
    assert claimed == [*(replace(challenge, attempts=attempts) for attempts in (1, 2, 3)), None, None]


async def test_unknown_expired_and_used_challenges_are_not_claimed(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    challenge = await rows.challenge(user, digest=digest)
    end = challenge.expires_at
    assert (
        await rows.run(lambda tx: tx.challenges.claim_challenge(a_digest(), now=NOW, max_attempts=5)) is None
    )
    assert await rows.run(lambda tx: tx.challenges.claim_challenge(digest, now=end, max_attempts=5)) is None
    assert await rows.run(lambda tx: tx.challenges.consume_challenge(challenge.id, now=NOW))
    assert await rows.run(lambda tx: tx.challenges.claim_challenge(digest, now=NOW, max_attempts=5)) is None


async def test_challenge_is_consumed_once_and_before_it_expires(rows: Rows) -> None:
    user = await rows.user()
    challenge, late = await rows.challenge(user), await rows.challenge(user)
    assert await rows.run(lambda tx: tx.challenges.consume_challenge(challenge.id, now=NOW))
    assert not await rows.run(lambda tx: tx.challenges.consume_challenge(challenge.id, now=NOW))
    assert not await rows.run(lambda tx: tx.challenges.consume_challenge(late.id, now=late.expires_at))


async def test_challenges_of_a_user_are_dropped(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    mine, foreign = await rows.challenge(user), await rows.challenge(other)
    await rows.run(lambda tx: tx.challenges.drop_challenges(user.id))
    assert not await rows.run(lambda tx: tx.challenges.consume_challenge(mine.id, now=NOW))
    assert await rows.run(lambda tx: tx.challenges.consume_challenge(foreign.id, now=NOW))


# trusted devices
async def test_trusted_device_is_found_until_it_expires(rows: Rows) -> None:
    user, digest = await rows.user(), a_digest()
    device = await rows.device(user, digest=digest)
    end = device.expires_at
    assert await rows.run(lambda tx: tx.challenges.find_trusted_device(digest, now=NOW)) == device
    assert await rows.run(lambda tx: tx.challenges.find_trusted_device(digest, now=end)) is None
    assert await rows.run(lambda tx: tx.challenges.find_trusted_device(a_digest(), now=NOW)) is None


async def test_trusted_device_is_rotated_once(rows: Rows) -> None:
    user, old, new = await rows.user(), a_digest(), a_digest()
    device = await rows.device(user, digest=old)
    slid = replace(device, last_used_at=NOW + HOUR, expires_at=device.expires_at + HOUR, ip="192.0.2.7")

    def rotate(tx: Transaction) -> bool:
        return tx.challenges.rotate_trusted_device(slid, old_digest=old, new_digest=new)

    assert await rows.run(rotate)
    assert not await rows.run(rotate)
    assert await rows.run(lambda tx: tx.challenges.find_trusted_device(old, now=NOW)) is None
    assert await rows.run(lambda tx: tx.challenges.find_trusted_device(new, now=NOW)) == slid


async def test_trusted_devices_are_listed_newest_first_and_dropped(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    foreign = await rows.device(other)
    old = await rows.device(user, created_at=NOW - HOUR)
    new = await rows.device(user)
    await rows.device(user, expires_at=NOW)
    assert await rows.run(lambda tx: tx.challenges.list_trusted_devices(user.id, limit=9, now=NOW)) == [
        new,
        old,
    ]
    assert not await rows.run(lambda tx: tx.challenges.drop_trusted_device(user.id, foreign.id))
    assert await rows.run(lambda tx: tx.challenges.drop_trusted_device(user.id, new.id))
    assert not await rows.run(lambda tx: tx.challenges.drop_trusted_device(user.id, new.id))
    assert await rows.run(lambda tx: tx.challenges.list_trusted_devices(user.id, limit=9, now=NOW)) == [old]
    await rows.run(lambda tx: tx.challenges.drop_trusted_devices(user.id))
    assert await rows.run(lambda tx: tx.challenges.list_trusted_devices(user.id, limit=9, now=NOW)) == []
    assert await rows.run(lambda tx: tx.challenges.list_trusted_devices(other.id, limit=9, now=NOW)) == [
        foreign
    ]


async def test_device_used_longest_ago_goes_when_there_are_too_many(rows: Rows) -> None:
    user, other = await rows.user(), await rows.user()
    foreign = await rows.device(other, last_used_at=NOW - 9 * HOUR)
    devices = [await rows.device(user, last_used_at=NOW - hours * HOUR) for hours in (3, 1, 4, 2)]
    await rows.run(lambda tx: tx.challenges.drop_surplus_devices(user.id, limit=2))
    left = await rows.run(lambda tx: tx.challenges.list_trusted_devices(user.id, limit=9, now=NOW))
    assert {device.id for device in left} == {devices[1].id, devices[3].id}
    assert await rows.run(lambda tx: tx.challenges.list_trusted_devices(other.id, limit=9, now=NOW)) == [
        foreign
    ]
