"""Rotating refresh tokens (docs/reference/rest.md; S22)."""

from __future__ import annotations

from czo_auth.core.context import system_context
from czo_auth.core.events.types import AuditFilter
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.deployments import Deployment, Timed
from tests.contract.people import Session


async def refresh(here: Deployment, token: str) -> Answer:
    return await here.api.post("/token/refresh", {"refreshToken": token})


async def is_dead(here: Deployment, token: str) -> bool:
    """Say whether a token is refused as one that never was."""
    refused(await refresh(here, token), 401, "INVALID_REFRESH_TOKEN")
    return True


async def test_refresh_gives_a_new_pair(live: Live) -> None:
    _, session = await live.people.newcomer()
    answer = await refresh(live, session.refresh_token)
    body = accepted(answer)
    assert set(body) == {"accessToken", "refreshToken", "expiresIn", "tokenType"}
    assert (body["expiresIn"], body["tokenType"]) == (900, "Bearer")
    assert body["refreshToken"].startswith("czr_")
    assert body["refreshToken"] != session.refresh_token
    assert "set-cookie" not in answer.headers, "refresh tokens travel in bodies only"
    shown = accepted(await live.api.get("/session", bearer=body["accessToken"]))
    assert shown["session"]["id"] == session.id
    again = accepted(await refresh(live, body["refreshToken"]))
    assert again["refreshToken"] not in (session.refresh_token, body["refreshToken"])


async def test_refresh_raises_nothing(live: Live) -> None:
    """S22: `amr` is kept, never raised, and so is everything else about the session."""
    session = await live.people.sign_in(live.enrolled_user)
    _, plain = await live.people.newcomer()
    for one, amr, aal in ((session, ["pwd", "otp"], 2), (plain, ["pwd"], 1)):
        body = accepted(await refresh(live, one.refresh_token))
        shown = accepted(await live.api.get("/session", bearer=body["accessToken"]))["session"]
        assert (shown["amr"], shown["aal"]) == (amr, aal)
        assert shown.pop("twoFactorDueAt") is None
        assert shown == one.body["session"]


async def test_unknown_token_is_401(live: Live) -> None:
    for token in ("czr_" + "A" * 43, "czr_" + "A" * 42 + "B", "czr_", "x", "A" * 256, "é" * 47):
        assert await is_dead(live, token)


async def test_token_just_replaced_is_answered_409_and_the_family_stays_valid(timed: Timed) -> None:
    """Within 10 s the same successor or 409, and the family lives."""
    _, session = await timed.people.newcomer()
    successor = accepted(await refresh(timed, session.refresh_token))["refreshToken"]
    for _ in range(2):
        timed.time.advance(seconds=5)
        refused(await refresh(timed, session.refresh_token), 409, "REFRESH_IN_PROGRESS")
    assert await timed.people.is_alive(session)
    assert accepted(await refresh(timed, successor))["refreshToken"] != successor


async def test_token_reused_after_the_grace_period_revokes_the_family(timed: Timed) -> None:
    """Contract 3; S22: theft is noticed, and recorded."""
    account, session = await timed.people.newcomer()
    pair = accepted(await refresh(timed, session.refresh_token))
    timed.time.advance(seconds=10, milliseconds=1)
    assert await is_dead(timed, session.refresh_token)
    assert await is_dead(timed, pair["refreshToken"])
    assert not await timed.people.is_alive(session)
    refused(await timed.api.get("/session", bearer=pair["accessToken"]), 401, "INVALID_TOKEN")
    records, _ = await timed.auth.administration.audit(
        AuditFilter(user_id=account.id, action="auth.refresh.reuse_detected"), limit=10
    )
    assert len(records) == 1


async def test_older_ancestor_kills_the_family_too(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    tokens = [session.refresh_token]
    for _ in range(3):
        timed.time.advance(seconds=30)
        tokens.append(accepted(await refresh(timed, tokens[-1]))["refreshToken"])
    assert await is_dead(timed, tokens[1])
    for token in tokens:
        assert await is_dead(timed, token)


async def test_theft_in_one_family_leaves_the_others_alone(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    other = await timed.people.sign_in(account)
    accepted(await refresh(timed, session.refresh_token))
    timed.time.advance(minutes=1)
    assert await is_dead(timed, session.refresh_token)
    assert await timed.people.is_alive(other)
    accepted(await refresh(timed, other.refresh_token))


async def test_family_lasts_seven_days_no_matter_how_often_it_is_refreshed(timed: Timed) -> None:
    """S22: absolute life."""
    _, session = await timed.people.newcomer()
    token = session.refresh_token
    for _ in range(7):
        timed.time.advance(hours=23, minutes=59)
        token = accepted(await refresh(timed, token))["refreshToken"]
    timed.time.advance(minutes=7)
    assert await is_dead(timed, token)


async def test_refresh_of_somebody_banned_is_refused(live: Live) -> None:
    account, session = await live.people.newcomer()
    await live.auth.administration.ban(account.id, reason="test", context=system_context(live.clock()))
    assert await is_dead(live, session.refresh_token)


async def test_refresh_does_not_leave_the_restriction(live: Live) -> None:
    """S9: refresh is one of the ways in; the successor is as restricted as the session."""
    account, session = await live.people.newcomer()
    await live.promote(account)
    body = accepted(await refresh(live, session.refresh_token))
    answer = await live.api.get("/sessions", bearer=body["accessToken"])
    refused(answer, 403, "TWO_FACTOR_SETUP_REQUIRED")


async def test_renewed_session_has_a_family_of_its_own(live: Live) -> None:
    """Contract 4, *renewed*: the refresh family from before the second factor dies."""
    account, session = await live.people.newcomer()
    pair = accepted(await refresh(live, session.refresh_token))
    current = Session(body={**session.body, **pair}, token=session.token)
    renewed = await live.people.enroll(account, current)
    assert await is_dead(live, pair["refreshToken"])
    accepted(await refresh(live, renewed.refresh_token))
