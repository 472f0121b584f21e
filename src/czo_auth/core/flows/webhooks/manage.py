"""How administrators and owners of organizations manage their webhook endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    Forbidden,
    NotFound,
    SecretUnreadable,
    ValidationFailed,
    WebhookDisabled,
    WebhookLimitReached,
    WebhookSecretLimitReached,
    WebhooksNotAvailable,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.fields import check_not_null, checked_description
from czo_auth.core.flows.organizations.membership import lock_organization, see_organization
from czo_auth.core.flows.organizations.two_factor import Proof
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.flows.webhooks.input import (
    NewWebhook,
    WebhookChanges,
    apply_changes,
    checked_patterns,
    number_of,
)
from czo_auth.core.ids import is_id, new_id
from czo_auth.core.limits import (
    MAX_WEBHOOK_SECRETS,
    MAX_WEBHOOKS,
)
from czo_auth.core.paging import FIRST_PAGE, Page, PageQuery, page_by_id
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.webhooks.destination import host_of, parse_destination
from czo_auth.core.webhooks.webhook import (
    WEBHOOK_SECRET,
    Delivery,
    DeliveryStatus,
    Webhook,
    WebhookSecret,
)
from czo_auth.crypto import webhook_signatures
from czo_auth.crypto.sealing import OpenError

T = TypeVar("T")

WEBHOOK_PERMISSION: Final = "webhook:manage"


NO_PROOF: Final = Proof()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedWebhook:
    """A new endpoint, and its secret as receivers get it; it is not shown again."""

    webhook: Webhook
    secret: str = field(repr=False)


class ManageWebhooks:
    """
    Endpoints of administrators (``organization_id`` None, admitted by the route) and of an organization's owners.

    Every change requires recent proof and is recorded. Endpoints of others are reported as not found.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)

    # --- reading ---

    async def list(
        self, organization_id: str | None, query: PageQuery = FIRST_PAGE, *, context: Context
    ) -> Page[Webhook]:
        """
        List the endpoints, oldest first, a page at a time.

        Raises:
            UnknownOrganization: It does not exist, or the caller is not a member.
            Forbidden: The caller is not its owner.
        """

        principal, after = context.caller, query.last_id

        def read(tx: Transaction) -> Page[Webhook]:
            _check_owner(tx, principal, organization_id)
            # There are at most `MAX_WEBHOOKS`.
            found = tx.webhooks.list_of(organization_id)
            rest = [each for each in found if after is None or each.id > after]
            return page_by_id(rest, query, count=lambda up_to: len(found), id_of=lambda webhook: webhook.id)

        return await self._services.transactions.read(read, context)

    async def get(self, organization_id: str | None, webhook_id: str, *, context: Context) -> Webhook:
        """
        Read one endpoint.

        Raises:
            NotFound: It does not exist, or is not the caller's.
            Forbidden: As `list`.
        """

        principal = context.caller

        def read(tx: Transaction) -> Webhook:
            _check_owner(tx, principal, organization_id)
            return _known(tx, webhook_id, organization_id)

        return await self._services.transactions.read(read, context)

    async def deliveries(
        self,
        organization_id: str | None,
        webhook_id: str,
        *,
        status: DeliveryStatus | None = None,
        query: PageQuery = FIRST_PAGE,
        context: Context,
    ) -> Page[Delivery]:
        """
        Read the log of deliveries to an endpoint, a page at a time.

        Raises:
            NotFound, Forbidden: As `get`.
        """

        principal, before = context.caller, number_of(query.cursor)

        def read(tx: Transaction) -> Page[Delivery]:
            _check_owner(tx, principal, organization_id)
            webhook = _known(tx, webhook_id, organization_id)
            # One more than requested, to see whether there is another page.
            found = tx.webhooks.deliveries_of(webhook.id, status=status, before=before, limit=query.limit + 1)
            count = partial(tx.webhooks.count_deliveries, webhook.id, status=status)
            return page_by_id(
                found,
                query,
                count=count,
                is_filtered=status is not None,
                id_of=lambda delivery: str(delivery.number),
            )

        return await self._services.transactions.read(read, context)

    # --- changing ---

    async def create(
        self, organization_id: str | None, new: NewWebhook, *, proof: Proof = NO_PROOF, context: Context
    ) -> CreatedWebhook:
        """
        Create an endpoint; it gets the events that are recorded from now on.

        Raises:
            NotFound, Forbidden: As `list`.
            ReauthenticationRequired and the like: As ``Reauthentication.require``.
            ValidationFailed: The address, a pattern or the description.
            WebhookLimitReached: The maximum number exists.
            WebhooksNotAvailable: This deployment cannot send any.
        """
        if not self._services.policies.webhooks.available:
            raise WebhooksNotAvailable
        principal = context.caller
        webhook = Webhook(
            id=new_id(context.now),
            organization_id=organization_id,
            url=new.url,
            events=checked_patterns(new.events),
            description=checked_description(new.description),
            enabled=True,
            disabled_reason=None,
            failing_since=None,
            dead_since=None,
            created_by=principal.user_id,
            created_at=context.now,
            updated_at=context.now,
        )
        self._check_url(webhook)
        secret, text = self._new_secret(webhook.id, now=context.now)

        def add(tx: Transaction) -> CreatedWebhook:
            tx.webhooks.lock(organization_id)
            if tx.webhooks.count(organization_id) >= MAX_WEBHOOKS:
                raise WebhookLimitReached
            tx.webhooks.add(webhook, secret)
            details = {"events": list(webhook.events)}
            _record(tx, types.WEBHOOK_CREATED, webhook, principal, details)
            return CreatedWebhook(webhook=webhook, secret=text)

        return await self._change(organization_id, add, proof=proof, context=context)

    async def update(
        self,
        organization_id: str | None,
        webhook_id: str,
        changes: WebhookChanges,
        *,
        proof: Proof = NO_PROOF,
        context: Context,
    ) -> Webhook:
        """
        Change address, patterns or description, or switch an endpoint on or off.

        An endpoint that is off gets nothing; it gets the events recorded in the meantime only by `replay`.

        Raises:
            NotFound, Forbidden, ReauthenticationRequired, ValidationFailed: As `create`.
        """
        principal = context.caller
        check_not_null(changes.given, url=changes.url, events=changes.events, enabled=changes.enabled)

        def change(tx: Transaction) -> Webhook:
            present = _known(tx, webhook_id, organization_id)
            changed = apply_changes(present, changes)
            if "url" in changes.given:
                self._check_url(changed)
            if changed == present:
                return present
            tx.webhooks.update(replace(changed, updated_at=context.now))
            if changed.enabled and not present.enabled:
                tx.webhooks.switch_on(present.id, now=context.now)
            details = {"changed": sorted(changes.given), "enabled": changed.enabled}
            _record(tx, types.WEBHOOK_UPDATED, changed, principal, details)
            return _known(tx, webhook_id, organization_id)

        return await self._change(organization_id, change, proof=proof, context=context)

    async def delete(
        self, organization_id: str | None, webhook_id: str, *, proof: Proof = NO_PROOF, context: Context
    ) -> None:
        """
        Delete an endpoint with its log; an attempt in progress may still arrive.

        Raises:
            NotFound, Forbidden, ReauthenticationRequired: As `create`.
        """
        principal = context.caller

        def remove(tx: Transaction) -> None:
            webhook = _known(tx, webhook_id, organization_id)
            if not tx.webhooks.remove(webhook.id):
                raise NotFound
            _record(tx, types.WEBHOOK_DELETED, webhook, principal, {})

        await self._change(organization_id, remove, proof=proof, context=context)

    async def rotate_secret(
        self, organization_id: str | None, webhook_id: str, *, proof: Proof = NO_PROOF, context: Context
    ) -> str:
        """
        Give an endpoint a new secret; the previous one keeps signing as well for 24 hours.

        Raises:
            NotFound, Forbidden, ReauthenticationRequired: As `create`.
            WebhookSecretLimitReached: Too many secrets sign already.
        """
        principal = context.caller
        secret, text = self._new_secret(webhook_id, now=context.now)
        ends_at = context.now + self._services.policies.webhooks.secret_overlap

        def rotate(tx: Transaction) -> str:
            webhook = _known(tx, webhook_id, organization_id)
            tx.webhooks.lock(organization_id)
            if len(tx.webhooks.secrets_of(webhook.id, now=context.now)) >= MAX_WEBHOOK_SECRETS:
                raise WebhookSecretLimitReached
            tx.webhooks.add_secret(secret, previous_expires_at=ends_at)
            _record(tx, types.WEBHOOK_SECRET_ROTATED, webhook, principal, {})
            return text

        return await self._change(organization_id, rotate, proof=proof, context=context)

    async def test(
        self, organization_id: str | None, webhook_id: str, *, proof: Proof = NO_PROOF, context: Context
    ) -> Delivery:
        """
        Send an event of type ``auth.webhook.test`` to this endpoint alone.

        Raises:
            NotFound, Forbidden, ReauthenticationRequired: As `create`.
            WebhookDisabled: It is off.
        """
        principal = context.caller

        def send(tx: Transaction) -> Delivery:
            webhook = _known(tx, webhook_id, organization_id)
            if not webhook.enabled:
                raise WebhookDisabled
            delivery = tx.webhooks.add_test(webhook.id, event_id=new_id(context.now), now=context.now)
            details = {"eventId": delivery.event_id}
            _record(tx, types.WEBHOOK_TESTED, webhook, principal, details)
            return delivery

        return await self._change(organization_id, send, proof=proof, context=context)

    async def replay(
        self,
        organization_id: str | None,
        webhook_id: str,
        *,
        since: datetime | None,
        delivery_id: str | None,
        proof: Proof = NO_PROOF,
        context: Context,
    ) -> None:
        """
        Send one delivery again, or every stored event since a time that matches the endpoint's patterns.

        Raises:
            NotFound: There is no such endpoint or delivery, or the event of that delivery is no longer kept.
            Forbidden, ReauthenticationRequired: As `create`.
            ValidationFailed: Both or neither were named.
        """
        principal = context.caller
        if (since is None) == (delivery_id is None):
            raise ValidationFailed(details=(("since", "Name a time or one delivery."),))

        def send_again(tx: Transaction) -> None:
            webhook = _known(tx, webhook_id, organization_id)
            details: dict[str, object] = {}
            if delivery_id is not None:
                if not (
                    is_id(delivery_id)
                    and tx.webhooks.replay_delivery(webhook.id, delivery_id, now=context.now)
                ):
                    raise NotFound
                details["deliveryId"] = delivery_id
            elif since is not None:
                tx.webhooks.replay_since(webhook.id, since)
                details["since"] = since.isoformat(timespec="milliseconds")
            _record(tx, types.WEBHOOK_REPLAYED, webhook, principal, details)

        await self._change(organization_id, send_again, proof=proof, context=context)

    # --- how ---

    async def _change(
        self, organization_id: str | None, step: Callable[[Transaction], T], *, proof: Proof, context: Context
    ) -> T:
        """Run *step* for an owner who proved recently who they are."""
        principal = context.caller
        await self._services.transactions.read(
            lambda tx: _check_owner(tx, principal, organization_id), context
        )
        verified = await self._proof.require(password=proof.password, code=proof.code, context=context)

        def checked(tx: Transaction) -> T:
            # Organizations are locked before users everywhere, to avoid deadlocks.
            if organization_id is not None:
                _require_owner(lock_organization(tx, principal, organization_id).may(WEBHOOK_PERMISSION))
            verified.consume(tx)
            return step(tx)

        return await self._services.transactions.run(checked, context)

    def _check_url(self, webhook: Webhook) -> None:
        allowed = self._services.policies.webhooks.hosts_allowed_for(webhook.organization_id)
        parse_destination(webhook.url, allowed_hosts=allowed)

    def _new_secret(self, webhook_id: str, *, now: datetime) -> tuple[WebhookSecret, str]:
        secret_id, secret = new_id(now), webhook_signatures.new_secret()
        try:
            sealed = self._services.key_ring.seal(
                secret, purpose=WEBHOOK_SECRET, bound_to={"webhook": webhook_id, "secret": secret_id}
            )
        except (OpenError, ValueError):
            raise SecretUnreadable from None
        kept = WebhookSecret(
            id=secret_id, webhook_id=webhook_id, sealed_secret=sealed, created_at=now, expires_at=None
        )
        return kept, webhook_signatures.secret_text(secret)


def _check_owner(tx: Transaction, principal: Principal, organization_id: str | None) -> None:
    """Refuse a caller who is not an owner. Routes for administrators already admit only administrators."""
    if organization_id is not None:
        _require_owner(see_organization(tx, principal, organization_id).may(WEBHOOK_PERMISSION))


def _require_owner(is_owner: bool) -> None:
    if not is_owner:
        raise Forbidden


def _known(tx: Transaction, webhook_id: str, organization_id: str | None) -> Webhook:
    found = tx.webhooks.find(webhook_id, organization_id)
    if found is None:
        raise NotFound
    return found


def _record(
    tx: Transaction, action: str, webhook: Webhook, principal: Principal, details: Mapping[str, object]
) -> None:
    """Record a change; of the URL only the host, because its path may contain a secret of the receiver."""
    audit_event = AuditEvent(
        action=action,
        user_id=principal.user_id,
        organization_id=webhook.organization_id,
        details={"webhookId": webhook.id, "host": host_of(webhook.url), **details},
    )
    tx.record(audit_event)
