"""Every route and every field, for a member who is due in one organization and fine in another (S37)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.contract.acting import create_organization, graphql, join
from tests.contract.api import Answer
from tests.contract.checks import accepted
from tests.contract.deployments import Timed
from tests.contract.people import Session
from tests.contract.policy import REFUSED, Acme, acme_of
from tests.contract.routes import NOWHERE, PUBLIC, Route, every_route

IN_ORGANIZATION = frozenset({"organization_id", "organizationId"})
NAMED = IN_ORGANIZATION | {"organizationSlug"}

STAYS_OPEN = {
    "POST /organization/leave",
    "POST /api-keys/verify",
    "GET /api-key/list",
    "GET /api-keys",
}
"""What names an organization, and goes on: leaving it, and one's own keys, which open nothing there."""

ACTS_IN_ACTIVE = {"GET /whoami", "GET /organization/get-active-member"}
"""What asks about the session where it is active."""

ACTS_ELSEWHERE = {"POST /organizations", "POST /organization/create", "POST /switch-actor"}
"""What makes another organization the active one, or none."""

LAST = ("delete", "remove", "DELETE", "sign-out", "revoke", "disable", "deactivate", "set-active")
"""What takes something from the member, and comes after all else."""


def filled(route: Route, organization: str) -> dict[str, object]:
    """Fill in what a body needs, so that nothing is refused for its form; passwords are wrong."""
    values: dict[str, object] = {
        "data": {"name": "Mine"},
        "role": "viewer",
        "email": "guest@example.com",
        "name": "a name",
        "reason": "why",
        "until": "2025-04-01T00:00:00.000Z",
        "url": "https://hooks.example.com/x",
        "events": ["*"],
        "scopes": ["orders:read"],
        "permissions": {"organization": ["update"]},
        "password": "wrong",
        "userId": NOWHERE,
        "memberId": NOWHERE,
        "memberIdOrEmail": NOWHERE,
        "organizationId": organization,
        "deliveryId": NOWHERE,
    }
    wanted = {
        field.name for field in route.fields if field.required or field.name in ("password", "organizationId")
    }
    if not any(field.required for field in route.fields) and not wanted - {"password"}:
        wanted |= {field.name for field in route.fields if field.name in ("name", "deliveryId")}
    return {name: values.get(name, "x") for name in wanted}


def concerns(route: Route) -> bool:
    """Say whether a call of the route can name an organization."""
    names = {*route.parameters, *route.query, *(field.name for field in route.fields)}
    return not names.isdisjoint(NAMED) and not route.path.startswith("/admin/")


async def call(timed: Timed, route: Route, organization: str, session: Session) -> Answer:
    address = route.address(organization_id=organization)
    if "organizationId" in route.query:
        address += f"?organizationId={organization}"
    body: dict[str, Any] = {} if route.method == "GET" else {"body": filled(route, organization)}
    return await timed.api.call(route.method, address, **body, bearer=session.token)


async def both(timed: Timed) -> tuple[Acme, str]:
    """Make a member who is due in one organization, and viewer of another that demands nothing."""
    acme = await acme_of(timed)
    _, other_owner = await timed.people.newcomer()
    other = await create_organization(timed.api, other_owner, "Other")
    await join(timed.api, other_owner, other, (acme.account, acme.member), "viewer")
    accepted(await acme.demand(timed.clock() - timedelta(days=1)))
    return acme, other


def is_refused(answer: Answer) -> bool:
    return answer.status_code == 403 and answer.json().get("code") == REFUSED


async def test_every_route_about_the_organization_is_closed_and_none_about_another(timed: Timed) -> None:
    acme, other = await both(timed)
    routes = [route for route in await every_route(timed.api) if route.name not in PUBLIC]
    routes.sort(key=lambda route: ("leave" in route.name, any(word in route.name for word in LAST)))
    open_there, closed_elsewhere = {}, {}
    for route in routes:
        session = acme.member
        if concerns(route):
            answer = await call(timed, route, acme.id, session)
            if not is_refused(answer):
                open_there[route.name] = answer.status_code, answer.text
        answer = await call(timed, route, other, session)
        if is_refused(answer):
            closed_elsewhere[route.name] = answer.status_code, answer.text
        if answer.status_code == 401 or "sign-out" in route.path:
            acme.member = await timed.people.sign_in(acme.account)
    assert closed_elsewhere == {}
    assert set(open_there) == STAYS_OPEN, {k: v for k, v in open_there.items() if k not in STAYS_OPEN}


async def test_session_that_acts_there_reaches_everything_that_is_not_about_it(timed: Timed) -> None:
    acme = await acme_of(timed)
    accepted(await timed.api.post(f"{acme.path}/activate", bearer=acme.member.token))
    accepted(await acme.demand(timed.clock() - timedelta(days=1)))
    routes = [route for route in await every_route(timed.api) if route.name not in PUBLIC]
    closed = {}
    for route in routes:
        if concerns(route) or route.name in ACTS_ELSEWHERE or any(word in route.name for word in LAST):
            continue
        answer = await call(timed, route, NOWHERE, acme.member)
        if is_refused(answer):
            closed[route.name] = answer.text
    assert set(closed) == ACTS_IN_ACTIVE, closed


async def test_every_field_about_the_organization_is_closed_and_none_about_another(timed: Timed) -> None:
    acme, other = await both(timed)
    asked = "{ __schema { queryType { fields { name args { name } } } } }"
    document = (await graphql(timed, asked, acme.member.token)).json()
    fields = document["data"]["__schema"]["queryType"]["fields"]
    walked = set()
    for field in fields:
        name, arguments = field["name"], {argument["name"] for argument in field["args"]}
        for organization in (acme.id, other):
            given = {
                "organization": f'(id: "{organization}") {{ name requireTwoFactorFrom }}',
                "myApiKeys": f'(organizationId: "{organization}") {{ id }}',
                "_entities": f'(representations: [{{__typename: "Organization", id: "{organization}"}}])'
                " { ... on Organization { name } }",
                "_service": " { sdl }",
            }.get(name, " { id }")
            answer = await graphql(timed, f"{{ {name}{given} }}", acme.member.token)
            assert (REFUSED in answer.text) == (name == "organization" and organization == acme.id), (
                answer.text
            )
            if name == "_entities":
                assert ("Acme" in answer.text, "Other" in answer.text) == (False, organization == other)
        walked.add(name)
        assert arguments <= {"id", "organizationId", "representations", "unusedSince"}, (
            "an argument that nobody walked"
        )
    assert {"organization", "myOrganizations", "_entities"} <= walked
