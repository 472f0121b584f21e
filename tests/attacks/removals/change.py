"""A request that takes a right away, and the kinds of such requests by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.attacks.removable import Credential, Key, Removable, SignedIn

Body = object | Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Change:
    """
    One request that takes something away.

    Attributes:
        body: What is sent, or a function that returns it when it is sent.
        takes: What it ends.
        status: Of the answer.
        delay: Seconds after which the change takes effect.
    """

    method: str
    path: str
    bearer: str
    takes: Sequence[Credential]
    body: Body = None
    status: int = 200
    delay: float = 0.0
    kind: str = ""

    def content(self) -> object:
        """Return the body to send now."""
        return self.body() if callable(self.body) else self.body


Maker = Callable[[Removable], Awaitable[Change]]


class Kinds(dict[str, Maker]):
    """Kinds of changes by name, each with what makes one."""

    def add(self, name: str) -> Callable[[Maker], Maker]:
        """Add the decorated function as a kind."""

        def register(make: Maker) -> Maker:
            self[name] = make
            return make

        return register


async def by_administrator(
    made: Removable, method: str, path: str, *taken: Key | SignedIn, body: Body = None, status: int = 200
) -> Change:
    """Make the change that an administrator carries out, who has just signed in, and that ends all of *taken*."""
    return Change(
        method=method,
        path=path,
        bearer=await made.administrator(),
        body=body,
        status=status,
        takes=[credential for each in taken for credential in each.credentials],
    )
