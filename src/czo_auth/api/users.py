"""``auth.users``: find, create and change users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from czo_auth.api.host_api import HostApi, context_of
from czo_auth.core.flows.sign_in.sign_up import NewUser
from czo_auth.core.flows.users.activity import Activity, read_activity
from czo_auth.core.flows.users.profile import set_user_fields
from czo_auth.core.limits import DEFAULT_PAGE
from czo_auth.core.paging import Page, PageQuery
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import find_canonical_email
from czo_auth.core.users.store import UserFilter
from czo_auth.core.users.user import User
from czo_auth.core.users.user_fields import UserFields


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """
    A user, without secrets.

    Attributes:
        email: In lower case; unique.
        mail_address: The address for mail, as it was entered.
        two_factor_enabled: Whether a password sign-in asks for a second step.
        banned: Whether the user is banned.
        external_id: The id in the system that the user was imported from.
        fields: Own fields, as `Settings.user_fields` describes them.
    """

    id: str
    email: str
    mail_address: str
    name: str
    image: str | None
    email_verified: bool
    two_factor_enabled: bool
    actor_types: frozenset[str]
    banned: bool
    external_id: str | None
    created_at: datetime
    updated_at: datetime
    fields: Mapping[str, object]


class Users(HostApi):
    """Users of the deployment. Every change is audited, and delivered as an event if it is one."""

    async def get(self, user_id: str) -> UserRecord:
        """
        Return a user by id, for example ``principal.user_id`` or ``event.user_id``.

        Raises:
            NotFound: It does not exist.
        """
        return self._record(await self._user(user_id))

    async def find(self, *, email: str | None = None, external_id: str | None = None) -> UserRecord | None:
        """
        Find a user by address, however it is written, or by the id in the system that they were imported from.

        Returns:
            The user, or None if there is no such user.

        Raises:
            TypeError: Neither was given, or both were.
        """
        if (email is None) == (external_id is None):
            raise TypeError("find() takes email or external_id")
        canonical = None if email is None else find_canonical_email(email)
        runtime = await self._started()

        def find_user(tx: Transaction) -> User | None:
            if external_id is not None:
                return tx.users.find_by_external_id(external_id)
            return None if canonical is None else tx.users.find_by_email(canonical)

        user = await runtime.services.transactions.read(find_user)
        return None if user is None else self._record(user)

    async def search(
        self, text: str | None = None, *, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> Page[UserRecord]:
        """
        List users, oldest first: all, or those whose address or name contains *text*.

        Raises:
            ValidationFailed: The cursor is not valid.
        """
        runtime = await self._started()
        page = await runtime.administration.search(
            UserFilter(text=text), page=PageQuery(limit=limit, cursor=cursor)
        )
        return Page(
            items=[self._record(user) for user in page.items], total=page.total, next_cursor=page.next_cursor
        )

    async def activity(
        self, user_id: str, *, limit: int = DEFAULT_PAGE, cursor: str | None = None
    ) -> Page[Activity]:
        """
        List what happened to the account of a user, newest first, as they see it themselves.

        Raises:
            NotFound: There is no such user.
            ValidationFailed: The cursor is not valid.
        """
        user = await self._user(user_id)
        return await read_activity(
            self._runtime.services, user.id, page=PageQuery(limit=limit, cursor=cursor)
        )

    async def create(
        self,
        *,
        email: str,
        name: str,
        password: str,
        actor_types: Sequence[str] = (),
        email_verified: bool = False,
        fields: Mapping[str, object] | None = None,
        by: Principal | None = None,
    ) -> UserRecord:
        """
        Create a user who signs in with *password*.

        Args:
            actor_types: Additional to the default one; may include those without open sign-up.
            fields: Own fields of `Settings.user_fields`, including server-only ones.
            by: The user on whose behalf the host acts, for the audit log.

        Raises:
            ValidationFailed: The address is not valid.
            UnknownActorType: There is no such actor type.
            UserAlreadyExists: The address is taken.
            PasswordTooShort, PasswordTooLong, PasswordCompromised: The password is not acceptable.
        """
        runtime = await self._started()
        user, _ = await runtime.sign_up.create(
            NewUser(email=email, name=name, password=password, fields=fields or {}),
            actor_types=tuple(runtime.services.actors.get(each) for each in actor_types),
            email_verified=email_verified,
            context=context_of(by, now=runtime.now()),
        )
        return self._record(user)

    async def grant(self, user_id: str, actor_type: str, *, by: Principal | None = None) -> UserRecord:
        """
        Give a user an actor type; effective at the next request.

        Raises:
            NotFound, UnknownActorType: There is no such user or actor type.
        """
        return await self._change_actor_types(user_id, add=[actor_type], remove=[], by=by)

    async def revoke(self, user_id: str, actor_type: str, *, by: Principal | None = None) -> UserRecord:
        """
        Remove an actor type from a user; its sessions end.

        Raises:
            NotFound, UnknownActorType: There is no such user or actor type.
            ValidationFailed: It is the default one, which everyone holds.
        """
        return await self._change_actor_types(user_id, add=[], remove=[actor_type], by=by)

    async def ban(self, user_id: str, *, reason: str, by: Principal | None = None) -> UserRecord:
        """
        Ban a user: sessions and API keys end at once.

        Raises:
            NotFound: There is no such user.
        """
        runtime = await self._started()
        return self._record(
            await runtime.administration.ban(
                user_id, reason=reason, context=context_of(by, now=runtime.now())
            )
        )

    async def unban(self, user_id: str, *, by: Principal | None = None) -> UserRecord:
        """
        Lift a ban; revoked keys and sessions stay revoked.

        Raises:
            NotFound: There is no such user.
        """
        runtime = await self._started()
        return self._record(
            await runtime.administration.unban(user_id, context=context_of(by, now=runtime.now()))
        )

    async def _change_actor_types(
        self, user_id: str, *, add: Sequence[str], remove: Sequence[str], by: Principal | None
    ) -> UserRecord:
        runtime = await self._started()
        return self._record(
            await runtime.administration.change_actor_types(
                user_id, add=add, remove=remove, context=context_of(by, now=runtime.now())
            )
        )

    def _record(self, user: User) -> UserRecord:
        return _record(user, self._runtime.services.policies.user_fields)

    async def set_fields(
        self, user_id: str, fields: Mapping[str, object], *, by: Principal | None = None
    ) -> UserRecord:
        """
        Change own fields of a user, including server-only ones; other fields keep their value.

        Raises:
            NotFound: There is no such user.
            ValidationFailed: A field is unknown or not valid.
        """
        user = await self._user(user_id)
        changed = await set_user_fields(
            self._runtime.services, user.id, fields, context=context_of(by, now=self._runtime.now())
        )
        return self._record(changed)


def _record(user: User, fields: UserFields) -> UserRecord:
    return UserRecord(
        id=user.id,
        email=user.email,
        mail_address=user.mail_address,
        name=user.name,
        image=user.image,
        email_verified=user.email_verified,
        two_factor_enabled=user.has_factor,
        actor_types=user.actor_types,
        banned=user.banned_at is not None,
        external_id=user.external_id,
        created_at=user.created_at,
        updated_at=user.updated_at,
        fields=fields.shown(user.fields),
    )
