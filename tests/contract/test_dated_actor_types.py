"""Two factors by an actor type's rule, with a date and a grace (docs/how-to/require-two-factors.md; S9, S37)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from czo_auth import ActorType
from czo_auth.core.actors import ADMIN, CUSTOMER
from czo_auth.core.context import system_context
from czo_auth.core.flows.administration.import_users import ImportUsers, SourceUser
from czo_auth.core.flows.administration.overview import read_overview
from tests.contract.acting import create_key
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import THEN, Timed
from tests.contract.people import Account, Session
from tests.contract.policy import acme_of

DAY = timedelta(days=1)
START = THEN + 3 * DAY
"""When the deployment of each test begins."""

GRACE = timedelta(days=14)
MUST_ENROLL = "TWO_FACTOR_SETUP_REQUIRED"


async def deployed(deploy: Deploy, **rule: Any) -> Timed:
    """Run a deployment whose merchants need a second factor, by default two weeks after they became one."""
    chosen = {"two_factor": "required", "grace": GRACE, **rule}
    merchant = ActorType(name="merchant", sign_up_open=True, founds_organization=True, **chosen)
    return await deploy(actor_types=(CUSTOMER, merchant, ADMIN))


async def due_at(timed: Timed, session: Session) -> str | None:
    """Say from when on something is demanded, as both routes say it."""
    shown = accepted(await timed.api.get("/session", bearer=session.token))["session"]
    state = await timed.people.two_factor(session)
    assert shown["twoFactorDueAt"] == state["twoFactorDueAt"]
    found: str | None = state["twoFactorDueAt"]
    return found


async def grant(timed: Timed, account: Account, *, add: str = "", remove: str = "") -> None:
    context = system_context(timed.clock())
    await timed.auth.administration.change_actor_types(
        account.id, add=[add] if add else [], remove=[remove] if remove else [], context=context
    )


def said(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_nothing_is_demanded_before_the_day_and_only_enrollment_is_left_after_it(
    deploy: Deploy,
) -> None:
    timed = await deployed(deploy)
    account, session = await timed.people.newcomer("merchant")
    key = (await create_key(timed.api, session))["key"]
    assert session.body["session"]["restrictedTo"] is None
    state = await timed.people.two_factor(session)
    assert (state["requiredByPolicy"], state["twoFactorDueAt"]) == (True, said(timed.clock() + GRACE))
    day = timed.clock() + GRACE
    timed.time.now = day - timedelta(seconds=1)
    session = await timed.people.sign_in(account, "merchant")
    accepted(await timed.api.get("/whoami", bearer=session.token))
    accepted(await timed.api.get("/whoami", bearer=key))

    # What was remembered the second before counts until the day and no longer.
    timed.time.now = day
    for credential in (session.token, session.access_token, key):
        refused(await timed.api.get("/sessions", bearer=credential), 403, MUST_ENROLL)
    late = await timed.people.sign_in(account, "merchant")
    assert late.body["requires2FASetup"] is True
    enrolled = await timed.people.enroll(account, late)
    accepted(await timed.api.get("/sessions", bearer=enrolled.token))
    accepted(await timed.api.get("/whoami", bearer=key))
    assert await due_at(timed, enrolled) is None
    body = {"password": account.password, "code": account.has.code()}
    answer = await timed.api.post("/two-factor/disable", body, bearer=enrolled.token)
    refused(answer, 409, "TWO_FACTOR_REQUIRED_BY_POLICY")


async def test_grace_runs_from_the_first_grant_and_no_later_one_renews_it(deploy: Deploy) -> None:
    timed = await deployed(deploy)
    account, session = await timed.people.newcomer()
    assert await due_at(timed, session) is None
    timed.time.now += 30 * DAY
    granted_at = timed.clock()
    await grant(timed, account, add="merchant")
    session = await timed.people.sign_in(account)
    assert await due_at(timed, session) == said(granted_at + GRACE)
    timed.time.now += 10 * DAY
    await grant(timed, account, remove="merchant")
    session = await timed.people.sign_in(account)
    assert await due_at(timed, session) is None
    await grant(timed, account, add="merchant")
    assert await due_at(timed, session) == said(granted_at + GRACE)
    timed.time.now = granted_at + GRACE
    refused(await timed.api.get("/sessions", bearer=session.token), 403, MUST_ENROLL)

    born, session = await timed.people.newcomer("merchant")
    first = timed.clock()
    await grant(timed, born, remove="merchant")
    timed.time.now += 10 * DAY
    await grant(timed, born, add="merchant")
    session = await timed.people.sign_in(born)
    assert await due_at(timed, session) == said(first + GRACE)


async def test_imported_user_has_the_grace_however_old_the_account_is(deploy: Deploy) -> None:
    timed = await deployed(deploy)
    known = SourceUser(
        email="imp@example.com",
        name="Imp",
        password_hash=None,
        actor_types=("merchant",),
        created_at=datetime(2015, 1, 1, tzinfo=UTC),
    )
    context = system_context(timed.clock())
    await ImportUsers(timed.auth.services).import_user(known, context=context)
    user = await timed.auth.administration.find_by_email(known.email)
    assert not timed.auth.services.must_enroll(user, now=timed.clock() + GRACE - DAY)
    assert timed.auth.services.must_enroll(user, now=timed.clock() + GRACE)


async def test_strictest_rule_counts(deploy: Deploy) -> None:
    timed = await deployed(deploy, required_from=START + 60 * DAY)
    account, session = await timed.people.newcomer("merchant")
    assert await due_at(timed, session) == said(START + 60 * DAY)
    await grant(timed, account, add="admin")
    refused(await timed.api.get("/sessions", bearer=session.token), 403, MUST_ENROLL)


async def test_passkey_by_a_day_lets_codes_do_until_then(deploy: Deploy) -> None:
    timed = await deployed(deploy, two_factor="phishing_resistant", grace=DAY)
    account, session = await timed.people.newcomer("merchant")
    session = await timed.people.enroll(account, session)
    assert await due_at(timed, session) == said(START + DAY)
    accepted(await timed.api.get("/sessions", bearer=session.token))
    timed.time.now = START + DAY
    refused(await timed.api.get("/sessions", bearer=session.token), 403, MUST_ENROLL)


@pytest.mark.parametrize("lead", [14 * DAY, 30 * DAY])
async def test_holders_are_reminded_fourteen_seven_and_one_days_ahead_once_each(
    deploy_sqlite: Deploy, lead: timedelta
) -> None:
    timed = await deployed(deploy_sqlite, grace=lead)
    account, _ = await timed.people.newcomer("merchant")
    other, session = await timed.people.newcomer("merchant")
    await timed.people.enroll(other, session)
    for _ in range(lead.days + 2):
        for _ in range(2):
            await timed.runtime.remind_holders.remind(now=timed.clock())
        timed.time.now += DAY
    reported: list[str] = []
    for _ in range(200):
        reported = [mail.to for mail in timed.mail.messages if mail.kind == "two_factor_due_by_type"]
        if len(reported) == 3:
            break
        await asyncio.sleep(0.01)
    assert reported == [account.email] * 3


async def test_doctor_counts_who_is_due_and_who_is_refused(deploy: Deploy) -> None:
    timed = await deployed(deploy, grace=DAY)
    await timed.people.newcomer("merchant")
    timed.time.now += 2 * DAY
    await timed.people.newcomer("merchant")
    enrolled, session = await timed.people.newcomer("merchant")
    await timed.people.enroll(enrolled, session)
    found = await read_overview(
        timed.auth.services.transactions, timed.auth.services.actors, now=timed.clock()
    )
    counts = found.due_by_type["merchant"]
    assert (counts.refused, counts.soon) == (1, 1)


async def test_doctor_counts_the_members_whom_an_organization_refuses(deploy: Deploy) -> None:
    timed = await deploy()
    acme = await acme_of(timed)
    accepted(await acme.demand(timed.clock() + DAY))

    async def counted() -> list[tuple[str, int, int]]:
        services = timed.auth.services
        found = await read_overview(services.transactions, services.actors, now=timed.clock())
        return [(each.name, each.refused, each.soon) for each in found.due_by_organization]

    name = accepted(await timed.api.get(acme.path, bearer=acme.owner.token))["organization"]["name"]
    assert await counted() == [(name, 0, 1)]
    timed.time.now += DAY
    assert await counted() == [(name, 1, 0)]
