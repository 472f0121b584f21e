"""Refusals: one shape, safe to show, the same where nobody may tell the difference (docs/reference/rest.md)."""

from __future__ import annotations

import pytest

from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.routes import NOWHERE


async def test_validation_tells_where_and_what_but_never_the_value(live_sqlite: Live) -> None:
    secret = "a-secret-that-is-mistyped"
    body = {"email": [secret], "password": {"value": secret}, "rememberMe": secret, secret[:8]: secret}
    answer = await live_sqlite.api.post("/customer/sign-in/email", body)
    reported = refused(answer, 400, "VALIDATION_ERROR")
    assert {detail["loc"] for detail in reported["details"]} == {
        "email",
        "password",
        "rememberMe",
        secret[:8],
    }
    assert secret not in answer.text


async def test_message_about_a_time_is_ours(live_sqlite: Live) -> None:
    """Python's own messages differ between versions, and some repeat the input."""
    api = live_sqlite.api
    _, session = await live_sqlite.people.newcomer()
    form = "A time must look like 2026-01-31T12:00:00.000Z."
    for time in ("2027-01-01T00:00:00+99:99", "2027-13-01T00:00:00Z", "2027-02-30T00:00:00Z"):
        created = await api.post("/api-keys", {"name": "x", "expiresAt": time}, bearer=session.token)
        reported = refused(created, 400, "VALIDATION_ERROR")
        assert reported["details"] == [{"loc": "expiresAt", "msg": form}]
        listed = await api.get(f"/api-keys?unusedSince={time.replace('+', '%2B')}", bearer=session.token)
        reported = refused(listed, 400, "VALIDATION_ERROR")
        assert reported["details"] == [{"loc": "unusedSince", "msg": form}]
    key = accepted(await api.post("/api-keys", {"name": "x"}, bearer=session.token), 201)["apiKey"]
    usage = await api.get(f"/api-keys/{key['id']}/usage?from=2027-02-30", bearer=session.token)
    reported = refused(usage, 400, "VALIDATION_ERROR")
    assert reported["details"] == [{"loc": "from", "msg": "A day must look like 2026-01-31."}]


async def test_malformed_json_is_refused_for_what_is_wrong(live_sqlite: Live) -> None:
    for body, message in (
        (b"{", "The body is not valid JSON."),
        (
            b'{"email": "a\\u0000"}',
            "The body contains a character that is not allowed: NUL or half a surrogate pair.",
        ),
        (b'{"email": ' + 40 * b"[" + 40 * b"]" + b"}", "The body is nested deeper than 32 levels."),
        (b'{"email": ' + 30000 * b"[" + 30000 * b"]" + b"}", "The body is nested deeper than 32 levels."),
    ):
        answer = await live_sqlite.api.call("POST", "/customer/sign-up", raw=body)
        assert refused(answer, 400, "BAD_REQUEST")["message"] == message


async def test_every_missing_field_is_named(live_sqlite: Live) -> None:
    reported = refused(await live_sqlite.api.post("/customer/sign-up", {}), 400, "VALIDATION_ERROR")
    assert {detail["loc"] for detail in reported["details"]} == {"email", "password", "name"}
    without_a_body = await live_sqlite.api.post("/customer/sign-up")
    assert refused(without_a_body, 400, "VALIDATION_ERROR") == reported


async def test_details_are_bounded_however_many_faults_there_are(live_sqlite: Live) -> None:
    body = {f"field{number}\x1b[2J": number for number in range(1500)}
    answer = await live_sqlite.api.post("/customer/sign-up", body)
    reported = refused(answer, 400, "VALIDATION_ERROR")
    assert len(reported["details"]) <= 20
    assert all(detail["loc"].isprintable() and len(detail["loc"]) <= 64 for detail in reported["details"])


@pytest.mark.parametrize("path", ["/api-keys/{}", "/sessions/{}"])
async def test_what_is_not_yours_looks_like_what_is_not_there(live: Live, path: str) -> None:
    """404 unknown, or not yours (same body)."""
    _, mine = await live.people.newcomer()
    _, theirs = await live.people.newcomer()
    created = await live.api.post("/api-keys", {"name": "theirs"}, bearer=theirs.token)
    foreign = accepted(created, 201)["apiKey"]["id"] if "api-keys" in path else theirs.id
    answers = [
        await live.api.delete(path.format(name), bearer=mine.token)
        for name in (foreign, NOWHERE, "nonsense", foreign.upper())
    ]
    for answer in answers:
        refused(answer, 404, "NOT_FOUND")
    headers = [{k: v for k, v in answer.headers.items() if k != "date"} for answer in answers]
    assert len({answer.content for answer in answers}) == 1
    assert all(one == headers[0] for one in headers)


async def test_401_says_whether_a_credential_was_sent(live_sqlite: Live) -> None:
    """RFC 6750 section 3.1."""
    api = live_sqlite.api
    bare = await api.get("/session")
    assert bare.headers["www-authenticate"] == "Bearer"
    for token in ("czs_" + "A" * 43, "czo_" + "A" * 43, "a.b.c", "nonsense"):
        sent = await api.get("/session", bearer=token)
        assert sent.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_coarse_limit_is_429_with_the_seconds_to_wait(deploy_sqlite: Deploy) -> None:
    """S25: by account, before the expensive work; mails are the scarcest."""
    here = await deploy_sqlite(rate_limit_enabled=True)
    account = await here.people.sign_up()
    for path in ("/request-password-reset", "/send-verification-email"):
        seen = [await here.api.post(path, {"email": account.email.upper()}) for _ in range(15)]
        statuses = [answer.status_code for answer in seen]
        assert 429 in statuses
        assert statuses == sorted(statuses)
        assert refused(seen[-1], 429, "TOO_MANY_REQUESTS")["retryAfter"] > 0
    accepted(await here.people.begin(account))
