"""Why a lookup costs more among many keys: its query alone, the pages that it reads, and whose CPU time it is."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg

from benchmarks.measure import OURS, Row, Series
from czo_auth.crypto import tokens
from czo_auth.storage.lookup_sql import LookupSql, lookup_sql
from czo_auth.storage.sqlite_file import connect_to_read

if TYPE_CHECKING:
    from benchmarks.credentials_rows import Loaded

_PREFIX: Final = "czo_auth_"
_TIMES: Final = 5_000
_EXPLAINED: Final = 200
_LARGE_CACHE: Final = "PRAGMA cache_size = -400000"
"""More than the pages of 5,000 lookups; SQLite's own cache has 2 MB."""


def rows(bases: Mapping[Loaded, Series], *, rounds: int) -> Iterator[Row]:
    """
    Measure the database with the fewest and the one with the most keys.

    Args:
        bases: With what a server measured on each.
    """
    for base, series in bases.items():
        if base.postgres is None:
            yield from _in_sqlite(base, rounds=rounds)
        else:
            yield from _in_postgresql(base, series)


def _in_sqlite(base: Loaded, *, rounds: int) -> Iterator[Row]:
    path = base.url.removeprefix("sqlite:///")
    digests = _digests(base.tokens)
    for cache, pragma in (("", None), (", all its pages in SQLite's cache", _LARGE_CACHE)):
        with closing(connect_to_read(path, timeout=1)) as connection:
            if pragma is not None:
                connection.execute(pragma)
            seconds, reads = zip(*(_asked(connection, digests) for _ in range(rounds + 1)), strict=True)
        yield _row(f"in a loop: the query{cache}", base, min(seconds[1:]) / len(digests) * 1e6, "µs")
        if sys.platform == "linux" and pragma is None:
            pages = statistics.median(reads[1:]) / len(digests)
            yield _row("pages that SQLite reads from the system for it", base, pages, "pages")


def _asked(connection: sqlite3.Connection, digests: list[str]) -> tuple[float, int]:
    """Look all up; return the seconds and the reading system calls that it took."""
    cursor, sql = connection.cursor(), _sql("?").api_key
    before, begun = _reading_calls(), time.perf_counter()
    for digest in digests:
        cursor.execute(sql, (digest,)).fetchall()
    return time.perf_counter() - begun, _reading_calls() - before


def _reading_calls() -> int:
    if sys.platform != "linux":
        return 0
    counts = dict(line.split(": ") for line in Path("/proc/thread-self/io").read_text().splitlines())
    return int(counts["syscr"])


def _in_postgresql(base: Loaded, series: Series) -> Iterator[Row]:
    yield _row(
        "CPU time of the server for an uncached key",
        base,
        statistics.median(series.server_us),
        "µs a request",
    )
    yield _row(
        "CPU time of the database for an uncached key",
        base,
        statistics.median(series.database_us),
        "µs a request",
    )
    blocks, depth = asyncio.run(_blocks(base))
    yield _row("blocks that a lookup touches in the database", base, blocks, "blocks")
    yield _row("of them, not in its shared buffers", base, depth, "blocks")


async def _blocks(base: Loaded) -> tuple[float, float]:
    connection = await asyncpg.connect(base.url)
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {_sql('ANY($1)').api_key}"
    touched, read = [], []
    try:
        for digest in _digests(base.tokens)[:_EXPLAINED]:
            (plan,) = json.loads(await connection.fetchval(explain, [digest]))
            root = plan["Plan"]
            touched.append(root["Shared Hit Blocks"] + root["Shared Read Blocks"])
            read.append(root["Shared Read Blocks"])
    finally:
        await connection.close()
    return statistics.mean(touched), statistics.mean(read)


def _digests(file: Path) -> list[str]:
    """Return the digests of as many lookups, in an order in which none prepares the next."""
    digests = [tokens.digest(key) for key in file.read_text().split()]
    return random.Random(0).choices(digests, k=_TIMES)


def _sql(placeholder: str) -> LookupSql:
    return lookup_sql(_PREFIX, placeholder=placeholder)


def _row(operation: str, base: Loaded, value: float, unit: str) -> Row:
    return Row(
        operation=operation, subject=OURS, database=base.database, keys=base.keys, value=value, unit=unit
    )
