"""
Walks the real server by its own description: Schemathesis over OpenAPI and GraphQL.

Every answer is held against the document (status, content type, headers, body), against the shape of errors, and
against what must never be there: a 5xx, a secret of the request, an answer that may be stored.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, FuzzScenarioFinished, NonFatalError, ScenarioFinished

CHECKS = {
    "not_a_server_error": {"enabled": True},
    "status_code_conformance": {"enabled": True},
    "content_type_conformance": {"enabled": True},
    "response_headers_conformance": {"enabled": True},
    "response_schema_conformance": {"enabled": True},
    "unsupported_method": {"enabled": True},
    "use_after_free": {"enabled": True},
    # /api-keys/verify is also an address of /api-keys/{key_id}, with its methods.
    "allow_header_conformance": {"enabled": False},
    # What is right by its schema may still be refused: a wrong password, a slug that is taken.
    "positive_data_acceptance": {"enabled": False},
    # Some routes ignore fields that they do not know, by contract.
    "negative_data_rejection": {"enabled": False},
    # The credential is put in below the engine, which would take every request for one without.
    "ignored_auth": {"enabled": False},
    "missing_required_header": {"enabled": False},
    # Whether what was created can be found is up to who asks.
    "ensure_resource_availability": {"enabled": False},
}
SECRETS = frozenset(
    {
        "password",
        "currentPassword",
        "newPassword",
        "code",
        "challenge",
        "refreshToken",
        "key",
        "token",
        "secret",
    }
)
FIELDS = {
    "currentPassword": "password",
    "userId": "user_id",
    "memberIdOrEmail": "email",
    "organizationId": "organization_id",
    "serviceAccountId": "account_id",
    "keyId": "key_id",
    "invitationId": "invitation_id",
}
"""Fields that hold what a path calls by another name."""
ENDS = re.compile(r"^DELETE|delete|/(leave|remove-member|revoke|report-leak|change-password|ban)")
"""Operations that end something which exists."""
OAUTH_ERROR = frozenset({"error", "error_description"})
OAUTH_PATH = re.compile(r"/(token|introspect|device)(/[a-z]+)?$")

Credential = Callable[[], str | None]
"""Gives a Bearer token that counts; asked again when one was refused."""


@dataclass
class Walk:
    """What a walk saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    findings: dict[str, str] = field(default_factory=dict)
    operations: set[str] = field(default_factory=set)
    answers: dict[str, Counter[int]] = field(default_factory=dict)
    """How often each operation gave each status; a refused GraphQL field counts as 400."""

    @property
    def requests(self) -> int:
        return self.statuses.total()


def walk(
    url: str,
    *,
    path: str,
    credential: Credential,
    seed: int,
    examples: int,
    seconds: int,
    phases: tuple[str, ...] = ("examples", "coverage", "fuzzing", "stateful"),
    known: Callable[[], Mapping[str, Sequence[Any]]] = dict,
    positive: bool = False,
) -> Walk:
    """
    Ask everything that the description at *path* describes.

    Args:
        url: Where the server is.
        path: Of the OpenAPI document, or of GraphQL.
        examples: Generated for each operation and phase.
        seconds: After so many, no new example is begun.
        known: Gives values that exist, by the names of parameters and fields. Every other request gets them in place of
            generated ones, or hardly any would come past "not found".
        positive: Generate only what is right by the schema, always with values that exist: to be accepted where it can.
    """
    draw = random.Random(seed)
    seen = Walk()
    token = credential()
    if path == "/graphql":
        # There, a refused field is an error under status 200; a fault of ours has a code, looked for below.
        config = _config(seed, examples, seconds, phases, CHECKS | {"not_a_server_error": {"enabled": False}})
        schema: Any = schemathesis.graphql.from_url(url + path, config=config, headers=_bearer(token))
    else:
        mode = "positive" if positive else "all"
        config = _config(seed, examples, seconds, phases, CHECKS, mode=mode)
        schema = schemathesis.openapi.from_url(url + path, config=config)

    @schemathesis.hook
    def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
        nonlocal token
        if token is None:
            token = credential()
        case.headers = {**(case.headers or {}), **_bearer(token)}
        if positive or draw.random() < 0.5:
            _put_in(case, known(), draw)

    @schemathesis.hook
    def after_call(context: Any, case: Any, response: Any) -> None:
        nonlocal token
        seen.statuses[response.status_code] += 1
        seen.operations.add(case.operation.label)
        status = response.status_code
        if path == "/graphql" and status == 200 and '"errors"' in response.text:
            status = 400
        seen.answers.setdefault(case.operation.label, Counter())[status] += 1
        if token is not None and response.status_code in (401, 403):
            token = _still_good(url, token)
        elif token is not None and status < 300 and ENDS.search(case.operation.label):
            # What the next requests would name is gone.
            token = None
        for fault in _faults(case, response):
            seen.findings.setdefault(f"{case.operation.label}: {fault}", case.as_curl_command())

    try:
        for event in from_schema(schema).execute():
            if isinstance(event, (FatalError, NonFatalError)):
                seen.findings.setdefault(f"engine: {event}", "")
            if isinstance(event, (ScenarioFinished, FuzzScenarioFinished)):
                _note_failures(event, seen)
    finally:
        # They are the process's, not the schema's.
        schemathesis.hooks.unregister(before_call)
        schemathesis.hooks.unregister(after_call)
    return seen


