"""
Finding a route without trying all of them.

Starlette and FastAPI try one route after the other, so a request pays for every route before its own. Here
a path without parameters is found by one lookup, and another is compared with the routes that begin as it does and are
as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final, TypeGuard

from starlette.convertors import FloatConvertor, IntegerConvertor, StringConvertor, UUIDConvertor
from starlette.routing import BaseRoute, Match, NoMatchFound, Route
from starlette.types import Receive, Scope, Send

_FOUND: Final = "czo_auth.route"
"""Key in the scope under which the route that was found waits until it is to answer."""

_OF_ONE_PART: Final = frozenset({FloatConvertor, IntegerConvertor, StringConvertor, UUIDConvertor})
"""What never matches a slash."""

_Shape = tuple[str, int]
"""The first part of a path, and how many slashes it has."""

_Numbered = tuple[int, BaseRoute]
"""A route and its place in the order."""


class RouteTable(BaseRoute):
    """
    Many routes as one, with the same result as trying them one after the other.

    Args:
        routes: In their order. Anything other than a plain `Route` is tried for every path.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self.routes: Final[Sequence[BaseRoute]] = tuple(routes)
        variable: dict[_Shape | None, list[_Numbered]] = {None: []}
        fixed: dict[str, list[_Numbered]] = {}
        for numbered in enumerate(self.routes):
            route = numbered[1]
            if _is_fixed(route):
                fixed.setdefault(route.path, []).append(numbered)
            else:
                variable.setdefault(_shape_of(route), []).append(numbered)
        of_any_shape = variable.pop(None)
        self._of_any_shape = _in_order(of_any_shape)
        self._by_shape: Mapping[_Shape, Sequence[BaseRoute]] = {
            shape: _in_order(of_any_shape, routes) for shape, routes in variable.items() if shape is not None
        }
        self._by_path: Mapping[str, Sequence[BaseRoute]] = {
            path: _in_order(
                same,
                (
                    numbered
                    for numbered in (*of_any_shape, *variable.get(_shape(path), ()))
                    if _may_match(numbered[1], path)
                ),
            )
            for path, same in fixed.items()
        }

    def at(self, scope: Scope) -> Sequence[BaseRoute]:
        """Return, in their order, the routes that a path may belong to; all others do not match it."""
        if scope.get("root_path"):
            # What of the path is ours to compare, the routes know.
            return self.routes
        path: str = scope["path"]
        found = self._by_path.get(path)
        if found is not None:
            return found
        return self._by_shape.get(_shape(path), self._of_any_shape)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Find the first route that matches, or else the first that would by another method."""
        if scope["type"] != "http":
            return Match.NONE, {}
        partial: tuple[Match, Scope] = Match.NONE, {}
        for route in self.at(scope):
            match, inner = route.matches(scope)
            if match is Match.NONE:
                continue
            found = match, {"route": route, **inner, _FOUND: route}
            if match is Match.FULL:
                return found
            if partial[0] is Match.NONE:
                partial = found
        return partial

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route that was found answer."""
        route: BaseRoute = scope.pop(_FOUND)
        await route.handle(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        """Return the URL path of the route called *name*, as Starlette does."""
        for route in self.routes:
            try:
                return route.url_path_for(name, **path_params)
            except NoMatchFound:
                continue
        raise NoMatchFound(name, path_params)


def one_by_one(routes: Iterable[BaseRoute]) -> list[BaseRoute]:
    """List *routes*, and instead of a table those in it."""
    return [
        each for route in routes for each in (route.routes if isinstance(route, RouteTable) else (route,))
    ]


def _is_fixed(route: BaseRoute) -> TypeGuard[Route]:
    return isinstance(route, Route) and not route.param_convertors


def _may_match(route: BaseRoute, path: str) -> bool:
    return not isinstance(route, Route) or route.path_regex.match(path) is not None


def _shape(path: str) -> _Shape:
    return path[1:].partition("/")[0], path.count("/")


def _shape_of(route: BaseRoute) -> _Shape | None:
    """Return the shape of all paths of a route; None where they have no common one."""
    if not isinstance(route, Route) or any(
        type(convertor) not in _OF_ONE_PART for convertor in route.param_convertors.values()
    ):
        return None
    shape = _shape(route.path)
    return None if "{" in shape[0] else shape


def _in_order(*groups: Iterable[_Numbered]) -> Sequence[BaseRoute]:
    return tuple(route for _, route in sorted(chain.from_iterable(groups), key=itemgetter(0)))
