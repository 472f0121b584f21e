"""The port for storing users."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from czo_auth.core.limits import MAX_LIVE_LINKS
from czo_auth.core.paging import PageQuery
from czo_auth.core.users.status import UserStatus
from czo_auth.core.users.user import User

MailPurpose = Literal["verify_email", "reset_password", "recover_password"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailToken:
    """A single-use token that was sent by mail, or handed over by an operator; only its digest is stored."""

    id: str
    user_id: str
    purpose: MailPurpose
    email: str
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCounts:
    """
    Attributes:
        with_factor: Of those who are not banned.
    """

    users: int
    banned: int
    with_factor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFilter:
    """
    Which users to read; None means any.

    Attributes:
        text: What the address or the name contains; literal, not a pattern.
        status: ``banned``; ``unverified``: neither banned nor with a confirmed address; ``active``: all others.
        actor_type: Held by the user.
        two_factor: Whether two factors are on.
    """

    text: str | None = None
    status: UserStatus | None = None
    actor_type: str | None = None
    two_factor: bool | None = None


EVERYBODY: Final = UserFilter()


class Users(Protocol):
    """Users and the tokens mailed to them."""

    def find(self, user_id: str) -> User | None:
        """Read a user, banned or not. In every store, a text that does not have the form of an id finds nothing."""

    def find_many(self, user_ids: Collection[str]) -> Mapping[str, User]:
        """Read users by id; unknown ids are skipped."""

    def find_by_email(self, email: str) -> User | None:
        """Read a user by canonical address."""

    def lock(self, user_id: str) -> User | None:
        """
        Read a user and lock the row until the transaction ends.

        Promise: two transactions that lock the same user run one after the other, and each sees what the previous one
        committed. Every change to a user's credentials begins with it.
        """

    def lock_active(self, user_id: str) -> User | None:
        """Lock a user who may act; None when there is no such user, or the user is banned."""

    def add(self, user: User) -> bool:
        """Add a user; False when the address is taken. One atomic statement."""

    def find_by_external_id(self, external_id: str) -> User | None:
        """Read an imported user by their id in the other system."""

    def set_external_id(self, user_id: str, external_id: str, *, now: datetime) -> None:
        """Store a user's id in another system, which must be unique."""

    def set_language(self, user_id: str, language: str) -> None:
        """Store the language of a user's mails."""

    def secure(self, user_id: str, *, now: datetime) -> None:
        """Remove a user's password, and record when."""

    def restore_email(self, user_id: str, *, folded: str, email: str, mailbox: str, now: datetime) -> bool:
        """
        Give a user from before revision 0007 back the address that was folded into *folded*.

        False when the user has another address by now, or someone else has *email*.
        """

    def list_folded(self, *, after: str | None, limit: int) -> Sequence[User]:
        """Read users by id beyond *after* whose address may have been folded before revision 0007."""

    def update_profile(
        self, user_id: str, *, name: str, image: str | None, email_verified: bool, now: datetime
    ) -> None:
        """Replace the fields that a user may change, and whether their address is confirmed."""

    def set_password(self, user_id: str, *, password_hash: str, now: datetime) -> None:
        """Replace the password's hash."""

    def set_email(
        self, user_id: str, *, email: str, mailbox: str, email_verified: bool, now: datetime
    ) -> bool:
        """Replace the address; False when somebody else has it. One atomic statement."""

    def set_fields(self, user_id: str, *, fields: Mapping[str, object], now: datetime) -> None:
        """Replace the host's own fields."""

    def delete(self, user_id: str) -> bool:
        """
        Delete a user with everything that belongs to them; False when there is none.

        What others must be notified of (keys, memberships) has to be ended and recorded before.
        """

    def lock_administrators(self) -> None:
        """Lock the removal of administrators until the transaction ends."""

    def count_administrators(self, actor_types: Collection[str], *, but: str) -> int:
        """Count the users besides *but* who are not banned and hold one of *actor_types*."""

    def set_actor_types(
        self, user_id: str, *, actor_types: frozenset[str], grants: Mapping[str, datetime], now: datetime
    ) -> None:
        """Replace the actor types of a user."""

    def set_ban(self, user_id: str, *, banned_at: datetime | None, reason: str | None, now: datetime) -> None:
        """Ban, or lift the ban with None."""

    def set_factors_kept(self, user_id: str, kept_at: datetime | None, *, now: datetime) -> None:
        """Store when second factors stayed although the address was first proved; None once they were removed."""

    def set_passkeys_enabled(self, user_id: str, enabled_at: datetime | None, *, now: datetime) -> None:
        """Store since when the user's passkeys count as second step; None if they are only a way to sign in."""

    def bump_credential_version(self, user_id: str, *, now: datetime) -> None:
        """Invalidate every challenge that was issued so far."""

    def search(self, matching: UserFilter, *, page: PageQuery) -> Sequence[User]:
        """
        Read a page of the users that match, by id, and one more where there is one beyond it.

        Raises:
            ValidationFailed: The cursor is not valid.
        """

    def count(self, matching: UserFilter = EVERYBODY, *, up_to: int | None = None) -> int:
        """Count the users that match, at most *up_to*; None counts all."""

    def has_search_index(self) -> bool:
        """Return whether a search by a text has an index; without one it reads every user."""

    def count_factors(self, actor_type: str, *, passkeys_only: bool = False) -> tuple[int, int]:
        """
        Count the users who hold *actor_type* and are not banned, and those of them who have a second factor.

        Args:
            passkeys_only: Whether only a passkey counts as one.
        """

    def count_by_state(self) -> UserCounts:
        """Count all users, the banned ones, and those who are not and have a second factor."""

    def sample_foreign_hashes(self, current: str, *, limit: int) -> Sequence[str]:
        """Read some password hashes that do not begin with *current*."""

    def count_foreign_hashes(self, current: str) -> int:
        """Count the users whose password hash does not begin with *current*: not made with today's parameters."""

    def add_mail_token(
        self, token: MailToken, *, digest: str, now: datetime, limit: int = MAX_LIVE_LINKS
    ) -> bool:
        """Store a mailed token; False if its user already has *limit* live ones for its purpose."""

    def open_mail_token(self, digest: str, *, now: datetime) -> None:
        """Record that a live token's link was opened, which invalidates earlier ones of the same user and purpose."""

    def take_mail_token(self, digest: str, *, purpose: MailPurpose, now: datetime) -> MailToken | None:
        """Spend a live token. One atomic statement, so it works once."""

    def find_mail_token(self, digest: str, *, now: datetime) -> MailToken | None:
        """Read a live token of any purpose, without spending it."""

    def drop_mail_tokens(self, user_id: str, *, purpose: MailPurpose | None = None) -> None:
        """Invalidate a user's mailed tokens for *purpose*; all of them if it is None."""

    def use_mail_token(
        self, digest: str, *, purpose: MailPurpose, keep_until: datetime, now: datetime
    ) -> MailToken | None:
        """
        Spend a live token, and store until *keep_until* that it was used.

        One atomic statement, so it works once.
        """

    def find_used_mail_token(self, digest: str, *, purpose: MailPurpose, now: datetime) -> MailToken | None:
        """Read a used token that is still stored."""

    def drop_password_tokens(self, user_id: str) -> None:
        """Invalidate the tokens that set a new password."""

    def prune_expired(self, *, before: datetime) -> int:
        """
        Delete mailed tokens that expired before *before*.

        At most a thousand rows a call, so that no other write waits long; call it again until it returns 0.
        """
