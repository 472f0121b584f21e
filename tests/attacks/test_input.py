"""Attacks with input: bodies that parsers read differently, names that others see, sizes, logs (S26, S27, S29)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.attacks.conftest import output_of
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.people import PASSWORD, Account, Session

pytestmark = pytest.mark.deep

SIGN_IN = "/sign-in/email"

BODIES: dict[str, tuple[bytes, int]] = {
    "field twice": (b'{"email": "a@example.com", "email": "b@example.com", "password": "x"}', 400),
    "field twice in another spelling": (b'{"email": "a@example.com", "\\u0065mail": "b@example.com"}', 400),
    "doubled far inside": (b'{"metadata": {"a": [{"b": 1, "b": 2}]}}', 400),
    "not a number": (b'{"email": NaN}', 400),
    "infinity": (b'{"email": -Infinity}', 400),
    "overflowing number": (b'{"email": 1e999}', 400),
    "endless number": (b'{"email": ' + b"9" * 20000 + b"}", 400),
    "NUL": (b'{"email": "a\\u0000@example.com", "password": "x"}', 400),
    "lone surrogate": (b'{"email": "\\ud800@example.com", "password": "x"}', 400),
    "surrogates the wrong way round": (b'{"email": "\\udc00\\ud800@example.com", "password": "x"}', 400),
    "not UTF-8": (b'{"email": "\xff\xfe"}', 400),
    "overlong UTF-8": (b'{"email": "\xc0\xaf"}', 400),
    "UTF-16": (json.dumps({"email": "a@example.com"}).encode("utf-16"), 400),
    "byte order mark": (b"\xef\xbb\xbf{}", 400),
    "deep lists": (b'{"email": ' + b"[" * 33 + b"]" * 33 + b"}", 400),
    "very deep lists": (b'{"email": ' + b"[" * 30000 + b"]" * 30000 + b"}", 400),
    "deep objects": (b'{"a":' * 33 + b"1" + b"}" * 33, 400),
    "two values": (b"{}{}", 400),
    "comma at the end": (b'{"email": "a@example.com",}', 400),
    "comment": (b'{"email": "a@example.com" /* x */}', 400),
    "single quotes": (b"{'email': 'a@example.com'}", 400),
    "list": (b"[]", 400),
    "text": (b'"{}"', 400),
    "number": (b"1", 400),
    "null": (b"null", 400),
    "control character": (b'{"email": "a\n@example.com"}', 400),
    "more than 64 KiB": (b'{"email": "' + b"a" * 65536 + b'"}', 413),
}


NO_OBJECTS = {"list", "text", "number", "null"}


@pytest.mark.parametrize("name", BODIES)
async def test_body_that_others_read_differently(live: Live, name: str) -> None:
    raw, status = BODIES[name]
    answer = await live.api.call("POST", SIGN_IN, raw=raw)
    assert answer.status_code == status, answer.text
    # By the parser, before any model looks at a value that might be wrong by itself.
    if status == 400:
        assert answer.json()["code"] == ("VALIDATION_ERROR" if name in NO_OBJECTS else "BAD_REQUEST")


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": ""},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/json, text/plain"},
        {"content-encoding": "gzip"},
        {"content-encoding": "br"},
        {"content-encoding": "deflate"},
    ],
    ids=lambda headers: "-".join(headers.values()) or "none",
)
async def test_body_of_another_type(live: Live, headers: dict[str, str]) -> None:
    answer = await live.api.post(SIGN_IN, {"email": "a@example.com", "password": "x"}, headers=headers)
    refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


TYPES: list[tuple[str, Any]] = [
    ("email", {"$ne": None}),
    ("email", ["a@example.com"]),
    ("email", 1),
    ("email", None),
    ("password", {"$gt": ""}),
    ("password", ["x"]),
    ("password", 12345678),
    ("password", True),
    ("rememberMe", "true"),
    ("rememberMe", 1),
]


@pytest.mark.parametrize(("field", "value"), TYPES)
async def test_value_of_another_type(live: Live, field: str, value: object) -> None:
    body = {"email": "a@example.com", "password": "some password", field: value}
    refused(await live.api.post(SIGN_IN, body), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "address",
    [
        "' OR 1=1 --",
        "a@example.com'--",
        "%",
        "*@*",
        "a@example.com\r\nBcc: b@x.com",
        "a@example.com,b@example.com",
        "<a@example.com>",
        "a" * 400 + "@example.com",
        "a@" + "b." * 200 + "com",
    ],
)
async def test_address_that_means_more(live: Live, address: str) -> None:
    """It finds nobody, registers nobody and breaks nothing."""
    body = {"email": address, "password": PASSWORD}
    assert (await live.api.post(SIGN_IN, body)).status_code in (400, 401)
    answer = await live.api.post("/customer/sign-up", {**body, "name": "Eve"})
    refused(answer, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("pattern", ["%@example.com", "______-%@example.com", "*@example.com"])
async def test_address_as_a_pattern(live: Live, pattern: str) -> None:
    """These characters are allowed in addresses, and match nothing but themselves."""
    await live.people.sign_up()
    answer = await live.api.post(SIGN_IN, {"email": pattern, "password": PASSWORD})
    refused(answer, 401, "INVALID_EMAIL_OR_PASSWORD")


RESPELLED: dict[str, Callable[[str], str]] = {
    "capitals": str.upper,
    "IDNA": lambda email: email.replace("b\u00fccher", "xn--bcher-kva"),
    "decomposed": lambda email: email.replace("\u00fc", "u\u0308"),
    "ideographic stop": lambda email: email.replace(".example", "\u3002example"),
}


@pytest.mark.parametrize("name", RESPELLED)
async def test_second_account_of_one_address(live: Live, name: str) -> None:
    """One address in two spellings is one account, or a victim's invitations and resets go astray."""
    first = f"eve-{len(name)}@b\u00fccher.example"
    body = {"password": PASSWORD, "name": "Eve"}
    accepted(await live.api.post("/customer/sign-up", {**body, "email": first}), 201)
    answer = await live.api.post("/customer/sign-up", {**body, "email": RESPELLED[name](first)})
    refused(answer, 422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL")


PASSWORDS = {
    "too short": ("a" * 7, "PASSWORD_TOO_SHORT"),
    "too long": ("a1b2" * 33, "PASSWORD_TOO_LONG"),
    "common": ("password123", "PASSWORD_COMPROMISED"),
    "common in capitals of width": ("ｐａｓｓｗｏｒｄ", "PASSWORD_COMPROMISED"),
}


@pytest.mark.parametrize("name", PASSWORDS)
async def test_weak_password(live: Live, name: str) -> None:
    password, code = PASSWORDS[name]
    body = {"email": "weak@example.com", "password": password, "name": "Eve"}
    refused(await live.api.post("/customer/sign-up", body), 400, code)


@pytest.mark.parametrize(
    "changed",
    [lambda text: text[:72], lambda text: text[:-1], lambda text: text + "x", str.swapcase, str.strip],
    ids=["first 72 bytes", "one less", "one more", "case", "without blanks"],
)
async def test_password_that_is_nearly_right(live: Live, changed: Any) -> None:
    password = " " + "correct horse battery staple " * 4
    account = Account(email=f"near-{abs(hash(changed))}@example.com", password=password)
    body = {"email": account.email, "password": password, "name": "Eve"}
    accepted(await live.api.post("/customer/sign-up", body), 201)
    answer = await live.api.post(SIGN_IN, {"email": account.email, "password": changed(password)})
    refused(answer, 401, "INVALID_EMAIL_OR_PASSWORD")
    Session.of(await live.api.post(SIGN_IN, {"email": account.email, "password": password}))


FIELDS = [
    "id",
    "userId",
    "emailVerified",
    "twoFactorEnabled",
    "actorTypes",
    "banned",
    "passwordHash",
    "aal",
    "createdAt",
    "credentialVersion",
]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "path", ["/customer/sign-up", "/sign-up/email", "/sign-in/email", "/change-password"]
)
async def test_field_that_only_the_server_sets(live: Live, path: str, field: str) -> None:
    how: dict[str, Any] = {}
    body: dict[str, Any] = {"email": "eve@example.com", "password": PASSWORD, "name": "Eve", field: True}
    if path == "/customer/sign-up":
        body["name"] = "Eve"
    if path == "/change-password":
        _, session = await live.people.newcomer()
        body, how = (
            {"currentPassword": PASSWORD, "newPassword": "another staple", field: True},
            {"bearer": session.token},
        )
    refused(await live.api.post(path, body, **how), 400, "VALIDATION_ERROR")


