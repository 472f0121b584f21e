"""An organization's dated two-factor rule: who would be refused, who is exempt, who is reminded (S37)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from czo_auth.core.api_keys.store import KeyFilter
from czo_auth.core.context import Context, system_context
from czo_auth.core.errors import Forbidden, TwoFactorNotEnabled, ValidationFailed
from czo_auth.core.events import types
from czo_auth.core.flows.organizations.membership import (
    Membership,
    find_member,
    known_member,
    lock_organization,
    record,
    require_session,
    see_organization,
)
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.limits import MAX_EXEMPTION_DAYS, MAX_GRACE_DAYS, MAX_MEMBERS
from czo_auth.core.mail import MailDraft
from czo_auth.core.mail_drafts import (
    compose_two_factor_due,
    compose_two_factor_exempt,
    compose_two_factor_exemption_ended,
)
from czo_auth.core.organizations import roles
from czo_auth.core.organizations.organization import Organization
from czo_auth.core.organizations.two_factor import (
    Exemption,
    FactorRule,
    MemberFactors,
    Reminder,
    days_ahead,
)
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User

_AT_ONCE = 200
_SERVICE_ACCOUNT_KEYS = KeyFilter(of_service_accounts=True, unexpired=True)
"""They do not act for a member, so no rule about members' factors applies."""
POLICY_FIELDS = frozenset({"require_two_factor_from", "two_factor_grace_days"})
"""Fields of an organization that owners alone change, with recent proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The proof in the request: a password, a code, both, or neither if an earlier proof is recent enough."""

    password: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedMember:
    """
    One member under the rule that is shown.

    Attributes:
        due_at: When they start to need a factor; None if none is required.
        would_be_refused: Whether that time has passed and they have none.
    """

    member: MemberFactors
    due_at: datetime | None
    would_be_refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorReport:
    """
    Who would be refused under a rule, as of now.

    Attributes:
        keys: Live API keys of the organization, those of service accounts too.
        keys_refused: Those of members who would be refused.
    """

    members: Sequence[ReportedMember]
    total: int
    keys: int
    keys_refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedRule:
    """A rule to preview before it is set; *given* names the fields that were sent."""

    given: frozenset[str] = frozenset()
    from_: datetime | None = None
    grace_days: int = 0


