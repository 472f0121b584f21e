"""One's own activity: what happened to the account, for its user alone, without what others keep to themselves."""

from __future__ import annotations

from typing import Any

import pytest

from czo_auth.core import errors
from tests.contract.api import BASE
from tests.contract.checks import accepted, refused
from tests.contract.deployments import Timed
from tests.contract.people import Session

ELSEWHERE = {"user-agent": "Wget/1", "accept-language": "en"}


async def activity_of(here: Timed, session: Session, query: str = "") -> dict[str, Any]:
    answer = await here.api.get(f"/activity{query}", bearer=session.token)
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = accepted(answer)
    return found


async def test_activity_is_ones_own_newest_first_and_nobody_elses(timed: Timed) -> None:
    here = timed
    account, session = await here.people.newcomer()
    other, others = await here.people.newcomer()
    accepted(await here.api.post("/api-keys", {"name": "nightly"}, bearer=session.token), 201)
    accepted(await here.api.post("/api-keys", {"name": "of another"}, bearer=others.token), 201)
    body = {"email": account.email, "password": "not the password"}
    refused(
        await here.api.http.post(f"{BASE}/customer/sign-in/email", json=body, headers=ELSEWHERE),
        401,
        "INVALID_EMAIL_OR_PASSWORD",
    )
    found = await activity_of(here, session)
    entries = found["activity"]
    assert [entry["action"] for entry in entries[:2]] == ["auth.sign_in", "auth.apikey.created"]
    assert found["total"] == len(entries)
    assert found["nextCursor"] is None
    failed, made = entries[0], entries[1]
    assert (failed["outcome"], failed["byYou"], failed["userAgent"]) == ("failure", False, "Wget/1")
    assert made["byYou"] is True
    assert made["details"]["name"] == "nightly"
    assert {"requestId", "hash", "actorUserId", "userId", "sequence"}.isdisjoint(made)
    text = str(found)
    assert other.id not in text
    assert "of another" not in text
    theirs = await activity_of(here, others)
    assert {entry["id"] for entry in theirs["activity"]}.isdisjoint(entry["id"] for entry in entries)
    assert theirs["total"] == len(theirs["activity"])


async def test_what_an_administrator_did_tells_neither_who_nor_where_nor_why(timed: Timed) -> None:
    here = timed
    account, _ = await here.people.newcomer()
    admin = await here.people.sign_in(here.ada, "admin")
    path = f"/admin/users/{account.id}"
    reason = {"reason": "Suspected of fraud"}
    accepted(await here.api.post(f"{path}/ban", reason, bearer=admin.token))
    accepted(await here.api.post(f"{path}/unban", bearer=admin.token))
    session = await here.people.sign_in(account)
    found = await activity_of(here, session)
    banned = next(entry for entry in found["activity"] if entry["action"] == "auth.user.banned")
    assert banned["byYou"] is False
    assert banned["actorKind"] == "user"
    assert [banned[name] for name in ("ip", "userAgent", "method")] == [None, None, None]
    assert banned["details"] == {}
    assert here.ada.id not in str(found)
    assert "fraud" not in str(found)
    # What the administrator did to others is not the administrator's own activity.
    own = await activity_of(here, admin)
    assert account.id not in str(own)


async def test_activity_comes_in_pages_that_neither_repeat_nor_leave_out(timed: Timed) -> None:
    here = timed
    _, session = await here.people.newcomer()
    for number in range(4):
        accepted(await here.api.post("/api-keys", {"name": f"key {number}"}, bearer=session.token), 201)
    everything = await activity_of(here, session)
    seen: list[str] = []
    cursor = ""
    while True:
        page = await activity_of(here, session, f"?limit=2{cursor}")
        assert page["total"] == everything["total"]
        assert 1 <= len(page["activity"]) <= 2
        seen += [entry["id"] for entry in page["activity"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == [entry["id"] for entry in everything["activity"]]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "cursor=x", "cursor=-1", "cursor=" + "9" * 19, "userId=x"]
)
async def test_odd_pages_are_refused(timed_sqlite: Timed, query: str) -> None:
    here = timed_sqlite
    _, session = await here.people.newcomer()
    refused(await here.api.get(f"/activity?{query}", bearer=session.token), 400, "VALIDATION_ERROR")


async def test_keys_and_strangers_see_no_activity(timed_sqlite: Timed) -> None:
    here = timed_sqlite
    _, session = await here.people.newcomer()
    key = accepted(await here.api.post("/api-keys", {"name": "nightly"}, bearer=session.token), 201)["apiKey"]
    refused(await here.api.get("/activity", bearer=key["key"]), 403, "SESSION_REQUIRED")
    refused(await here.api.get("/activity"), 401, "UNAUTHORIZED")


async def test_activity_is_there_in_python_too(timed: Timed) -> None:
    here = timed
    account, _ = await here.people.newcomer()
    other, _ = await here.people.newcomer()
    first = await here.auth.users.activity(account.id, limit=1)
    assert first.total > 1
    assert first.next_cursor is not None
    rest = await here.auth.users.activity(account.id, cursor=first.next_cursor)
    ids = {entry.id for entry in [*first.items, *rest.items]}
    assert len(ids) == first.total
    theirs = await here.auth.users.activity(other.id)
    assert ids.isdisjoint(entry.id for entry in theirs.items)
    with pytest.raises(errors.NotFound):
        await here.auth.users.activity("01900000-0000-7000-8000-000000000000")
    with pytest.raises(errors.ValidationFailed):
        await here.auth.users.activity(account.id, cursor="x")
