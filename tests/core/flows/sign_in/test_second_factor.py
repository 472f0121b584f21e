"""The second step grants by what is true when it grants, and what it refuses costs nothing (S3, S4, S25, S30)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import pytest

from czo_auth.core.context import Context
from czo_auth.core.errors import InvalidChallenge, InvalidToken, RateLimited
from czo_auth.core.events.types import AuditFilter
from czo_auth.core.flows.sign_in.second_factor import SecondFactor
from czo_auth.core.flows.two_factor.verify_code import VerifiedCode, VerifyCode
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import tokens
from tests.contract.databases import SqliteDatabases
from tests.contract.deployments import Timed, timed_deployment


def from_here(now: datetime) -> Context:
    """Return the context of an act at *now*."""
    return Context(now=now, ip="192.0.2.7", request_id="test")


UNKNOWN = "czc_" + "A" * 43


@pytest.fixture
async def here(sqlite_databases: SqliteDatabases) -> AsyncIterator[Timed]:
    """A deployment in which Carol has a second factor."""
    async with timed_deployment(
        sqlite_databases.new(), sqlite_databases.prepared, rate_limit_enabled=True
    ) as opened:
        yield opened


async def complete(here: Timed, challenge: str, code: str) -> None:
    await SecondFactor(here.runtime.services).complete_sign_in(
        challenge, code, "totp", wants_trust=False, context=from_here(here.clock())
    )


async def step_up(here: Timed, principal: Principal, code: str) -> None:
    await SecondFactor(here.runtime.services).step_up(
        code, "totp", context=from_here(here.clock()).of(principal)
    )


async def signed_in(here: Timed) -> Principal:
    session = await here.people.sign_in(here.carol)
    return await here.runtime.authenticate.session_token(session.token, now=here.clock())


async def last_used_step(here: Timed) -> int | None:
    factor = await here.runtime.services.transactions.read(
        lambda tx: tx.two_factor.find_factor(here.carol.id)
    )
    assert factor is not None
    return factor.last_step


def happens_after_the_proof(
    monkeypatch: pytest.MonkeyPatch, here: Timed, proof: str, change: Callable[[Transaction, Any], object]
) -> None:
    """Let something be committed between the proof of a code and the transaction that grants."""
    prove = getattr(VerifyCode, proof)

    async def prove_and_lose_the_race(*args: Any, **more: Any) -> VerifiedCode:
        proved: VerifiedCode = await prove(*args, **more)
        await here.runtime.services.transactions.run(lambda tx: change(tx, proved))
        return proved

    monkeypatch.setattr(VerifyCode, proof, prove_and_lose_the_race)


CHANGES: dict[str, Callable[[Transaction, VerifiedCode, Timed], object]] = {
    "banned": lambda tx, proved, here: tx.users.set_ban(
        proved.user_id, banned_at=here.clock(), reason="test", now=here.clock()
    ),
    "credentials changed": lambda tx, proved, here: tx.users.bump_credential_version(
        proved.user_id, now=here.clock()
    ),
    "lost the actor type": lambda tx, proved, here: tx.users.set_actor_types(
        proved.user_id, actor_types=frozenset({"merchant"}), grants={}, now=here.clock()
    ),
    "challenge consumed": lambda tx, proved, here: tx.challenges.consume_challenge(
        proved.challenge.id if proved.challenge else "", now=here.clock()
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_changed_after_the_proof_refuses_the_sign_in_and_spends_nothing(
    here: Timed,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Transaction, VerifiedCode, Timed], object],
) -> None:
    challenge, before = await here.people.challenge(here.carol), await last_used_step(here)
    happens_after_the_proof(monkeypatch, here, "for_challenge", lambda tx, proved: change(tx, proved, here))
    with pytest.raises(InvalidChallenge):
        await complete(here, challenge, here.carol.has.code())
    assert await last_used_step(here) == before


async def test_deletion_after_the_proof_refuses_the_sign_in(
    here: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    challenge = await here.people.challenge(here.carol)
    happens_after_the_proof(
        monkeypatch, here, "for_challenge", lambda tx, proved: tx.users.delete(proved.user_id)
    )
    with pytest.raises(InvalidChallenge):
        await complete(here, challenge, here.carol.has.code())


async def account_of(here: Timed, challenge: str) -> str:
    user = await SecondFactor(here.runtime.services).account_of(challenge, now=here.clock())
    return user.id


async def test_challenge_tells_its_user_until_something_about_them_changes(here: Timed) -> None:
    challenge = await here.people.challenge(here.carol)
    assert await account_of(here, challenge) == here.carol.id
    for text in ("", "é" * 47, UNKNOWN, tokens.SESSION + challenge[4:]):
        with pytest.raises(InvalidChallenge):
            await account_of(here, text)
    await here.runtime.services.transactions.run(
        lambda tx: tx.users.bump_credential_version(here.carol.id, now=here.clock())
    )
    with pytest.raises(InvalidChallenge):
        await account_of(here, challenge)


async def test_challenge_tells_no_user_after_its_time(here: Timed) -> None:
    challenge = await here.people.challenge(here.carol)
    here.time.advance(days=1)
    with pytest.raises(InvalidChallenge):
        await account_of(here, challenge)


async def test_ban_after_the_proof_refuses_the_step_up_and_spends_nothing(
    here: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    principal = await signed_in(here)
    here.time.advance(minutes=1)
    before = await last_used_step(here)
    happens_after_the_proof(
        monkeypatch, here, "for_user", lambda tx, proved: CHANGES["banned"](tx, proved, here)
    )
    with pytest.raises(InvalidToken):
        await step_up(here, principal, here.carol.has.code())
    assert await last_used_step(here) == before


async def test_step_up_is_recorded_under_its_name(here: Timed) -> None:
    principal = await signed_in(here)
    here.time.advance(minutes=1)
    await step_up(here, principal, here.carol.has.code())
    (record,), _ = await here.runtime.administration.audit(
        AuditFilter(user_id=here.carol.id, action="auth.step_up"), limit=10
    )
    assert (record.context.method, record.audit_event.outcome) == ("otp", "success")


@pytest.mark.parametrize("text", ["", "x", "é" * 47, UNKNOWN + "A", tokens.SESSION + "A" * 43])
async def test_text_of_another_form_is_no_challenge_and_counts_as_no_try(here: Timed, text: str) -> None:
    limits = here.runtime.services.limits
    for _ in range(600):
        await limits.hit("second_factor", ip=from_here(here.clock()).ip, account=None)
    with pytest.raises(InvalidChallenge):
        await complete(here, text, "123456")


async def test_tries_from_one_address_are_limited_before_the_challenge_is_looked_at(here: Timed) -> None:
    limits = here.runtime.services.limits
    with pytest.raises(InvalidChallenge):
        await complete(here, UNKNOWN, "123456")
    for _ in range(599):
        await limits.hit("second_factor", ip=from_here(here.clock()).ip, account=None)
    with pytest.raises(RateLimited):
        await complete(here, UNKNOWN, "123456")


async def test_tries_for_one_account_are_limited_whatever_the_address(here: Timed) -> None:
    principal = await signed_in(here)
    limits = here.runtime.services.limits
    for _ in range(100):
        await limits.hit("second_factor", ip=None, account=principal.user_id)
    here.time.advance(minutes=1)
    with pytest.raises(RateLimited):
        await step_up(here, principal, here.carol.has.code())
