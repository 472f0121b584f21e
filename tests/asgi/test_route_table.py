"""The table of routes: it finds what trying one route after the other finds, and tries few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, NoMatchFound, Route

from czo_auth.asgi.route_table import RouteTable, one_by_one
from czo_auth.rest.app import BETTER_AUTH, NATIVE
from czo_auth.web.app import GROUPS

METHODS = ("GET", "HEAD", "POST", "DELETE")
MAX_TRIED = 20


def an_answer(_: Any) -> Response:
    return Response()


REST: list[BaseRoute] = [route for module in (*BETTER_AUTH, *NATIVE) for route in module.routes.router.routes]
PAGES: list[BaseRoute] = [route for group in GROUPS for route in group.pages.routes]
CROSSED: list[BaseRoute] = [
    Route("/a/{one}", an_answer, methods=["GET"]),
    Route("/a/fixed", an_answer, methods=["POST"]),
    Route("/{any}", an_answer, methods=["DELETE"]),
    Route("/fixed", an_answer, methods=["GET"]),
    Route("/{any}/fixed", an_answer, methods=["PUT"]),
    Route("/a{half}/fixed", an_answer, methods=["PATCH"]),
    Route("/a/{rest:path}", an_answer, methods=["DELETE"]),
    Mount("/mounted", routes=[Route("/inner", an_answer)]),
    Route("/", an_answer),
]
TABLES = {"rest": REST, "pages": PAGES, "crossed": CROSSED}


@pytest.mark.parametrize("routes", TABLES.values(), ids=TABLES)
def test_table_finds_what_the_routes_find_one_after_the_other(routes: Sequence[BaseRoute]) -> None:
    table = RouteTable(routes)
    for path in sorted(set(asked(routes))):
        for method in METHODS:
            match, found = first_of(routes, path, method)
            in_table, inner = table.matches(a_scope(path, method))
            assert (in_table, inner.get("czo_auth.route")) == (match, found), (method, path)


@pytest.mark.parametrize("routes", [REST, PAGES], ids=["rest", "pages"])
def test_few_routes_are_tried_for_a_request(routes: Sequence[BaseRoute]) -> None:
    table = RouteTable(routes)
    tried = {path: len(table.at(a_scope(path, "GET"))) for path in asked(routes)}
    worst = max(tried, key=tried.__getitem__)
    assert tried[worst] <= MAX_TRIED, worst
    assert sum(tried.values()) / len(tried) < len(routes) / 20


def test_routes_decide_for_themselves_where_the_table_cannot_know() -> None:
    table = RouteTable(CROSSED)
    assert table.at({**a_scope("/x/fixed", "GET"), "root_path": "/x"}) == tuple(CROSSED)
    assert table.matches({"type": "websocket", "path": "/fixed"}) == (Match.NONE, {})


def test_table_names_its_routes_and_their_addresses() -> None:
    table = RouteTable([Route("/a/{one}", an_answer, name="one")])
    before = Route("/before", an_answer)
    assert one_by_one([before, table]) == [before, *table.routes]
    assert table.url_path_for("one", one="b") == "/a/b"
    with pytest.raises(NoMatchFound):
        table.url_path_for("two")


def asked(routes: Sequence[BaseRoute]) -> Iterator[str]:
    """Give a path of every route, and others that look like it."""
    for route in routes:
        path: str = getattr(route, "path", "/")
        filled = path.replace("{", "").replace(":path", "").replace("}", "")
        yield from (path, filled, filled + "/", filled + "/x", "/" + filled, filled[:-1])
    yield from ("", "/", "//", "x", "/%", "/mounted", "/mounted/inner", "/mounted/", "/no", "/no/such/path")


def first_of(routes: Sequence[BaseRoute], path: str, method: str) -> tuple[Match, BaseRoute | None]:
    partial: tuple[Match, BaseRoute | None] = Match.NONE, None
    for route in routes:
        match, _ = route.matches(a_scope(path, method))
        if match is Match.FULL:
            return match, route
        if match is Match.PARTIAL and partial[0] is Match.NONE:
            partial = match, route
    return partial


def a_scope(path: str, method: str) -> dict[str, Any]:
    return {"type": "http", "path": path, "method": method, "root_path": "", "headers": []}
