"""Administration of users: find, ban, change actor types, revoke keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.budgets import Budget
from czo_auth.core.context import Context
from czo_auth.core.errors import NotFound, Refusal, ValidationFailed
from czo_auth.core.events import types
from czo_auth.core.events.types import (
    ADMINISTRATION_DENIED,
    USER_UNBANNED,
    AuditEvent,
    AuditFilter,
    AuditRecord,
    Event,
    EventFilter,
)
from czo_auth.core.fields import checked_reason
from czo_auth.core.flows.accounts.administrators import keep_an_administrator
from czo_auth.core.flows.accounts.change_email import close_changes
from czo_auth.core.flows.administration.coverage import Coverage, count_coverage
from czo_auth.core.flows.administration.filters import check_action, check_actor_type, check_event_type
from czo_auth.core.flows.api_keys.own_keys import list_keys_of
from czo_auth.core.flows.api_keys.revoke import revoke_key, revoke_keys
from czo_auth.core.flows.factors import enable_where_demanded
from czo_auth.core.flows.organizations.owners import compose_all_notices_of_made_keys
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import end_sessions
from czo_auth.core.flows.two_factor.cancel_reset import cancel_reset
from czo_auth.core.flows.two_factor.proofs import ConsumeProof, consume_proof, no_proof
from czo_auth.core.mail import MailDraft
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery, Total, page_by_id
from czo_auth.core.record_throttle import RECORDED_EVERY, RecordThrottle
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.email import canonical_email
from czo_auth.core.users.store import EVERYBODY, UserFilter
from czo_auth.core.users.user import User


class Administration:
    """Acts on other people's accounts. Who may is decided before (``access.ADMINISTRATION``, or a shell)."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._denied = RecordThrottle()

    async def search(self, matching: UserFilter = EVERYBODY, *, page: PageQuery = FIRST_PAGE) -> Page[User]:
        """
        Find matching users, ordered by id.

        Raises:
            ValidationFailed: The cursor is not valid, or the actor type is unknown and nobody holds it.
        """

        def find_page(tx: Transaction) -> Page[User]:
            check_actor_type(tx, matching.actor_type, self._services.actors)
            found = tx.users.search(matching, page=page)
            count = partial(tx.users.count, matching)
            is_filtered = matching != EVERYBODY
            return page_by_id(found, page, count=count, is_filtered=is_filtered, id_of=lambda user: user.id)

        return await self._services.transactions.read(find_page)

    async def list_folded(self, *, after: str | None, limit: int) -> Sequence[User]:
        """List users, by id, whose address an earlier version may have changed (revision 0007)."""
        return await self._services.transactions.read(
            lambda tx: tx.users.list_folded(after=after, limit=limit)
        )

    async def find_by_email(self, email: str) -> User:
        """
        Find a user by address.

        Raises:
            ValidationFailed: It is not an address.
            NotFound: No user has it.
        """
        canonical = canonical_email(email)
        user = await self._services.transactions.read(lambda tx: tx.users.find_by_email(canonical))
        if user is None:
            raise NotFound
        return user

    async def get(self, user_id: str) -> User:
        """
        Read a user.

        Raises:
            NotFound: It does not exist.
        """
        return await self._services.transactions.read(lambda tx: _find(tx, user_id))

    async def get_many(self, user_ids: Collection[str]) -> Mapping[str, User]:
        """Read users by id; those who were deleted are left out."""
        return await self._services.transactions.read(lambda tx: tx.users.find_many(user_ids))

    async def ban(self, user_id: str, *, reason: str, force: bool = False, context: Context) -> User:
        """
        Ban a user: sessions, refresh families, challenges and API keys end at once, the keys for good.

        Keys of service accounts that the user created stay valid; the owners of their organizations are notified.

        Args:
            force: Whether the last administrator may be banned too.

        Raises:
            ValidationFailed: The reason is not valid.
            NotFound: There is no such user.
            LastAdministrator: Nobody else could administer the deployment.
        """
        reason = checked_reason(reason)

        def ban_user(tx: Transaction) -> tuple[User, Sequence[MailDraft]]:
            if not force:
                keep_an_administrator(tx, self._services.actors, user_id)
            user = _lock(tx, user_id)
            if user.banned_at is not None:
                return user, ()
            tx.users.set_ban(user.id, banned_at=tx.now, reason=reason, now=tx.now)
            tx.users.bump_credential_version(user.id, now=tx.now)
            tx.two_factor.drop_enrollment(user.id)
            tx.challenges.drop_trusted_devices(user.id)
            tx.users.drop_mail_tokens(user.id)
            close_changes(tx, user.id, reason="banned")
            cancel_reset(tx, user.id, outcome="user_banned")
            end_sessions(tx, user.id, reason="banned")
            revoke_keys(tx, user_id=user.id, organization_id=None, reason="banned")
            tx.record(AuditEvent(action=types.USER_BANNED, user_id=user.id, details={"reason": reason}))
            mails = compose_all_notices_of_made_keys(tx, self._services, user.id, name=user.name)
            return _known(tx.users.find(user.id)), mails

        banned, mails = await self._services.transactions.run(ban_user, context)
        for mail in mails:
            self._services.background.post(mail)
        return banned

    async def unban(self, user_id: str, *, context: Context) -> User:
        """
        Lift a ban. Revoked keys and sessions stay revoked.

        Raises:
            NotFound: There is no such user.
        """

        def unban_user(tx: Transaction) -> User:
            user = _lock(tx, user_id)
            if user.banned_at is None:
                return user
            tx.users.set_ban(user.id, banned_at=None, reason=None, now=tx.now)
            tx.record(AuditEvent(action=USER_UNBANNED, user_id=user.id))
            return _known(tx.users.find(user.id))

        return await self._services.transactions.run(unban_user, context)

    async def change_actor_types(
        self,
        user_id: str,
        *,
        add: Sequence[str],
        remove: Sequence[str],
        force: bool = False,
        consume: ConsumeProof = no_proof,
        context: Context,
    ) -> User:
        """
        Grant and remove actor types. Sessions with a removed actor type end; a granted one that requires two factors
        takes effect at the next request.

        Args:
            force: Whether the last administrator may lose that too.
            consume: Spends the caller's proof.

        Raises:
            UnknownActorType: A name is not in the registry.
            ValidationFailed: The default actor type cannot be removed, and none can be granted and removed at the same
                time.
            NotFound: There is no such user.
            LastAdministrator: Nobody else could administer the deployment.
        """
        registry = self._services.actors
        given = frozenset(registry.get(name).name for name in add)
        taken = frozenset(registry.get(name).name for name in remove)
        if registry.default.name in taken or given & taken:
            raise ValidationFailed(details=(("remove", "This actor type cannot be taken away."),))

        def stops_administering(tx: Transaction, user_id: str) -> bool:
            user = tx.users.find(user_id)
            left = frozenset() if user is None else (user.actor_types | given) - taken
            return not any(registry.administers(name) for name in left)

        def set_actor_types(tx: Transaction) -> User:
            consume_proof(tx, consume, on=user_id)
            if not force and stops_administering(tx, user_id):
                keep_an_administrator(tx, registry, user_id)
            user = _lock(tx, user_id)
            new_types = (user.actor_types | given) - taken
            if new_types == user.actor_types:
                return user
            lost = user.actor_types - new_types
            grants = user.grants.changed(added=new_types - user.actor_types, removed=lost, now=tx.now)
            tx.users.set_actor_types(user.id, actor_types=new_types, grants=grants, now=tx.now)
            if lost:
                end_sessions(tx, user.id, reason="actor_type_lost", actor_types=lost)
            changed = enable_where_demanded(self._services, tx, _known(tx.users.find(user.id)))
            details = {
                "added": sorted(new_types - user.actor_types),
                "removed": sorted(lost),
                "actorTypes": sorted(new_types),
            }
            tx.record(AuditEvent(action=types.ROLE_CHANGED, user_id=user.id, details=details))
            return changed

        return await self._services.transactions.run(set_actor_types, context)

    async def list_api_keys(
        self,
        user_id: str,
        *,
        organization_id: str | None = None,
        unused_since: datetime | None = None,
        page: PageQuery = FIRST_PAGE,
        now: datetime,
    ) -> Page[ApiKey]:
        """
        List a user's keys, newest first; those not used since *unused_since* if given.

        Raises:
            NotFound: There is no such user.
            ValidationFailed: The cursor is not valid.
        """
        user = await self.get(user_id)
        return await list_keys_of(
            self._services,
            user.id,
            organization_id=organization_id,
            unused_since=unused_since,
            page=page,
            now=now,
        )

    async def get_api_key(self, key_id: str) -> ApiKey:
        """
        Read a key, regardless of its owner.

        Raises:
            NotFound: No such id, or it was revoked.
        """
        key = await self._services.transactions.read(lambda tx: tx.api_keys.find(key_id))
        if key is None:
            raise NotFound
        return key

    async def revoke_api_key(self, key_id: str, *, context: Context) -> ApiKey:
        """
        Revoke any user's key.

        Raises:
            NotFound: No such id, or it was revoked.
        """

        def end(tx: Transaction) -> ApiKey:
            key = tx.api_keys.find(key_id)
            if key is None:
                raise NotFound
            revoke_key(tx, key, reason="revoked_by_administrator")
            return key

        return await self._services.transactions.run(end, context)

    async def policy_overview(self) -> Sequence[Coverage]:
        """Count for each actor type who has a second factor, as of one moment."""

        actors = self._services.actors
        return await self._services.transactions.read(lambda tx: count_coverage(tx, actors))

    async def events(self, *, event_type: str | None, before: int | None, limit: int) -> Sequence[Event]:
        """
        Read the events that are still kept, newest first.

        Raises:
            ValidationFailed: The type is unknown, and no event has it.
        """
        matching = EventFilter(type=event_type)

        def read_events(tx: Transaction) -> Sequence[Event]:
            check_event_type(tx, event_type)
            return tx.outbox.events_before(before, limit=limit, matching=matching)

        return await self._services.transactions.read(read_events)

    async def record_denied(self, code: str, *, context: Context) -> None:
        """
        Record a refused request to an administration route, once for each user and code in an hour.

        Anyone who is signed in can cause it, as often as they like. So this process remembers what it just recorded,
        and the database counts for all processes.
        """
        who = f"admin_denied/{context.user_id}/{code}"
        if not self._denied.claim(who, now=context.now):
            return
        audit_event = AuditEvent(
            action=ADMINISTRATION_DENIED, user_id=context.user_id, outcome="denied", details={"code": code}
        )

        def record_once(tx: Transaction) -> None:
            if tx.budgets.spend(Budget(name=who, limit=1, window=RECORDED_EVERY), now=tx.now) is None:
                tx.record(audit_event)

        try:
            await self._services.transactions.run(record_once, context)
        except Refusal:
            self._denied.forget(who)
            raise

    async def audit(
        self,
        matching: AuditFilter,
        *,
        before: int | None = None,
        above: int | None = None,
        limit: int,
        counts_all: bool = True,
    ) -> tuple[Sequence[AuditRecord], Total]:
        """
        Read the audit log, newest first, and how many records match.

        Args:
            before: Only records below this sequence; the way back in time.
            above: Only the records nearest above this sequence; the way forward. Decides over *before*.
            limit: Unit: records.
            counts_all: As for `PageQuery`.

        Raises:
            ValidationFailed: The action is unknown, and no record has it.
        """

        def read_page(tx: Transaction) -> tuple[Sequence[AuditRecord], Total]:
            check_action(tx, matching.action)
            if above is not None:
                found = tx.audit_log.audit_above(above, matching, limit=limit)
            else:
                found = tx.audit_log.audit_before(before, matching, limit=limit)
            count = partial(tx.audit_log.count_audit, matching)
            return found, Total.of(count, is_filtered=matching != AuditFilter(), counts_all=counts_all)

        return await self._services.transactions.read(read_page)

    async def audit_batch(
        self, matching: AuditFilter, *, before: int | None, limit: int
    ) -> Sequence[AuditRecord]:
        """
        Read the newest *limit* records of the audit log below the sequence *before*, newest first.

        An export reads one batch after the other, and counts nothing.

        Raises:
            ValidationFailed: As `audit`.
        """

        def read_batch(tx: Transaction) -> Sequence[AuditRecord]:
            check_action(tx, matching.action)
            return tx.audit_log.audit_before(before, matching, limit=limit)

        return await self._services.transactions.read(read_batch)


def _known(user: User | None) -> User:
    if user is None:
        raise NotFound
    return user


def _find(tx: Transaction, user_id: str) -> User:
    return _known(tx.users.find(user_id))


def _lock(tx: Transaction, user_id: str) -> User:
    return _known(tx.users.lock(user_id))
