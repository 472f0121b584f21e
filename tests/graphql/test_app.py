from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from graphql import GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLUnionType
from starlette.applications import Starlette
from starlette.routing import Mount

from czo_auth.core.errors import InvalidToken, StorageUnavailable
from czo_auth.core.limits import MAX_GRAPHQL_BYTES as MAX_BYTES
from czo_auth.crypto.sealing import new_key_text
from czo_auth.graphql.schema import SCHEMA
from tests.graphql.deployment import Deployment
from tests.support.settings import HERE

SECRET = "hunter2-5f1c"
ARGUMENTS = {
    "organization": '(id:"01890a5d-ac96-774b-bcce-b302099a8057")',
    "_entities": '(representations:[{__typename:"User",id:"x"}])',
}


def _selections(kind: Any, *, in_list: bool) -> Iterator[str]:
    """Each field of a type, with a field of its own where it has some; a list below a list is too complex."""
    for name, field in kind.fields.items():
        inner = field.type
        while isinstance(inner, (GraphQLNonNull, GraphQLList)):
            inner = inner.of_type
        if not isinstance(inner, GraphQLObjectType):
            yield name
        elif not in_list:
            yield f"{name}{{id}}"


def documents_for_every_field() -> Iterator[str]:
    """One document for each field that can be asked for, found by walking the schema."""
    query = SCHEMA._schema.query_type
    assert query is not None
    for name, field in query.fields.items():
        kind: Any = field.type
        in_list = "[" in str(kind)
        while isinstance(kind, (GraphQLNonNull, GraphQLList)):
            kind = kind.of_type
        start = f"{{{name}{ARGUMENTS.get(name, '')}"
        if isinstance(kind, GraphQLUnionType):
            for member in kind.types:
                yield from (
                    f"{start}{{...on {member.name}{{{inner}}}}}}}"
                    for inner in _selections(member, in_list=in_list)
                )
        else:
            assert isinstance(kind, GraphQLObjectType)
            yield from (f"{start}{{{inner}}}}}" for inner in _selections(kind, in_list=in_list))
    yield "{__typename}"
    yield "{__schema{queryType{name}}}"


EVERY_FIELD = list(documents_for_every_field())


def test_the_walk_finds_the_fields() -> None:
    assert {"{me{email}}", "{mySessions{ipAddress}}", "{myApiKeys{prefix}}", "{_service{sdl}}"} <= set(
        EVERY_FIELD
    )
    assert len(EVERY_FIELD) > 40


# --- who may enter ---------------------------------------------------------------------------------------------------
async def test_nobody_asks_anonymously(deployment: Deployment) -> None:
    for document in [*EVERY_FIELD, "{", SECRET]:
        answer = await deployment.ask(document, None)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_every_field_is_answered_to_a_session(deployment: Deployment) -> None:
    """Without this, the walk over what a restricted session may not would prove nothing."""
    ada = await deployment.person("ada")
    for document in EVERY_FIELD:
        await deployment.data(document, ada.token)


async def test_a_restricted_session_gets_no_field(deployment: Deployment) -> None:
    """S9: default-deny, from database state; promotion restricts a live session at its next request."""
    ada = await deployment.person("ada")
    await deployment.data("{me{id}}", ada.token)
    await deployment.promote(ada)
    elsewhere = await deployment.rest.get(
        "/api/auth/sessions", headers={"authorization": f"Bearer {ada.token}"}
    )
    assert elsewhere.status_code == 403
    for document in [*EVERY_FIELD, "{", "{nothing}"]:
        answer = await deployment.ask(document, ada.token)
        assert answer.status_code == 403, document
        assert answer.json() == elsewhere.json()
        assert answer.json()["code"] == "TWO_FACTOR_SETUP_REQUIRED"


