"""The background tasks that deliver events to sinks and webhook endpoints."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from czo_auth.core.events.deliver import Relay, Sink
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.webhooks.deliver import WebhookDispatcher, WebhookSender
from czo_auth.core.ids import new_id
from czo_auth.runtime.telemetry import Telemetry
from czo_auth.runtime.traced import TracedSender, TracedSink
from czo_auth.settings import Settings

if TYPE_CHECKING:
    from czo_auth.delivery.nats import NatsJetStream
    from czo_auth.delivery.rabbitmq import RabbitMQ


class EventDelivery:
    """
    Delivers the events of the outbox, from `begin` to `stop`.

    Args:
        sinks: The host's own sinks; those that the settings name are added.
    """

    def __init__(
        self,
        services: Services,
        settings: Settings,
        sinks: Sequence[Sink],
        *,
        telemetry: Telemetry,
        now: Callable[[], datetime],
    ) -> None:
        self._services, self._settings, self._own_sinks = services, settings, tuple(sinks)
        self._telemetry, self._now = telemetry, now
        self._brokers: list[RabbitMQ | NatsJetStream] = []
        self._relay: Relay | None = None
        self._relaying: asyncio.Task[None] | None = None
        self._dispatcher: WebhookDispatcher | None = None
        self._dispatching: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start the tasks. Call it outside the context of a request, whose trace they must not join."""
        sinks = [TracedSink(sink, self._telemetry) for sink in self._all_sinks()]
        owner = f"{os.getpid()}-{new_id(self._now())}"
        if self._services.policies.webhooks.available:
            self._dispatcher = self._webhook_dispatcher(owner)
            self._dispatching = asyncio.create_task(self._dispatcher.run())
        if sinks:
            self._relay = Relay(self._services.transactions, sinks, owner=owner, now=self._now)
            self._relaying = asyncio.create_task(self._relay.run())

    async def stop(self) -> None:
        """Stop the tasks and close the connections. May be called more than once."""
        if self._relay is not None and self._relaying is not None:
            self._relay.stop()
            await asyncio.gather(self._relaying, return_exceptions=True)
        for broker in self._brokers:
            await broker.close()
        if self._dispatcher is not None and self._dispatching is not None:
            self._dispatcher.stop()
            await asyncio.gather(self._dispatching, return_exceptions=True)

    def _webhook_dispatcher(self, owner: str) -> WebhookDispatcher:
        def sender() -> WebhookSender:
            # Imported late: most deployments start without an endpoint.
            from czo_auth.delivery.webhooks import HttpWebhookSender

            sender = HttpWebhookSender(time_limit=self._services.policies.webhooks.time_limit)
            return TracedSender(sender, self._telemetry)

        return WebhookDispatcher(
            self._services,
            sender,
            owner=owner,
            source=self._settings.public_url,
            now=self._now,
        )

    def _all_sinks(self) -> list[Sink]:
        sinks = list(self._own_sinks)
        if self._settings.events_file is not None:
            from czo_auth.delivery.jsonlines import JsonLines

            sinks.append(JsonLines(self._settings.events_file, source=self._settings.public_url))
        self._brokers = self._broker_sinks()
        return [*sinks, *self._brokers]

    def _broker_sinks(self) -> list[RabbitMQ | NatsJetStream]:
        settings, source = self._settings, self._settings.public_url
        brokers: list[RabbitMQ | NatsJetStream] = []
        if settings.rabbitmq_url is not None:
            from czo_auth.delivery.rabbitmq import RabbitMQ

            url = settings.rabbitmq_url.get_secret_value()
            brokers.append(RabbitMQ(url, exchange=settings.rabbitmq_exchange, source=source))
        if settings.nats_url is not None:
            from czo_auth.delivery.nats import NatsJetStream

            url = settings.nats_url.get_secret_value()
            brokers.append(
                NatsJetStream(url, stream=settings.nats_stream, subject=settings.nats_subject, source=source)
            )
        return brokers
