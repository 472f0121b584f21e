"""Sessions end when nobody uses them, when there are too many, and when they are used to guess codes (S23, S44)."""

from __future__ import annotations

import asyncio

import pytest

from czo_auth.api.sessions import Sessions
from czo_auth.core.flows.administration.user_overview import user_overview
from czo_auth.core.sessions.session import SessionPolicy
from czo_auth.crypto import imported_hashes
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.devices import begin, trust
from tests.contract.people import Account, Session


# --- codes guessed in a session --------------------------------------------------------------------------------------
async def stolen_session(here: Timed) -> Session:
    """A session of Carol's that proved no second factor, as a thief has it."""
    _, device = await trust(here, here.carol)
    assert device is not None
    return Session.of(await begin(here, here.carol, device))


@pytest.mark.parametrize("path", ["/two-factor/verify", "/two-factor/verify-backup-code", "/reauthenticate"])
async def test_session_that_guesses_codes_ends_before_the_owner_is_locked(timed: Timed, path: str) -> None:
    stolen = await stolen_session(timed)
    code = "0000-00000-00000-0000" if "backup" in path else timed.carol.has.wrong()
    for _ in range(5):
        assert (await timed.api.post(path, {"code": code}, bearer=stolen.token)).status_code == 401
    assert not await timed.people.is_alive(stolen)
    answer = await timed.api.post("/token/refresh", {"refreshToken": stolen.refresh_token})
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_REFRESH_TOKEN")
    timed.time.advance(minutes=1)
    accepted(
        await timed.people.verify(timed.carol.has.code(), challenge=await timed.people.challenge(timed.carol))
    )


async def test_right_code_forgets_the_wrong_ones_of_the_session(timed: Timed) -> None:
    session = await stolen_session(timed)
    for _ in range(3):
        timed.time.advance(minutes=1)
        for _ in range(4):
            answer = await timed.api.post(
                "/reauthenticate", {"code": timed.carol.has.wrong()}, bearer=session.token
            )
            refused(answer, 401, "INVALID_CODE")
        right = {"code": timed.carol.has.code()}
        accepted(await timed.api.post("/reauthenticate", right, bearer=session.token))
    assert await timed.people.is_alive(session)


@pytest.mark.each_database
async def test_codes_guessed_at_once_end_the_session_too(timed: Timed) -> None:
    stolen = await stolen_session(timed)
    wrong = timed.carol.has.wrong()
    await asyncio.gather(*[timed.people.verify(wrong, bearer=stolen.token) for _ in range(9)])
    assert not await timed.people.is_alive(stolen)


# --- idle sessions ---------------------------------------------------------------------------------------------------
async def test_unused_session_ends_with_its_family(deploy: Deploy) -> None:
    here = await deploy(session_idle_minutes=30)
    account, session = await here.people.newcomer()
    here.time.advance(minutes=29, seconds=59)
    accepted(await here.api.get("/session", bearer=session.token))
    here.time.advance(minutes=29, seconds=59)
    accepted(await here.api.get("/session", cookies=session.cookies))
    here.time.advance(minutes=30)
    refused(await here.api.get("/session", bearer=session.token), 401, "INVALID_TOKEN")
    answer = await here.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_REFRESH_TOKEN")
    fresh = await here.people.sign_in(account)
    listed = accepted(await here.api.get("/sessions", bearer=fresh.token))
    assert [one["id"] for one in listed["sessions"]] == [fresh.id], "what is over is not listed"


async def test_unused_session_is_not_shown_to_operators_and_the_host_as_live(deploy: Deploy) -> None:
    here = await deploy(session_idle_minutes=30)
    account, _ = await here.people.newcomer()
    here.time.advance(minutes=20)
    used = await here.people.sign_in(account)
    here.time.advance(minutes=20)
    admin = await here.people.sign_in(here.ada, "admin")
    listed = accepted(await here.api.get(f"/admin/users/{account.id}/sessions", bearer=admin.token))
    assert ([one["id"] for one in listed["sessions"]], listed["total"]) == ([used.id], 1)
    assert [one.id for one in await Sessions(here.auth).list(account.id)] == [used.id]
    overview = await user_overview(here.auth.services, account.email, now=here.clock())
    assert overview.sessions == 1


async def test_refresh_is_a_use(deploy: Deploy) -> None:
    here = await deploy(session_idle_minutes=30)
    _, session = await here.people.newcomer()
    refresh_token = session.refresh_token
    for _ in range(3):
        here.time.advance(minutes=29)
        answer = accepted(await here.api.post("/token/refresh", {"refreshToken": refresh_token}))
        refresh_token = answer["refreshToken"]
        accepted(await here.api.get("/session", bearer=answer["accessToken"]))


