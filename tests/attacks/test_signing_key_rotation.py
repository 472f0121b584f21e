"""S21: a retired signing key is accepted as long as what it signed, and a new one is known before it signs."""

from __future__ import annotations

import asyncio

import pytest

from czo_auth.core.errors import StorageUnavailable
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.people import Session
from tests.contract.tokens import part_of


async def published(here: Timed) -> list[str]:
    """Read the key ids of the JWKS, newest first."""
    return [key["kid"] for key in accepted(await here.api.get("/jwks"))["keys"]]


def kid_of(session: Session) -> str:
    return str(part_of(session.access_token, 0)["kid"])


async def signed_now(here: Timed) -> str:
    """Sign in; give the key id of the access token."""
    _, session = await here.people.newcomer()
    return kid_of(session)


async def test_new_key_is_published_six_minutes_before_it_signs(timed: Timed) -> None:
    (old,) = await published(timed)
    new = (await timed.auth.signing_keys.rotate(now=timed.clock())).kid
    timed.time.advance(seconds=6)
    assert await published(timed) == [new, old]
    timed.time.advance(seconds=360 - 6, milliseconds=-1)
    assert await signed_now(timed) == old
    timed.time.advance(milliseconds=1)
    assert await signed_now(timed) == new


@pytest.mark.parametrize("minutes", [15, 60, 5])
async def test_retired_key_is_accepted_for_the_maximum_lifetime_and_no_longer(
    deploy: Deploy, minutes: int
) -> None:
    """Also in a process that loads nothing meanwhile, and for a token that was seen before."""
    here = await deploy(access_token_minutes=minutes)
    (old,) = await published(here)
    new = (await here.auth.signing_keys.rotate(at_once=True, now=here.clock())).kid
    await here.auth.signing_keys.load(now=here.clock())
    longest = max(minutes, 15) * 60
    here.time.advance(seconds=longest + 360, milliseconds=-1)
    assert here.auth.services.access_tokens.knows(old, now=here.clock())
    assert await published(here) == [new, old]
    here.time.advance(milliseconds=1)
    assert not here.auth.services.access_tokens.knows(old, now=here.clock())
    assert await published(here) == [new]
    here.time.advance(seconds=6)
    await here.auth.signing_keys.load(now=here.clock())
    url = here.auth.settings.storage_url
    assert await sql(url, "SELECT kid FROM {}signing_keys") == [(new,)], "dropped, not only hidden"


async def test_token_of_a_key_that_ended_is_refused(timed: Timed) -> None:
    """A forger with a stolen key writes tokens of any age."""
    stolen = timed.auth.services.access_tokens._signing_key(timed.clock())
    account, session = await timed.people.newcomer()
    await timed.auth.signing_keys.rotate(at_once=True, now=timed.clock())
    await timed.auth.signing_keys.load(now=timed.clock())
    timed.time.advance(seconds=15 * 60 + 360)
    from czo_auth.crypto import jwt

    now = int(timed.clock().timestamp())
    claims = {**part_of(session.access_token, 1), "iat": now, "exp": now + 600}
    forged = jwt.sign(claims, stolen)
    for _ in range(2):
        refused(await timed.api.get("/session", bearer=forged), 401, "INVALID_TOKEN")
        timed.time.advance(seconds=6)
    assert account.id == claims["sub"]


async def test_rotation_at_once_ends_one_that_waits(timed: Timed) -> None:
    (old,) = await published(timed)
    waiting = (await timed.auth.signing_keys.rotate(now=timed.clock())).kid
    timed.time.advance(seconds=60)
    new = (await timed.auth.signing_keys.rotate(at_once=True, now=timed.clock())).kid
    timed.time.advance(seconds=6)
    assert await published(timed) == [new, waiting, old]
    assert await signed_now(timed) == new
    timed.time.advance(minutes=10)
    assert await signed_now(timed) == new


async def test_rotations_after_one_another_take_turns(timed: Timed) -> None:
    (old,) = await published(timed)
    first = (await timed.auth.signing_keys.rotate(now=timed.clock())).kid
    timed.time.advance(seconds=120)
    second = (await timed.auth.signing_keys.rotate(now=timed.clock())).kid
    await timed.auth.signing_keys.load(now=timed.clock())
    assert await signed_now(timed) == old
    timed.time.advance(seconds=240)
    assert await signed_now(timed) == first
    timed.time.advance(seconds=120)
    assert await signed_now(timed) == second


@pytest.mark.each_database
async def test_key_of_a_month_ago_is_replaced_by_one_process_only(deploy: Deploy) -> None:
    one = await deploy()
    other = await deploy(one.auth.settings.database_url)
    for here in (one, other):
        here.time.advance(days=31)
    await asyncio.gather(*[here.auth.signing_keys.load(now=here.clock()) for here in (one, other)])
    assert len(await published(one)) == 2
    assert await published(one) == await published(other)
    assert await signed_now(one) == (await published(one))[1], "the new one waits for its turn"


async def test_keys_may_be_cached_for_five_minutes_and_refusals_never(timed: Timed) -> None:
    answer = await timed.api.get("/jwks")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert set(answer.json()) == {"keys"}
    assert (await timed.api.post("/jwks", {})).headers["cache-control"] == "no-store"
    assert (await timed.api.get("/openapi.json")).headers["cache-control"] == "no-store"


async def test_nothing_is_signed_before_keys_are_loaded(timed: Timed) -> None:
    fresh = type(timed.auth.services.access_tokens)(
        issuer="https://a.test", audience="a", lifetime=timed.auth.services.access_tokens.lifetime
    )
    with pytest.raises(StorageUnavailable):
        fresh.verify("a.b.c", now=timed.clock())
