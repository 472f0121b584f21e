"""The form of scopes, and who may use which (S17)."""

from __future__ import annotations

import pytest

from czo_auth.core.api_keys.scopes import VERIFY_KEYS, ScopePolicy, check_form, check_grant
from czo_auth.core.errors import InsufficientScope, ValidationFailed
from czo_auth.core.limits import MAX_SCOPES

CUSTOMER = frozenset({"customer"})


def allows(policy: ScopePolicy, scope: str, *, role: str | None = None, administers: bool = False) -> bool:
    return policy.allows(scope, actor_types=CUSTOMER, organization_role=role, administers=administers)


@pytest.mark.parametrize("administers", [False, True])
@pytest.mark.parametrize("policy", [ScopePolicy(), ScopePolicy({"customer": ["orders:*", "admin:read"]})])
def test_several_scopes_are_allowed_as_each_is(policy: ScopePolicy, administers: bool) -> None:
    scopes = ("orders:read", VERIFY_KEYS, "bills:read", "admin:read")
    found = policy.allowed(scopes, actor_types=CUSTOMER, organization_role=None, administers=administers)
    assert found == tuple(scope for scope in scopes if allows(policy, scope, administers=administers))
    assert policy.allowed((), actor_types=CUSTOMER, organization_role=None, administers=administers) == ()


def test_scopes_are_kept_once_each_and_sorted() -> None:
    assert check_form(["orders:write", "orders:read", "orders:write"]) == ("orders:read", "orders:write")
    assert check_form([]) == ()


def test_sixty_four_scopes_are_the_most() -> None:
    assert MAX_SCOPES == 64
    assert len(check_form([f"orders:read{number}" for number in range(64)])) == 64
    with pytest.raises(ValidationFailed) as refused:
        check_form([f"orders:read{number}" for number in range(65)])
    assert [field for field, _ in refused.value.details] == ["scopes"]


@pytest.mark.parametrize(
    "scope",
    [
        *("orders", "orders:", ":read", "orders:read:all", "orders:re ad", "orders:read\n"),
        *("1orders:read", "orders:1read", "~:read", "orders:~", "o~:read", "orders:r~"),
        *(f"{'o' * 65}:read", f"orders:{'r' * 65}"),
    ],
)
def test_scope_of_another_form_is_refused(scope: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        check_form(["orders:read", scope])
    assert [field for field, _ in refused.value.details] == ["scopes"]


def test_longest_and_shortest_scopes_are_taken() -> None:
    assert check_form([f"{'o' * 64}:{'r' * 64}"])
    assert check_form(["o:r"])


def test_nobody_grants_what_they_may_not_use() -> None:
    check_grant(["orders:read"], may_use={"orders:read"}.__contains__)
    check_grant([], may_use=lambda _: False)
    with pytest.raises(InsufficientScope):
        check_grant(["orders:read", "orders:write"], may_use={"orders:read"}.__contains__)


@pytest.mark.parametrize("scope", [VERIFY_KEYS, "api-keys:anything", "admin:anything"])
def test_reserved_scopes_are_for_administrators_whatever_the_rule_says(scope: str) -> None:
    for policy in (ScopePolicy(), ScopePolicy({"customer": ["*", scope]})):
        assert allows(policy, scope) is False
        assert allows(policy, scope, administers=True) is True


def test_without_a_rule_any_other_scope_may_be_used() -> None:
    assert allows(ScopePolicy(), "orders:read") is True
    assert ScopePolicy().is_fixed is True


def test_mapping_goes_by_actor_type_and_by_role() -> None:
    policy = ScopePolicy(
        {"customer": ["orders:read", "carts:*"], "org:owner": ["*"], "merchant": ["stock:read"]}
    )
    assert policy.is_fixed is True
    assert allows(policy, "orders:read")
    assert not allows(policy, "orders:write")
    assert allows(policy, "carts:anything")
    assert not allows(policy, "stock:read")
    assert allows(policy, "stock:read", role="owner")
    assert not allows(policy, "stock:read", role="member")


def test_function_of_the_host_is_asked_with_actor_types_and_role() -> None:
    asked: list[object] = []

    def rule(actor_types: frozenset[str], role: str | None) -> set[str]:
        asked.append((actor_types, role))
        return {"orders:*"}

    policy = ScopePolicy(rule)
    assert policy.is_fixed is False
    assert allows(policy, "orders:read", role="owner")
    assert not allows(policy, "carts:read")
    assert asked == [(CUSTOMER, "owner"), (CUSTOMER, None)]