async def test_the_key_of_an_administrator_without_second_factor_gets_no_field(
    deployment: Deployment,
) -> None:
    ada = await deployment.person("ada")
    key = await deployment.api_key(ada)
    await deployment.promote(ada)
    for document in EVERY_FIELD:
        answer = await deployment.ask(document, key)
        assert (answer.status_code, answer.json()["code"]) == (403, "TWO_FACTOR_SETUP_REQUIRED")


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("czs_" + "A" * 43, "INVALID_TOKEN"),
        ("czo_" + "A" * 43, "INVALID_API_KEY"),
        ("czo_short", "INVALID_API_KEY"),
        ("a.b.c", "INVALID_TOKEN"),
        ("czr_" + "A" * 43, "INVALID_TOKEN"),
        ("nonsense", "INVALID_TOKEN"),
    ],
)
async def test_a_wrong_credential_is_refused(deployment: Deployment, token: str, code: str) -> None:
    answer = await deployment.ask("{me{id}}", token)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "MISSING_OR_NULL_ORIGIN"),
        ({"origin": "null"}, "MISSING_OR_NULL_ORIGIN"),
        ({"origin": "https://evil.example"}, "INVALID_ORIGIN"),
        ({"origin": HERE}, None),
        ({"referer": f"{HERE}/page"}, None),
    ],
)
async def test_a_cookie_counts_only_from_a_trusted_page(
    deployment: Deployment, headers: dict[str, str], code: str | None
) -> None:
    ada = await deployment.person("ada")
    cookie = {"cookie": f"better-auth.session_token={ada.token}"}
    answer = await deployment.graphql.post("/graphql", json={"query": "{me{id}}"}, headers=cookie | headers)
    if code is None:
        assert answer.json() == {"data": {"me": {"id": ada.id}}}
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, code)


