"""Mails that no server has taken yet, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update

from czo_auth.core.mail_queue import MailQueue, QueuedMail
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.store import Store, columns, values


class SqlMailQueue(Store, MailQueue):
    """Implements `czo_auth.core.mail_queue.MailQueue`."""

    def add(self, mail: QueuedMail, *, limit: int) -> bool:
        acquire_lock(self._connection, self._tables.mail_queue.name)
        if self._count_up_to(self._tables.mail_queue) >= limit:
            return False
        self._add(self._tables.mail_queue, values(mail))
        return True

    def list_due(self, *, now: datetime, limit: int) -> Sequence[QueuedMail]:
        mails = self._tables.mail_queue
        statement = select(*columns(mails, QueuedMail)).where(mails.c.next_at <= now)
        return self._all(QueuedMail, statement.order_by(mails.c.next_at, mails.c.id).limit(limit))

    def claim(self, mail: QueuedMail, *, until: datetime) -> bool:
        mails = self._tables.mail_queue
        unclaimed = update(mails).where(mails.c.id == mail.id, mails.c.next_at == mail.next_at)
        return self._count(unclaimed.values(next_at=until, attempts=mail.attempts + 1)) == 1

    def remove(self, mail_id: str) -> None:
        mails = self._tables.mail_queue
        self._connection.execute(delete(mails).where(mails.c.id == mail_id))

    def count_waiting(self) -> tuple[int, datetime | None]:
        mails = self._tables.mail_queue
        row = self._connection.execute(select(func.count(), func.min(mails.c.created_at))).one()
        return int(row[0]), row[1]
