"""The JSON shapes of organizations, members and invitations."""

from __future__ import annotations

from czo_auth.asgi.timestamps import format_timestamp
from czo_auth.core.organizations.organization import Organization
from czo_auth.rest.records import Json


def organization(of: Organization, *, role: str | None) -> Json:
    """Shape an organization; *role* is the caller's."""
    return {
        "id": of.id,
        "name": of.name,
        "slug": of.slug,
        "logo": of.logo,
        "metadata": None if of.metadata is None else dict(of.metadata),
        "role": role,
        "apiKeyMaxDays": of.api_key_max_days,
        "apiKeyUnusedDays": of.api_key_unused_days,
        "createdAt": format_timestamp(of.created_at),
        "updatedAt": format_timestamp(of.updated_at),
    }


def administered_organization(of: Organization) -> Json:
    """Shape an organization for an administrator, who has no role in it."""
    return {**organization(of, role=None), "createdBy": of.created_by}
