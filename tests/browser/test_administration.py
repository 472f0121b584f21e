"""The administration pages, and that only administrators get there."""

from __future__ import annotations

import csv
import json
import re

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Deployment
from tests.browser.visitor import SCRIPTS, NewVisitor, Visitor


@pytest.fixture
def admin(visit: NewVisitor, deployment: Deployment) -> Visitor:
    """An administrator with a second factor."""
    visitor = visit(email=deployment.new_admin())
    visitor.settle_as_admin()
    return visitor


def test_an_administrator_looks_after_users_and_the_journal(visit: NewVisitor, admin: Visitor) -> None:
    bob = visit()
    bob.name = "Bob the <b>Builder</b>"
    bob.settle()
    bob.enroll()
    bob.open("/api-keys/new")
    bob.fill(name="Bob's key")
    bob.press("Create key")

    admin.open("/admin")
    admin.look("admin-policy")
    admin.page.get_by_role("link", name="Users").click()
    admin.page.locator("#f-search").fill(bob.email)
    admin.page.get_by_text("Found: 1", exact=True).wait_for()
    admin.look("admin-users")
    admin.page.get_by_role("link", name=bob.name).click()
    admin.look("admin-user")
    admin.confirm_act("Revoke Bob's key", "Yes, revoke Bob's key")
    assert admin.sees("API key revoked.")

    admin.fill(reset_reason="   ")
    admin.press("Reset")
    assert "Enter a reason" in admin.error
    admin.fill(reset_reason="lost phone and codes, seen in person")
    admin.press("Reset")
    admin.press("Yes, reset")
    assert admin.sees("Two-factor authentication reset")
    bob.phone = None
    bob.open("/security")
    assert bob.path == "/sign-in"
    bob.sign_in()

    admin.page.get_by_label("Merchant").check()
    admin.press("Save")
    assert admin.sees("Actor types updated.")
    bob.open("/security")
    bob.press("Switch to: Merchant")
    assert bob.sees("You are signed in as: Merchant.")
    admin.fill(reason="spam")
    admin.press("Ban")
    assert admin.sees(f"Ban {bob.name}?")
    admin.look("admin-confirm")
    admin.press("Yes, ban")
    assert admin.sees("User banned.")
    bob.begin()
    assert "Incorrect email address or password." in bob.error
    admin.press("Lift the ban")
    assert admin.sees("Ban lifted.")

    admin.page.get_by_role("link", name="Their audit records").click()
    admin.look("admin-audit")
    with admin.page.expect_download() as download:
        admin.page.get_by_role("link", name="Export CSV").click()
    rows = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert any(row["action"] == "auth.2fa.reset" and "lost phone" in row["details"] for row in rows)
    with admin.page.expect_download() as download:
        admin.page.get_by_role("link", name="Export JSON").click()
    assert len(json.loads(download.value.path().read_text())["audit"]) == len(rows)
    admin.page.get_by_label("Outcome").select_option("denied")
    admin.page.get_by_role("button", name="Search").click()
    admin.page.get_by_text("Found: 0", exact=True).wait_for()
    assert "outcome=denied" in str(admin.page.get_by_role("link", name="Export CSV").get_attribute("href"))

    admin.page.get_by_role("link", name="Events").click()
    admin.page.wait_for_url("**/admin/events")
    admin.page.get_by_label("Event type").select_option("auth.user.banned")
    expect(admin.page.locator("#results")).not_to_contain_text("auth.session")
    assert admin.sees("auth.user.banned")
    admin.look("admin-events")


@pytest.mark.parametrize("scripts", SCRIPTS)
def test_a_refused_filter_is_explained_with_and_without_scripts(
    visit: NewVisitor, deployment: Deployment, *, scripts: bool
) -> None:
    admin = visit(email=deployment.new_admin(), java_script_enabled=scripts)
    admin.settle_as_admin()
    admin.open("/admin/audit")
    admin.page.get_by_label("Outcome").select_option("denied")
    admin.fill(user="nobody@example.org")
    admin.press("Search")
    admin.page.locator("#e-user").wait_for()
    assert "No account has this address." in admin.error
    expect(admin.page.get_by_label("Outcome")).to_have_value("denied")
    if scripts:
        admin.look("admin-audit-refused")
    admin.fill(user=admin.email)
    admin.press("Search")
    admin.page.get_by_text("Found: 0", exact=True).wait_for()
    expect(admin.page.locator(".error")).to_have_count(0)
    expect(admin.page.locator("#e-user")).to_have_count(0)


