"""Sessions: what they show, how they end, and changing actor types (docs/reference/rest.md; better-auth-wire, Core)."""

from __future__ import annotations

from typing import Any

import pytest

from czo_auth.core.context import system_context
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.deployments import Timed
from tests.contract.people import Session
from tests.contract.routes import NOWHERE

CLIENT_SESSION = {
    "id",
    "token",
    "userId",
    "expiresAt",
    "createdAt",
    "updatedAt",
    "ipAddress",
    "userAgent",
    "activeOrganizationId",
}


async def test_session_is_shown_to_its_holder(live: Live, carried: Any) -> None:
    account, session = await live.people.newcomer()
    shown = accepted(await live.api.get("/session", **carried(session)))
    assert shown["session"]["id"] == session.id
    assert shown["user"]["email"] == account.email
    assert set(shown) == {"session", "user"}
    for secret in (session.token, session.refresh_token, session.access_token):
        assert secret not in str(shown)


async def test_sessions_are_listed_with_the_present_one_marked(live: Live) -> None:
    account, first = await live.people.newcomer()
    second = await live.people.sign_in(account)
    _, stranger = await live.people.newcomer()
    listed = accepted(await live.api.get("/sessions", bearer=second.token))
    assert listed["total"] == 2
    assert {one["id"]: one["current"] for one in listed["sessions"]} == {first.id: False, second.id: True}
    for secret in (first.token, second.token, first.refresh_token):
        assert secret not in str(listed)
    assert stranger.id not in str(listed)


async def test_one_session_is_ended_with_all_that_it_handed_out(live: Live) -> None:
    account, mine = await live.people.newcomer()
    other = await live.people.sign_in(account)
    accepted(await live.api.delete(f"/sessions/{other.id}", bearer=mine.token), 204)
    assert not await live.people.is_alive(other)
    answer = await live.api.post("/token/refresh", {"refreshToken": other.refresh_token})
    refused(answer, 401, "INVALID_REFRESH_TOKEN")
    assert await live.people.is_alive(mine)
    refused(await live.api.delete(f"/sessions/{other.id}", bearer=mine.token), 404, "NOT_FOUND")


async def test_session_that_is_not_yours_is_404_like_one_that_does_not_exist(live: Live) -> None:
    _, mine = await live.people.newcomer()
    _, theirs = await live.people.newcomer()
    answers = [
        await live.api.delete(f"/sessions/{handle}", bearer=mine.token)
        for handle in (theirs.id, NOWHERE, "nonsense", "0" * 300)
    ]
    for answer in answers:
        refused(answer, 404, "NOT_FOUND")
    assert len({answer.content for answer in answers}) == 1
    assert await live.people.is_alive(theirs)


async def test_all_others_end_with_their_refresh_families_and_challenges(live: Live) -> None:
    """By docs/reference/rest.md: `DELETE /sessions`; S23."""
    account = live.enrolled_user
    mine, other = await live.people.sign_in(account), await live.people.sign_in(account)
    challenge = await live.people.challenge(account)
    accepted(await live.api.delete("/sessions", bearer=mine.token), 204)
    assert await live.people.is_alive(mine)
    assert not await live.people.is_alive(other)
    answer = await live.api.post("/token/refresh", {"refreshToken": other.refresh_token})
    refused(answer, 401, "INVALID_REFRESH_TOKEN")
    answer = await live.people.verify(account.has.at(0), challenge=challenge)
    refused(answer, 401, "INVALID_TWO_FACTOR_COOKIE")
    accepted(await live.api.post("/token/refresh", {"refreshToken": mine.refresh_token}))


async def test_sign_out_ends_the_session_however_it_was_carried(live: Live, carried: Any) -> None:
    _, session = await live.people.newcomer()
    assert accepted(await live.api.post("/sign-out", {}, **carried(session))) == {"success": True}
    assert not await live.people.is_alive(session)
    answer = await live.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    refused(answer, 401, "INVALID_REFRESH_TOKEN")
    assert accepted(await live.api.post("/sign-out", {}, **carried(session))) == {"success": True}


async def test_sign_out_without_a_session_succeeds(live_sqlite: Live) -> None:
    api = live_sqlite.api
    for how in ({}, {"bearer": "nonsense"}, {"bearer": "czs_" + "A" * 43}, {"cookies": {"x": "y"}}):
        assert accepted(await api.post("/sign-out", {}, **how)) == {"success": True}
    assert accepted(await api.post("/sign-out")) == {"success": True}


