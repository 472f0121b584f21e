"""What all records share: names in camelCase, times with three digits, and a schema that leaves nothing open."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from czo_auth.asgi.timestamps import format_timestamp

Json = dict[str, object]
Schema = dict[str, Any]

ID: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
TIME: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
}

DAY: Final[Schema] = {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}

Id = Annotated[str, WithJsonSchema(ID)]
Timestamp = Annotated[datetime, PlainSerializer(format_timestamp, return_type=str), WithJsonSchema(TIME)]
Day = Annotated[date, WithJsonSchema(DAY)]
Count = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0})]
Object = Annotated[
    Mapping[str, Any], PlainSerializer(dict, return_type=dict), WithJsonSchema({"type": "object"})
]

LEFT_OUT: Final[Any] = Field(default=None, exclude_if=lambda value: value is None)
"""A field that an answer does not have where there is nothing to say."""

REFERENCES: Final = "#/components/schemas/{model}"


class Record(BaseModel):
    """
    One kind of thing that answers hold, without secrets unless its name says so.

    The OpenAPI document takes its schema from here, the routes and the command line its JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    def dump(self) -> Json:
        """Return the record as JSON has it."""
        return self.model_dump(mode="json", by_alias=True)


class Listed(Record):
    """
    A page of a list.

    Attributes:
        total: All records that match, on whatever page.
        next_cursor: Where the next page begins; None on the last one.
    """

    total: Count
    next_cursor: str | None


def schemas_of(model: type[Record]) -> dict[str, Schema]:
    """Return the schemas of *model* and of all records in it, by name."""
    whole = model.model_json_schema(by_alias=True, mode="serialization", ref_template=REFERENCES)
    found = whole.pop("$defs", {})
    return {name: _closed(schema) for name, schema in {**found, model.__name__: whole}.items()}


def _closed(schema: Schema) -> Schema:
    """Return which fields are always there, and nothing that Python adds."""
    properties = schema["properties"]
    left_out = {name for name, field in properties.items() if "default" in field and field["default"] is None}
    return {
        "type": "object",
        "properties": {
            name: _bare(_without_null(field) if name in left_out else field)
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
