"""JSON of what routes return; a long list does not stop the other requests of the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from czo_auth.asgi.long_lists import in_parts, in_turns, is_long, write_json
from czo_auth.core.paging import Page
from czo_auth.rest import records
from czo_auth.rest.records import Record

T = TypeVar("T")
L = TypeVar("L", bound=Record)


async def listed(make: Callable[[Page[T]], L], page: Page[T]) -> L:
    """
    Make the record of a *page* in parts, and let other requests run in between.

    Making the record of an item costs as much as writing it.

    Args:
        make: Makes the record of a page, with one list that has a record for each item.
    """
    parts = [make(replace(page, items=items)) async for items in in_parts(page.items)]
    if len(parts) == 1:
        return parts[0]
    lists = [name for name, value in parts[0] if isinstance(value, list)]
    together = {name: [each for part in parts for each in getattr(part, name)] for name in lists}
    return parts[0].model_copy(update=together)


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
