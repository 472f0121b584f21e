"""The comparison of the API between two revisions."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools.compare_api import EXPLAINED, check, differences

ROOT = Path(__file__).parents[2]
OK = {"description": "Done."}


def api(
    models: dict[str, Any], operation: dict[str, Any], graphql: str = "type Query { me: String }"
) -> dict[str, Any]:
    return {
        "openapi": {
            "openapi": "3.1.0",
            "paths": {"/keys": {"post": {"responses": {"200": OK}, **operation}}},
            "components": {"schemas": models},
        },
        "graphql": graphql,
    }


def body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def model(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def test_names_of_models_descriptions_and_orders_do_not_count() -> None:
    text, number = {"type": "string", "description": "A text."}, {"type": "integer"}
    old = api({"Body": model({"a": text, "b": number}, "a", "b")}, body(reference("Body")))
    new_model = model({"b": number, "a": {"type": "string", "title": "A"}}, "b", "a")
    assert differences(old, api({"KeyRequest": new_model}, body(reference("KeyRequest")))) == []
    assert differences(old, api({}, body(new_model))) == []


def test_a_field_that_is_called_as_a_word_of_the_format_is_one() -> None:
    names = ("description", "title", "required")
    fields = {name: {"type": "string"} for name in names}
    old, new = (api({"Key": model(given, *given)}, body(reference("Key"))) for given in ({}, fields))
    assert set(differences(old, new)) == {f"+ model Key {name} (required)" for name in names}


def test_every_kind_of_difference_is_a_line() -> None:
    text: dict[str, Any] = {"type": "string"}
    older = {"name": text | {"maxLength": 200}, "gone": text, "maybe": text, "kind": {"enum": ["a", "b"]}}
    newer = {
        "name": text | {"maxLength": 400},
        "maybe": {"anyOf": [text, {"type": "null"}]},
        "kind": {"enum": ["b", "c"]},
        "extra": text,
    }
    old = api({}, body(model(older, "name", "gone")))
    new = api({}, body(model(newer, "maybe", "extra")))
    new["openapi"]["paths"]["/keys"]["get"] = {}
    assert set(differences(old, new)) == {
        "+ GET /keys",
        "~ POST /keys requestBody name maxLength: 200 → 400",
        "~ POST /keys requestBody name is required: true → false",
        "- POST /keys requestBody gone (required)",
        "+ POST /keys requestBody maybe nullable: true",
        "~ POST /keys requestBody maybe is required: false → true",
        "+ POST /keys requestBody kind enum c",
        "- POST /keys requestBody kind enum a",
        "+ POST /keys requestBody extra (required)",
    }


def test_a_shared_model_is_compared_once_also_if_it_refers_to_itself() -> None:
    tree = model({"child": reference("Tree")})
    larger = model({"child": reference("Tree"), "size": {"type": "integer"}})
    old, new = (api({"Tree": each}, body(reference("Tree"))) for each in (tree, larger))
    assert differences(old, new) == ["+ model Tree size"]
    renamed = api({"Node": model({"child": reference("Node")})}, body(reference("Node")))
    assert differences(old, renamed) == []


def test_types_fields_and_arguments_of_graphql_are_compared() -> None:
    old = api({}, {}, 'type Query { "Own." me: String! keys(limit: Int): [String!]! } union Any = Query')
    new = api(
        {}, {}, "type Query { keys(limit: Int, after: ID): [String!]! me: String } type Key { id: ID! }"
    )
    assert differences(old, new) == [
        "- graphql Any: union_type",
        "+ graphql Key: object_type",
        "+ graphql Query keys after: ID",
        "~ graphql Query me: String! → String",
    ]


def test_what_is_unexplained_and_what_explains_nothing_is_reported() -> None:
    lines = ["+ GET /keys", "- model Key name (required)"]
    explained: dict[str, Any] = {"source": "F1", "reason": "keys are listed", "differences": ["+ * /keys"]}
    assert check(lines[:1], [explained])[1]
    report, is_right = check(lines, [explained])
    assert not is_right
    assert "unexplained: - model Key name (required)" in report
    report, is_right = check(lines[:1], [explained, explained | {"differences": ["+ GET /key"]}])
    assert not is_right
    assert "matches nothing: + GET /key" in report


@pytest.mark.deep
@pytest.mark.timeout(900)
def test_every_difference_from_before_the_renaming_is_explained() -> None:
    before = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))["before"]
    if subprocess.run(["git", "cat-file", "-e", f"{before}^{{commit}}"], cwd=ROOT, check=False).returncode:
        pytest.skip("the history is not here")
    asked = [sys.executable, "tools/compare_api.py"]
    ended = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_help_names_the_arguments() -> None:
    asked = [sys.executable, "tools/compare_api.py", "--help"]
    printed = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "[BEFORE] [AFTER]" in printed
