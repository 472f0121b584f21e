"""Two factors by an organization's rule, with a date (docs/reference/rest.md; S37)."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from czo_auth import AuthMiddleware
from czo_auth.integrations.starlette import requires
from tests.contract.acting import create_key, create_organization, graphql, join
from tests.contract.api import Answer, new_client
from tests.contract.checks import accepted, refused
from tests.contract.deployments import Timed
from tests.contract.organizations import mailed
from tests.contract.people import Session
from tests.contract.policy import REFUSED, Acme, acme_of, said

DAY = timedelta(days=1)


async def report(acme: Acme, query: str = "") -> dict[str, Any]:
    answer = await acme.timed.api.get(f"{acme.path}/two-factor-report{query}", bearer=acme.owner.token)
    body: dict[str, Any] = accepted(answer)
    assert body["total"] == len(body["members"])
    return body


# --- the rule --------------------------------------------------------------------------------------------------------
async def test_owner_with_a_factor_and_recent_proof_sets_the_rule(timed: Timed) -> None:
    acme = await acme_of(timed)
    shown = accepted(await acme.demand(timed.clock() + 30 * DAY, 14))["organization"]
    assert shown["requireTwoFactorFrom"] == said(timed.clock() + 30 * DAY)
    assert shown["twoFactorGraceDays"] == 14
    read = accepted(await timed.api.get(acme.path, bearer=acme.member.token))["organization"]
    assert read["requireTwoFactorFrom"] == shown["requireTwoFactorFrom"]

    body = {"requireTwoFactorFrom": said(timed.clock())}
    refused(await timed.api.patch(acme.path, body, bearer=acme.member.token), 403, "FORBIDDEN")
    for days in (-1, 91):
        answer = await timed.api.patch(acme.path, {"twoFactorGraceDays": days}, bearer=acme.owner.token)
        refused(answer, 400, "VALIDATION_ERROR")
    timed.time.now += timedelta(minutes=11)
    refused(await timed.api.patch(acme.path, body, bearer=acme.owner.token), 403, "REAUTHENTICATION_REQUIRED")
    accepted(await timed.api.patch(acme.path, {"name": "Other"}, bearer=acme.owner.token))


async def test_owner_without_a_factor_may_only_switch_the_rule_off(timed: Timed) -> None:
    acme = await acme_of(timed, "owner")
    accepted(await acme.demand(timed.clock() + DAY))
    body = {"requireTwoFactorFrom": said(timed.clock() + DAY)}
    refused(await timed.api.patch(acme.path, body, bearer=acme.member.token), 400, "TWO_FACTOR_NOT_ENABLED")
    accepted(await timed.api.patch(acme.path, {"requireTwoFactorFrom": None}, bearer=acme.member.token))
    assert await acme.due_at() is None


# --- the date --------------------------------------------------------------------------------------------------------
async def test_nothing_is_refused_before_the_date_and_the_organization_is_after(timed: Timed) -> None:
    acme = await acme_of(timed)
    key = (await create_key(timed.api, acme.member, organizationId=acme.id))["key"]
    accepted(await timed.api.post(f"{acme.path}/activate", bearer=acme.member.token))
    due_at = timed.clock() + timedelta(minutes=5)
    accepted(await acme.demand(due_at))
    assert await acme.due_at() == said(due_at)
    assert (await timed.people.two_factor(acme.member))["requiredByPolicy"] is True
    assert not await acme.is_refused()
    accepted(await timed.api.get("/whoami", bearer=key))
    accepted(await timed.api.get("/whoami", bearer=acme.member.token))

    # What was remembered before the date counts until then and no longer.
    timed.time.now += due_at - timed.clock()
    assert await acme.is_refused()
    refused(await timed.api.get("/whoami", bearer=key), 403, REFUSED)
    refused(await timed.api.get("/whoami", bearer=acme.member.token), 403, REFUSED)
    refused(await timed.api.get("/whoami", bearer=acme.member.access_token), 403, REFUSED)


async def test_all_ways_into_the_organization_are_refused_and_all_others_keep_working(timed: Timed) -> None:
    acme = await acme_of(timed, "owner")
    api, bearer = timed.api, acme.member.token
    other = await create_organization(api, acme.member, "Other")
    accepted(await acme.demand(timed.clock() - DAY))

    for method, path, body in (
        ("GET", acme.path, None),
        ("PATCH", acme.path, {"name": "Mine"}),
        ("DELETE", acme.path, {}),
        ("POST", f"{acme.path}/activate", {}),
        ("GET", f"{acme.path}/members", None),
        ("PATCH", f"{acme.path}/members/{acme.boss.id}", {"role": "viewer"}),
        ("DELETE", f"{acme.path}/members/{acme.boss.id}", {}),
        ("GET", f"{acme.path}/invitations", None),
        ("POST", f"{acme.path}/invitations", {"email": "x@example.com", "role": "viewer"}),
        ("GET", f"{acme.path}/webhooks", None),
        ("GET", f"{acme.path}/two-factor-report", None),
        ("POST", "/api-keys", {"name": "a key", "organizationId": acme.id}),
        ("POST", "/organization/set-active", {"organizationId": acme.id}),
        ("GET", f"/organization/get-organization?organizationId={acme.id}", None),
        ("GET", f"/organization/get-full-organization?organizationId={acme.id}", None),
        ("GET", f"/organization/list-members?organizationId={acme.id}", None),
        ("GET", f"/organization/list-invitations?organizationId={acme.id}", None),
        ("POST", "/organization/update", {"organizationId": acme.id, "data": {"name": "Mine"}}),
    ):
        how = {} if body is None else {"body": body}
        answer = await api.call(method, path, **how, bearer=bearer)
        assert (answer.status_code, answer.json()["code"]) == (403, REFUSED), (method, path, answer.text)
    asked = await graphql(timed, f'{{ organization(id: "{acme.id}") {{ name }} }}', bearer)
    assert REFUSED in asked.text

    for method, path, body, status in (
        ("GET", "/session", None, 200),
        ("GET", "/sessions", None, 200),
        ("GET", "/two-factor", None, 200),
        ("GET", "/organizations", None, 200),
        ("GET", "/organization/list", None, 200),
        ("GET", f"/organizations/{other}", None, 200),
        ("POST", "/api-keys", {"name": "a key"}, 201),
        ("POST", "/organization/set-active", {"organizationId": other}, 200),
        ("POST", "/organization/set-active", {"organizationId": None}, 200),
        ("POST", "/organizations/deactivate", {}, 204),
        ("GET", "/whoami", None, 200),
        ("POST", "/organizations", {"name": "Third"}, 201),
        ("POST", "/two-factor/enable", {"password": acme.account.password}, 200),
        ("DELETE", f"{acme.path}/members/{acme.account.id}", {}, 204),
    ):
        how = {} if body is None else {"body": body}
        answer = await api.call(method, path, **how, bearer=bearer)
        assert answer.status_code == status, (method, path, answer.text)


async def test_member_who_enrolls_has_access_at_once_and_keeps_it(timed: Timed) -> None:
    acme = await acme_of(timed)
    accepted(await timed.api.post(f"{acme.path}/activate", bearer=acme.member.token))
    key = (await create_key(timed.api, acme.member, organizationId=acme.id))["key"]
    accepted(await acme.demand(timed.clock()))
    refused(await timed.api.get("/whoami", bearer=key), 403, REFUSED)
    acme.member = await timed.people.enroll(acme.account, acme.member)
    assert not await acme.is_refused()
    accepted(await timed.api.get("/whoami", bearer=key))
    assert await acme.due_at() is None

    body = {"password": acme.account.password, "code": acme.account.has.code()}
    answer = await timed.api.post("/two-factor/disable", body, bearer=acme.member.token)
    refused(answer, 409, "TWO_FACTOR_REQUIRED_BY_POLICY")
    accepted(await acme.demand(None))
    accepted(await timed.api.post("/two-factor/disable", body, bearer=acme.member.token))


async def test_host_decides_by_the_organization_that_the_request_acts_in(timed: Timed) -> None:
    acme = await acme_of(timed)
    other = await create_organization(timed.api, acme.member, "Other")
    bearer = {"authorization": f"Bearer {acme.member.token}"}
    accepted(await acme.demand(timed.clock()))

    @requires(organization_parameter="id", auth=timed.runtime)
    async def orders(request: Request) -> PlainTextResponse:
        return PlainTextResponse("orders")

    async def plain(request: Request) -> PlainTextResponse:
        return PlainTextResponse("plain")

    routes = [Route("/plain", plain), Route("/{id}/orders", orders)]
    app = AuthMiddleware(Starlette(routes=routes), auth=timed.runtime)
    async with new_client(timed.api.origin, transport=httpx.ASGITransport(app)) as host:
        assert (await host.get("/plain", headers=bearer)).status_code == 200
        assert (await host.get(f"/{other}/orders", headers=bearer)).status_code == 200
        refused(await host.get(f"/{acme.id}/orders", headers=bearer), 403, REFUSED)
        accepted(await acme.demand(timed.clock() + DAY))
        assert (await host.get(f"/{acme.id}/orders", headers=bearer)).status_code == 200
        accepted(await timed.api.post(f"{acme.path}/activate", bearer=acme.member.token))
        assert (await host.get("/plain", headers=bearer)).status_code == 200
        accepted(await acme.demand(timed.clock()))
        refused(await host.get("/plain", headers=bearer), 403, REFUSED)


# --- what nobody can move --------------------------------------------------------------------------------------------
async def test_grace_runs_from_the_first_joining_whatever_happens_then(timed: Timed) -> None:
    acme = await acme_of(timed)
    joined = timed.clock()
    accepted(await acme.demand(timed.clock() - DAY, 10))
    due_at = await acme.due_at()
    timed.time.now += 3 * DAY
    acme.member = await timed.people.sign_in(acme.account)
    mine = f"{acme.path}/members/{acme.account.id}"
    assert (await timed.api.delete(mine, bearer=acme.member.token)).status_code == 204
    assert await acme.due_at() is None
    acme.owner = await timed.people.sign_in(acme.boss)
    await join(timed.api, acme.owner, acme.id, (acme.account, acme.member), "admin")
    assert await acme.due_at() == due_at
    accepted(await acme.demand(joined + 60 * DAY, 10))
    assert await acme.due_at() == said(joined + 60 * DAY)
    accepted(await acme.demand(joined - DAY, 10))
    assert await acme.due_at() == due_at


async def test_member_may_accept_an_invitation_of_an_organization_that_refuses_them(timed: Timed) -> None:
    acme = await acme_of(timed)
    accepted(await acme.demand(timed.clock() - DAY))
    late = await timed.people.newcomer()
    await join(timed.api, acme.owner, acme.id, late)
    refused(await timed.api.get(acme.path, bearer=late[1].token), 403, REFUSED)


# --- exemptions ------------------------------------------------------------------------------------------------------
async def test_exemption_moves_the_date_and_ends_by_itself(timed: Timed) -> None:
    acme = await acme_of(timed)
    accepted(await acme.demand(timed.clock()))
    api, until = timed.api, timed.clock() + DAY
    body = {"until": said(until), "reason": "On leave"}
    answer = await api.call("PUT", acme.exemption, body, bearer=acme.owner.token)
    shown = accepted(answer)["exemption"]
    assert (shown["userId"], shown["until"], shown["reason"]) == (acme.account.id, said(until), "On leave")
    assert not await acme.is_refused()
    (line,) = [m for m in (await report(acme))["members"] if m["userId"] == acme.account.id]
    assert (line["exemptUntil"], line["dueAt"], line["wouldBeRefused"]) == (said(until), said(until), False)
    timed.time.now += DAY
    acme.member = await timed.people.sign_in(acme.account)
    assert await acme.is_refused()


async def test_exemptions_of_a_member_end_ninety_days_after_the_first(timed: Timed) -> None:
    acme = await acme_of(timed)
    accepted(await acme.demand(timed.clock()))
    api, first = timed.api, timed.clock()

    async def ask(until: datetime, reason: str = "Why") -> Answer:
        body = {"until": said(until), "reason": reason}
        return await api.call("PUT", acme.exemption, body, bearer=acme.owner.token)

    refused(await ask(first + 91 * DAY), 400, "VALIDATION_ERROR")
    refused(await ask(first), 400, "VALIDATION_ERROR")
    refused(await ask(first + DAY, ""), 400, "VALIDATION_ERROR")
    accepted(await ask(first + 2 * DAY))
    assert (await api.delete(acme.exemption, {}, bearer=acme.owner.token)).status_code == 204
    assert await acme.is_refused()
    timed.time.now += DAY
    acme.owner = await timed.people.sign_in(acme.boss)
    refused(await ask(first + 91 * DAY), 400, "VALIDATION_ERROR")
    accepted(await ask(first + 90 * DAY))


async def test_end_of_an_exemption_is_mailed_with_what_holds_now(timed: Timed) -> None:
    acme = await acme_of(timed)
    accepted(await acme.demand(timed.clock() - DAY))
    body = {"until": said(timed.clock() + 2 * DAY), "reason": "On leave"}
    accepted(await timed.api.call("PUT", acme.exemption, body, bearer=acme.owner.token))
    assert (await timed.api.delete(acme.exemption, {}, bearer=acme.owner.token)).status_code == 204
    assert await acme.is_refused()
    mail = await mailed(timed, "two_factor_exemption_ended", acme.account.email)
    text = " ".join(mail.text.split())
    assert "ended your exemption" in text
    assert "until you turn two-factor authentication on" in text
    assert "Before then" not in text


async def test_end_of_an_exemption_before_the_deadline_is_mailed_with_the_deadline(timed: Timed) -> None:
    acme = await acme_of(timed)
    deadline = timed.clock() + 30 * DAY
    accepted(await acme.demand(deadline))
    body = {"until": said(timed.clock() + 60 * DAY), "reason": "On leave"}
    accepted(await timed.api.call("PUT", acme.exemption, body, bearer=acme.owner.token))
    assert (await timed.api.delete(acme.exemption, {}, bearer=acme.owner.token)).status_code == 204
    mail = await mailed(timed, "two_factor_due", acme.account.email)
    assert f"From {deadline.day} {deadline:%b %Y, %H:%M} UTC on" in " ".join(mail.text.split())


async def test_end_of_an_exemption_that_changes_nothing_is_not_mailed(timed: Timed) -> None:
    acme = await acme_of(timed)
    body = {"until": said(timed.clock() + DAY), "reason": "On leave"}
    accepted(await timed.api.call("PUT", acme.exemption, body, bearer=acme.owner.token))
    await mailed(timed, "two_factor_exempt", acme.account.email)
    before = len(timed.mail.messages)
    assert (await timed.api.delete(acme.exemption, {}, bearer=acme.owner.token)).status_code == 204
    await timed.auth.services.background.finish()
    assert len(timed.mail.messages) == before


async def test_only_owners_exempt_and_nobody_themselves(timed: Timed) -> None:
    acme = await acme_of(timed)
    body = {"until": said(timed.clock() + DAY), "reason": "Why"}
    api = timed.api
    refused(await api.call("PUT", acme.exemption, body, bearer=acme.member.token), 403, "FORBIDDEN")
    own = f"{acme.path}/members/{acme.boss.id}/two-factor-exemption"
    refused(await api.call("PUT", own, body, bearer=acme.owner.token), 403, "FORBIDDEN")
    timed.time.now += timedelta(minutes=11)
    answer = await api.call("PUT", acme.exemption, body, bearer=acme.owner.token)
    refused(answer, 403, "REAUTHENTICATION_REQUIRED")


# --- the report ------------------------------------------------------------------------------------------------------
async def test_report_shows_and_previews_who_would_be_refused(timed: Timed) -> None:
    acme = await acme_of(timed)
    await create_key(timed.api, acme.member, organizationId=acme.id)
    plain = await report(acme)
    assert [line["wouldBeRefused"] for line in plain["members"]] == [False, False]
    assert plain["apiKeys"] == {"total": 1, "wouldBeRefused": 0}
    preview = await report(acme, f"?requireTwoFactorFrom={said(timed.clock())}&twoFactorGraceDays=0")
    refusals = {line["userId"]: line["wouldBeRefused"] for line in preview["members"]}
    assert refusals == {acme.boss.id: False, acme.account.id: True}
    assert preview["apiKeys"] == {"total": 1, "wouldBeRefused": 1}
    assert await acme.due_at() is None
    later = await report(acme, f"?requireTwoFactorFrom={said(timed.clock())}&twoFactorGraceDays=5")
    assert not any(line["wouldBeRefused"] for line in later["members"])


# --- reminders -------------------------------------------------------------------------------------------------------
async def test_members_are_reminded_fourteen_seven_and_one_days_ahead_once_each(timed: Timed) -> None:
    acme = await acme_of(timed)
    accepted(await acme.demand(timed.clock() + 15 * DAY))
    reported = []
    for _ in range(16):
        for _ in range(2):
            await timed.runtime.organization_factors.remind(now=timed.clock())
        await asyncio.sleep(0)
        timed.time.now += DAY
    for _ in range(100):
        reported = [mail for mail in timed.mail.messages if mail.kind == "two_factor_due"]
        if len(reported) == 3:
            break
        await asyncio.sleep(0.01)
    assert [mail.to for mail in reported] == [acme.account.email] * 3


# --- moments and races -----------------------------------------------------------------------------------------------
async def test_exemption_that_ends_with_the_deadline_moves_nothing(timed: Timed) -> None:
    acme = await acme_of(timed)
    deadline = timed.clock() + timedelta(minutes=5)
    accepted(await acme.demand(deadline))
    body = {"until": said(deadline), "reason": "Until the same moment"}
    accepted(await timed.api.call("PUT", acme.exemption, body, bearer=acme.owner.token))
    assert await acme.due_at() == said(deadline)
    timed.time.now = deadline - timedelta(milliseconds=1)
    assert not await acme.is_refused()
    timed.time.now = deadline
    assert await acme.is_refused()
    answer = await timed.api.call("PUT", acme.exemption, body, bearer=acme.owner.token)
    refused(answer, 400, "VALIDATION_ERROR")


async def test_deadline_that_passes_during_requests_decides_each_by_when_it_began(timed: Timed) -> None:
    acme = await acme_of(timed)
    key = (await create_key(timed.api, acme.member, organizationId=acme.id))["key"]
    deadline = timed.clock() + timedelta(minutes=5)
    accepted(await acme.demand(deadline))
    timed.time.now = deadline - timedelta(milliseconds=1)

    async def pass_it() -> None:
        await asyncio.sleep(0.002)
        timed.time.now = deadline

    calls = (
        ("PATCH", acme.path, {"name": "New"}),
        ("GET", f"{acme.path}/members", None),
        ("GET", "/whoami", None),
    )
    answers = await asyncio.gather(
        *(
            timed.api.call(method, path, **({} if body is None else {"body": body}), bearer=bearer)
            for method, path, body in calls
            for bearer in (acme.member.token, acme.member.access_token, *([key] if path == "/whoami" else []))
            for _ in range(4)
        ),
        pass_it(),
    )
    for answer in answers[:-1]:
        assert answer.status_code == 200 or answer.json()["code"] == REFUSED, answer.text
    assert await acme.is_refused()
    refused(await timed.api.get("/whoami", bearer=key), 403, REFUSED)


async def test_rule_that_changes_while_a_member_signs_in_counts_at_the_next_request(timed: Timed) -> None:
    acme = await acme_of(timed)
    key = (await create_key(timed.api, acme.member, organizationId=acme.id))["key"]
    body = {"requireTwoFactorFrom": said(timed.clock())}
    changed, *others = await asyncio.gather(
        timed.api.patch(acme.path, body, bearer=acme.owner.token),
        timed.people.begin(acme.account),
        *(timed.api.get("/whoami", bearer=key) for _ in range(8)),
    )
    accepted(changed)
    assert {answer.status_code for answer in others} <= {200, 403}
    acme.member = Session.of(others[0])
    assert await acme.is_refused()
    refused(await timed.api.get("/whoami", bearer=key), 403, REFUSED)
