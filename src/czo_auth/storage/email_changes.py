"""Changes of address, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, insert, literal, not_, or_, select, true, update

from czo_auth.core.users.email_change import EmailChange, EmailChanges
from czo_auth.storage.column_types import Instant
from czo_auth.storage.store import Store, columns, from_row, unlocked_batch, values


class SqlEmailChanges(Store, EmailChanges):
    """
    Implements `czo_auth.core.users.email_change.EmailChanges`.

    A change that was replaced or rejected, or whose new address was forgotten, is closed for its confirmation only:
    ``replaced_at`` leaves the link to the old address.
    """

    def add(self, change: EmailChange, *, digest: str, revert_digest: str) -> None:
        row = values(change) | {"digest": digest, "revert_digest": revert_digest}
        self._connection.execute(insert(self._tables.email_changes).values(**row))

    def find_by_token(self, digest: str) -> EmailChange | None:
        changes = self._tables.email_changes
        return self._one(
            EmailChange, select(*columns(changes, EmailChange)).where(changes.c.digest == digest)
        )

    def confirm(self, digest: str, *, revert_until: datetime, now: datetime) -> EmailChange | None:
        return self._end_waiting(digest, {"confirmed_at": now, "revert_until": revert_until}, now)

    def reject(self, digest: str, *, now: datetime) -> EmailChange | None:
        return self._end_waiting(digest, {"replaced_at": now}, now)

    def find_by_revert_token(self, revert_digest: str, *, now: datetime) -> EmailChange | None:
        changes = self._tables.email_changes
        statement = select(*columns(changes, EmailChange))
        return self._one(EmailChange, statement.where(self._revertible(revert_digest, now)))

    def take_back(self, revert_digest: str, *, now: datetime) -> EmailChange | None:
        changes = self._tables.email_changes
        statement = update(changes).where(self._revertible(revert_digest, now)).values(closed_at=now)
        row = self._connection.execute(statement.returning(*columns(changes, EmailChange))).one_or_none()
        return None if row is None else from_row(EmailChange, row)

    def close(self, change_id: str, *, now: datetime) -> bool:
        changes = self._tables.email_changes
        statement = update(changes).where(changes.c.id == change_id, changes.c.closed_at.is_(None))
        return self._count(statement.values(closed_at=now)) == 1

    def close_waiting(self, user_id: str, *, now: datetime) -> Sequence[EmailChange]:
        changes = self._tables.email_changes
        statement = update(changes).where(changes.c.user_id == user_id, self._waits())
        closed = statement.values(replaced_at=now).returning(*columns(changes, EmailChange))
        return [from_row(EmailChange, row) for row in self._connection.execute(closed)]

    def close_all(self, user_id: str, *, since: datetime, now: datetime) -> None:
        changes = self._tables.email_changes
        statement = update(changes).where(
            changes.c.user_id == user_id, changes.c.asked_at >= since, changes.c.closed_at.is_(None)
        )
        self._connection.execute(statement.values(closed_at=now))

    def forget_address(self, email: str, *, is_proved: bool, now: datetime) -> None:
        changes = self._tables.email_changes
        is_over = true() if is_proved else or_(not_(self._waits()), changes.c.expires_at <= now)
        statement = update(changes).where(
            changes.c.new_email == email, changes.c.confirmed_at.is_(None), is_over
        )
        closed_at = func.coalesce(changes.c.replaced_at, literal(now, Instant))
        self._connection.execute(statement.values(new_email="", new_mailbox="", replaced_at=closed_at))

    def forget_unconfirmed(self, *, before: datetime) -> int:
        changes = self._tables.email_changes
        expired = select(changes.c.id).where(
            changes.c.revert_until <= before, changes.c.confirmed_at.is_(None), changes.c.new_email != ""
        )
        statement = update(changes).where(changes.c.id.in_(unlocked_batch(expired)))
        return self._count(statement.values(new_email="", new_mailbox=""))

    def is_reserved(self, email: str, *, but_for: str | None, now: datetime) -> bool:
        changes = self._tables.email_changes
        statement = select(changes.c.id).where(
            changes.c.old_email == email,
            changes.c.confirmed_at.is_not(None),
            changes.c.closed_at.is_(None),
            changes.c.revert_until > now,
            true() if but_for is None else changes.c.user_id != but_for,
        )
        return self._connection.execute(statement.limit(1)).first() is not None

    def list_of(self, user_id: str) -> Sequence[EmailChange]:
        changes = self._tables.email_changes
        statement = select(*columns(changes, EmailChange)).where(changes.c.user_id == user_id)
        return self._all(EmailChange, statement.order_by(changes.c.asked_at.desc(), changes.c.id.desc()))

    def prune_expired(self, *, before: datetime) -> int:
        changes = self._tables.email_changes
        return self._prune(changes, changes.c.revert_until, before)

    def _end_waiting(self, digest: str, written: dict[str, datetime], now: datetime) -> EmailChange | None:
        changes = self._tables.email_changes
        statement = update(changes).where(
            changes.c.digest == digest, self._waits(), changes.c.expires_at > now
        )
        ended = statement.values(**written).returning(*columns(changes, EmailChange))
        row = self._connection.execute(ended).one_or_none()
        return None if row is None else from_row(EmailChange, row)

    def _waits(self) -> ColumnElement[bool]:
        changes = self._tables.email_changes
        return and_(
            changes.c.confirmed_at.is_(None), changes.c.closed_at.is_(None), changes.c.replaced_at.is_(None)
        )

    def _revertible(self, revert_digest: str, now: datetime) -> ColumnElement[bool]:
        changes = self._tables.email_changes
        return and_(
            changes.c.revert_digest == revert_digest,
            changes.c.closed_at.is_(None),
            changes.c.revert_until > now,
        )
