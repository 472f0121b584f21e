"""
Sending events to webhook endpoints: at least once, in order per user and endpoint, shared by several processes.

One transaction creates a delivery of an event for each endpoint that wants it. Then a process leases an endpoint for a
while and sends what is due there. The outcome is recorded after the attempt, so if a process dies in between, the event
is sent again with the same id.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

from czo_auth.core.errors import Refusal, StorageUnavailable, ValidationFailed
from czo_auth.core.events.cloudevents import to_cloudevent
from czo_auth.core.events.types import Event
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.webhooks.disable_dead import DisableDeadEndpoints
from czo_auth.core.text import escape_control
from czo_auth.core.webhooks.destination import Destination, parse_destination
from czo_auth.core.webhooks.store import AttemptResult
from czo_auth.core.webhooks.webhook import (
    WEBHOOK_SECRET,
    WEBHOOK_TEST,
    Delivery,
    DeliveryBatch,
    Webhook,
)
from czo_auth.crypto import webhook_signatures
from czo_auth.crypto.sealing import OpenError

_LOG = logging.getLogger("czo_auth.webhooks")
CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
_MARGIN: Final = 0.1
"""The part of a lease that is reserved for recording outcomes."""
_LAST_WAIT: Final = timedelta(seconds=2)
"""How long a shutdown waits for attempts in progress."""


class AttemptFailed(Exception):
    """
    No acceptable answer came.

    Args:
        reason: A few words for the log of deliveries; nothing from the response's content.
        status: The status of the answer, if there was one.
        final: Whether another attempt would end the same way.
    """

    def __init__(self, reason: str, *, status: int | None = None, final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.final = final


class WebhookSender(Protocol):
    """Sends one request."""

    async def send(self, destination: Destination, *, headers: Mapping[str, str], body: bytes) -> int:
        """
        Send *body* with POST; return the status, which is a success.

        Raises:
            AttemptFailed: Anything else happened, including an address that is not allowed.
        """

    async def close(self) -> None:
        """Release its resources."""


class _SenderPool:
    """The endpoints of one kind that this process serves: working ones, or failing ones."""

    def __init__(self, senders: Callable[[], WebhookSender], *, failing: bool) -> None:
        self.failing = failing
        self.serving: dict[asyncio.Task[None], str] = {}
        self._senders = senders
        self._sender: WebhookSender | None = None

    @property
    def sender(self) -> WebhookSender:
        """Return the sender of these endpoints; it is created when the first of them is served."""
        if self._sender is None:
            self._sender = self._senders()
        return self._sender

    async def close(self) -> None:
        """Release the sender, if there is one."""
        if self._sender is not None:
            await self._sender.close()


class WebhookDispatcher:
    """
    Sends the deliveries that are due; one runs in every process.

    Args:
        senders: Create a sender for working endpoints, and one for failing ones, so that failing endpoints do not use
            up the threads of working ones.
        owner: Identifies this process among those that share the database; must be unique.
        source: The ``source`` of the CloudEvents.
        now: Returns the current time, aware.
    """

    def __init__(
        self,
        services: Services,
        senders: Callable[[], WebhookSender],
        *,
        owner: str,
        source: str,
        now: Callable[[], datetime],
    ) -> None:
        self._services = services
        self._policy = services.policies.webhooks
        self._owner = owner
        self._source = source
        self._now = now
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self._switch_off = DisableDeadEndpoints(services)
        self._pools = [_SenderPool(senders, failing=failing) for failing in (False, True)]

    async def run(self) -> None:
        """Send until `stop`; then attempts in progress get a moment to finish, and the leases are released."""
        try:
            while not self._stop.is_set():
                pause = await self._guarded_pass()
                await self._rest(pause)
        finally:
            for pool in self._pools:
                await self._end(pool)

    async def _end(self, pool: _SenderPool) -> None:
        """Let attempts finish, release remaining leases, and release the sender."""
        serving = dict(pool.serving)
        if serving:
            _, late = await asyncio.wait(serving, timeout=_LAST_WAIT.total_seconds())
            for task in late:
                # Its events are sent again, by this process or another.
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            try:
                for task in late:
                    await self._release(serving[task])
            except StorageUnavailable:
                _LOG.warning("leases on webhooks could not be given back; they end by themselves")
        await pool.close()

    async def _release(self, webhook_id: str) -> None:
        await self._services.transactions.run(
            lambda tx: tx.webhook_deliveries.release(webhook_id, owner=self._owner)
        )

    def stop(self) -> None:
        """Let `run` return. Call it on the event loop's thread."""
        self._stop.set()
        self._wake.set()

    async def _rest(self, pause: timedelta) -> None:
        try:
            async with asyncio.timeout(pause.total_seconds()):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _guarded_pass(self) -> timedelta:
        try:
            # Before looking: an endpoint that is released from here on wakes the next pass.
            self._wake.clear()
            return await self._pass()
        except StorageUnavailable:
            _LOG.warning("the database is unavailable, webhooks wait")
        except Exception as error:
            # If the dispatcher ended here, nothing would be sent any more, and nobody would notice.
            _LOG.error("sending webhooks failed unexpectedly", exc_info=error)
        return self._policy.poll * 4

    async def _pass(self) -> timedelta:
        """Do some of the pending work; return when to look again."""
        now, policy = self._now(), self._policy
        transactions = self._services.transactions
        dead_before = now - policy.switch_off_after
        work = await transactions.read(
            lambda tx: tx.webhook_deliveries.work(now=now, dead_before=dead_before)
        )
        more = False
        if work.dead:
            await self._switch_off.run(now=now)
        if work.spread:
            spread = await transactions.run(
                lambda tx: tx.webhook_deliveries.spread(limit=policy.batch, now=now)
            )
            more = spread == policy.batch
        if work.replay:
            replayed = await transactions.run(
                lambda tx: tx.webhook_deliveries.spread_replay(limit=policy.batch, now=now)
            )
            more = more or replayed > 0
        if work.due or work.spread or work.replay:
            for pool in self._pools:
                await self._fill(pool)
        return timedelta(0) if more else policy.poll

    async def _fill(self, pool: _SenderPool) -> None:
        """Serve as many endpoints as there are free slots."""
        free = self._policy.endpoints - len(pool.serving)
        if free <= 0:
            return
        now, began = self._now(), asyncio.get_running_loop().time()
        until = now + self._policy.lease
        claimed = await self._services.transactions.run(
            lambda tx: tx.webhook_deliveries.claim_due(
                owner=self._owner, now=now, until=until, failing=pool.failing, limit=free
            )
        )
        # By the monotonic clock: no attempt begins that may outlast the lease.
        ends = began + (self._policy.lease * (1 - _MARGIN) - self._policy.time_limit).total_seconds()
        for webhook_id in claimed:
            task = asyncio.create_task(self._serve(pool, webhook_id, ends=ends))
            pool.serving[task] = webhook_id
            task.add_done_callback(partial(pool.serving.pop))

    # --- one endpoint ---

    async def _serve(self, pool: _SenderPool, webhook_id: str, *, ends: float) -> None:
        """Send what is due at one endpoint, as long as its lease allows, and release it."""
        try:
            while not self._stop.is_set() and asyncio.get_running_loop().time() < ends:
                if not await self._send_some(pool, webhook_id):
                    break
            await self._release(webhook_id)
        except StorageUnavailable:
            _LOG.warning(
                "the database is unavailable; webhook %s is sent to again when its lease ends", webhook_id
            )
        except Exception as error:
            _LOG.error("sending to webhook %s failed unexpectedly", webhook_id, exc_info=error)
        finally:
            self._wake.set()

    async def _send_some(self, pool: _SenderPool, webhook_id: str) -> bool:
        """Send a few deliveries concurrently, and record the outcomes; False if nothing more is due, or if it fails."""
        limit = 1 if pool.failing else self._policy.concurrency
        now = self._now()
        batch = await self._services.transactions.read(
            lambda tx: tx.webhook_deliveries.next_deliveries(
                webhook_id, owner=self._owner, now=now, limit=limit
            )
        )
        if batch is None:
            return False
        results = await asyncio.gather(
            *(self._attempt(pool.sender, batch, delivery, event) for delivery, event in batch.deliveries)
        )
        now = self._now()
        await self._services.transactions.run(
            lambda tx: tx.webhook_deliveries.finish_attempts(webhook_id, results, owner=self._owner, now=now)
        )
        # An endpoint that starts to fail moves to the other pool.
        return pool.failing or any(result.status == "delivered" for result in results)

    async def _attempt(
        self, sender: WebhookSender, batch: DeliveryBatch, delivery: Delivery, event: Event | None
    ) -> AttemptResult:
        try:
            status = await self._send(sender, batch, delivery, event)
        except AttemptFailed as failure:
            return self._failed(delivery, failure)
        except (Refusal, OpenError) as refusal:
            return self._failed(delivery, AttemptFailed(_reason(refusal)))
        except Exception as error:
            _LOG.error("an attempt at webhook %s failed unexpectedly", delivery.webhook_id, exc_info=error)
            return self._failed(delivery, AttemptFailed(type(error).__name__))
        return AttemptResult(
            delivery_id=delivery.id, status="delivered", response_status=status, error=None, next_at=None
        )

    async def _send(
        self, sender: WebhookSender, batch: DeliveryBatch, delivery: Delivery, event: Event | None
    ) -> int:
        webhook, policy = batch.webhook, self._policy
        sent_event = event if delivery.sequence else _test_event(webhook, delivery)
        if sent_event is None:
            raise AttemptFailed("the event is no longer kept", final=True)
        destination = parse_destination(
            webhook.url, allowed_hosts=policy.hosts_allowed_for(webhook.organization_id)
        )
        body = json.dumps(
            to_cloudevent(sent_event, source=self._source), allow_nan=False, separators=(",", ":")
        ).encode("ascii")
        timestamp = int(self._now().timestamp())
        headers = {
            "content-type": CONTENT_TYPE,
            "webhook-id": sent_event.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": webhook_signatures.sign(
                self._secrets(batch), message_id=sent_event.id, timestamp=timestamp, body=body
            ),
        }
        return await sender.send(destination, headers=headers, body=body)

    def _secrets(self, batch: DeliveryBatch) -> Sequence[bytes]:
        ring = self._services.key_ring
        return [
            ring.open(
                secret.sealed_secret,
                purpose=WEBHOOK_SECRET,
                bound_to={"webhook": secret.webhook_id, "secret": secret.id},
            )
            for secret in batch.secrets
        ]

    def _failed(self, delivery: Delivery, failure: AttemptFailed) -> AttemptResult:
        pause = None if failure.final else self._policy.pause_after(delivery.attempts + 1)
        return AttemptResult(
            delivery_id=delivery.id,
            status="dead" if pause is None else "pending",
            response_status=failure.status,
            error=escape_control(failure.reason, limit=200),
            next_at=None if pause is None else self._now() + pause,
        )


def _test_event(webhook: Webhook, delivery: Delivery) -> Event:
    data: dict[str, object] = {"webhookId": webhook.id, "userId": None}
    if webhook.organization_id is not None:
        data["organizationId"] = webhook.organization_id
    return Event(
        sequence=0,
        id=delivery.event_id,
        type=WEBHOOK_TEST,
        user_id=None,
        at=delivery.created_at,
        data=data,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationFailed) and error.details:
        return error.details[0][1]
    return "the secret cannot be read" if isinstance(error, OpenError) else type(error).__name__
