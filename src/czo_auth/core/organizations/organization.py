"""An organization, a member of it, an invitation to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

InvitationStatus = Literal["pending", "accepted", "rejected", "canceled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationPolicy:
    """
    Attributes:
        invitation_lifetime: After it an invitation cannot be accepted.
        founding_open: Whether every user may create organizations.
        limit: Organizations that a user may own.
    """

    invitation_lifetime: timedelta = timedelta(hours=48)
    founding_open: bool = True
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """
    A group of users with roles; API keys may be scoped to it.

    Attributes:
        api_key_max_days: The maximum lifetime of its keys; None for no bound of its own.
        api_key_unused_days: Its keys expire after this many days without use; None for no rule of its own.
        created_by: The user who created it; None if no longer known.
        require_two_factor_from: When its members start to need a second factor; None for never.
        two_factor_grace_days: How many days after they first joined a member has to get one.
    """

    id: str
    name: str
    slug: str
    logo: str | None
    metadata: Mapping[str, object] | None
    created_at: datetime
    updated_at: datetime
    api_key_max_days: int | None = None
    api_key_unused_days: int | None = None
    created_by: str | None = None
    require_two_factor_from: datetime | None = None
    two_factor_grace_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """
    A user in an organization, with name and email for lists.

    Attributes:
        email: None if the reader may not see addresses, such as API keys.
        two_factor_due_at: When they start to need a second factor here, exemptions included; None for never.
    """

    id: str
    organization_id: str
    user_id: str
    role: str
    email: str | None
    name: str
    image: str | None
    created_at: datetime
    two_factor_due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation to an address; only the digest of its token is stored."""

    id: str
    organization_id: str
    email: str
    role: str
    inviter_id: str
    status: InvitationStatus
    expires_at: datetime
    created_at: datetime
