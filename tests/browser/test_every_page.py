"""axe and 320 px on the pages that other tests pass by, and a check that no page is left out."""

from __future__ import annotations

import json
import re
import urllib.request
from importlib.resources import files
from pathlib import Path

import pytest

from tests.browser.conftest import Deployment
from tests.browser.test_widths import WORD, check_widths
from tests.browser.visitor import NewVisitor

PARTS = {
    *("layout.html", "parts.html", "key_about.html", "key_fields.html", "key_usage.html"),
    *("service_account_parts.html", "webhook_parts.html"),
}
"""What other templates put in."""

LOOKED_AT = {
    "accept_invitation.html": "accept-invitation",
    "activity.html": "/activity",
    "admin_api_keys.html": "/admin/api-keys",
    "admin_audit.html": "/admin/audit",
    "admin_confirm.html": "admin-confirm",
    "admin_events.html": "/admin/events",
    "admin_new_user.html": "/admin/new-user",
    "admin_organizations.html": "/admin/organizations",
    "admin_owner.html": "admin-owner",
    "admin_policy.html": "admin-policy",
    "admin_user.html": "admin-user",
    "admin_users.html": "/admin/users",
    "api_key.html": "api-key",
    "api_key_new.html": "api-key-new",
    "api_key_shown.html": "api-key-shown",
    "api_keys.html": "/api-keys",
    "backup_codes.html": "/security/backup-codes",
    "backup_codes_shown.html": "backup-codes",
    "cancel_reset.html": "cancel-reset",
    "delete_account.html": "/delete-account",
    "device.html": "device-request",
    "disable.html": "/security/disable",
    "email.html": "/email",
    "enrol.html": "/enrol",
    "enrol_codes.html": "enrolment-codes",
    "enrol_confirm.html": "enrol-outdated",
    "enrol_secret.html": "enrolment",
    "forgot_password.html": "/forgot-password",
    "invited.html": "invited",
    "organization.html": "organization",
    "organization_key.html": "organization-key",
    "organization_keys.html": "/api-keys",
    "organizations.html": "/organizations",
    "passkey_new.html": "passkey-new",
    "passkey_remove.html": "passkey-remove",
    "password.html": "/password",
    "prove.html": "prove",
    "reauthenticate.html": "reauthenticate",
    "refused.html": "/nowhere",
    "reject_verification.html": "reject-verification",
    "remove_member.html": "remove-member",
    "reset_password.html": "reset-password",
    "revert_email_change.html": "revert-email-change",
    "secure_account.html": "secure-account",
    "security.html": "/security",
    "service_account.html": "service-account",
    "service_accounts.html": "/service-accounts",
    "shown_over.html": "shown-over",
    "sign_in.html": "/sign-in",
    "sign_in_code.html": "second-step",
    "sign_up.html": "/sign-up",
    "verify_email.html": "verify-email",
    "verify_email_send.html": "/verify-email/send",
    "webhook.html": "webhook",
    "webhook_secret.html": "webhook-secret",
    "webhooks.html": "/webhooks",
}
"""By which name, or at which path, a browser test looks at the page of each template."""


def test_every_template_is_looked_at_by_a_browser_test() -> None:
    ours = {each.name for each in files("czo_auth.web").joinpath("templates").iterdir()}
    assert set(LOOKED_AT) == ours - PARTS
    source = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    source = source.replace(source[source.index("LOOKED_AT = {") : source.index("By which name, or at")], "")
    for template, name in LOOKED_AT.items():
        assert re.search(rf"[\"/}}]{re.escape(name.removeprefix('/'))}\"", source), template


@pytest.mark.deep
def test_links_in_mails_open_pages_that_are_accessible(visit: NewVisitor, deployment: Deployment) -> None:
    ada = visit()
    ada.sign_up()
    ada.open("/verify-email/send")
    ada.fill(email=ada.email)
    ada.submit()
    token = deployment.mailed(ada.email, "verify-email")
    for page in ("verify-email", "reject-verification"):
        ada.open(f"/{page}?token={token}")
        check_widths(ada, page)
    ada.begin()
    ada.open("/email")
    old, new = ada.email, f"{'n' * 60}@{'e' * 60}.example.com"
    ada.fill(email=new)
    ada.submit()
    ada.open(f"/revert-email-change?token={deployment.mailed(old, 'revert-email-change')}")
    check_widths(ada, "revert-email-change")
    ada.open("/password")
    ada.fill(password=ada.password, new_password="another long sentence")
    ada.press("Change password")
    ada.open(f"/secure-account?token={deployment.mailed(old, 'secure-account')}")
    check_widths(ada, "secure-account")


@pytest.mark.deep
def test_pages_beside_the_common_way_are_accessible(visit: NewVisitor, deployment: Deployment) -> None:
    ada = visit(email=deployment.new_admin())
    ada.begin("admin")
    ada.press("Begin")
    ada.scan()
    ada.enter_first_code()
    shown_codes = ada.path
    ada.keep_codes()
    ada.open("/prove?next=/security")
    check_widths(ada, "prove")
    ada.open("/reauthenticate?next=/security")
    check_widths(ada, "reauthenticate")
    guest = visit()
    guest.settle()
    guest.open(shown_codes)
    assert guest.sees("This page has expired")
    check_widths(guest, "shown-over")
    # A second window replaces the secret that the first one shows.
    guest.open("/enrol")
    guest.press("Begin")
    guest.scan()
    other = guest.page.context.new_page()
    other.goto(f"{deployment.base}/enrol")
    other.locator("main").get_by_role("button", name="Begin").click()
    other.locator("#manual-key").wait_for()
    guest.fill(code="000000")
    guest.press("Turn on")
    assert guest.sees("replaced by a newer one")
    check_widths(guest, "enrol-outdated")
    asked = urllib.request.Request(
        f"{deployment.server.url}/api/auth/device/code",
        data=json.dumps({"client_id": "cli", "name": WORD, "scope": "orders:read"}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(asked) as answer:
        code = json.load(answer)["user_code"]
    ada.open(f"/device?user_code={code}")
    assert ada.sees(WORD)
    check_widths(ada, "device-request")


@pytest.mark.deep
def test_pages_of_an_organization_beside_the_common_way_are_accessible(
    visit: NewVisitor, deployment: Deployment
) -> None:
    ada, guest = visit(email=deployment.new_admin()), visit()
    ada.settle_as_admin()
    ada.open("/organizations")
    ada.fill(name=WORD)
    ada.press("Create")
    organization = ada.path
    ada.fill(email=guest.email)
    ada.press("Invite")
    link = ada.page.locator("#invitation-link").inner_text()
    guest.settle()
    guest.follow(link)
    guest.press("Accept the invitation")
    ada.open("/api-keys/new")
    ada.fill(name=WORD, scopes="orders:read")
    ada.page.locator("#f-organization").select_option(index=1)
    ada.press("Create key")
    assert ada.sees("Copy it now.")
    ada.open(organization)
    ada.page.locator("main a[href$='/remove']").click()
    check_widths(ada, "remove-member")
    ada.open(f"{organization}/api-keys")
    ada.page.locator("tbody a").first.click()
    check_widths(ada, "organization-key")
    ada.open("/admin/organizations")
    ada.page.locator("tbody a").first.click()
    check_widths(ada, "admin-owner")
