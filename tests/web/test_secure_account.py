"""The page behind "this was not me": one click, and none by a scanner."""

from __future__ import annotations

import re

import pytest

from tests.contract.checks import accepted
from tests.contract.mails import mailed, secure_account_token
from tests.web.conftest import Pages

WORDS = {"en": "This was not me", "fr": "Ce n’était pas moi", "de": "Das war ich nicht"}


@pytest.mark.parametrize("language", WORDS)
async def test_looking_changes_nothing_and_a_click_ends_everything(pages: Pages, language: str) -> None:
    here = pages.here
    account, session = await here.people.newcomer()
    session = await here.people.enroll(account, session)
    message = await mailed(here, account.email, "two_factor_enabled")
    assert "/account/secure-account?token=" in message.text
    token = secure_account_token(message)
    for _ in range(3):
        page = await pages.get(f"/secure-account?token={token}", accept_language=language)
        assert page.status_code == 200
        assert f"<h1>{WORDS[language]}</h1>" in page.text
        assert 'action="/account/secure-account"' in page.text
    assert await here.people.is_alive(session)
    done = await pages.post("/secure-account", {"token": token}, session=session.token)
    assert (done.status_code, done.headers["location"]) == (303, "/account/sign-in")
    assert "better-auth.session_token=; Max-Age=0" in done.headers["set-cookie"]
    assert not await here.people.is_alive(session)
    over = await pages.get(f"/secure-account?token={token}", accept_language=language)
    assert "<form method" not in over.text.partition("<main")[2].partition("</main>")[0]
    assert 'role="alert"' in over.text
    again = await pages.post("/secure-account", {"token": token})
    assert again.status_code == 400


@pytest.mark.parametrize("token", ["", "czm_x", "%00", "czm_" + "A" * 56])
async def test_a_malformed_link_says_so(pages: Pages, token: str) -> None:
    page = await pages.get(f"/secure-account?token={token}")
    assert page.status_code in (200, 400)
    assert 'action="/account/secure-account"' not in page.text


async def test_the_mailed_button_leads_to_the_page(pages: Pages) -> None:
    account, session = await pages.here.people.newcomer()
    accepted(await pages.here.api.post("/api-keys", {"name": "CI"}, bearer=session.token), 201)
    message = await mailed(pages.here, account.email, "api_key_created")
    links = re.findall(r'href="([^"]+)"', str(message.html))
    assert any("/account/secure-account?token=czm_" in link for link in links)
