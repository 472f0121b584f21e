"""API keys and access tokens: the CPU time of one request, as a multiple of a raw ASGI hello in the same round."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import data, lookup_rows, peers
from benchmarks.measure import HELLO, OURS, Row, Series, in_rounds
from benchmarks.subjects import Subject, granian, running
from czo_auth import Auth
from czo_auth.core.sessions.session import Session
from tests.support.postgres import PostgresServer
from tests.support.records import a_session

UNIT = "x hello"
UNCACHED, REMEMBERED = "API key, uncached", "API key, remembered"
FIRST_SIGHT, SEEN = "JWT, first sight", "JWT, seen before"
COMPUTES_MICROSECONDS = 25
"""About what an uncached key takes in a loop."""
READ_AGAIN_SECONDS = 5
"""On PostgreSQL: how long a remembered key is remembered."""
COMPUTING = f"hello after {COMPUTES_MICROSECONDS} µs of Python"
GROWTH = "API key, uncached: most keys against fewest"
_AS_FEW_IN_USE = "as few in use"
_PEERS = {
    "FastAPI + SQLAlchemy ORM": "one joined read; no second factor, no use noted",
    "better-auth": "Node; one read and one write of updatedAt; owner, ban and second factor not asked; no rate limit",
    "better-auth-server": "one read and one write of updatedAt through SQLAlchemy; owner not asked; no rate limit",
    "crudauth": "HS256, no session to revoke; the user's row through the ORM",
    "Node hello": "node:http that answers nobody in particular",
}
_NOTES = _PEERS | {
    COMPUTING: "what it costs beyond hello and its 25 µs is the server's and the kernel's",
}


@dataclass(frozen=True)
class Plan:
    """The size of the measurement."""

    rounds: int
    seconds: float
    sizes: tuple[int, ...]
    with_peers: bool


@dataclass(frozen=True)
class Loaded:
    """
    A database with many keys.

    Attributes:
        busy: Few of its keys, which return often enough to be remembered.
    """

    url: str
    keys: int
    tokens: Path
    busy: Path
    postgres: PostgresServer | None

    @property
    def database(self) -> str:
        return "sqlite" if self.postgres is None else "postgresql"


@contextmanager
def loaded(keys: int, directory: Path, postgres: PostgresServer | None) -> Iterator[Loaded]:
    """Make a database of ours with *keys* keys."""
    if postgres is None:
        url = f"sqlite:///{directory / f'ours-{keys}.sqlite3'}"
    else:
        url = postgres.url(postgres.create_database())
    asyncio.run(_migrate(url))
    tables = data.our_tables(keys, sessions=data.SAMPLE, now=data.now())
    if postgres is None:
        data.fill_sqlite(Path(url.removeprefix("sqlite:///")), tables)
    else:
        data.fill_postgres(url, tables)
    sample = [data.api_key(number) for number in data.sampled(keys)]
    yield Loaded(
        url=url,
        keys=keys,
        tokens=data.write_lines(directory / f"keys-{keys}.txt", sample),
        busy=data.write_lines(directory / f"busy-{keys}.txt", sample[: data.BUSY]),
        postgres=postgres,
    )


async def _migrate(url: str) -> None:
    auth = Auth(data.settings(url))
    await auth.open()
    await auth.stop()


def ours(name: str, base: Loaded, tokens: Path, **env: str) -> Subject:
    """Serve the middleware on a database."""
    return Subject(
        name,
        granian("benchmarks.hosts.ours:app"),
        env=data.environment(base.url, **env),
        tokens=tokens,
        postgres=base.postgres,
    )


def forgetful() -> dict[str, str]:
    """Disable the credential cache."""
    return {"CZO_AUTH_REMEMBERED_CREDENTIALS": "0"}


def remembering(base: Loaded) -> dict[str, str]:
    """Enable the cache where it is off by default."""
    return {} if base.postgres is None else {"CZO_AUTH_CACHE_SECONDS": str(READ_AGAIN_SECONDS)}


def hello() -> Subject:
    """Serve the baseline of all measurements."""
    return Subject(HELLO, granian("benchmarks.hosts.hello:app"))


def _computing() -> Subject:
    """Serve hello after as much Python as a lookup takes: it shows what that costs in a server."""
    env = {"BENCH_COMPUTES_MICROSECONDS": str(COMPUTES_MICROSECONDS)}
    return Subject(COMPUTING, granian("benchmarks.hosts.hello:computing_app"), env=env)


def api_key_rows(plan: Plan, directory: Path, postgres: PostgresServer | None) -> list[Row]:
    """Measure API keys on one kind of database, from few to many."""
    bases = []
    for size in plan.sizes:
        with loaded(size, directory, postgres) as base:
            bases.append(base)
    most = bases[-1]
    subjects = [hello(), _computing()]
    subjects += [ours(f"{UNCACHED} {base.keys}", base, base.tokens, **forgetful()) for base in bases]
    # The smallest database has fewer keys than are in use in the others.
    in_use = most.tokens.read_text().split()[: bases[0].keys]
    few = data.write_lines(directory / "few.txt", in_use)
    subjects.append(ours(_AS_FEW_IN_USE, most, few, **forgetful()))
    subjects.append(ours(REMEMBERED, most, most.busy, **remembering(most)))
    if plan.with_peers:
        subjects += _key_peers(most, directory)
    with running(subjects, directory) as up:
        series = in_rounds(up, rounds=plan.rounds, seconds=plan.seconds, watched=postgres)
    rows = [_row("hello", name, series[name], series, most, None) for name in (HELLO, COMPUTING)]
    for base in bases:
        target = (2.5 if postgres is None else 4.5) if base is most else None
        rows.append(_row(UNCACHED, OURS, series[f"{UNCACHED} {base.keys}"], series, base, target))
    rows.append(_row(REMEMBERED, OURS, series[REMEMBERED], series, most, 1.25))
    fewest = series[f"{UNCACHED} {bases[0].keys}"]
    rows += [
        Row(
            operation=operation,
            subject=OURS,
            database=most.database,
            keys=most.keys,
            value=found.ratio_to(fewest),
            unit="x",
            target=target,
        )
        for operation, found, target in (
            (GROWTH, series[f"{UNCACHED} {most.keys}"], 1.2),
            (f"{GROWTH}, {len(in_use):,} in use in both", series[_AS_FEW_IN_USE], None),
        )
    ]
    fewest_and_most = {base: series[f"{UNCACHED} {base.keys}"] for base in (bases[0], most)}
    rows += lookup_rows.rows(fewest_and_most, rounds=plan.rounds)
    if postgres is not None:
        # The figures contain it: among others, what the servers under earlier load store of its uses.
        for what, name in (("hello is asked", HELLO), ("keys are remembered", REMEMBERED)):
            busy = statistics.median(series[name].database)
            operation = f"CPU time of the database, while {what}"
            rows.append(
                Row(operation=operation, subject=OURS, database=most.database, value=busy, unit="ms/s")
            )
    rows += [
        _row(UNCACHED, name, series[name], series, most, None)
        for name in _NOTES
        if name in series and name != COMPUTING
    ]
    return rows


def token_rows(plan: Plan, directory: Path) -> list[Row]:
    """Measure access tokens."""
    with loaded(plan.sizes[0], directory, None) as base:
        tokens_file, busy_file, public_key = asyncio.run(sign_tokens(base, directory))
    subjects = [
        hello(),
        ours(FIRST_SIGHT, base, tokens_file, **forgetful()),
        ours(SEEN, base, busy_file),
    ]
    interpreter = peers.python() if plan.with_peers else None
    if interpreter is not None:
        subjects += [
            Subject(
                "FastAPI + SQLAlchemy ORM",
                granian("benchmarks.hosts.conventional:app", python=interpreter),
                env={
                    "BENCH_DATABASE_URL": _sqlalchemy_url(base),
                    "BENCH_PUBLIC_KEY": public_key,
                    "BENCH_ISSUER": data.ISSUER,
                },
                tokens=tokens_file,
                path="/token",
                is_peer=True,
            ),
            Subject(
                "crudauth",
                granian("benchmarks.hosts.crudauth_bearer:app", python=interpreter),
                env={
                    "BENCH_DATABASE_URL": f"sqlite+aiosqlite:///{directory / 'crudauth.sqlite3'}",
                    "BENCH_TOKENS": str(directory / "crudauth.txt"),
                },
                tokens=directory / "crudauth.txt",
                is_peer=True,
            ),
        ]
    with running(subjects, directory) as up:
        series = in_rounds(up, rounds=plan.rounds, seconds=plan.seconds)
    rows = [
        _row(FIRST_SIGHT, OURS, series[FIRST_SIGHT], series, base, 6),
        _row(SEEN, OURS, series[SEEN], series, base, 1.25),
    ]
    rows += [
        _row(FIRST_SIGHT, name, series[name], series, base, None)
        for name in _NOTES
        if name in series and name != COMPUTING
    ]
    return rows


async def sign_tokens(base: Loaded, directory: Path) -> tuple[Path, Path, str]:
    """Sign an access token for each session in the database; gives all, a busy few, and the public key as PEM."""
    auth = Auth(data.settings(base.url))
    await auth.open()
    try:
        sign, now = auth.services.access_tokens.sign, auth.now()
        connection = sqlite3.connect(base.url.removeprefix("sqlite:///"))
        found = connection.execute("SELECT id, user_id FROM czo_auth_sessions").fetchall()
        connection.close()
        lines = [sign(session_of(row[0], row[1], auth), restricted=False, now=now) for row in found]
        busy = data.write_lines(directory / "busy-tokens.txt", lines[: data.BUSY])
        return data.write_lines(directory / "tokens.txt", lines), busy, _public_pem(auth)
    finally:
        await auth.stop()


def session_of(session_id: str, user_id: str, auth: Auth) -> Session:
    """Make the session of a user who signed in with a password a moment ago."""
    now = auth.now()
    return a_session(
        user_id,
        now=now,
        id=session_id,
        aal=1,
        amr=("pwd",),
        auth_time=now,
        factor_proved_at=None,
        ip=None,
        user_agent=None,
        expires_at=now + auth.settings.policies().sessions.lifetime,
    )


def _public_pem(auth: Auth) -> str:
    from joserfc.jwk import ECKey

    (key,) = auth.services.access_tokens.jwks(now=auth.now())["keys"]
    return ECKey.import_key(dict(key)).as_pem(private=False).decode()


def _key_peers(base: Loaded, directory: Path) -> list[Subject]:
    subjects = []
    interpreter, node = peers.python(), peers.node()
    kind = base.database
    if interpreter is not None:
        subjects.append(
            Subject(
                "FastAPI + SQLAlchemy ORM",
                granian("benchmarks.hosts.conventional:app", python=interpreter),
                env={"BENCH_DATABASE_URL": _sqlalchemy_url(base)},
                tokens=base.tokens,
                postgres=base.postgres,
                is_peer=True,
            )
        )
        url = _peer_database(f"{kind}-better-auth-server", directory, base.postgres)
        subject = Subject(
            "better-auth-server",
            granian("benchmarks.hosts.better_auth_server:app", python=interpreter),
            env={
                "BENCH_DATABASE_URL": _with_driver(url),
                "BENCH_POOL": "1" if base.postgres is None else "8",
            },
            tokens=base.tokens,
            postgres=base.postgres,
            is_peer=True,
        )
        subjects += _filled(subject, url, base, directory, python=True)
    if node is not None:
        url = _peer_database(f"{kind}-better-auth", directory, base.postgres)
        subject = Subject(
            "better-auth",
            [peers.node_program(), str(node / "better_auth.mjs")],
            env={"BENCH_DATABASE_URL": url.removeprefix("sqlite:///"), "NODE_ENV": "production"},
            tokens=base.tokens,
            postgres=base.postgres,
            is_peer=True,
        )
        subjects += _filled(subject, url, base, directory, python=False)
        subjects.append(Subject("Node hello", [peers.node_program(), str(node / "hello.mjs")]))
    return subjects


def _filled(subject: Subject, url: str, base: Loaded, directory: Path, *, python: bool) -> list[Subject]:
    """Let a peer create its tables, then write as many keys as ours has; a peer that does not start is left out."""
    with running([subject], directory) as up:
        if not up:
            return []
    tables = data.better_auth_tables(
        base.keys, postgres=base.postgres is not None, python=python, now=data.now()
    )
    if base.postgres is None:
        data.fill_sqlite(Path(url.removeprefix("sqlite:///")), tables)
    else:
        data.fill_postgres(url, tables)
    return [subject]


def _peer_database(name: str, directory: Path, postgres: PostgresServer | None) -> str:
    if postgres is None:
        return f"sqlite:///{directory / f'{name}.sqlite3'}"
    return postgres.url(postgres.create_database())


def _with_driver(url: str) -> str:
    return url.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")


def _sqlalchemy_url(base: Loaded) -> str:
    return _with_driver(base.url)


def _row(
    operation: str, subject: str, found: Series, series: dict[str, Series], base: Loaded, target: float | None
) -> Row:
    is_hello = subject in (HELLO, COMPUTING, "Node hello")
    return Row(
        operation="hello" if is_hello else operation,
        subject=subject,
        database=None if is_hello else base.database,
        keys=None if is_hello else base.keys,
        cpu_us=found.cpu,
        rps=found.rate,
        value=found.ratio_to(series[HELLO]),
        unit=UNIT,
        target=target,
        note=_NOTES.get(subject),
    )
