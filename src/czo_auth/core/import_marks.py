"""The port through which an import remembers what it brought, so that nothing is brought twice."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class ImportMarks(Protocol):
    """
    Marks of records that were imported, by a digest of where they came from.

    They stay when what was imported goes: a key that was revoked here does not come back with the next run.
    """

    def find(self, digest: str) -> str | None:
        """Return the id under which a record lives here, or lived; None when it was never imported."""

    def add(self, digest: str, *, target_id: str, now: datetime) -> bool:
        """Mark a record as imported; False when it is already. One atomic statement."""
