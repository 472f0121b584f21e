"""The schemas of responses, from the return types of the routes; they allow no additional properties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from czo_auth.rest.records import Schema

REFERENCES: Final = "#/components/schemas/{model}"


def schemas_of(answers: Mapping[str, Any]) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """
    Return the schemas of *answers*, and those of the records that they refer to, by name.

    Args:
        answers: Types by the names of their routes: records, lists and unions of them, None.
    """
    found, shared = TypeAdapter.json_schemas(
        [(name, "serialization", TypeAdapter(answer)) for name, answer in answers.items()],
        by_alias=True,
        ref_template=REFERENCES,
    )
    named = {name: _closed(schema) for name, schema in shared.get("$defs", {}).items()}
    return {name: _bare(schema) for (name, _), schema in found.items()}, named


def _closed(schema: Schema) -> Schema:
    """Mark the fields that are always present, and drop what Pydantic adds."""
    properties = schema["properties"]
    # Only a field that may be absent has a default; if the default is None, the field is never null.
    left_out = {name: field["default"] for name, field in properties.items() if "default" in field}
    return {
        "type": "object",
        "properties": {
            name: _bare(_without_null(field) if left_out.get(name, "") is None else field)
            for name, field in properties.items()
        },
        "required": [name for name in properties if name not in left_out],
        "additionalProperties": False,
    }


def _without_null(field: Schema) -> Schema:
    kinds = [kind for kind in field.get("anyOf", [field]) if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def _bare(schema: Any) -> Any:
    """Drop titles, defaults and the types that a list of values or a constant says already."""
    if isinstance(schema, list):
        return [_bare(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = {"title", "default"} | ({"type"} if schema.keys() & {"enum", "const"} else set())
    return {name: _bare(value) for name, value in schema.items() if name not in dropped}
