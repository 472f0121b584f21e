"""Signing up and in, and the second factor, as a person sees them."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Deployment
from tests.browser.visitor import NewVisitor


@pytest.mark.parametrize(
    "scripts",
    [pytest.param(True, marks=pytest.mark.deep, id="scripts"), pytest.param(False, id="no scripts")],
)
def test_a_person_signs_up_enrolls_and_signs_in_with_either_kind_of_code(
    visit: NewVisitor, *, scripts: bool
) -> None:
    ada = visit(java_script_enabled=scripts)
    ada.sign_up()
    assert ada.sees("Your account has been created")
    ada.sign_in()
    assert ada.path == "/security"
    ada.enroll()
    assert ada.sees("Backup codes left: 10.")

    ada.sign_out()
    assert ada.path == "/sign-in"
    ada.sign_in()
    assert ada.path == "/security"

    ada.page.context.clear_cookies()
    ada.begin()
    ada.use_backup_code(ada.codes[0].lower())
    ada.submit()
    assert ada.path == "/security"
    assert ada.sees("Backup codes left: 9.")


def test_an_administrator_is_led_to_enrollment_and_no_further(
    visit: NewVisitor, deployment: Deployment
) -> None:
    ada = visit(email=deployment.new_admin())
    ada.begin("admin")
    assert ada.path == "/enrol"
    assert ada.sees("Your account requires two-factor authentication.")
    ada.look("enrolment-demanded")
    for path in ("/", "/security", "/api-keys", "/organizations", "/admin/users", "/sign-in", "/password"):
        ada.open(path)
        assert ada.path == "/enrol"

    ada.press("Begin")
    ada.scan()
    ada.look("enrolment")
    ada.fill(code="000000")
    ada.press("Turn on")
    assert "Incorrect code." in ada.error
    assert ada.phone is not None
    manual_key = ada.page.locator("#manual-key").inner_text()
    assert manual_key.replace(" ", "") == ada.phone.secret, "nothing has to be scanned again"
    ada.look("enrolment-wrong-code")
    ada.enter_first_code()
    ada.look("enrolment-codes")
    secret = ada.phone.secret
    ada.page.reload()
    ada.keep_codes()
    assert ada.path == "/security"
    assert len(ada.codes) == 10
    ada.page.go_back()
    assert secret not in ada.page.content()
    ada.open("/security")
    assert ada.phone.secret not in ada.page.content()
    assert not ada.page.get_by_role("link", name="Turn off").count()
    ada.open("/admin")
    assert ada.page.locator("h1").inner_text() == "Policy overview"


@pytest.mark.deep
def test_the_second_step_says_why_it_refuses(visit: NewVisitor) -> None:
    ada = visit()
    ada.settle()
    ada.look("security-without")
    ada.enroll()
    ada.page.context.clear_cookies()

    ada.open("/sign-in")
    ada.look("sign-in")
    ada.fill(email=ada.email, password="wrong wrong wrong")
    ada.submit()
    assert "Incorrect email address or password." in ada.error
    assert ada.page.locator("#f-email").input_value() == ada.email
    assert ada.page.locator("#f-password").input_value() == ""
    assert ada.page.evaluate("document.activeElement.id") == "errors"
    ada.look("sign-in-refused")

    ada.begin()
    ada.look("second-step")
    assert ada.page.locator("#f-code").get_attribute("autocomplete") == "one-time-code"
    assert ada.page.evaluate("document.activeElement.id") == "f-code"
    assert ada.phone is not None
    ada.fill(code=ada.phone.at(-20))
    ada.submit()
    assert "your phone’s clock is slow" in ada.error
    ada.fill(code=ada.phone.at(20))
    ada.submit()
    assert "Wait for the next code" in ada.error, (
        "a code of the future must not be told apart from a wrong one"
    )
    ada.look("second-step-refused")
    ada.page.locator("#f-trust_device").check()
    ada.fill(code=ada.phone.code())
    ada.submit()
    assert ada.path == "/security"
    assert ada.page.get_by_role("button", name="Forget all devices").count() == 1
    ada.look("security")

    ada.sign_out()
    ada.begin()
    assert ada.path == "/security", "a trusted device skips the second step"
    ada.page.locator("main").get_by_role("button", name="Forget all devices").click()
    assert ada.sees("You have no trusted devices.")


@pytest.mark.deep
def test_a_factor_is_replaced_renewed_and_turned_off(visit: NewVisitor) -> None:
    ada = visit()
    ada.settle()
    ada.enroll()

    ada.open("/security/backup-codes")
    ada.look("backup-codes-ask")
    ada.fill(password="not my password")
    ada.press("Show new codes")
    assert "Incorrect password." in ada.error
    ada.fill(password=ada.password)
    ada.press("Show new codes")
    fresh = ada.page.locator("#backup-codes li").all_inner_texts()
    assert len(fresh) == 10
    assert not set(fresh) & set(ada.codes)
    ada.look("backup-codes")
    with ada.page.expect_download() as download:
        ada.page.get_by_role("link", name="Download").click()
    heading, _, *saved = download.value.path().read_text().splitlines()
    assert saved == fresh
    assert ada.email in heading
    assert fresh[0] not in ada.open("/security/backup-codes").text()

    ada.open("/enrol")
    ada.look("replace")
    ada.fill(password=ada.password)
    ada.press("Begin")
    old = ada.phone
    assert old is not None
    ada.scan()
    ada.page.reload()
    ada.fill(code=old.code())
    ada.press("Turn on")
    assert "from your current authenticator" in ada.error
    assert ada.phone is not None
    assert ada.page.locator("#manual-key").inner_text().replace(" ", "") == ada.phone.secret, (
        "nothing has to be scanned again"
    )
    ada.confirm()

    ada.open("/security/disable")
    ada.look("disable")
    ada.fill(password=ada.password)
    ada.press("Turn off")
    assert ada.sees("Two-factor authentication is off.")


def test_sessions_are_listed_and_ended(visit: NewVisitor) -> None:
    ada = visit()
    ada.settle()
    elsewhere = visit(email=ada.email)
    elsewhere.sign_in()
    ada.open("/security")
    assert ada.page.locator("section:has(#sessions) li").count() == 2
    ada.press("End all other sessions")
    assert ada.page.locator("section:has(#sessions) li").count() == 1
    elsewhere.open("/security")
    assert elsewhere.path == "/sign-in"


def test_a_password_is_changed_and_a_forgotten_one_replaced(
    visit: NewVisitor, deployment: Deployment
) -> None:
    ada = visit()
    ada.settle()
    ada.open("/password")
    ada.look("password")
    ada.fill(password=ada.password, new_password="password1")
    ada.press("Change password")
    assert "known data breaches" in ada.error
    ada.password = "staple battery horse correct"
    ada.fill(password="correct horse battery staple", new_password=ada.password)
    ada.press("Change password")
    assert ada.sees("Password changed.")
    ada.sign_out()

    ada.page.get_by_role("link", name="Forgot your password?").click()
    ada.look("forgot-password")
    ada.fill(email=ada.email)
    ada.submit()
    assert ada.sees("emailed it a link")
    ada.open(f"/reset-password?token={deployment.mailed(ada.email, 'reset-password')}")
    ada.look("reset-password")
    ada.password = "a third one, quite long"
    ada.fill(new_password=ada.password)
    ada.submit()
    assert ada.sees("Password changed.")
    ada.sign_in()
    assert ada.path == "/security"
