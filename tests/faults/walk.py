"""The walk that the product was asked for (two factors and API keys), taken by a client step by step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.contract.acting import (
    create_key,
    create_organization,
    eventually,
    is_accepted,
    listed_keys,
    principal_of,
)
from tests.contract.api import Api
from tests.contract.checks import accepted, refused
from tests.contract.people import Account, People, Session

BOUND_SECONDS = 5
"""``CZO_AUTH_CACHE_SECONDS`` of the deployment."""

Between = Callable[[int], Awaitable[None]]


async def walk(people: People, administrator: Account, between: Between) -> None:
    """
    Take every step; each must be answered as if nothing else happened.

    Args:
        administrator: Has a second factor.
        between: Called with the number of each step before it.
    """
    api = people.api
    await between(1)
    account, session = await people.newcomer()
    # Enabling shows a secret, its address and ten codes; nothing counts before the first code.
    await between(2)
    shown = await people.enable(account, session)
    assert shown["totpURI"].startswith("otpauth://totp/")
    assert len(shown["backupCodes"]) == 10
    session = Session.of(await people.verify(account.has.code(), bearer=session.token))
    await between(3)
    # The password alone gives no session any more.
    begun = accepted(await people.begin(account))
    assert begun["requires2FA"] is True
    assert "session" not in begun
    session = Session.of(await people.verify(account.has.code(), challenge=begun["challenge"]))
    await between(4)
    # Each backup code counts once.
    code = account.codes.pop()
    Session.of(await people.redeem(code, challenge=await people.challenge(account)))
    refused(await people.redeem(code, challenge=await people.challenge(account)), 401, "INVALID_BACKUP_CODE")
    await between(5)
    await _keys(api, session)
    await between(6)
    await _administrators(people, administrator)
    await between(7)
    # Disabling asks for the password and a second factor; then the password alone is enough again.
    wrong = {"password": "not the password", "code": account.has.code()}
    refused(await api.post("/two-factor/disable", wrong, bearer=session.token), 400, "INVALID_PASSWORD")
    right = {"password": account.password, "code": account.has.code()}
    accepted(await api.post("/two-factor/disable", right, bearer=session.token))
    account.phone = None
    assert (await people.sign_in(account)).token


async def _keys(api: Api, session: Session) -> None:
    """Create a key in an organization, use it, list its prefix, revoke it."""
    organization = await create_organization(api, session)
    key = await create_key(api, session, organizationId=organization, expiresIn=3600, scopes=["orders:read"])
    text = key["key"]
    assert text.startswith("czo_")
    assert len(text) == 47
    principal = await principal_of(api, text)
    assert principal["organizationId"] == organization
    assert [each["id"] for each in await listed_keys(api, session)] == [key["id"]]
    asked = {"query": "{ myApiKeys { id prefix } }"}
    answered = await api.http.post(
        "/graphql", json=asked, headers={"authorization": f"Bearer {session.token}"}
    )
    (listed,) = answered.json()["data"]["myApiKeys"]
    assert listed["id"] == key["id"]
    assert text not in answered.text
    assert (await api.delete(f"/api-keys/{key['id']}", bearer=session.token)).status_code == 204

    async def is_refused() -> bool:
        return not await is_accepted(api, text)

    # Other processes hear of it in a millisecond, and in no case later than the bound of what they remember.
    await eventually(is_refused, within=BOUND_SECONDS)


async def _administrators(people: People, administrator: Account) -> None:
    """An administrator gets in with two factors, and one who has none yet gets nowhere."""
    session = await people.sign_in(administrator, "admin")
    accepted(await people.api.get("/admin/users", bearer=session.token))
    _, plain = await people.newcomer()
    assert (await people.api.get("/admin/users", bearer=plain.token)).status_code == 403
