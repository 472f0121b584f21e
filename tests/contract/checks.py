"""What holds for every answer (docs/reference/rest.md); each test that looks at one goes through here."""

from __future__ import annotations

import re
from typing import Any

from tests.contract.api import Answer

MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*")
_CODE = re.compile(r"[A-Z][A-Z0-9_]+")
_TIMES = re.compile(r"at|[a-zA-Z]+At|authTime")
_IDS = re.compile(r"id|[a-z]+Id")
_NO_IDS = {"configId", "requestId"}


_WITH_DETAILS = ("VALIDATION_ERROR", "LAST_OWNER", "INSUFFICIENT_SCOPE", "MEMBER_HAS_API_KEYS")


def accepted(answer: Answer, status: int = 200) -> Any:
    """Give the JSON of *answer*, which has *status* and the form of every success; None for 204."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    is_public = answer.url.path.endswith(("/jwks", "/jwks.json"))
    assert answer.headers["cache-control"] == ("public, max-age=300" if is_public else "no-store")
    assert "www-authenticate" not in answer.headers
    if status == 204:
        assert answer.content == b""
        return None
    assert answer.headers["content-type"] == "application/json"
    value = answer.json()
    _well_formed(value)
    return value


def refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """Give the body of *answer*, which refuses with *status* and *code* in the one form of errors."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body.get("code")) == (status, code), answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert body["status"] == status
    assert _CODE.fullmatch(body["code"])
    assert isinstance(body["message"], str)
    assert body["message"]
    # OAuth endpoints say it twice: in the words of RFC 6749 too.
    assert set(body) - {"error", "error_description"} <= {
        "code",
        "message",
        "status",
        "details",
        "retryAfter",
    }
    assert ("error" in body) == ("error_description" in body)
    for detail in body.get("details", []):
        assert set(detail) == {"loc", "msg"}
        where = detail["loc"]
        assert all(
            isinstance(text, str) for text in (detail["msg"], *([where] if isinstance(where, str) else where))
        )
    assert (body.get("details") is not None) == (code in _WITH_DETAILS)
    assert answer.headers.get("retry-after") == (str(body["retryAfter"]) if "retryAfter" in body else None)
    if status == 401:
        challenge = "Bearer"
        if code in ("INVALID_TOKEN", "INVALID_API_KEY"):
            challenge = 'Bearer error="invalid_token"'
        assert answer.headers["www-authenticate"] == challenge
    elif code == "INSUFFICIENT_SCOPE":
        scopes = " ".join(detail["loc"][1] for detail in body["details"])
        challenge = f'Bearer error="insufficient_scope", scope="{scopes}"'
        assert answer.headers["www-authenticate"] == challenge
    else:
        assert "www-authenticate" not in answer.headers
    return body


def _well_formed(value: Any) -> None:
    """Check names, times and ids at every depth; what a user wrote (metadata) is not ours to judge."""
    if isinstance(value, list):
        for one in value:
            _well_formed(one)
    if not isinstance(value, dict):
        return
    for name, part in value.items():
        assert _CAMEL.fullmatch(name), name
        if part is not None and _TIMES.fullmatch(name):
            assert MOMENT.fullmatch(part), f"{name}: {part}"
        if isinstance(part, str) and _IDS.fullmatch(name) and name not in _NO_IDS:
            assert UUID7.fullmatch(part), f"{name}: {part}"
        if name not in ("metadata", "details"):
            _well_formed(part)
