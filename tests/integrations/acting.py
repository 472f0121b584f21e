"""What people do over HTTP, for tests of hosts; the client may speak to a process or to an application in memory."""

from __future__ import annotations

from dataclasses import dataclass
from http.cookiejar import Cookie, CookiePolicy
from itertools import count
from typing import Any
from urllib.request import Request

import httpx
import pyotp

from czo_auth.auth import Auth
from czo_auth.core.context import Context
from czo_auth.core.flows.sign_in.sign_up import NewUser

PASSWORD = "correct horse battery staple"
BASE = "/api/auth"
_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who signed in."""

    email: str
    session_token: str
    access_token: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.session_token}"}


class NoCookies(CookiePolicy):
    """The policy of a client that sends no cookie by itself: a test says which it sends."""

    netscape = rfc2965 = hide_cookie2 = False

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        return False

    def return_ok(self, cookie: Cookie, request: Request) -> bool:
        return False


def new_email() -> str:
    return f"person{next(_numbers)}@shop.example"


def body_of(response: httpx.Response, *, status: int) -> Any:
    """Give the JSON of *response*, which must have *status*."""
    assert response.status_code == status, f"{response.status_code} {response.text}"
    return response.json() if response.content else None


def refused(response: httpx.Response, *, status: int, code: str) -> None:
    """Check that *response* is the product's error, at the top level, with the headers that go with it."""
    body = body_of(response, status=status)
    assert body["code"] == code, body
    assert body["status"] == status
    assert isinstance(body["message"], str)
    assert body.keys() <= {"code", "message", "status", "details", "retryAfter"}
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in response.headers) == (status == 401 or code == "INSUFFICIENT_SCOPE")
    assert ("retry-after" in response.headers) == ("retryAfter" in body)


async def sign_up(client: httpx.AsyncClient) -> Person:
    """Sign up as a customer, and in."""
    email = new_email()
    answer = await client.post(
        f"{BASE}/sign-up/email", json={"name": "Somebody", "email": email, "password": PASSWORD}
    )
    return _person(email, answer)


async def sign_in(client: httpx.AsyncClient, email: str, *, actor: str = "customer") -> Person:
    """Sign in with the password; no second factor is asked for."""
    answer = await client.post(f"{BASE}/{actor}/sign-in/email", json={"email": email, "password": PASSWORD})
    return _person(email, answer)


async def enroll(client: httpx.AsyncClient, person: Person) -> Person:
    """Turn the second factor on; gives the renewed session."""
    begun = await client.post(f"{BASE}/two-factor/enable", json={"password": PASSWORD}, headers=person.bearer)
    code = pyotp.TOTP(body_of(begun, status=200)["secret"]).now()
    confirmed = await client.post(f"{BASE}/two-factor/verify", json={"code": code}, headers=person.bearer)
    return _person(person.email, confirmed)


async def create_key(
    client: httpx.AsyncClient, person: Person, *, scopes: list[str]
) -> tuple[str, dict[str, str]]:
    """Create an API key; gives its id and the header that carries it."""
    answer = await client.post(
        f"{BASE}/api-keys", json={"name": "machine", "scopes": scopes}, headers=person.bearer
    )
    key = body_of(answer, status=201)["apiKey"]
    return key["id"], {"authorization": f"Bearer {key['key']}"}


async def revoke_key(client: httpx.AsyncClient, person: Person, key_id: str) -> None:
    body_of(await client.delete(f"{BASE}/api-keys/{key_id}", headers=person.bearer), status=204)


async def settle_administrator(auth: Auth) -> str:
    """Create an administrator as an operator does; gives the address."""
    email = new_email()
    await auth.sign_up.create(
        NewUser(email=email, name="Root", password=PASSWORD),
        actor_types=(auth.services.actors.get("admin"),),
        email_verified=True,
        context=Context(now=auth.now(), ip=None, request_id="test", method="cli"),
    )
    return email


def _person(email: str, answer: httpx.Response) -> Person:
    body = body_of(answer, status=200)
    # A test that wants the cookie sends it; a client must not mix people up.
    return Person(
        email=email, session_token=answer.headers["set-auth-token"], access_token=body["accessToken"]
    )
