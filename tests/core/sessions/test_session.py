"""The lives of sessions, and what of them does not show."""

from __future__ import annotations

from datetime import timedelta

from czo_auth.core.sessions.session import IssuedSession, SessionPolicy
from tests.support.records import a_session


def test_numbers_are_those_of_the_contract() -> None:
    policy = SessionPolicy()
    assert policy.lifetime == timedelta(days=7)
    assert policy.short_lifetime == timedelta(days=1)
    assert policy.access_token_lifetime == timedelta(minutes=15)
    assert policy.refresh_grace == timedelta(seconds=10)


def test_secrets_of_a_new_session_do_not_show() -> None:
    session = a_session("u1", id="s1")
    issued = IssuedSession(session=session, session_token="czs_secret", refresh_token="czr_secret")
    assert "s1" in repr(issued)
    assert "secret" not in repr(issued)
