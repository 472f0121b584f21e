"""A deployment on a real database with people in it, for tests of flows that need several users."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.errors import Refusal
from czo_auth.core.events.types import AuditRecord, Event
from czo_auth.core.flows.api_keys.new_key import CreatedApiKey, NewApiKey
from czo_auth.core.flows.organizations.changes import NewOrganization
from czo_auth.core.ids import new_id
from czo_auth.core.organizations.organization import Member, Organization
from czo_auth.core.principal import Principal
from czo_auth.core.sessions.session import IssuedSession
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import canonical_email
from czo_auth.core.users.user import User
from czo_auth.crypto.sealing import new_key_text
from czo_auth.runtime import Runtime
from czo_auth.testing import Mailbox, MovableClock
from tests.support.records import a_user
from tests.support.settings import settings
from tests.support.users import from_here, put_session, put_user

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)


def nowhere() -> None:
    """Know no address of a client."""


async def outcome(act: Awaitable[object]) -> str:
    """Name the refusal that *act* ends in, or say that it is done."""
    try:
        await act
    except Refusal as refusal:
        return type(refusal).__name__
    return "done"


class Deployment:
    """People and what they need to act; every act happens at `NOW` unless a test says otherwise."""

    def __init__(self, runtime: Runtime, mailbox: Mailbox) -> None:
        self.runtime = runtime
        self.mailbox = mailbox
        self.transactions = runtime.services.transactions
        self.organizations = runtime.manage_organizations
        self.members = runtime.manage_members
        self.invitations = runtime.invitations
        self.received_invitations = runtime.received_invitations

    async def user(self, name: str, *, email: str | None = None, email_verified: bool = False) -> User:
        """Add a user, `<name>@example.com`."""
        fields = {} if email is None else {"email": canonical_email(email)}
        return await put_user(self.runtime, a_user(name, now=NOW, email_verified=email_verified, **fields))

    async def session_of(self, user: User, *, actor_type: str = "customer") -> IssuedSession:
        """Begin a session of *user*."""
        return await put_session(self.runtime, user, now=NOW, actor_type=actor_type)

    async def sign_in(self, user: User) -> str:
        """Give a new session token of *user*."""
        return (await self.session_of(user)).session_token

    async def proved(self, session_token: str, *, now: datetime = NOW) -> Principal:
        """Prove a session token, as a request would."""
        return await self.runtime.authenticate.session_token(session_token, now=now)

    async def person(self, name: str, *, email: str | None = None, email_verified: bool = False) -> Principal:
        """Add a user and sign them in."""
        user = await self.user(name, email=email, email_verified=email_verified)
        return await self.proved(await self.sign_in(user))

    async def organization(self, owner: Principal, name: str = "Acme") -> Organization:
        """Let *owner* create an organization."""
        membership = await self.organizations.create(
            NewOrganization(name=name), context=from_here(NOW).of(owner)
        )
        return membership.organization

    async def join(self, organization: Organization, person: Principal, role: str) -> Member:
        """Make *person* a member, past every rule."""

        def add(tx: Transaction) -> Member:
            member_id = new_id(NOW)
            if not tx.organizations.add_member(
                member_id, organization_id=organization.id, user_id=person.user_id, role=role, now=NOW
            ):
                tx.organizations.set_role(organization.id, person.user_id, role=role)
            member = tx.organizations.find_member(organization.id, person.user_id)
            assert member is not None
            return member

        return await self.transactions.run(add)

    async def member(self, organization: Organization, name: str, role: str) -> Principal:
        """Add a user who is a member."""
        person = await self.person(name)
        await self.join(organization, person, role)
        return person

    async def role_of(self, organization: Organization, person: Principal) -> str | None:
        """Read what *person* is in *organization*."""
        member = await self.transactions.read(
            lambda tx: tx.organizations.find_member(organization.id, person.user_id)
        )
        return None if member is None else member.role

    async def owners(self, organization: Organization) -> int:
        """Count the owners."""
        return await self.transactions.read(lambda tx: tx.organizations.count_owners(organization.id))

    async def ban(self, person: Principal) -> None:
        """Ban *person*."""
        await self.runtime.administration.ban(person.user_id, reason="test", context=from_here(NOW))

    async def api_key(self, owner: Principal, organization: Organization | None = None) -> CreatedApiKey:
        """Let *owner* create a key, scoped to *organization* if given."""
        new = NewApiKey(name="key", organization_id=organization.id if organization else None)
        return await self.runtime.create_api_keys.create(new, context=from_here(NOW).of(owner))

    async def live_keys(self, person: Principal) -> list[ApiKey]:
        """Read the keys of *person* that were not revoked."""
        return list(
            await self.transactions.read(lambda tx: tx.api_keys.list_live(person.user_id, limit=500, now=NOW))
        )

    async def events(self, *types: str) -> list[Event]:
        """Read the events of these types, oldest first."""
        found = await self.transactions.read(lambda tx: tx.outbox.events_after(0, limit=10_000))
        return [event for event in found if event.type in types]

    async def audit(self, *actions: str) -> list[AuditRecord]:
        """Read the audit records of these actions, oldest first; all of them when none is named."""
        found = await self.transactions.read(lambda tx: tx.audit_log.audit_after(0, limit=10_000))
        return [record for record in found if not actions or record.audit_event.action in actions]


@asynccontextmanager
async def open_deployment(
    database_url: str, *, key: str | None = None, **more: Any
) -> AsyncIterator[Deployment]:
    """Open a deployment on *database_url*; a second one on the same database needs the same *key*."""
    mailbox = Mailbox()
    chosen = settings(database_url, encryption_key=key or new_key_text(), **more)
    runtime = Runtime(chosen, clock=MovableClock(NOW), mail=mailbox)
    await runtime.open()
    try:
        yield Deployment(runtime, mailbox)
    finally:
        await runtime.stop()
