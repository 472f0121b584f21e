"""Administration of accounts and organizations: create, end sessions, hand over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from czo_auth.core.context import Context
from czo_auth.core.errors import NotFound, OwnerExists, UserAlreadyExists
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import end_sessions, record_revoked
from czo_auth.core.flows.sessions.listing import live_sessions, page_of_sessions
from czo_auth.core.flows.two_factor.proofs import ConsumeProof, consume_proof, no_proof
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.flows.users.mailed_tokens import store_mail_token
from czo_auth.core.ids import is_id, new_id
from czo_auth.core.mail_drafts import compose_account_created
from czo_auth.core.organizations import roles
from czo_auth.core.organizations.organization import Member, Organization
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery, page_by_id
from czo_auth.core.sessions.session import Session
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import canonical_email, deliverable_email
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens

FIRST_PASSWORD_LIFETIME: Final = timedelta(days=2)


class AdministerAccounts:
    """Acts on other people's accounts. Who may is decided before (``access.ADMINISTRATION``, or a shell)."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)

    async def prove(self, *, password: str | None, code: str | None, context: Context) -> ConsumeProof:
        """
        Ask an administrator for recent proof, for an act on someone else.

        Returns:
            What the transaction of the change must consume.

        Raises:
            InvalidPassword, ReauthenticationRequired, InvalidCode, AccountLocked: See ``Reauthentication``.
        """
        proof = await self._proof.require(password=password, code=code, context=context)
        return proof.consume

    async def create(
        self,
        *,
        email: str,
        name: str,
        actor_types: Sequence[str],
        consume: ConsumeProof = no_proof,
        context: Context,
    ) -> User:
        """
        Create a user without a password, and mail them a link that sets one.

        Raises:
            ValidationFailed: The address is not valid.
            UnknownActorType: A name is not in the registry.
            UserAlreadyExists: The address is taken.
        """
        registry = self._services.actors
        granted = frozenset({registry.default.name, *(registry.get(each).name for each in actor_types)})
        user = User(
            id=new_id(context.now),
            email=canonical_email(email),
            mailbox=deliverable_email(email),
            name=name,
            image=None,
            email_verified=False,
            password_hash=None,
            actor_types=granted,
            credential_version=1,
            has_factor=False,
            banned_at=None,
            made_by="operator",
            fields=self._services.policies.user_fields.of_new_user({}, by_host=True),
            created_at=context.now,
            updated_at=context.now,
        )

        token = tokens.new_token(tokens.MAIL)

        def store_user(tx: Transaction) -> None:
            consume_proof(tx, consume)
            if not tx.users.add(user) or tx.email_changes.is_reserved(user.email, but_for=None, now=tx.now):
                raise UserAlreadyExists
            store_mail_token(tx, user, token, purpose="reset_password", lifetime=FIRST_PASSWORD_LIFETIME)
            audit_event = AuditEvent(
                action=types.USER_REGISTERED, user_id=user.id, details={"actorTypes": sorted(granted)}
            )
            tx.record(audit_event)

        await self._services.transactions.run(store_user, context)
        self._services.background.post(
            compose_account_created(
                user,
                token=token,
                links=self._services.links,
                valid_for=FIRST_PASSWORD_LIFETIME,
            )
        )
        return user

    # --- sessions ----------------------------------------------------------------------------------------------------
    async def list_sessions(self, user_id: str, *, now: datetime) -> Sequence[Session]:
        """
        List a user's live sessions, newest first.

        Raises:
            NotFound: There is no such user.
        """

        def read(tx: Transaction) -> Sequence[Session]:
            if not is_id(user_id) or tx.users.find(user_id) is None:
                raise NotFound
            return live_sessions(self._services, tx, user_id, now=now)

        return await self._services.transactions.read(read)

    async def list_page_of_sessions(self, user_id: str, page: PageQuery, *, now: datetime) -> Page[Session]:
        """
        List a part of a user's live sessions, newest first.

        Raises:
            NotFound: There is no such user.
            ValidationFailed: The cursor is not one of a page before.
        """
        return page_of_sessions(await self.list_sessions(user_id, now=now), page)

    async def end_sessions(self, user_id: str, *, context: Context) -> None:
        """
        End all of a user's sessions, refresh families and pending challenges.

        Raises:
            NotFound: There is no such user.
        """

        def end(tx: Transaction) -> None:
            if not is_id(user_id) or tx.users.lock(user_id) is None:
                raise NotFound
            end_sessions(tx, user_id, reason="ended_by_administrator")

        await self._services.transactions.run(end, context)

    async def end_session(self, session_id: str, *, context: Context) -> None:
        """
        End one session of anyone.

        Raises:
            NotFound: No such id, or it has ended.
        """

        def end(tx: Transaction) -> None:
            session = tx.sessions.find(session_id)
            reason = "ended_by_administrator"
            if session is None or not tx.sessions.revoke(session.id, reason=reason, now=tx.now):
                raise NotFound
            record_revoked(tx, session.user_id, session.id, reason=reason)

        await self._services.transactions.run(end, context)

    # --- organizations -----------------------------------------------------------------------------------------------
    async def search_organizations(
        self, *, text: str | None, page: PageQuery = FIRST_PAGE
    ) -> Page[Organization]:
        """
        Find organizations whose name or slug contains *text*, by id.

        Raises:
            ValidationFailed: The cursor is not valid.
        """

        def read(tx: Transaction) -> Page[Organization]:
            found = tx.organizations.search(text=text, page=page)
            count = partial(tx.organizations.count, text=text)
            is_filtered = text is not None
            return page_by_id(found, page, count=count, is_filtered=is_filtered, id_of=lambda each: each.id)

        return await self._services.transactions.read(read)

    async def hand_over(
        self,
        organization_id: str,
        *,
        user_id: str,
        reason: str,
        consume: ConsumeProof = no_proof,
        context: Context,
    ) -> Member:
        """
        Make a member the owner of an organization whose owners are all deleted or banned.

        Raises:
            NotFound: There is no such organization, or the user is not a member of it.
            OwnerExists: There is an owner who can act.
        """

        def make_owner(tx: Transaction) -> Member:
            # The organization before the administrator, who may be a member of it.
            organization = tx.organizations.lock(organization_id)
            consume(tx)
            member = tx.organizations.find_member(organization_id, user_id)
            user = tx.users.find(user_id) if member is not None else None
            if organization is None or member is None or user is None:
                raise NotFound
            if tx.organizations.count_unbanned_owners(organization_id) > 0:
                raise OwnerExists
            tx.organizations.set_role(organization_id, user_id, role=roles.OWNER)
            details = {"role": roles.OWNER, "previousRole": member.role, "reason": reason}
            for action in (types.ROLE_CHANGED, types.ORGANIZATION_HANDED_OVER):
                audit_event = AuditEvent(
                    action=action, user_id=user_id, organization_id=organization_id, details=details
                )
                tx.record(audit_event)
            changed = tx.organizations.find_member(organization_id, user_id)
            if changed is None:
                raise NotFound
            return changed

        return await self._services.transactions.run(make_owner, context)
