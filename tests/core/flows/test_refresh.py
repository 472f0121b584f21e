"""A refresh looks at the owner of the family anew, whatever ended beside it or did not (S22)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from czo_auth.core.errors import InvalidRefreshToken
from czo_auth.core.flows.issue import issue_session
from czo_auth.core.sessions.session import IssuedSession
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from tests.core.flows.town import FROM_HERE, NOW, Town

BOTH = frozenset({"customer", "merchant"})


async def merchant(town: Town) -> tuple[User, IssuedSession]:
    user = await town.user("ada")

    def sign_in(tx: Transaction) -> IssuedSession:
        tx.users.set_actor_types(user.id, actor_types=BOTH, now=NOW)
        return issue_session(
            tx,
            user,
            actor_type="merchant",
            amr=("pwd",),
            auth_time=NOW,
            factor_proved_at=None,
            remembered=True,
            policy=town.runtime.services.policies.sessions,
            provenance=FROM_HERE,
            now=NOW,
        )

    return user, await town.transactions.run(sign_in)


async def test_family_of_a_session_that_lives_goes_on(town: Town) -> None:
    _, issued = await merchant(town)
    refreshed = await town.runtime.refresh.refresh(issued.refresh_token, provenance=FROM_HERE, now=NOW)
    again = await town.runtime.refresh.refresh(refreshed.refresh_token, provenance=FROM_HERE, now=NOW)
    assert len({issued.refresh_token, refreshed.refresh_token, again.refresh_token}) == 3


Change = Callable[[Transaction, User, IssuedSession], object]
CHANGES: dict[str, Change] = {
    "lost the hat": lambda tx, user, _: tx.users.set_actor_types(
        user.id, actor_types=frozenset({"customer"}), now=NOW
    ),
    "banned": lambda tx, user, _: tx.users.set_ban(user.id, banned_at=NOW, reason="test", now=NOW),
    "session ended": lambda tx, _, issued: tx.sessions.revoke(issued.session.id, reason="test", now=NOW),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_family_buys_nothing_when_its_owner_may_not_sign_in_so(town: Town, change: Change) -> None:
    """Each by itself: that whoever bans or takes a hat away ends the sessions too is a second lock."""
    user, issued = await merchant(town)
    await town.transactions.run(lambda tx: change(tx, user, issued))
    with pytest.raises(InvalidRefreshToken):
        await town.runtime.refresh.refresh(issued.refresh_token, provenance=FROM_HERE, now=NOW)


async def test_family_ends_with_its_session_however_often_it_was_refreshed(town: Town) -> None:
    _, issued = await merchant(town)
    end = issued.session.expires_at
    almost = end - (end - NOW) / 100
    refreshed = await town.runtime.refresh.refresh(issued.refresh_token, provenance=FROM_HERE, now=almost)
    with pytest.raises(InvalidRefreshToken):
        await town.runtime.refresh.refresh(refreshed.refresh_token, provenance=FROM_HERE, now=end)
