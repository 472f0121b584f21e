"""Checks of the database: availability, schema revision, durability and clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from czo_auth.doctor.finding import Check, Finding
from czo_auth.settings import Settings
from czo_auth.storage.facts import DatabaseFacts, remote_hosts, ssl_mode

DATABASE: Final = Check("database", "All state is stored there. Without it, requests are refused with 503.")
MIGRATIONS: Final = Check("migrations", "The tables must match the version of the program.")
DURABILITY: Final = Check(
    "durability",
    "A used backup code must not become valid again after a power failure.",
    ("6.5.1",),
)
DATABASE_TLS: Final = Check(
    "database-tls",
    "Traffic to the database contains hashes, encrypted secrets and addresses.",
    ("12.3.1", "12.3.2"),
)
WORKERS: Final = Check("workers", "All server processes must share one database.")
CLOCK: Final = Check(
    "clock",
    "Codes depend on the time: with a wrong clock, correct codes are refused and expiries shift.",
    ("6.5.8", "16.2.2"),
)
USER_SEARCH: Final = Check(
    "user-search",
    "Without an index, each search of users by a text reads every user: seconds where there are many.",
)
CHECKS: Final = (DATABASE, MIGRATIONS, DURABILITY, DATABASE_TLS, WORKERS, USER_SEARCH, CLOCK)

_ALLOWED_DRIFT: Final = timedelta(seconds=15)
_SLOW: Final = timedelta(milliseconds=50)
_LEAST_SQLITE: Final = (3, 35)
"""The first with RETURNING. Source: SQLite's release notes for 3.35.0."""
_LEAST_POSTGRESQL: Final = 14
"""Older ones get no more fixes. Source: PostgreSQL's versioning policy."""
_VERIFYING: Final = ("verify-ca", "verify-full")


def unreachable(why: str) -> Iterator[Finding]:
    """Report once that the database does not answer; *why* contains no secret."""
    yield from _without(why, "Start it, or correct CZO_AUTH_DATABASE_URL.", "the database does not answer")


def wrong_address(why: str) -> Iterator[Finding]:
    """Report once that the database cannot be asked; *why* names what is wrong, and contains no secret."""
    yield from _without(why, "Correct what is named.", "there is no address to ask")


def _without(why: str, remedy: str, consequence: str) -> Iterator[Finding]:
    yield DATABASE.fail(why, f"{remedy} Other checks need it.")
    for check in (MIGRATIONS, DURABILITY, DATABASE_TLS, USER_SEARCH, CLOCK):
        yield check.unknown(consequence)


def not_there_yet(path: str) -> Iterator[Finding]:
    """Report that there is no deployment yet."""
    yield DATABASE.unknown(f"there is no {path} yet", "Run `czo-auth serve`, or `czo-auth migrate`.")
    for check in (MIGRATIONS, DURABILITY, USER_SEARCH, CLOCK):
        yield check.unknown("there is no database yet")


def check_database(
    settings: Settings, facts: DatabaseFacts, *, revision: str | None, head: str, may_run: bool
) -> Iterator[Finding]:
    """
    Evaluate what the database reports about itself.

    Args:
        revision: Of its tables; None when there are none.
        head: The revision of this program.
        may_run: Whether this program may run on the tables as they are.
    """
    yield _product(facts)
    yield _migrations(revision, head, may_run=may_run)
    yield _durability(facts)
    if facts.product == "PostgreSQL":
        yield _tls(settings, facts)
    yield _workers(settings)


def _product(facts: DatabaseFacts) -> Finding:
    version = ".".join(map(str, facts.version))
    milliseconds = facts.round_trip / timedelta(milliseconds=1)
    found = f"{facts.product} {version}, answers in {milliseconds:.1f} ms"
    if not facts.writable:
        return DATABASE.fail(
            f"{found}, not writable", "Check for a full disk, a lock, or a read-only replica."
        )
    if facts.product == "SQLite" and facts.version < _LEAST_SQLITE:
        return DATABASE.fail(found, "Use a Python with SQLite 3.35 or later.")
    if facts.product == "PostgreSQL" and facts.version[0] < _LEAST_POSTGRESQL:
        return DATABASE.warn(found, f"PostgreSQL below {_LEAST_POSTGRESQL} gets no more fixes. Upgrade it.")
    if facts.round_trip > _SLOW:
        return DATABASE.warn(found, "Move the database closer: a sign-in sends several queries.")
    return DATABASE.ok(found)


