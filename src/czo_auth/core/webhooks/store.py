"""The port for storing webhooks, and for sharing their deliveries between processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from czo_auth.core.webhooks.webhook import (
    Delivery,
    DeliveryBatch,
    DeliveryStatus,
    Webhook,
    WebhookSecret,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookWork:
    """
    The pending work.

    Attributes:
        spread: Whether there are events without deliveries yet.
        replay: Whether an endpoint waits for the replay of earlier events.
        due: Whether a delivery is due at an endpoint that no process serves.
        dead: Whether an endpoint has been dead for too long.
    """

    spread: bool
    replay: bool
    due: bool
    dead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """
    How one attempt ended.

    Attributes:
        status: The new status of the delivery.
        response_status: The status of the answer; None when there was none.
        next_at: When it is sent again; None when it is not.
    """

    delivery_id: str
    status: DeliveryStatus
    response_status: int | None
    error: str | None
    next_at: datetime | None


class Webhooks(Protocol):
    """Endpoints with their secrets, as their owners manage them."""

    def lock(self, organization_id: str | None) -> None:
        """Lock the endpoints of an organization, or of the administrators, until the transaction ends."""

    def add(self, webhook: Webhook, secret: WebhookSecret) -> None:
        """Store a new endpoint. It gets the events that are recorded from now on."""

    def find(self, webhook_id: str, organization_id: str | None) -> Webhook | None:
        """Read an endpoint of an organization, or of the administrators."""

    def find_any(self, webhook_id: str) -> Webhook | None:
        """Read an endpoint, no matter who owns it."""

    def list_of(self, organization_id: str | None) -> Sequence[Webhook]:
        """Read the endpoints of an organization, or of the administrators, oldest first."""

    def list_all(self) -> Sequence[Webhook]:
        """Read every endpoint, oldest first."""

    def count(self, organization_id: str | None) -> int:
        """Count the endpoints of an organization, or of the administrators."""

    def update(self, changed: Webhook) -> None:
        """Replace what owners may change."""

    def switch_on(self, webhook_id: str, *, now: datetime) -> None:
        """Switch an endpoint on: it gets its pending deliveries, and the events that are recorded from now on."""

    def remove(self, webhook_id: str) -> bool:
        """Delete an endpoint with its secrets and deliveries; False when there is none."""

    def secrets_of(self, webhook_id: str, *, now: datetime) -> Sequence[WebhookSecret]:
        """Read the secrets that sign now, the current one first."""

    def add_secret(self, secret: WebhookSecret, *, previous_expires_at: datetime) -> None:
        """Make *secret* the current one; the one before it signs until *previous_expires_at*."""

    def deliveries_of(
        self, webhook_id: str, *, status: DeliveryStatus | None, before: int | None, limit: int
    ) -> Sequence[Delivery]:
        """Read deliveries below the number *before* (None: all), newest first."""

    def count_deliveries(
        self, webhook_id: str, *, status: DeliveryStatus | None, up_to: int | None = None
    ) -> int:
        """Count deliveries, at most *up_to*; None counts all."""

    def add_test(self, webhook_id: str, *, event_id: str, now: datetime) -> Delivery:
        """Add the delivery of a test event, which is not in the outbox; the newest hundred are kept."""

    def replay_delivery(self, webhook_id: str, delivery_id: str, *, now: datetime) -> bool:
        """Send one delivery again; False if there is none, or its event was deleted."""

    def replay_since(self, webhook_id: str, since: datetime) -> None:
        """Request the replay of every stored event that was recorded at *since* or later."""

    def prune_deliveries(self, *, before: datetime) -> int:
        """Delete at most a thousand deliveries that were made before *before*, and expired secrets; return how many."""

    def sealed_after(self, secret_id: str, *, limit: int) -> Sequence[WebhookSecret]:
        """Read secrets beyond the id *secret_id*, in order."""

    def reencrypt_secret(self, secret_id: str, *, old: str, new: str) -> bool:
        """Replace a sealed secret if it is still *old*."""


class WebhookDeliveries(Protocol):
    """
    Deliveries, for the processes that send them.

    Promise: an endpoint is served by one process at a time, as long as its lease lasts; the next event of a user is
    returned only once the earlier ones are delivered or dead.
    """

    def work(self, *, now: datetime, dead_before: datetime) -> WebhookWork:
        """Look for something to do; writes nothing."""

    def spread(self, *, limit: int, now: datetime) -> int:
        """
        Create the deliveries of the next events, for every endpoint that wants them; return how many events there were.

        One process at a time; a concurrent call finds none.
        """

    def spread_replay(self, *, limit: int, now: datetime) -> int:
        """Create the deliveries of the next earlier events whose replay was requested; return how many there were."""

    def claim_due(
        self, *, owner: str, now: datetime, until: datetime, failing: bool, limit: int
    ) -> Sequence[str]:
        """
        Lease endpoints at which a delivery is due, the one that waits longest first; return their ids.

        Args:
            failing: Whether to lease endpoints whose last attempt failed, or the others.
        """

    def next_deliveries(
        self, webhook_id: str, *, owner: str, now: datetime, limit: int
    ) -> DeliveryBatch | None:
        """
        Read deliveries that are due, at most one a user.

        Returns:
            None when there are none, when the endpoint was switched off or deleted, and when the lease was lost.
        """

    def finish_attempts(
        self, webhook_id: str, results: Sequence[AttemptResult], *, owner: str, now: datetime
    ) -> None:
        """
        Record the outcomes of attempts.

        A success always counts while the delivery is pending; a failure only while the lease lasts, so that a process
        that was paused does not undo what another did.
        """

    def release(self, webhook_id: str, *, owner: str) -> None:
        """Release the lease; the endpoint is due again when its next delivery is."""

    def switch_off_dead(self, *, dead_before: datetime, now: datetime) -> Sequence[Webhook]:
        """Switch off endpoints that have been dead since before *dead_before*; return which. Each is given once."""