def _put_in(case: Any, known: Mapping[str, Sequence[Any]], draw: random.Random) -> None:
    """Replace generated values of *case* by ones that exist."""
    for part in (case.path_parameters, case.query, case.body):
        if not isinstance(part, dict):
            continue
        for name in part:
            values = known.get(name) or known.get(FIELDS.get(name, ""))
            if values:
                part[name] = draw.choice(values)


def never_accepted(answers: Mapping[str, Counter[int]]) -> list[str]:
    """List the operations that were only ever refused, with what they answered: these were not tested."""
    return [
        f"{label}: {', '.join(f'{status} {times} times' for status, times in sorted(statuses.items()))}"
        for label, statuses in sorted(answers.items())
        if not any(status < 400 for status in statuses)
    ]


def _note_failures(event: ScenarioFinished | FuzzScenarioFinished, seen: Walk) -> None:
    for case_id, checks in event.recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                label = event.recorder.cases[case_id].value.operation.label
                seen.findings.setdefault(
                    f"{label}: {check.name}: {failure.message[:500]}", check.failure_info.code_sample
                )


def _config(
    seed: int,
    examples: int,
    seconds: int,
    phases: tuple[str, ...],
    checks: dict[str, Any],
    *,
    mode: str = "all",
) -> SchemathesisConfig:
    every = ("examples", "coverage", "fuzzing", "stateful")
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "max-time": seconds,
            "continue-on-failure": True,
            "workers": 1,
            "request-timeout": 30,
            "checks": checks,
            # Proxies send it the client's method, whatever that is.
            "operations": [
                {"include-path": "/forward-auth", "checks": {"unsupported_method": {"enabled": False}}}
            ],
            "generation": {"max-examples": examples, "mode": mode, "database": "none"},
            "phases": {name: {"enabled": name in phases} for name in every},
        }
    )


def _bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _still_good(url: str, token: str) -> str | None:
    import requests

    answer = requests.get(f"{url}/api/auth/whoami", headers=_bearer(token), timeout=30)
    return token if answer.status_code == 200 else None


def _faults(case: Any, response: Any) -> Iterator[str]:
    if response.status_code >= 500:
        yield f"status {response.status_code}"
    # Public keys are what others may keep.
    is_keys = case.operation.path.endswith(("/jwks", "/jwks.json")) and response.status_code == 200
    if response.headers.get("cache-control") != ["public, max-age=300" if is_keys else "no-store"]:
        yield f"Cache-Control {response.headers.get('cache-control')}"
    text = response.text
    if "INTERNAL_ERROR" in text:
        yield "a fault under status 200"
    if response.status_code >= 400 and not case.operation.label.startswith("Query"):
        is_oauth = OAUTH_PATH.search(case.operation.path) is not None
        yield from _misshapen(response.status_code, text, is_oauth=is_oauth)
    for secret in _secrets_in(case.body):
        if secret in text:
            yield "a secret of the request is in the answer"


def _misshapen(status: int, text: str, *, is_oauth: bool) -> Iterator[str]:
    try:
        body = json.loads(text)
    except ValueError:
        yield f"the body of {status} is no JSON"
        return
    # OAuth endpoints say it twice: in the words of RFC 6749 too.
    fields = body.keys() - (OAUTH_ERROR if is_oauth and body.keys() >= OAUTH_ERROR else set())
    if not {"code", "message", "status"} <= fields <= {"code", "message", "status", "details", "retryAfter"}:
        yield f"the error of {status} has the fields {sorted(body)}"
    elif body["status"] != status:
        yield f"the error of {status} says {body['status']}"


def _secrets_in(body: Any) -> Iterator[str]:
    """Find texts in the fields that hold secrets; what is short or ordinary may be in an answer by chance."""
    if isinstance(body, dict):
        for name, value in body.items():
            if name in SECRETS and isinstance(value, str) and len(value) >= 12 and value.isalnum():
                yield value
            yield from _secrets_in(value)
    elif isinstance(body, list):
        for value in body:
            yield from _secrets_in(value)
