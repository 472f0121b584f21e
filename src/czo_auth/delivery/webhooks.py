"""
Requests to webhook endpoints: the address that was checked is the one that is connected to (S41).

Each attempt has a connection of its own. Its name is resolved here, each address is checked, and the connection goes
to one of those; TLS and ``Host`` use the name. Redirects are not followed, proxies of the environment are not used,
and at most 4 KiB of a response are read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, Final

import httpcore

from czo_auth.core.flows.webhooks.deliver import AttemptFailed
from czo_auth.core.limits import MAX_WEBHOOK_ANSWER_BYTES
from czo_auth.core.webhooks.destination import Destination, is_global_address
from czo_auth.version import VERSION

_MAX_READ: Final = 32_768
"""Bytes read in total, including status line, headers and the framing of the content."""
_MAX_ADDRESSES: Final = 4
_RESOLVER_THREADS: Final = 16

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host; raises OSError when there are none."""


class HttpWebhookSender:
    """
    Implements `czo_auth.core.flows.webhooks.deliver.WebhookSender`.

    Args:
        time_limit: For a whole attempt: name lookup, connection, request and response.
        resolve: Replaces the system's resolver.
        is_allowed: Decides which addresses may be connected to.
        ssl_context: Replaces the system's trust in certificate authorities.
    """

    def __init__(
        self,
        *,
        time_limit: timedelta,
        resolve: Resolve | None = None,
        is_allowed: Callable[[str], bool] = is_global_address,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._limit = time_limit.total_seconds()
        self._resolve = resolve or self._resolve_by_system
        self._is_allowed = is_allowed
        self._ssl_context = ssl_context
        # Separate threads: a name server that never answers must not use up those that the product needs.
        self._threads: ThreadPoolExecutor | None = None

    async def send(self, destination: Destination, *, headers: Mapping[str, str], body: bytes) -> int:
        clock = asyncio.timeout(self._limit)
        try:
            async with clock:
                status = await self._post(destination, headers=headers, body=body)
        except TimeoutError:
            if not clock.expired():
                raise
            raise AttemptFailed(f"no answer within {self._limit:g} s") from None
        except (OSError, ssl.SSLError, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise AttemptFailed(_reason(error)) from None
        if not 200 <= status < 300:
            raise AttemptFailed(f"answered {status}", status=status)
        return status

    async def close(self) -> None:
        """Release the threads; a lookup that is still running in one is abandoned."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def _post(self, destination: Destination, *, headers: Mapping[str, str], body: bytes) -> int:
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        connecting = _CheckedConnections(
            self._resolve, is_allowed=None if destination.trusted else self._is_allowed
        )
        async with httpcore.AsyncConnectionPool(
            ssl_context=self._ssl_context,
            max_connections=1,
            max_keepalive_connections=0,
            network_backend=connecting,
        ) as pool:
            request = httpcore.Request(
                "POST",
                httpcore.URL(
                    scheme=destination.scheme,
                    host=destination.host,
                    port=destination.port,
                    target=destination.target,
                ),
                headers=_headers(destination, headers, body),
                content=body,
            )
            response = await pool.handle_async_request(request)
            try:
                await _read_some(response)
            finally:
                await response.aclose()
            return response.status

    async def _resolve_by_system(self, host: str, port: int) -> Sequence[str]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, thread_name_prefix="czo-auth-webhook-names")
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _CheckedConnections(httpcore.AsyncNetworkBackend):
    """Connects to an address only after it was checked, unless *is_allowed* is None."""

    def __init__(self, resolve: Resolve, *, is_allowed: Callable[[str], bool] | None) -> None:
        self._resolve = resolve
        self._is_allowed = is_allowed
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's, here and below
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        # The final dot keeps the resolver from trying the name inside the domains of this machine.
        is_allowed = self._is_allowed
        addresses = await self._resolve(host if is_allowed is None else f"{host}.", port)
        usable = [address for address in addresses if is_allowed is None or is_allowed(address)]
        if not usable:
            raise AttemptFailed("the name leads to no address that is reachable from everywhere")
        *others, last = usable[:_MAX_ADDRESSES]
        for address in others:
            try:
                return await self._connect(address, port, seconds=2.0)
            except (httpcore.NetworkError, httpcore.TimeoutException):
                continue
        return await self._connect(last, port, seconds=None)

    async def _connect(
        self, address: str, port: int, *, seconds: float | None
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._inner.connect_tcp(address, port, timeout=seconds)
        return _SmallReads(stream)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _SmallReads(httpcore.AsyncNetworkStream):
    """A connection that reads a bounded amount, in small pieces: headers could be endless too."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._left = _MAX_READ

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._left <= 0:
            raise httpcore.ReadError("the answer is too long")
        read = await self._inner.read(min(max_bytes, MAX_WEBHOOK_ANSWER_BYTES), timeout)
        self._left -= len(read)
        return read

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _SmallReads(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _headers(destination: Destination, headers: Mapping[str, str], body: bytes) -> list[tuple[bytes, bytes]]:
    default = {"http": 80, "https": 443}[destination.scheme]
    host = f"[{destination.host}]" if ":" in destination.host else destination.host
    own = {
        "host": host if destination.port == default else f"{host}:{destination.port}",
        "user-agent": f"czo-auth/{VERSION}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
        "content-length": str(len(body)),
    }
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in {**own, **headers}.items()]


async def _read_some(response: httpcore.Response) -> None:
    """Read the content to its end, or to the limit."""
    read = 0
    async for chunk in response.aiter_stream():
        read += len(chunk)
        if read >= MAX_WEBHOOK_ANSWER_BYTES:
            return


def _reason(error: Exception) -> str:
    """Return what went wrong, without the other side's text."""
    if isinstance(error, socket.gaierror):
        return "the name is not known"
    if isinstance(error, httpcore.ConnectError | ConnectionError):
        return "no connection"
    return f"the connection failed ({type(error).__name__})"
