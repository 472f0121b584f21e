"""The parts of ``czo_auth.testing`` that also work alone: the authenticator app and the mailbox."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from czo_auth.core.mail import MailMessage
from czo_auth.testing import AuthenticatorApp, Mailbox, MovableClock

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""The secret of RFC 6238, appendix B."""
NOW = datetime(2026, 1, 1, 12, 0, 7, tzinfo=UTC)


def test_app_shows_what_another_app_shows() -> None:
    app = AuthenticatorApp(SECRET, MovableClock(NOW))
    assert app.code() == pyotp.TOTP(SECRET).at(NOW)
    # RFC 6238, appendix B: 94287082 at 59 seconds, the second step, with 8 digits.
    assert app.code_of(1) == "287082"


def test_app_gives_each_step_once() -> None:
    clock = MovableClock(NOW)
    app = AuthenticatorApp(SECRET, clock)
    assert app.next_step == app.step
    first = app.code()
    assert app.next_step == app.step + 1
    assert app.code() == app.code_of(app.step + 1) != first
    clock.move(timedelta(minutes=5))
    assert app.next_step == app.step


def test_app_refuses_a_secret_that_is_not_base32() -> None:
    with pytest.raises(ValueError, match=r"."):
        AuthenticatorApp("not base32!", MovableClock())


def _mail(to: str, token: str) -> MailMessage:
    return MailMessage(
        to=to,
        subject="Reset your password",
        text="…",
        html="…",
        kind="password_reset",
        token=token,
    )


async def test_mailbox_waits_for_the_mail_it_is_asked_for() -> None:
    mailbox = Mailbox()
    waiting = asyncio.create_task(mailbox.token("ada@example.com", "password_reset", after=1))
    await mailbox.send(_mail("ada@example.com", "first"))
    await mailbox.send(_mail("bob@example.com", "another"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await mailbox.send(_mail("ada@example.com", "second"))
    assert await waiting == "second"
    assert mailbox.tokens("ada@example.com", "password_reset") == ["first", "second"]
    assert (await mailbox.newest()).token == "second"


async def test_mailbox_without_the_mail_says_so() -> None:
    mailbox = Mailbox()
    with pytest.raises(TimeoutError):
        await mailbox.newest(within=0.02)
    with pytest.raises(TimeoutError):
        await mailbox.token("ada@example.com", "password_reset", within=0.02)
