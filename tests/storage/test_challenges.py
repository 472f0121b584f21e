"""What the port of the second factors promises of attempts, challenges and trusted devices."""

from __future__ import annotations

from dataclasses import replace

from czo_auth.core.transaction import Transaction
from tests.storage.rows import HOUR, NOW, SECOND, Things, a_digest, an_id


# attempts
async def test_attempts_are_counted_for_each_user(things: Things) -> None:
    user, other = await things.user(), await things.user()
    counted = [await things.run(lambda tx: tx.two_factor.reserve_attempt(user.id, now=NOW)) for _ in range(3)]
    assert counted == [1, 2, 3]
    assert await things.run(lambda tx: tx.two_factor.reserve_attempt(other.id, now=NOW)) == 1
    assert await things.run(lambda tx: tx.two_factor.find_lock(user.id)) == (None, False)
    assert await things.run(lambda tx: tx.two_factor.find_lock(an_id())) == (None, False)


async def test_nothing_is_counted_while_locked(things: Things) -> None:
    user, until = await things.user(), NOW + HOUR
    await things.run(lambda tx: tx.two_factor.reserve_attempt(user.id, now=NOW))
    await things.run(lambda tx: tx.two_factor.lock_until(user.id, until=until, stopped=False))
    assert await things.run(lambda tx: tx.two_factor.find_lock(user.id)) == (until, False)
    for _ in range(2):
        assert await things.run(lambda tx: tx.two_factor.reserve_attempt(user.id, now=until - SECOND)) is None
    assert await things.run(lambda tx: tx.two_factor.reserve_attempt(user.id, now=until)) == 2


async def test_nothing_is_counted_once_stopped_whatever_comes_later(things: Things) -> None:
    user = await things.user()
    await things.run(lambda tx: tx.two_factor.lock_until(user.id, until=None, stopped=True))
    await things.run(lambda tx: tx.two_factor.lock_until(user.id, until=NOW + HOUR, stopped=False))
    assert await things.run(lambda tx: tx.two_factor.find_lock(user.id)) == (NOW + HOUR, True)
    late = NOW + 1000 * HOUR
    assert await things.run(lambda tx: tx.two_factor.reserve_attempt(user.id, now=late)) is None


async def test_cleared_attempts_begin_anew(things: Things) -> None:
    user = await things.user()
    await things.run(lambda tx: tx.two_factor.reserve_attempt(user.id, now=NOW))
    await things.run(lambda tx: tx.two_factor.lock_until(user.id, until=NOW + HOUR, stopped=True))
    await things.run(lambda tx: tx.two_factor.clear_attempts(user.id))
    assert await things.run(lambda tx: tx.two_factor.find_lock(user.id)) == (None, False)
    assert await things.run(lambda tx: tx.two_factor.reserve_attempt(user.id, now=NOW)) == 1


async def test_stop_is_cleared_with_its_failures_and_the_timed_lock_stays(things: Things) -> None:
    user, until = await things.user(), NOW + HOUR
    assert not await things.run(lambda tx: tx.two_factor.clear_stop(user.id))
    await things.run(lambda tx: tx.two_factor.reserve_attempt(user.id, now=NOW))
    await things.run(lambda tx: tx.two_factor.lock_until(user.id, until=until, stopped=False))
    assert not await things.run(lambda tx: tx.two_factor.clear_stop(user.id))
    await things.run(lambda tx: tx.two_factor.lock_until(user.id, until=until, stopped=True))
    assert await things.run(lambda tx: tx.two_factor.clear_stop(user.id))
    assert await things.run(lambda tx: tx.two_factor.find_lock(user.id)) == (until, False)
    assert await things.run(lambda tx: tx.two_factor.reserve_attempt(user.id, now=until)) == 1


# challenges
async def test_challenge_is_claimed_up_to_one_beyond_the_most(things: Things) -> None:
    user, digest = await things.user(), a_digest()
    challenge = await things.challenge(user, digest=digest)
    claimed = [
        await things.run(lambda tx: tx.two_factor.claim_challenge(digest, now=NOW, most=2)) for _ in range(5)
    ]
    assert claimed == [*(replace(challenge, attempts=attempts) for attempts in (1, 2, 3)), None, None]


