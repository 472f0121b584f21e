"""API keys and organizations, as a person sees them."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.browser.conftest import Deployment
from tests.browser.visitor import SCRIPTS, NewVisitor, Visitor


def _bearer_answer(deployment: Deployment, key: str) -> int:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"{deployment.server.url}/api/auth/whoami", headers=headers, trust_env=False).status_code


def _shown_key(visitor: Visitor) -> str:
    key = visitor.page.locator("#new-key").inner_text()
    assert re.fullmatch(r"czo_[A-Za-z0-9_-]{43}", key)
    return key


@pytest.mark.parametrize("scripts", SCRIPTS)
def test_a_key_is_made_shown_once_narrowed_rotated_and_revoked(
    visit: NewVisitor, deployment: Deployment, *, scripts: bool
) -> None:
    ada = visit(java_script_enabled=scripts)
    ada.settle()
    ada.open("/api-keys")
    assert ada.sees("You have no API keys.")
    ada.page.get_by_role("link", name="New API key").click()
    ada.fill(name="Nightly export", scopes="not-a-scope")
    ada.press("Create key")
    assert "A scope looks like resource:action" in ada.error
    assert ada.page.locator("#f-name").input_value() == "Nightly export"
    ada.fill(scopes="orders:read orders:write")
    ada.press("Create key")
    key = _shown_key(ada)
    assert _bearer_answer(deployment, key) == 200
    if scripts:
        ada.look("api-key-shown")
        ada.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        ada.page.get_by_role("button", name="Copy", exact=True).click()
        ada.page.get_by_role("button", name="Copied").wait_for()
        assert ada.page.evaluate("navigator.clipboard.readText()") == key
    else:
        assert not ada.page.locator("[data-copy=new-key]").is_visible()

    ada.page.get_by_role("link", name="I have copied it").click()
    assert ada.sees(key[:8])
    assert key not in ada.page.content()
    if scripts:
        ada.look("api-keys")
    ada.page.get_by_role("link", name="Nightly export").click()
    if scripts:
        ada.look("api-key")
    ada.page.get_by_label("orders:write").uncheck()
    ada.press("Save")
    assert ada.sees("API key updated.")
    assert ada.page.locator("dd").first.inner_text() == "orders:read"

    ada.page.get_by_label("Old key keeps working for").select_option("0")
    ada.press("Rotate key")
    successor = _shown_key(ada)
    assert _bearer_answer(deployment, key) == 401
    assert _bearer_answer(deployment, successor) == 200
    ada.open("/api-keys")
    ada.page.get_by_role("link", name="Nightly export").click()
    assert not ada.page.get_by_role("button", name="Yes, revoke").is_visible()
    ada.confirm_act("Revoke", "Yes, revoke")
    assert ada.sees("API key revoked.")
    assert _bearer_answer(deployment, successor) == 401


def test_people_are_invited_join_get_roles_and_leave(visit: NewVisitor) -> None:
    ada, bob = visit(), visit()
    bob.name = "Bob"
    bob.register()
    ada.settle("merchant")
    ada.open("/organizations")
    ada.fill(name="Analytical Engines")
    ada.press("Create")
    assert ada.sees("Organization created.")
    ada.fill(email=bob.email)
    ada.press("Invite")
    link = ada.page.locator("#invitation-link").inner_text()
    ada.look("invited")
    ada.page.get_by_role("link", name="Continue").click()
    assert ada.sees(bob.email)

    bob.follow(link)
    assert bob.path == "/sign-in", "who is not signed in is asked to, and comes back"
    bob.look("sign-in-for-invitation")
    bob.fill(email=bob.email, password=bob.password)
    bob.submit()
    assert bob.path == "/accept-invitation"
    bob.look("accept-invitation")
    bob.press("Accept the invitation")
    assert bob.sees("You joined the organization.")

    ada.page.reload()
    ada.page.get_by_label("Role of Bob").select_option("admin")
    ada.page.get_by_role("button", name="Set role Bob").click()
    assert ada.sees("Role changed.")
    ada.look("organization")
    ada.confirm_act("Leave", "Yes, leave")
    assert "at least one owner" in ada.error
    bob.open("/organizations")
    bob.look("organizations")
    bob.page.get_by_role("link", name="Analytical Engines").click()
    bob.confirm_act("Leave", "Yes, leave")
    assert bob.sees("You left the organization.")


@pytest.mark.deep
def test_an_invitation_is_for_its_address_only(visit: NewVisitor) -> None:
    ada, eve = visit(), visit()
    for each in (ada, eve):
        each.settle("merchant")
    ada.open("/organizations")
    ada.fill(name="Engines")
    ada.press("Create")
    ada.fill(email="someone-else@example.com")
    ada.press("Invite")
    eve.follow(ada.page.locator("#invitation-link").inner_text())
    assert not eve.page.get_by_role("button", name="Accept").count()
    assert "was sent to another address" in eve.error


@pytest.mark.deep
@pytest.mark.parametrize("scripts", SCRIPTS)
def test_an_organization_is_renamed_and_deleted_by_its_name(visit: NewVisitor, *, scripts: bool) -> None:
    ada = visit(java_script_enabled=scripts)
    ada.settle("merchant")
    ada.open("/organizations")
    ada.fill(name="Difference Engines", slug=f"difference-{scripts}".lower())
    ada.press("Create")
    ada.fill(name="Analytical Engines", slug="Not A Slug")
    ada.press("Save")
    assert "lowercase letters" in ada.error
    assert ada.page.locator("#f-name").input_value() == "Analytical Engines"
    ada.fill(slug=f"analytical-{scripts}".lower())
    ada.press("Save")
    assert ada.page.locator("h1").inner_text() == "Analytical Engines"
    ada.fill(typed_name="Difference Engines")
    ada.press("Delete permanently")
    assert "not the name of this organization" in ada.error
    if scripts:
        ada.look("organization-delete-refused")
    ada.fill(typed_name="Analytical Engines")
    ada.press("Delete permanently")
    assert ada.sees("Organization deleted.")
    assert ada.sees("You are not a member of any organization.")


@pytest.mark.deep
def test_invitations_to_me_are_listed_once_my_address_is_confirmed(
    visit: NewVisitor, deployment: Deployment
) -> None:
    ada, bob = visit(), visit()
    bob.settle()
    ada.settle("merchant")
    for name in ("Looms", "Mills"):
        ada.open("/organizations")
        ada.fill(name=name)
        ada.press("Create")
        ada.fill(email=bob.email)
        ada.press("Invite")
    bob.open("/organizations")
    assert not bob.sees("Looms")
    bob.page.get_by_role("link", name="Confirm your email address").click()
    bob.fill(email=bob.email)
    bob.press("Send link")
    assert bob.path == "/security"
    assert bob.sees("emailed it a link")
    bob.open(f"/verify-email?token={deployment.mailed(bob.email, 'verify-email')}")
    bob.press("Confirm")

    bob.open("/organizations")
    assert bob.sees(f"From {ada.name}, {ada.email}")
    bob.look("invitations-received")
    bob.press("Accept Looms")
    assert bob.sees("You joined the organization.")
    bob.open("/organizations")
    bob.press("Decline Mills")
    assert bob.sees("Invitation declined.")
    assert not bob.sees("Mills")


@pytest.mark.deep
def test_a_name_is_changed(visit: NewVisitor) -> None:
    ada = visit()
    ada.settle()
    ada.fill(name="  ")
    ada.press("Save")
    assert "Enter a name" in ada.error
    ada.fill(name="Countess of Lovelace")
    ada.press("Save")
    assert ada.sees("Profile updated.")
    assert ada.page.locator(".lead").inner_text().startswith("Countess of Lovelace ·")
