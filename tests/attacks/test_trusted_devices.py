"""Attacks on the trust in a browser, which skips the second factor (S10)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.changes import change_password, replace_the_phone
from tests.contract.api import DEVICE_COOKIE, cookies_set_by
from tests.contract.checks import accepted
from tests.contract.conftest import Live
from tests.contract.devices import begin, is_asked, trust
from tests.contract.people import Account, Session

pytestmark = pytest.mark.deep

AccountAndSession = tuple[Account, Session]


async def trusted(live: Live, account: Account) -> str:
    """Sign in on a device that is trusted from now on; gives its cookie."""
    _, device = await trust(live, account)
    assert device is not None
    return device


async def enters_with(live: Live, account: Account, device: str) -> bool:
    return not is_asked(await begin(live, account, device))


async def test_device_of_somebody_else(live: Live, victim: Account, enrolled_user: AccountAndSession) -> None:
    device = await trusted(live, enrolled_user[0])
    assert not await enters_with(live, victim, device)
    assert await enters_with(live, enrolled_user[0], device), "it would have worked for its owner"


async def test_made_up_device(live: Live, victim: Account) -> None:
    assert not await enters_with(live, victim, "czd_" + "A" * 43)


@pytest.mark.parametrize("change", [change_password, replace_the_phone], ids=lambda change: change.__name__)
async def test_device_trusted_before(
    live: Live, enrolled_user: AccountAndSession, root: Session, change: Any
) -> None:
    account, session = enrolled_user
    device = await trusted(live, account)
    await change(live, root, account, session)
    if change is change_password:
        account.password = "another battery staple"
    assert not await enters_with(live, account, device)


async def test_device_that_was_revoked(live: Live, enrolled_user: AccountAndSession) -> None:
    account, session = enrolled_user
    device = await trusted(live, account)
    accepted(await live.api.delete("/two-factor/trusted-devices", bearer=session.token), 204)
    assert not await enters_with(live, account, device)


async def test_device_cookie_used_again_after_its_renewal(
    live: Live, enrolled_user: AccountAndSession
) -> None:
    account, _ = enrolled_user
    device = await trusted(live, account)
    assert await enters_with(live, account, device)
    assert not await enters_with(live, account, device)


async def test_trusting_a_device_as_administrator(live: Live) -> None:
    account, session = await live.admin()
    await live.people.enroll(account, session)
    challenge = await live.people.challenge(account, "admin")
    body = {"code": account.has.code(), "challenge": challenge, "trustDevice": True}
    assert DEVICE_COOKIE not in cookies_set_by(await live.api.post("/two-factor/verify", body))


async def test_switching_actor_types_on_a_trusted_device(
    live: Live, root: Session, enrolled_user: AccountAndSession
) -> None:
    """What the device skipped is asked for when more is wanted."""
    account, _ = enrolled_user
    path = f"/admin/users/{account.id}/actor-types"
    accepted(await live.api.post(path, {"add": ["merchant"]}, bearer=root.token))
    device = await trusted(live, account)
    session = Session.of(await begin(live, account, device))
    assert session.body["session"]["aal"] == 1
    switched = await live.api.post("/switch-actor", {"actorType": "merchant"}, bearer=session.token)
    assert accepted(switched)["requires2FA"] is True
    assert "set-auth-token" not in switched.headers
