"""A sink for NATS JetStream, on its Python client nats-py."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from czo_auth.core.events.deliver import SinkUnavailable
from czo_auth.core.events.types import Event
from czo_auth.delivery.brokers import (
    CONNECT_SECONDS,
    CONTENT_TYPE,
    PUBLISH_SECONDS,
    message_of,
)

DUPLICATE_WINDOW_SECONDS: Final = 3600
"""How long the stream remembers ids. An event that is sent again within this time is stored once."""
_MESSAGE_TOO_LARGE: Final = 10054


class NatsJetStream:
    """
    Publishes each event to a stream. Delivery succeeds once the stream has acknowledged it.

    The subject is a prefix and the event's type, the id is the ``Nats-Msg-Id``. If there is no stream, it is created,
    stored on disk; one that an operator created is not changed.

    Args:
        url: ``nats://user:password@host:4222`` or ``tls://…``, several with commas between. It is not logged.
        stream: Its name.
        subject: The prefix of subjects: ``czo_auth`` makes ``czo_auth.auth.apikey.created``.
        source: The source that events name.
        name: The sink's name in the outbox.
    """

    def __init__(self, url: str, *, stream: str, subject: str, source: str, name: str = "nats") -> None:
        self.name = name
        self._servers = [server.strip() for server in url.split(",")]
        self._stream = stream
        self._subject = subject
        self._source = source
        self._client: Client | None = None

    async def deliver(self, event: Event) -> None:
        payload = message_of(event, source=self._source)
        headers = {"Nats-Msg-Id": event.id, "content-type": CONTENT_TYPE}
        subject = f"{self._subject}.{event.type}"
        try:
            client = await self._open()
            await client.jetstream().publish(
                subject, payload, timeout=PUBLISH_SECONDS, stream=self._stream, headers=headers
            )
        except MaxPayloadError:
            raise
        except APIError as error:
            if error.err_code == _MESSAGE_TOO_LARGE:
                raise
            raise SinkUnavailable(f"the stream refused the event ({error.err_code})") from None
        except NoStreamResponseError:
            # The broker came back without its streams: the next attempt makes ours again.
            await self.close()
            raise SinkUnavailable("no stream takes the subject") from None
        except (NatsError, OSError, TimeoutError) as error:
            # Only the class: what a client says about a connection may hold the address, and it the password.
            await self.close()
            raise SinkUnavailable(f"NATS: {type(error).__name__}") from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connection; the next event opens another."""
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(NatsError, OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.close()

    async def _open(self) -> Client:
        """Return a connected client whose stream exists."""
        if self._client is not None and not self._client.is_connected:
            await self.close()
        if self._client is None:
            # Stored before anything else can fail, so that it gets closed.
            self._client = client = Client()
            await client.connect(
                self._servers,
                name="czo-auth",
                # The relay waits and retries; the client would do both without reporting it.
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=int(CONNECT_SECONDS),
                error_cb=_ignore,
            )
            await self._ensure_stream(client)
        return self._client

    async def _ensure_stream(self, client: Client) -> None:
        jetstream = client.jetstream(timeout=CONNECT_SECONDS)
        try:
            await jetstream.stream_info(self._stream)
        except NotFoundError:
            await jetstream.add_stream(
                StreamConfig(
                    name=self._stream,
                    subjects=[f"{self._subject}.>"],
                    retention=RetentionPolicy.LIMITS,
                    storage=StorageType.FILE,
                    duplicate_window=DUPLICATE_WINDOW_SECONDS,
                )
            )


async def _ignore(_: Exception) -> None:
    """
    Log nothing. The relay logs once that a sink is unavailable; the client would log each attempt, with the address.
    """