async def test_unknown_expired_and_used_challenges_are_not_claimed(things: Things) -> None:
    user, digest = await things.user(), a_digest()
    challenge = await things.challenge(user, digest=digest)
    end = challenge.expires_at
    assert await things.run(lambda tx: tx.two_factor.claim_challenge(a_digest(), now=NOW, most=5)) is None
    assert await things.run(lambda tx: tx.two_factor.claim_challenge(digest, now=end, most=5)) is None
    assert await things.run(lambda tx: tx.two_factor.consume_challenge(challenge.id, now=NOW))
    assert await things.run(lambda tx: tx.two_factor.claim_challenge(digest, now=NOW, most=5)) is None


async def test_challenge_is_consumed_once_and_in_time(things: Things) -> None:
    user = await things.user()
    challenge, late = await things.challenge(user), await things.challenge(user)
    assert await things.run(lambda tx: tx.two_factor.consume_challenge(challenge.id, now=NOW))
    assert not await things.run(lambda tx: tx.two_factor.consume_challenge(challenge.id, now=NOW))
    assert not await things.run(lambda tx: tx.two_factor.consume_challenge(late.id, now=late.expires_at))


async def test_challenges_of_a_user_are_dropped(things: Things) -> None:
    user, other = await things.user(), await things.user()
    mine, foreign = await things.challenge(user), await things.challenge(other)
    await things.run(lambda tx: tx.two_factor.drop_challenges(user.id))
    assert not await things.run(lambda tx: tx.two_factor.consume_challenge(mine.id, now=NOW))
    assert await things.run(lambda tx: tx.two_factor.consume_challenge(foreign.id, now=NOW))


# trusted devices
async def test_trusted_device_is_found_until_it_expires(things: Things) -> None:
    user, digest = await things.user(), a_digest()
    device = await things.device(user, digest=digest)
    end = device.expires_at
    assert await things.run(lambda tx: tx.two_factor.find_trusted_device(digest, now=NOW)) == device
    assert await things.run(lambda tx: tx.two_factor.find_trusted_device(digest, now=end)) is None
    assert await things.run(lambda tx: tx.two_factor.find_trusted_device(a_digest(), now=NOW)) is None


async def test_trusted_device_is_rotated_once(things: Things) -> None:
    user, old, new = await things.user(), a_digest(), a_digest()
    device = await things.device(user, digest=old)
    slid = replace(device, last_used_at=NOW + HOUR, expires_at=device.expires_at + HOUR, ip="192.0.2.7")

    def rotate(tx: Transaction) -> bool:
        return tx.two_factor.rotate_trusted_device(slid, old_digest=old, new_digest=new)

    assert await things.run(rotate)
    assert not await things.run(rotate)
    assert await things.run(lambda tx: tx.two_factor.find_trusted_device(old, now=NOW)) is None
    assert await things.run(lambda tx: tx.two_factor.find_trusted_device(new, now=NOW)) == slid


async def test_trusted_devices_are_listed_newest_first_and_dropped(things: Things) -> None:
    user, other = await things.user(), await things.user()
    foreign = await things.device(other)
    old = await things.device(user, created_at=NOW - HOUR)
    new = await things.device(user)
    await things.device(user, expires_at=NOW)
    assert await things.run(lambda tx: tx.two_factor.list_trusted_devices(user.id, now=NOW)) == [new, old]
    assert not await things.run(lambda tx: tx.two_factor.drop_trusted_device(user.id, foreign.id))
    assert await things.run(lambda tx: tx.two_factor.drop_trusted_device(user.id, new.id))
    assert not await things.run(lambda tx: tx.two_factor.drop_trusted_device(user.id, new.id))
    assert await things.run(lambda tx: tx.two_factor.list_trusted_devices(user.id, now=NOW)) == [old]
    await things.run(lambda tx: tx.two_factor.drop_trusted_devices(user.id))
    assert await things.run(lambda tx: tx.two_factor.list_trusted_devices(user.id, now=NOW)) == []
    assert await things.run(lambda tx: tx.two_factor.list_trusted_devices(other.id, now=NOW)) == [foreign]
