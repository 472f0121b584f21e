"""Deleting an account: by its user, by an administrator or operator, or by the link that says "this was not me"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from czo_auth.core.context import Context
from czo_auth.core.errors import LastOwner, NotFound
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.accounts.administrators import keep_an_administrator
from czo_auth.core.flows.accounts.erasure import Erasure
from czo_auth.core.flows.api_keys.revoke import revoke_keys
from czo_auth.core.flows.organizations.manage import delete_locked_organization
from czo_auth.core.flows.organizations.membership import end_membership
from czo_auth.core.flows.organizations.owners import compose_all_notices_of_made_keys
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import end_sessions
from czo_auth.core.flows.two_factor.proofs import ConsumeProof, consume_proof, no_proof
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.mail import MailDraft
from czo_auth.core.mail_drafts import compose_account_deleted
from czo_auth.core.organizations import roles
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """
    How an account is deleted.

    Attributes:
        details: For the audit record: the administrator's reason.
        force: Whether the last owner of an organization and the last administrator may be deleted too.
    """

    details: Mapping[str, object]
    context: Context

    force_owner: bool = False
    force_administrator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionEffects:
    """
    What the deletion of an account would end.

    Attributes:
        sessions: How many are live, including the current one.
        api_keys: How many stop working.
        deleted: Names of the organizations that end with it because they have no other members.
        left: Names of the organizations that remain without it.
        orphaned: Names of the organizations that need another owner first.
    """

    sessions: int
    api_keys: int
    deleted: Sequence[str]
    left: Sequence[str]
    orphaned: Sequence[str]


class DeleteUser:
    """
    Deletes accounts with everything that is stored about them.

    Everything with an effect is deleted in one transaction. The personal parts of audit records and events follow in
    batches; if the process ends in between, the housekeeping of any process continues.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)
        self._erasure = Erasure(services)

    async def preview_own_deletion(self, *, context: Context) -> DeletionEffects:
        """Return what the deletion of the caller's own account would end; deletes nothing."""
        user_id = context.caller.require_user()

        def read(tx: Transaction) -> DeletionEffects:
            deleted, left, orphaned = [], [], []
            for organization, member in tx.organizations.list_memberships(user_id):
                if tx.organizations.count_members(organization.id) == 1:
                    deleted.append(organization.name)
                elif member.role == roles.OWNER and tx.organizations.count_owners(organization.id) == 1:
                    orphaned.append(organization.name)
                else:
                    left.append(organization.name)
            return DeletionEffects(
                sessions=len(tx.sessions.list_live(user_id, now=tx.now)),
                api_keys=tx.api_keys.count_listed(user_id, now=tx.now),
                deleted=deleted,
                left=left,
                orphaned=orphaned,
            )

        return await self._services.transactions.read(read, context)

    async def delete_own(self, *, password: str | None, code: str | None, context: Context) -> None:
        """
        Delete the caller's own account.

        Raises:
            InvalidPassword, ReauthenticationRequired, InvalidCode, AccountLocked: See ``Reauthentication``.
            LastOwner: Others belong to an organization that the caller alone owns.
            LastAdministrator: Nobody else could administer the deployment.
        """
        principal = context.caller
        proof = await self._proof.require(password=password, code=code, context=context)
        deletion = Deletion(details={}, context=context)
        await self._delete(principal.require_user(), proof.consume, deletion)

    async def delete(
        self,
        user_id: str,
        *,
        reason: str | None,
        force: bool = False,
        consume: ConsumeProof = no_proof,
        context: Context,
    ) -> User:
        """
        Delete someone's account, for an administrator or an operator.

        Args:
            force: Whether the last administrator and the last owner of an organization may go too.
            consume: Spends the caller's proof.

        Raises:
            NotFound: There is no such user.
            LastOwner, LastAdministrator: As ``delete_own``.
        """
        deletion = Deletion(
            details={"reason": reason} if reason is not None else {},
            context=context,
            force_owner=force,
            force_administrator=force,
        )

        def lock(tx: Transaction) -> User:
            consume_proof(tx, consume, on=user_id)
            user = tx.users.lock(user_id)
            if user is None:
                raise NotFound
            return user

        return await self._delete(user_id, lock, deletion)

    async def delete_rejected(
        self, user_id: str, lock: Callable[[Transaction], User], *, context: Context
    ) -> None:
        """
        Delete an account whose address belongs to someone who did not create it.

        An organization may lose its last owner this way; an administrator can hand it over.

        Raises:
            LastAdministrator: Nobody else could administer the deployment.
        """
        deletion = Deletion(details={"reason": "rejected"}, context=context, force_owner=True)
        await self._delete(user_id, lock, deletion)

    async def finish(self, user: User, *, now: datetime) -> None:
        """Remove the personal parts of a user who was deleted by another flow, and notify them."""
        await self._erasure.erase(user.id, now=now)
        self._services.background.post(compose_account_deleted(user, at=now))

    async def _delete(self, user_id: str, lock: Callable[[Transaction], User], deletion: Deletion) -> User:
        def delete_account(tx: Transaction) -> tuple[User, Sequence[MailDraft]]:
            found = tx.users.find(user_id)
            name = "" if found is None else found.name
            mails = compose_all_notices_of_made_keys(tx, self._services, user_id, name=name)
            return delete_user(tx, self._services, user_id, lock=lock, deletion=deletion), mails

        user, mails = await self._services.transactions.run(delete_account, deletion.context)
        for mail in mails:
            self._services.background.post(mail)
        await self.finish(user, now=deletion.context.now)
        return user


