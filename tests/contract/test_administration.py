"""What administrators see and do (docs/reference/rest.md)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from czo_auth.core import paging
from tests.contract.acting import (
    UNKNOWN,
    administrator,
    change_actor_types,
    create_key,
    create_organization,
    is_accepted,
)
from tests.contract.administering import act, actions_about, ask
from tests.contract.api import NO_BODY
from tests.contract.checks import MOMENT, accepted, refused
from tests.contract.conftest import Live
from tests.contract.database import sql
from tests.contract.deployments import Timed

ROUTES: tuple[tuple[str, str, object], ...] = (
    ("GET", "/admin/users", NO_BODY),
    ("POST", f"/admin/users/{UNKNOWN}/ban", {"reason": "test"}),
    ("POST", f"/admin/users/{UNKNOWN}/unban", {}),
    ("POST", f"/admin/users/{UNKNOWN}/actor-types", {"add": ["merchant"], "remove": []}),
    ("DELETE", f"/admin/users/{UNKNOWN}/two-factor", {"reason": "test"}),
    ("DELETE", f"/admin/users/{UNKNOWN}/two-factor/reset", NO_BODY),
    ("GET", "/admin/two-factor-resets", NO_BODY),
    ("GET", f"/admin/users/{UNKNOWN}/api-keys", NO_BODY),
    ("GET", "/admin/api-keys", NO_BODY),
    ("DELETE", f"/admin/api-keys/{UNKNOWN}", NO_BODY),
    ("GET", "/admin/audit", NO_BODY),
)
USER = {
    *("id", "email", "name", "emailVerified", "image", "twoFactorEnabled", "actorTypes"),
    *("createdAt", "updatedAt"),
}


# --- who may ---------------------------------------------------------------------------------------------------------
async def test_only_administrators_with_a_proved_second_factor_may(timed: Timed) -> None:
    api = timed.api
    _, customer = await timed.people.newcomer()
    _, proved_customer = await timed.people.enrolled()
    promoted, restricted = await timed.people.newcomer()
    await change_actor_types(timed, promoted, add=["admin"])
    admin = await timed.people.sign_in(timed.ada, "admin")
    other_actor_type = await timed.people.sign_in(timed.ada, "customer")
    timed.time.advance(seconds=30)
    key = await create_key(api, admin, scopes=["admin:users"])
    unproved = await timed.people.sign_in(timed.ada, "admin")
    await sql(timed.auth.settings.storage_url, "UPDATE {}sessions SET aal = 1 WHERE id = $1", unproved.id)
    for method, path, body in ROUTES:
        for credential, status, code in (
            (None, 401, "UNAUTHORIZED"),
            (customer.token, 403, "FORBIDDEN"),
            (customer.access_token, 403, "FORBIDDEN"),
            (proved_customer.token, 403, "FORBIDDEN"),
            (other_actor_type.token, 403, "FORBIDDEN"),
            (unproved.token, 403, "TWO_FACTOR_REQUIRED"),
            (restricted.token, 403, "TWO_FACTOR_SETUP_REQUIRED"),
            (key["key"], 403, "SESSION_REQUIRED"),
        ):
            refused(await api.call(method, path, body, bearer=credential), status, code)
        allowed = await api.call(method, path, body, bearer=admin.token)
        assert allowed.status_code in (200, 404)


async def test_demotion_acts_at_the_next_request(timed: Timed) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    accepted(await timed.api.get("/admin/users", bearer=admin.token))
    await change_actor_types(timed, timed.ada, remove=["admin"])
    for credential in (admin.token, admin.access_token):
        refused(await timed.api.get("/admin/users", bearer=credential), 401, "INVALID_TOKEN")


async def test_unknown_users_and_keys_are_404(live: Live) -> None:
    _, admin = await administrator(live)
    for text in (UNKNOWN, "none", "%00", "x" * 300, "%ED%A0%80"):
        for method, path, body in ROUTES:
            if UNKNOWN in path:
                answer = await live.api.call(method, path.replace(UNKNOWN, text), body, bearer=admin.token)
                refused(answer, 404, "NOT_FOUND")


async def test_odd_questions_are_refused_and_never_a_fault_of_ours(live: Live) -> None:
    _, admin = await administrator(live)
    account, _ = await live.people.newcomer()
    for query in (
        *("users?limit=0", "users?limit=501", "users?limit=x", "users?limit=1.5", "users?search=%00"),
        *("users?cursor=%00", "users?search=" + "x" * 255),
        *("audit?limit=0", "audit?limit=501", "audit?cursor=x", "audit?cursor=0", "audit?cursor=" + "9" * 30),
        *("audit?userId=%00", "audit?action=%00", "audit?outcome=", "audit?outcome=lost"),
        *("audit?since=yesterday", "audit?until=2026-01-31", "audit?since=0001-01-01T00:00:00%2B14:00"),
        *("api-keys?limit=0", "api-keys?search=%00", "api-keys?cursor=%00", "api-keys?search=" + "x" * 255),
    ):
        refused(await live.api.get(f"/admin/{query}", bearer=admin.token), 400, "VALIDATION_ERROR")
    for what, body in (
        ("ban", {}),
        ("ban", {"reason": ""}),
        ("ban", {"reason": "  "}),
        ("ban", {"reason": 7}),
        ("ban", {"reason": "x" * 501}),
        ("ban", {"reason": "test", "until": "tomorrow"}),
        ("actor-types", {"add": "admin"}),
        ("actor-types", {"add": [7]}),
        ("actor-types", {"remove": ["customer"]}),
        ("actor-types", {"add": ["merchant"], "remove": ["merchant"]}),
        ("actor-types", {"set": ["merchant"]}),
    ):
        refused(await act(live, admin, account, what, **body), 400, "VALIDATION_ERROR")
    refused(await act(live, admin, account, "actor-types", add=["root"]), 404, "UNKNOWN_ACTOR_TYPE")
    for reason in ({}, {"reason": " "}):
        path = f"/admin/users/{account.id}/two-factor"
        refused(await live.api.delete(path, reason, bearer=admin.token), 400, "VALIDATION_ERROR")
    found_users = (await ask(live, admin, f"/admin/users?search={account.email}"))["users"]
    assert found_users[0]["banned"] is False
    assert found_users[0]["actorTypes"] == ["customer"]


# --- finding users ---------------------------------------------------------------------------------------------------
async def test_users_are_shown_as_the_contract_says(live: Live) -> None:
    _, admin = await administrator(live)
    account, session = await live.people.newcomer("merchant")
    body = await ask(live, admin, f"/admin/users?search={account.email}")
    assert set(body) == {"users", "total", "nextCursor"}
    assert (body["total"], body["nextCursor"]) == (1, None)
    (shown,) = body["users"]
    assert set(shown) >= USER
    own = accepted(await live.api.get("/session", bearer=session.token))["user"]
    assert {name: shown[name] for name in USER} == {name: own[name] for name in USER}


async def test_search_is_for_a_literal_part_of_address_or_name(live: Live) -> None:
    _, admin = await administrator(live)
    tag = uuid4().hex[:12]
    names = (f"{tag} 100% Ada", f"{tag} 100x Bob", f"{tag} a_b", f"{tag} axb", f"{tag} back\\slash")
    for name in names:
        await live.people.sign_up(name=name)
    addressed = await live.people.sign_up()

    async def search(text: str) -> list[str]:
        answer = await live.api.http.get(
            "/api/auth/admin/users",
            params={"search": text},
            headers={"authorization": f"Bearer {admin.token}"},
        )
        body = accepted(answer)
        assert body["total"] == len(body["users"])
        return [user["name"] for user in body["users"]]

    assert await search(tag) == list(names)
    assert await search(f"{tag} 100%") == [names[0]]
    assert await search(f"{tag} a_") == [names[2]]
    assert await search(f"{tag} %") == []
    assert await search("\\slash") == [names[4]]
    assert await search(f"{tag} A_B") == [names[2]]
    assert await search(f"' OR 1=1 -- {tag}") == []
    assert await search(addressed.email.upper()) == [addressed.name]


async def test_total_is_the_whole_count_of_a_filtered_list(
    timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    tag = uuid4().hex[:12]
    for number in range(4):
        account = await timed.people.sign_up(name=f"{tag} {number}")
        session = await timed.people.sign_in(account, "customer")
        await create_key(timed.api, session)
        await create_organization(timed.api, session, f"{tag} {number}")
    # What the pages count at most must not reach programs.
    monkeypatch.setattr(paging, "MAX_COUNTED", 1)
    for each in ("users", "api-keys", "organizations"):
        body = await ask(timed, admin, f"/admin/{each}?limit=2&search={tag}")
        assert body["total"] == 4
    signed_up = await ask(timed, admin, "/admin/audit?limit=2&action=auth.user.registered")
    assert signed_up["total"] >= 4
    # One page that has all of them needs no count.
    assert (await ask(timed, admin, f"/admin/users?search={tag}"))["total"] == 4


async def test_pages_hold_everybody_once(live: Live) -> None:
    _, admin = await administrator(live)
    tag = uuid4().hex[:12]
    made = [await live.people.sign_up(name=f"{tag} {number}") for number in range(7)]
    seen: list[str] = []
    cursor: str | None = None
    for size in (3, 3, 1):
        onwards = "" if cursor is None else f"&cursor={cursor}"
        body = await ask(live, admin, f"/admin/users?search={tag}&limit=3{onwards}")
        assert len(body["users"]) == size
        assert body["total"] == 7
        seen += [user["id"] for user in body["users"]]
        cursor = body["nextCursor"]
    assert cursor is None
    assert sorted(seen) == sorted(account.id for account in made)
    whole = await ask(live, admin, f"/admin/users?search={tag}&limit=7")
    assert [user["id"] for user in whole["users"]] == seen
    assert whole["nextCursor"] is None


async def test_users_are_narrowed_by_status_actor_type_and_two_factors(live: Live) -> None:
    _, admin = await administrator(live)
    tag = uuid4().hex[:12]
    plain = await live.people.sign_up(name=f"{tag} plain")
    merchant = await live.people.sign_up("merchant", name=f"{tag} merchant")
    banned = await live.people.sign_up(name=f"{tag} banned")
    await live.api.post(f"/admin/users/{banned.id}/ban", {"reason": "spam"}, bearer=admin.token)

    async def matching(query: str) -> set[str]:
        return {
            user["id"] for user in (await ask(live, admin, f"/admin/users?search={tag}&{query}"))["users"]
        }

    assert await matching("status=banned") == {banned.id}
    assert await matching("actorType=merchant") == {merchant.id}
    assert await matching("twoFactorEnabled=true") == set()
    assert await matching("twoFactorEnabled=false&status=unverified") | await matching("status=active") == {
        *(plain.id, merchant.id)
    }
    answer = await live.api.get("/admin/users?status=asleep", bearer=admin.token)
    assert answer.status_code == 400


@pytest.mark.each_database
@pytest.mark.parametrize(
    ("path", "name", "value", "form"),
    [
        ("/admin/users", "actorType", "merchnat", "customer, merchant, admin"),
        ("/admin/users", "actorType", "", "customer, merchant, admin"),
        ("/admin/audit", "action", "auth.sing_in", "such as auth.sign_in"),
        ("/admin/audit", "action", "auth.user.*", "such as auth.sign_in"),
        ("/admin/audit", "action", "", "such as auth.sign_in"),
    ],
)
async def test_filter_that_nothing_can_match_is_refused_and_says_what_is_possible(
    timed: Timed, path: str, name: str, value: str, form: str
) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    answer = await timed.api.get(f"{path}?{name}={value}&limit=1", bearer=admin.token)
    (detail,) = refused(answer, 400, "VALIDATION_ERROR")["details"]
    assert detail["loc"] == name
    assert form in detail["msg"]


@pytest.mark.each_database
async def test_filter_finds_what_an_older_version_or_configuration_stored(timed: Timed) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    url, carol = timed.runtime.settings.storage_url, timed.carol
    await sql(url, "UPDATE {}users SET actor_types = 'customer reseller' WHERE id = $1", carol.id)
    await sql(url, "UPDATE {}audit SET action = 'auth.user.renamed' WHERE sequence = 1")
    users = await ask(timed, admin, "/admin/users?actorType=reseller")
    assert [user["id"] for user in users["users"]] == [carol.id]
    records = await ask(timed, admin, "/admin/audit?action=auth.user.renamed")
    assert [record["action"] for record in records["audit"]] == ["auth.user.renamed"]
    # A known value, and a stored one beside another filter, may find nothing.
    for nothing in (
        "users?actorType=reseller&status=banned",
        "users?actorType=merchant&search=nobody",
        f"audit?action=auth.user.renamed&userId={UNKNOWN}",
        "audit?action=auth.org.handed_over",
    ):
        assert (await ask(timed, admin, f"/admin/{nothing}"))["total"] == 0


# --- banning ---------------------------------------------------------------------------------------------------------
async def test_ban_ends_everything_at_once_and_says_who_was_banned(timed: Timed) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, session = timed.carol, await timed.people.sign_in(timed.carol)
    challenge = await timed.people.challenge(account)
    key = await create_key(timed.api, session)
    shown = accepted(await act(timed, admin, account, "ban", reason="fraud"))["user"]
    assert (shown["id"], shown["banned"]) == (account.id, True)
    assert MOMENT.fullmatch(shown["bannedAt"])
    assert not await timed.people.is_alive(session)
    assert not await is_accepted(timed.api, key["key"])
    refresh = await timed.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    refused(refresh, 401, "INVALID_REFRESH_TOKEN")
    late = await timed.people.verify(account.has.code(), challenge=challenge)
    refused(late, 401, "INVALID_TWO_FACTOR_COOKIE")
    banned = await timed.people.begin(account)
    account.password = "not the password"
    wrong = await timed.people.begin(account)
    refused(banned, 401, "INVALID_EMAIL_OR_PASSWORD")
    assert banned.content == wrong.content


async def test_unban_lets_in_again_and_brings_nothing_back(timed: Timed) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, session = await timed.people.newcomer()
    key = await create_key(timed.api, session)
    accepted(await act(timed, admin, account, "ban", reason="fraud"))
    shown = accepted(await act(timed, admin, account, "unban"))["user"]
    assert (shown["banned"], shown["bannedAt"]) == (False, None)
    assert not await timed.people.is_alive(session)
    assert not await is_accepted(timed.api, key["key"])
    assert await timed.people.is_alive(await timed.people.sign_in(account))


async def test_second_ban_and_second_unban_change_nothing(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, _ = await timed.people.newcomer()
    first = accepted(await act(timed, admin, account, "ban", reason="fraud"))
    timed.time.advance(minutes=1)
    assert accepted(await act(timed, admin, account, "ban", reason="again")) == first
    for _ in range(2):
        accepted(await act(timed, admin, account, "unban"))
    actions = await actions_about(timed, admin, account)
    assert actions.count("auth.user.banned") == 1
    assert actions.count("auth.user.unbanned") == 1


# --- actor types -----------------------------------------------------------------------------------------------------
async def test_actor_type_that_demands_a_second_factor_restricts_live_sessions_at_the_next_request(
    timed: Timed,
) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, session = await timed.people.newcomer("merchant")
    assert (await timed.api.get("/api-keys", bearer=session.token)).status_code == 200
    shown = accepted(await act(timed, admin, account, "actor-types", add=["admin"]))["user"]
    assert shown["actorTypes"] == ["admin", "customer", "merchant"]
    for credential in (session.token, session.access_token):
        answer = await timed.api.get("/api-keys", bearer=credential)
        refused(answer, 403, "TWO_FACTOR_SETUP_REQUIRED")
    body = accepted(await timed.api.get("/session", bearer=session.token))
    assert body["session"]["restrictedTo"] == "two_factor_setup"
    accepted(await act(timed, admin, account, "actor-types", remove=["admin"]))
    assert (await timed.api.get("/api-keys", bearer=session.token)).status_code == 200


async def test_lost_actor_type_ends_the_sessions_that_use_it_and_no_others(timed: Timed) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, merchant = await timed.people.newcomer("merchant")
    customer = await timed.people.sign_in(account, "customer")
    accepted(await act(timed, admin, account, "actor-types", remove=["merchant"]))
    assert not await timed.people.is_alive(merchant)
    assert await timed.people.is_alive(customer)
    refresh = await timed.api.post("/token/refresh", {"refreshToken": merchant.refresh_token})
    refused(refresh, 401, "INVALID_REFRESH_TOKEN")
    refused(await timed.people.begin(account, "merchant"), 403, "ACTOR_TYPE_MISMATCH")
    switch = await timed.api.post("/switch-actor", {"actorType": "merchant"}, bearer=customer.token)
    refused(switch, 403, "ACTOR_TYPE_MISMATCH")


async def test_giving_and_taking_the_same_actor_types_again_is_recorded_once(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, _ = await timed.people.newcomer()
    for _ in range(2):
        shown = accepted(await act(timed, admin, account, "actor-types", add=["merchant"]))["user"]
        assert shown["actorTypes"] == ["customer", "merchant"]
    accepted(await act(timed, admin, account, "actor-types"))
    assert (await actions_about(timed, admin, account)).count("auth.role.changed") == 1


# --- resetting a second factor ---------------------------------------------------------------------------------------
async def test_reset_removes_the_factor_ends_sessions_and_tells_the_user(timed: Timed) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, session = timed.carol, await timed.people.sign_in(timed.carol)
    challenge = await timed.people.challenge(account)
    code = account.has.code()
    path = f"/admin/users/{account.id}/two-factor"
    answer = await timed.api.delete(path, {"reason": "lost phone and codes"}, bearer=admin.token)
    accepted(answer, 204)
    assert not await timed.people.is_alive(session)
    refused(await timed.people.verify(code, challenge=challenge), 401, "INVALID_TWO_FACTOR_COOKIE")
    redeemed = await timed.people.redeem(account.codes[0], challenge=challenge)
    refused(redeemed, 401, "INVALID_TWO_FACTOR_COOKIE")
    account.phone = None
    again = await timed.people.sign_in(account)
    state = await timed.people.two_factor(again)
    assert (state["enabled"], state["backupCodesRemaining"]) == (False, 0)
    step_up = await timed.people.redeem(account.codes[0], bearer=again.token)
    refused(step_up, 400, "TOTP_NOT_ENABLED")
    await timed.auth.stop()
    mails = [message for message in timed.mail.messages if message.to == account.email]
    mails = [message for message in mails if message.kind != "new_browser"]
    assert [message.kind for message in mails] == ["two_factor_reset"]
    assert not any(text in repr(mails[0]) for text in (code, *account.codes))


async def test_reset_of_nothing_is_refused_and_tells_nobody(timed: Timed) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, session = await timed.people.newcomer()
    path = f"/admin/users/{account.id}/two-factor"
    answer = await timed.api.delete(path, {"reason": "lost"}, bearer=admin.token)
    refused(answer, 400, "TWO_FACTOR_NOT_ENABLED")
    assert await timed.people.is_alive(session)
    await timed.auth.stop()
    assert timed.mail.messages == []


async def test_reset_lifts_the_lock_of_somebody_without_a_factor_and_disables_nothing(timed: Timed) -> None:
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, session = await timed.people.newcomer()
    await timed.people.enable(account, session)
    for _ in range(10):
        refused(await timed.people.verify(account.has.wrong(), bearer=session.token), 401, "INVALID_CODE")
    locked = await timed.people.verify(account.has.code(), bearer=session.token)
    refused(locked, 429, "ACCOUNT_TEMPORARILY_LOCKED")
    path = f"/admin/users/{account.id}/two-factor"
    accepted(await timed.api.delete(path, {"reason": "locked out"}, bearer=admin.token), 204)
    actions = await actions_about(timed, admin, account)
    assert "auth.2fa.reset" in actions
    assert "auth.2fa.disabled" not in actions
    account.phone = None
    await timed.people.enroll(account, await timed.people.sign_in(account))


async def test_reset_of_an_administrator_leaves_a_session_that_may_only_enroll(timed_sqlite: Timed) -> None:
    timed = timed_sqlite
    admin = await timed.people.sign_in(timed.ada, "admin")
    other, session = await timed.admin()
    await timed.people.enroll(other, session)
    path = f"/admin/users/{other.id}/two-factor"
    accepted(await timed.api.delete(path, {"reason": "lost"}, bearer=admin.token), 204)
    other.phone = None
    restricted = await timed.people.sign_in(other, "admin")
    answer = await timed.api.get("/admin/users", bearer=restricted.token)
    refused(answer, 403, "TWO_FACTOR_SETUP_REQUIRED")


async def test_administrator_cannot_reset_their_own_factor(timed_sqlite: Timed) -> None:
    """Disabling one's own asks for password and code; this would be a way around both."""
    timed = timed_sqlite
    admin = await timed.people.sign_in(timed.ada, "admin")
    path = f"/admin/users/{timed.ada.id}/two-factor"
    answer = await timed.api.delete(path, {"reason": "my own"}, bearer=admin.token)
    refused(answer, 403, "CANNOT_RESET_OWN_TWO_FACTOR")
    assert (await timed.people.two_factor(admin))["enabled"] is True


