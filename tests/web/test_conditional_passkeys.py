"""Passkeys that a browser creates without a question (WebAuthn Level 3, section 5.1.3), and who is offered one."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from tests.contract.database import sql
from tests.contract.passkeys import answer_registration, begin_registration, register
from tests.contract.people import Session
from tests.support.authenticator import UP, UV, Authenticator, Lie
from tests.web.conftest import Pages

_OFFER = re.compile(r'data-quiet data-options="([^"]*)"')
_NONCE = re.compile(r'data-quiet.*?name="nonce" value="([0-9a-f-]{36})"', re.DOTALL)


async def offered(pages: Pages, session: Session) -> tuple[dict[str, Any], str] | None:
    """Read what the security page offers the browser; gives the options and the nonce."""
    text = (await pages.get("/security", session=session.token)).text
    found, nonce = _OFFER.search(text), _NONCE.search(text)
    if found is None or nonce is None:
        return None
    return json.loads(html.unescape(found[1])), nonce[1]


async def send(
    pages: Pages, session: Session, response: object, nonce: str, ceremony: str, **more: str
) -> int:
    form = {"response": json.dumps(response), "nonce": nonce, "ceremony": ceremony, **more}
    return (await pages.post("/passkeys", form, session=session.token)).status_code


async def count(pages: Pages, session: Session) -> int:
    passkeys: int = (await pages.here.people.two_factor(session))["passkeys"]
    return passkeys


async def test_only_who_has_a_factor_and_codes_and_no_passkey_is_offered_one(pages: Pages) -> None:
    account, session = await pages.here.people.newcomer()
    assert await offered(pages, session) is None, "no factor, and nobody would show the codes"
    session = await pages.here.people.enroll(account, session)
    assert await offered(pages, session) is not None
    pages.here.time.advance(minutes=11)
    assert await offered(pages, session) is None, "the proof is old, and nothing is asked for"
    session = await pages.here.people.sign_in(account)
    await register(pages.here, session, Authenticator(pages.here.api.origin))
    assert await offered(pages, session) is None


async def test_who_has_used_up_all_backup_codes_is_offered_none(pages: Pages) -> None:
    """The passkey would turn nothing on, but a person without codes should make new ones first."""
    account, session = await pages.here.people.newcomer()
    session = await pages.here.people.enroll(account, session)
    assert await offered(pages, session) is not None
    url = pages.here.runtime.settings.database_url
    assert url is not None
    await sql(url, "UPDATE {}backup_codes SET used_at = activated_at WHERE user_id = $1", account.id)
    assert (await pages.here.people.two_factor(session))["backupCodesRemaining"] == 0
    assert await offered(pages, session) is None


async def test_quiet_passkey_needs_no_touch_and_a_verified_person(pages: Pages) -> None:
    account, session = await pages.here.people.newcomer()
    session = await pages.here.people.enroll(account, session)
    device = Authenticator(pages.here.api.origin)
    for flags, added in ((UP, 0), (0, 0), (UV, 1)):
        offer = await offered(pages, session)
        assert offer is not None
        options, nonce = offer
        response = device.create(options, Lie(flags=flags))
        status = await send(pages, session, response, nonce, options["ceremony"], quietly="1")
        assert (status, await count(pages, session)) == (303 if added else 400, added)
    state = await pages.here.people.two_factor(session)
    assert (state["backupCodesRemaining"], state["methods"][0]) == (10, "passkey")


async def test_quiet_ceremony_answers_no_other_form_and_no_other_form_goes_quietly(pages: Pages) -> None:
    account, session = await pages.here.people.newcomer()
    session = await pages.here.people.enroll(account, session)
    offer = await offered(pages, session)
    assert offer is not None
    options, nonce = offer
    untouched = Authenticator(pages.here.api.origin).create(options, Lie(flags=UV))
    answer = await answer_registration(pages.here, session, options, untouched)
    assert answer.json()["code"] == "CHALLENGE_NOT_FOUND"
    loud = await begin_registration(pages.here, session)
    untouched = Authenticator(pages.here.api.origin).create(loud, Lie(flags=UV))
    assert await send(pages, session, untouched, nonce, loud["ceremony"], quietly="1") == 400
    assert await count(pages, session) == 0
