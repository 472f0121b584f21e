"""Where the time of a key check on SQLite goes: the middleware and its parts in a loop, without a server around."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey

from benchmarks import data
from benchmarks.credentials_rows import loaded, sign_tokens
from benchmarks.growth.work import NoMail
from benchmarks.hosts import hello
from benchmarks.measure import OURS, Row
from benchmarks.services_rows import asking_key
from czo_auth import Auth, AuthMiddleware, Settings
from czo_auth.asgi.authentication import Authenticator
from czo_auth.asgi.long_lists import ITEMS_AT_ONCE, write_json
from czo_auth.crypto import base64url, tokens
from czo_auth.rest import records
from czo_auth.storage.lookup_sql import api_key_record
from tests.integrations.acting import BASE

_KEYS = 20_000
_TIMES = 2_000
_PARTS = 40
_HELLO_ITSELF = "hello itself"
_TOKEN = "a token seen for the first time before hello"
_COLD_TIMES = 200
_COLD = ", after other work emptied the core's caches"
_OTHER_WORK = bytes(8 << 20), bytearray(8 << 20)
"""To copy the one into the other takes the place of everything in the caches of most cores."""
_HEADERS = [(b"host", b"127.0.0.1"), (b"user-agent", b"loop"), (b"accept", b"*/*")]


def rows(directory: Path, *, rounds: int) -> list[Row]:
    """Measure wall time per call: the smallest of the rounds, because other work can only add to it."""
    with loaded(_KEYS, directory, None) as base:
        keys = base.tokens.read_text().split()[:_TIMES]
        signed, _, _ = asyncio.run(sign_tokens(base, directory))
        access_tokens = signed.read_text().split()[:_TIMES]
        found = asyncio.run(_measured(data.settings(base.url), keys, access_tokens, rounds=rounds))
    return [
        Row(
            operation=f"in a loop: {what}",
            subject=OURS,
            database="sqlite",
            keys=_KEYS,
            value=value,
            unit="µs",
        )
        for what, value in found.items()
    ]


async def _measured(
    settings: Settings, keys: list[str], access_tokens: list[str], *, rounds: int
) -> dict[str, float]:
    remembering = Auth(settings, mail=NoMail())
    forgetful = Auth(settings.model_copy(update={"remembered_credentials": 0}))
    series: dict[str, list[float]] = {}
    try:
        await remembering.start()
        await forgetful.start()
        scopes = [_scope(key) for key in keys]
        wholes: dict[str, Callable[..., Awaitable[None]]] = {
            _HELLO_ITSELF: hello.app,
            "a remembered key before hello": AuthMiddleware(hello.app, auth=remembering, required=True),
            "an uncached key before hello": AuthMiddleware(hello.app, auth=forgetful, required=True),
        }
        api = _api_of(remembering)
        asker = await asking_key(remembering)
        asked: dict[str, list[tuple[dict[str, Any], bytes]]] = {
            "forward authentication of a remembered key": [(_forwarded(key), b"") for key in keys],
            "introspection of a remembered key": [_introspected(key, asker) for key in keys],
        }
        token_scopes = [_scope(token) for token in access_tokens]
        first_sight = wholes["an uncached key before hello"]
        parts = _parts(forgetful, keys) | _token_parts(forgetful, access_tokens)
        listed = await forgetful.services.transactions.read(lambda tx: tx.api_keys.find(data.uuid("k", 0)))
        assert listed is not None
        for _ in range(rounds + 1):
            for what, app in wholes.items():
                begun = time.perf_counter()
                for scope in scopes:
                    await app(dict(scope), _receive, _send)
                series.setdefault(what, []).append(_each(begun))
                series.setdefault(f"{what}{_COLD}", []).append(await _cold(app, scopes))
            for what, requests in asked.items():
                series.setdefault(what, []).append(await _each_of(api, requests))
                series.setdefault(f"{what}{_COLD}", []).append(
                    await _each_of(api, requests[:_COLD_TIMES], cold=True)
                )
            begun = time.perf_counter()
            for scope in token_scopes:
                await first_sight(dict(scope), _receive, _send)
            series.setdefault(_TOKEN, []).append(_each(begun))
            series.setdefault(f"{_TOKEN}{_COLD}", []).append(await _cold(first_sight, token_scopes))
            # What a check of a key may have to wait for beside a long list.
            begun = time.perf_counter()
            for _ in range(_PARTS):
                dump = [records.ApiKey.of(listed).dump() for _ in range(ITEMS_AT_ONCE)]
                await write_json(dump)
            part_of_list = (time.perf_counter() - begun) / _PARTS * 1e6
            series.setdefault(f"{ITEMS_AT_ONCE} keys of a list, made and written", []).append(part_of_list)
            for what, part in parts.items():
                begun = time.perf_counter()
                for number in range(_TIMES):
                    part(number)
                series.setdefault(what, []).append(_each(begun))
    finally:
        await remembering.stop()
        await forgetful.stop()
    found = {what: min(times[1:]) for what, times in series.items()}
    hello_alone = {_COLD: found[f"{_HELLO_ITSELF}{_COLD}"], "": found[_HELLO_ITSELF]}
    return {
        what: value - hello_alone[_COLD if what.endswith(_COLD) else ""] if "before hello" in what else value
        for what, value in found.items()
    }


async def _cold(app: Callable[..., Awaitable[None]], scopes: list[dict[str, Any]]) -> float:
    """Measure calls that find nothing of the ones before in the core's caches, as beside the threads of a server."""
    source, target = _OTHER_WORK
    seconds = 0.0
    for scope in scopes[:_COLD_TIMES]:
        target[:] = source
        begun = time.perf_counter()
        await app(dict(scope), _receive, _send)
        seconds += time.perf_counter() - begun
    return seconds / _COLD_TIMES * 1e6


