"""Users and the tokens mailed to them, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    type_coerce,
    update,
)
from sqlalchemy.exc import IntegrityError

from czo_auth.core.ids import is_id
from czo_auth.core.limits import MAX_LIVE_LINKS
from czo_auth.core.paging import PageQuery
from czo_auth.core.users.email import may_be_folded
from czo_auth.core.users.store import EVERYBODY, MailPurpose, MailToken, UserCounts, UserFilter, Users
from czo_auth.core.users.user import User
from czo_auth.storage.locks import acquire_lock
from czo_auth.storage.store import Store, columns, from_row, values
from czo_auth.storage.tables import Tables
from czo_auth.storage.user_search import user_contains
from czo_auth.storage.user_search_index import has_search_index

_DERIVED = ("has_factor", "has_totp", "has_passkey", "renew_by")
"""Fields of a user that are read from the rows of their factors."""


class SqlUsers(Store, Users):
    """Implements `czo_auth.core.users.store.Users`."""

    def find(self, user_id: str) -> User | None:
        if not is_id(user_id):
            return None
        return self._prepared(_user_by_id).one(self._connection, User, id=user_id)

    def find_many(self, user_ids: Collection[str]) -> Mapping[str, User]:
        wanted = sorted(filter(is_id, user_ids))
        found = self._all(User, self._select().where(self._tables.users.c.id.in_(wanted))) if wanted else []
        return {user.id: user for user in found}

    def find_by_email(self, email: str) -> User | None:
        return self._prepared(_user_by_email).one(self._connection, User, email=email)

    def lock(self, user_id: str) -> User | None:
        # Two statements: PostgreSQL reads a row again after waiting for it, but not what was joined to it, so
        # has_factor would be as old as the wait. NO KEY: rows that refer to the user can be added in the meantime.
        # SQLite has no such lock and needs none: only one connection writes at a time.
        if not is_id(user_id):
            return None
        is_alone = self._connection.dialect.name == "sqlite"
        if not is_alone and not self._prepared(_lock_user).rows(self._connection, id=user_id):
            return None
        return self.find(user_id)

    def lock_active(self, user_id: str) -> User | None:
        user = self.lock(user_id)
        return None if user is None or user.banned_at is not None else user

    def add(self, user: User) -> bool:
        return self._insert_unless(self._tables.users, ["email"], values(user, but=_DERIVED))

    def find_by_external_id(self, external_id: str) -> User | None:
        return self._one(User, self._select().where(self._tables.users.c.external_id == external_id))

    def set_external_id(self, user_id: str, external_id: str, *, now: datetime) -> None:
        self._change(user_id, now, external_id=external_id)

    def set_language(self, user_id: str, language: str) -> None:
        # The account itself does not change, so ``updated_at`` stays.
        users = self._tables.users
        self._connection.execute(update(users).where(users.c.id == user_id).values(language=language))

    def secure(self, user_id: str, *, now: datetime) -> None:
        self._change(user_id, now, password_hash=None, secured_at=now)

    def restore_email(self, user_id: str, *, folded: str, email: str, mailbox: str, now: datetime) -> bool:
        users = self._tables.users
        taken = select(users.c.id).where(users.c.email == email).exists()
        statement = update(users).where(
            users.c.id == user_id, users.c.email == folded, users.c.mailbox.is_(None), ~taken
        )
        return self._count(statement.values(email=email, mailbox=mailbox, updated_at=now)) == 1

    def list_folded(self, *, after: str | None, limit: int) -> Sequence[User]:
        users = self._tables.users
        found: list[User] = []
        beyond = after
        # No pattern of both databases describes what folding may have produced, so the addresses are checked here.
        while len(found) < limit:
            page = self._all(
                User,
                self._select()
                .where(users.c.mailbox.is_(None), users.c.id > beyond if beyond is not None else true())
                .order_by(users.c.id)
                .limit(limit),
            )
            if not page:
                break
            beyond = page[-1].id
            found += [user for user in page if may_be_folded(user.email)]
        return found[:limit]

    def update_profile(
        self, user_id: str, *, name: str, image: str | None, email_verified: bool, now: datetime
    ) -> None:
        self._change(user_id, now, name=name, image=image, email_verified=email_verified)

    def set_password(self, user_id: str, *, password_hash: str, now: datetime) -> None:
        self._change(user_id, now, password_hash=password_hash)

    def set_email(
        self, user_id: str, *, email: str, mailbox: str, email_verified: bool, now: datetime
    ) -> bool:
        users = self._tables.users
        statement = update(users).where(users.c.id == user_id)
        changed = statement.values(
            email=email, mailbox=mailbox, email_verified=email_verified, updated_at=now
        )
        # Checking first would be a race, and PostgreSQL aborts the whole transaction for a failed statement.
        try:
            with self._connection.begin_nested():
                return self._count(changed) == 1
        except IntegrityError:
            return False

    def set_fields(self, user_id: str, *, fields: Mapping[str, object], now: datetime) -> None:
        self._change(user_id, now, fields=dict(fields))

    def delete(self, user_id: str) -> bool:
        users = self._tables.users
        return self._count(delete(users).where(users.c.id == user_id)) == 1

    def lock_administrators(self) -> None:
        acquire_lock(self._connection, f"{self._tables.users.name}_administrators")

    def count_administrators(self, actor_types: Collection[str], *, but: str) -> int:
        users = self._tables.users
        wanted = frozenset(actor_types)
        # Administrators are few: the sets with one of the types are looked up first, or everybody would be read.
        sets = [each for each in self._actor_type_sets() if not wanted.isdisjoint(each.split())]
        has_type = type_coerce(users.c.actor_types, Text).in_(sets)
        return self._count_up_to(users, users.c.banned_at.is_(None), users.c.id != but, has_type)

    def set_actor_types(
        self, user_id: str, *, actor_types: frozenset[str], grants: Mapping[str, datetime], now: datetime
    ) -> None:
        self._change(user_id, now, actor_types=actor_types, actor_type_grants=grants)

    def set_ban(self, user_id: str, *, banned_at: datetime | None, reason: str | None, now: datetime) -> None:
        self._change(user_id, now, banned_at=banned_at, ban_reason=reason)

    def set_factors_kept(self, user_id: str, kept_at: datetime | None, *, now: datetime) -> None:
        self._change(user_id, now, factors_kept_at=kept_at)

    def set_passkeys_enabled(self, user_id: str, enabled_at: datetime | None, *, now: datetime) -> None:
        self._change(user_id, now, passkeys_enabled_at=enabled_at)

    def bump_credential_version(self, user_id: str, *, now: datetime) -> None:
        self._change(user_id, now, credential_version=self._tables.users.c.credential_version + 1)

    def search(self, matching: UserFilter, *, page: PageQuery) -> Sequence[User]:
        statement = self._select().where(self._matches(matching))
        return [from_row(User, row) for row in self._page_by_id(statement, self._tables.users, page)]

    def count(self, matching: UserFilter = EVERYBODY, *, up_to: int | None = None) -> int:
        users, factors = self._tables.users, self._tables.factors
        joined = users.outerjoin(factors, factors.c.user_id == users.c.id)
        conditions = () if matching == EVERYBODY else (self._matches(matching),)
        return self._count_up_to(users if matching.two_factor is None else joined, *conditions, up_to=up_to)

    def has_search_index(self) -> bool:
        return has_search_index(self._connection, self._tables)

    def count_factors(self, actor_type: str, *, passkeys_only: bool = False) -> tuple[int, int]:
        users, factors = self._tables.users, self._tables.factors
        counts = has_passkey(self._tables) if passkeys_only else owns_factor(self._tables)
        statement = (
            select(func.count(), func.count(case((counts, 1))))
            .select_from(users.outerjoin(factors, factors.c.user_id == users.c.id))
            .where(users.c.banned_at.is_(None), holds(self._tables, actor_type))
        )
        holders, with_factor = self._connection.execute(statement).one()
        return holders, with_factor

    def count_by_state(self) -> UserCounts:
        users, factors = self._tables.users, self._tables.factors
        free = users.c.banned_at.is_(None)
        statement = select(
            func.count(),
            func.count(users.c.banned_at),
            func.count(case((and_(free, owns_factor(self._tables)), 1))),
        ).select_from(users.outerjoin(factors, factors.c.user_id == users.c.id))
        found, banned, with_factor = self._connection.execute(statement).one()
        return UserCounts(users=found, banned=banned, with_factor=with_factor)

    def count_foreign_hashes(self, current: str) -> int:
        statement = select(func.count()).select_from(self._tables.users).where(self._is_foreign(current))
        return self._connection.execute(statement).scalar_one()

    def sample_foreign_hashes(self, current: str, *, limit: int) -> Sequence[str]:
        hashes = select(self._tables.users.c.password_hash).where(self._is_foreign(current))
        return [text for text in self._connection.execute(hashes.limit(limit)).scalars() if text is not None]

    def _is_foreign(self, current: str) -> ColumnElement[bool]:
        users = self._tables.users
        return users.c.password_hash.is_not(None) & not_(
            users.c.password_hash.startswith(current, autoescape=True)
        )

    def add_mail_token(
        self, token: MailToken, *, digest: str, now: datetime, limit: int = MAX_LIVE_LINKS
    ) -> bool:
        tokens = self._tables.mail_tokens
        live = select(func.count()).where(
            tokens.c.user_id == token.user_id,
            tokens.c.purpose == token.purpose,
            tokens.c.expires_at > now,
            tokens.c.used_at.is_(None),
        )
        if self._connection.execute(live).scalar_one() >= limit:
            return False
        self._add(tokens, values(token) | {"digest": digest, "created_at": now})
        return True

    def open_mail_token(self, digest: str, *, now: datetime) -> None:
        tokens = self._tables.mail_tokens
        opened = (
            update(tokens)
            .where(tokens.c.digest == digest, tokens.c.expires_at > now, tokens.c.used_at.is_(None))
            .values(opened_at=now)
            .returning(tokens.c.created_at, tokens.c.user_id, tokens.c.purpose)
        )
        row = self._connection.execute(opened).one_or_none()
        if row is not None:
            earlier = (tokens.c.user_id == row.user_id) & (tokens.c.purpose == row.purpose)
            self._connection.execute(delete(tokens).where(earlier, tokens.c.created_at < row.created_at))

    def take_mail_token(self, digest: str, *, purpose: MailPurpose, now: datetime) -> MailToken | None:
        tokens = self._tables.mail_tokens
        taken = (
            delete(tokens)
            .where(
                tokens.c.digest == digest,
                tokens.c.purpose == purpose,
                tokens.c.expires_at > now,
                tokens.c.used_at.is_(None),
            )
            .returning(*columns(tokens, MailToken))
        )
        row = self._connection.execute(taken).one_or_none()
        return None if row is None else from_row(MailToken, row)

    def find_mail_token(self, digest: str, *, now: datetime) -> MailToken | None:
        tokens = self._tables.mail_tokens
        statement = select(*columns(tokens, MailToken))
        live = statement.where(
            tokens.c.digest == digest, tokens.c.expires_at > now, tokens.c.used_at.is_(None)
        )
        return self._one(MailToken, live)

    def drop_mail_tokens(self, user_id: str, *, purpose: MailPurpose | None = None) -> None:
        tokens = self._tables.mail_tokens
        wanted = true() if purpose is None else tokens.c.purpose == purpose
        self._connection.execute(delete(tokens).where(tokens.c.user_id == user_id, wanted))

    def use_mail_token(
        self, digest: str, *, purpose: MailPurpose, keep_until: datetime, now: datetime
    ) -> MailToken | None:
        tokens = self._tables.mail_tokens
        live = update(tokens).where(
            tokens.c.digest == digest,
            tokens.c.purpose == purpose,
            tokens.c.expires_at > now,
            tokens.c.used_at.is_(None),
        )
        used = live.values(used_at=now, expires_at=keep_until).returning(*columns(tokens, MailToken))
        row = self._connection.execute(used).one_or_none()
        return None if row is None else from_row(MailToken, row)

    def find_used_mail_token(self, digest: str, *, purpose: MailPurpose, now: datetime) -> MailToken | None:
        tokens = self._tables.mail_tokens
        statement = select(*columns(tokens, MailToken)).where(
            tokens.c.digest == digest,
            tokens.c.purpose == purpose,
            tokens.c.expires_at > now,
            tokens.c.used_at.is_not(None),
        )
        return self._one(MailToken, statement)

    def drop_password_tokens(self, user_id: str) -> None:
        tokens = self._tables.mail_tokens
        for_passwords = tokens.c.purpose.in_(["reset_password", "recover_password"])
        self._connection.execute(delete(tokens).where(tokens.c.user_id == user_id, for_passwords))

    def prune_expired(self, *, before: datetime) -> int:
        tokens = self._tables.mail_tokens
        return self._prune(tokens, tokens.c.expires_at, before)

    def _actor_type_sets(self) -> Sequence[str]:
        """Return each set of actor types that anybody holds, from one to the next along the index."""
        words = type_coerce(self._tables.users.c.actor_types, Text)
        sets = select(func.min(words).label("words")).cte("sets", recursive=True)
        following = select(func.min(words)).where(words > sets.c.words).scalar_subquery()
        sets = sets.union_all(select(following).where(sets.c.words.is_not(None)))
        found = self._connection.execute(select(sets.c.words).where(sets.c.words.is_not(None)))
        return [text for text in found.scalars() if text is not None]

    def _select(self) -> Select[Any]:
        return select_users(self._tables)

    def _matches(self, matching: UserFilter) -> ColumnElement[bool]:
        """Return what *matching* asks for; of statements that join ``factors`` where it asks for two factors."""
        users, text = self._tables.users, matching.text
        wanted: list[ColumnElement[bool]] = [true()]
        if text is not None:
            wanted.append(user_contains(self._connection, self._tables, text))
        if matching.status is not None:
            is_free, is_verified = users.c.banned_at.is_(None), users.c.email_verified
            states = {
                "active": is_free & is_verified,
                "unverified": is_free & not_(is_verified),
                "banned": not_(is_free),
            }
            wanted.append(states[matching.status])
        if matching.actor_type is not None:
            wanted.append(holds(self._tables, matching.actor_type))
        if matching.two_factor is not None:
            is_on = _has_two_factors(self._tables)
            wanted.append(is_on if matching.two_factor else not_(is_on))
        return and_(*wanted)

    def _change(self, user_id: str, now: datetime, **changes: object) -> None:
        users = self._tables.users
        self._connection.execute(update(users).where(users.c.id == user_id).values(updated_at=now, **changes))


def holds(tables: Tables, actor_type: str) -> ColumnElement[bool]:
    """Whether a user holds an actor type."""
    # The words have spaces between; a space at either end lets each be found as a whole.
    words = literal(" ").concat(cast(tables.users.c.actor_types, Text)).concat(" ")
    return words.contains(f" {actor_type} ", autoescape=True)


def select_users(tables: Tables) -> Select[Any]:
    """Begin a SELECT of users with what they have; joins ``factors``."""
    users, factors = tables.users, tables.factors
    return select(
        *columns(users, User, but=_DERIVED),
        factors.c.user_id.is_not(None).label("has_totp"),
        has_passkey(tables).label("has_passkey"),
        _has_two_factors(tables).label("has_factor"),
        factors.c.renew_by,
    ).select_from(users.outerjoin(factors, factors.c.user_id == users.c.id))


def _has_two_factors(tables: Tables) -> ColumnElement[bool]:
    """Whether a user's two factors are on; for statements that join ``factors``."""
    is_asked = tables.users.c.passkeys_enabled_at.is_not(None)
    return or_(tables.factors.c.user_id.is_not(None), and_(is_asked, has_passkey(tables)))


def has_passkey(tables: Tables) -> ColumnElement[bool]:
    """Whether a user has a passkey."""
    passkeys = tables.passkeys
    return exists(select(passkeys.c.id).where(passkeys.c.user_id == tables.users.c.id))


def owns_factor(tables: Tables) -> ColumnElement[bool]:
    """Whether a user has an authenticator app or a passkey; for statements that join ``factors``."""
    return or_(tables.factors.c.user_id.is_not(None), has_passkey(tables))


def _user_by_id(tables: Tables) -> Select[Any]:
    return select_users(tables).where(tables.users.c.id == bindparam("id"))


def _user_by_email(tables: Tables) -> Select[Any]:
    return select_users(tables).where(tables.users.c.email == bindparam("email"))


def _lock_user(tables: Tables) -> Select[Any]:
    users = tables.users
    return select(users.c.id).where(users.c.id == bindparam("id")).with_for_update(key_share=True)