async def test_error_that_tells_what_was_sent(live: Live) -> None:
    """No input comes back, or a password ends in a log of the client's."""
    secret = "hunter2-hunter2-hunter2"
    bodies = [
        {"email": 1, "password": secret},
        {"email": secret, "password": [secret]},
        {"name": {"a": secret}},
    ]
    for body in bodies:
        answer = await live.api.post("/customer/sign-in/email", body)
        assert answer.status_code == 400
        assert secret not in answer.text


async def test_lines_written_into_the_log(live: Live, root: Session) -> None:
    """A user agent, a field and a path that would look like lines of the log's own, or steer a terminal."""
    account = await live.people.sign_up()
    forged, steering = "2026-01-01 CRITICAL forged-by-attacker", "\x9b2J\x85"
    headers = {"user-agent": f"x {steering}{forged}".encode("latin-1"), "x-request-id": f"y {forged}"}
    body = {"email": account.email, "password": "not the password"}
    refused(await live.api.post(SIGN_IN, body, headers=headers), 401, "INVALID_EMAIL_OR_PASSWORD")
    reported = refused(
        await live.api.post("/customer/sign-in/email", {**body, f"\n{forged}": 1}), 400, "VALIDATION_ERROR"
    )
    assert not any("\n" in detail["loc"] for detail in reported["details"])
    await live.api.http.get(f"/api/auth/%0a{forged}")
    written = output_of(live.served)
    assert not any(line.startswith(forged) for line in written.splitlines())
    audit = accepted(await live.api.get(f"/admin/audit?userId={account.id}", bearer=root.token))["audit"]
    agents = [record["userAgent"] for record in audit if forged in (record["userAgent"] or "")]
    assert len(agents) == 1
    assert agents[0].isprintable()
    assert not any(forged in (record["requestId"] or "") for record in audit)


