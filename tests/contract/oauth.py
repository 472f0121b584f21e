"""Tokens for services, as a client asks for them."""

from __future__ import annotations

from typing import Any

from tests.contract.api import Answer, Api

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
KEY_TYPE = "urn:czo-auth:token-type:api-key"

OTHER = "https://orders.example.com"


async def send(api: Api, form: dict[str, str], *, path: str = "/token/exchange") -> Answer:
    return await api.http.post(f"/api/auth{path}", data=form)


def asking(key: str, **more: str) -> dict[str, str]:
    return {"grant_type": GRANT, "subject_token": key, "subject_token_type": KEY_TYPE, **more}


async def is_alive(api: Api, token: str) -> bool:
    answer = await api.get("/whoami", bearer=token)
    assert answer.status_code in (200, 401, 403), answer.text
    return answer.status_code == 200


def granted(answer: Answer) -> dict[str, Any]:
    """Give the JSON of a success whose names are OAuth's."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    return body


def oauth_error(answer: Answer, error: str, status: int = 400) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["error"]) == (status, error), answer.text
    assert {"error", "error_description", "code", "message", "status"} <= set(body)
    return body