# --- the shape of a request ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"])
async def test_only_post_is_answered(deployment: Deployment, method: str) -> None:
    ada = await deployment.person("ada")
    headers = {"authorization": f"Bearer {ada.token}"}
    answer = await deployment.graphql.request(
        method, "/graphql", params={"query": "{me{id}}"}, headers=headers
    )
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert method == "HEAD" or answer.json()["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", ["/", "/graphql", "/api/graphql/", "/some/where/else"])
async def test_every_path_below_the_mount_is_answered(deployment: Deployment, path: str) -> None:
    ada = await deployment.person("ada")
    headers = {"authorization": f"Bearer {ada.token}"}
    inside = await deployment.graphql.post(path, json={"query": "{me{id}}"}, headers=headers)
    host = Starlette(routes=[Mount("/host", app=deployment.auth.graphql)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(host), base_url=HERE) as client:
        mounted = await client.post(f"/host{path}", json={"query": "{me{id}}"}, headers=headers)
    assert inside.json() == mounted.json() == {"data": {"me": {"id": ada.id}}}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "query"),
        ({"query": None}, "query"),
        ({"query": 1}, "query"),
        ({"query": ["{me{id}}"]}, "query"),
        ({"query": "{me{id}}", "variables": "{}"}, "variables"),
        ({"query": "{me{id}}", "variables": []}, "variables"),
        ({"query": "{me{id}}", "operationName": 1}, "operationName"),
        ({"query": "{me{id}}", "extensions": []}, "extensions"),
        ({"query": "{me{id}}", "userId": "x"}, "userId"),
        ([], "body"),
        ([{"query": "{me{id}}"}], "body"),
        ("{me{id}}", "body"),
        (None, "body"),
    ],
)
async def test_a_request_of_another_shape_is_refused(
    deployment: Deployment, body: object, where: str
) -> None:
    ada = await deployment.person("ada")
    answer = await deployment.graphql.post("/", json=body, headers={"authorization": f"Bearer {ada.token}"})
    content = json.dumps(body)
    if body is None:
        headers = {"authorization": f"Bearer {ada.token}", "content-type": "application/json"}
        answer = await deployment.graphql.post("/", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert [detail["loc"] for detail in answer.json()["details"]] == [where]


async def test_null_fields_and_extensions_are_as_good_as_none(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    more = {"variables": None, "operationName": None, "extensions": {"persistedQuery": {"version": 1}}}
    assert await deployment.data("{me{id}}", ada.token, **more) == {"me": {"id": ada.id}}


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        ('{"query":"{me{id}}"}', "application/graphql", 415),
        ('{"query":"{me{id}}"}', "text/plain", 415),
        ("query=%7Bme%7Bid%7D%7D", "application/x-www-form-urlencoded", 415),
        ('{"query":"{me{id}}"}', "multipart/form-data; boundary=x", 415),
        ('{"query":"{me{id}}","query":"{me{email}}"}', "application/json", 400),
        ('{"query":"{me{id}}","variables":{"a":NaN}}', "application/json", 400),
        ('{"query":"{me{id}}\\u0000"}', "application/json", 400),
        ('{"query":"{me{id}}"', "application/json", 400),
        ('{"query":"{me{id}}","variables":' + '{"a":' * 40 + "1" + "}" * 41, "application/json", 400),
    ],
)
async def test_bodies_are_strict_json(
    deployment: Deployment, content: str, content_type: str, status: int
) -> None:
    ada = await deployment.person("ada")
    headers = {"authorization": f"Bearer {ada.token}", "content-type": content_type}
    answer = await deployment.graphql.post("/", content=content, headers=headers)
    assert answer.status_code == status
    assert "data" not in answer.json()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_sixteen_kibibytes_is_the_largest(deployment: Deployment, chunked: bool) -> None:
    ada = await deployment.person("ada")
    headers = {"authorization": f"Bearer {ada.token}", "content-type": "application/json"}

    async def post(size: int) -> httpx.Response:
        start = b'{"query":"{me{id}}'
        content = start + b" " * (size - len(start) - 2) + b'"}'
        assert len(content) == size

        async def chunks() -> Any:
            yield content[:1000]
            yield content[1000:]

        return await deployment.graphql.post("/", content=chunks() if chunked else content, headers=headers)

    assert MAX_BYTES == 16 * 1024
    assert (await post(MAX_BYTES)).json() == {"data": {"me": {"id": ada.id}}}
    refused = await post(MAX_BYTES + 1)
    assert refused.status_code == 413
    assert "data" not in refused.json()


# --- answers ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{nothing}", "GRAPHQL_VALIDATION_FAILED"),
        ("mutation{me{id}}", "GRAPHQL_VALIDATION_FAILED"),
        ("{" + "me{id}" * 130 + "}", "QUERY_TOO_COMPLEX"),
        ("{" + " ".join(f"a{n}:me{{id}}" for n in range(21)) + "}", "QUERY_TOO_COMPLEX"),
        ("{me" * 9 + "{id}" + "}" * 9, "QUERY_TOO_COMPLEX"),
        ("{me{" + "id " * 200 + "}}", "QUERY_TOO_COMPLEX"),
        ("query($id:ID!){organization(id:$id){id}}", "BAD_USER_INPUT"),
        ("query A{me{id}}query B{me{id}}", "OPERATION_RESOLUTION_FAILURE"),
    ],
)
async def test_a_refused_document_is_400_with_a_code(
    deployment: Deployment, document: str, code: str
) -> None:
    ada = await deployment.person("ada")
    answer = await deployment.ask(document, ada.token)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() == {"errors"}
    assert {error["extensions"]["code"] for error in body["errors"]} == {code}