def delete_user(
    tx: Transaction,
    services: Services,
    user_id: str,
    *,
    lock: Callable[[Transaction], User],
    deletion: Deletion,
) -> User:
    """
    Delete a user: organizations, keys and sessions end and are recorded; everything else is deleted with the row.

    Organizations are locked before users everywhere, to avoid deadlocks.

    Args:
        lock: Locks the user, and refuses when they may not be deleted.

    Raises:
        LastOwner: Lists the organizations that have other members, unless the deletion is forced.
        LastAdministrator: Unless the deletion is forced.
    """
    # First, as whenever administrators act on each other: serializes two deletions.
    tx.users.lock_administrators()
    if not deletion.force_administrator:
        keep_an_administrator(tx, services.actors, user_id)
    for organization, _ in tx.organizations.list_memberships(user_id):
        tx.organizations.lock(organization.id)
    user = lock(tx)
    _leave_organizations(tx, user, deletion)
    tx = tx.acting_as(deletion.context)
    end_sessions(tx, user.id, reason="user_deleted")
    revoke_keys(tx, user_id=user.id, organization_id=None, reason="user_deleted")
    _forget_addresses(tx, user)
    # The process that hashes the codes of the enrollment locks it, and then needs the user's row.
    tx.two_factor.drop_enrollment(user.id)
    tx.users.delete(user.id)
    tx.audit_removal.begin_erasure(user.id, now=tx.now)
    audit_event = AuditEvent(action=types.USER_DELETED, user_id=user.id, details=deletion.details)
    tx.record(audit_event)
    return user


def _forget_addresses(tx: Transaction, user: User) -> None:
    """
    Remove the addresses of a locked user from invitations and from changes of address that others asked for.

    Also those given up within the last days. An address that the user never confirmed may be anyone's: a stranger who
    signed up with it must not end somebody else's request, so it stays where a link to it still works.

    Call it while the user's row is there: someone who confirms such a change holds the change and is refused because of
    that row; if it were being deleted, they would wait for the deletion, and the deletion for them.
    """
    confirmed = [change for change in tx.email_changes.list_of(user.id) if change.confirmed_at is not None]
    proved = {change.new_email for change in confirmed}
    if user.email_verified:
        proved.add(user.email)
    for address in sorted(proved | {user.email} | {change.old_email for change in confirmed}):
        tx.organizations.delete_invitations_to(address)
        tx.email_changes.forget_address(address, is_proved=address in proved, now=tx.now)


def _leave_organizations(tx: Transaction, user: User, deletion: Deletion) -> None:
    """Leave every organization; those without other members are deleted, and losing the last owner is refused."""
    tx = tx.acting_as(deletion.context)
    orphans = []
    for organization, member in tx.organizations.list_memberships(user.id):
        if tx.organizations.count_members(organization.id) == 1:
            delete_locked_organization(tx, organization, member)
            continue
        if member.role == roles.OWNER and tx.organizations.count_owners(organization.id) == 1:
            orphans.append((("organizations", organization.id), organization.name))
        end_membership(tx, member, reason="user_deleted")
    if orphans and not deletion.force_owner:
        raise LastOwner(details=orphans)
