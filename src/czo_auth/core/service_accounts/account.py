"""A service account: an organization's own identity for machines, with scopes and without a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """
    Attributes:
        scopes: The most that its keys may have.
        enabled: If False, its keys are refused.
        created_by: The user who created it, who may be deleted since; None for an operator or the host's code.
        last_used_at: The last use of any of its stored keys; None if there was none.
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