@pytest.mark.parametrize(
    "query", ["?limit=-1", "?limit=1e9", "?limit=٣", "?limit=", "?limit=1&limit=1000", "?cursor=%00"]
)
async def test_query_out_of_bounds(live: Live, root: Session, query: str) -> None:
    for path in ("/admin/users", "/admin/audit"):
        answer = await live.api.get(path + query, bearer=root.token)
        refused(answer, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("text", ["%", "_", "' OR '1'='1", "\\", "%%%", "a' UNION SELECT * FROM users --"])
async def test_pattern_in_a_search(live: Live, root: Session, text: str) -> None:
    """A wildcard is a character like any other, or an administrator's search tells more than it says."""
    answer = await live.api.http.get(
        "/api/auth/admin/users", params={"search": text}, headers={"authorization": f"Bearer {root.token}"}
    )
    assert accepted(answer)["users"] == []


@pytest.mark.parametrize(
    "identifier",
    ["1", "%00", "..%2f..%2fetc%2fpasswd", "'--", "0195e0f0-0000-7000-8000-00000000000٠", "A" * 5000],
)
async def test_malformed_id(live: Live, root: Session, identifier: str) -> None:
    for path in ("/api-keys/{}", "/organizations/{}", "/admin/users/{}"):
        answer = await live.api.get(path.format(identifier), bearer=root.token)
        assert answer.status_code in (400, 404, 414), answer.text


@pytest.mark.parametrize("token", ["czm_" + "A" * 43, "nonsense", "' OR 1=1", "czm_%"])
async def test_forged_reset_token(live: Live, token: str) -> None:
    answer = await live.api.post("/reset-password", {"token": token, "newPassword": "another staple here"})
    refused(answer, 400, "INVALID_TOKEN")
