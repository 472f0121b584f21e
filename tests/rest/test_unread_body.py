"""What is left of a refused body is read, within bounds."""

from __future__ import annotations

import asyncio
import time

import pytest
from starlette.types import Message, Scope

from czo_auth.asgi import body
from czo_auth.asgi.body import UnreadBody
from czo_auth.core.limits import MAX_UNREAD_BYTES

CHUNK = 64 * 1024
ENDLESS = (b"transfer-encoding", b"chunked")


def scope(*headers: tuple[bytes, bytes]) -> Scope:
    return {"type": "http", "method": "POST", "headers": list(headers)}


class Sender:
    """Sends so many chunks, or chunks without an end, each after a pause."""

    def __init__(self, chunks: int | None, *, pause: float = 0) -> None:
        self.left = chunks
        self.sent = 0
        self._pause = pause

    async def __call__(self) -> Message:
        if self._pause:
            await asyncio.sleep(self._pause)
        self.sent += 1
        if self.left is not None:
            self.left -= 1
        return {"type": "http.request", "body": b"x" * CHUNK, "more_body": self.left != 0}


async def test_rest_is_read_to_its_end_and_no_further() -> None:
    sender = Sender(4)
    unread = UnreadBody(scope((b"content-length", str(4 * CHUNK).encode())), sender)
    await unread.receive()
    await unread.discard()
    assert sender.sent == 4
    await unread.discard()
    assert sender.sent == 4


async def test_body_without_an_end_is_read_to_the_bound() -> None:
    sender = Sender(None)
    await UnreadBody(scope(ENDLESS), sender).discard()
    assert sender.sent == MAX_UNREAD_BYTES // CHUNK


async def test_slow_client_is_read_to_the_end_as_long_as_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "_UNREAD_SECONDS", 1.8)
    sender = Sender(10, pause=0.2)
    await UnreadBody(scope(ENDLESS), sender).discard()
    assert sender.left == 0


async def test_client_that_is_slow_without_an_end_is_left_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", 0.3)
    sender = Sender(None, pause=0.05)
    begun = time.monotonic()
    await UnreadBody(scope(ENDLESS), sender).discard()
    assert 1 <= sender.sent <= 6
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("length", [b"0", str(MAX_UNREAD_BYTES + 1).encode(), b"9" * 30, b"-1", b"x"])
async def test_what_is_empty_or_much_too_long_is_not_read(length: bytes) -> None:
    sender = Sender(None)
    await UnreadBody(scope((b"content-length", length)), sender).discard()
    assert sender.sent == 0


async def test_request_without_a_body_is_not_asked_for_one() -> None:
    sender = Sender(None)
    await UnreadBody(scope(), sender).discard()
    assert sender.sent == 0


async def test_client_that_went_away_or_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def silent() -> Message:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    monkeypatch.setattr(body, "_UNREAD_SECONDS", 0.05)
    begun = time.monotonic()
    for client in (gone, silent):
        await UnreadBody(scope(ENDLESS), client).discard()
    assert time.monotonic() - begun < 20
