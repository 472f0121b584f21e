"""Users, as they see themselves and as administrators see them."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import ConfigDict, WithJsonSchema

from czo_auth.core.paging import Page
from czo_auth.core.users import user as core
from czo_auth.core.users.user_fields import UserFields
from czo_auth.rest.records.base import Id, Listed, Record, Timestamp

AccountExport = Annotated[
    dict[str, Any], WithJsonSchema({"type": "object", "required": ["exportedAt", "user", "audit"]})
]
"""All data that is stored about a user."""


class User(Record):
    """A user, with the host's own fields beside these."""

    model_config = ConfigDict(extra="allow")

    id: Id
    email: str
    name: str
    email_verified: bool
    image: str | None
    two_factor_enabled: bool
    actor_types: list[str]
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, user: core.User, fields: UserFields, **more: Any) -> Self:
        """
        Make the record of *user*.

        Args:
            fields: The host's own fields.
            more: The additional fields of a subclass.
        """
        own: dict[str, Any] = dict(fields.shown(user.fields))
        return cls(
            **own,
            id=user.id,
            email=user.email,
            name=user.name,
            email_verified=user.email_verified,
            image=user.image,
            two_factor_enabled=user.has_factor,
            actor_types=sorted(user.actor_types),
            created_at=user.created_at,
            updated_at=user.updated_at,
            **more,
        )


class AdministeredUser(User):
    """A user for an administrator."""

    banned: bool
    banned_at: Timestamp | None

    @classmethod
    def of(cls, user: core.User, fields: UserFields, **more: Any) -> Self:
        return super().of(user, fields, banned=user.banned_at is not None, banned_at=user.banned_at, **more)


class AdministeredUserAnswer(Record):
    user: AdministeredUser

    @classmethod
    def of(cls, user: core.User, fields: UserFields) -> Self:
        """Answer with one user."""
        return cls(user=AdministeredUser.of(user, fields))


class AdministeredUserList(Listed):
    users: list[AdministeredUser]

    @classmethod
    def of(cls, page: Page[core.User], fields: UserFields) -> Self:
        """Answer with a page of users."""
        users = [AdministeredUser.of(each, fields) for each in page.items]
        return cls(users=users, total=page.total, next_cursor=page.next_cursor)
