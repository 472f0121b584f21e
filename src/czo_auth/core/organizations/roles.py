"""Roles in an organization and what each may do."""

from __future__ import annotations

from typing import Final

OWNER: Final = "owner"
ADMIN: Final = "admin"
MEMBER: Final = "member"
VIEWER: Final = "viewer"

RANK: Final = {VIEWER: 0, MEMBER: 1, ADMIN: 2, OWNER: 3}

PERMISSIONS: Final[dict[str, frozenset[str]]] = {
    VIEWER: frozenset({"organization:read"}),
    MEMBER: frozenset({"organization:read", "member:read"}),
    ADMIN: frozenset(
        {"organization:read", "organization:update"}
        | {"member:read", "member:create", "member:update", "member:delete"}
        | {"invitation:create", "invitation:cancel", "invitation:read"}
        | {"apiKey:create", "apiKey:read", "apiKey:delete"}
    ),
    OWNER: frozenset(
        {"organization:read", "organization:update", "organization:delete", "webhook:manage"}
        | {"member:read", "member:create", "member:update", "member:delete"}
        | {"invitation:create", "invitation:cancel", "invitation:read"}
        | {"apiKey:create", "apiKey:read", "apiKey:delete"}
    ),
}


def is_role(text: str) -> bool:
    """Return whether *text* names a role."""
    return text in RANK


def may(role: str, permission: str) -> bool:
    """Return whether *role* has *permission*."""
    return permission in PERMISSIONS.get(role, frozenset())


def outranks(role: str, other: str) -> bool:
    """Return whether *other* stands above *role*, which therefore may not touch it."""
    return RANK[other] > RANK[role]
