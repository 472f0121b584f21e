"""A service account: an organization's own identity for machines, with scopes and without a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """
    Attributes:
        scopes: The most that its keys may have.
        enabled: While it is not, its keys are refused.
        created_by: The user who made it, who may be gone; None where an operator or the host's code did.
        last_used_at: The last use of any of its keys that are kept; None when there was none.
    """

    id: str
    organization_id: str
    name: str
    description: str | None
    scopes: tuple[str, ...]
    enabled: bool
    created_by: str | None
    created_at: datetime
    updated_at: datetime
    last_used_at: datetime | None = None
