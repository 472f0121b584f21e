"""Organizations, members and invitations, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from czo_auth.core.organizations.organization import Invitation, InvitationStatus, Member, Organization
from czo_auth.core.organizations.roles import OWNER
from czo_auth.core.organizations.store import Organizations
from czo_auth.core.paging import PageQuery, Position
from czo_auth.core.users.user import mail_address
from czo_auth.storage.store import Store, columns, from_row, values


class SqlOrganizations(Store, Organizations):
    """
    Implements `czo_auth.core.organizations.store.Organizations`.

    A deleted organization is a deleted row, with members and invitations by cascade, so queries need no extra
    condition. The audit log keeps its history.
    """

    def add(self, organization: Organization) -> bool:
        return self._insert_unless(self._tables.organizations, ["slug"], values(organization))

    def find(self, organization_id: str) -> Organization | None:
        return self._one(Organization, self._organization(organization_id), ids=[organization_id])

    def find_by_slug(self, slug: str) -> Organization | None:
        organizations = self._tables.organizations
        statement = select(*columns(organizations, Organization))
        return self._one(Organization, statement.where(organizations.c.slug == slug))

    def lock(self, organization_id: str) -> Organization | None:
        statement = self._organization(organization_id).with_for_update(key_share=True)
        return self._one(Organization, statement, ids=[organization_id])

    def list_of(
        self,
        user_id: str,
        *,
        only: Collection[str] | None = None,
        after: Position | None = None,
        limit: int,
        newest_first: bool = False,
    ) -> Sequence[tuple[Organization, str]]:
        organizations, members = self._tables.organizations, self._tables.members
        statement = (
            select(*columns(organizations, Organization), members.c.role)
            .join_from(organizations, members, members.c.organization_id == organizations.c.id)
            .where(members.c.user_id == user_id)
        )
        if only is not None:
            statement = statement.where(organizations.c.id.in_(only))
        page = self._page(statement, organizations, after, limit=limit, newest_first=newest_first)
        found = []
        for row in self._connection.execute(page):
            fields = dict(row._mapping)
            role = fields.pop("role")
            found.append((Organization(**fields), role))
        return found

    def count_of(self, user_id: str, *, role: str | None = None) -> int:
        members = self._tables.members
        has_role = members.c.role == role if role is not None else true()
        return self._count_up_to(members, members.c.user_id == user_id, has_role)

    def list_memberships(self, user_id: str) -> Sequence[tuple[Organization, Member]]:
        organizations, members = self._tables.organizations, self._tables.members
        statement = (
            select(*columns(organizations, Organization))
            .join(members, members.c.organization_id == organizations.c.id)
            .where(members.c.user_id == user_id)
            .order_by(organizations.c.id)
        )
        own = self._all(Member, self._members().where(members.c.user_id == user_id))
        member = {each.organization_id: each for each in own}
        found = self._all(Organization, statement)
        return [
            (organization, member[organization.id]) for organization in found if organization.id in member
        ]

    def search(self, *, text: str | None, page: PageQuery) -> Sequence[Organization]:
        organizations = self._tables.organizations
        statement = select(*columns(organizations, Organization)).where(self._matches(text))
        return [from_row(Organization, row) for row in self._page_by_id(statement, organizations, page)]

    def count(self, *, text: str | None, up_to: int | None = None) -> int:
        return self._count_up_to(self._tables.organizations, self._matches(text), up_to=up_to)

    def list_unbanned_owners(self, organization_id: str) -> Sequence[Member]:
        members, users = self._tables.members, self._tables.users
        statement = (
            self._members()
            .add_columns(users.c.mailbox)
            .where(
                members.c.organization_id == organization_id,
                members.c.role == OWNER,
                users.c.banned_at.is_(None),
            )
            .order_by(members.c.created_at, members.c.id)
        )
        found = []
        for row in self._connection.execute(statement):
            fields = dict(row._mapping)
            typed, email = fields.pop("mailbox"), fields.pop("email")
            found.append(Member(**fields, email=mail_address(email, typed)))
        return found

    def count_unbanned_owners(self, organization_id: str) -> int:
        members, users = self._tables.members, self._tables.users
        statement = (
            select(func.count())
            .select_from(members.join(users, users.c.id == members.c.user_id))
            .where(
                members.c.organization_id == organization_id,
                members.c.role == OWNER,
                users.c.banned_at.is_(None),
            )
        )
        return self._connection.execute(statement).scalar_one()

    def _matches(self, text: str | None) -> ColumnElement[bool]:
        organizations = self._tables.organizations
        if text is None:
            return true()
        return or_(
            organizations.c.name.icontains(text, autoescape=True),
            organizations.c.slug.icontains(text, autoescape=True),
        )

    def update(self, changed: Organization) -> bool:
        organizations = self._tables.organizations
        statement = (
            update(organizations)
            .where(organizations.c.id == changed.id)
            .values(**values(changed, but=["id", "created_at"]))
        )
        # Checking first would be a race, and PostgreSQL aborts the whole transaction for a failed statement.
        try:
            with self._connection.begin_nested():
                return self._count(statement) == 1
        except IntegrityError:
            return False

    def list_unused_rules(self) -> Sequence[tuple[str, int]]:
        organizations = self._tables.organizations
        rule = organizations.c.api_key_unused_days
        statement = select(organizations.c.id, rule).where(rule.is_not(None)).order_by(organizations.c.id)
        return [(row[0], row[1]) for row in self._connection.execute(statement)]

    def delete(self, organization_id: str, *, now: datetime) -> None:
        organizations = self._tables.organizations
        self._connection.execute(delete(organizations).where(organizations.c.id == organization_id))

    def add_member(
        self, member_id: str, *, organization_id: str, user_id: str, role: str, now: datetime
    ) -> bool:
        row = {
            "id": member_id,
            "organization_id": organization_id,
            "user_id": user_id,
            "role": role,
            "created_at": now,
        }
        return self._insert_unless(self._tables.members, ["organization_id", "user_id"], row)

    def find_member(self, organization_id: str, user_id: str) -> Member | None:
        members = self._tables.members
        return self._one(
            Member,
            self._members().where(members.c.organization_id == organization_id, members.c.user_id == user_id),
            ids=[organization_id, user_id],
        )

    def find_member_by_id(self, member_id: str) -> Member | None:
        statement = self._members().where(self._tables.members.c.id == member_id)
        return self._one(Member, statement, ids=[member_id])

    def list_members(
        self, organization_id: str, *, after: Position | None = None, limit: int
    ) -> Sequence[Member]:
        members = self._tables.members
        statement = self._members().where(members.c.organization_id == organization_id)
        return self._all(Member, self._page(statement, members, after, limit=limit, newest_first=False))

    def count_members(self, organization_id: str) -> int:
        members = self._tables.members
        return self._count_up_to(members, members.c.organization_id == organization_id)

    def count_owners(self, organization_id: str) -> int:
        members = self._tables.members
        return self._count_up_to(
            members, members.c.organization_id == organization_id, members.c.role == OWNER
        )

    def set_role(self, organization_id: str, user_id: str, *, role: str) -> None:
        members = self._tables.members
        statement = update(members).where(
            members.c.organization_id == organization_id, members.c.user_id == user_id
        )
        self._connection.execute(statement.values(role=role))

    def remove_member(self, organization_id: str, user_id: str) -> bool:
        members = self._tables.members
        statement = delete(members).where(
            members.c.organization_id == organization_id, members.c.user_id == user_id
        )
        return self._count(statement) == 1

    def add_invitation(self, invitation: Invitation, *, digest: str) -> None:
        self._add(self._tables.invitations, {"digest": digest, **values(invitation)})

    def find_invitation(self, invitation_id: str) -> Invitation | None:
        statement = self._invitations().where(self._tables.invitations.c.id == invitation_id)
        return self._one(Invitation, statement, ids=[invitation_id])

    def find_invitation_by_digest(self, digest: str) -> Invitation | None:
        return self._one(Invitation, self._invitations().where(self._tables.invitations.c.digest == digest))

    def find_pending_invitation(
        self, organization_id: str, email: str, *, now: datetime
    ) -> Invitation | None:
        invitations = self._tables.invitations
        statement = self._pending(email, now).where(invitations.c.organization_id == organization_id).limit(1)
        return self._one(Invitation, statement)

    def list_invitations(
        self, organization_id: str, *, roles: Collection[str], after: Position | None = None, limit: int
    ) -> Sequence[Invitation]:
        invitations = self._tables.invitations
        statement = self._invitations().where(
            invitations.c.organization_id == organization_id, invitations.c.role.in_(roles)
        )
        return self._all(Invitation, self._page(statement, invitations, after, limit=limit))

    def count_invitations(self, organization_id: str, *, roles: Collection[str]) -> int:
        invitations = self._tables.invitations
        return self._count_up_to(
            invitations, invitations.c.organization_id == organization_id, invitations.c.role.in_(roles)
        )

    def count_pending_invitations(self, organization_id: str, *, now: datetime) -> int:
        invitations = self._tables.invitations
        return self._count_up_to(
            invitations,
            invitations.c.organization_id == organization_id,
            invitations.c.status == "pending",
            invitations.c.expires_at > now,
        )

    def list_invitations_for(self, email: str, *, limit: int, now: datetime) -> Sequence[Invitation]:
        return self._all(Invitation, self._pending(email, now).limit(limit))

    def close_invitation(self, invitation_id: str, *, status: InvitationStatus, now: datetime) -> bool:
        invitations = self._tables.invitations
        statement = update(invitations).where(
            invitations.c.id == invitation_id,
            invitations.c.status == "pending",
            invitations.c.expires_at > now,
        )
        return self._count(statement.values(status=status, closed_at=now)) == 1

    def list_invitations_by(self, user_id: str) -> Sequence[Invitation]:
        invitations = self._tables.invitations
        statement = select(*columns(invitations, Invitation)).where(invitations.c.inviter_id == user_id)
        return self._all(Invitation, statement.order_by(invitations.c.created_at.desc()))

    def list_invitations_to(self, email: str) -> Sequence[Invitation]:
        invitations = self._tables.invitations
        statement = select(*columns(invitations, Invitation)).where(invitations.c.email == email)
        return self._all(Invitation, statement.order_by(invitations.c.created_at.desc()))

    def delete_invitations_to(self, email: str) -> None:
        invitations = self._tables.invitations
        self._connection.execute(delete(invitations).where(invitations.c.email == email))

    def prune_expired(self, *, before: datetime) -> int:
        invitations = self._tables.invitations
        return self._prune(invitations, invitations.c.expires_at, before)

    def _organization(self, organization_id: str) -> Select[Any]:
        organizations = self._tables.organizations
        return select(*columns(organizations, Organization)).where(organizations.c.id == organization_id)

    def _members(self) -> Select[Any]:
        members, users = self._tables.members, self._tables.users
        own = columns(members, Member, but=["email", "name", "image"])
        return select(*own, users.c.email, users.c.name, users.c.image).join_from(
            members, users, users.c.id == members.c.user_id
        )

    def _invitations(self) -> Select[Any]:
        return select(*columns(self._tables.invitations, Invitation))

    def _pending(self, email: str, now: datetime) -> Select[Any]:
        invitations = self._tables.invitations
        return (
            self._invitations()
            .where(
                invitations.c.email == email,
                invitations.c.status == "pending",
                invitations.c.expires_at > now,
            )
            .order_by(invitations.c.created_at.desc(), invitations.c.id.desc())
        )