async def test_a_wrong_variable_is_not_quoted(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    document = "query($id:ID!){organization(id:$id){id}}"
    answer = await deployment.ask(document, ada.token, variables={"id": {"password": SECRET}})
    assert answer.status_code == 400
    assert SECRET not in answer.text


async def test_the_named_operation_is_carried_out(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    document = "query A{me{id}}query B{me{email}}"
    assert await deployment.data(document, ada.token, operationName="B") == {
        "me": {"email": "ada@example.com"}
    }


async def test_in_production_the_schema_is_not_reported(production_deployment: Deployment) -> None:
    ada = await production_deployment.person("ada")
    for document in (
        "{__schema{queryType{name}}}",
        '{__type(name:"User"){name}}',
        "{_service{sdl}}",
        "{mee{id}}",
    ):
        answer = await production_deployment.ask(document, ada.token)
        assert answer.status_code == 400
        assert "Did you mean" not in answer.text
        assert "type User" not in answer.text
    assert await production_deployment.data("{me{__typename}}", ada.token) == {"me": {"__typename": "User"}}


async def test_answers_are_not_stored(deployment: Deployment) -> None:
    ada = await deployment.person("ada")
    for answer in (
        await deployment.ask("{me{id}}", ada.token),
        await deployment.ask("{", ada.token),
        await deployment.ask("{", None),
    ):
        assert answer.headers["cache-control"] == "no-store"


# --- faults ----------------------------------------------------------------------------------------------------------
def failing(error: Exception) -> Any:
    async def fail(*_: object, **__: object) -> None:
        raise error

    return fail


async def test_an_outage_is_503_for_the_whole_request(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await deployment.person("ada")
    monkeypatch.setattr(deployment.auth.manage_organizations, "list", failing(StorageUnavailable()))
    answer = await deployment.ask("{me{id} myOrganizations{id}}", ada.token)
    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "2"
    assert "data" not in answer.json()


async def test_a_session_that_ends_meanwhile_is_401(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await deployment.person("ada")
    monkeypatch.setattr(deployment.auth.manage_sessions, "list", failing(InvalidToken()))
    answer = await deployment.ask("{mySessions{id}}", ada.token)
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_TOKEN")


async def test_an_unexpected_fault_is_masked(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ada = await deployment.person("ada")
    monkeypatch.setattr(deployment.auth.manage_organizations, "get", failing(RuntimeError("SELECT broke")))
    document = f'{{me{{id}} {SECRET.replace("-", "_")}: organization(id:"{SECRET}"){{id}}}}'
    answer = await deployment.ask(document, ada.token)
    assert answer.status_code == 200
    body = answer.json()
    assert body["data"]["me"] == {"id": ada.id}
    [error] = body["errors"]
    assert error["extensions"] == {"code": "INTERNAL_ERROR"}
    assert "SELECT" not in answer.text
    assert "RuntimeError" in caplog.text
    assert SECRET not in caplog.text


async def test_no_log_quotes_what_was_asked(deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ada = await deployment.person("ada")
    key = await deployment.api_key(ada)
    variables = {"id": SECRET}
    for token in (ada.token, key):
        await deployment.ask(f'{{organization(id:"{SECRET}"){{id}} mySessions{{id}}}}', token)
        await deployment.ask(
            "query($id:ID!){organization(id:$id){id} mySessions{id}}", token, variables=variables
        )
        await deployment.ask(f'{{organization(id:{{a:"{SECRET}"}}){{id}}}}', token)
        await deployment.ask(f'{{me "{SECRET}"}}', token)
        await deployment.ask("query($id:Int!){organization(id:$id){id}}", token, variables=variables)
    for hidden in (SECRET, ada.token, key):
        assert hidden not in caplog.text


# --- the start -------------------------------------------------------------------------------------------------------
@pytest.mark.deep
def test_nothing_slow_is_imported_before_the_first_request(sqlite_url: str) -> None:
    program = """
import sys
from czo_auth import Auth, Settings
auth = Auth(Settings(encryption_key=sys.argv[1], database_url=sys.argv[2]))
assert auth.graphql
print([name for name in ("strawberry", "graphql") if name in sys.modules])
"""
    command = [sys.executable, "-c", program, new_key_text(), sqlite_url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
