"""
Many requests in the same instant, from several client processes.

Each request has a connection of its own, on which all but its last bytes are sent ahead; when every one waits, all get
one moment to send the rest at. What the server sees thus lies within a millisecond or two, far closer than clients
that begin together ever come. The moment is one of the machine's monotonic clock, which all processes share.

Run as a script, this is one such client process; it talks JSON lines over stdin and stdout and ends with stdin.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PROCESSES = 4
HELD_BACK = 2
"""Bytes of each request; without them it is not whole, with or without a body."""
SOON = 0.02
"""From the word to the strike; unit: seconds."""


@dataclass(frozen=True)
class Shot:
    """
    One answer.

    Attributes:
        status: None when the connection broke before an answer.
        began: When its first byte was sent; the server cannot have acted before.
        ended: When the answer was there. Both by `time.monotonic`.
    """

    status: int | None
    headers: dict[str, str]
    text: str
    began: float
    ended: float

    @property
    def body(self) -> Any:
        return json.loads(self.text) if self.text else None

    @property
    def code(self) -> str | None:
        """The code of a refusal."""
        return str(self.body["code"]) if self.status is None or self.status >= 400 else None


def request(method: str, path: str, body: object = None, *, bearer: str | None = None, **headers: str) -> str:
    """Spell a request."""
    content = "" if body is None else json.dumps(body)
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", "connection: close"]
    if bearer is not None:
        lines.append(f"authorization: Bearer {bearer}")
    if method != "GET":
        lines += ["content-type: application/json", f"content-length: {len(content.encode())}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines) + "\r\n\r\n" + content


class Attackers:
    """The client processes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Attackers:
        for _ in range(PROCESSES):
            command = [sys.executable, "-I", "-S", __file__, str(self._port)]
            pipe = subprocess.PIPE
            self._processes.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.wait(10)
            process.stdout.close()

    def strike(self, requests: Sequence[str], *, delays: Sequence[float | None] | None = None) -> list[Shot]:
        """
        Send *requests* together; gives the answers in their order.

        Args:
            delays: For each, that it is begun only so many seconds after the moment, or None for at the moment.
        """
        delays = delays or [None] * len(requests)
        shares = [list(range(number, len(requests), PROCESSES)) for number in range(PROCESSES)]
        for process, share in zip(self._processes, shares, strict=True):
            _say(process, [(requests[number], delays[number]) for number in share])
        for process in self._processes:
            assert _hear(process) == "ready"
        moment = time.monotonic() + SOON
        for process in self._processes:
            _say(process, moment)
        shots: dict[int, Shot] = {}
        for process, share in zip(self._processes, shares, strict=True):
            shots |= dict(zip(share, (Shot(**shot) for shot in _hear(process)), strict=True))
        return [shots[number] for number in range(len(requests))]


def _say(process: subprocess.Popen[str], words: object) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(words) + "\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


# --- one client process ----------------------------------------------------------------------------------------------
_Aimed = tuple[socket.socket, bytes, float, float | None]
"""A connection, what is still to be sent on it, how long after the moment, and when its first byte went."""


def _aim(port: int, text: str, delay: float | None) -> _Aimed:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    content = text.encode()
    if delay is not None:
        return connection, content, delay, None
    began = time.monotonic()
    connection.sendall(content[:-HELD_BACK])
    return connection, content[-HELD_BACK:], 0.0, began


def _fire(aimed: _Aimed, moment: float) -> dict[str, Any]:
    connection, rest, delay, begun = aimed
    time.sleep(max(0.0, moment + delay - time.monotonic()))
    began = time.monotonic() if begun is None else begun
    answer = bytearray()
    try:
        connection.sendall(rest)
        while chunk := connection.recv(65536):
            answer += chunk
    except OSError:
        answer.clear()
    ended = time.monotonic()
    connection.close()
    return {**_read(bytes(answer)), "began": began, "ended": ended}


def _read(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    whole = status.startswith("HTTP/1.1 ") and len(body) == int(headers.get("content-length", len(body)))
    number = int(status.split(" ")[1]) if whole else None
    return {"status": number, "headers": headers, "text": body.decode() if whole else ""}


def _serve(port: int) -> None:
    for line in sys.stdin:
        orders = json.loads(line)
        aimed = [_aim(port, text, delay) for text, delay in orders]
        print('"ready"', flush=True)
        moment = json.loads(sys.stdin.readline())
        shots: list[dict[str, Any]] = [{} for _ in orders]

        def fire(number: int) -> None:
            shots[number] = _fire(aimed[number], moment)  # noqa: B023 - joined below

        threads = [threading.Thread(target=fire, args=(number,)) for number in range(len(orders))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(json.dumps(shots), flush=True)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
