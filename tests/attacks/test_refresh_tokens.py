"""Attacks on refresh tokens (S22, S23)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.contract.api import SESSION_COOKIE, Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.database import sql
from tests.contract.people import Account, Session
from tests.contract.tokens import part_of

pytestmark = pytest.mark.deep

Person = tuple[Account, Session]


@pytest.fixture
async def person(live: Live) -> Person:
    return await live.people.newcomer()


async def refresh(live: Live, token: object) -> Answer:
    return await live.api.post("/token/refresh", {"refreshToken": token})


async def put_back(live: Live, table: str, column: str, session: Session, **by: float) -> None:
    """Put what *column* tells the time of back, for the rows of a session."""
    url = live.served.database_url
    named = "id" if table == "sessions" else "session_id"
    rows = await sql(url, f"SELECT id, {column} FROM {{}}{table} WHERE {named} = $1", session.id)
    for number, value in rows:
        if value is None:
            continue
        back: Any = timedelta(**by)
        if isinstance(value, int):
            back = int(back.total_seconds() * (1_000_000 if value > 10**15 else 1_000))
        await sql(url, f"UPDATE {{}}{table} SET {column} = $1 WHERE id = $2", value - back, number)


async def let_the_grace_pass(live: Live, session: Session) -> None:
    await put_back(live, "refresh_tokens", "replaced_at", session, seconds=11)


async def test_stolen_token_after_the_victim_refreshed(live: Live, person: Person) -> None:
    """The whole family ends, access tokens and session token too, and it is recorded."""
    _, session = person
    successor = accepted(await refresh(live, session.refresh_token))
    await let_the_grace_pass(live, session)
    refused(await refresh(live, session.refresh_token), 401, "INVALID_REFRESH_TOKEN")
    refused(await refresh(live, successor["refreshToken"]), 401, "INVALID_REFRESH_TOKEN")
    for token in (successor["accessToken"], session.access_token, session.token):
        refused(await live.api.get("/session", bearer=token), 401, "INVALID_TOKEN")
    rows = await sql(
        live.served.database_url,
        "SELECT 1 FROM {}audit WHERE user_id = $1 AND action = $2",
        *(person[0].id, "auth.refresh.reuse_detected"),
    )
    assert len(rows) == 1


@pytest.mark.each_database
async def test_stolen_token_within_the_grace(live: Live, person: Person) -> None:
    """It gets no second leaf."""
    _, session = person
    accepted(await refresh(live, session.refresh_token))
    answer = await refresh(live, session.refresh_token)
    refused(answer, 409, "REFRESH_IN_PROGRESS")
    assert "czr_" not in answer.text


async def test_grandparent_of_the_live_token(live: Live, person: Person) -> None:
    _, session = person
    second = accepted(await refresh(live, session.refresh_token))["refreshToken"]
    third = accepted(await refresh(live, second))["refreshToken"]
    await let_the_grace_pass(live, session)
    refused(await refresh(live, session.refresh_token), 401, "INVALID_REFRESH_TOKEN")
    refused(await refresh(live, third), 401, "INVALID_REFRESH_TOKEN")


async def test_expired_token(live: Live, person: Person) -> None:
    await put_back(live, "sessions", "expires_at", person[1], days=8)
    refused(await refresh(live, person[1].refresh_token), 401, "INVALID_REFRESH_TOKEN")


async def test_refreshing_for_ever(live: Live, person: Person) -> None:
    """Each successor ends when the first would have, and so does its access token."""
    _, session = person
    almost = {"days": 6, "hours": 23, "minutes": 55}
    await put_back(live, "sessions", "expires_at", session, **almost)
    answer = accepted(await refresh(live, session.refresh_token))
    claims = part_of(answer["accessToken"], 1)
    assert claims["exp"] - claims["iat"] <= 300
    await put_back(live, "sessions", "expires_at", session, minutes=6)
    refused(await refresh(live, answer["refreshToken"]), 401, "INVALID_REFRESH_TOKEN")


async def test_refreshing_up_to_two_factors(live: Live, person: Person) -> None:
    """Turning on the second factor elsewhere raises nothing here: the family is dead."""
    account, session = person
    other = await live.people.sign_in(account)
    await live.people.enroll(account, other)
    refused(await refresh(live, session.refresh_token), 401, "INVALID_REFRESH_TOKEN")
    refused(await refresh(live, other.refresh_token), 401, "INVALID_REFRESH_TOKEN")


WRONG: dict[str, Any] = {
    "unknown": "czr_" + "A" * 43,
    "short": "czr_" + "A" * 42,
    "no prefix": "A" * 43,
    "non-canonical end": "czr_" + "A" * 42 + "B",
    "newline": "czr_" + "A" * 43 + "\n",
    "not ASCII": "czr_" + "é" * 43,
}


@pytest.mark.parametrize("name", WRONG)
async def test_forged_token(live: Live, name: str) -> None:
    refused(await refresh(live, WRONG[name]), 401, "INVALID_REFRESH_TOKEN")


@pytest.mark.parametrize("kind", ["session", "access", "handle", "cookie alone", "respelled"])
async def test_other_credential_in_its_place(live: Live, person: Person, kind: str) -> None:
    session = person[1]
    if kind == "cookie alone":
        answer = await live.api.post("/token/refresh", {}, cookies={SESSION_COOKIE: session.token})
        refused(answer, 400, "VALIDATION_ERROR")
        return
    token = {
        "session": session.token,
        "access": session.access_token,
        "handle": session.body["token"],
        "respelled": session.refresh_token[:4].upper() + session.refresh_token[4:],
    }[kind]
    refused(await refresh(live, token), 401, "INVALID_REFRESH_TOKEN")


@pytest.mark.parametrize("value", [1, None, True, ["czr_"], {"$gt": ""}, ""])
async def test_token_of_another_type(live: Live, value: object) -> None:
    refused(await refresh(live, value), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("place", ["query", "cookie", "bearer"])
async def test_token_in_another_place(live: Live, person: Person, place: str) -> None:
    token = person[1].refresh_token
    places: dict[str, dict[str, Any]] = {
        "query": {},
        "cookie": {"cookies": {"refreshToken": token}},
        "bearer": {"bearer": token},
    }
    query = f"?refreshToken={token}" if place == "query" else ""
    refused(await live.api.post(f"/token/refresh{query}", {}, **places[place]), 400, "VALIDATION_ERROR")


async def sign_out(live: Live, _: Session, person: Person) -> None:
    accepted(await live.api.post("/sign-out", {}, bearer=person[1].token))


async def revoked_from_elsewhere(live: Live, _: Session, person: Person) -> None:
    other = await live.people.sign_in(person[0])
    accepted(await live.api.delete(f"/sessions/{person[1].id}", bearer=other.token), 204)


async def others_revoked(live: Live, _: Session, person: Person) -> None:
    other = await live.people.sign_in(person[0])
    accepted(await live.api.delete("/sessions", bearer=other.token), 204)


async def password_changed(live: Live, _: Session, person: Person) -> None:
    body = {"currentPassword": person[0].password, "newPassword": "another battery staple"}
    accepted(await live.api.post("/change-password", body, bearer=person[1].token))


async def banned(live: Live, root: Session, person: Person) -> None:
    path = f"/admin/users/{person[0].id}/ban"
    accepted(await live.api.post(path, {"reason": "fraud"}, bearer=root.token))


async def unbanned(live: Live, root: Session, person: Person) -> None:
    await banned(live, root, person)
    accepted(await live.api.post(f"/admin/users/{person[0].id}/unban", bearer=root.token))


ENDS = [sign_out, revoked_from_elsewhere, others_revoked, password_changed, banned, unbanned]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
async def test_family_afterwards(live: Live, root: Session, person: Person, end: Any) -> None:
    await end(live, root, person)
    refused(await refresh(live, person[1].refresh_token), 401, "INVALID_REFRESH_TOKEN")
    assert not await live.people.is_alive(person[1])


async def test_session_of_somebody_else(live: Live, person: Person) -> None:
    _, stranger = await live.people.newcomer()
    answer = await live.api.delete(f"/sessions/{person[1].id}", bearer=stranger.token)
    refused(answer, 404, "NOT_FOUND")
    assert await live.people.is_alive(person[1])
