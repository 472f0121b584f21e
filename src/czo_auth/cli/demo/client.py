"""The demo's HTTP client: sends requests, compares the responses with the documentation, and prints each step."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import httpx

from czo_auth.cli.demo.printer import Mismatch, StepPrinter, clean

Answer = dict[str, Any]
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Client:
    """
    A client that keeps no cookies: each step says which credential it sends.

    Args:
        url: Of the server, without a final slash.
        base_path: Path that the API is mounted at.
    """

    def __init__(self, url: str, base_path: str, printer: StepPrinter) -> None:
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._base_path = base_path
        self._narrator = printer

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(
        self,
        what: str,
        method: str,
        path: str,
        *,
        status: int,
        code: str | None = None,
        body: Mapping[str, object] | None = None,
        bearer: str | None = None,
        has: Mapping[str, object] | None = None,
        lacks: Collection[str] = (),
        tell: Callable[[Answer], str] | None = None,
    ) -> Answer:
        """
        Make one step.

        Args:
            path: Below the base path; from the root when it begins with two slashes.
            status, code: What the contract says.
            has: Fields of the answer and their values; dots lead into objects.
            lacks: Fields that must not be there.
            tell: Makes the end of the line from the answer; by default what *has* names, or the code.

        Raises:
            Mismatch: The response differs.
        """
        path = path.removeprefix("/") if path.startswith("//") else self._base_path + path
        asked = f"{method} {_ID.sub(_first, path)}"
        try:
            answer = self._send(method, path, body, bearer, status=status, code=code)
            for field, wanted in (has or {}).items():
                same(field, wanted, _at(answer, field))
            for field in lacks:
                same(field, None, _at(answer, field))
        except Mismatch as mismatch:
            self._narrator.fault(what, asked, mismatch)
            raise
        told = tell(answer) if tell else code or _summary(has or {})
        self._narrator.step(what, asked, f"{status} {clean(told)}")
        return answer

    def peek(self, path: str, bearer: str) -> Answer:
        """Send a request that is not a step; empty if there is nothing to see."""
        try:
            return self._send("GET", self._base_path + path, None, bearer, status=200, code=None)
        except Mismatch:
            return {}

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        bearer: str | None,
        *,
        status: int,
        code: str | None,
    ) -> Answer:
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        try:
            response = self._http.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise Mismatch(f"an answer with {status}", f"{type(error).__name__}: {error}") from None
        self._http.cookies.clear()
        if session_token := response.headers.get("set-auth-token"):
            self._narrator.secret(session_token)
        wanted = f"{status} {code or ''}".rstrip()
        try:
            answer = response.json() if response.content else {}
        except ValueError:
            raise Mismatch(f"JSON with {wanted}", f"{response.status_code} and no JSON") from None
        if response.status_code != status or (code is not None and answer.get("code") != code):
            raise Mismatch(wanted, f"{response.status_code} {response.text}")
        return answer if isinstance(answer, dict) else {}


def same(name: str, wanted: object, got: object) -> None:
    """
    Compare.

    Raises:
        Mismatch: They differ.
    """
    if got != wanted:
        raise Mismatch(f"{name}: {wanted!r}", f"{got!r}")


def _summary(has: Mapping[str, object]) -> str:
    return ", ".join(f"{path.rpartition('.')[2]}: {_short(wanted)}" for path, wanted in has.items())


def _first(found: re.Match[str]) -> str:
    return f"{found[0][:8]}…"


def _at(answer: object, path: str) -> object:
    for name in path.split("."):
        if isinstance(answer, list) and name.isdecimal() and int(name) < len(answer):
            answer = answer[int(name)]
        elif isinstance(answer, dict):
            answer = answer.get(name)
        else:
            return None
    return answer


def _short(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case list():
            return "[" + ", ".join(_short(each) for each in value) + "]"
        case _:
            return str(value)
