"""The pages of a reset that waits: asked for, seen by its user, cancelled by those who may."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from czo_auth.server import Server
from tests.contract.api import new_client
from tests.contract.deployments import timed_deployment
from tests.support.settings import HERE
from tests.web.conftest import Pages


@pytest.fixture
async def pages(sqlite_databases: object) -> AsyncIterator[Pages]:
    """The pages of a deployment where resets wait for a day."""
    databases = sqlite_databases
    async with timed_deployment(
        databases.new(),  # type: ignore[attr-defined]
        databases.prepared,  # type: ignore[attr-defined]
        pages_enabled=True,
        recovery_wait_seconds=86_400,
    ) as here:
        transport = httpx.ASGITransport(Server(here.runtime))
        async with new_client(HERE, transport=transport) as http:
            yield Pages(here, http)


async def ask(pages: Pages, admin: str) -> str:
    """Ask for the reset of carol's factor on her page; gives the token of the mail."""
    carol = pages.here.carol
    form = {"reset_reason": "lost <b>both</b>", "confirmed": "1"}
    asked = await pages.post(f"/admin/users/{carol.id}/reset-two-factor", form, session=admin)
    assert asked.headers["location"] == f"/account/admin/users/{carol.id}"
    return await pages.here.mail.token(carol.email, "two_factor_reset_asked")


async def test_administrators_see_what_waits_and_cancel_it(pages: Pages) -> None:
    carol = pages.here.carol
    admin = (await pages.here.people.sign_in(pages.here.ada, "admin")).token
    assert "The reset is delayed" in (await pages.get(f"/admin/users/{carol.id}", session=admin)).text
    await ask(pages, admin)
    for path in ("/admin", f"/admin/users/{carol.id}"):
        text = (await pages.get(path, session=admin)).text
        assert "lost &lt;b&gt;both&lt;/b&gt;" in text
        assert f'action="/account/admin/users/{carol.id}/cancel-reset"' in text
    assert f"{pages.here.ada.email}</a>" in (await pages.get(f"/admin/users/{carol.id}", session=admin)).text
    again = await pages.post(
        f"/admin/users/{carol.id}/reset-two-factor",
        {"reset_reason": "again", "confirmed": "1"},
        session=admin,
    )
    assert (again.status_code, "A reset is already pending for this user." in again.text) == (409, True)
    cancelled = await pages.post(f"/admin/users/{carol.id}/cancel-reset", session=admin)
    assert cancelled.headers["location"] == f"/account/admin/users/{carol.id}"
    assert "cancel-reset" not in (await pages.get("/admin", session=admin)).text


async def test_administrators_own_page_offers_no_reset(pages: Pages) -> None:
    ada = pages.here.ada
    admin = (await pages.here.people.sign_in(ada, "admin")).token
    text = (await pages.get(f"/admin/users/{ada.id}", session=admin)).text
    assert "You cannot reset your own two-factor authentication." in text
    assert "reset_reason" not in text


async def test_user_is_warned_on_the_security_page_and_cancels_there(pages: Pages) -> None:
    people = pages.here.people
    carol = (await people.sign_in(pages.here.carol)).token
    assert "cancel-reset" not in (await pages.get("/security", session=carol)).text
    await ask(pages, (await people.sign_in(pages.here.ada, "admin")).token)
    text = (await pages.get("/security", session=carol)).text
    assert "On 6 Mar 2025, 09:00 UTC an administrator asked" in text
    assert "This will happen on 7 Mar 2025, 09:00 UTC." in text
    french = await pages.get("/security", session=carol, accept_language="fr")
    assert "Votre double authentification va être réinitialisée" in french.text
    cancelled = await pages.post("/security/cancel-reset", session=carol)
    assert cancelled.headers["location"] == "/account/security"
    assert "cancel-reset" not in (await pages.get("/security", session=carol)).text


async def test_mailed_link_shows_a_button_and_only_the_button_cancels(pages: Pages) -> None:
    admin = (await pages.here.people.sign_in(pages.here.ada, "admin")).token
    token = await ask(pages, admin)
    (message,) = pages.here.mail.messages
    assert f"{HERE}/account/cancel-reset?token={token}" in message.text
    for _ in range(2):
        shown = await pages.get(f"/cancel-reset?token={token}")
        assert (shown.status_code, "Cancel the reset" in shown.text) == (200, True)
        assert pages.here.carol.email not in shown.text
    assert "cancel-reset" in (await pages.get("/admin", session=admin)).text
    elsewhere = await pages.post("/cancel-reset", {"token": token}, origin="https://evil.example")
    assert elsewhere.status_code == 403
    cancelled = await pages.post("/cancel-reset", {"token": token})
    assert cancelled.headers["location"] == "/account/sign-in"
    notice = cancelled.headers["set-cookie"].partition(";")[0]
    assert "Two-factor authentication stays on." in (await pages.get("/sign-in", cookie=notice)).text
    used = (await pages.get(f"/cancel-reset?token={token}")).text
    assert "This link has expired or was already used." in used
    assert 'action="/account/cancel-reset"' not in used
    again = await pages.post("/cancel-reset", {"token": token})
    assert (again.status_code, "This link has expired or was already used." in again.text) == (400, True)


async def test_who_lost_the_phone_is_shown_what_to_do(pages: Pages) -> None:
    text = (await pages.get("/sign-in/code")).text
    assert "Enter one of the backup codes" in text
    assert "ask an administrator to reset your two-factor authentication" in text
