"""A refresh looks at the owner of the family again, whatever ended beside it or did not (S22)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from czo_auth.core.errors import InvalidRefreshToken, RefreshInProgress
from czo_auth.core.events import types
from czo_auth.core.sessions.session import IssuedSession
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User
from tests.core.flows.deployment import NOW, Deployment
from tests.support.users import from_here

BOTH = frozenset({"customer", "merchant"})


async def merchant(deployment: Deployment) -> tuple[User, IssuedSession]:
    user = await deployment.user("ada")
    await deployment.transactions.run(
        lambda tx: tx.users.set_actor_types(user.id, actor_types=BOTH, grants={}, now=NOW)
    )
    return user, await deployment.session_of(user, actor_type="merchant")


async def test_family_of_a_live_session_is_kept(deployment: Deployment) -> None:
    _, issued = await merchant(deployment)
    refreshed = await deployment.runtime.refresh.refresh(issued.refresh_token, context=from_here(NOW))
    again = await deployment.runtime.refresh.refresh(refreshed.refresh_token, context=from_here(NOW))
    assert len({issued.refresh_token, refreshed.refresh_token, again.refresh_token}) == 3


Change = Callable[[Transaction, User, IssuedSession], object]
CHANGES: dict[str, Change] = {
    "lost the actor type": lambda tx, user, _: tx.users.set_actor_types(
        user.id, actor_types=frozenset({"customer"}), grants={}, now=NOW
    ),
    "banned": lambda tx, user, _: tx.users.set_ban(user.id, banned_at=NOW, reason="test", now=NOW),
    "session ended": lambda tx, _, issued: tx.sessions.revoke(issued.session.id, reason="test", now=NOW),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_family_buys_nothing_when_its_owner_may_not_sign_in_so(
    deployment: Deployment, change: Change
) -> None:
    """Each by itself: that a ban or a lost actor type ends the sessions too is a second lock."""
    user, issued = await merchant(deployment)
    await deployment.transactions.run(lambda tx: change(tx, user, issued))
    with pytest.raises(InvalidRefreshToken):
        await deployment.runtime.refresh.refresh(issued.refresh_token, context=from_here(NOW))


async def test_family_ends_with_its_session_however_often_it_was_refreshed(deployment: Deployment) -> None:
    _, issued = await merchant(deployment)
    end = issued.session.expires_at
    almost = end - (end - NOW) / 100
    refreshed = await deployment.runtime.refresh.refresh(issued.refresh_token, context=from_here(almost))
    with pytest.raises(InvalidRefreshToken):
        await deployment.runtime.refresh.refresh(refreshed.refresh_token, context=from_here(end))


async def test_new_tokens_do_not_show(deployment: Deployment) -> None:
    _, issued = await merchant(deployment)
    refreshed = await deployment.runtime.refresh.refresh(issued.refresh_token, context=from_here(NOW))
    for secret in (refreshed.access_token, refreshed.refresh_token):
        assert secret not in repr(refreshed)


async def test_reused_token_is_reported_as_a_theft_once(deployment: Deployment) -> None:
    """S22: the grace has ten seconds, the last moment included."""
    user, issued = await merchant(deployment)
    refresh = deployment.runtime.refresh.refresh
    await refresh(issued.refresh_token, context=from_here(NOW))
    with pytest.raises(RefreshInProgress):
        await refresh(issued.refresh_token, context=from_here(NOW + timedelta(seconds=10)))
    assert await deployment.events(types.REFRESH_REUSE_DETECTED) == []
    for seconds in (11, 12):
        with pytest.raises(InvalidRefreshToken):
            await refresh(issued.refresh_token, context=from_here(NOW + timedelta(seconds=seconds)))
    reported = await deployment.events(types.REFRESH_REUSE_DETECTED, types.SESSION_REVOKED)
    assert [(event.type, dict(event.data)) for event in reported] == [
        (types.REFRESH_REUSE_DETECTED, {"userId": user.id, "sessionId": issued.session.id}),
        (
            types.SESSION_REVOKED,
            {"userId": user.id, "sessionId": issued.session.id, "reason": "refresh_reuse"},
        ),
    ]


async def test_text_of_another_form_is_no_refresh_token(deployment: Deployment) -> None:
    for text in ("", "é" * 47, "czs_" + "A" * 43):
        with pytest.raises(InvalidRefreshToken):
            await deployment.runtime.refresh.refresh(text, context=from_here(NOW))
