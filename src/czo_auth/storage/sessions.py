"""Sessions, refresh families and signing keys, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Delete,
    Integer,
    Select,
    String,
    Update,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)

from czo_auth.core.ids import is_id
from czo_auth.core.sessions.session import RefreshToken, Session
from czo_auth.core.sessions.store import Sessions, StoredSigningKey
from czo_auth.storage.column_types import Instant
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.store import PRUNED_AT_ONCE, Store, columns, values
from czo_auth.storage.tables import Tables

_ENDED_AT_ONCE: Final = 1000


class SqlSessions(Store, Sessions):
    """
    Implements `czo_auth.core.sessions.store.Sessions`.

    A refresh token is revoked when its session is: one fact in one row, so that one statement revokes the family,
    including a token that is added at the same time.
    """

    def add(self, session: Session, *, token_digest: str) -> None:
        self._add(self._tables.sessions, {"digest": token_digest, **values(session)})

    def find(self, session_id: str) -> Session | None:
        if not is_id(session_id):
            return None
        return self._prepared(_live_session).one(self._connection, Session, session_id=session_id)

    def list_live(self, user_id: str, *, now: datetime) -> Sequence[Session]:
        sessions = self._tables.sessions
        statement = (
            _sessions(self._tables)
            .where(
                sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None), sessions.c.expires_at > now
            )
            .order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
        )
        return self._all(Session, statement)

    def list_agents(self, user_id: str) -> frozenset[str | None]:
        return frozenset(agent for (agent,) in self._prepared(_agents).rows(self._connection, owner=user_id))

    def set_organization(self, session_id: str, organization_id: str | None) -> None:
        sessions = self._tables.sessions
        statement = update(sessions).where(sessions.c.id == session_id)
        self._connection.execute(statement.values(organization_id=organization_id))

    def renew_proof(
        self, session_id: str, *, password_proved_at: datetime | None, factor_proved_at: datetime | None
    ) -> None:
        proved = {"auth_time": password_proved_at, "factor_proved_at": factor_proved_at}
        changes = {name: at for name, at in proved.items() if at is not None}
        sessions = self._tables.sessions
        self._connection.execute(update(sessions).where(sessions.c.id == session_id).values(**changes))

    def touch(self, seen: Mapping[str, datetime]) -> frozenset[str]:
        busy = self._lock_free(self._tables.sessions, seen) if len(seen) > 1 else frozenset()
        # In a fixed order, because processes of the previous version wait for these rows.
        rows = [{"session_id": one, "seen_at": at} for one, at in sorted(seen.items()) if one not in busy]
        if rows:
            self._prepared(_touch).each(self._connection, rows)
        return busy

    def count_wrong_code(self, session_id: str) -> int:
        sessions = self._tables.sessions
        statement = (
            update(sessions)
            .where(sessions.c.id == session_id)
            .values(wrong_codes=sessions.c.wrong_codes + 1)
            .returning(sessions.c.wrong_codes)
        )
        return self._connection.execute(statement).scalar_one_or_none() or 0

    def forget_wrong_codes(self, session_id: str) -> None:
        sessions = self._tables.sessions
        statement = update(sessions).where(sessions.c.id == session_id, sessions.c.wrong_codes > 0)
        self._connection.execute(statement.values(wrong_codes=0))

    def drop_ended(self, user_id: str, *, limit: int) -> None:
        self._prepared(_drop_ended).count(self._connection, owner=user_id, beyond=limit)

    def revoke_beyond(self, user_id: str, *, limit: int, keep: str, now: datetime) -> Sequence[str]:
        sessions = self._tables.sessions
        beyond = self._prepared(_sessions_beyond)
        rows = beyond.rows(self._connection, owner=user_id, kept=keep, others=limit - 1, now=now)
        if not rows:
            return []
        found = [session_id for (session_id,) in rows]
        ended = update(sessions).where(sessions.c.id.in_(found), sessions.c.revoked_at.is_(None))
        values = ended.values(revoked_at=now, revoked_reason="too_many").returning(sessions.c.id)
        return sorted(self._connection.execute(values).scalars())

    def lower_assurance(self, session_id: str) -> None:
        sessions = self._tables.sessions
        statement = update(sessions).where(sessions.c.id == session_id)
        self._connection.execute(statement.values(aal=1, amr=("pwd",), factor_proved_at=None))

    def revoke(self, session_id: str, *, reason: str, now: datetime) -> bool:
        sessions = self._tables.sessions
        statement = update(sessions).where(sessions.c.id == session_id, sessions.c.revoked_at.is_(None))
        return self._count(statement.values(revoked_at=now, revoked_reason=reason)) == 1

    def revoke_all(
        self,
        user_id: str,
        *,
        reason: str,
        now: datetime,
        keep: str | None = None,
        actor_types: frozenset[str] | None = None,
    ) -> Sequence[str]:
        sessions = self._tables.sessions
        statement = update(sessions).where(
            sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None), sessions.c.expires_at > now
        )
        if keep is not None:
            statement = statement.where(sessions.c.id != keep)
        if actor_types is not None:
            statement = statement.where(sessions.c.actor_type.in_(sorted(actor_types)))
        ended = statement.values(revoked_at=now, revoked_reason=reason).returning(sessions.c.id)
        return sorted(self._connection.execute(ended).scalars())

    def add_refresh_token(
        self, token_id: str, *, session: Session, digest: str, parent_id: str | None, now: datetime
    ) -> None:
        self._add(
            self._tables.refresh_tokens,
            {
                "id": token_id,
                "digest": digest,
                "session_id": session.id,
                "parent_id": parent_id,
                "created_at": now,
            },
        )

    def find_refresh_token(self, digest: str) -> RefreshToken | None:
        return self._prepared(_refresh_token).one(self._connection, RefreshToken, presented=digest)

    def replace_refresh_token(self, token_id: str, *, now: datetime) -> bool:
        replaced = self._prepared(_replace_refresh_token)
        return replaced.count(self._connection, token_id=token_id, now=now) == 1

    def drop_refresh_tokens(self, session_id: str) -> None:
        links = self._tables.refresh_tokens
        self._connection.execute(delete(links).where(links.c.session_id == session_id))

    def signing_keys(self) -> Sequence[StoredSigningKey]:
        keys = self._tables.signing_keys
        statement = select(*columns(keys, StoredSigningKey))
        return self._all(StoredSigningKey, statement.order_by(keys.c.created_at.desc(), keys.c.kid.desc()))

    def lock_signing_keys(self) -> None:
        acquire_lock(self._connection, self._tables.signing_keys.name)

    def add_signing_key(self, key: StoredSigningKey) -> None:
        self._add(self._tables.signing_keys, values(key))

    def retire_signing_key(self, kid: str, *, retired_at: datetime, expires_at: datetime) -> None:
        keys = self._tables.signing_keys
        later = or_(keys.c.retired_at.is_(None), keys.c.retired_at > retired_at)
        statement = update(keys).where(keys.c.kid == kid, later)
        self._connection.execute(statement.values(retired_at=retired_at, expires_at=expires_at))

    def reencrypt_signing_key(self, kid: str, *, old: str, new: str) -> bool:
        keys = self._tables.signing_keys
        statement = update(keys).where(keys.c.kid == kid, keys.c.sealed_private_key == old)
        return self._count(statement.values(sealed_private_key=new)) == 1

    def drop_signing_keys(self, *, before: datetime) -> int:
        keys = self._tables.signing_keys
        return self._count(delete(keys).where(keys.c.expires_at < before))

    def prune_expired(self, *, before: datetime) -> int:
        sessions = self._tables.sessions
        return self._prune(sessions, sessions.c.expires_at, before)


def _sessions(tables: Tables) -> Select[Any]:
    # A process of an earlier version issues sessions without a lineage while the new one is rolled out.
    sessions = tables.sessions
    lineage_id = func.coalesce(sessions.c.lineage_id, sessions.c.id).label("lineage_id")
    return select(*columns(sessions, Session, but=["lineage_id"]), lineage_id)


def _live_session(tables: Tables) -> Select[Any]:
    sessions = tables.sessions
    return _sessions(tables).where(sessions.c.id == bindparam("session_id"), sessions.c.revoked_at.is_(None))


def _agents(tables: Tables) -> Select[Any]:
    sessions = tables.sessions
    return select(sessions.c.user_agent).where(sessions.c.user_id == bindparam("owner")).distinct()


def _touch(tables: Tables) -> Update:
    sessions = tables.sessions
    session_id, seen_at = bindparam("session_id", type_=String), bindparam("seen_at", type_=Instant)
    earlier = or_(sessions.c.last_used_at.is_(None), sessions.c.last_used_at < seen_at)
    return update(sessions).where(sessions.c.id == session_id, earlier).values(last_used_at=seen_at)


def _drop_ended(tables: Tables) -> Delete:
    sessions = tables.sessions
    surplus = (
        select(sessions.c.id)
        .where(sessions.c.user_id == bindparam("owner"), sessions.c.revoked_at.is_not(None))
        .order_by(sessions.c.revoked_at.desc(), sessions.c.id.desc())
        .offset(bindparam("beyond", type_=Integer))
        .limit(PRUNED_AT_ONCE)
    )
    return delete(sessions).where(sessions.c.id.in_(surplus))


def _sessions_beyond(tables: Tables) -> Select[Any]:
    sessions = tables.sessions
    used_at = func.coalesce(sessions.c.last_used_at, sessions.c.created_at)
    return (
        select(sessions.c.id)
        .where(
            sessions.c.user_id == bindparam("owner"),
            sessions.c.revoked_at.is_(None),
            sessions.c.expires_at > bindparam("now"),
            sessions.c.id != bindparam("kept"),
        )
        .order_by(used_at.desc(), sessions.c.id.desc())
        # SQLite does not support OFFSET without LIMIT.
        .limit(_ENDED_AT_ONCE)
        .offset(bindparam("others", type_=Integer))
    )


def _refresh_token(tables: Tables) -> Select[Any]:
    links, sessions = tables.refresh_tokens, tables.sessions
    family = links.alias("family")
    size = select(func.count()).select_from(family).where(family.c.session_id == links.c.session_id)
    return (
        select(
            links.c.id,
            links.c.session_id,
            sessions.c.user_id,
            sessions.c.expires_at,
            links.c.replaced_at,
            sessions.c.revoked_at.is_not(None).label("revoked"),
            size.scalar_subquery().label("family_size"),
        )
        .join_from(links, sessions, sessions.c.id == links.c.session_id)
        .where(links.c.digest == bindparam("presented"))
    )


def _replace_refresh_token(tables: Tables) -> Update:
    links = tables.refresh_tokens
    return (
        update(links)
        .where(links.c.id == bindparam("token_id"), links.c.replaced_at.is_(None))
        .values(replaced_at=bindparam("now", type_=Instant))
    )
