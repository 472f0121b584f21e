"""Roles in an organization and what each may do."""

from __future__ import annotations

from typing import Final

OWNER: Final = "owner"
ADMIN: Final = "admin"
MEMBER: Final = "member"
VIEWER: Final = "viewer"

RANK: Final = {VIEWER: 0, MEMBER: 1, ADMIN: 2, OWNER: 3}

_SERVICE_ACCOUNTS: Final = frozenset(
    {"serviceAccount:create", "serviceAccount:read", "serviceAccount:update", "serviceAccount:delete"}
)
PERMISSIONS: Final[dict[str, frozenset[str]]] = {
    VIEWER: frozenset({"organization:read"}),
    MEMBER: frozenset({"organization:read", "member:read"}),
    ADMIN: frozenset(
        {"organization:read", "organization:update"}
        | {"member:read", "member:create", "member:update", "member:delete"}
        | {"invitation:create", "invitation:cancel", "invitation:read"}
        | {"apiKey:create", "apiKey:read", "apiKey:delete"}
        | _SERVICE_ACCOUNTS
    ),
    OWNER: frozenset(
        {"organization:read", "organization:update", "organization:delete", "webhook:manage"}
        | {"member:read", "member:create", "member:update", "member:delete"}
        | {"invitation:create", "invitation:cancel", "invitation:read"}
        | {"apiKey:create", "apiKey:read", "apiKey:delete"}
        | _SERVICE_ACCOUNTS
    ),
}


SERVICE_ACCOUNT_PERMISSIONS: Final = frozenset({"organization:read", "member:read"})
"""What a service account, which has no role, may do in its organization in addition to its scopes: read."""


def is_role(text: str) -> bool:
    """Return whether *text* names a role."""
    return text in RANK


def may(role: str | None, permission: str) -> bool:
    """Return whether *role*, or where it is None a service account, has *permission*."""
    if role is None:
        return permission in SERVICE_ACCOUNT_PERMISSIONS
    return permission in PERMISSIONS.get(role, frozenset())


def outranks(role: str, other: str) -> bool:
    """Return whether *other* is above *role*, which therefore may not change it."""
    return RANK[other] > RANK[role]