async def test_use_in_another_process_counts(deploy: Deploy) -> None:
    one = await deploy(session_idle_minutes=30)
    other = await deploy(one.auth.settings.database_url, session_idle_minutes=30)
    _, session = await one.people.newcomer()
    for here in (one, other):
        here.time.advance(minutes=20)
    accepted(await one.api.get("/session", bearer=session.token))
    await one.auth._housekeeping.flush_session_uses()
    for here in (one, other):
        here.time.advance(minutes=20)
    accepted(await other.api.get("/session", bearer=session.token))
    for here in (one, other):
        here.time.advance(minutes=30)
    refused(await one.api.get("/session", bearer=session.token), 401, "INVALID_TOKEN")


async def test_sessions_live_on_unused_by_default(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    timed.time.advance(days=6, hours=23)
    accepted(await timed.api.get("/session", bearer=session.token))


# --- too many sessions -----------------------------------------------------------------------------------------------
async def many_sessions(here: Timed, account: Account, count: int) -> list[str]:
    """Let somebody have sessions without hashing a password for each; gives their ids, oldest first."""
    url = here.auth.settings.storage_url
    ids = []
    for number in range(count):
        session_id = f"019c5655-0000-7000-8000-{number:012x}"
        await sql(
            url,
            "INSERT INTO {}sessions (id, digest, user_id, actor_type, aal, amr, auth_time, remembered, created_at, "
            "expires_at, wrong_codes) SELECT $1, $2, id, 'customer', 1, 'pwd', 1000, true, created_at, "
            "created_at + 604800000, 0 FROM {}users WHERE id = $3",
            session_id,
            f"{number:064x}",
            account.id,
        )
        ids.append(session_id)
    return ids


async def test_user_keeps_a_hundred_sessions_the_least_recently_used_end(timed: Timed) -> None:
    account = await timed.people.sign_up()
    ids = await many_sessions(timed, account, 100)
    timed.time.advance(minutes=1)
    used = timed.clock()
    await timed.auth.services.transactions.run(lambda tx: tx.sessions.touch({ids[0]: used}))
    timed.time.advance(minutes=1)
    session = await timed.people.sign_in(account)
    live = await timed.auth.services.transactions.read(
        lambda tx: tx.sessions.list_live(account.id, now=timed.clock())
    )
    assert len(live) == 100
    ended = set(ids) - {one.id for one in live}
    assert len(ended) == 1
    assert ids[0] not in ended, "it was used"
    url = timed.auth.settings.storage_url
    reasons = await sql(url, "SELECT revoked_reason FROM {}sessions WHERE id = $1", ended.pop())
    assert reasons == [("too_many",)]
    assert await timed.people.is_alive(session)
    assert SessionPolicy().max_sessions == 100


async def test_sessions_are_listed_in_pages(timed: Timed) -> None:
    account = await timed.people.sign_up()
    for _ in range(4):
        timed.time.advance(seconds=1)
        session = await timed.people.sign_in(account)
    seen: list[str] = []
    query = "?limit=3"
    while True:
        body = accepted(await timed.api.get(f"/sessions{query}", bearer=session.token))
        assert body["total"] == 4
        seen += [one["id"] for one in body["sessions"]]
        if body["nextCursor"] is None:
            break
        query = f"?limit=3&cursor={body['nextCursor']}"
    assert len(seen) == len(set(seen)) == 4
    assert seen == sorted(seen, reverse=True)
    for wrong in ("limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "cursor=nonsense"):
        answer = await timed.api.get(f"/sessions?{wrong}", bearer=session.token)
        refused(answer, 400, "VALIDATION_ERROR")
    whole = accepted(await timed.api.get("/sessions?limit=100", bearer=session.token))
    assert whole["nextCursor"] is None


# --- refreshing without bound, and hashes that cost too much --------------------------------------------
async def test_refreshing_is_limited_by_address(deploy: Deploy) -> None:
    here = await deploy(rate_limit_enabled=True)
    body = {"refreshToken": "czr_" + "A" * 43}
    answers = [await here.api.post("/token/refresh", body) for _ in range(605)]
    assert {answer.status_code for answer in answers[:600]} == {401}
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (429, "TOO_MANY_REQUESTS")
    assert int(answers[-1].headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("costs", "is_affordable"),
    [
        ("16384$c2FsdA$8$5", True),
        ("65536$c2FsdA$8$1", True),
        ("131072$c2FsdA$8$1", False),
        ("2$c2FsdA$524288$1", False),
        ("2$c2FsdA$8$65536", False),
        ("1024$c2FsdA$512$2", True),
    ],
)
def test_imported_scrypt_hash_takes_64_mib_at_most(costs: str, is_affordable: bool) -> None:
    stored = f"scrypt${costs}${'A' * 86}=="
    assert imported_hashes.is_known(stored)
    assert imported_hashes.is_within_bounds(stored) == is_affordable
