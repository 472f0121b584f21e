"""Creating an organization, and the rules for its slug; shared by sign-up and the organization routes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from czo_auth.core.errors import OrganizationLimitReached, SlugTaken, ValidationFailed
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.fields import checked_image, checked_metadata, checked_name
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_MEMBERSHIPS, MAX_SLUG
from czo_auth.core.organizations import roles
from czo_auth.core.organizations.organization import Organization, OrganizationPolicy
from czo_auth.core.transaction import Transaction

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def is_slug(text: str) -> bool:
    """Return whether *text* is a slug: lower-case words of ASCII letters and digits, joined by dashes."""
    return len(text) <= MAX_SLUG and _SLUG.fullmatch(text) is not None


def create_organization(
    tx: Transaction,
    user_id: str,
    *,
    name: str,
    slug: str | None,
    policy: OrganizationPolicy,
    logo: str | None = None,
    metadata: Mapping[str, object] | None = None,
) -> Organization:
    """
    Create an organization with *user_id*, a new or a locked user, as its owner.

    Raises:
        ValidationFailed: Invalid name, slug, logo or metadata.
        SlugTaken: The requested slug is taken.
        OrganizationLimitReached: The user owns the maximum number of organizations, or is in as many as one may join.
    """
    if tx.organizations.count_of(user_id, role=roles.OWNER) >= policy.limit:
        raise OrganizationLimitReached
    check_memberships(tx, user_id)
    organization_id = new_id(tx.now)
    name = checked_name(name)
    organization = Organization(
        id=organization_id,
        name=name,
        slug=_own_slug(name, organization_id) if slug is None else checked_slug(slug),
        logo=checked_image(logo, field="logo"),
        metadata=checked_metadata(metadata),
        created_at=tx.now,
        updated_at=tx.now,
        created_by=user_id,
    )
    if not tx.organizations.add(organization):
        raise SlugTaken
    tx.organizations.add_member(
        new_id(tx.now), organization_id=organization.id, user_id=user_id, role=roles.OWNER, now=tx.now
    )
    for action, details in (
        (types.ORGANIZATION_CREATED, {"name": name, "slug": organization.slug}),
        (types.MEMBER_ADDED, {"role": roles.OWNER}),
    ):
        audit_event = AuditEvent(
            action=action, user_id=user_id, organization_id=organization.id, details=details
        )
        tx.record(audit_event)
    return organization


def check_memberships(tx: Transaction, user_id: str) -> None:
    """
    Refuse to let a locked user join another organization if they are in as many as one may join.

    Deleting, banning or exporting somebody reads all their memberships in one transaction.

    Raises:
        OrganizationLimitReached
    """
    if tx.organizations.count_of(user_id) >= MAX_MEMBERSHIPS:
        raise OrganizationLimitReached


def _own_slug(name: str, organization_id: str) -> str:
    """Derive a unique slug from the name."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", ascii_name)
    stem = "-".join(words)[:48].strip("-") or "organization"
    return f"{stem}-{organization_id[-8:]}"


# --- what members may choose -----------------------------------------------------------------------------------------
def checked_slug(slug: str) -> str:
    """
    Return *slug* if it is one.

    Raises:
        ValidationFailed: It is not valid.
    """
    if not is_slug(slug):
        raise ValidationFailed(
            details=(
                (
                    "slug",
                    f"Lower-case letters and digits, joined by single dashes, at most {MAX_SLUG} characters.",
                ),
            )
        )
    return slug
