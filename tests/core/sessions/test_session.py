"""The lives of sessions, and what of them does not show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from czo_auth.core.sessions.session import IssuedSession, Session, SessionPolicy

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)


def test_numbers_are_those_of_the_contract() -> None:
    policy = SessionPolicy()
    assert policy.lifetime == timedelta(days=7)
    assert policy.short_lifetime == timedelta(days=1)
    assert policy.access_token_lifetime == timedelta(minutes=15)
    assert policy.refresh_grace == timedelta(seconds=10)


def test_secrets_of_a_new_session_do_not_show() -> None:
    session = Session(
        lineage_id="s1",
        id="s1",
        user_id="u1",
        actor_type="customer",
        organization_id=None,
        aal=1,
        amr=("pwd",),
        auth_time=NOW,
        factor_proved_at=None,
        remembered=True,
        ip=None,
        user_agent=None,
        created_at=NOW,
        expires_at=NOW + timedelta(days=7),
    )
    issued = IssuedSession(session=session, session_token="czs_secret", refresh_token="czr_secret")
    assert "s1" in repr(issued)
    assert "secret" not in repr(issued)
