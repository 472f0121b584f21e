"""The context of an act: who, when, from where."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from czo_auth.core.context import Context, system_context
from czo_auth.core.errors import Unauthorized
from czo_auth.core.principal import Principal

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
SESSION = Principal(
    kind="session",
    user_id="user",
    actor_type="customer",
    actor_types=frozenset({"customer"}),
    may_use=lambda scope: True,
    organization_id="organization",
    session_id="session",
)


def test_anonymous_request_has_no_caller() -> None:
    with pytest.raises(Unauthorized):
        _ = Context(now=NOW).caller


@pytest.mark.parametrize(
    ("kind", "actor_kind", "method"), [("session", "user", "session"), ("api_key", "api_key", "apikey")]
)
def test_principal_is_caller_and_actor(kind: str, actor_kind: str, method: str) -> None:
    principal = replace(SESSION, kind=kind)
    context = Context(now=NOW, ip="192.0.2.1", request_id="r1").of(principal)
    assert context.caller is principal
    assert context == Context(
        now=NOW,
        principal=principal,
        actor_kind=actor_kind,  # type: ignore[arg-type]
        user_id="user",
        organization_id="organization",
        method=method,
        ip="192.0.2.1",
        request_id="r1",
    )


def test_proof_names_the_actor_and_admits_nobody() -> None:
    context = Context(now=NOW, ip="192.0.2.1").by("user", "pwd")
    assert (context.actor_kind, context.user_id, context.method) == ("user", "user", "pwd")
    assert context.principal is None
    assert context.ip == "192.0.2.1"


def test_other_time_changes_nothing_else() -> None:
    later = NOW + timedelta(hours=1)
    assert system_context(NOW).at(later) == system_context(later) == Context(now=later, actor_kind="system")
