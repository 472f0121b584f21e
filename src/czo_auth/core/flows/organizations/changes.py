"""Input for creating and changing organizations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from czo_auth.core.api_keys.lifetime import checked_days
from czo_auth.core.fields import checked_image, checked_metadata, checked_name
from czo_auth.core.flows.organizations.create import checked_slug
from czo_auth.core.flows.organizations.two_factor import POLICY_FIELDS, Proof, checked_grace_days
from czo_auth.core.organizations.organization import Organization


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrganization:
    """
    Input for a new organization.

    Attributes:
        slug: Derived from the name if None.
        activates: Whether it becomes the active organization of the creator's session.
    """

    name: str
    slug: str | None = None
    logo: str | None = None
    metadata: Mapping[str, object] | None = None
    activates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationChanges:
    """Changes to an organization; *given* names the fields that were sent."""

    given: frozenset[str]
    name: str | None = None
    slug: str | None = None
    logo: str | None = None
    metadata: Mapping[str, object] | None = None
    api_key_max_days: int | None = None
    api_key_unused_days: int | None = None
    require_two_factor_from: datetime | None = None
    two_factor_grace_days: int | None = None
    proof: Proof = field(default_factory=Proof)

    @property
    def change_policy(self) -> bool:
        """Whether they change what factors members need."""
        return not POLICY_FIELDS.isdisjoint(self.given)


def apply_changes(organization: Organization, changes: OrganizationChanges) -> Organization:
    """
    Return the changed organization.

    Raises:
        ValidationFailed: A field is not valid.
    """
    given = changes.given
    return replace(
        organization,
        name=checked_name(changes.name or "") if "name" in given else organization.name,
        slug=checked_slug(changes.slug or "") if "slug" in given else organization.slug,
        logo=checked_image(changes.logo, field="logo") if "logo" in given else organization.logo,
        metadata=checked_metadata(changes.metadata) if "metadata" in given else organization.metadata,
        api_key_max_days=checked_days(changes.api_key_max_days, field="apiKeyMaxDays")
        if "api_key_max_days" in given
        else organization.api_key_max_days,
        api_key_unused_days=checked_days(changes.api_key_unused_days, field="apiKeyUnusedDays")
        if "api_key_unused_days" in given
        else organization.api_key_unused_days,
        require_two_factor_from=changes.require_two_factor_from
        if "require_two_factor_from" in given
        else organization.require_two_factor_from,
        two_factor_grace_days=checked_grace_days(changes.two_factor_grace_days)
        if "two_factor_grace_days" in given
        else organization.two_factor_grace_days,
    )
