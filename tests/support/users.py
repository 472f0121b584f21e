"""Users and sessions put into a deployment's database directly, without passwords and past every rule."""

from __future__ import annotations

from datetime import datetime

from czo_auth.core.context import Context
from czo_auth.core.flows.sessions.issue import issue_session
from czo_auth.core.sessions.session import IssuedSession
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from czo_auth.runtime import Runtime


def from_here(now: datetime) -> Context:
    """Return the context of a request at *now*."""
    return Context(now=now, ip="192.0.2.7", user_agent="test", request_id="test")


async def put_user(runtime: Runtime, user: User) -> User:
    """Add *user* to the database."""
    assert await runtime.services.transactions.run(lambda tx: tx.users.add(user))
    return user


async def put_session(
    runtime: Runtime, user: User, *, now: datetime, actor_type: str = "customer"
) -> IssuedSession:
    """Issue a session of *user*, as after a sign-in with the password."""

    def issue(tx: Transaction) -> IssuedSession:
        return issue_session(
            tx.acting_as(from_here(now)),
            user,
            actor_type=actor_type,
            amr=("pwd",),
            auth_time=now,
            factor_proved_at=None,
            remembered=True,
            policy=runtime.services.policies.sessions,
        )

    return await runtime.services.transactions.run(issue)