async def test_session_ends_after_seven_days(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    timed.time.advance(days=7, seconds=-1)
    accepted(await timed.api.get("/session", bearer=session.token))
    timed.time.advance(seconds=1)
    refused(await timed.api.get("/session", bearer=session.token), 401, "INVALID_TOKEN")
    refused(await timed.api.get("/session", cookies=session.cookies), 401, "INVALID_TOKEN")
    assert accepted(await timed.api.get("/get-session", bearer=session.token)) is None
    answer = await timed.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    refused(answer, 401, "INVALID_REFRESH_TOKEN")


async def test_expired_session_is_not_listed(timed_sqlite: Timed) -> None:
    account, _ = await timed_sqlite.people.newcomer()
    timed_sqlite.time.advance(days=7, seconds=1)
    session = await timed_sqlite.people.sign_in(account)
    assert accepted(await timed_sqlite.api.get("/sessions", bearer=session.token))["total"] == 1


async def test_ban_ends_everything_at_once(live: Live) -> None:
    """S23."""
    account, session = await live.people.newcomer()
    await live.auth.administration.ban(account.id, reason="test", context=system_context(live.clock()))
    assert not await live.people.is_alive(session)
    answer = await live.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    refused(answer, 401, "INVALID_REFRESH_TOKEN")


# --- changing actor types --------------------------------------------------------------------------------------------
async def switch(live: Live, session: Session, actor: str) -> Any:
    return await live.api.post("/switch-actor", {"actorType": actor}, bearer=session.token)


async def test_another_actor_type_is_another_session(live: Live) -> None:
    account = await live.people.sign_up("merchant")
    worn = await live.people.sign_in(account)
    changed = Session.of(await switch(live, worn, "merchant"))
    assert changed.body["session"]["actorType"] == "merchant"
    assert changed.id != worn.id
    assert not await live.people.is_alive(worn)
    answer = await live.api.post("/token/refresh", {"refreshToken": worn.refresh_token})
    refused(answer, 401, "INVALID_REFRESH_TOKEN")
    assert await live.people.is_alive(changed)


async def test_actor_type_that_one_does_not_hold_is_refused(live: Live) -> None:
    _, session = await live.people.newcomer()
    for actor in ("merchant", "admin"):
        refused(await switch(live, session, actor), 403, "ACTOR_TYPE_MISMATCH")
    refused(await switch(live, session, "robot"), 404, "UNKNOWN_ACTOR_TYPE")
    assert await live.people.is_alive(session)


async def test_other_actor_type_is_not_a_way_past_the_second_factor(live: Live) -> None:
    """The target's 2FA rule applies as if signing in."""
    account, session = await live.people.newcomer("merchant")
    other = await live.people.sign_in(account)
    proved = await live.people.enroll(account, session)
    assert not await live.people.is_alive(other)
    changed = Session.of(await switch(live, proved, "customer"))
    assert (changed.body["session"]["aal"], changed.body["session"]["amr"]) == (2, ["pwd", "otp"])


async def test_promoted_user_changes_no_actor_type_before_the_second_factor(live: Live) -> None:
    account, session = await live.people.newcomer("merchant")
    await live.promote(account)
    for actor in ("admin", "customer", "merchant"):
        refused(await switch(live, session, actor), 403, "TWO_FACTOR_SETUP_REQUIRED")


# --- better-auth's calls ---------------------------------------------------------------------------------------------
async def test_get_session_is_null_without_one(live_sqlite: Live) -> None:
    for how in ({}, {"bearer": "nonsense"}, {"bearer": "czs_" + "A" * 43}):
        answer = await live_sqlite.api.get("/get-session", **how)
        assert accepted(answer) is None
        assert answer.content == b"null"


async def test_get_session_shows_session_and_user(live: Live, carried: Any) -> None:
    account, session = await live.people.newcomer()
    shown = accepted(await live.api.get("/get-session", **carried(session)))
    assert set(shown) == {"session", "user"}
    assert set(shown["session"]) == CLIENT_SESSION
    assert shown["session"]["token"] == session.body["token"], "the handle that revoke-session takes"
    assert shown["session"]["userId"] == account.id
    assert shown["session"]["ipAddress"] == "127.0.0.1"
    assert shown["session"]["userAgent"].startswith("python-httpx")
    assert session.token not in str(shown)


async def test_list_sessions_is_an_array(live_sqlite: Live) -> None:
    account, first = await live_sqlite.people.newcomer()
    second = await live_sqlite.people.sign_in(account)
    listed = accepted(await live_sqlite.api.get("/list-sessions", bearer=first.token))
    assert {one["id"] for one in listed} == {first.id, second.id}
    assert all(set(one) == CLIENT_SESSION for one in listed)
    refused(await live_sqlite.api.get("/list-sessions"), 401, "UNAUTHORIZED")


async def test_revoke_session_tells_nothing_about_what_it_found(live: Live) -> None:
    account, mine = await live.people.newcomer()
    other = await live.people.sign_in(account)
    _, theirs = await live.people.newcomer()
    for handle in (other.body["token"], theirs.body["token"], NOWHERE, "nonsense", other.body["token"]):
        answer = await live.api.post("/revoke-session", {"token": handle}, bearer=mine.token)
        assert accepted(answer) == {"status": True}
    assert not await live.people.is_alive(other)
    assert await live.people.is_alive(theirs)
    refused(await live.api.post("/revoke-session", {"token": mine.id}), 401, "UNAUTHORIZED")


async def test_secret_is_not_a_handle(live_sqlite: Live) -> None:
    account, mine = await live_sqlite.people.newcomer()
    other = await live_sqlite.people.sign_in(account)
    accepted(await live_sqlite.api.post("/revoke-session", {"token": other.token}, bearer=mine.token))
    assert await live_sqlite.people.is_alive(other)


@pytest.mark.parametrize(
    ("path", "own_lives"), [("/revoke-sessions", False), ("/revoke-other-sessions", True)]
)
async def test_many_sessions_end_at_once(live: Live, path: str, own_lives: bool) -> None:
    account, mine = await live.people.newcomer()
    other = await live.people.sign_in(account)
    assert accepted(await live.api.post(path, {}, bearer=mine.token)) == {"status": True}
    assert await live.people.is_alive(mine) is own_lives
    assert not await live.people.is_alive(other)


async def test_user_changes_name_and_picture_and_nothing_else(live: Live) -> None:
    _, session = await live.people.newcomer()
    api = live.api
    changes = {"name": "Zoë", "image": "https://cdn.example/z.png", "role": "admin"}
    assert accepted(await api.post("/update-user", changes, bearer=session.token)) == {"status": True}
    user = accepted(await api.get("/session", bearer=session.token))["user"]
    assert (user["name"], user["image"]) == ("Zoë", "https://cdn.example/z.png")
    accepted(await api.post("/update-user", {"image": None}, bearer=session.token))
    user = accepted(await api.get("/session", bearer=session.token))["user"]
    assert (user["name"], user["image"]) == ("Zoë", None)
    for field in ("emailVerified", "actorTypes", "twoFactorEnabled", "id", "banned"):
        answer = await api.post("/update-user", {"name": "x", field: True}, bearer=session.token)
        refused(answer, 400, "VALIDATION_ERROR")
    for odd, code in (
        ({"name": "x", "email": "other@example.com"}, "EMAIL_CAN_NOT_BE_UPDATED"),
        ({"name": None, "image": "https://cdn.example/z.png"}, "VALIDATION_ERROR"),
    ):
        refused(await api.post("/update-user", odd, bearer=session.token), 400, code)
    assert accepted(await api.get("/session", bearer=session.token))["user"] == user
    refused(await api.post("/update-user", {"name": "x"}), 401, "UNAUTHORIZED")


async def test_user_agent_of_a_stranger_is_harmless_text(live_sqlite: Live) -> None:
    """S29."""
    account = await live_sqlite.people.sign_up()
    body = {"email": account.email, "password": account.password}
    agents = [b"x\x1b[2Jy", b"x\xc2\x85y", b"\xe2\x80\xae evil", b"a" * 5000, b""]
    for agent in agents:
        request = live_sqlite.api.http.build_request(
            "POST", "/api/auth/sign-in/email", json=body, headers=[(b"user-agent", agent)]
        )
        answer = await live_sqlite.api.http.send(request)
        if answer.status_code == 400 and "code" not in answer.text:
            continue  # the server itself refuses control characters in headers
        session = Session.of(answer)
        [shown] = [
            one["userAgent"]
            for one in accepted(await live_sqlite.api.get("/list-sessions", bearer=session.token))
            if one["id"] == session.id
        ]
        assert shown is None or (shown.isprintable() and len(shown) <= 256)
