"""A webhook endpoint, its secrets, and the deliveries to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from czo_auth.core.events.types import EVENT_TYPES, Event
from czo_auth.crypto import tokens

WEBHOOK_TEST: Final = "auth.webhook.test"
"""The type of the event that ``POST …/test`` sends to one endpoint. It is not recorded in the outbox."""
WEBHOOK_SECRET: Final = "webhook_secret"  # noqa: S105 - the purpose that secrets are sealed for
ORGANIZATION_FAMILIES: Final = frozenset({"apikey", "org", "role", "service_account"})
"""The families of events that an organization's owners may receive. Sign-ins and factors of members are not among
them, and a family that is added later is not either until it is named here."""

DeliveryStatus = Literal["pending", "delivered", "dead"]
DELIVERY_STATUSES: Final[tuple[DeliveryStatus, ...]] = get_args(DeliveryStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPolicy:
    """
    Attributes:
        pauses: How long to wait after each failed attempt, about 28 hours in total. After the last pause there is one
            more attempt; if it fails, the delivery is dead.
        time_limit: How long one attempt may take in all, from the name's resolution to the end of the answer.
        poll: How often each process looks for deliveries that are due.
        batch: Events whose deliveries are created in one transaction.
        concurrency: Concurrent attempts to one working endpoint; a failing one gets one at a time.
        endpoints: Endpoints that one process serves at once: so many working ones and as many failing ones, so that
            failing endpoints cannot block the others.
        secret_overlap: How long a replaced secret keeps signing.
        switch_off_after: How long an endpoint may be dead before it is switched off.
        allowed_hosts: Hosts that administrators' endpoints may use although their addresses are not public.
        organization_allowed_hosts: The same for organizations' endpoints.
        available: Whether this deployment can send them; if not, no endpoint can be created.

    Raises:
        ValueError: A number makes no sense.
    """

    pauses: tuple[timedelta, ...] = tuple(
        timedelta(seconds=seconds) for seconds in (1, 5, 30, 300, 1800, 7200, 18_000, 36_000, 36_000)
    )
    time_limit: timedelta = timedelta(seconds=10)
    poll: timedelta = timedelta(milliseconds=750)
    batch: int = 200
    concurrency: int = 8
    endpoints: int = 16
    secret_overlap: timedelta = timedelta(hours=24)
    switch_off_after: timedelta = timedelta(days=5)
    allowed_hosts: frozenset[str] = frozenset()
    organization_allowed_hosts: frozenset[str] = frozenset()
    available: bool = True

    def __post_init__(self) -> None:
        if min(self.batch, self.concurrency, self.endpoints) < 1:
            raise ValueError("batch, concurrency and endpoints must be at least 1")
        if min(self.time_limit, self.poll, *self.pauses) <= timedelta(0):
            raise ValueError("the times of a webhook policy must be longer than nothing")

    @property
    def lease(self) -> timedelta:
        """How long a process that died blocks an endpoint for others."""
        return self.time_limit * 2

    def hosts_allowed_for(self, organization_id: str | None) -> frozenset[str]:
        """Return the hosts that need no public address, for an endpoint of an organization or of administrators."""
        return self.allowed_hosts if organization_id is None else self.organization_allowed_hosts

    def pause_after(self, attempts: int) -> timedelta | None:
        """Return how long to wait after attempt number *attempts*, varied by up to a tenth; None if it was the last."""
        if attempts > len(self.pauses):
            return None
        jitter = int.from_bytes(tokens.random_bytes(2), "big") / 0xFFFF
        return self.pauses[attempts - 1] * (0.9 + 0.2 * jitter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """
    An endpoint.

    Attributes:
        organization_id: Whose it is; None for one of the administrators.
        events: Patterns: a type, ``auth.<family>.*`` or ``*``.
        failing_since: When the first attempt failed since the last that succeeded.
        dead_since: When the first delivery died since the last attempt that succeeded.
        disabled_reason: ``dead`` when it was switched off because it was dead for days.
        created_by: The user who created it, who may be deleted since.
    """

    id: str
    organization_id: str | None
    url: str
    events: tuple[str, ...]
    description: str | None
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    dead_since: datetime | None
    created_by: str | None
    created_at: datetime
    updated_at: datetime

    def wants(self, event: Event) -> bool:
        """Whether *event* goes to this endpoint: by its patterns, and for an organization by what it may see."""
        if not any(matches(pattern, event.type) for pattern in self.events):
            return False
        if self.organization_id is None:
            return True
        return (
            event.data.get("organizationId") == self.organization_id
            and family_of(event.type) in ORGANIZATION_FAMILIES
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSecret:
    """
    A sealed secret of an endpoint.

    Attributes:
        expires_at: Until when it signs; None for the current one.
    """

    id: str
    webhook_id: str
    sealed_secret: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """
    One event on its way to one endpoint.

    Attributes:
        number: Its place among all deliveries; grows in the order in which they were made.
        sequence: The event's place in the outbox; 0 for a test, which has none.
        user_id: Whose events are sent in order; None where there is no order to keep.
        attempts: How often it was sent.
        response_status: The status of the last answer; None when there was none.
        error: What went wrong at the last attempt; a few words.
        next_at: When it is sent next, at the earliest; None when it is not.
    """

    number: int
    id: str
    webhook_id: str
    event_id: str
    sequence: int
    type: str
    user_id: str | None
    status: DeliveryStatus
    attempts: int
    response_status: int | None
    error: str | None
    next_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryBatch:
    """
    What one process sends next to an endpoint.

    Attributes:
        secrets: What signs at the moment.
        deliveries: At most one a user, each with its event; None when the event is no longer kept, or is a test.
    """

    webhook: Webhook
    secrets: Sequence[WebhookSecret]
    deliveries: Sequence[tuple[Delivery, Event | None]]


def family_of(event_type: str) -> str:
    """Return the family of an event type: ``apikey`` of ``auth.apikey.created``."""
    return event_type.split(".")[1]


def matches(pattern: str, event_type: str) -> bool:
    """Whether *pattern* names *event_type*."""
    return pattern in ("*", event_type) or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))


def is_pattern(text: str) -> bool:
    """Whether *text* is a pattern that names at least one type of event."""
    known = EVENT_TYPES | {WEBHOOK_TEST}
    return text == "*" or text in known or text in {f"auth.{family_of(each)}.*" for each in known}
