"""Addresses of users: compared in lower case, mailed as typed, and never folded into somebody else's (S27)."""

from __future__ import annotations

from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.database import sql
from tests.contract.deployments import Deployment, Timed
from tests.contract.people import PASSWORD

OTHER = "another sentence that nobody guesses"


async def sign_up(live: Deployment, email: str, password: str = PASSWORD) -> dict[str, object]:
    body = {"email": email, "name": "Ada", "password": password}
    user: dict[str, object] = accepted(await live.api.post("/customer/sign-up", body), 201)["user"]
    return user


async def test_addresses_that_fold_into_one_another_are_two_accounts(live: Live) -> None:
    sharp = await sign_up(live, "Groß.Eins@example.com")
    double = await sign_up(live, "gross.eins@example.com", OTHER)
    assert sharp["id"] != double["id"]
    assert sharp["email"] == "groß.eins@example.com"
    for email, password, user in (
        ("GROß.eins@EXAMPLE.com", PASSWORD, sharp),
        ("GROSS.EINS@example.com", OTHER, double),
    ):
        answer = await live.api.post("/sign-in/email", {"email": email, "password": password})
        assert accepted(answer)["user"]["id"] == user["id"]
    for email, password in (("groß.eins@example.com", OTHER), ("gross.eins@example.com", PASSWORD)):
        answer = await live.api.post("/sign-in/email", {"email": email, "password": password})
        refused(answer, 401, "INVALID_EMAIL_OR_PASSWORD")
    taken = {"email": "GROß.EINS@example.com", "name": "Eve", "password": OTHER}
    refused(await live.api.post("/customer/sign-up", taken), 422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL")


async def test_mail_goes_to_the_address_as_it_was_typed(timed: Timed) -> None:
    for typed, asked in (
        ("Mixed.Case@Example.com", "mixed.case@example.com"),
        ("Weiß@Bücher.example", "WEIß@xn--bcher-kva.example"),
    ):
        await sign_up(timed, typed)
        accepted(await timed.api.post("/request-password-reset", {"email": asked}))
        local, _, domain = typed.partition("@")
        to = f"{local}@{domain.lower().encode('idna').decode()}"
        await timed.mail.token(to, "password_reset")


async def test_user_whose_address_was_folded_gets_it_back_with_the_password(live: Live) -> None:
    user = await sign_up(live, "groß.zwei@example.com")
    url = live.auth.settings.storage_url
    await sql(
        url, "UPDATE {}users SET email = 'gross.zwei@example.com', mailbox = NULL WHERE id = $1", user["id"]
    )
    for password, status in ((OTHER, 401), (PASSWORD, 200)):
        body = {"email": "Groß.Zwei@example.com", "password": password}
        answer = await live.api.post("/sign-in/email", body)
        assert answer.status_code == status
    restored = accepted(answer)["user"]
    assert (restored["id"], restored["email"]) == (user["id"], "groß.zwei@example.com")
    other = await sign_up(live, "gross.zwei@example.com", OTHER)
    assert other["id"] != user["id"]
