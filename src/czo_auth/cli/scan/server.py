"""The deployment that the keys may belong to: asked whether they are valid, and sent leak reports."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

_REFUSALS_OF_LIVE_KEYS = frozenset(
    {
        (403, "TWO_FACTOR_SETUP_REQUIRED"),
        (403, "IP_ADDRESS_NOT_ALLOWED"),
        (429, "RATE_LIMIT_EXCEEDED"),
    }
)
"""
Refusals of this use of a key: its owner must enroll first, this address is not allowed, or the key is over a limit.
"""
BASE_PATH = "/api/auth"
_KEYS_PER_REPORT = 100
_TRIES = 3
_MAX_WAIT_SECONDS = 60
_TIMEOUT_SECONDS = 30
_RETRY_AFTER = re.compile(r"[0-9]{1,6}")


class NoUsableAnswer(Exception):
    """The server gave no usable answer; the message never contains a key."""


class Server:
    """
    Sends keys to one deployment, over https or within this machine, and nowhere else: no redirect is followed.

    Raises:
        ValueError: The address would send keys readable over a network, or is not one.
    """

    def __init__(self, url: str) -> None:
        import httpx

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("the address must be like https://auth.example.com")
        if parts.username is not None:
            raise ValueError("the address must hold no password")
        is_near = _is_loopback(parts.hostname)
        if parts.scheme == "http" and not is_near:
            raise ValueError("keys are sent over https only, but to this machine itself")
        self._base = url.rstrip("/") + ("" if parts.path.strip("/") else BASE_PATH)
        try:
            httpx.URL(self._base)
        except httpx.InvalidURL:
            raise ValueError("the address must be like https://auth.example.com") from None
        # A proxy can read plain http; over https it only sees a tunnel.
        self._client = httpx.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=not is_near)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def accepts(self, key: str) -> bool:
        """
        Return whether the deployment accepts *key*; this counts as a use of the key.

        Raises:
            NoUsableAnswer: It does not answer, or another server does.
        """
        answer = self._send("GET", "/whoami", headers={"authorization": f"Bearer {key}"})
        if answer.status_code == 401 and _code(answer) == "INVALID_API_KEY":
            return False
        if (answer.status_code, _code(answer)) in _REFUSALS_OF_LIVE_KEYS:
            return True
        if answer.status_code == 200 and _json(answer).get("kind") == "api_key":
            return True
        raise NoUsableAnswer(_unexpected_answer(answer))

    def report(self, keys: Iterable[str]) -> None:
        """
        Report *keys* as leaked; the deployment revokes or quarantines those that it knows.

        Raises:
            NoUsableAnswer: It does not answer, or another server does.
        """
        waiting = list(keys)
        while waiting:
            now, waiting = waiting[:_KEYS_PER_REPORT], waiting[_KEYS_PER_REPORT:]
            answer = self._send("POST", "/api-keys/report-leak", json=[{"token": key} for key in now])
            if answer.status_code != 200 or _json(answer).get("status") is not True:
                raise NoUsableAnswer(_unexpected_answer(answer))

    def _send(self, method: str, path: str, **what: object) -> httpx.Response:
        import httpx

        tries = 0
        while True:
            tries += 1
            try:
                answer = self._client.request(method, self._base + path, **what)  # type: ignore[arg-type]
            except httpx.HTTPError as error:
                raise NoUsableAnswer(f"the server does not answer ({type(error).__name__})") from None
            if answer.status_code not in (429, 503) or tries == _TRIES:
                return answer
            if (answer.status_code, _code(answer)) in _REFUSALS_OF_LIVE_KEYS:
                return answer
            wait = answer.headers.get("retry-after", "")
            time.sleep(min(int(wait), _MAX_WAIT_SECONDS) if _RETRY_AFTER.fullmatch(wait) else 1)


def _json(answer: httpx.Response) -> dict[str, object]:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _code(answer: httpx.Response) -> object:
    return _json(answer).get("code")


def _unexpected_answer(answer: httpx.Response) -> str:
    return f"the server answered {answer.status_code}, which says nothing about keys: is the address right?"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
