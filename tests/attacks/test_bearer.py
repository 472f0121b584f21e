"""Attacks on how a credential is read: one header, one format, one path, no falling through (S15, RFC 6750)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.acting import create_key
from tests.contract.api import SESSION_COOKIE
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.people import Account, Session

pytestmark = pytest.mark.deep

CANONICAL = "AEIMQUYcgkosw048"


@pytest.fixture
def session(somebody: tuple[Account, Session]) -> Session:
    return somebody[1]


@pytest.fixture
async def key(live: Live, session: Session) -> AsyncIterator[str]:
    shown = await create_key(live.api, session)
    yield str(shown["key"])
    accepted(await live.api.delete(f"/api-keys/{shown['id']}", bearer=session.token), 204)


def other_end(token: str) -> str:
    """Spell the same bytes with another last character, as lenient decoders read it."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


KEY_IN_DISGUISE: dict[str, Any] = {
    "another spelling of the same bytes": other_end,
    "padding": lambda key: key + "=",
    "upper-case prefix": lambda key: "CZO_" + key[4:],
    "without prefix": lambda key: key[4:],
    "prefix twice": lambda key: "czo_" + key,
    "one character less": lambda key: key[:-1],
    "one character more": lambda key: key + "A",
    "as session": lambda key: "czs_" + key[4:],
    "as refresh token": lambda key: "czr_" + key[4:],
    "as challenge": lambda key: "czc_" + key[4:],
    "standard alphabet": lambda key: key[:4] + key[4:].replace("-", "+").replace("_", "/") + "+",
    "like a JWT": lambda key: f"{key}.{key}.{key}",
    "in base64": lambda key: base64.b64encode(key.encode()).decode(),
    "case swapped": lambda key: key[:4] + key[4:].swapcase(),
}


@pytest.mark.parametrize("name", KEY_IN_DISGUISE)
async def test_key_in_disguise(live: Live, key: str, name: str) -> None:
    """Each stands for the right key in some lenient reader."""
    answer = await live.api.get("/whoami", bearer=KEY_IN_DISGUISE[name](key))
    assert answer.status_code == 401
    assert answer.json()["code"] in ("INVALID_TOKEN", "INVALID_API_KEY")


@pytest.mark.parametrize("name", ["key", "session"])
async def test_digest_in_place_of_the_token(live: Live, session: Session, key: str, name: str) -> None:
    """What lies in the database, stolen from a backup, opens nothing."""
    stolen = hashlib.sha256((key if name == "key" else session.token).encode()).hexdigest()
    refused(await live.api.get("/whoami", bearer=stolen), 401, "INVALID_TOKEN")


async def test_public_handle_in_place_of_the_session(live: Live, session: Session) -> None:
    for handle in (session.body["token"], session.id):
        refused(await live.api.get("/whoami", bearer=handle), 401, "INVALID_TOKEN")


async def test_refresh_token_as_bearer(live: Live, session: Session) -> None:
    refused(await live.api.get("/whoami", bearer=session.refresh_token), 401, "INVALID_TOKEN")


