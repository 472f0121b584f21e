"""The span and the duration of one request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from starlette.types import Message, Scope

from czo_auth.asgi.admission import AppState

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "_OTHER"
"""What the conventions call a method that a stranger made up."""


@dataclass(slots=True)
class Answer:
    """
    What is noted of an answer.

    Attributes:
        status: 500 until one was sent.
    """

    status: int = 500

    def note(self, message: Message) -> None:
        """Look at a message that is sent."""
        if message["type"] == "http.response.start":
            self.status = message["status"]


@contextmanager
def measured(
    app_state: AppState, scope: Scope, *, route: str | None = None, base: str = ""
) -> Iterator[Answer]:
    """
    Measure the request of *scope*.

    A trace that a trusted proxy began is continued; a ``traceparent`` of anybody else is ignored, for it could join
    strangers' requests, or have everything recorded. Paths are told as the route's pattern, never as they were sent.

    Args:
        route: Its pattern, where the framework leaves none in *scope*.
        base: What stands before the framework's pattern.
    """
    client = scope.get("client")
    is_trusted = client is not None and app_state.clients.is_trusted(str(client[0]))
    answer = Answer()
    with app_state.runtime.telemetry.request(scope["headers"] if is_trusted else None) as work:
        try:
            yield answer
        finally:
            method = scope["method"] if scope["method"] in _METHODS else _OTHER
            found = route or _pattern(scope, base)
            name = "HTTP" if method == _OTHER else method
            work.rename(name if found is None else f"{name} {found}")
            labels = {"http.request.method": method, "http.response.status_code": answer.status}
            work.labels |= labels if found is None else {**labels, "http.route": found}
            for name, value in work.labels.items():
                work.set(name, value)
            if answer.status >= 500:
                work.fail(str(answer.status))


def _pattern(scope: Scope, base: str) -> str | None:
    pattern = getattr(scope.get("route"), "path", None)
    return None if pattern is None else f"{base}{pattern}"
