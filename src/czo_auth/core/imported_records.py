"""The port through which an import remembers what it imported, so that nothing is imported twice."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class ImportedRecords(Protocol):
    """
    Imported records, by a digest of their id in the source.

    A row stays when an imported record is deleted, so that a key that was revoked here does not come back with the next
    run.
    """

    def find(self, digest: str) -> str | None:
        """Return the id that a record has, or had, here; None if it was never imported."""

    def add(self, digest: str, *, target_id: str, now: datetime) -> bool:
        """Remember that a record was imported; False if it was imported before. One atomic statement."""
