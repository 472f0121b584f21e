"""Attacks on the GraphQL endpoint: without a name, with too much, and past its rules (S28)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.attacks.conftest import Graph
from tests.contract.acting import create_key, create_organization
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.people import Account, Session

pytestmark = pytest.mark.deep

ME = "{ me { id } }"


@pytest.fixture
def person(somebody: tuple[Account, Session]) -> tuple[Account, Session]:
    return somebody


ANONYMOUS = {
    "a field": ME,
    "the schema": "{ __schema { types { name } } }",
    "a type": '{ __type(name: "User") { fields { name } } }',
    "the federation's schema": "{ _service { sdl } }",
    "only the type name": "{ __typename }",
    "nonsense": "}{",
}


@pytest.mark.parametrize("name", ANONYMOUS)
async def test_anonymous_asking(graph: Graph, name: str) -> None:
    refused(await graph(ANONYMOUS[name]), 401, "UNAUTHORIZED")


def bomb(levels: int) -> str:
    """Each fragment spreads the next twice: 2**levels fields from a short text."""
    parts = [f"fragment f{n} on User {{ ...f{n + 1} ...f{n + 1} }}" for n in range(levels)]
    return "{ me { ...f0 } } " + " ".join(parts) + f" fragment f{levels} on User {{ id }}"


TOO_MUCH = {
    "aliases": "{ " + " ".join(f"a{n}: me {{ id }}" for n in range(21)) + " }",
    "aliases in a fragment": "{ me { ...f ...f ...f } } fragment f on User { "
    + " ".join(f"a{n}: id" for n in range(7))
    + " }",
    "aliases in several operations": " ".join(
        f"query q{n} {{ " + " ".join(f"a{m}: me {{ id }}" for m in range(11)) + " }" for n in range(2)
    ),
    "fields": "{ " + "me { id name email } " * 60 + "}",
    "tokens": "{ me { id } } #\n" + "{ me { id } } " * 100,
    "fragment bomb": bomb(16),
    "nesting": "{ me " + "{ ... on User " * 40 + "{ id }" + " }" * 40 + " }",
}


@pytest.mark.parametrize("name", TOO_MUCH)
async def test_asking_for_too_much(person: tuple[Account, Session], graph: Graph, name: str) -> None:
    answer = await graph(TOO_MUCH[name], person[1].token)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["extensions"]["code"]


NOT_ALLOWED = {
    "mutation": 'mutation { deleteUser(id: "1") }',
    "subscription": "subscription { me { id } }",
    "circle of fragments": "{ me { ...a } } fragment a on User { ...b } fragment b on User { ...a }",
    "two fragments of one name": "{ me { ...a } } fragment a on User { id } fragment a on User { email }",
    "unknown field": "{ me { passwordHash } }",
    "unknown directive": "{ me @expose { id } }",
    "two anonymous operations": "{ me { id } } { me { id } }",
}


@pytest.mark.parametrize("name", NOT_ALLOWED)
async def test_document_past_the_rules(person: tuple[Account, Session], graph: Graph, name: str) -> None:
    answer = await graph(NOT_ALLOWED[name], person[1].token)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["extensions"]["code"]


def _body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


BODIES: dict[str, tuple[bytes, int]] = {
    "batch": (json.dumps([{"query": ME}] * 50).encode(), 400),
    "batch of one": (json.dumps([{"query": ME}]).encode(), 400),
    "more than 16 KiB": (_body(query=ME + "#" * 16384), 413),
    "query twice": (b'{"query": "{ me { id } }", "query": "{ me { email } }"}', 400),
    "query as a list": (_body(query=[ME]), 400),
    "query as null": (_body(query=None), 400),
    "no query": (_body(variables={}), 400),
    "unknown field": (_body(query=ME, id="stored-query"), 400),
    "variables as a list": (_body(query=ME, variables=[]), 400),
    "operation that there is not": (_body(query="query a { me { id } }", operationName="b"), 400),
    "deep variables": (
        b'{"query": "{ me { id } }", "variables": {"a": ' + b"[" * 40 + b"]" * 40 + b"}}",
        400,
    ),
    "not a number": (b'{"query": "{ me { id } }", "variables": {"a": NaN}}', 400),
    "not UTF-8": (b'{"query": "\xff"}', 400),
}


@pytest.mark.parametrize("name", BODIES)
async def test_body_past_the_rules(person: tuple[Account, Session], graph: Graph, name: str) -> None:
    raw, status = BODIES[name]
    answer = await graph(bearer=person[1].token, raw=raw)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/graphql"],
)
async def test_form_of_another_site(
    live: Live, person: tuple[Account, Session], graph: Graph, content_type: str
) -> None:
    """What a page can send without asking first is not read."""
    answer = await graph(bearer=person[1].token, raw=_body(query=ME), headers={"content-type": content_type})
    assert answer.status_code == 415, answer.text


async def test_cookie_sent_along_by_another_site(
    live: Live, person: tuple[Account, Session], graph: Graph
) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in person[1].cookies.items())
    answer = await graph(headers={"cookie": cookie, "origin": "https://evil.example"})
    refused(answer, 403, "INVALID_ORIGIN")


async def test_query_in_the_address(live: Live, person: tuple[Account, Session]) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        answer = await live.api.http.request(
            method, "/graphql", params={"query": ME}, headers={"authorization": f"Bearer {person[1].token}"}
        )
        assert answer.status_code == 405, method


async def test_somebody_else_as_an_entity(live: Live, person: tuple[Account, Session], graph: Graph) -> None:
    victim, theirs = await live.people.newcomer()
    organization = await create_organization(live.api, theirs)
    query = (
        "{ _entities(representations: ["
        f'{{__typename: "User", id: "{victim.id}"}}, {{__typename: "Organization", id: "{organization}"}}'
        "]) { ... on User { id email } ... on Organization { id name } } }"
    )
    answer = await graph(query, person[1].token)
    assert accepted_data(answer) == {"_entities": [None, None]}
    assert victim.email not in answer.text


def accepted_data(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_keys_of_somebody_else(live: Live, person: tuple[Account, Session], graph: Graph) -> None:
    _, theirs = await live.people.newcomer()
    await create_key(live.api, theirs)
    assert accepted_data(await graph("{ myApiKeys { id } }", person[1].token)) == {"myApiKeys": []}


async def test_secrets_in_the_answer_of_an_error(
    live: Live, person: tuple[Account, Session], graph: Graph
) -> None:
    """Errors show neither internals nor what was sent."""
    secret = person[1].token
    answer = await graph(f'{{ organization(id: "{secret}\\u0000") {{ id }} }}', secret)
    for word in ("Traceback", "sqlite", "asyncpg", "SELECT", "czo_auth", secret):
        assert word not in answer.text


async def test_ended_session(live: Live, graph: Graph) -> None:
    _, session = await live.people.newcomer()
    accepted_data(await graph(bearer=session.token))
    accepted(await live.api.post("/sign-out", {}, bearer=session.token))
    for token in (session.token, session.access_token):
        refused(await graph(bearer=token), 401, "INVALID_TOKEN")
