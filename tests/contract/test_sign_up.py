"""Signing up (docs/reference/rest.md)."""

from __future__ import annotations

import pytest

from tests.contract.api import cookies_set_by
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.people import PASSWORD

USER = {
    "id",
    "email",
    "name",
    "emailVerified",
    "image",
    "twoFactorEnabled",
    "actorTypes",
    "createdAt",
    "updatedAt",
}


def body_for(email: str, **more: object) -> dict[str, object]:
    return {"email": email, "password": PASSWORD, "name": "Grace Hopper", **more}


async def test_sign_up_gives_the_user_and_signs_nobody_in(live: Live) -> None:
    answer = await live.api.post("/customer/sign-up", body_for("grace@example.com"))
    body = accepted(answer, 201)
    assert set(body) == {"user"}
    assert set(body["user"]) == USER
    assert body["user"] | {"id": "", "createdAt": "", "updatedAt": ""} == {
        "id": "",
        "email": "grace@example.com",
        "name": "Grace Hopper",
        "emailVerified": False,
        "image": None,
        "twoFactorEnabled": False,
        "actorTypes": ["customer"],
        "createdAt": "",
        "updatedAt": "",
    }
    assert "set-cookie" not in answer.headers
    assert "set-auth-token" not in answer.headers


async def test_merchant_is_a_customer_too_and_may_found_an_organization(live: Live) -> None:
    body = accepted(
        await live.api.post(
            "/merchant/sign-up", body_for("merchant@example.com", organizationName="Café Zoë")
        ),
        201,
    )
    assert body["user"]["actorTypes"] == ["customer", "merchant"]
    assert body["organization"]["name"] == "Café Zoë"


async def test_merchant_may_do_without_an_organization(live_sqlite: Live) -> None:
    body = accepted(await live_sqlite.api.post("/merchant/sign-up", body_for("alone@example.com")), 201)
    assert set(body) == {"user"}


async def test_nobody_signs_up_as_administrator(live_sqlite: Live) -> None:
    refused(
        await live_sqlite.api.post("/admin/sign-up", body_for("eve@example.com")), 403, "SIGN_UP_NOT_ALLOWED"
    )


@pytest.mark.parametrize("actor", ["customer%20", "%00", "custo\u0301mer", "custome%72"])
async def test_path_that_is_spelled_otherwise_is_404(live_sqlite: Live, actor: str) -> None:
    answer = await live_sqlite.api.post(f"/{actor}/sign-up", body_for("eve@example.com"))
    refused(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize("actor", ["robot", "Customer", "two-factor", "customers"])
async def test_unknown_actor_type_is_404(live_sqlite: Live, actor: str) -> None:
    refused(
        await live_sqlite.api.post(f"/{actor}/sign-up", body_for("eve@example.com")),
        404,
        "UNKNOWN_ACTOR_TYPE",
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("twice@example.com", "twice@example.com"),
        ("case@example.com", "CASE@Example.COM"),
        ("space@example.com", "  space@example.com "),
        ("idna@b\u00fccher.example", "IDNA@xn--bcher-kva.example"),
        ("caf\u00e9@example.com", "cafe\u0301@example.com"),
    ],
)
async def test_address_is_taken_in_every_spelling(live: Live, first: str, second: str) -> None:
    """S27: one canonical form under a unique index."""
    accepted(await live.api.post("/customer/sign-up", body_for(first)), 201)
    for path in ("/customer/sign-up", "/merchant/sign-up", "/sign-up/email"):
        refused(await live.api.post(path, body_for(second)), 422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL")


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "PASSWORD_TOO_SHORT"),
        ("seven77", "PASSWORD_TOO_SHORT"),
        # Eight characters as typed, seven after NFKC.
        ("abcde \u0041\u030a", "PASSWORD_TOO_SHORT"),
        ("x" * 129, "PASSWORD_TOO_LONG"),
        ("x" * 5000, "PASSWORD_TOO_LONG"),
        ("password1", "PASSWORD_COMPROMISED"),
        ("qwertyuiop", "PASSWORD_COMPROMISED"),
    ],
)
@pytest.mark.parametrize("path", ["/customer/sign-up", "/sign-up/email"])
async def test_password_that_may_not_be_chosen_is_refused(
    live_sqlite: Live, path: str, password: str, code: str
) -> None:
    body = body_for("choosy@example.com", password=password)
    refused(await live_sqlite.api.post(path, body), 400, code)


@pytest.mark.parametrize("password", ["eight888", "\U0001f511" * 8, "p" + "\u00e9" * 127])
async def test_password_of_8_to_128_characters_counts_whole(live_sqlite: Live, password: str) -> None:
    """S24: characters, not bytes, and nothing is cut off after 72 of them."""
    people = live_sqlite.people
    account = await people.sign_up(password=password)
    account.password = password
    await people.sign_in(account)
    account.password = password[:-1] + "x"
    refused(await people.begin(account), 401, "INVALID_EMAIL_OR_PASSWORD")


async def test_password_is_the_same_in_every_unicode_spelling(live_sqlite: Live) -> None:
    """S24: NFKC."""
    people = live_sqlite.people
    account = await people.sign_up(password="cafe\u0301 \ufb01ne \u2160")
    account.password = "caf\u00e9 fine I"
    await people.sign_in(account)


@pytest.mark.parametrize(
    "email",
    ["no-at-sign", "@example.com", "a@", "a@b@c", "a b@example.com", "a@exa mple.com", "a@-x.com", "a" * 300],
)
async def test_what_is_not_an_address_is_refused(live_sqlite: Live, email: str) -> None:
    refused(await live_sqlite.api.post("/customer/sign-up", body_for(email)), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "field",
    [
        "emailVerified",
        "actorTypes",
        "twoFactorEnabled",
        "id",
        "userId",
        "createdAt",
        "banned",
        "passwordHash",
    ],
)
@pytest.mark.parametrize("path", ["/merchant/sign-up", "/sign-up/email"])
async def test_nobody_gives_themselves_what_the_server_decides(
    live_sqlite: Live, path: str, field: str
) -> None:
    """Fields that name a server-side value are refused everywhere."""
    for value in (["admin"], True, "x"):
        answer = await live_sqlite.api.post(path, body_for("climber@example.com", **{field: value}))
        refused(answer, 400, "VALIDATION_ERROR")


async def test_better_auths_sign_up_signs_in_as_well(live: Live) -> None:
    """better-auth-wire, Core: `{token, user}` and the session cookie, plus the native fields."""
    answer = await live.api.post(
        "/sign-up/email", body_for("wire@example.com", rememberMe=True, callbackURL="/")
    )
    body = accepted(answer)
    assert body["token"] == body["session"]["id"]
    assert set(body["user"]) == USER
    assert body["session"]["actorType"] == "customer"
    cookie = cookies_set_by(answer)["better-auth.session_token"]
    assert (
        accepted(await live.api.get("/get-session", cookies={cookie.name: cookie.value}))["user"]
        == body["user"]
    )


async def test_sign_up_waits_for_the_address_where_verification_is_on(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(require_email_verification=True)
    answer = await here.api.post("/sign-up/email", body_for("careful@example.com"))
    assert accepted(answer)["token"] is None
    assert "set-cookie" not in answer.headers
    assert "set-auth-token" not in answer.headers
    assert await here.mail.token("careful@example.com", "verification")
