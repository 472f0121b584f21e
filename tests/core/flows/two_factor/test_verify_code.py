"""Proving a code: which is taken for which, what a wrong one costs, and what is recorded (S2, S4, S5, S13)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    AccountLocked,
    ExpiredCode,
    InvalidBackupCode,
    InvalidChallenge,
    InvalidCode,
    Refusal,
    SecretUnreadable,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditRecord, Event
from czo_auth.core.flows.two_factor.verify_code import (
    CodeKind,
    VerifiedCode,
    VerifyCode,
    consume_code,
    open_secret,
    record_wrong_code,
)
from czo_auth.core.ids import new_id
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.reset import Reset
from czo_auth.crypto import tokens
from czo_auth.crypto.sealing import KeyRing, new_key_text
from tests.contract.databases import SqliteDatabases
from tests.contract.deployments import Timed, timed_deployment


def from_here(now: datetime) -> Context:
    """Return the context of an act at *now*."""
    return Context(now=now, ip="192.0.2.7", request_id="test")


@pytest.fixture
async def here(sqlite_databases: SqliteDatabases) -> AsyncIterator[Timed]:
    """A deployment in which Carol has a second factor."""
    async with timed_deployment(sqlite_databases.new(), sqlite_databases.prepared) as opened:
        yield opened


async def prove(here: Timed, code: str, kind: CodeKind) -> VerifiedCode:
    proving = VerifyCode(here.runtime.services)
    return await proving.for_user(here.carol.id, code, kind, context=from_here(here.clock()))


async def refusal(here: Timed, code: str, kind: CodeKind) -> type[Refusal]:
    with pytest.raises(Refusal) as caught:
        await prove(here, code, kind)
    return type(caught.value)


async def spent(here: Timed, proved: VerifiedCode) -> None:
    await here.runtime.services.transactions.run(
        lambda tx: consume_code(tx.acting_as(from_here(here.clock())), proved)
    )


async def audit(here: Timed, action: str) -> list[AuditRecord]:
    records = await here.runtime.services.transactions.read(
        lambda tx: tx.audit_log.audit_after(0, limit=10_000)
    )
    return [record for record in records if record.audit_event.action == action]


async def events(here: Timed, kind: str) -> list[Event]:
    found = await here.runtime.services.transactions.read(lambda tx: tx.outbox.events_after(0, limit=10_000))
    return [event for event in found if event.type == kind and event.user_id == here.carol.id]


async def test_code_is_taken_only_for_the_kind_that_was_asked_for(here: Timed) -> None:
    totp, backup = here.carol.has.at(0), here.carol.codes[0]
    assert await refusal(here, backup, "totp") is InvalidCode
    assert await refusal(here, totp, "backup") is InvalidBackupCode
    assert (await prove(here, totp, "totp")).method == "otp"
    assert (await prove(here, backup, "backup")).method == "bkp"


async def test_where_either_is_asked_for_each_is_identified_by_its_form(here: Timed) -> None:
    assert (await prove(here, here.carol.has.at(0), "either")).method == "otp"
    assert (await prove(here, here.carol.codes[0], "either")).method == "bkp"
    assert await refusal(here, here.carol.has.wrong(), "either") is InvalidCode
    assert await refusal(here, "0000-00000-00000-0000", "either") is InvalidCode


async def test_wrong_code_is_recorded_with_its_kind_and_the_count(here: Timed) -> None:
    for code, kind in (
        (here.carol.has.wrong(), "totp"),
        ("0000-00000-00000-0000", "backup"),
        ("0000-00000-00000-0000", "either"),
        ("no code at all", "backup"),
    ):
        await refusal(here, code, kind)  # type: ignore[arg-type]
    records = await audit(here, "auth.2fa.code")
    assert [record.context.method for record in records] == ["otp", "bkp", "bkp", "bkp"]
    assert [record.audit_event.details for record in records] == [
        {"failures": count} for count in (1, 2, 3, 4)
    ]
    assert {record.audit_event.outcome for record in records} == {"failure"}


async def test_slow_phone_is_reported_in_a_session_too(here: Timed) -> None:
    assert await refusal(here, here.carol.has.at(-5), "totp") is ExpiredCode
    assert await refusal(here, here.carol.has.wrong(), "totp") is InvalidCode


@pytest.mark.parametrize("change", ["banned", "changed"])
async def test_outdated_challenge_is_refused_before_anything_is_counted(here: Timed, change: str) -> None:
    challenge, now, user_id = await here.people.challenge(here.carol), here.clock(), here.carol.id

    def happen(tx: Transaction) -> None:
        if change == "banned":
            tx.users.set_ban(user_id, banned_at=now, reason="test", now=now)
        else:
            tx.users.bump_credential_version(user_id, now=now)

    services = here.runtime.services
    await services.transactions.run(happen)
    with pytest.raises(InvalidChallenge):
        await VerifyCode(services).for_challenge(
            tokens.digest(challenge), here.carol.has.wrong(), "totp", context=from_here(now)
        )
    assert await services.transactions.run(lambda tx: tx.challenges.reserve_attempt(user_id, now=now)) == 1


async def test_code_that_was_proved_twice_is_spent_once(here: Timed) -> None:
    totp = [await prove(here, here.carol.has.at(0), "totp") for _ in range(2)]
    backup = [await prove(here, here.carol.codes[0], "backup") for _ in range(2)]
    await spent(here, totp[0])
    with pytest.raises(InvalidCode):
        await spent(here, totp[1])
    await spent(here, backup[0])
    with pytest.raises(InvalidBackupCode):
        await spent(here, backup[1])
    assert [event.data["remaining"] for event in await events(here, types.BACKUP_CODE_USED)] == [9]


async def test_lock_is_reported_once_with_the_count(here: Timed) -> None:
    """Of attempts made at the same time, only the one that locked tells of it."""
    services, user_id, now = here.runtime.services, here.carol.id, here.clock()
    for _ in range(10):
        await refusal(here, here.carol.has.wrong(), "totp")
    assert await refusal(here, here.carol.has.wrong(), "totp") is AccountLocked
    await record_wrong_code(services, user_id, 9, "otp", context=from_here(now))
    locked = await audit(here, types.TWO_FACTOR_LOCKED)
    assert [record.audit_event.details for record in locked] == [{"failures": 10, "stopped": False}]
    assert len(await events(here, types.TWO_FACTOR_LOCKED)) == 1


async def test_lock_that_was_lifted_in_the_meantime_is_not_reported(here: Timed) -> None:
    services = here.runtime.services
    await record_wrong_code(services, here.carol.id, 10, "otp", context=from_here(here.clock()))
    assert await events(here, types.TWO_FACTOR_LOCKED) == []


@pytest.mark.parametrize(("minutes", "stopped"), [(3, False), (3, True), (None, True)])
async def test_lock_names_its_end_and_a_stop_has_none(
    here: Timed, minutes: int | None, stopped: bool
) -> None:
    """An attempt that was counted before a stop may set its lock after it."""
    until = None if minutes is None else here.clock() + timedelta(minutes=minutes)
    await here.runtime.services.transactions.run(
        lambda tx: tx.challenges.lock_until(here.carol.id, until=until, stopped=stopped)
    )
    with pytest.raises(AccountLocked) as caught:
        await prove(here, here.carol.has.at(0), "totp")
    assert caught.value.retry_after == (None if stopped else 180)
    assert ("ask an administrator" in caught.value.message) is stopped


async def test_proved_code_calls_off_a_reset_and_says_why(here: Timed) -> None:
    now = here.clock()
    reset = Reset(
        id=new_id(now),
        user_id=here.carol.id,
        asked_by=here.ada.id,
        reason="lost phone",
        asked_at=now,
        due_at=now + timedelta(days=1),
    )
    assert await here.runtime.services.transactions.run(lambda tx: tx.resets.add(reset, digest="d" * 64))
    await spent(here, await prove(here, here.carol.has.at(0), "totp"))
    (cancelled,) = await events(here, types.TWO_FACTOR_RESET_CANCELLED)
    assert cancelled.data["reason"] == "factor_proved"


def test_secret_that_does_not_open_sounds_the_alarm(caplog: pytest.LogCaptureFixture) -> None:
    ring = KeyRing.parse(new_key_text())
    sealed = ring.seal(b"s" * 20, purpose="totp-secret", bound_to={"user": "u1", "enrolment": "e1"})
    assert open_secret(ring, "e1", "u1", sealed) == b"s" * 20
    assert caplog.records == []
    with pytest.raises(SecretUnreadable):
        open_secret(ring, "e2", "u1", sealed)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("czo_auth.two_factor", logging.CRITICAL)
    assert record.getMessage() == "a sealed TOTP secret does not open: user=u1 enrollment=e2"
