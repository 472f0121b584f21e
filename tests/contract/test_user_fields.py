"""The host's own fields of users (contract-2 section 12)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from czo_auth import Settings, server_only
from czo_auth.core.context import system_context
from czo_auth.core.errors import ValidationFailed
from czo_auth.core.flows.administration.import_users import ImportUsers, SourceUser
from tests.contract.acting import graphql
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.people import PASSWORD, Account


class Profile(BaseModel):
    company_name: str = Field(max_length=20)
    born: date | None = None
    plan: Annotated[str, server_only] = "free"


@pytest.fixture
async def here(deploy: Deploy) -> Timed:
    return await deploy(user_fields=Profile)


async def sign_up(here: Timed, path: str = "/customer/sign-up", **fields: Any) -> Answer:
    body = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada", **fields}
    return await here.api.post(path, body)


async def test_fields_appear_in_the_user(here: Timed) -> None:
    user = accepted(await sign_up(here, companyName="Acme", born="1990-02-03"), 201)["user"]
    assert (user["companyName"], user["born"], user["plan"]) == ("Acme", "1990-02-03", "free")
    body = {"email": "ada@example.com", "password": PASSWORD}
    signed_in = accepted(await here.api.post("/customer/sign-in/email", body))
    assert signed_in["user"]["companyName"] == "Acme"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "companyName"),
        ({"companyName": "x" * 21}, "companyName"),
        ({"companyName": "Acme", "born": "soon"}, "born"),
        ({"companyName": "Acme", "plan": "gold"}, "plan"),
        ({"companyName": "Acme", "colour": "red"}, "colour"),
        ({"companyName": "Acme", "company_name": "Acme"}, "company_name"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(here: Timed, fields: dict[str, Any], named: str) -> None:
    refusal = refused(await sign_up(here, **fields), 400, "VALIDATION_ERROR")
    assert [detail["loc"] for detail in refusal["details"]] == [named]


class Notes(BaseModel):
    note: str = ""
    tags: list[str] = Field(default_factory=list)


async def test_fields_of_a_user_are_bounded_together(deploy: Deploy) -> None:
    """Whatever the model allows for each."""
    here = await deploy(user_fields=Notes)
    for fields in ({"note": "x" * 4097}, {"note": "é" * 700}, {"tags": ["y" * 9] * 400}):
        assert (
            refused(await sign_up(here, **fields), 400, "VALIDATION_ERROR")["details"][0]["loc"] == "fields"
        )
    user = accepted(await sign_up(here, note="x" * 3000), 201)["user"]
    session = await here.people.sign_in(Account(email=user["email"]))
    grown = {"tags": ["y" * 9] * 200}
    refused(await here.api.post("/update-user", grown, bearer=session.token), 400, "VALIDATION_ERROR")
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (object(), float("nan"), deep, "z" * 5000):
        with pytest.raises(ValidationFailed):
            await here.auth.users.set_fields(user["id"], {"note": value})
    while deep:
        deep = deep.pop()  # type: ignore[assignment]


async def test_clients_of_better_auth_send_them_beside_their_own(here: Timed) -> None:
    answer = await sign_up(here, "/sign-up/email", companyName="Acme", callbackURL="/x")
    session = answer.headers["set-auth-token"]
    assert accepted(answer)["user"]["companyName"] == "Acme"
    accepted(await here.api.post("/update-user", {"companyName": "Other", "unknown": 1}, bearer=session))
    shown = accepted(await here.api.get("/session", bearer=session))["user"]
    assert (shown["companyName"], shown["name"]) == ("Other", "Ada")
    refused(await here.api.post("/update-user", {"plan": "gold"}, bearer=session), 400, "VALIDATION_ERROR")
    refused(await here.api.post("/update-user", {"companyName": 7}, bearer=session), 400, "VALIDATION_ERROR")


async def test_host_sets_what_is_for_the_server_only(here: Timed) -> None:
    user = accepted(await sign_up(here, companyName="Acme"), 201)["user"]
    record = await here.auth.users.set_fields(user["id"], {"plan": "gold"})
    assert record.fields == {"companyName": "Acme", "born": None, "plan": "gold"}
    made = await here.auth.users.create(
        email="eve@example.com", name="Eve", password=PASSWORD, fields={"companyName": "B", "plan": "pro"}
    )
    assert made.fields["plan"] == "pro"


async def test_existing_users_show_defaults_and_nulls(here: Timed) -> None:
    session = await here.people.sign_in(here.carol)
    user = session.body["user"]
    assert (user["companyName"], user["born"], user["plan"]) == (None, None, "free")


async def test_deployment_without_own_fields_refuses_them(timed: Timed) -> None:
    refused(await sign_up(timed, companyName="Acme"), 400, "VALIDATION_ERROR")


class Taken(BaseModel):
    email_verified: bool = True


def test_name_that_every_user_has_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="emailVerified"):
        Settings(user_fields=Taken)


async def test_graphql_shows_them_as_one_object(here: Timed) -> None:
    accepted(await sign_up(here, companyName="Acme", born="1990-02-03"), 201)
    body = {"email": "ada@example.com", "password": PASSWORD}
    token = accepted(await here.api.post("/customer/sign-in/email", body))["accessToken"]
    answer = (await graphql(here, "{ me { ownFields } }", token)).json()
    assert answer["data"]["me"]["ownFields"] == {"companyName": "Acme", "born": "1990-02-03", "plan": "free"}


async def test_graphql_shows_an_empty_object_where_there_are_none(timed_sqlite: Timed) -> None:
    _, session = await timed_sqlite.people.newcomer()
    answer = (await graphql(timed_sqlite, "{ me { ownFields } }", session.token)).json()
    assert answer["data"]["me"]["ownFields"] == {}


async def test_second_import_takes_the_fields_that_it_gives(here: Timed) -> None:
    importing, context = ImportUsers(here.auth.services), system_context(here.clock())

    async def bring(**fields: object) -> str:
        known = SourceUser(email="imp@example.com", name="Imp", password_hash=None, fields=fields)
        return await importing.import_user(known, context=context)

    async def stored() -> object:
        return (await here.auth.administration.find_by_email("imp@example.com")).fields

    assert await bring(companyName="Acme", plan="gold") == "imported"
    assert await bring(companyName="Acme") == "unchanged"
    assert await bring(plan="silver") == "updated"
    assert await stored() == {"companyName": "Acme", "born": None, "plan": "silver"}
    assert await bring() == "unchanged"
    with pytest.raises(ValidationFailed) as refusal:
        await bring(companyName="x" * 21)
    assert [where for where, _ in refusal.value.details] == ["companyName"]
    assert await stored() == {"companyName": "Acme", "born": None, "plan": "silver"}
