"""Marks of imported records, in SQL."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from czo_auth.core.imported_records import ImportedRecords
from czo_auth.storage.store import Store


class SqlImportedRecords(Store, ImportedRecords):
    """Implements `czo_auth.core.imported_records.ImportedRecords`."""

    def find(self, digest: str) -> str | None:
        marks = self._tables.import_marks
        return self._connection.execute(
            select(marks.c.target_id).where(marks.c.digest == digest)
        ).scalar_one_or_none()

    def add(self, digest: str, *, target_id: str, now: datetime) -> bool:
        row = {"digest": digest, "target_id": target_id, "imported_at": now}
        return self._insert_unless(self._tables.import_marks, ["digest"], row)
