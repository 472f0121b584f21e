"""The hint that a phone's clock is slow, and that it helps nobody who guesses."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pyotp
import pytest

from czo_auth.core.errors import ExpiredCode, InvalidCode
from czo_auth.core.flows.two_factor.verify_code import wrong_totp
from tests.contract.checks import refused
from tests.contract.databases import SqliteDatabases
from tests.contract.deployments import timed_deployment

SECRET = b"0123456789abcdefghij"
NOW = datetime(2026, 7, 1, 12, 30, 15, tzinfo=UTC)
PHONE = pyotp.TOTP(base64.b32encode(SECRET).decode())


def _refusal(steps: int, *, drift: int = 1) -> InvalidCode:
    code = PHONE.generate_otp(int(NOW.timestamp()) // 30 + steps)
    return wrong_totp(SECRET, code, now=NOW, drift=drift)


@pytest.mark.parametrize("drift", [0, 1, 10])
def test_code_of_the_last_minutes_is_distinguished(drift: int) -> None:
    for steps in (-drift - 1, -drift - 10, -drift - 21):
        assert isinstance(_refusal(steps, drift=drift), ExpiredCode)
    assert not isinstance(_refusal(-drift - 22, drift=drift), ExpiredCode)


@pytest.mark.parametrize("steps", [2, 3, 10, 20])
def test_code_of_the_future_looks_like_any_wrong_one(steps: int) -> None:
    assert not isinstance(_refusal(steps), ExpiredCode)


def test_text_that_is_no_code_is_just_wrong() -> None:
    assert not isinstance(wrong_totp(SECRET, "", now=NOW, drift=1), ExpiredCode)


def test_clients_cannot_tell_it_from_a_wrong_code() -> None:
    assert (ExpiredCode.code, ExpiredCode.message) == (InvalidCode.code, InvalidCode.message)


async def test_attempt_with_an_old_code_counts(sqlite_databases: SqliteDatabases) -> None:
    databases = sqlite_databases
    async with timed_deployment(databases.new(), databases.prepared) as here:
        challenge = await here.people.challenge(here.carol)
        for _ in range(5):
            answer = await here.people.verify(here.carol.has.at(-5), challenge=challenge)
            refused(answer, 401, "INVALID_CODE")
            assert answer.json()["message"] == InvalidCode.message
        answer = await here.people.verify(here.carol.has.code(), challenge=challenge)
        refused(answer, 400, "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE")
