"""The OpenAPI document leaves nothing about an answer open."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from czo_auth import Auth, Settings
from czo_auth.asgi.forward_auth import HEADERS
from czo_auth.asgi.problems import STATUS
from czo_auth.core.limits import MAX_DESCRIPTION, MAX_NAME, MAX_PASSKEY_NAME, MAX_REASON
from czo_auth.crypto.sealing import new_key_text
from czo_auth.rest.app import rest_app
from czo_auth.rest.models import Name, Reason
from czo_auth.rest.routing import GuardedRoute

FORWARD_AUTH = "GET /forward-auth"
"""Answers proxies, which read its status and headers; whatever the others have in common is not asked of it."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    auth = Auth(Settings(encryption_key=new_key_text(), database_url="sqlite:///nowhere.sqlite3"))
    return rest_app(auth.app_state, version="1").openapi()


@pytest.fixture(scope="module")
def every_operation(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


@pytest.fixture(scope="module")
def operations(every_operation: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: operation for name, operation in every_operation.items() if name != FORWARD_AUTH}


def test_forward_authentication_says_its_headers(every_operation: dict[str, dict[str, Any]]) -> None:
    operation = every_operation[FORWARD_AUTH]
    assert {parameter["name"] for parameter in operation["parameters"]} == {"scopes", "aal", "actor", "phr"}
    assert set(operation["responses"]) == {"200", "400", "401", "403", "503"}
    assert set(HEADERS) < set(operation["responses"]["200"]["headers"])
    for status in ("400", "401", "403", "503"):
        assert "x-auth-error" in operation["responses"][status]["headers"]


class Profile(BaseModel):
    company_name: str | None = None


def test_sign_up_is_described_as_taking_the_fields_that_it_takes(document: dict[str, Any]) -> None:
    assert document["components"]["schemas"]["SignUpRequest"]["additionalProperties"] is False
    settings = Settings(
        encryption_key=new_key_text(), database_url="sqlite:///nowhere.sqlite3", user_fields=Profile
    )
    with_own = rest_app(Auth(settings).app_state, version="1").openapi()["components"]["schemas"]
    assert with_own["SignUpRequest"]["additionalProperties"] is True
    for model in ("User", "AdministeredUser"):
        assert "companyName" not in document["components"]["schemas"][model]["properties"]
        assert "companyName" in with_own[model]["properties"]
        assert "companyName" in with_own[model]["required"]


def schema_of(operation: dict[str, Any]) -> dict[str, Any]:
    (success,) = (status for status in operation["responses"] if status < "300")
    schema: dict[str, Any] = operation["responses"][success]["content"]["application/json"]["schema"]
    return schema


@pytest.mark.parametrize(
    ("operation", "field", "longest"),
    [
        ("POST /api-keys", "name", MAX_NAME),
        ("POST /{actor}/sign-up", "organizationName", MAX_NAME),
        ("POST /passkey/verify-registration", "name", MAX_PASSKEY_NAME),
        ("POST /admin/users/{user_id}/ban", "reason", MAX_REASON),
        ("POST /admin/webhooks", "description", MAX_DESCRIPTION),
    ],
)
def test_bound_of_a_text_counts_without_the_space_around_it(
    document: dict[str, Any],
    operations: dict[str, dict[str, Any]],
    operation: str,
    field: str,
    longest: int,
) -> None:
    body = operations[operation]["requestBody"]["content"]["application/json"]["schema"]
    model = document["components"]["schemas"].get(body.get("$ref", "").rpartition("/")[2], body)
    schema = model["properties"][field]
    (text,) = [each for each in schema.get("anyOf", [schema]) if each["type"] == "string"]
    assert text["maxLength"] == longest


@pytest.mark.parametrize(("kind", "longest"), [(Name, MAX_NAME), (Reason, MAX_REASON)])
def test_text_is_counted_without_the_space_around_it(kind: Any, longest: int) -> None:
    adapter, text = TypeAdapter(kind), "x" * longest
    assert adapter.validate_python(f" {text}\n") == text
    for wrong in (text + "x", " " * longest + text + " "):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)


def test_every_route_with_a_body_says_what_it_holds(operations: dict[str, dict[str, Any]]) -> None:
    with_a_body = {name for name, operation in operations.items() if "204" not in operation["responses"]}
    assert len(with_a_body) > 100
    left_open = {name for name in with_a_body if schema_of(operations[name]).get("type") == "object"}
    assert left_open == {
        "GET /user/export",
        "GET /admin/users/{user_id}/export",
        "GET /.well-known/oauth-authorization-server",
    }


def test_routes_that_may_begin_a_session_say_so(operations: dict[str, dict[str, Any]]) -> None:
    telling = {
        name
        for name, operation in operations.items()
        for answer in operation["responses"].values()
        if "set-auth-token" in answer["headers"]
    }
    assert telling == {
        "POST /sign-up/email",
        "POST /sign-in/email",
        "POST /{actor}/sign-in/email",
        "POST /switch-actor",
        "POST /change-password",
        "POST /two-factor/verify",
        "POST /two-factor/verify-passkey",
        "POST /passkey/verify-authentication",
        "POST /passkey/verify-registration",
        "POST /two-factor/verify-totp",
        "POST /two-factor/verify-backup-code",
    }


def test_fields_that_answers_may_lack_are_not_required(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert "organizationRole" not in schemas["Principal"]["required"]
    opened = schemas["DeviceApprovalRequest"]
    assert opened["required"] == ["user_code", "status"]
    assert {"type": "null"} in opened["properties"]["organizationId"]["anyOf"]


def test_every_route_says_which_credential_it_takes(operations: dict[str, dict[str, Any]]) -> None:
    assert operations["POST /sign-in/email"]["security"] == []
    assert operations["GET /session"]["security"] == [{"bearer": []}, {"sessionCookie": []}]
    assert all("security" in operation for operation in operations.values())


def test_refusals_have_the_one_shape_of_errors(operations: dict[str, dict[str, Any]]) -> None:
    for operation in operations.values():
        refusals = {
            status: reported for status, reported in operation["responses"].items() if status >= "400"
        }
        assert {"400", "401", "403", "404", "409", "422", "429", "503"} <= set(refusals)
        for reported in refusals.values():
            (reference, _) = reported["content"]["application/json"]["schema"]["allOf"]
            assert reference == {"$ref": "#/components/schemas/Problem"}


def test_each_status_that_a_body_may_cause_is_described(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    assert set(document["components"]["schemas"]["Problem"]["properties"]["status"]["enum"]) >= set(
        STATUS.values()
    ) - {500}
    for name, operation in operations.items():
        assert ({"408", "413", "415"} <= set(operation["responses"])) is not name.startswith("GET "), name


def test_routes_whose_requests_may_be_repeated_take_a_name_for_them(
    operations: dict[str, dict[str, Any]],
) -> None:
    naming = {
        name
        for name, operation in operations.items()
        for parameter in operation.get("parameters", [])
        if (parameter["in"], parameter["name"]) == ("header", "Idempotency-Key")
    }
    app = rest_app(
        Auth(Settings(encryption_key=new_key_text(), database_url="sqlite:///nowhere.sqlite3")).app_state,
        version="1",
    )
    repeatable = {
        f"{method} {route.path_format}"
        for route in app.routes
        if isinstance(route, GuardedRoute) and route.include_in_schema and route.spec.idempotent is not None
        for method in route.methods or ()
    }
    assert naming == repeatable
    assert "POST /api-keys" in naming
    assert "POST /sign-out" not in naming
