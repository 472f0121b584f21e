"""Asking what a credential is worth (contract part two, section 16; RFC 7662)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.contract.acting import create_key, create_organization
from tests.contract.api import Answer
from tests.contract.checks import accepted
from tests.contract.deployments import Timed
from tests.contract.oauth import asking, granted, send
from tests.contract.people import Session

INACTIVE = {"active": False}


async def enrolled_admin(timed: Timed) -> Session:
    """Make an administrator with two factors proved."""
    account, session = await timed.admin()
    return await timed.people.enroll(account, session)


async def asker(timed: Timed, **more: object) -> dict[str, Any]:
    """Make a key that may ask."""
    root = await enrolled_admin(timed)
    return await create_key(timed.api, root, scopes=["api-keys:verify"], **more)


async def ask(timed: Timed, key: dict[str, Any], token: str, **more: str) -> Answer:
    headers = {"authorization": f"Bearer {key['key']}"}
    return await timed.api.http.post("/api/auth/introspect", data={"token": token, **more}, headers=headers)


async def test_key_session_and_token_are_active(timed: Timed) -> None:
    asking_key = await asker(timed)
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, scopes=["a:b"], expiresIn=3600)
    said = granted(await ask(timed, asking_key, key["key"]))
    assert said["active"] is True
    assert (said["token_type"], said["sub"], said["client_id"]) == ("api_key", account.id, key["id"])
    assert (said["scope"], said["act_type"], said["aal"]) == ("a:b", "customer", 1)
    assert said["exp"] - said["iat"] == 3600
    assert not {"org", "amr", "phr", "jti", "aud"} & set(said)
    by_session = granted(await ask(timed, asking_key, session.token))
    assert (by_session["token_type"], by_session["amr"]) == ("session", ["pwd"])
    assert not {"client_id", "scope"} & set(by_session)
    by_token = granted(await ask(timed, asking_key, session.access_token))
    assert (by_token["token_type"], by_token["sub"]) == ("access_token", account.id)
    assert by_token["jti"]
    exchanged = granted(await send(timed.api, asking(key["key"])))["access_token"]
    said = granted(await ask(timed, asking_key, exchanged))
    assert (said["token_type"], said["client_id"], said["scope"]) == ("access_token", key["id"], "a:b")


async def test_malformed_form_is_refused_for_what_is_wrong(timed: Timed) -> None:
    headers = {
        "authorization": f"Bearer {(await asker(timed))['key']}",
        "content-type": "application/x-www-form-urlencoded",
    }
    for body, message in (
        ("token=%00", "The body contains a character that is not allowed: NUL or half a surrogate pair."),
        ("token=%ff", "The body is not a valid form in UTF-8."),
        ("token", "The body is not a valid form in UTF-8."),
        ("&".join(f"x{number}=" for number in range(65)), "The body has more than 64 parameters."),
    ):
        answer = await timed.api.http.post("/api/auth/introspect", content=body, headers=headers)
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["error"]) == (
            400,
            "BAD_REQUEST",
            "invalid_request",
        )
        assert (problem["message"], problem["error_description"]) == (message, message)


async def test_answer_that_is_repeated_is_what_holds_now(timed: Timed) -> None:
    asking_key = await asker(timed)
    _, session = await timed.people.newcomer()
    keys = [await create_key(timed.api, session, scopes=["a:b", "c:d"]) for _ in range(2)]
    for _ in range(3):
        for key in keys:
            said = granted(await ask(timed, asking_key, key["key"]))
            assert (said["client_id"], said["scope"]) == (key["id"], "a:b c:d")
    narrowed = await timed.api.patch(f"/api-keys/{keys[0]['id']}", {"scopes": ["a:b"]}, bearer=session.token)
    accepted(narrowed)
    assert granted(await ask(timed, asking_key, keys[0]["key"]))["scope"] == "a:b"
    assert granted(await ask(timed, asking_key, keys[1]["key"]))["scope"] == "a:b c:d"
    accepted(await timed.api.delete(f"/api-keys/{keys[1]['id']}", bearer=session.token), 204)
    assert granted(await ask(timed, asking_key, keys[1]["key"])) == INACTIVE


async def test_whatever_does_not_count_gives_one_answer(timed: Timed) -> None:
    asking_key = await asker(timed)
    _, session = await timed.people.newcomer()
    revoked = await create_key(timed.api, session)
    accepted(await timed.api.delete(f"/api-keys/{revoked['id']}", bearer=session.token), 204)
    listed = await create_key(timed.api, session, allowedIps=["203.0.113.7"])
    inactive = [
        "czo_" + "A" * 43,
        revoked["key"],
        listed["key"],
        session.refresh_token,
        "czc_" + "A" * 43,
        "x",
    ]
    answers = [await ask(timed, asking_key, token) for token in inactive]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert granted(answers[0]) == INACTIVE
    assert granted(await ask(timed, asking_key, listed["key"], client_ip="203.0.113.7"))["active"] is True
    assert granted(await ask(timed, asking_key, listed["key"], client_ip="203.0.113.8")) == INACTIVE


async def test_asking_takes_a_key_with_the_scope(timed: Timed) -> None:
    asking_key = await asker(timed)
    _, session = await timed.people.newcomer()
    plain = await create_key(timed.api, session)
    refused_body = (await ask(timed, plain, session.token)).json()
    assert (refused_body["status"], refused_body["code"]) == (403, "INSUFFICIENT_SCOPE")
    by_session = await timed.api.http.post(
        "/api/auth/introspect", data={"token": "x"}, headers={"authorization": f"Bearer {session.token}"}
    )
    assert (by_session.status_code, by_session.json()["code"]) == (403, "INSUFFICIENT_SCOPE")
    nobody = await timed.api.http.post("/api/auth/introspect", data={"token": "x"})
    assert nobody.status_code == 401
    exchanged = granted(await send(timed.api, asking(asking_key["key"])))["access_token"]
    answer = await ask(timed, {"key": exchanged}, session.token)
    assert (answer.status_code, answer.json()["code"]) == (403, "INSUFFICIENT_SCOPE")


@pytest.mark.parametrize(("name", "status"), [("its own", 200), ("another", 401), ("", 400)])
async def test_key_may_come_by_basic_authentication(timed: Timed, name: str, status: int) -> None:
    asking_key = await asker(timed)
    user = asking_key["id"] if name == "its own" else name
    pair = base64.b64encode(f"{user}:{asking_key['key']}".encode()).decode()
    answer = await timed.api.http.post(
        "/api/auth/introspect", data={"token": "x"}, headers={"authorization": f"Basic {pair}"}
    )
    assert answer.status_code == status, answer.text


async def test_key_of_an_organization_learns_of_that_organization_only(timed: Timed) -> None:
    root = await enrolled_admin(timed)
    organization = await create_organization(timed.api, root)
    asking_key = await create_key(timed.api, root, scopes=["api-keys:verify"], organizationId=organization)
    inside = await create_key(timed.api, root, organizationId=organization)
    outside = await create_key(timed.api, root)
    assert granted(await ask(timed, asking_key, inside["key"]))["org"] == organization
    assert granted(await ask(timed, asking_key, outside["key"])) == INACTIVE
    assert granted(await ask(timed, asking_key, root.token)) == INACTIVE


async def test_restricted_session_is_not_active(timed: Timed) -> None:
    asking_key = await asker(timed)
    root = await enrolled_admin(timed)
    account, session = await timed.people.newcomer()
    body = {"add": ["admin"], "remove": []}
    answer = await timed.api.post(f"/admin/users/{account.id}/actor-types", body, bearer=root.token)
    accepted(answer)
    assert granted(await ask(timed, asking_key, session.token)) == INACTIVE


async def test_body_is_checked(timed: Timed) -> None:
    asking_key = await asker(timed)
    headers = {"authorization": f"Bearer {asking_key['key']}"}
    missing = await timed.api.http.post("/api/auth/introspect", data={"hint": "x"}, headers=headers)
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")
    odd = await ask(timed, asking_key, "x", client_ip="somewhere")
    assert (odd.status_code, odd.json()["error"]) == (400, "invalid_request")
    json_body = await timed.api.post("/introspect", {"token": "x"}, bearer=asking_key["key"])
    assert granted(json_body) == INACTIVE


async def test_short_way_and_the_route_answer_the_same(timed: Timed) -> None:
    """A remembered key that asks plainly is answered without the framework; one more header sends it to the route."""
    asking_key = await asker(timed)
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, scopes=["a:b"])
    exchanged = granted(await send(timed.api, asking(key["key"])))["access_token"]
    url, headers = "/api/auth/introspect", {"authorization": f"Bearer {asking_key['key']}"}
    for token in (key["key"], session.token, session.access_token, exchanged, "czo_" + "A" * 43, "nonsense"):
        form = {"token": token}
        by_route = await timed.api.http.post(url, data=form, headers={**headers, "x-api-key": "ignored"})
        plainly = await timed.api.http.post(url, data=form, headers=headers)
        assert (plainly.status_code, plainly.content) == (by_route.status_code, by_route.content)
        reported = [
            sorted((name, value) for name, value in one.headers.multi_items() if name != "date")
            for one in (plainly, by_route)
        ]
        assert reported[0] == reported[1]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"token=", 400),
        (b"token=x&token=y", 400),
        (b"token=%00", 400),
        (b"token=x&client_ip=nowhere", 400),
        (b"token=x&unknown=y", 200),
        (b"token=%41&token_type_hint=z", 200),
        (b"token=" + b"A" * 4097, 200),
    ],
)
async def test_what_is_not_plain_goes_to_the_route(timed: Timed, body: bytes, status: int) -> None:
    asking_key = await asker(timed)
    headers = {
        "authorization": f"Bearer {asking_key['key']}",
        "content-type": "application/x-www-form-urlencoded",
    }
    for _ in range(2):
        answer = await timed.api.http.post("/api/auth/introspect", content=body, headers=headers)
        assert answer.status_code == status, answer.text


async def test_asking_key_that_ends_is_refused_at_the_next_question(timed: Timed) -> None:
    root = await enrolled_admin(timed)
    asking_key = await create_key(timed.api, root, scopes=["api-keys:verify"])
    assert granted(await ask(timed, asking_key, "x")) == INACTIVE
    assert granted(await ask(timed, asking_key, "x")) == INACTIVE
    accepted(await timed.api.delete(f"/api-keys/{asking_key['id']}", bearer=root.token), 204)
    assert (await ask(timed, asking_key, "x")).status_code == 401


async def test_question_is_a_use_of_both_keys(timed: Timed) -> None:
    asking_key = await asker(timed)
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    for _ in range(3):
        granted(await ask(timed, asking_key, key["key"]))
    await timed.auth._housekeeping.flush_key_uses()
    shown = accepted(await timed.api.get(f"/api-keys/{key['id']}", bearer=session.token))["apiKey"]
    assert shown["useCount"] == 3
