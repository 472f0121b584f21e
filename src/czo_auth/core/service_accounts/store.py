"""The port for storing service accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from czo_auth.core.paging import Position
from czo_auth.core.service_accounts.account import ServiceAccount


class ServiceAccounts(Protocol):
    """Service accounts. A request with a key reads the state and scopes of its account through ``Lookup``."""

    def add(self, account: ServiceAccount) -> None:
        """Store a new service account."""

    def find(self, organization_id: str, account_id: str) -> ServiceAccount | None:
        """Read a service account of an organization."""

    def list_of(
        self, organization_id: str, *, after: Position | None = None, limit: int
    ) -> Sequence[ServiceAccount]:
        """Read the service accounts of an organization, newest first."""

    def count_of(self, organization_id: str) -> int:
        """Count the service accounts of an organization. Call it with the organization locked."""

    def update(self, changed: ServiceAccount) -> bool:
        """Update the fields that may change; False if it was deleted in the meantime."""

    def delete(self, account_id: str) -> bool:
        """Delete a service account and the rows of its keys; False when it was deleted already."""
