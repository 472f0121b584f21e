"""Nobody loses their way: `next` and the typed address, used links, refusals, invitations (F39)."""

from __future__ import annotations

import html
import re

import pytest

from tests.contract.acting import create_organization
from tests.contract.checks import accepted
from tests.contract.people import Account
from tests.web.conftest import Pages


def links(text: str, path: str) -> list[str]:
    return [each for each in re.findall(r'href="([^"]+)"', html.unescape(text)) if f"/account{path}?" in each]


async def test_next_and_the_typed_address_survive_another_actor_type_and_sign_up(pages: Pages) -> None:
    text = (await pages.get("/sign-in?next=/organizations&email=ada%2Bx@example.com")).text
    assert 'value="ada+x@example.com"' in text
    found_links = links(text, "/sign-in") + links(text, "/sign-up")
    assert len(found_links) >= 3
    for link in found_links:
        assert "next=/organizations" in link
        assert "email=ada%2Bx%40example.com" in link
        assert 'value="ada+x@example.com"' in (await pages.get(link.removeprefix("/account"))).text
    form = {"as": "merchant", "email": "new@example.com", "name": "New", "next": "/organizations"}
    answer = await pages.post("/sign-up", {**form, "new_password": "several unrelated words"})
    assert "next=%2Forganizations" in answer.headers["location"]
    assert 'value="new@example.com"' in (await pages.get(answer.headers["location"][len("/account") :])).text


async def test_the_email_of_a_refused_sign_in_is_kept(pages: Pages) -> None:
    account = await pages.here.people.sign_up()
    form = {"as": "merchant", "email": account.email, "password": account.password, "next": "/api-keys"}
    text = (await pages.post("/sign-in", form)).text
    assert any(
        f"as=customer&email={account.email.replace('@', '%40')}&next=/api-keys" in link
        for link in links(text, "/sign-in")
    )


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up"])
async def test_people_who_are_signed_in_are_led_on(pages: Pages, path: str) -> None:
    _, session = await pages.here.people.newcomer()
    answer = await pages.get(f"{path}?next=/api-keys", session=session.token)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account/api-keys")
    answer = await pages.get(path, session=session.token)
    assert answer.headers["location"] == "/account/"
    answer = await pages.get(f"{path}?next=//evil.example", session=session.token)
    assert answer.headers["location"] == "/account/"


async def test_refused_and_missing_pages_keep_the_navigation(pages: Pages) -> None:
    _, session = await pages.here.people.newcomer()
    for path, status in (("/admin/users", 403), ("/nowhere", 404)):
        answer = await pages.get(path, session=session.token)
        assert answer.status_code == status
        assert 'href="/account/api-keys"' in answer.text
        assert 'action="/account/sign-out"' in answer.text
    assert "/api-keys" not in (await pages.get("/nowhere")).text


async def test_an_administrator_who_is_there_as_a_customer_finds_the_way_in(pages: Pages) -> None:
    here = pages.here
    session = await here.people.sign_in(here.ada, "customer")
    answer = await pages.get("/admin/users", session=session.token)
    assert answer.status_code == 403
    assert 'name="as" value="admin"' in answer.text
    form = {"as": "admin", "next": "/admin/users"}
    led = await pages.post("/switch-actor", form, session=session.token)
    assert led.headers["location"].startswith(("/account/sign-in/code", "/account/admin/users"))


async def test_a_used_link_shows_no_live_form(pages: Pages) -> None:
    account, _ = await pages.here.people.newcomer()
    await pages.post("/forgot-password", {"email": account.email})
    token = await pages.here.mail.token(account.email, "password_reset")
    page = f"/reset-password?token={token}"
    assert 'name="new_password"' in (await pages.get(page)).text
    form = {"token": token, "new_password": "several unrelated words"}
    assert (await pages.post("/reset-password", form)).status_code == 303
    for path in (
        page,
        "/reset-password?token=x",
        "/reset-password",
        "/verify-email?token=x",
        "/verify-email",
    ):
        text = (await pages.get(path)).text
        assert "<form" not in text.partition("<main")[2].partition("</main>")[0], path
        assert "expired or was already used" in text


async def invited(pages: Pages) -> tuple[str, str, Account, str]:
    """Invite somebody with an account; gives the organization, the inviter's address, the account and the token."""
    here = pages.here
    owner, session = await here.people.newcomer()
    organization = await create_organization(here.api, session, "Workshop of ours")
    guest = await here.people.sign_up()
    body = {"email": guest.email, "role": "viewer"}
    sent = accepted(
        await here.api.post(f"/organizations/{organization}/invitations", body, bearer=session.token), 201
    )
    return organization, owner.email, guest, sent["token"]


async def test_an_invitation_names_organization_inviter_and_role(pages: Pages) -> None:
    _, inviter, guest, token = await invited(pages)
    session = await pages.here.people.sign_in(guest)
    page = await pages.get(f"/accept-invitation?token={token}", session=session.token)
    for text in ("Workshop of ours", inviter, "Viewer", "Decline"):
        assert text in page.text
    decline = re.findall(r'action="/account(/invitations/[0-9a-f-]{36}/decline)"', page.text)[0]
    declined = await pages.post(decline, session=session.token)
    assert declined.headers["location"] == "/account/organizations"
    gone = await pages.get(f"/accept-invitation?token={token}", session=session.token)
    assert gone.status_code in (400, 404)
    assert "no longer valid" in gone.text
    assert "/accept-invitation" not in gone.text.partition("<main")[2].partition("</main>")[0]


async def test_an_invitation_to_somebody_else_names_nothing(pages: Pages) -> None:
    _, inviter, _, token = await invited(pages)
    _, stranger = await pages.here.people.newcomer()
    page = await pages.get(f"/accept-invitation?token={token}", session=stranger.token)
    assert page.status_code == 403
    assert "Workshop of ours" not in page.text
    assert inviter not in page.text
