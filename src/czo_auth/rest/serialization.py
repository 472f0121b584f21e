"""JSON of what routes return; a long list does not stop the other requests of the process."""

from __future__ import annotations

from typing import Any

from czo_auth.asgi.long_lists import in_turns, is_long, write_json
from czo_auth.rest import records
from czo_auth.rest.records import Record


async def serialize(answer: object) -> bytes:
    """Write the result of a route (a record, a list of records, an object or null) as JSON."""
    return await write_json(await _values(answer))


async def _values(answer: object) -> object:
    """Return *answer* as JSON values."""
    if is_long(answer):
        return await _dumped(answer)
    if not isinstance(answer, Record):
        return records.dump(answer)
    long = {name: value for name, value in answer if is_long(value) and isinstance(value[0], Record)}
    if not long:
        return answer.dump()
    values = answer.model_copy(update={name: [] for name in long}).dump()
    for name, listed in long.items():
        values[type(answer).model_fields[name].serialization_alias or name] = await _dumped(listed)
    return values


async def _dumped(listed: list[Any]) -> list[object]:
    return [records.dump(each) async for each in in_turns(listed)]