@pytest.mark.parametrize("scripts", SCRIPTS)
def test_anybodys_key_is_found_and_revoked(
    visit: NewVisitor, deployment: Deployment, *, scripts: bool
) -> None:
    bob, admin = visit(), visit(email=deployment.new_admin(), java_script_enabled=scripts)
    bob.settle()
    bob.open("/api-keys/new")
    bob.fill(name="Leaked")
    bob.press("Create key")
    key = bob.page.locator("#new-key").inner_text()
    admin.settle_as_admin()
    admin.open("/admin/api-keys")
    admin.fill(search=key[:8])
    admin.press("Search")
    admin.page.get_by_text("Found: 1", exact=True).wait_for()
    assert admin.sees(bob.email)
    assert key not in admin.page.content()
    if scripts:
        admin.look("admin-api-keys")
        admin.page.set_viewport_size({"width": 390, "height": 844})
        assert admin.page.evaluate("document.documentElement.scrollWidth") == 390
    admin.confirm_act("Revoke Leaked", "Yes, revoke Leaked")
    assert admin.sees("API key revoked.")
    bob.open("/api-keys")
    assert not bob.sees("Leaked")


@pytest.mark.deep
def test_others_see_why_they_may_not(visit: NewVisitor) -> None:
    bob = visit()
    bob.settle()
    assert bob.open("/admin/users").status == 403
    assert "You are not allowed to do this." in bob.error
    bob.look("refused")


@pytest.mark.deep
def test_user_that_was_searched_for_opens_at_the_first_click(visit: NewVisitor, admin: Visitor) -> None:
    """Leaving the field must not load the results again: a click on a link that is replaced meanwhile is lost."""
    bob = visit()
    bob.register()
    admin.open("/admin/users")
    admin.page.locator("#f-search").fill(bob.email)
    admin.page.get_by_text("Found: 1", exact=True).wait_for()
    found = admin.page.locator("#results th a")
    found.hover()
    admin.page.mouse.down()
    # As long as a finger may stay on a button.
    admin.page.wait_for_timeout(500)
    admin.page.mouse.up()
    admin.page.wait_for_url(re.compile(r"/admin/users/[^?]+"))
    admin.page.go_back()
    admin.page.get_by_text("Found: 1", exact=True).wait_for()
    for field in ("status", "actor", "two_factor"):
        chosen = admin.page.locator(f"#f-{field} option").nth(1).get_attribute("value")
        with admin.page.expect_response(lambda answer, text=f"{field}={chosen}": text in answer.url):
            admin.page.locator(f"#f-{field}").select_option(chosen)


@pytest.mark.deep
def test_what_is_typed_before_the_script_has_come_is_searched_for(visit: NewVisitor, admin: Visitor) -> None:
    bob = visit()
    bob.register()
    stalled: list[Route] = []
    admin.page.route("**/htmx.min.*", lambda route: stalled.append(route))
    with admin.page.expect_request("**/htmx.min.*"):
        admin.page.goto(admin.base + "/admin/users", wait_until="commit")
    admin.page.locator("#f-search").fill(bob.email)
    (script,) = stalled
    script.continue_()
    admin.page.get_by_text("Found: 1", exact=True).wait_for()


TABLE_OVERFLOW = """Math.max(
    0, ...[...document.querySelectorAll('.scroll')].map(each => each.scrollWidth - each.clientWidth)
)"""


def test_tables_of_usual_content_fit_where_the_window_has_room(visit: NewVisitor, admin: Visitor) -> None:
    customer = visit(email="mary.somerville.astronomer@mathematics.example.com")
    customer.name = "Mary Somerville"
    customer.settle()
    customer.enroll()
    customer.open("/api-keys/new")
    customer.fill(name="Nightly export")
    customer.press("Create key")
    # The name of this action is one of the longest.
    customer.open("/verify-email/send")
    customer.fill(email=customer.email)
    customer.submit()
    admin.open(f"/admin/users?search={customer.email}")
    admin.page.get_by_role("link", name=customer.name).click()
    admin.confirm_act("Revoke Nightly export", "Yes, revoke Nightly export")
    admin.fill(reset_reason="lost phone and codes")
    admin.press("Reset")
    admin.press("Yes, reset")
    admin.page.set_viewport_size({"width": 1280, "height": 800})
    for path in ("/admin/audit", "/admin/events", "/admin/users", "/admin/api-keys"):
        admin.open(path)
        over = admin.page.evaluate(TABLE_OVERFLOW)
        admin.picture(f"table{path.replace('/', '-')}")
        assert over == 0, f"the table of {path} is {over} px wider than its place"
    # On a phone the table scrolls, and the page does not.
    admin.page.set_viewport_size({"width": 375, "height": 740})
    admin.open("/admin/audit")
    admin.picture("table-phone")
    assert admin.page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth") <= 0
