"""Attacks on what other services are told: introspection, exchange against revocation, forged names (S39, S40)."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest

from tests.attacks.conftest import scattering_client
from tests.attacks.volley import Attackers, request
from tests.contract.acting import create_key, create_organization, join
from tests.contract.api import Api
from tests.contract.checks import accepted
from tests.contract.conftest import Live
from tests.contract.people import Account, Session

pytestmark = pytest.mark.deep

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
KEY_TYPE = "urn:czo-auth:token-type:api-key"
VARIES = {"date"}
"""Headers that differ whatever is asked."""


async def ask(api: Api, key: str, token: str, **more: str) -> Any:
    """Ask what *token* is worth; gives status, headers and body."""
    answer = await api.http.post(
        "/api/auth/introspect", data={"token": token, **more}, headers={"authorization": f"Bearer {key}"}
    )
    headers = sorted((name, value) for name, value in answer.headers.multi_items() if name not in VARIES)
    return answer.status_code, headers, answer.content


async def test_asking_tells_nothing_about_what_is_not_active(live: Live, root: Session) -> None:
    """Status, headers, size and body are one for every reason."""
    asker = (await create_key(live.api, root, scopes=["api-keys:verify"]))["key"]
    account, session = await live.people.newcomer()
    revoked = await create_key(live.api, session)
    accepted(await live.api.delete(f"/api-keys/{revoked['id']}", bearer=session.token), 204)
    disabled = await create_key(live.api, session)
    accepted(await live.api.patch(f"/api-keys/{disabled['id']}", {"enabled": False}, bearer=session.token))
    listed = await create_key(live.api, session, allowedIps=["203.0.113.7"])
    limit = {"rateLimitEnabled": True, "rateLimitMax": 1, "rateLimitTimeWindow": 600_000}
    limited = await create_key(live.api, session, **limit)
    # Each process counts for itself, and answers once.
    for _ in range(60):
        await ask(live.api, asker, limited["key"])
    begun = await live.people.sign_in(account)
    accepted(await live.api.post("/sign-out", {}, bearer=begun.token))
    reported = {
        name: await ask(live.api, asker, token)
        for name, token in {
            "unknown key": "czo_" + "A" * 43,
            "unknown session": "czs_" + "A" * 43,
            "revoked": revoked["key"],
            "disabled": disabled["key"],
            "from another address": listed["key"],
            "over its limit": limited["key"],
            "signed out": begun.token,
            "access token of it": begun.access_token,
            "refresh token": session.refresh_token,
            "digest": revoked["id"],
            "another service's token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.x",
            "nonsense": "\u00e9" * 8000,
        }.items()
    }
    assert {status for status, _, _ in reported.values()} == {200}
    assert len({(str(headers), body) for _, headers, body in reported.values()}) == 1, reported
    assert reported["nonsense"][2] == b'{"active":false}'


async def test_key_of_an_organization_cannot_tell_foreign_credentials_from_none(
    live: Live, root: Session
) -> None:
    mine, theirs = await create_organization(live.api, root), await create_organization(live.api, root)
    asker = (await create_key(live.api, root, scopes=["api-keys:verify"], organizationId=mine))["key"]
    foreign = (await create_key(live.api, root, organizationId=theirs))["key"]
    nobody = await ask(live.api, asker, "czo_" + "A" * 43)
    for token in (foreign, root.token, root.access_token):
        assert await ask(live.api, asker, token) == nobody


async def test_asking_needs_the_scope_however_it_is_asked(
    live: Live, somebody: tuple[Account, Session]
) -> None:
    """No other credential learns anything, also about itself."""
    _, session = somebody
    key = await create_key(live.api, session)
    for bearer in (key["key"], session.token, session.access_token):
        answers = [await ask(live.api, bearer, token) for token in (key["key"], "czo_" + "A" * 43, "x")]
        assert {status for status, _, _ in answers} == {403}
        assert len({body for _, _, body in answers}) == 1


def exchange(key: str) -> str:
    body = {"grant_type": GRANT, "subject_token": key, "subject_token_type": KEY_TYPE}
    return request("POST", "/api/auth/token/exchange", body)


async def test_exchange_in_the_moment_of_revocation(live: Live, attackers: Attackers, rounds: int) -> None:
    """Whatever was traded before, during or after: no token outlives the key here, in any process."""
    for number in range(rounds):
        _, session = await live.people.newcomer()
        key = await create_key(live.api, session)
        end = request("DELETE", f"/api/auth/api-keys/{key['id']}", bearer=session.token)
        delays: list[float | None] = [None, *(None if each % 2 else each * 0.0005 for each in range(15))]
        shots = await asyncio.to_thread(attackers.strike, [end, *[exchange(key["key"])] * 15], delays=delays)
        assert shots[0].status == 204
        traded = [shot.body["access_token"] for shot in shots[1:] if shot.status == 200]
        assert {shot.status for shot in shots[1:]} <= {200, 400}, number
        async with scattering_client(live.api.origin) as http:
            answers = [await Api(http).get("/whoami", bearer=token) for token in traded for _ in range(4)]
        assert {answer.status_code for answer in answers} <= {401}
        late = [shot for shot in shots[1:] if shot.began > shots[0].ended]
        assert all(shot.status == 400 for shot in late)


@pytest.mark.parametrize("path", ["/forward-auth", "/forward-auth/orders/7"])
async def test_names_do_not_write_headers_for_the_service_behind_a_proxy(
    live: Live, root: Session, path: str
) -> None:
    """What people may name stands in no header; what stands there has no control characters by its form."""
    account, session = await live.people.newcomer()
    organization = await create_organization(live.api, root, "Acme: X-Auth-User: root")
    await join(live.api, root, organization, (account, session), "admin")
    key = await create_key(
        live.api, session, name="k: X-Auth-Key: root", scopes=["a:b"], organizationId=organization
    )
    forged = [("x-auth-user", "root"), ("x-auth-kind", "session"), ("X-Auth-Scopes", "admin:*")]
    answer = await live.api.http.get(
        f"/api/auth{path}", headers=[("authorization", f"Bearer {key['key']}"), *forged]
    )
    assert answer.status_code == 200
    reported = [(name, value) for name, value in answer.headers.multi_items() if name.startswith("x-auth")]
    assert len(reported) == len(dict(reported)) == 7
    assert dict(reported)["x-auth-user"] == account.id
    assert all(re.fullmatch(r"[0-9a-z_:* -]*", value) for _, value in reported), reported
    for name in ("k\r\nX-Auth-User: root", "k\nx", "k\u2028x", "k\u0000"):
        for route in ("/api-keys", "/organizations"):
            refused = await live.api.post(route, {"name": name}, bearer=session.token)
            assert refused.status_code == 400, (route, name)


async def test_two_thousand_user_codes_are_ten(
    live: Live, somebody: tuple[Account, Session], deployment: str
) -> None:
    """One address guesses ten codes a minute in all processes together, with coarse limits off."""
    _, session = somebody
    few = asyncio.Semaphore(32)
    letters = "BCDFGHJKLM"

    async def guess(number: int) -> int:
        code = "".join(letters[int(digit)] for digit in f"{number:04}")
        async with few:
            answer = await live.api.get(f"/device?user_code=ZZZZ-{code}", bearer=session.token)
        return answer.status_code

    began = time.monotonic()
    statuses = await asyncio.gather(*(guess(number) for number in range(2000)))
    assert set(statuses) <= {400, 429}
    # A minute that begins while they are sent brings ten more.
    minutes = int((time.monotonic() - began) // 60) + 2
    assert 10 <= statuses.count(400) <= 10 * minutes
