"""Answers to repeatable requests, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Delete, bindparam, delete, select, update

from czo_auth.core.idempotency.answer import RequestIdentity, StoredAnswer
from czo_auth.core.idempotency.store import IdempotencyStore
from czo_auth.core.ids import is_id
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.store import Store, columns, values
from czo_auth.storage.tables import Tables


class SqlIdempotencyStore(Store, IdempotencyStore):
    """Implements `czo_auth.core.idempotency.store.IdempotencyStore`."""

    def begin(self, request: RequestIdentity) -> bool:
        answers = self._tables.kept_answers
        acquire_lock(self._connection, f"{answers.name}:{request.lineage_id}")
        fresh = self._insert(answers).values(sealed=None, **values(request))
        taken = ["lineage_id", "route", "name_digest"]
        replaced = {
            column.name: fresh.excluded[column.name] for column in answers.c if column.name not in taken
        }
        statement = fresh.on_conflict_do_update(
            index_elements=taken, set_=replaced, where=answers.c.expires_at <= request.created_at
        ).returning(answers.c.id)
        return self._connection.execute(statement).one_or_none() is not None

    def find(self, *, lineage_id: str, route: str, name_digest: str, now: datetime) -> StoredAnswer | None:
        answers = self._tables.kept_answers
        statement = select(*columns(answers, StoredAnswer)).where(
            answers.c.lineage_id == lineage_id,
            answers.c.route == route,
            answers.c.name_digest == name_digest,
            answers.c.expires_at > now,
        )
        return self._one(StoredAnswer, statement)

    def find_by_id(self, answer_id: str, *, lineage_id: str, now: datetime) -> StoredAnswer | None:
        if not is_id(answer_id):
            return None
        answers = self._tables.kept_answers
        statement = select(*columns(answers, StoredAnswer)).where(
            answers.c.id == answer_id, answers.c.lineage_id == lineage_id, answers.c.expires_at > now
        )
        return self._one(StoredAnswer, statement)

    def keep(self, answer_id: str, *, sealed: str) -> bool:
        answers = self._tables.kept_answers
        statement = update(answers).where(answers.c.id == answer_id, answers.c.sealed.is_(None))
        return self._count(statement.values(sealed=sealed)) == 1

    def sealed_after(self, answer_id: str, *, limit: int) -> Sequence[StoredAnswer]:
        answers = self._tables.kept_answers
        statement = select(*columns(answers, StoredAnswer)).where(
            answers.c.id > answer_id, answers.c.sealed.is_not(None)
        )
        return self._all(StoredAnswer, statement.order_by(answers.c.id).limit(limit))

    def forget(self, answer_id: str) -> None:
        answers = self._tables.kept_answers
        self._connection.execute(delete(answers).where(answers.c.id == answer_id))

    def forget_enrollment(self, user_id: str) -> int:
        return self._prepared(_forget_enrollment).count(self._connection, owner=user_id)

    def forget_oldest(self, request: RequestIdentity, *, keep: int) -> int:
        answers = self._tables.kept_answers
        others = answers.c.lineage_id == request.lineage_id, answers.c.id != request.id
        newest = select(answers.c.id).where(*others).order_by(answers.c.id.desc()).limit(keep - 1)
        return self._count(delete(answers).where(*others, answers.c.id.not_in(newest)))

    def prune_expired(self, *, before: datetime) -> int:
        return self._prune(self._tables.kept_answers, self._tables.kept_answers.c.expires_at, before)


def _forget_enrollment(tables: Tables) -> Delete:
    answers = tables.kept_answers
    # Except the running request, which replaces what was shown before.
    return delete(answers).where(
        answers.c.user_id == bindparam("owner"), answers.c.sealed.is_not(None), answers.c.shows_enrollment
    )
