"""A sink for RabbitMQ, on its Python client aio-pika."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import aio_pika
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, ChannelPreconditionFailed, DeliveryError, PublishError

from czo_auth.core.events.deliver import SinkUnavailable
from czo_auth.core.events.types import Event
from czo_auth.delivery.brokers import (
    CONNECT_SECONDS,
    CONTENT_TYPE,
    PUBLISH_SECONDS,
    message_of,
)

if TYPE_CHECKING:
    from aio_pika.abc import AbstractConnection, AbstractExchange


class RabbitMQ:
    """
    Publishes each event to a durable topic exchange. Delivery succeeds once the broker has confirmed it.

    The routing key is the event's type. A message that no queue accepts is returned, and the event waits, so nothing
    is lost before the first queue is bound. Bind a queue to ``#``, or give the exchange an alternate one for the rest.

    Args:
        url: ``amqp://user:password@host/vhost`` or ``amqps://…``. No part of it is logged.
        exchange: Declared when it is not there.
        source: The source that events name.
        name: The sink's name in the outbox.
    """

    def __init__(self, url: str, *, exchange: str, source: str, name: str = "rabbitmq") -> None:
        self.name = name
        self._url = url
        self._exchange_name = exchange
        self._source = source
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None

    async def deliver(self, event: Event) -> None:
        message = aio_pika.Message(
            message_of(event, source=self._source),
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=event.id,
            timestamp=event.at,
            type=event.type,
        )
        exchange = None
        try:
            exchange = await self._open()
            await exchange.publish(message, routing_key=event.type, mandatory=True, timeout=PUBLISH_SECONDS)
        except ChannelPreconditionFailed as error:
            await self.close()
            if exchange is not None:
                # The event is larger than the broker accepts, so the fault is the event's.
                raise
            raise SinkUnavailable(f"RabbitMQ: {type(error).__name__}") from None
        except PublishError:
            raise SinkUnavailable(f"no queue takes events of type {event.type}") from None
        except DeliveryError:
            raise SinkUnavailable("the broker refused the event") from None
        except (*CONNECTION_EXCEPTIONS, TimeoutError) as error:
            # Only the class: what a client says about a connection may hold the address, and it the password.
            await self.close()
            raise SinkUnavailable(f"RabbitMQ: {type(error).__name__}") from None
        except BaseException:
            # A late confirmation must not be mistaken for the next event's.
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection; the next event opens another."""
        connection, self._connection, self._exchange = self._connection, None, None
        if connection is None:
            return
        with suppress(*CONNECTION_EXCEPTIONS, TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.close()

    async def _open(self) -> AbstractExchange:
        """Return the exchange on a connection that is open."""
        if self._connection is not None and self._connection.is_closed:
            await self.close()
        if self._exchange is None:
            # Stored before anything else can fail, so that it gets closed.
            self._connection = await aio_pika.connect(self._url, timeout=CONNECT_SECONDS)
            channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            self._exchange = await channel.declare_exchange(
                self._exchange_name, aio_pika.ExchangeType.TOPIC, durable=True, timeout=CONNECT_SECONDS
            )
        return self._exchange
