"""The account menu, with and without scripts, and what reloading, going back and a second click show."""

from __future__ import annotations

import pytest

from tests.browser.visitor import NewVisitor, Visitor

pytestmark = pytest.mark.deep


def _signed_in(visitor: Visitor) -> Visitor:
    visitor.settle()
    return visitor


def test_the_menu_closes_by_escape_and_by_what_is_done_elsewhere(visit: NewVisitor) -> None:
    ada = _signed_in(visit())
    menu = ada.page.locator("[data-menu]")
    summary = menu.locator("summary")
    assert "Ada Lovelace" in summary.inner_text()
    summary.click()
    assert ada.email in menu.inner_text()
    ada.look("menu")
    ada.page.keyboard.press("Escape")
    assert menu.get_attribute("open") is None
    assert summary.evaluate("each => each === document.activeElement")
    summary.click()
    ada.page.locator("h1").click()
    assert menu.get_attribute("open") is None


@pytest.mark.parametrize(
    "browser",
    [
        pytest.param({"forced_colors": "active"}, marks=pytest.mark.deep),
        {"viewport": {"width": 320, "height": 640}},
    ],
)
def test_the_menu_can_be_used_everywhere(visit: NewVisitor, browser: dict[str, object]) -> None:
    ada = _signed_in(visit(**browser))
    ada.open("/nowhere")
    ada.page.locator("[data-menu] summary").click()
    ada.look("menu-not-found")
    ada.page.get_by_role("link", name="Activity").click()
    assert ada.sees("Account created")
    ada.look("activity")
    ada.sign_out()
    assert ada.path == "/sign-in"


def test_the_menu_works_without_scripts(visit: NewVisitor) -> None:
    ada = _signed_in(visit(java_script_enabled=False))
    ada.sign_out()
    assert ada.path == "/sign-in"
    assert ada.sees("You have signed out.")
    ada.page.reload()
    assert not ada.sees("You have signed out."), "a notice is read once"


def test_what_was_typed_is_there_again_after_the_session_ended(visit: NewVisitor) -> None:
    ada = _signed_in(visit())
    ada.open("/api-keys/new")
    ada.fill(name="nightly report", scopes="orders:read")
    ada.page.context.clear_cookies(name="better-auth.session_token")
    ada.submit()
    assert ada.path == "/sign-in"
    ada.fill(email=ada.email, password=ada.password)
    ada.submit()
    assert ada.path == "/api-keys/new"
    assert ada.sees("What you typed is still here")
    ada.look("form-kept")
    assert ada.page.locator("#f-name").input_value() == "nightly report"
    ada.submit()
    assert ada.sees("Your new API key")
    key = ada.page.locator("#new-key").inner_text()
    ada.page.reload()
    assert ada.page.locator("#new-key").inner_text() == key
    assert key in ada.page.locator("#curl").inner_text()
    ada.page.go_back()
    ada.page.go_forward()
    assert ada.page.locator("#new-key").inner_text() == key
