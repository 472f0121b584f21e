"""The JSON shapes of organizations, members and invitations."""

from __future__ import annotations

from czo_auth.asgi.timestamps import format_timestamp, format_timestamp_or_none
from czo_auth.core.flows.organizations.two_factor import FactorReport
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.organizations.two_factor import Exemption
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
        "requireTwoFactorFrom": format_timestamp_or_none(of.require_two_factor_from),
        "twoFactorGraceDays": of.two_factor_grace_days,
        "createdAt": format_timestamp(of.created_at),
        "updatedAt": format_timestamp(of.updated_at),
    }


def administered_organization(of: Organization) -> Json:
    """Shape an organization for an administrator, who has no role in it."""
    return {**organization(of, role=None), "createdBy": of.created_by}


def factor_report(of: FactorReport) -> Json:
    """Shape who has a factor and who would be refused."""
    members = [
        {
            "userId": each.member.user_id,
            "name": each.member.name,
            "email": each.member.email,
            "role": each.member.role,
            "enabled": each.member.enabled,
            "phishingResistant": each.member.phishing_resistant,
            "dueAt": format_timestamp_or_none(each.due_at),
            "exemptUntil": format_timestamp_or_none(each.member.exempt_until),
            "wouldBeRefused": each.would_be_refused,
        }
        for each in of.members
    ]
    keys = {"total": of.keys, "wouldBeRefused": of.keys_refused}
    return {"members": members, "apiKeys": keys, "total": of.total}


def exemption(of: Exemption) -> Json:
    """Shape an exemption."""
    return {
        "organizationId": of.organization_id,
        "userId": of.user_id,
        "since": format_timestamp(of.since),
        "until": format_timestamp(of.until),
        "reason": of.reason,
        "grantedBy": of.by,
    }
