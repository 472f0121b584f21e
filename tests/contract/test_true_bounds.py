"""A refusal of what is too long or too large states the bound that counts (docs/reference/rest.md)."""

from __future__ import annotations

import pytest

from czo_auth.core import limits
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.routes import NOWHERE

FAR = 10**13


@pytest.mark.parametrize(
    ("field", "value", "bound"),
    [
        ("name", "x" * (limits.MAX_NAME + 1), limits.MAX_NAME),
        ("name", "x" * (2 * limits.MAX_NAME + 1), limits.MAX_NAME),
        ("quotaMax", limits.MAX_QUOTA + 1, limits.MAX_QUOTA),
        ("quotaMax", FAR, limits.MAX_QUOTA),
        ("quotaMax", 10**400, limits.MAX_QUOTA),
        ("rateLimitMax", FAR, limits.MAX_RATE_LIMIT_REQUESTS),
        ("rateLimitTimeWindow", FAR, 1000 * limits.MAX_RATE_LIMIT_SECONDS),
        ("allowedIps", [f"10.0.0.{number}" for number in range(100)], limits.MAX_ADDRESSES),
    ],
)
async def test_key_is_refused_with_the_true_bound(live: Live, field: str, value: object, bound: int) -> None:
    _, session = await live.people.newcomer()
    body = {"name": "x", field: value} | ({"quotaPeriod": "day"} if field == "quotaMax" else {})
    reported = refused(await live.api.post("/api-keys", body, bearer=session.token), 400, "VALIDATION_ERROR")
    ((where, what),) = [(detail["loc"], detail["msg"]) for detail in reported["details"]]
    assert where == field
    assert f" {bound}" in what
    assert str(value) not in what


@pytest.mark.parametrize("field", ["apiKeyMaxDays", "apiKeyUnusedDays", "twoFactorGraceDays"])
async def test_days_of_an_organization_are_refused_with_the_true_bound(live: Live, field: str) -> None:
    _, session = await live.people.newcomer()
    created = await live.api.post("/organizations", {"name": "Acme"}, bearer=session.token)
    path = f"/organizations/{accepted(created, 201)['organization']['id']}"
    reported = refused(
        await live.api.patch(path, {field: FAR}, bearer=session.token), 400, "VALIDATION_ERROR"
    )
    bound = limits.MAX_GRACE_DAYS if field == "twoFactorGraceDays" else limits.MAX_KEY_DAYS
    ((where, what),) = [(detail["loc"], detail["msg"]) for detail in reported["details"]]
    assert where == field
    assert f" {bound}" in what


@pytest.mark.parametrize(
    ("path", "field", "bound"),
    [
        ("/admin/users/{}/ban", "reason", limits.MAX_REASON),
        ("/admin/webhooks", "description", limits.MAX_DESCRIPTION),
        ("/admin/webhooks", "url", limits.MAX_WEBHOOK_URL),
    ],
)
async def test_administrators_text_is_refused_with_the_true_bound(
    live: Live, path: str, field: str, bound: int
) -> None:
    account, session = await live.admin()
    session = await live.people.enroll(account, session)
    body = {"url": "https://example.com/", "events": ["*"]} if "webhooks" in path else {}
    for length in (bound + 1, 2 * bound + 1):
        text = "https://example.com/".ljust(length, "a")
        answer = await live.api.post(path.format(NOWHERE), body | {field: text}, bearer=session.token)
        reported = refused(answer, 400, "VALIDATION_ERROR")
        assert reported["details"] == [{"loc": field, "msg": f"At most {bound} characters."}]
