"""Trading an API key for a token that other services verify (contract part two, section 16)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from czo_auth.crypto import base64url
from tests.contract.acting import create_key, create_organization, principal_of
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.oauth import GRANT, OTHER, asking, granted, is_alive, oauth_error, send


def claims_of(token: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(base64url.decode(token.split(".")[1]))
    return value


@pytest.mark.parametrize("path", ["/token/exchange", "/token"])
async def test_key_is_traded_for_a_token_with_its_rights(timed: Timed, path: str) -> None:
    account, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    key = await create_key(timed.api, session, scopes=["a:b", "c:d"], organizationId=organization)
    issued = granted(await send(timed.api, asking(key["key"]), path=path))
    assert issued["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert (issued["token_type"], issued["expires_in"], issued["scope"]) == ("Bearer", 900, "a:b c:d")
    claims = claims_of(issued["access_token"])
    assert claims["sub"] == account.id
    assert claims["client_id"] == key["id"]
    assert (claims["scope"], claims["org"]) == ("a:b c:d", organization)
    assert not {"sid", "act", "act_type"} & set(claims)
    principal = await principal_of(timed.api, issued["access_token"])
    assert principal["kind"] == "api_key"
    assert (principal["apiKeyId"], principal["scopes"]) == (key["id"], ["a:b", "c:d"])


async def test_json_is_taken_as_well(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    answer = await timed.api.post("/token/exchange", {**asking(key["key"]), "expires_in": 60, "unknown": "x"})
    assert granted(answer)["expires_in"] == 60


async def test_token_is_narrowed_and_never_widened(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, scopes=["a:b", "c:d"])
    narrowed = granted(await send(timed.api, asking(key["key"], scope="c:d")))["access_token"]
    assert (await principal_of(timed.api, narrowed))["scopes"] == ["c:d"]
    oauth_error(await send(timed.api, asking(key["key"], scope="c:d e:f")), "invalid_scope")
    # A token is not a key: it is not traded again.
    oauth_error(await send(timed.api, asking(narrowed)), "invalid_request")


async def test_token_lasts_no_longer_than_requested_and_than_its_key(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, expiresIn=100)
    assert granted(await send(timed.api, asking(key["key"], expires_in="5000")))["expires_in"] == 100
    assert granted(await send(timed.api, asking(key["key"], expires_in="7")))["expires_in"] == 7
    for odd in ("0", "-1", "1.5", "soon"):
        oauth_error(await send(timed.api, asking(key["key"], expires_in=odd)), "invalid_request")


async def test_token_ends_here_with_its_key(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    token = granted(await send(timed.api, asking(key["key"])))["access_token"]
    assert await is_alive(timed.api, token)
    assert await is_alive(timed.api, token)
    accepted(await timed.api.delete(f"/api-keys/{key['id']}", bearer=session.token), 204)
    assert not await is_alive(timed.api, token)


async def test_token_carries_the_allow_list_of_its_key(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    token = granted(await send(timed.api, asking(key["key"])))["access_token"]
    assert await is_alive(timed.api, token)
    listed = {"allowedIps": ["203.0.113.7"]}
    accepted(await timed.api.patch(f"/api-keys/{key['id']}", listed, bearer=session.token))
    assert not await is_alive(timed.api, token)
    oauth_error(await send(timed.api, asking(key["key"])), "invalid_request")


async def test_token_never_reaches_account_routes(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    token = granted(await send(timed.api, asking(key["key"])))["access_token"]
    refused(await timed.api.get("/sessions", bearer=token), 403, "SESSION_REQUIRED")
    refused(await timed.api.post("/api-keys", {"name": "x"}, bearer=token), 403, "SESSION_REQUIRED")


async def test_token_for_another_audience_is_not_valid_here(deploy: Deploy) -> None:
    timed = await deploy(token_audiences=(OTHER,))
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    token = granted(await send(timed.api, asking(key["key"], audience=OTHER)))["access_token"]
    assert claims_of(token)["aud"] == OTHER
    refused(await timed.api.get("/whoami", bearer=token), 401, "INVALID_TOKEN")
    unknown = asking(key["key"], audience="https://elsewhere.example.com")
    oauth_error(await send(timed.api, unknown), "invalid_target")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"subject_token": ""}, "invalid_request"),
        ({"subject_token": "czo_" + "A" * 43}, "invalid_request"),
        ({"subject_token": "nonsense"}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
    ],
)
async def test_bad_request_is_reported_as_oauth_does(
    timed: Timed, change: dict[str, str], error: str
) -> None:
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    oauth_error(await send(timed.api, asking(key["key"]) | change), error)


@pytest.mark.parametrize(
    "body", [b"grant_type=a&grant_type=b", b"%ff=1&grant_type=x", b"grant_type", b"a=%00"]
)
async def test_form_that_can_be_read_in_two_ways_is_refused(timed: Timed, body: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await timed.api.http.post("/api/auth/token/exchange", content=body, headers=headers)
    oauth_error(answer, "invalid_request")


async def test_refresh_takes_forms_and_tells_errors_as_oauth_does(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    answer = await send(timed.api, {"refreshToken": session.refresh_token, "x": "y"}, path="/token/refresh")
    assert accepted(answer)["tokenType"] == "Bearer"
    body = oauth_error(
        await send(timed.api, {"refreshToken": "czr_no"}, path="/token/refresh"), "invalid_grant", 401
    )
    assert body["code"] == "INVALID_REFRESH_TOKEN"


async def test_metadata_names_the_endpoints(timed: Timed) -> None:
    described = granted(await timed.api.get("/.well-known/oauth-authorization-server"))
    base = described["issuer"] + "/api/auth"
    assert described["token_endpoint"] == f"{base}/token"
    assert described["introspection_endpoint"] == f"{base}/introspect"
    assert described["jwks_uri"] == f"{base}/jwks"
    assert GRANT in described["grant_types_supported"]
    assert described["response_types_supported"] == []
