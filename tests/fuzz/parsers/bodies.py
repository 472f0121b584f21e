"""What stands in bodies: JSON and GraphQL documents."""

from __future__ import annotations

import json
from typing import Any

import pydantic_core
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    Visitor,
    print_ast,
    visit,
)

from czo_auth.asgi.body import parse_strictly
from czo_auth.core.errors import MalformedBody
from czo_auth.core.limits import (
    MAX_GRAPHQL_ALIASES,
    MAX_GRAPHQL_DEPTH,
    MAX_GRAPHQL_FIELDS,
    MAX_GRAPHQL_INTROSPECTED,
    MAX_JSON_DEPTH,
)
from czo_auth.graphql.documents import Documents
from czo_auth.graphql.problems import DocumentRefused
from czo_auth.graphql.schema import SCHEMA
from tests.fuzz.parsers.target import Target, lenient_text_of


# --- JSON ------------------------------------------------------------------------------------------------------------
def json_body(data: bytes) -> bool:
    """What is accepted, two other readers read alike; what is refused breaks one of the rules of S26."""
    try:
        value = parse_strictly(data)
    except MalformedBody:
        assert not _is_plain(data), data
        return False
    assert value == json.loads(data)
    if not _has_large_number(value):
        assert value == pydantic_core.from_json(data, allow_inf_nan=False), data
    assert parse_strictly(json.dumps(value).encode()) == value
    assert _depth(value) <= MAX_JSON_DEPTH
    return True


def _is_plain(data: bytes) -> bool:
    """Say whether another strict reader takes *data*, and nothing in it is forbidden here beyond that."""
    try:
        value = pydantic_core.from_json(data, allow_inf_nan=False)
        text = data.decode("utf-8")
        pairs: list[int] = []
        json.loads(text, object_pairs_hook=lambda found: pairs.append(len(found) - len(dict(found))))
        dumped = json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return False
    return (
        not any(pairs)
        and "\\u0000" not in dumped
        and "\\ud8" not in dumped.lower()
        and _depth(value) < MAX_JSON_DEPTH
    )


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _has_large_number(value: Any) -> bool:
    """Say whether there is a number of which readers keep different digits, or that is nearly another."""
    if isinstance(value, dict):
        return any(map(_has_large_number, value.values()))
    if isinstance(value, list):
        return any(map(_has_large_number, value))
    return isinstance(value, float) or (isinstance(value, int) and abs(value) > 2**60)


# --- GraphQL ---------------------------------------------------------------------------------------------------------
_OPEN = Documents(SCHEMA._schema, introspection_is_open=True)
_CLOSED = Documents(SCHEMA._schema, introspection_is_open=False)
_OF_THE_SCHEMA = {"__schema", "__type", "_service"}


def graphql_document(data: bytes) -> bool:
    """What is accepted stays below every limit when its fragments are spread out one by one; no refusal quotes it."""
    documents = _CLOSED if data[:1] == b"-" else _OPEN
    text = lenient_text_of(data[1:])
    try:
        document = documents.accept(text, operation_name=None)
    except DocumentRefused as refused:
        assert refused.problems
        assert all(len(str(problem["message"])) < 400 for problem in refused.problems)
        return False
    depth, aliases, fields = _spread_out(document)
    assert depth <= MAX_GRAPHQL_DEPTH or documents is _OPEN, data
    assert aliases <= MAX_GRAPHQL_ALIASES, data
    assert fields <= MAX_GRAPHQL_FIELDS + (MAX_GRAPHQL_INTROSPECTED if documents is _OPEN else 0), data
    assert documents is _OPEN or not _OF_THE_SCHEMA & _fields_of(document), data
    documents.accept(print_ast(document), operation_name=None)
    return True


def _fields_of(document: DocumentNode) -> set[str]:
    """Give the names of all fields; the same words in a text or as a type condition reveal nothing."""
    names: set[str] = set()

    class Fields(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            names.add(node.name.value)

    visit(document, Fields())
    return names


def _spread_out(document: DocumentNode) -> tuple[int, int, int]:
    fragments = {
        each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
    }

    def measure(node: Any, depth: int) -> tuple[int, int, int]:
        if isinstance(node, FragmentSpreadNode):
            return measure(fragments[node.name.value], depth)
        own = 1 if isinstance(node, FieldNode) else 0
        alias = 1 if own and node.alias is not None else 0
        below = [
            measure(each, depth + own)
            for each in (node.selection_set.selections if getattr(node, "selection_set", None) else ())
        ]
        return (
            max([depth + own, *(each[0] for each in below)]),
            alias + sum(each[1] for each in below),
            own + sum(each[2] for each in below),
        )

    parts = [
        measure(each, 0) for each in document.definitions if not isinstance(each, FragmentDefinitionNode)
    ]
    return max(part[0] for part in parts), sum(part[1] for part in parts), sum(part[2] for part in parts)


TARGETS = {
    "JSON body": Target(
        check=json_body,
        seeds=(
            b'{"email":"a@b.example","password":"x","n":[1,2.5,true,null]}',
            b'{"a":1,"a":2}',
            b'{"a":NaN}',
            b'{"a":1e999}',
            b'{"a":"\\u0000"}',
            b'{"a":"\\ud800"}',
            b'{"a":"\\ud83d\\ude00"}',
            b"\xef\xbb\xbf{}",
            b"[" * 33 + b"]" * 33,
            b'{"a":' * 32 + b"1" + b"}" * 32,
            b"[" * 60000,
            b'{"a":' + b"1" * 5000 + b"}",
            b"\xff",
            b'{"a":-0}',
            b" 1",
        ),
        words=(b"\\u", b"\\ud800", b"NaN", b"Infinity", b"1e999", b'"a":', b"{}", b"[]", b"-0"),
    ),
    "GraphQL document": Target(
        check=graphql_document,
        seeds=(
            b"-{ me { id email } }",
            b"+query Q($id: ID!) { organization(id: $id) { id name } }",
            b"+{ a: me { id } b: me { id } ...F } fragment F on Query { mySessions { id } }",
            b"-{ ...A } fragment A on Query { ...B ...B } fragment B on Query { ...A }",
            b"-{ __schema { types { name } } }",
            b'-{ _entities(representations: [{__typename: " __schema { types }", id: 1}]) { __typename } }',
            b"+{ __schema { types { fields { type { ofType { ofType { ofType { name } } } } } } } }",
            b"+{ _service { sdl } }",
            b"-{" + b"a: me{id} " * 21 + b"}",
            b"-" + b"{a" * 100 + b"}" * 100,
            b'-{ organization(id: "\\uD83D") { id } }',
            b"-subscription { x }",
            b"+{ me @skip(if: true) { id @include(if: false) } }",
            b"-query A { me { id } } query B { me { id } }",
            b'-{ _entities(representations: [{__typename: "User", id: 1}]) { ... on User { id } } }',
        ),
        words=(
            b"fragment F on Query ",
            b"...F",
            b"... on Query ",
            b"{ me { id } }",
            b"__typename",
            b"myApiKeys",
            b"a: ",
            b"$id: ID!",
            b'"""',
        ),
        share=0.5,
    ),
}