def _migrations(revision: str | None, head: str, *, may_run: bool) -> Finding:
    if revision == head:
        return MIGRATIONS.ok(f"at {head}")
    if revision is None:
        return MIGRATIONS.fail("no migration has run", "Run `czo-auth migrate`.")
    if revision < head:
        return MIGRATIONS.fail(f"at {revision}, this program needs {head}", "Run `czo-auth migrate`.")
    if may_run:
        return MIGRATIONS.ok(f"at {revision}, compatible with this version ({head})")
    return MIGRATIONS.fail(
        f"at {revision}, ahead of this program's {head}", "Run the newer version, or restore a backup."
    )


def _durability(facts: DatabaseFacts) -> Finding:
    found = ", ".join(f"{name} {value}" for name, value in facts.durability.items())
    if facts.product == "SQLite":
        if facts.durability["journal_mode"] != "wal":
            return DURABILITY.warn(found, "Start the server: each start turns the write-ahead log on.")
        if "synchronous" not in facts.durability:
            return DURABILITY.unknown(f"{found}; it is not writable at present")
        return DURABILITY.ok(found)
    careless = [name for name, value in facts.durability.items() if value == "off"]
    if careless:
        return DURABILITY.fail(found, f"Turn {', '.join(careless)} on for this database.")
    return DURABILITY.ok(found)


def _tls(settings: Settings, facts: DatabaseFacts) -> Finding:
    remote = remote_hosts(settings.storage_url)
    if not remote:
        return DATABASE_TLS.ok("on this machine")
    mode = ssl_mode(settings.storage_url)
    found = f"{', '.join(remote)}, sslmode={mode}, {'encrypted' if facts.encrypted else 'not encrypted'}"
    advice = "Add `?sslmode=verify-full` to CZO_AUTH_DATABASE_URL, and `sslrootcert` for your own CA."
    if not facts.encrypted:
        return DATABASE_TLS.fail(found, advice)
    if mode not in _VERIFYING:
        return DATABASE_TLS.warn(f"{found}, but the server's identity is not verified", advice)
    return DATABASE_TLS.ok(found)


def _workers(settings: Settings) -> Finding:
    if settings.workers == 1:
        return WORKERS.ok("one")
    if settings.storage_url.startswith("sqlite:"):
        return WORKERS.ok(f"{settings.workers} share one file; this is safe on a local disk only")
    return WORKERS.ok(f"{settings.workers}")


def check_user_search(facts: DatabaseFacts, *, has_index: bool) -> Finding:
    """Evaluate whether a search of users has an index."""
    if has_index:
        return USER_SEARCH.ok("by an index")
    if facts.product == "SQLite":
        advice = "Use a Python whose SQLite is 3.34 or later and has FTS5; then run `czo-auth migrate`."
    else:
        advice = "Let an administrator of the database run `CREATE EXTENSION pg_trgm`; then run `czo-auth migrate`."
    return USER_SEARCH.warn("reads every user", advice)


def check_clock(facts: DatabaseFacts, *, ahead_of_record: timedelta | None) -> Finding:
    """
    Compare clocks.

    Args:
        ahead_of_record: How far this machine's clock is beyond the newest audit record; None when there is none.
    """
    advice = "Synchronize the clocks of all machines with NTP (chrony, systemd-timesyncd)."
    if ahead_of_record is not None and -ahead_of_record > _ALLOWED_DRIFT:
        behind = f"{-ahead_of_record / timedelta(seconds=1):.0f} s"
        return CLOCK.fail(f"the newest audit record is {behind} in the future", advice)
    if facts.clock_ahead is None:
        return CLOCK.ok("one machine, one clock; only NTP can tell whether it is correct")
    seconds = facts.clock_ahead / timedelta(seconds=1)
    # The duration of the query cannot be distinguished from drift.
    found = f"the database's clock is {abs(seconds):.1f} s {'ahead' if seconds > 0 else 'behind'}"
    if abs(facts.clock_ahead) > _ALLOWED_DRIFT:
        return CLOCK.fail(found, advice)
    return CLOCK.ok(found)