def _parts(auth: Auth, keys: list[str]) -> dict[str, Callable[[int], object]]:
    digests = [tokens.digest(key) for key in keys]
    lookup: Any = auth.storage.lookup
    sql = lookup._sql.api_key
    row = lookup._row(sql, digests[0])
    record = api_key_record(row)
    authenticator, scopes, now = Authenticator(auth), [_scope(key) for key in keys], auth.now()
    authenticate: Any = auth.authenticate
    return {
        "SHA-256 of the key": lambda number: tokens.digest(keys[number]),
        "the change token": lambda _: lookup.change_token(),
        "the clock": lambda _: auth.now(),
        "reading the header": lambda number: authenticator.read(scopes[number]),
        "the query": lambda number: lookup._row(sql, digests[number]),
        "row to record": lambda _: api_key_record(row),
        "record to principal": lambda _: authenticate._owner(record, now=now),
    }


def _token_parts(auth: Auth, access_tokens: list[str]) -> dict[str, Callable[[int], object]]:
    verify, now = auth.services.access_tokens.verify, auth.now()
    (jwk,) = auth.services.access_tokens.jwks(now=now)["keys"]
    public_key = ECKey.import_key(dict(jwk)).public_key
    header, payload, signature = access_tokens[0].split(".")
    pair = base64url.decode(signature)
    der = encode_dss_signature(int.from_bytes(pair[:32], "big"), int.from_bytes(pair[32:], "big"))
    signed, algorithm = f"{header}.{payload}".encode(), ec.ECDSA(SHA256())
    return {
        "verifying a token, without its session": lambda number: verify(access_tokens[number], now=now),
        "the ECDSA operation of that": lambda _: public_key.verify(der, signed, algorithm),
    }


def _forwarded(key: str) -> dict[str, Any]:
    return _scope(key) | {"path": f"{BASE}/forward-auth"}


def _introspected(key: str, asker: str) -> tuple[dict[str, Any], bytes]:
    body = f"token={key}".encode()
    scope = _scope(asker)
    scope["headers"] += [
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"content-length", str(len(body)).encode()),
    ]
    return scope | {"method": "POST", "path": f"{BASE}/introspect"}, body


def _scope(key: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "headers": [*_HEADERS, (b"authorization", b"Bearer " + key.encode())],
    }


def _each(begun: float) -> float:
    return (time.perf_counter() - begun) / _TIMES * 1e6


def _api_of(auth: Auth) -> Callable[..., Awaitable[None]]:
    """Return the API at its base path, as a server calls it."""

    async def api(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await auth.app(scope, receive, send)

    return api


async def _each_of(
    app: Callable[..., Awaitable[None]], requests: list[tuple[dict[str, Any], bytes]], *, cold: bool = False
) -> float:
    source, target = _OTHER_WORK
    seconds = 0.0
    for scope, body in requests:
        if cold:
            target[:] = source

        async def receive(body: bytes = body) -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        begun = time.perf_counter()
        await app(dict(scope), receive, _send)
        seconds += time.perf_counter() - begun
    return seconds / len(requests) * 1e6


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Any) -> None:
    """Take the answer."""
