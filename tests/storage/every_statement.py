"""Every statement that the stores can send: each of their methods called, its arguments made from its signature."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections import abc
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Engine, event

from czo_auth.core.actors import ActorType
from czo_auth.core.api_keys.usage import GatheredUses
from czo_auth.core.context import system_context
from czo_auth.core.transaction import Transaction
from czo_auth.storage import Storage
from czo_auth.storage.transaction import SqlTransaction
from tests.support.records import NOW, a_digest, an_id

PLAIN = ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")
WITHOUT_STATEMENTS = frozenset(
    {
        *("audit_log.record", "audit_log.recorded", "audit_log.flush"),
        *(
            "audit_removal.lock_audit",
            "sessions.lock_signing_keys",
            "users.lock_administrators",
            "challenges.lock_challenges",
            "webhooks.lock",
        ),
    }
)
"""Methods that keep something for later, or take a lock that SQLite does not have."""


@dataclass(frozen=True)
class Sent:
    """
    A statement that a method sent.

    Attributes:
        method: Of a transaction's store, like ``users.find``.
        plan: What the database would do for it.
    """

    method: str
    sql: str
    plan: Any


Explain = Callable[[Connection, str, Any], Any]


def methods() -> Iterator[tuple[str, Callable[..., Any]]]:
    """List the methods of all stores of a transaction."""
    for store, made in inspect.getmembers(SqlTransaction, lambda each: isinstance(each, cached_property)):
        kind = typing.get_type_hints(made.func)["return"]
        for name, method in inspect.getmembers(kind, inspect.isfunction):
            if not name.startswith("_"):
                yield f"{store}.{name}", method


async def every_statement(storage: Storage, explain: Explain, *, before: str | None = None) -> list[Sent]:
    """
    Call every method in a transaction of its own, which is undone, and explain what it sends.

    Args:
        before: A statement that each transaction begins with.
    """
    found: list[Sent] = []
    silent = set()
    for name, method in methods():
        seen = len(found)
        for arguments in _calls(method):
            await _undone(storage, name, arguments, explain, found, before)
        if len(found) == seen:
            silent.add(name)
    assert not silent - WITHOUT_STATEMENTS, sorted(silent - WITHOUT_STATEMENTS)
    return found


class _Undo(Exception):
    """Takes back what a call did."""


async def _undone(
    storage: Storage,
    name: str,
    arguments: Mapping[str, Any],
    explain: Explain,
    found: list[Sent],
    before: str | None,
) -> None:
    explains = False

    def note(connection: Connection, _cursor: object, statement: str, values: Any, *rest: Any) -> None:
        nonlocal explains
        if explains or not statement.lstrip().startswith(PLAIN):
            return
        explains = True
        first = values[0] if rest[-1] else values
        found.append(Sent(name, " ".join(statement.split()), explain(connection, statement, first)))
        explains = False

    def step(tx: Transaction) -> None:
        if before is not None:
            typing.cast(SqlTransaction, tx).connection.exec_driver_sql(before)
        store, _, method = name.partition(".")
        event.listen(Engine, "before_cursor_execute", note)
        try:
            getattr(getattr(tx, store), method)(**arguments)
        except Exception as error:
            # A row that is refused was sent, and that is all that counts here.
            raise _Undo from error
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        raise _Undo

    with suppress(_Undo):
        await storage.transactions.run(step, system_context(NOW))


def _calls(method: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Make arguments: everything given, and then one after the other in every other way."""
    hints = typing.get_type_hints(method)
    parameters = [name for name in inspect.signature(method).parameters if name != "self"]
    first = {name: next(iter(_values(hints[name], name))) for name in parameters}
    yield first
    for name in parameters:
        for other in list(_values(hints[name], name))[1:]:
            yield {**first, name: other}


def _values(hint: Any, name: str) -> Iterator[Any]:
    """Make values of a type, the fullest first; several where a statement may depend on it."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        yield from _values(next(part for part in parts if part is not type(None)), name)
        yield None
    elif origin is typing.Literal:
        yield from parts
    elif origin in (abc.Mapping, dict, types.MappingProxyType):
        yield {_value(parts[0], name): _value(parts[1], name)}
    elif origin is tuple:
        yield tuple(_value(part, name) for part in parts if part is not Ellipsis)
    elif origin in (abc.Sequence, abc.Collection, list, abc.Iterable):
        yield [_value(parts[0], name)]
    elif origin is frozenset or hint is frozenset:
        yield frozenset({_value(parts[0], name)})
    elif hint is bool:
        yield from (True, False)
    elif hint is ActorType:
        yield ActorType(name="customer", requires_two_factor=True, required_from=NOW, grace=timedelta(days=7))
    elif hint is GatheredUses:
        yield GatheredUses(used={NOW.date(): {an_id(): 1}})
    elif dataclasses.is_dataclass(hint):
        yield from _things(hint)
    elif hint in _SCALARS:
        yield _SCALARS[hint](name)
    elif isinstance(hint, type) and hint.__name__ in ("Mapping", "dict"):
        yield {"a": 1}
    else:
        yield "text"


def _value(hint: Any, name: str) -> Any:
    return next(iter(_values(hint, name)))


def _things(kind: Any) -> Iterator[Any]:
    """Make a dataclass; of a filter, all that it can ask for one by one."""
    hints = typing.get_type_hints(kind)
    fields = [each for each in dataclasses.fields(kind) if each.init]
    if all(each.default is not dataclasses.MISSING for each in fields):
        for each in fields:
            for value in _values(hints[each.name], each.name):
                yield kind(**{each.name: value})
        yield kind()
        return
    yield kind(**{each.name: _value(hints[each.name], each.name) for each in fields})


def _text(name: str) -> str:
    if name == "id" or name.endswith(("_id", "_ids")):
        return an_id()
    if "digest" in name:
        return a_digest()
    return f"{a_digest()[:12]}@example.com" if "email" in name else "text"


_SCALARS: dict[Any, Callable[[str], Any]] = {
    str: _text,
    int: lambda _: 5,
    float: lambda _: 5.0,
    datetime: lambda _: NOW,
    date: lambda _: NOW.date(),
    timedelta: lambda _: timedelta(hours=1),
}
