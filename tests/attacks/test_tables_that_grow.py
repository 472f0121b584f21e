"""
Tables that strangers and customers can make grow, filled with ten thousand rows (S44).

Rows are filled in past the product, as a loop of requests would in days.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from czo_auth.core.context import system_context
from czo_auth.core.events.types import REAUTHENTICATED, AuditEvent, AuditPolicy
from czo_auth.core.flows.administration.audit import ReadAuditLog
from czo_auth.core.flows.administration.audit_retention import AuditRetention
from czo_auth.core.limits import (
    MAX_CHALLENGES,
    MAX_EMAIL_CHANGES_A_DAY,
    MAX_ENDED_SESSIONS,
    MAX_PENDING_INVITATIONS,
    MAX_REFRESHES,
    MAX_TRUSTED_DEVICES,
    MAX_USED_CODES,
)
from czo_auth.core.transaction import Transaction
from tests.contract.acting import create_organization
from tests.contract.checks import accepted, refused
from tests.contract.database import sql
from tests.contract.deployments import Timed
from tests.contract.people import Account

pytestmark = pytest.mark.deep

MANY = 10_000
DAY = 86_400_000
"""Unit: milliseconds."""

KEPT = AuditPolicy(keep_records=timedelta(days=30))

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
_ID = "substr('019c5655-0000-7000-8000-000000000000', 1, 36 - length(CAST(i AS TEXT))) || CAST(i AS TEXT)"
_DIGEST = "CAST($2 AS TEXT) || CAST(i AS TEXT)"


def url_of(timed: Timed) -> str:
    return timed.runtime.settings.storage_url


def milliseconds(timed: Timed) -> int:
    return int(timed.clock().timestamp() * 1000)


async def count(timed: Timed, table: str, where: str = "true") -> int:
    ((number,),) = await sql(url_of(timed), f"SELECT count(*) FROM {{}}{table} WHERE {where}")
    return int(number)


async def fill(timed: Timed, table: str, columns: str, values: str, *given: object) -> None:
    """Add many rows; ``$1`` is the time in milliseconds, ``$2`` the beginning of digests, and others follow."""
    statement = f"{_NUMBERS}INSERT INTO {{}}{table} (id, {columns}) SELECT {_ID}, {values} FROM n"
    await sql(url_of(timed), statement, milliseconds(timed), f"{table}-", *given)


async def fill_challenges(timed: Timed, account: Account, age: int) -> None:
    await fill(
        timed,
        "challenges",
        "digest, user_id, actor_type, credential_version, attempts, remembered, auth_time, created_at, expires_at",
        f"{_DIGEST}, $3, 'customer', 1, 0, true, $1, CAST($1 AS BIGINT) - {age} + i, "
        f"CAST($1 AS BIGINT) - {age} + 300000",
        account.id,
    )


async def test_pending_sign_ins_are_bounded_and_the_newest_is_kept(timed: Timed) -> None:
    await fill_challenges(timed, timed.carol, 20_000)
    for _ in range(10):
        answer = await timed.people.begin(timed.carol)
    assert await count(timed, "challenges") == MAX_CHALLENGES
    body = {"code": timed.carol.has.code(), "challenge": answer.json()["challenge"]}
    accepted(await timed.api.post("/two-factor/verify", body))


async def test_expired_sign_ins_are_deleted_in_batches(timed: Timed) -> None:
    await fill_challenges(timed, timed.carol, 2 * DAY)
    await timed.runtime._housekeeping.tidy()
    assert await count(timed, "challenges") == 0


async def test_sessions_that_ended_are_bounded_and_go_with_their_families(timed: Timed) -> None:
    account = await timed.people.sign_up()
    await fill(
        timed,
        "sessions",
        "digest, user_id, actor_type, aal, amr, auth_time, remembered, created_at, expires_at, wrong_codes, revoked_at",
        f"{_DIGEST}, $3, 'customer', 1, 'pwd', $1, true, $1, CAST($1 AS BIGINT) + {DAY}, 0, CAST($1 AS BIGINT) - i",
        account.id,
    )
    await fill(timed, "refresh_tokens", "digest, session_id, created_at", f"{_DIGEST}, {_ID}, $1")
    theirs = f"user_id = '{account.id}'"
    for _ in range(10):
        session = await timed.people.sign_in(account)
    assert await count(timed, "sessions", f"revoked_at IS NOT NULL AND {theirs}") == MAX_ENDED_SESSIONS
    families = f"session_id IN (SELECT id FROM {{}}sessions WHERE {theirs})"
    assert await count(timed, "refresh_tokens", families) == MAX_ENDED_SESSIONS + 10
    assert await timed.people.is_alive(session)
    timed.time.advance(days=9)
    await timed.runtime._housekeeping.tidy()
    assert await count(timed, "sessions", theirs) == 0
    assert await count(timed, "refresh_tokens", families) == 0


async def test_session_that_is_refreshed_too_often_ends_with_its_family(timed: Timed) -> None:
    """A link of a living family is never forgotten, or a stolen one would pass for unknown: so the family ends."""
    account, session = await timed.people.newcomer()
    other = await timed.people.sign_in(account)
    await fill(
        timed,
        "refresh_tokens",
        "digest, session_id, created_at, replaced_at",
        f"{_DIGEST}, $3, $1, $1",
        session.id,
    )
    links = f"session_id = '{session.id}'"
    surplus = f"DELETE FROM {{}}refresh_tokens WHERE {links} AND replaced_at IS NOT NULL AND digest >= $1"
    await sql(url_of(timed), surplus, "refresh_tokens-9998")
    kept = await count(timed, "refresh_tokens", links)
    assert 0 < kept < MAX_REFRESHES

    token = session.refresh_token
    for _ in range(MAX_REFRESHES - kept):
        answer = await timed.api.post("/token/refresh", {"refreshToken": token})
        token = accepted(answer)["refreshToken"]
    assert await count(timed, "refresh_tokens", links) == MAX_REFRESHES
    answer = await timed.api.post("/token/refresh", {"refreshToken": token})
    refused(answer, 401, "INVALID_REFRESH_TOKEN")
    assert await count(timed, "refresh_tokens", links) == 0
    refused(await timed.api.get("/session", bearer=session.token), 401, "INVALID_TOKEN")
    assert await timed.people.is_alive(other)
    ((reason,),) = await sql(url_of(timed), "SELECT revoked_reason FROM {}sessions WHERE id = $1", session.id)
    assert reason == "too_many_refreshes"


async def test_spent_backup_codes_are_bounded(timed: Timed) -> None:
    await fill(
        timed,
        "backup_codes",
        "user_id, set_id, selector, hash, activated_at, used_at",
        "$3, CAST($2 AS TEXT), CAST(i AS TEXT), 'x', $1, CAST($1 AS BIGINT) - i",
        timed.carol.id,
    )
    spent = f"used_at IS NOT NULL AND user_id = '{timed.carol.id}'"
    session = await timed.people.sign_in(timed.carol)
    for _ in range(MANY // 1000):
        body = {"password": timed.carol.password}
        accepted(await timed.api.post("/two-factor/generate-backup-codes", body, bearer=session.token))
    assert await count(timed, "backup_codes", spent) == MAX_USED_CODES
    newest = await sql(
        url_of(timed), f"SELECT max(CAST(selector AS INTEGER)) FROM {{}}backup_codes WHERE {spent}"
    )
    assert newest == [(MAX_USED_CODES,)], "those that were spent first went"


@pytest.mark.parametrize("new", ["heir-{}@example.com", "ADA@example.com"], ids=["free", "taken"])
async def test_changes_of_address_are_bounded_also_without_coarse_limits(timed: Timed, new: str) -> None:
    account, session = await timed.people.newcomer()
    _, neighbor = await timed.people.newcomer()
    theirs = f"user_id = '{account.id}'"
    for number in range(MAX_EMAIL_CHANGES_A_DAY):
        body = {"newEmail": new.format(number)}
        accepted(await timed.api.post("/change-email", body, bearer=session.token))
    body = {"newEmail": new.format("more")}
    assert refused(
        await timed.api.post("/change-email", body, bearer=session.token), 429, "TOO_MANY_REQUESTS"
    )["retryAfter"]
    assert await count(timed, "email_changes", theirs) == MAX_EMAIL_CHANGES_A_DAY
    accepted(await timed.api.post("/change-email", body, bearer=neighbor.token))
    timed.time.advance(days=9)
    await timed.runtime._housekeeping.tidy()
    assert await count(timed, "email_changes", theirs) == 0


async def test_dead_letters_are_deleted_in_batches(timed: Timed) -> None:
    put = (
        f"{_NUMBERS}INSERT INTO {{}}parked_events (sink, sequence, id, type, at, data, error, parked_at) "
        f"SELECT 'queue', i, {_ID}, 'auth.user.updated', $1, 'null', 'refused', CAST($1 AS BIGINT) FROM n"
    )
    await sql(url_of(timed), put, milliseconds(timed))
    timed.time.advance(days=91)
    transactions, before = timed.auth.services.transactions, timed.clock() - timedelta(days=90)
    deleted = await transactions.run(lambda tx: tx.outbox.prune_dead_letters(before=before))
    assert deleted == 1000
    await timed.runtime._housekeeping.tidy()
    assert await count(timed, "parked_events") == 0


async def test_trusted_browsers_are_bounded(timed: Timed) -> None:
    await fill(
        timed,
        "trusted_devices",
        "digest, user_id, credential_version, created_at, last_used_at, expires_at",
        f"{_DIGEST}, $3, 1, $1, CAST($1 AS BIGINT) - i, CAST($1 AS BIGINT) + {DAY}",
        timed.carol.id,
    )
    for _ in range(10):
        timed.time.advance(seconds=31)
        challenge = (await timed.people.begin(timed.carol)).json()["challenge"]
        body = {"code": timed.carol.has.code(), "challenge": challenge, "trustDevice": True}
        accepted(await timed.api.post("/two-factor/verify", body))
    assert await count(timed, "trusted_devices", f"user_id = '{timed.carol.id}'") == MAX_TRUSTED_DEVICES


async def test_invitations_are_bounded_where_they_are_made_and_gone_with_the_organization(
    timed: Timed,
) -> None:
    _, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    await fill(
        timed,
        "invitations",
        "digest, organization_id, email, role, inviter_id, status, created_at, expires_at",
        f"{_DIGEST}, $3, CAST(i AS TEXT) || '@example.com', 'viewer', $4, 'pending', $1, CAST($1 AS BIGINT) + {DAY}",
        organization,
        session.body["user"]["id"],
    )
    assert MAX_PENDING_INVITATIONS < MANY
    path = f"/organizations/{organization}/invitations"
    body = {"email": "one-more@example.com", "role": "viewer"}
    refused(await timed.api.post(path, body, bearer=session.token), 409, "INVITATION_LIMIT_REACHED")
    listed = accepted(await timed.api.get(f"{path}?limit=500", bearer=session.token))
    assert (len(listed["invitations"]), listed["total"]) == (500, MANY)
    timed.time.advance(days=3)
    await timed.runtime._housekeeping.tidy()
    assert await count(timed, "invitations") == 0


async def test_pending_enrollments_are_one_a_user_and_deleted_in_batches(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    for _ in range(12):
        await timed.people.enable(account, session)
    assert await count(timed, "enrolments") == 1
    columns = "email, name, email_verified, actor_types, credential_version, created_at, updated_at"
    values = f"{_DIGEST}, 'x', true, 'customer', 1, $1, $1"
    await fill(timed, "users", columns, values)
    await fill(
        timed,
        "enrolments",
        "user_id, sealed_secret, replaces, created_at, expires_at",
        f"{_ID}, CAST($2 AS TEXT), false, $1, CAST($1 AS BIGINT) - {2 * DAY}",
    )
    assert await count(timed, "enrolments") == MANY + 1
    await timed.runtime._housekeeping.tidy()
    assert await count(timed, "enrolments") == 1


async def test_audit_records_of_ten_thousand_acts_are_cut_and_still_verify(timed: Timed) -> None:
    services = timed.auth.services
    account = await timed.people.sign_up()
    for _ in range(MANY // 500):

        def record(tx: Transaction) -> None:
            for _ in range(500):
                tx.record(AuditEvent(action=REAUTHENTICATED, user_id=account.id))

        await services.transactions.run(record, system_context(timed.clock()))
    total = await count(timed, "audit")
    assert total > MANY
    timed.time.advance(days=40)
    retention = AuditRetention(replace(services, policies=replace(services.policies, audit=KEPT)))
    await retention.apply(now=timed.clock())
    assert await count(timed, "audit") < 100
    assert (await ReadAuditLog(services).verify_audit()).broken_at is None