class OrganizationFactors:
    """Operations of owners and admins on the factors of members."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)

    async def report(self, organization_id: str, preview: PreviewedRule, *, context: Context) -> FactorReport:
        """
        Report who has a factor, and who would be refused now or under *preview*. Changes nothing.

        Raises:
            SessionRequired: An API key asks.
            UnknownOrganization, OrganizationTwoFactorRequired: As ``ManageOrganizations.get``.
            Forbidden: Owners and admins may.
        """
        principal = context.caller
        require_session(principal)

        def read_report(tx: Transaction) -> FactorReport:
            seen = see_organization(tx, principal, organization_id)
            seen.require("member:update")
            members = tx.factor_rules.list_members(organization_id, now=tx.now, limit=MAX_MEMBERS)
            rule = _shown_rule(seen.organization, preview)
            reported = [_reported(member, rule, now=tx.now) for member in members]
            return FactorReport(
                members=reported,
                total=len(reported),
                keys=sum(each.member.live_keys for each in reported)
                + tx.api_keys.count_acting(organization_id, _SERVICE_ACCOUNT_KEYS, now=tx.now),
                keys_refused=sum(each.member.live_keys for each in reported if each.would_be_refused),
            )

        return await self._services.transactions.read(read_report, context)

    async def exempt(
        self,
        organization_id: str,
        user_id: str,
        *,
        until: datetime,
        reason: str,
        proof: Proof,
        context: Context,
    ) -> Exemption:
        """
        Let a member act without a factor until a date. The person is mailed.

        Raises:
            UnknownOrganization, UnknownMember: It does not exist, or the caller may not see it.
            Forbidden: The caller is not an owner, or the member themselves.
            ValidationFailed: *until* lies in the past, or more than 90 days after the first exemption of this member.
            ReauthenticationRequired, InvalidPassword, InvalidCode, AccountLocked: See ``Reauthentication``.
        """
        principal = context.caller
        await self._services.transactions.read(
            lambda tx: _check_owner(see_organization(tx, principal, organization_id)), context
        )
        verified = await self._proof.require(password=proof.password, code=proof.code, context=context)

        def store_exemption(tx: Transaction) -> tuple[Exemption, MailDraft | None]:
            membership = lock_organization(tx, principal, organization_id)
            _check_owner(membership)
            verified.consume(tx)
            member = known_member(find_member(tx, organization_id, user_id, named_by="user_id"))
            if member.user_id == principal.user_id:
                raise Forbidden
            since = tx.factor_rules.exempt_since(organization_id, user_id) or tx.now
            _check_until(until, since=since, now=tx.now)
            exemption = Exemption(
                organization_id=organization_id,
                user_id=user_id,
                since=since,
                until=until,
                reason=reason,
                by=principal.require_user(),
            )
            tx.factor_rules.put_exemption(exemption, joined_at=member.created_at)
            tx.factor_rules.apply(organization_id, user_id=user_id)
            details = {"until": until.isoformat(), "reason": reason}
            record(tx, types.TWO_FACTOR_EXEMPTED, member, details=details)
            user = tx.users.find(user_id)
            mail = None
            if user is not None:
                name = membership.organization.name
                mail = compose_two_factor_exempt(user, organization=name, until=until)
            return exemption, mail

        exemption, mail = await self._services.transactions.run(store_exemption, context)
        if mail is not None:
            self._services.background.post(mail)
        return exemption

    async def end_exemption(
        self, organization_id: str, user_id: str, *, proof: Proof, context: Context
    ) -> None:
        """
        End a member's exemption; nothing happens where there is none. That there was one still counts.

        Raises:
            UnknownOrganization, UnknownMember, Forbidden: As ``exempt``.
            ReauthenticationRequired, InvalidPassword, InvalidCode, AccountLocked: See ``Reauthentication``.
        """
        principal = context.caller
        await self._services.transactions.read(
            lambda tx: _check_owner(see_organization(tx, principal, organization_id)), context
        )
        verified = await self._proof.require(password=proof.password, code=proof.code, context=context)

        def end(tx: Transaction) -> MailDraft | None:
            membership = lock_organization(tx, principal, organization_id)
            _check_owner(membership)
            verified.consume(tx)
            member = known_member(find_member(tx, organization_id, user_id, named_by="user_id"))
            if not tx.factor_rules.end_exemption(organization_id, user_id, now=tx.now):
                return None
            tx.factor_rules.apply(organization_id, user_id=user_id)
            record(tx, types.TWO_FACTOR_EXEMPTION_ENDED, member, details={})
            user = tx.users.find(user_id)
            if user is None:
                return None
            return _compose_ended(
                user,
                organization=membership.organization.name,
                due_at=known_member(
                    find_member(tx, organization_id, user_id, named_by="user_id")
                ).two_factor_due_at,
                now=tx.now,
            )

        mail = await self._services.transactions.run(end, context)
        if mail is not None:
            self._services.background.post(mail)

    async def remind(self, *, now: datetime) -> None:
        """Remind members without a factor 14, 7 and 1 days ahead, each once, even if several processes run this."""
        after = None
        while reminders := await self._services.transactions.read(
            lambda tx, after=after: tx.factor_rules.list_reminders(  # type: ignore[misc]
                now=now, limit=_AT_ONCE, after=after
            )
        ):
            for reminder in reminders:
                await self._remind(reminder, now=now)
            after = reminders[-1].member_id

    async def _remind(self, reminder: Reminder, *, now: datetime) -> None:
        days = days_ahead(reminder.due_at, now=now)

        def mark_reminded(tx: Transaction) -> User | None:
            is_first = tx.factor_rules.mark_reminded(reminder, days=days)
            return tx.users.find(reminder.user_id) if is_first else None

        user = await self._services.transactions.run(mark_reminded, system_context(now))
        if user is not None:
            mail = compose_two_factor_due(
                user, organization=reminder.organization_name, due_at=reminder.due_at
            )
            self._services.background.post(mail)


def check_policy_change(membership: Membership, user: User, *, from_: datetime | None) -> None:
    """
    Refuse callers who may not change the organization's two-factor rule.

    Raises:
        Forbidden: The caller is not an owner.
        TwoFactorNotEnabled: A date is set by an owner without a factor.
    """
    _check_owner(membership)
    if from_ is not None and not user.owns_factor:
        raise TwoFactorNotEnabled


def checked_grace_days(days: int | None) -> int:
    """
    Return *days* if they are a valid grace period.

    Raises:
        ValidationFailed
    """
    if days is None or not 0 <= days <= MAX_GRACE_DAYS:
        what = f"A whole number of days between 0 and {MAX_GRACE_DAYS}."
        raise ValidationFailed(details=(("twoFactorGraceDays", what),))
    return days


def _compose_ended(
    user: User, *, organization: str, due_at: datetime | None, now: datetime
) -> MailDraft | None:
    """Compose the notice that an exemption was ended; None if that changes nothing for the user."""
    if due_at is None or user.owns_factor:
        return None
    if due_at > now:
        return compose_two_factor_due(user, organization=organization, due_at=due_at)
    return compose_two_factor_exemption_ended(user, organization=organization, at=now)


def _check_owner(seen: Membership) -> None:
    if seen.member.role != roles.OWNER:
        raise Forbidden


def _check_until(until: datetime, *, since: datetime, now: datetime) -> None:
    if until <= now:
        raise ValidationFailed(details=(("until", "The time lies in the past."),))
    if until > since + timedelta(days=MAX_EXEMPTION_DAYS):
        what = f"At most {MAX_EXEMPTION_DAYS} days after the first exemption of this member."
        raise ValidationFailed(details=(("until", what),))


def _shown_rule(organization: Organization, preview: PreviewedRule) -> FactorRule:
    rule = FactorRule(
        from_=organization.require_two_factor_from, grace_days=organization.two_factor_grace_days
    )
    if "from_" in preview.given:
        rule = replace(rule, from_=preview.from_)
    if "grace_days" in preview.given:
        rule = replace(rule, grace_days=preview.grace_days)
    return rule


def _reported(member: MemberFactors, rule: FactorRule, *, now: datetime) -> ReportedMember:
    due_at = rule.due_at(first_joined_at=member.first_joined_at, exempt_until=member.exempt_until)
    refused = due_at is not None and due_at <= now and not member.owns_factor
    return ReportedMember(member=member, due_at=due_at, would_be_refused=refused)
