"""
Compiled statements that all databases of a test process share.

SQLAlchemy compiles a statement once for each engine. A server has one deployment for weeks; here each test has one of
its own, and a tenth of the time would go into compiling the same statements for it again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect, Engine
from sqlalchemy.util import LRUCache

_SHARED: LRUCache[Any, Any] = LRUCache(5000)


class _OfOneKind:
    """The shared statements for one dialect: what SQLAlchemy asks of an engine's cache."""

    def __init__(self, dialect: Dialect) -> None:
        self._kind = (type(dialect), dialect.driver)

    def get(self, key: tuple[Any, ...]) -> Any:
        return _SHARED.get((self._kind, *key[1:]))

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        _SHARED[(self._kind, *key[1:])] = compiled

    def clear(self) -> None:
        """Keep them: an engine that is given up leaves them to the next."""


class _SharedByAll:
    """Stands for the attribute of each engine in which SQLAlchemy keeps its own cache."""

    def __get__(self, engine: Engine, owner: type[Engine]) -> _OfOneKind:
        return _OfOneKind(engine.dialect)

    def __set__(self, engine: Engine, own: object) -> None:
        pass


def share_compiled_statements() -> None:
    """Let the engines of this process share what they compile, each kind of database its own."""
    Engine._compiled_cache = _SharedByAll()  # type: ignore[assignment]