PLACES: dict[str, Any] = {
    "query access_token": lambda key: {"query": f"?access_token={key}"},
    "query api_key": lambda key: {"query": f"?api_key={key}"},
    "query token": lambda key: {"query": f"?token={key}"},
    "X-API-Key": lambda key: {"headers": {"x-api-key": key}},
    "X-Authorization": lambda key: {"headers": {"x-authorization": f"Bearer {key}"}},
    "Proxy-Authorization": lambda key: {"headers": {"proxy-authorization": f"Bearer {key}"}},
    "X-Access-Token": lambda key: {"headers": {"x-access-token": key}},
    "session cookie": lambda key: {"cookies": {SESSION_COOKIE: key}},
    "secure session cookie": lambda key: {"cookies": {"__Secure-" + SESSION_COOKIE: key}},
    "Basic": lambda key: {
        "headers": {"authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}
    },
    "scheme with a colon": lambda key: {"headers": {"authorization": f"Bearer: {key}"}},
    "Token": lambda key: {"headers": {"authorization": f"Token {key}"}},
    "ApiKey": lambda key: {"headers": {"authorization": f"ApiKey {key}"}},
}


@pytest.mark.parametrize("place", PLACES)
async def test_key_in_another_place(live: Live, key: str, place: str) -> None:
    how = PLACES[place](key)
    query = how.pop("query", "")
    refused(await live.api.get(f"/whoami{query}", **how), 401, "UNAUTHORIZED")


MALFORMED = {
    "no token": "Bearer",
    "blank token": "Bearer    ",
    "two tokens": "Bearer {} {}",
    "comma list": "Bearer {}, Bearer {}",
    "quoted": 'Bearer "{}"',
    "tab": "Bearer\t{}",
    "parameters": "Bearer {}; charset=utf-8",
    "control character": "Bearer {}\x0b",
    "Latin-1": "Bearer {}\xe9",
    "empty": "",
    "endless": "Bearer " + "A" * 5000,
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_header(live: Live, key: str, name: str) -> None:
    value = MALFORMED[name].replace("{}", key).encode("latin-1")
    answer = await raw(live, [b"Authorization: " + value])
    assert answer.startswith(b"HTTP/1.1 400 "), answer


TWO_HEADERS = {
    "the same twice": [b"Authorization: Bearer {}", b"Authorization: Bearer {}"],
    "a wrong one first": [b"Authorization: Bearer czo_x", b"Authorization: Bearer {}"],
    "a wrong one last": [b"Authorization: Bearer {}", b"Authorization: Bearer czo_x"],
    "another scheme first": [b"Authorization: Basic eDp5", b"Authorization: Bearer {}"],
    "in another case": [b"authorization: Bearer {}", b"AUTHORIZATION: Bearer {}"],
    "an empty one": [b"Authorization:", b"Authorization: Bearer {}"],
}


@pytest.mark.parametrize("name", TWO_HEADERS)
async def test_two_headers(live: Live, key: str, name: str) -> None:
    """A proxy may check the one and the product the other."""
    lines = [line.replace(b"{}", key.encode()) for line in TWO_HEADERS[name]]
    assert (await raw(live, lines)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "line", [b"Authorization : Bearer {}", b" Authorization: Bearer {}", b"X: y\r\n Authorization: Bearer {}"]
)
async def test_header_that_proxies_read_differently(live: Live, key: str, line: bytes) -> None:
    answer = await raw(live, [line.replace(b"{}", key.encode())])
    assert b" 200 " not in answer.partition(b"\r\n")[0]


async def raw(live: Live, lines: list[bytes], path: bytes = b"/api/auth/whoami") -> bytes:
    """Send header lines as they are; gives the head of the answer."""
    request = b"\r\n".join(
        [b"GET " + path + b" HTTP/1.1", b"Host: x", *lines, b"Connection: close", b"", b""]
    )
    with socket.create_connection(("127.0.0.1", live.served.server.port), timeout=10) as connection:
        connection.sendall(request)
        answer = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                answer += chunk
    return bytes(answer)


# --- header against cookie -------------------------------------------------------------------------------------------
async def test_wrong_header_beside_a_good_cookie(live: Live, session: Session) -> None:
    answer = await live.api.get("/session", bearer="czs_" + "A" * 43, cookies=session.cookies)
    refused(answer, 401, "INVALID_TOKEN")


async def test_own_cookie_beside_a_stolen_key(live: Live, session: Session, victim: Account) -> None:
    theirs = await live.people.sign_in(victim)
    key = (await create_key(live.api, theirs))["key"]
    reported = accepted(await live.api.get("/whoami", bearer=key, cookies=session.cookies))
    assert (reported["kind"], reported["userId"]) == ("api_key", victim.id)


FOREIGN = [
    None,
    "null",
    "https://evil.example",
    "https://app.example.evil.example",
    "https://evilshop.example",
    "http://app.example",
    "https://app.example:8443",
    "https://shop.example",
    "https://a.shop.example@evil",
]


@pytest.mark.parametrize("origin", FOREIGN)
async def test_cookie_sent_along_by_another_site(live: Live, session: Session, origin: str | None) -> None:
    answer = await live.api.post("/api-keys", {"name": "k"}, cookies=session.cookies, origin=origin)
    code = "MISSING_OR_NULL_ORIGIN" if origin in (None, "null") else "INVALID_ORIGIN"
    refused(answer, 403, code)


async def test_signing_a_victim_in_from_another_site(live: Live, victim: Account) -> None:
    body = {"email": victim.email, "password": victim.password}
    for headers in (
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    ):
        answer = await live.api.post("/sign-in/email", body, headers=headers)
        assert answer.status_code == 403, answer.text
