"""Webhook endpoints on the pages, as an owner sees them."""

from __future__ import annotations

from tests.browser.visitor import NewVisitor

URL = "https://hooks.example.com/czo"


def test_an_owner_adds_tests_and_deletes_an_endpoint(visit: NewVisitor) -> None:
    ada = visit()
    ada.settle("merchant")
    ada.open("/organizations")
    ada.fill(name="Analytical Engines")
    ada.press("Create")
    ada.page.get_by_role("link", name="Manage webhooks").click()
    ada.fill(url="http://127.0.0.1/", description="The shop")
    ada.press("Add")
    assert "cannot be used" in ada.error
    ada.look("webhooks-error")
    ada.fill(url=URL, events="auth.apikey.*")
    ada.press("Add")
    assert ada.page.locator("#new-secret").inner_text().startswith("whsec_")
    ada.look("webhook-secret")
    ada.page.get_by_role("link", name="I have saved it").click()
    ada.press("Send a test")
    assert ada.sees("The test event is being sent.")
    assert ada.sees("auth.webhook.test")
    ada.look("webhook")
    ada.press("Switch off")
    assert ada.sees("The endpoint is off.")
    ada.confirm_act("Delete", "Yes, delete it with its log")
    assert ada.sees("The endpoint is deleted.")
    ada.look("webhooks")
