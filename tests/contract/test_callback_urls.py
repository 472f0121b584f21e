"""Where mailed links lead (contract-2, section 12): obeyed within the trusted origins, refused elsewhere."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.people import PASSWORD
from tests.support.settings import HERE

RESET, VERIFY = "/request-password-reset", "/send-verification-email"
SIGN_UP, SIGN_IN = "/sign-up/email", "/sign-in/email"
FIELDS = {RESET: "redirectTo", VERIFY: "callbackURL", SIGN_UP: "callbackURL", SIGN_IN: "callbackURL"}
KINDS = {RESET: "password_reset", VERIFY: "verification"}


async def link_of(timed: Timed, path: str, url: str | None, **more: Any) -> str:
    account = await timed.people.sign_up()
    body: dict[str, Any] = {"email": account.email, **more}
    if url is not None:
        body[FIELDS[path]] = url
    assert accepted(await timed.api.post(path, body)) == {"status": True}
    await timed.mail.token(account.email, KINDS[path])
    message = next(each for each in reversed(timed.mail.messages) if each.kind == KINDS[path])
    (link,) = [word for word in message.text.split() if word.startswith("http") and "token=" in word]
    return link


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example/reset",
        "https://a.shop.example/r?x=1",
        "/reset",
        f"{HERE}/reset",
        "https://APP.example:443/",
    ],
)
async def test_reset_link_leads_to_a_trusted_page(timed_sqlite: Timed, url: str) -> None:
    link = await link_of(timed_sqlite, RESET, url, unknown="ignored")
    wanted = urlsplit(f"{HERE}{url}" if url.startswith("/") else url)
    found = urlsplit(link)
    assert (found.scheme, found.netloc, found.path) == (wanted.scheme, wanted.netloc, wanted.path)
    query = parse_qs(found.query)
    token = query.pop("token")[0]
    assert query == parse_qs(wanted.query)
    body = {"token": token, "newPassword": "a wholly different passphrase"}
    assert accepted(await timed_sqlite.api.post("/reset-password", body)) == {"status": True}


async def test_confirmation_leads_on_to_a_trusted_page(timed: Timed) -> None:
    link = await link_of(timed, VERIFY, "https://app.example/welcome?a=1", unknown="ignored")
    query = parse_qs(urlsplit(link).query)
    assert query["callbackURL"] == ["https://app.example/welcome?a=1"]
    answer = await timed.api.get(f"/verify-email?{urlsplit(link).query}")
    assert (answer.status_code, answer.headers["location"]) == (302, "https://app.example/welcome?a=1")
    link = await link_of(timed, VERIFY, None)
    assert accepted(await timed.api.get(f"/verify-email?{urlsplit(link).query}"))["status"] is True


@pytest.mark.parametrize("path", [RESET, VERIFY, SIGN_UP, SIGN_IN])
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/reset",
        "http://app.example/reset",
        "https://app.example.evil.example/",
        "https://app.example@evil.example/",
        "//evil.example/reset",
        "/\\evil.example",
        "javascript:alert(1)",
        "https://app.example:8443/",
        "app.example/reset",
        "https://app.example/\x07",
    ],
)
async def test_page_elsewhere_is_refused_before_any_mail(timed_sqlite: Timed, path: str, url: str) -> None:
    before = len(timed_sqlite.mail.messages)
    for email in (timed_sqlite.carol.email, "nobody@example.com"):
        body = {"email": email, "password": PASSWORD, "name": "Eve", FIELDS[path]: url}
        refused(await timed_sqlite.api.post(path, body), 403, "INVALID_CALLBACK_URL")
    assert len(timed_sqlite.mail.messages) == before


async def test_sign_up_redirects_its_confirmation_to_a_trusted_page(deploy: Deploy) -> None:
    here = await deploy(confirm_sign_up=True, trusted_origins=("https://app.example",))
    page = "https://app.example/welcome?a=1"
    body = {"email": "new@example.com", "password": PASSWORD, "name": "Eve", "callbackURL": page}
    answer = accepted(await here.api.post(SIGN_UP, body))
    assert (answer["redirect"], answer.get("url")) == (False, None)
    token = await here.mail.token("new@example.com", "verification")
    (message,) = [each for each in here.mail.messages if each.kind == "verification"]
    (link,) = [word for word in message.text.split() if word.startswith("http") and "token=" in word]
    assert parse_qs(urlsplit(link).query) == {"token": [token], "callbackURL": [page]}
    confirmed = await here.api.get(f"/verify-email?{urlsplit(link).query}")
    assert (confirmed.status_code, confirmed.headers["location"]) == (302, page)


@pytest.mark.parametrize("page", ["https://app.example/home", "/home"])
async def test_sign_in_leaves_it_to_the_client_to_go_to_a_trusted_page(
    timed_sqlite: Timed, page: str
) -> None:
    """better-auth-wire: sign-in answers `redirect: false`, also to a client that sends `callbackURL`."""
    account = await timed_sqlite.people.sign_up()
    for callback in (page, None, ""):
        body = {"email": account.email, "password": account.password, "callbackURL": callback}
        answer = accepted(await timed_sqlite.api.post(SIGN_IN, body))
        assert answer["redirect"] is False
        assert "url" not in answer


async def test_forged_callback_of_a_link_confirms_nothing(timed_sqlite: Timed) -> None:
    link = await link_of(timed_sqlite, VERIFY, None)
    token = parse_qs(urlsplit(link).query)["token"][0]
    answer = await timed_sqlite.api.get(f"/verify-email?token={token}&callbackURL=https://evil.example/")
    refused(answer, 403, "INVALID_CALLBACK_URL")
    assert "location" not in answer.headers
    assert accepted(await timed_sqlite.api.get(f"/verify-email?token={token}"))["status"] is True
