"""Faults of PostgreSQL that waiting does not mend: each is one sentence with what to do, and exit code 2."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.shell import Shell
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.deep

CANNOT_START, OUTAGE = 2, 75


@pytest.fixture
def login(postgres_server: PostgresServer) -> Iterator[str]:
    """A role that may log in and owns nothing."""
    postgres_server.execute("CREATE ROLE shop_login LOGIN PASSWORD 'hunter2'")
    yield "shop_login:hunter2"
    postgres_server.execute("DROP OWNED BY shop_login; DROP ROLE shop_login")


def faults(server: PostgresServer, url: str, login: str) -> dict[str, tuple[str, str]]:
    """Give addresses by their fault, each with a part of the sentence that names it."""
    database = url.rpartition("/")[2]
    host = f"127.0.0.1:{server.port}"
    return {
        "no CREATE on its schema": (f"postgresql://{login}@{host}/{database}", "grant it CREATE"),
        "no such database": (f"{url}_typo", "no database of the name"),
        "wrong password": (url.replace(server.password, "hunter2"), "the user or the password"),
        "no TLS": (f"{url}?sslmode=require", "has no TLS"),
        "no TLS, verified": (f"{url}?sslmode=verify-full&sslrootcert=system", "has no TLS"),
        "unknown option": (f"{url}?options=-c%20no_such_setting%3D1", "options"),
        "no schema": (f"{url}?options=-c%20search_path%3D", "schema"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "no CREATE on its schema",
        "no such database",
        "wrong password",
        "no TLS",
        "no TLS, verified",
        "unknown option",
        "no schema",
    ],
)
@pytest.mark.parametrize("command", ["migrate", "serve"])
def test_permanent_fault_says_what_to_do(
    fresh: Shell, postgres_server: PostgresServer, postgres_url: str, login: str, name: str, command: str
) -> None:
    url, sentence = faults(postgres_server, postgres_url, login)[name]
    key = {"AUTH_ENCRYPTION_KEY": fresh.run("keys", "generate").stdout.strip()}
    done = fresh.run(command, code=CANNOT_START, env={**key, "CZO_AUTH_DATABASE_URL": url})
    last = done.stderr.splitlines()[-1]
    assert last.startswith("czo-auth: ")
    assert sentence in last
    assert "try again" not in done.stderr
    for secret in ("hunter2", postgres_server.password):
        assert secret not in done.stderr


@pytest.mark.parametrize("words", [("migrate",), ("serve",), ("users", "list"), ("backup", "saved")])
@pytest.mark.parametrize("is_in_address", [True, False])
def test_parameter_that_cannot_be_obeyed_is_one_sentence_for_every_command(
    fresh: Shell, words: tuple[str, ...], is_in_address: bool
) -> None:
    address = "postgresql://shop:hunter2@127.0.0.1:1/shop"
    wrong = {"CZO_AUTH_DATABASE_URL": f"{address}?channel_binding=sometimes"}
    if not is_in_address:
        wrong = {"CZO_AUTH_DATABASE_URL": address, "PGREQUIREAUTH": "scram-sha-256"}
    key = {"AUTH_ENCRYPTION_KEY": fresh.run("keys", "generate").stdout.strip()}
    done = fresh.run(*words, code=CANNOT_START, env={**key, **wrong})
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("czo-auth: ")
    assert ("channel_binding" if is_in_address else "PGREQUIREAUTH") in last
    assert "hunter2" not in done.stderr


def test_read_only_database_is_distinguished_from_an_outage(
    fresh: Shell, postgres_server: PostgresServer, postgres_url: str
) -> None:
    database = postgres_url.rpartition("/")[2]
    postgres_server.execute(f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
    key = {"AUTH_ENCRYPTION_KEY": fresh.run("keys", "generate").stdout.strip()}
    done = fresh.run("migrate", code=CANNOT_START, env={**key, "CZO_AUTH_DATABASE_URL": postgres_url})
    assert "takes no writes here" in done.stderr


def test_outage_is_still_an_outage(fresh: Shell, postgres_url: str, postgres_server: PostgresServer) -> None:
    key = {"AUTH_ENCRYPTION_KEY": fresh.run("keys", "generate").stdout.strip()}
    url = postgres_url.replace(f":{postgres_server.port}/", ":1/")
    done = fresh.run("migrate", code=OUTAGE, env={**key, "CZO_AUTH_DATABASE_URL": url})
    assert done.stderr.count("\n") <= 2


@pytest.mark.parametrize("folder", ["what?", "a?b=c", "100%", "20%20", "a#b", "a&b c"])
def test_data_folder_may_have_any_name(fresh: Shell, folder: str) -> None:
    path = fresh.data.parent / folder
    fresh.run("migrate", "--data-dir", str(path))
    assert {each.name for each in path.iterdir()} >= {"czo-auth.db", "encryption.key"}
    fresh.run("users", "list", "--data-dir", str(path))
