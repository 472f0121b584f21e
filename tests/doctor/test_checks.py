"""Each check by itself: what it is shown, and what it says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from czo_auth.core.actors import ADMIN, CUSTOMER, ActorRegistry, ActorType
from czo_auth.core.events.outbox import OutboxState, SinkState
from czo_auth.core.flows.administration.coverage import Coverage
from czo_auth.core.flows.administration.overview import AuditTail, DeploymentOverview
from czo_auth.core.organizations.two_factor import OrganizationDue
from czo_auth.core.two_factor.factor import RenewalCounts
from czo_auth.core.users.actor_type_deadlines import DueCounts
from czo_auth.core.users.store import UserCounts
from czo_auth.crypto.sealing import KeyRing, new_key_text
from czo_auth.doctor import data, database, network, rules, secrets_at_rest
from czo_auth.doctor import environment as environment_module
from czo_auth.doctor.examination import CHECKS, examine
from czo_auth.doctor.finding import Check, Finding, State, grades, worst
from czo_auth.settings import Settings
from czo_auth.storage.facts import DatabaseFacts, remote_hosts, ssl_mode

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ROOT = Path(__file__).parents[2]


def found(findings: Iterable[Finding], check: Check) -> Finding:
    (one,) = [finding for finding in findings if finding.id == check.id]
    return one


def test_checks_have_distinct_ids_and_say_why() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.meaning.endswith(".")
        assert all(re.fullmatch(r"[0-9]{1,2}\.[0-9]\.[0-9]{1,2}", item) for item in check.asvs)


@pytest.mark.parametrize(
    ("chosen", "check", "state"),
    [
        ({}, network.ENVIRONMENT, "warn"),
        ({"environment": "production"}, network.ENVIRONMENT, "ok"),
        ({}, network.OPEN_DOCS, "ok"),
        ({"environment": "production"}, network.OPEN_DOCS, "ok"),
        ({"environment": "production", "api_docs": True}, network.OPEN_DOCS, "warn"),
        ({"environment": "production", "graphql_introspection": True}, network.OPEN_DOCS, "warn"),
        ({}, network.METRICS, "ok"),
        ({"metrics_enabled": True}, network.METRICS, "ok"),
        ({"metrics_enabled": True, "host": "0.0.0.0"}, network.METRICS, "warn"),
        ({"base_url": "https://auth.example.com"}, network.HTTPS, "ok"),
        ({}, network.HTTPS, "warn"),
        ({"environment": "production"}, network.HTTPS, "fail"),
        ({"base_url": "http://auth.example.com"}, network.HTTPS, "fail"),
        ({"base_url": "https://auth.example.com"}, network.COOKIES, "ok"),
        ({}, network.COOKIES, "warn"),
        ({"base_url": "http://auth.example.com"}, network.COOKIES, "fail"),
        ({}, network.ORIGINS, "ok"),
        ({"trusted_origins": "https://shop.example"}, network.ORIGINS, "ok"),
        ({"trusted_origins": "http://localhost:3000"}, network.ORIGINS, "ok"),
        ({"trusted_origins": "http://shop.example"}, network.ORIGINS, "warn"),
        ({"trusted_origins": "https://*.shop.example"}, network.ORIGINS, "warn"),
        ({"trusted_origins": "http://*.localhost:3000"}, network.ORIGINS, "warn"),
        ({"trusted_origins": "https://*shop.co.example"}, network.ORIGINS, "fail"),
        ({"trusted_origins": "chrome-extension://*"}, network.ORIGINS, "fail"),
        ({}, network.PROXIES, "ok"),
        ({"base_url": "https://auth.example.com"}, network.PROXIES, "warn"),
        ({"trusted_proxies": "10.0.0.7"}, network.PROXIES, "ok"),
        ({"trusted_proxies": "10.0.0.0/8,fd00::/16"}, network.PROXIES, "ok"),
        ({"trusted_proxies": "8.0.0.0/5"}, network.PROXIES, "warn"),
        ({"trusted_proxies": "0.0.0.0/0"}, network.PROXIES, "fail"),
        ({"trusted_proxies": "10.0.0.7,::/0"}, network.PROXIES, "fail"),
        ({"pages_enabled": True}, network.PAGES, "ok"),
    ],
)
def test_network(chosen: dict[str, Any], check: Check, state: State) -> None:
    assert found(network.check_network(Settings(**chosen)), check).state == state


@pytest.mark.parametrize(
    ("chosen", "check", "state"),
    [
        ({}, rules.COMMON_PASSWORDS, "ok"),
        ({"refuse_common_passwords": False}, rules.COMMON_PASSWORDS, "fail"),
        ({}, rules.BREACHED_PASSWORDS, "warn"),
        ({"pwned_passwords_url": "https://api.pwnedpasswords.com"}, rules.BREACHED_PASSWORDS, "ok"),
        ({"totp_drift": 0}, rules.CODES, "ok"),
        ({}, rules.CODES, "ok"),
        ({"totp_drift": 2}, rules.CODES, "warn"),
        ({}, rules.DEVICES, "ok"),
        ({"trust_mandatory_devices": True}, rules.DEVICES, "warn"),
        ({}, rules.SESSIONS, "ok"),
        ({"session_days": 31}, rules.SESSIONS, "warn"),
        ({}, rules.TOKENS, "ok"),
        ({"access_token_minutes": 60}, rules.TOKENS, "warn"),
        ({}, rules.CACHE, "ok"),
        ({"cache_seconds": 60}, rules.CACHE, "ok"),
        ({"cache_seconds": 2, "database_url": "postgresql://db/x"}, rules.CACHE, "ok"),
        ({"cache_seconds": 60, "database_url": "postgresql://db/x"}, rules.CACHE, "warn"),
    ],
)
def test_rules(chosen: dict[str, Any], check: Check, state: State) -> None:
    assert found(rules.check_rules(Settings(**chosen)), check).state == state


def test_bound_of_the_memory_is_printed() -> None:
    on_postgres = Settings(database_url="postgresql://db/x", cache_seconds=2.5)
    assert found(rules.check_rules(on_postgres), rules.CACHE).found.startswith("2.5 s at most")
    assert found(rules.check_rules(Settings()), rules.CACHE).found.startswith("0 s")


@pytest.mark.parametrize(
    ("chosen", "state"),
    [
        ({}, "ok"),
        ({"workers": 4}, "warn"),
        ({"rate_limit_enabled": False}, "warn"),
        ({"rate_limit_enabled": False, "environment": "production"}, "fail"),
        ({"rate_limit_url": "redis://:hidden@127.0.0.1:1/0"}, "fail"),
    ],
)
async def test_limits(chosen: dict[str, Any], state: State) -> None:
    finding = await rules.check_limits(Settings(**chosen))
    assert finding.state == state
    assert "hidden" not in repr(finding)


# --- secrets ---------------------------------------------------------------------------------------------------------
def test_key_file_beside_the_database_is_for_development(tmp_path: Path) -> None:
    file = tmp_path / "encryption.key"
    file.write_text(new_key_text())
    file.chmod(0o600)
    for environment, state in (("development", "ok"), ("production", "warn")):
        settings = Settings(data_dir=tmp_path, environment=environment)  # type: ignore[arg-type]
        completed = secrets_at_rest.with_key_of_file(settings)
        findings = list(secrets_at_rest.check_secrets(settings, completed))
        assert found(findings, secrets_at_rest.KEY).state == "ok"
        assert found(findings, secrets_at_rest.KEY_PLACE).state == state
        assert found(findings, secrets_at_rest.FILES).state == "ok"
        assert file.read_text().partition(":")[2] not in repr(findings)


@pytest.mark.parametrize("name", ["encryption.key", "czo-auth.db", "czo-auth.db-wal"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_file_that_others_may_use_is_a_fault(tmp_path: Path, name: str, mode: int) -> None:
    (tmp_path / name).write_text("k1:text")
    (tmp_path / name).chmod(mode)
    settings = Settings(data_dir=tmp_path)
    finding = found(secrets_at_rest.check_secrets(settings, settings), secrets_at_rest.FILES)
    assert finding.state == "fail"
    assert finding.advice is not None
    assert finding.advice.startswith("chmod 600")


@pytest.mark.parametrize(
    ("chosen", "state"),
    [
        ({}, "unknown"),
        ({"environment": "production"}, "fail"),
        ({"encryption_key": "k1:short"}, "fail"),
        ({"encryption_key": new_key_text()}, "ok"),
        ({"database_url": "postgresql://db/x"}, "fail"),
    ],
)
def test_key(tmp_path: Path, chosen: dict[str, Any], state: State) -> None:
    if "encryption_key" in chosen:
        chosen = chosen | {"encryption_key": SecretStr(chosen["encryption_key"])}
    settings = Settings(data_dir=tmp_path, **chosen)
    assert found(secrets_at_rest.check_secrets(settings, settings), secrets_at_rest.KEY).state == state


def test_sealed_rows_are_held_against_the_ring() -> None:
    ring = KeyRing.parse(f"{new_key_text('new')},{new_key_text('old')}")
    values = {kid: ring.check_value(kid) for kid in ring.kids}

    def state(check_values: dict[str, str], sealed: dict[str, int], which: KeyRing | None = ring) -> State:
        return secrets_at_rest.check_sealed(which, check_values=check_values, sealed=sealed).state

    assert state({}, {}) == "ok"
    assert state(values, {"new": 3}) == "ok"
    assert state(values, {"new": 3, "old": 1}) == "warn"
    assert state(values, {"new": 3, "gone": 1}) == "fail"
    assert state(values | {"new": "another"}, {"new": 3}) == "fail"
    assert state(values, {"new": 3}, None) == "unknown"


# --- database --------------------------------------------------------------------------------------------------------
SQLITE = DatabaseFacts(
    product="SQLite",
    version=(3, 45, 1),
    round_trip=timedelta(microseconds=40),
    clock_ahead=None,
    writable=True,
    durability={"journal_mode": "wal", "synchronous": "FULL"},
    encrypted=None,
)
POSTGRES = DatabaseFacts(
    product="PostgreSQL",
    version=(18, 1),
    round_trip=timedelta(milliseconds=1),
    clock_ahead=timedelta(seconds=0.2),
    writable=True,
    durability={"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"},
    encrypted=False,
)
REMOTE = "postgresql://u:hidden@db.example/x"


@pytest.mark.parametrize(
    ("facts", "check", "state"),
    [
        (SQLITE, database.DATABASE, "ok"),
        (replace(SQLITE, version=(3, 34, 0)), database.DATABASE, "fail"),
        (replace(SQLITE, writable=False), database.DATABASE, "fail"),
        (SQLITE, database.DURABILITY, "ok"),
        (replace(SQLITE, durability={"journal_mode": "delete"}), database.DURABILITY, "warn"),
        (replace(SQLITE, durability={"journal_mode": "wal"}), database.DURABILITY, "unknown"),
        (POSTGRES, database.DATABASE, "ok"),
        (replace(POSTGRES, version=(13, 22)), database.DATABASE, "warn"),
        (replace(POSTGRES, round_trip=timedelta(milliseconds=80)), database.DATABASE, "warn"),
        (POSTGRES, database.DURABILITY, "ok"),
        (
            replace(POSTGRES, durability=dict(POSTGRES.durability) | {"synchronous_commit": "off"}),
            database.DURABILITY,
            "fail",
        ),
        (POSTGRES, database.DATABASE_TLS, "fail"),
        (replace(POSTGRES, encrypted=True), database.DATABASE_TLS, "warn"),
    ],
)
def test_database(facts: DatabaseFacts, check: Check, state: State) -> None:
    settings = Settings(database_url=REMOTE)
    findings = list(database.check_database(settings, facts, revision="7", head="7", may_run=True))
    assert found(findings, check).state == state
    assert "hidden" not in repr(findings)


def test_connection_is_verified_or_local() -> None:
    def state(url: str) -> State:
        facts = replace(POSTGRES, encrypted=True)
        settings = Settings(database_url=url)
        findings = database.check_database(settings, facts, revision="7", head="7", may_run=True)
        return found(findings, database.DATABASE_TLS).state

    assert state(f"{REMOTE}?sslmode=require") == "warn"
    assert state(f"{REMOTE}?sslmode=verify-full") == "ok"
    assert state("postgresql://u@localhost/x") == "ok"


@pytest.mark.parametrize("query", ["", "?sslmode=sometimes"])
async def test_setting_of_the_database_that_cannot_be_obeyed_is_named(
    query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "sometimes")
    settings = Settings(data_dir=tmp_path, database_url=f"{REMOTE}{query}")
    findings = [each async for each in examine(settings, now=lambda: datetime.now(UTC))]
    finding = found(findings, database.DATABASE)
    assert finding.state == "fail"
    assert ("sslmode" if query else "PGSSLMODE") in finding.found
    assert finding.advice is not None
    assert "Start it" not in finding.advice
    assert "hidden" not in f"{findings}"


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u:p@db.example:5432/x", ("db.example",)),
        ("postgresql://u:p@[2001:db8::1]:5432/x", ("2001:db8::1",)),
        ("postgresql://one,two:5433,localhost/x", ("one", "two")),
        ("postgresql:///x?host=/run/postgresql", ()),
        ("postgresql:///x?host=db.example", ("db.example",)),
        ("postgresql://127.0.0.1/x", ()),
        ("postgresql://[::1]/x", ()),
    ],
)
def test_remote_hosts(url: str, hosts: tuple[str, ...]) -> None:
    assert remote_hosts(url) == hosts
    assert ssl_mode(url) == "prefer"


@pytest.mark.parametrize(("revision", "state"), [("7", "ok"), (None, "fail"), ("6", "fail"), ("8", "fail")])
def test_migrations(revision: str | None, state: State) -> None:
    findings = database.check_database(
        Settings(), SQLITE, revision=revision, head="7", may_run=revision == "7"
    )
    assert found(findings, database.MIGRATIONS).state == state


@pytest.mark.parametrize(("facts", "how"), [(SQLITE, "FTS5"), (POSTGRES, "CREATE EXTENSION pg_trgm")])
def test_search_of_users_without_an_index_says_how_to_get_one(facts: DatabaseFacts, how: str) -> None:
    assert database.check_user_search(facts, has_index=True).state == "ok"
    finding = database.check_user_search(facts, has_index=False)
    assert finding.state == "warn"
    assert finding.advice is not None
    assert how in finding.advice


@pytest.mark.parametrize(
    ("facts", "ahead", "state"),
    [
        (SQLITE, None, "ok"),
        (SQLITE, timedelta(days=1), "ok"),
        (SQLITE, timedelta(seconds=-14), "ok"),
        (SQLITE, timedelta(seconds=-16), "fail"),
        (POSTGRES, None, "ok"),
        (replace(POSTGRES, clock_ahead=timedelta(seconds=15.1)), None, "fail"),
        (replace(POSTGRES, clock_ahead=timedelta(seconds=-15.1)), None, "fail"),
    ],
)
def test_clock(facts: DatabaseFacts, ahead: timedelta | None, state: State) -> None:
    assert database.check_clock(facts, ahead_of_record=ahead).state == state


# --- standing --------------------------------------------------------------------------------------------------------
FINE = DeploymentOverview(
    users=UserCounts(users=4, banned=1, with_factor=2),
    coverage=[
        Coverage(actor_type="customer", demanded=False, users=3, with_factor=2),
        Coverage(actor_type="admin", demanded=True, users=2, with_factor=2),
    ],
    due_by_organization=[],
    due_by_type={"merchant": DueCounts(refused=0, soon=0)},
    locked=1,
    stopped=0,
    renewals=RenewalCounts(),
    passkeys={"shop.example": 3},
    foreign_hashes=0,
    check_values={},
    sealed={},
    signing_key_made_at=NOW - DAY,
    audit=AuditTail(records=10, broken_at=None, last_at=NOW),
    outbox=OutboxState(events=3, sinks=[]),
)


def _sink(**changes: Any) -> OutboxState:
    sink = SinkState(name="file", behind=0, oldest_waiting_at=None, leased_until=None, dead_lettered=0)
    return OutboxState(events=3, sinks=[replace(sink, **changes)])


@pytest.mark.parametrize(
    ("changes", "check", "state"),
    [
        ({}, data.COVERAGE, "ok"),
        ({"coverage": [replace(FINE.coverage[1], with_factor=1)]}, data.COVERAGE, "warn"),
        ({"coverage": [replace(FINE.coverage[1], demanded=False)]}, data.COVERAGE, "fail"),
        ({"coverage": [replace(FINE.coverage[1], users=0, with_factor=0)]}, data.COVERAGE, "warn"),
        (
            {"coverage": [FINE.coverage[1], replace(FINE.coverage[0], demanded=True, dated=True)]},
            data.COVERAGE,
            "ok",
        ),
        ({}, data.POLICY, "ok"),
        ({"due_by_type": {"merchant": DueCounts(refused=0, soon=1)}}, data.POLICY, "warn"),
        ({"due_by_organization": [OrganizationDue(name="Acme", refused=2, soon=0)]}, data.POLICY, "warn"),
        ({}, data.SHORT_SECRETS, "ok"),
        ({"renewals": RenewalCounts(overdue=1)}, data.SHORT_SECRETS, "warn"),
        ({"renewals": RenewalCounts(waiting=1, next_at=NOW + DAY)}, data.SHORT_SECRETS, "warn"),
        ({}, data.PASSKEYS, "ok"),
        ({"passkeys": {}}, data.PASSKEYS, "ok"),
        ({"passkeys": {"shop.example": 1, "old.example": 2}}, data.PASSKEYS, "fail"),
        ({}, data.USERS, "ok"),
        ({"stopped": 1}, data.USERS, "warn"),
        ({}, data.OLD_HASHES, "ok"),
        ({"foreign_hashes": 2}, data.OLD_HASHES, "warn"),
        ({}, data.SIGNING_KEY, "ok"),
        ({"signing_key_made_at": NOW - 30.5 * DAY}, data.SIGNING_KEY, "ok"),
        ({"signing_key_made_at": NOW - 32 * DAY}, data.SIGNING_KEY, "warn"),
        ({"signing_key_made_at": None}, data.SIGNING_KEY, "unknown"),
        ({}, data.AUDIT, "ok"),
        ({"audit": replace(FINE.audit, broken_at=7)}, data.AUDIT, "fail"),
        ({}, data.EVENTS, "ok"),
        ({"outbox": _sink()}, data.EVENTS, "ok"),
        (
            {"outbox": _sink(behind=2, oldest_waiting_at=NOW - timedelta(seconds=9))},
            data.EVENTS,
            "ok",
        ),
        ({"outbox": _sink(behind=2, oldest_waiting_at=NOW - DAY)}, data.EVENTS, "warn"),
        ({"outbox": _sink(dead_lettered=1)}, data.EVENTS, "warn"),
        ({}, data.MAILS, "ok"),
        ({"mails_waiting": 2, "mails_wait_since": NOW - DAY}, data.MAILS, "warn"),
    ],
)
def test_check_reports_the_state_of_the_data(changes: dict[str, Any], check: Check, state: State) -> None:
    actors = ActorRegistry((CUSTOMER, ADMIN))
    assert (
        found(data.check_data(replace(FINE, **changes), actors, rp_id="shop.example", now=NOW), check).state
        == state
    )


@pytest.mark.parametrize(("passkeys", "state"), [({}, "warn"), ({"shop.example": 3}, "fail")])
def test_passkeys_that_are_not_available(passkeys: dict[str, int], state: State) -> None:
    findings = data.check_data(
        replace(FINE, passkeys=passkeys), ActorRegistry((CUSTOMER, ADMIN)), rp_id=None, now=NOW
    )
    assert found(findings, data.PASSKEYS).state == state


def test_coverage_counts_as_people_say_it() -> None:
    actors = ActorRegistry((ActorType(name="customer"), ADMIN))
    said = found(data.check_data(FINE, actors, rp_id="shop.example", now=NOW), data.COVERAGE).found
    assert said == "3 customer, 2 with 2FA; 2 admin, 2 with 2FA"


def test_short_secrets_are_counted_with_the_next_end_of_a_term() -> None:
    counts = RenewalCounts(overdue=1, waiting=2, next_at=NOW + DAY)
    findings = data.check_data(
        replace(FINE, renewals=counts), ActorRegistry((CUSTOMER, ADMIN)), rp_id="shop.example", now=NOW
    )
    said = found(findings, data.SHORT_SECRETS).found
    assert said == "3 secrets under 128 bits, 1 past their deadline, the next deadline is 2026-07-02"


# --- neighbors and grades -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("chosen", "state"),
    [
        ({}, "ok"),
        ({"environment": "production"}, "warn"),
        ({"smtp_url": "smtp://u:hidden@127.0.0.1:1"}, "fail"),
        ({"smtp_url": "ftp://u:hidden@127.0.0.1"}, "fail"),
    ],
)
async def test_mail(chosen: dict[str, Any], state: State) -> None:
    if "smtp_url" in chosen:
        chosen = chosen | {"smtp_url": SecretStr(chosen["smtp_url"])}
    finding = await environment_module.check_mail(Settings(**chosen))
    assert finding.state == state
    assert "hidden" not in repr(finding)


async def test_production_without_mail_is_told_what_happens_to_mails() -> None:
    production = Settings(environment="production")
    assert "the mail is lost" in (await environment_module.check_mail(production)).found
    assert (await environment_module.check_mail(production, by_host=True)).state == "ok"


def test_packages_are_held_against_the_pins() -> None:
    pins = re.findall(r"^([A-Za-z0-9._-]+==[^ ;\\]+)", (ROOT / "requirements/base.txt").read_text(), re.M)
    tested = (ROOT / "src/czo_auth/doctor/tested.txt").read_text().split()
    assert tested == pins, "run `make lock`"
    assert environment_module.check_packages().state == "ok"
    assert environment_module.check_python().state == "ok"


def test_requirement_is_met_when_nothing_contradicts_it() -> None:
    one, two = Check("one", "One.", ("6.2.1", "6.2.4")), Check("two", "Two.", ("6.2.4", "11.4.2"))
    given = [one.ok("fine"), two.warn("weak", "Mend it.")]
    assert [(each.chapter, each.met, each.requirements) for each in grades(given)] == [
        ("V6", 1, 2),
        ("V11", 0, 1),
    ]
    assert worst(given) == "warn"
    assert worst([]) == "ok"
    assert worst([one.unknown("?"), two.fail("broken", "Mend it.")]) == "fail"
