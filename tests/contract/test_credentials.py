"""Credentials and how they are told apart (docs/reference/rest.md)."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tests.contract.api import SESSION_COOKIE
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.people import Session

LAST = "AEIMQUYcgkosw048"
"""What 43 base64url characters for 32 bytes may end in."""


def made_up(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(32)[:42] + secrets.choice(LAST)


async def new_key(live: Live, session: Session) -> str:
    answer = await live.api.post("/api-keys", {"name": "a key"}, bearer=session.token)
    return str(accepted(answer, 201)["apiKey"]["key"])


async def test_no_credential_is_401_and_says_so(live_sqlite: Live) -> None:
    refused(await live_sqlite.api.get("/session"), 401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        ("czo_", "INVALID_API_KEY"),
        ("czs_", "INVALID_TOKEN"),
        ("czr_", "INVALID_TOKEN"),
        ("czc_", "INVALID_TOKEN"),
        ("czi_", "INVALID_TOKEN"),
        ("czm_", "INVALID_TOKEN"),
        ("czx_", "INVALID_TOKEN"),
        ("", "INVALID_TOKEN"),
    ],
)
async def test_unknown_token_of_each_kind_is_401(live: Live, prefix: str, code: str) -> None:
    for path in ("/session", "/whoami", "/api-keys"):
        refused(await live.api.get(path, bearer=made_up(prefix)), 401, code)


async def test_each_credential_is_itself_and_nothing_else(live: Live) -> None:
    """Dispatch on the full format, and no falling through: a refresh token or a challenge as Bearer is 401."""
    account = live.enrolled_user
    session = await live.people.sign_in(account)
    key = await new_key(live, session)
    api = live.api
    for bearer, kind in ((session.token, "session"), (session.access_token, "session"), (key, "api_key")):
        assert accepted(await api.get("/whoami", bearer=bearer))["kind"] == kind
    challenge = await live.people.challenge(account)
    for token in (session.refresh_token, challenge):
        refused(await api.get("/whoami", bearer=token), 401, "INVALID_TOKEN")
        refused(await api.get("/whoami", cookies={SESSION_COOKIE: token}), 401, "UNAUTHORIZED")
    for token in (session.token, session.access_token, challenge, key):
        refused(await api.post("/token/refresh", {"refreshToken": token}), 401, "INVALID_REFRESH_TOKEN")
    for token in (session.token, session.access_token, session.refresh_token, key):
        answer = await live.people.verify(account.has.at(0), challenge=token)
        refused(answer, 401, "INVALID_TWO_FACTOR_COOKIE")


async def test_right_secret_under_another_prefix_opens_nothing(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    key = await new_key(live_sqlite, session)
    for token, code in (
        ("czo_" + session.token[4:], "INVALID_API_KEY"),
        ("czs_" + key[4:], "INVALID_TOKEN"),
        ("czs_" + session.refresh_token[4:], "INVALID_TOKEN"),
        ("CZS_" + session.token[4:], "INVALID_TOKEN"),
    ):
        refused(await live_sqlite.api.get("/whoami", bearer=token), 401, code)


async def test_form_of_a_token_is_exact(live_sqlite: Live) -> None:
    """S15: one secret has one text. The last character carries four bits that must be zero."""
    _, session = await live_sqlite.people.newcomer()
    key = await new_key(live_sqlite, session)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for token, code in ((session.token, "INVALID_TOKEN"), (key, "INVALID_API_KEY")):
        number = alphabet.index(token[-1])
        twins = [token[:-1] + alphabet[number + bits] for bits in (1, 2, 3)]
        for text in [*twins, token + "=", token + "A", token[:-1], token + "."]:
            refused(await live_sqlite.api.get("/whoami", bearer=text), 401, code)


async def test_what_begins_like_an_api_key_is_one_or_nothing(live_sqlite: Live) -> None:
    """Not a JWT, although it has three parts."""
    _, session = await live_sqlite.people.newcomer()
    for token in ("czo_.a.b", "czo_" + session.access_token, "czo_", "czo_x"):
        refused(await live_sqlite.api.get("/whoami", bearer=token), 401, "INVALID_API_KEY")


@pytest.mark.parametrize("token", ["a.b.c", "a.b", "a.b.c.d", "..", "x", "e30.e30.e30", "czs_", "=" * 10])
async def test_value_of_no_known_format_is_401(live_sqlite: Live, token: str) -> None:
    refused(await live_sqlite.api.get("/whoami", bearer=token), 401, "INVALID_TOKEN")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
async def test_scheme_is_read_in_any_case(live_sqlite: Live, scheme: str) -> None:
    _, session = await live_sqlite.people.newcomer()
    headers = {"authorization": f"{scheme} {session.token}"}
    accepted(await live_sqlite.api.get("/session", headers=headers))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "czs_without_a_scheme",
        "Bearer two tokens",
        "Bearer a,b",
        "Bearer a;b",
        'Bearer "quoted"',
        "Bearer\ttab",
        "Bearer " + "x" * 5000,
        "Bearer é".encode().decode("latin-1"),
    ],
)
async def test_malformed_header_is_400(live_sqlite: Live, value: str) -> None:
    """On every route, also where no credential is needed."""
    http = live_sqlite.api.http
    for method, path in (
        ("GET", "/session"),
        ("GET", "/jwks"),
        ("GET", "/get-session"),
        ("POST", "/sign-out"),
    ):
        request = http.build_request(
            method, f"/api/auth{path}", headers=[(b"authorization", value.encode("latin-1"))]
        )
        refused(await http.send(request), 400, "INVALID_REQUEST")


async def test_two_headers_are_400_even_if_they_agree(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    http = live_sqlite.api.http
    one = ("authorization", f"Bearer {session.token}")
    for other in (one, ("authorization", "Basic eDp5"), ("Authorization", f"bearer {session.access_token}")):
        request = http.build_request("GET", "/api/auth/session", headers=[one, other])
        refused(await http.send(request), 400, "INVALID_REQUEST")


async def test_header_decides_over_a_cookie(live_sqlite: Live) -> None:
    people, api = live_sqlite.people, live_sqlite.api
    ada, ada_in = await people.newcomer()
    _, bob_in = await people.newcomer()
    shown = accepted(await api.get("/session", bearer=ada_in.token, cookies=bob_in.cookies))
    assert shown["user"]["id"] == ada.id
    answer = await api.get("/session", bearer=made_up("czs_"), cookies=bob_in.cookies)
    refused(answer, 401, "INVALID_TOKEN")


async def test_scheme_of_somebody_else_is_not_ours_to_judge(live_sqlite: Live) -> None:
    """A proxy in front may use Basic; the cookie then counts, as if the header were not there."""
    _, session = await live_sqlite.people.newcomer()
    headers = {"authorization": "Basic eDp5"}
    refused(await live_sqlite.api.get("/session", headers=headers), 401, "UNAUTHORIZED")
    accepted(await live_sqlite.api.get("/session", headers=headers, cookies=session.cookies))


PLACES: list[tuple[str, Any]] = [
    ("query", lambda token: {"path": f"?access_token={token}&token={token}&apiKey={token}&key={token}"}),
    ("x-api-key", lambda token: {"headers": {"x-api-key": token}}),
    ("api-key", lambda token: {"headers": {"api-key": token, "apikey": token}}),
    ("cookie", lambda token: {"cookies": {SESSION_COOKIE: token, "token": token, "czo": token}}),
]


@pytest.mark.parametrize("place", [place for _, place in PLACES], ids=[name for name, _ in PLACES])
async def test_key_in_a_query_a_cookie_or_another_header_is_ignored(live_sqlite: Live, place: Any) -> None:
    _, session = await live_sqlite.people.newcomer()
    key = await new_key(live_sqlite, session)
    how = place(key)
    answer = await live_sqlite.api.get("/whoami" + how.pop("path", ""), **how)
    refused(answer, 401, "UNAUTHORIZED")


async def test_session_token_in_a_query_is_ignored(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    for token in (session.token, session.access_token):
        answer = await live_sqlite.api.get(f"/session?access_token={token}&token={token}")
        refused(answer, 401, "UNAUTHORIZED")


async def test_prefix_of_keys_is_a_setting(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(api_key_prefix="acme_")
    _, session = await here.people.newcomer()
    created = accepted(await here.api.post("/api-keys", {"name": "k"}, bearer=session.token), 201)["apiKey"]
    assert created["key"].startswith("acme_")
    assert accepted(await here.api.get("/whoami", bearer=created["key"]))["kind"] == "api_key"
    refused(await here.api.get("/whoami", bearer=made_up("acme_")), 401, "INVALID_API_KEY")
    refused(await here.api.get("/whoami", bearer=made_up("czo_")), 401, "INVALID_TOKEN")


@pytest.mark.parametrize(
    "prefix", ["czs_", "czr_", "czc_", "czi_", "czm_", "cz", "", "a.b_", "czs_x_", "cz_cz_"]
)
async def test_prefix_that_another_credential_has_is_no_setting(deploy_sqlite: Deploy, prefix: str) -> None:
    """None of the others may be an extension of it, nor it of them."""
    with pytest.raises(ValueError, match="api_key_prefix"):
        await deploy_sqlite(api_key_prefix=prefix)


async def test_whoami_tells_what_each_credential_is(live: Live) -> None:
    account, session = await live.people.newcomer()
    key = await new_key(live, session)
    for bearer in (session.token, session.access_token):
        principal = accepted(await live.api.get("/whoami", bearer=bearer))
        assert principal == {
            "kind": "session",
            "userId": account.id,
            "actorType": "customer",
            "organizationId": None,
            "aal": 1,
            "amr": ["pwd"],
            "scopes": [],
            "sessionId": session.id,
            "restrictedTo": None,
            "phishingResistant": False,
        }
    principal = accepted(await live.api.get("/whoami", bearer=key))
    assert principal["kind"] == "api_key"
    assert (principal["userId"], principal["actorType"]) == (account.id, "customer")
    assert {"aal", "amr", "scopes", "organizationId", "apiKeyId"} <= principal.keys()
    assert "sessionId" not in principal
