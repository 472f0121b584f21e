"""Leaked passwords are asked of a real range server, by five characters of the hash."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from czo_auth.delivery.pwned_passwords import PwnedPasswords

LEAKED = "a password that leaked"


class _Ranges(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        digest = hashlib.sha1(LEAKED.encode()).hexdigest().upper()
        body = f"{digest[5:]}:3\r\n{'0' * 35}:0\r\n".encode()
        self.send_response(200 if self.path.startswith("/range/") else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def ranges() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    server = HTTPServer(("127.0.0.1", 0), type("Ranges", (_Ranges,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


async def test_leaked_password_is_known_and_only_five_characters_of_its_hash_are_sent(
    ranges: tuple[str, list[str]],
) -> None:
    url, asked = ranges
    assert await PwnedPasswords(url).knows(LEAKED)
    assert asked == [f"/range/{hashlib.sha1(LEAKED.encode()).hexdigest().upper()[:5]}"]


async def test_password_that_did_not_leak_passes(ranges: tuple[str, list[str]]) -> None:
    assert not await PwnedPasswords(ranges[0]).knows("another password")


async def test_outage_lets_the_password_pass() -> None:
    assert not await PwnedPasswords("http://127.0.0.1:9").knows(LEAKED)
