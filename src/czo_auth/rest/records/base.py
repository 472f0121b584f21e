"""What all records share: camelCase names, times with milliseconds, and schemas without additional properties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


def token_schema(prefix: str) -> Schema:
    """Return the schema of an opaque token."""
    return {"type": "string", "pattern": f"^{prefix}[A-Za-z0-9_-]{{43}}$"}


Id = Annotated[str, WithJsonSchema(ID)]
Timestamp = Annotated[datetime, PlainSerializer(format_timestamp, return_type=str), WithJsonSchema(TIME)]
Day = Annotated[date, WithJsonSchema(DAY)]
Count = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0})]
Object = Annotated[
    Mapping[str, Any], PlainSerializer(dict, return_type=dict), WithJsonSchema({"type": "object"})
]

ABSENT_IF_NONE: Final[Any] = Field(default=None, exclude_if=lambda value: value is None)
"""A field that is absent from an answer if it does not apply."""


# No text that was sent or stored contains this character.
_NOT_SET: Final = "\x00"
ABSENT_UNLESS_SET: Final[Any] = Field(default=_NOT_SET, exclude_if=lambda value: value == _NOT_SET)
"""A field that may be absent from an answer, or null."""


class Record(BaseModel):
    """
    One kind of object in answers; without secrets unless its name says so.

    The source of its schema in the OpenAPI document, and of its JSON in routes and on the command line.
    """

    model_config = ConfigDict(
        # At its first use: building all of them would cost each start a tenth of a second.
        defer_build=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    def dump(self) -> Json:
        """Return the record as JSON values."""
        return self.model_dump(mode="json", by_alias=True)

    def dump_json(self) -> bytes:
        """Return the record as JSON text in UTF-8, without spaces; at half the cost of writing `dump`."""
        return self.model_dump_json(by_alias=True).encode()

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Show no field except the id: some records contain tokens, which must not get into logs."""
        if "id" in type(self).model_fields:
            yield "id", getattr(self, "id")  # noqa: B009 - not all records have one


class OAuthRecord(Record):
    """A record of an OAuth endpoint: names with underscores, as in the RFCs."""

    model_config = ConfigDict(alias_generator=None)


class Listed(Record):
    """
    A page of a list.

    Attributes:
        total: How many records match, on all pages.
        next_cursor: Where the next page begins; None on the last one.
    """

    total: Count
    next_cursor: str | None


def dump(answer: object) -> object:
    """Return the result of a route (a record, a list of records, an object or null) as JSON values."""
    if isinstance(answer, Record):
        return answer.dump()
    return [dump(each) for each in answer] if isinstance(answer, list) else answer
