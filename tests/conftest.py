"""What every test may ask for: databases of both kinds, and the server as a process."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import hypothesis
import pytest

from czo_auth.storage import open_storage
from czo_auth.storage.migrate import upgrade_blocking
from czo_auth.storage.tables import Tables
from tests.support.compiled_statements import share_compiled_statements
from tests.support.memory import memory_folder
from tests.support.postgres import PostgresServer
from tests.support.server import RunningServer
from tests.support.weak_hashes import real_hashes, weak_hashes

if TYPE_CHECKING:
    from czo_auth.core.transaction import Transactions
    from tests.contract.databases import Databases, PostgresDatabases, SqliteDatabases

# Collecting tests makes millions of objects that stay; looking for garbage among them takes longer than most tests.
gc.disable()

# A shell's background job ignores SIGINT, and what it starts would too: servers here are ended by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Each acknowledged write of a deployment waits for its file to reach the disk: the tests' files are in memory, where
# there is enough of it. A folder that was chosen by the environment stays.
if "PYTEST_DEBUG_TEMPROOT" not in os.environ and (folder := memory_folder()) is not None:
    os.environ["PYTEST_DEBUG_TEMPROOT"] = folder

share_compiled_statements()

# A shared machine stalls now and then; and in CI the same commit tries the same examples.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


_ALWAYS_ON_BOTH = ("tests/storage/", "tests/support/")
_LONG = (
    "tests/cli/test_demo.py",
    "tests/cli/test_login.py",
    "tests/contract/test_api_keys_usage.py",
    "tests/contract/test_faults.py",
    "tests/delivery/test_nats.py",
    "tests/delivery/test_rabbitmq.py",
    "tests/faults/",
    "tests/fuzz/",
    "tests/packaging/",
)
"""Where single tests take many seconds, most of them waiting."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Leave the second run, on PostgreSQL, of what has nothing to do with the database to `make test-deep`.

    Where races, faults, revocations and leases are about the database, a test or a module is marked `each_database`;
    the stores are always tested on both.

    Long tests go first: at the end the other processes would wait for the last of them.
    """
    for item in items:
        is_second = "[postgres" in item.nodeid and not item.nodeid.startswith(_ALWAYS_ON_BOTH)
        if is_second and item.get_closest_marker("each_database") is None:
            item.add_marker(pytest.mark.deep)
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))


def pytest_collection_finish() -> None:
    """Look for garbage again, but not among what was imported and collected."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Hide the developer's own settings, also of PostgreSQL's clients: a test says every setting that it needs."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("CZO_AUTH_", "AUTH_", "PG"))]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _weak_hashes() -> Iterator[None]:
    """Let hashing cost nothing where it is not the subject: otherwise it is half of what the tests take."""
    with weak_hashes():
        yield


@pytest.fixture(autouse=True)
def _real_hashes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let it cost what it costs in tests that are marked `real_hashes`."""
    if request.node.get_closest_marker("real_hashes") is None:
        yield
        return
    with real_hashes():
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the test process. Who pauses or restarts it leaves it running."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Address of a new, empty PostgreSQL database."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Address of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'database.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Address of a new, empty database; the test runs once for each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


_EMPTY = "".join(f"DELETE FROM {table.name};" for table in reversed(Tables().metadata.sorted_tables)) + (
    "ALTER SEQUENCE czo_auth_events_sequence_seq RESTART"
)


@pytest.fixture(scope="session")
def _migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "database.sqlite3"
    upgrade_blocking(f"sqlite:///{path}")
    return path


@pytest.fixture
def migrated_sqlite_url(_migrated_file: Path, sqlite_url: str) -> str:
    """Address of a migrated SQLite file without rows: copied, since migrating takes longer than most tests."""
    shutil.copy(_migrated_file, sqlite_url.removeprefix("sqlite:///"))
    return sqlite_url


@pytest.fixture(scope="session")
def migrated_template(postgres_server: PostgresServer) -> str:
    """Name of a migrated PostgreSQL database without rows, to be copied by `create_database`."""
    return postgres_server.template("migrated", upgrade_blocking)


@pytest.fixture(scope="session")
def _migrated_database(postgres_server: PostgresServer, migrated_template: str) -> str:
    return postgres_server.create_database(template=migrated_template)


@pytest.fixture
def migrated_postgres_url(postgres_server: PostgresServer, _migrated_database: str) -> str:
    """Address of a migrated PostgreSQL database without rows: emptied, since a new one takes a second."""
    postgres_server.execute(_EMPTY, database=_migrated_database)
    return postgres_server.url(_migrated_database)


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """Address of a migrated database without rows; the test runs once for each kind."""
    url: str = request.getfixturevalue(f"migrated_{request.param}_url")
    return url


@pytest.fixture
async def transactions(migrated_url: str) -> AsyncIterator[Transactions]:
    """The storage's transactions on a migrated database without rows; the test runs once for each kind."""
    storage = open_storage(migrated_url)
    yield storage.transactions
    await storage.close()


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabases:
    """SQLite files with people in them, copied from one that was prepared once; `KEPT_PEOPLE` names a kept one."""
    from tests.contract.databases import SqliteDatabases

    directory = tmp_path_factory.mktemp("people")
    if kept := os.environ.get("KEPT_PEOPLE"):
        return SqliteDatabases.kept(Path(kept), directory)
    return SqliteDatabases.prepare(directory)


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: PostgresServer) -> PostgresDatabases:
    """The same on PostgreSQL."""
    from tests.contract.databases import PostgresDatabases

    return PostgresDatabases.prepare(postgres_server)


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Databases with people in them; what asks for them runs once for each kind."""
    found: Databases = request.getfixturevalue(f"{request.param}_databases")
    return found


class StartServer(Protocol):
    """Start a server that hashes at the least cost, and wait until it is ready; `RunningServer` has the arguments."""

    def __call__(
        self,
        *,
        env: Mapping[str, str] | None = None,
        database_url: str | None = None,
        workers: int = 1,
        arguments: tuple[str, ...] = (),
    ) -> RunningServer: ...


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers; those that still run at the end of the test are stopped, and must stop cleanly."""
    started: list[RunningServer] = []
    numbers = count(1)

    def start(
        *,
        env: Mapping[str, str] | None = None,
        database_url: str | None = None,
        workers: int = 1,
        arguments: tuple[str, ...] = (),
    ) -> RunningServer:
        server = RunningServer(
            tmp_path / f"server-{next(numbers)}",
            env=env,
            database_url=database_url,
            workers=workers,
            arguments=arguments,
            weak_hashes=True,
        )
        started.append(server)
        server.start()
        return server

    yield start
    faults = []
    for server in started:
        try:
            server.stop()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n\n".join(faults)