# --- other people's keys ---------------------------------------------------------------------------------------------
async def test_keys_of_a_user_are_listed_without_the_keys_and_revoked(live: Live) -> None:
    _, admin = await administrator(live)
    account, session = await live.people.newcomer()
    organization = await create_organization(live.api, session)
    keys = [
        await create_key(live.api, session),
        await create_key(live.api, session, organizationId=organization),
    ]
    path = f"/admin/users/{account.id}/api-keys"
    answer = await live.api.get(path, bearer=admin.token)
    body = accepted(answer)
    assert body["total"] == 2
    own = accepted(await live.api.get("/api-keys", bearer=session.token))
    assert body == own
    for key in keys:
        assert key["key"][8:] not in answer.text
    revoke = f"/admin/api-keys/{keys[0]['id']}"
    accepted(await live.api.delete(revoke, bearer=admin.token), 204)
    refused(await live.api.delete(revoke, bearer=admin.token), 404, "NOT_FOUND")
    assert [await is_accepted(live.api, key["key"]) for key in keys] == [False, True]
    left = await ask(live, admin, path)
    assert [key["id"] for key in left["apiKeys"]] == [keys[1]["id"]]


async def test_everybodys_keys_are_found_by_owner_and_by_what_they_begin_with(live: Live) -> None:
    _, admin = await administrator(live)
    account, session = await live.people.newcomer()
    keys = [await create_key(live.api, session) for _ in range(3)]
    newest_first = [key["id"] for key in reversed(keys)]
    path = f"/admin/api-keys?search={account.email}"
    body = await ask(live, admin, path)
    assert [key["id"] for key in body["apiKeys"]] == newest_first
    assert (body["total"], body["nextCursor"]) == (3, None)
    assert {(key["userId"], key["ownerEmail"]) for key in body["apiKeys"]} == {(account.id, account.email)}
    assert not any("key" in key for key in body["apiKeys"])

    first = await ask(live, admin, f"{path}&limit=2")
    rest = await ask(live, admin, f"{path}&limit=2&cursor={first['nextCursor']}")
    assert [key["id"] for page in (first, rest) for key in page["apiKeys"]] == newest_first
    assert rest["nextCursor"] is None
    for known in (keys[0]["prefix"], keys[0]["key"]):
        found = await ask(live, admin, f"/admin/api-keys?search={known}")
        assert keys[0]["id"] in [key["id"] for key in found["apiKeys"]]


async def test_administrator_may_carry_the_session_in_every_way(live_sqlite: Live, carried: Any) -> None:
    _, admin = await administrator(live_sqlite)
    accepted(await live_sqlite.api.get("/admin/users?limit=1", **carried(admin)))
