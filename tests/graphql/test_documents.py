from __future__ import annotations

import json

import pytest

from czo_auth.core.limits import MAX_GRAPHQL_PROBLEMS
from czo_auth.graphql.documents import REMEMBERED, Documents
from czo_auth.graphql.problems import DocumentRefused
from czo_auth.graphql.schema import SCHEMA

SECRET = "hunter2-5f1c"


@pytest.fixture
def documents() -> Documents:
    return Documents(SCHEMA._schema, introspection_is_open=True)


@pytest.fixture
def closed() -> Documents:
    return Documents(SCHEMA._schema, introspection_is_open=False)


def problems(documents: Documents, text: str, operation_name: str | None = None) -> list[tuple[str, str]]:
    with pytest.raises(DocumentRefused) as refused:
        documents.accept(text, operation_name=operation_name)
    shaped = json.loads(json.dumps(refused.value.problems))
    return [(problem["extensions"]["code"], problem["message"]) for problem in shaped]


@pytest.mark.parametrize("text", ["", "{", "{me{id}} }", '{me "x"}', "\x01", "{me{id}" + "…"])
def test_what_is_not_graphql_is_refused(documents: Documents, text: str) -> None:
    assert problems(documents, text) == [("GRAPHQL_PARSE_FAILED", "The document is not GraphQL.")]


def test_a_refused_document_says_where(documents: Documents) -> None:
    with pytest.raises(DocumentRefused) as refused:
        documents.accept("{\n  me }", operation_name=None)
    assert refused.value.problems[0]["locations"] == [{"line": 2, "column": 3}]


@pytest.mark.parametrize(
    "text",
    [
        f'{{me "{SECRET}"}}',
        f'{{organization(id: {{password: "{SECRET}"}}) {{id}}}}',
        f'{{organization(id: ["{SECRET}", "x"]) {{id}}}}',
        f'{{me @include(if: "{SECRET}") {{id}}}}',
        f'query($id: ID! = {{a: "{SECRET}"}}){{organization(id: $id){{id}}}}',
        f'{{me(password: "{SECRET}") {{id}}}}',
        f'{{me @login(password: "{SECRET}") {{id}}}}',
        f'{{organization(id: "{SECRET}") {{id}} organization(id: "x") {{id}}}}',
    ],
)
def test_no_refusal_quotes_a_literal(documents: Documents, text: str) -> None:
    for _, message in problems(documents, text):
        assert SECRET not in message


@pytest.mark.parametrize(
    "text", ["{mee{id}}", "{me{emai}}", "{organization(idd:1){id}}", "{... on Uses {id}}"]
)
def test_suggestions_are_made_only_where_the_schema_is_open(
    documents: Documents, closed: Documents, text: str
) -> None:
    assert "Did you mean" in problems(documents, text)[0][1]
    assert not any("Did you mean" in message for _, message in problems(closed, text))


@pytest.mark.parametrize(
    "text",
    [
        "{__schema{queryType{name}}}",
        '{__type(name:"User"){name}}',
        "{_service{sdl}}",
        "{a:_service{sdl}}",
        "{...F}fragment F on Query{__schema{queryType{name}}}",
        "{me{id} ...on Query{_service{sdl}}}",
    ],
)
def test_the_schema_is_reported_only_where_it_is_open(
    documents: Documents, closed: Documents, text: str
) -> None:
    documents.accept(text, operation_name=None)
    assert ("GRAPHQL_VALIDATION_FAILED", "Introspection is disabled.") in problems(closed, text)


def test_the_name_of_a_type_is_not_a_secret(closed: Documents) -> None:
    closed.accept("{__typename me{__typename}}", operation_name=None)


def test_problems_are_reported_up_to_a_number(documents: Documents) -> None:
    assert len(problems(documents, "{" + " ".join(f"x{n}" for n in range(150)) + "}")) == MAX_GRAPHQL_PROBLEMS


@pytest.mark.parametrize("operation_name", [None, "", "C", "a"])
def test_an_operation_must_be_named_when_there_are_several(
    documents: Documents, operation_name: str | None
) -> None:
    found = problems(documents, "query A{me{id}} query B{me{id}}", operation_name)
    assert [code for code, _ in found] == ["OPERATION_RESOLUTION_FAILURE"]


def test_a_document_without_operation_is_refused(documents: Documents) -> None:
    found = problems(documents, "fragment F on User{id}")
    assert [code for code, _ in found] == ["GRAPHQL_VALIDATION_FAILED"]


@pytest.mark.parametrize("text", ["type A{a:Int}", "mutation{me{id}}", "subscription{me{id}}", "mutation{x}"])
def test_nothing_but_queries_is_accepted(documents: Documents, text: str) -> None:
    assert [code for code, _ in problems(documents, text)] == ["GRAPHQL_VALIDATION_FAILED"]


def test_an_accepted_document_is_read_once(documents: Documents) -> None:
    first = documents.accept("{me{id}}", operation_name=None)
    assert documents.accept("{me{id}}", operation_name=None) is first


def test_refused_documents_push_nothing_out(documents: Documents) -> None:
    first = documents.accept("{me{id}}", operation_name=None)
    for n in range(REMEMBERED + 1):
        problems(documents, f"{{x{n}}}")
    assert documents.accept("{me{id}}", operation_name=None) is first


def test_memory_for_documents_is_bounded(documents: Documents) -> None:
    first = documents.accept("{me{id}}", operation_name=None)
    for n in range(REMEMBERED):
        documents.accept(f"{{a{n}:me{{id}}}}", operation_name=None)
    assert documents.accept("{me{id}}", operation_name=None) is not first
