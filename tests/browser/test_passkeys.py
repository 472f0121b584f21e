"""Passkeys as a person sees them, with Chromium's virtual authenticator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import TIMEOUT_MILLISECONDS, Deployment
from tests.browser.virtual_authenticator import VirtualAuthenticator
from tests.browser.visitor import Visitor, new_email

Person = tuple[Visitor, VirtualAuthenticator]


@pytest.fixture
def person(chromium: Browser, deployment: Deployment) -> Iterator[Person]:
    """Somebody whose browser has an authenticator, at the name that passkeys can belong to."""
    context = chromium.new_context(locale="en-GB", viewport={"width": 1100, "height": 800})
    context.set_default_timeout(TIMEOUT_MILLISECONDS)
    page = context.new_page()
    visitor = Visitor(page, deployment.base, email=new_email())
    yield visitor, VirtualAuthenticator(page)
    context.close()
    assert not visitor.complaints


def create(visitor: Visitor, name: str) -> None:
    visitor.fill(name=name)
    visitor.press("Create a passkey")


def sign_out(visitor: Visitor) -> None:
    visitor.sign_out()
    expect(visitor.page).to_have_url(f"{visitor.base}/sign-in")


SIGNAL_API = """
// The Signal API as the pages use it. Chromium's own is about passkeys of its password manager, which is not there in
// tests.
globalThis.signaled = () => JSON.parse(sessionStorage.signaled || "[]");
PublicKeyCredential.signalAllAcceptedCredentials = async (accepted) => {
  sessionStorage.signaled = JSON.stringify([...signaled(), accepted]);
};
"""


def base64url_of(text: str) -> str:
    """Write what Chromium's tools give in base64 as pages write it."""
    return text.replace("+", "-").replace("/", "_").rstrip("=")


def test_a_passkey_is_added_signs_in_and_is_removed(person: Person) -> None:
    ada, device = person
    ada.page.add_init_script(SIGNAL_API)
    ada.settle()
    ada.page.get_by_role("link", name="Add a passkey").click()
    ada.look("passkey-new")
    create(ada, "Laptop")
    expect(ada.page.get_by_role("heading", name="Save your backup codes")).to_be_visible()
    assert ada.page.locator("#backup-codes li").count() == 10
    ada.look("passkey-codes")
    ada.page.locator("#f-saved").check()
    ada.submit()
    assert ada.path == "/security"
    assert ada.sees("Laptop")
    assert len(device.credentials()) == 1
    ada.look("passkey-listed")

    # By the button; a passkey is both factors.
    device.touches(itself=False)
    sign_out(ada)
    ada.look("passkey-sign-in")
    device.touches(itself=True)
    ada.press("Sign in with a passkey")
    expect(ada.page).to_have_url(f"{ada.base}/security")
    # By autofill, which the virtual authenticator chooses as soon as the page offers it.
    ada.sign_out()
    expect(ada.page).to_have_url(f"{ada.base}/security")

    ada.page.get_by_text("Rename", exact=True).click()
    ada.page.get_by_label("Name", exact=True).nth(0).fill("Work laptop")
    ada.page.locator("main details button").first.click()
    expect(ada.page.get_by_text("Your passkey is renamed.")).to_be_visible()
    ada.page.get_by_role("link", name="Remove Work laptop").click()
    ada.look("passkey-remove")
    signals = ada.page.evaluate("signaled()")
    ada.press("Remove")
    expect(ada.page.get_by_text("Your passkey is removed.")).to_be_visible()
    # Password managers are told which passkeys are left: it was there before, and is no more.
    (credential,) = device.credentials()
    before = signals[-1]
    assert before["allAcceptedCredentialIds"] == [base64url_of(credential["credentialId"])]
    assert before["userId"] == base64url_of(credential["userHandle"])
    assert before["rpId"] == credential["rpId"]
    assert ada.page.evaluate("signaled().at(-1).allAcceptedCredentialIds") == []


def test_an_administrator_enrolls_by_passkey_alone(person: Person, deployment: Deployment) -> None:
    ada, _ = person
    ada.email = deployment.new_admin()
    ada.begin("admin")
    assert ada.path == "/enrol"
    ada.page.get_by_role("link", name="Add a passkey").click()
    assert ada.path == "/passkeys/new"
    create(ada, "Security key")
    expect(ada.page.get_by_role("heading", name="Save your backup codes")).to_be_visible()
    ada.page.locator("#f-saved").check()
    ada.submit()
    ada.open("/admin")
    assert ada.page.locator("h1").inner_text() == "Policy overview"


def test_a_passkey_is_the_second_step(person: Person) -> None:
    ada, device = person
    ada.settle()
    ada.open("/passkeys/new")
    create(ada, "")
    expect(ada.page.get_by_role("heading", name="Save your backup codes")).to_be_visible()
    ada.page.context.clear_cookies()
    # The finger is not recognized: neither autofill nor the button lets anyone in.
    device.verifies(user=False)
    ada.begin()
    assert ada.path == "/sign-in/code"
    ada.look("passkey-second-step")
    ada.press("Use a passkey")
    expect(ada.page.get_by_text("That did not work or was canceled.")).to_be_visible()
    device.verifies(user=True)
    ada.press("Use a passkey")
    expect(ada.page).to_have_url(f"{ada.base}/security")


QUIET_BROWSER = """
// A browser that creates passkeys without a question. Chromium's password manager is not there in tests; its virtual
// authenticator is.
PublicKeyCredential.getClientCapabilities = async () => ({ conditionalCreate: true });
const create = navigator.credentials.create.bind(navigator.credentials);
navigator.credentials.create = ({ mediation, ...options }) => {
  window.name = mediation || "asked";
  return create(options);
};
"""


@pytest.mark.deep
def test_a_password_manager_adds_a_passkey_by_itself_once_there_are_a_factor_and_codes(
    person: Person,
) -> None:
    ada, device = person
    ada.page.add_init_script(QUIET_BROWSER)
    ada.settle()
    ada.open("/security")
    assert device.credentials() == []
    # The page that enrollment ends on asks for the passkey, and comes again with the notice.
    ada.enroll()
    expect(ada.page.get_by_text("Your passkey is added.")).to_be_visible()
    assert ada.page.evaluate("window.name") == "conditional"
    assert len(device.credentials()) == 1


def test_pages_work_without_scripts(chromium: Browser, deployment: Deployment) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{deployment.base}/sign-in")
    assert not page.get_by_role("button", name="Sign in with a passkey").is_visible()
    assert page.get_by_role("button", name="Sign in", exact=True).is_visible()
    context.close()
