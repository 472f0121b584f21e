"""Languages, light and dark, small screens, and the keyboard."""

from __future__ import annotations

import pytest

from tests.browser.visitor import NewVisitor, Visitor

pytestmark = pytest.mark.deep

NARROW = {"width": 360, "height": 740}


def _signed_in(visitor: Visitor) -> Visitor:
    visitor.sign_up()
    visitor.sign_in()
    return visitor


def test_the_browsers_language_is_spoken(visit: NewVisitor) -> None:
    ada = visit(locale="fr-CA")
    ada.sign_up()
    assert ada.page.locator("html").get_attribute("lang") == "fr"
    ada.begin()
    assert ada.page.locator("h1").inner_text() == "Sécurité"
    ada.look("security-french")
    ada.open("/enrol")
    ada.press("Commencer")
    ada.scan()
    ada.look("enrolment-french")
    ada.open("/password")
    ada.fill(password="incorrect", new_password="assez long quand même")
    ada.press("Changer le mot de passe")
    assert "Mot de passe incorrect." in ada.error


def test_the_dark_side_can_be_read_too(visit: NewVisitor) -> None:
    ada = visit(color_scheme="dark")
    ada.open("/sign-in")
    ada.look("sign-in-dark")
    ada.submit()
    _signed_in(ada)
    ada.look("security-dark")
    ada.open("/enrol")
    ada.press("Begin")
    ada.look("enrolment-dark")
    ada.open("/api-keys/new")
    ada.fill(name="key", scopes="wrong")
    ada.press("Create key")
    ada.look("api-key-new-dark")


@pytest.mark.deep
def test_nothing_is_cut_off_on_a_small_screen(visit: NewVisitor) -> None:
    ada = _signed_in(visit(viewport=NARROW))
    for path, name in (
        ("/security", "security"),
        ("/password", "password"),
        ("/api-keys/new", "api-key-new"),
        ("/sign-up", "sign-up"),
    ):
        ada.open(path)
        assert ada.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], path
        ada.look(f"{name}-narrow")
    ada.open("/enrol")
    ada.press("Begin")
    assert ada.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    ada.look("enrolment-narrow")


def test_the_keyboard_is_enough(visit: NewVisitor) -> None:
    ada = visit()
    ada.sign_up()
    ada.open("/sign-in")
    assert ada.page.evaluate("document.activeElement.id") == "f-email"
    ada.page.keyboard.type(ada.email)
    ada.page.keyboard.press("Tab")
    ada.page.keyboard.type(ada.password)
    ada.page.keyboard.press("Enter")
    ada.page.wait_for_url("**/security")
    ada.page.keyboard.press("Tab")
    assert ada.page.evaluate("document.activeElement.className") == "skip"
    ada.page.keyboard.press("Enter")
    assert ada.page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize(
    "path",
    [
        "/verify-email",
        *(
            pytest.param(path, marks=pytest.mark.deep)
            for path in ("/verify-email/send", "/sign-up", "/nowhere")
        ),
    ],
)
def test_what_anybody_may_see_is_accessible(visit: NewVisitor, path: str) -> None:
    ada = visit()
    ada.open(path)
    ada.look(f"public{path.replace('/', '-')}")


def test_a_language_is_chosen_at_the_foot_and_a_long_page_opens_at_its_top(visit: NewVisitor) -> None:
    ada = _signed_in(visit(viewport=NARROW))
    ada.open("/security")
    assert ada.page.evaluate("document.documentElement.scrollHeight") > 2 * NARROW["height"]
    assert ada.page.evaluate("window.scrollY") == 0
    ada.page.get_by_role("navigation", name="Language").get_by_role("button", name="Deutsch").click()
    assert ada.path == "/security"
    assert ada.page.locator("h1").inner_text() == "Sicherheit"
    ada.look("security-german")
    ada.open("/password")
    assert ada.page.locator("html").get_attribute("lang") == "de"


def test_a_language_is_chosen_without_scripts(visit: NewVisitor) -> None:
    ada = visit(java_script_enabled=False)
    ada.open("/sign-up?as=merchant")
    ada.page.locator(".languages button[value=fr]").click()
    assert ada.page.url.endswith("/sign-up?as=merchant")
    assert ada.page.locator("h1").inner_text() == "Créer un compte"
