"""A sign-in that is overtaken by a change of the account decides by what the account is in the end."""

from __future__ import annotations

import pytest

from czo_auth.core.flows.sign_in.password import Credentials
from czo_auth.core.transaction import Transaction
from tests.core.flows.deployment import NOW, Deployment, outcome
from tests.support.interrupt import Interruption
from tests.support.users import from_here

PASSWORD = "correct horse battery staple"
MOMENTS = 12


@pytest.mark.each_database
async def test_actor_type_that_is_lost_in_the_meantime_gets_no_session(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session of it would be refused, but live again as soon as the actor type is granted again."""
    hashed = await deployment.runtime.services.hashing.hash_password(PASSWORD)
    for moment in range(1, MOMENTS):
        user = await deployment.user(f"ada{moment}")

        def promote(tx: Transaction, user_id: str = user.id) -> None:
            tx.users.set_password(user_id, password_hash=hashed, now=NOW)
            actor_types = frozenset({"admin", "customer"})
            tx.users.set_actor_types(user_id, actor_types=actor_types, grants={}, now=NOW)

        await deployment.transactions.run(promote)
        overtaken = Interruption(
            deployment.transactions,
            lambda user_id=user.id: deployment.runtime.administration.change_actor_types(
                user_id, add=[], remove=["admin"], force=True, context=from_here(NOW)
            ),
            before=moment,
            monkeypatch=monkeypatch,
        )
        given = Credentials(email=user.email, password=PASSWORD)
        ended = await outcome(
            overtaken.during(deployment.runtime.sign_in.begin("admin", given, context=from_here(NOW)))
        )
        live = await deployment.transactions.read(
            lambda tx, user_id=user.id: tx.sessions.list_live(user_id, now=NOW)
        )
        if not overtaken.came:
            assert (ended, len(live)) == ("done", 1)
            return
        assert list(live) == [], moment
    raise AssertionError("the flow never ended")
