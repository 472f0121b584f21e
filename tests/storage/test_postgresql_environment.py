"""What libpq's variables of the environment add to a PostgreSQL address, and which of them stop a start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from czo_auth.errors import StartRefused
from czo_auth.storage.postgresql_address import read_address
from czo_auth.storage.postgresql_parameters import WrongAddress, WrongVariable
from czo_auth.storage.postgresql_server import PostgresServer as PostgresAddress
from tests.storage.driver import parsed_by_the_driver
from tests.support.postgres import PostgresServer
from tests.support.settings import settings

IN_ENVIRONMENT = {
    "PGSSLMODE": "maybe",
    "PGPORT": "http",
    "PGTARGETSESSIONATTRS": "fastest",
    "PGSSLNEGOTIATION": "sometimes",
    "PGSSLMINPROTOCOLVERSION": "SSLv3",
    "PGSSLMAXPROTOCOLVERSION": "SSLv3",
    "PGGSSLIB": "heimdal",
    "PGSSLCERT": "nowhere.pem",
    "PGSSLKEY": "nowhere.pem",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGREQUIREPEER": "postgres",
    "PGGSSENCMODE": "require",
    "PGSSLCERTMODE": "require",
    "PGSSLCRLDIR": "crls",
}


@pytest.mark.parametrize("variable", IN_ENVIRONMENT)
def test_variable_that_cannot_be_obeyed_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, IN_ENVIRONMENT[variable])
    with pytest.raises(WrongAddress, match=variable) as refusal:
        read_address("postgresql://u:hunter2@/d")
    assert "hunter2" not in str(refusal.value)
    assert IN_ENVIRONMENT[variable] not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("variables", "query"),
    [
        ({"PGHOST": "a,b", "PGPORT": "1,2,3"}, ""),
        ({"PGSSLNEGOTIATION": "direct"}, "?sslmode=prefer"),
        ({"PGSSLMAXPROTOCOLVERSION": "TLSv1.2"}, "?ssl_min_protocol_version=TLSv1.3"),
        ({"PGSSLROOTCERT": "nowhere.pem"}, "?sslmode=verify-full"),
        ({"PGSSLROOTCERT": "system", "PGSSLMODE": "verify-full"}, ""),
    ],
)
def test_variable_that_does_not_suit_the_address_is_named(
    variables: dict[str, str], query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongAddress, match=next(iter(variables))):
        read_address(f"postgresql:///d{query}")


@pytest.mark.parametrize("variable", ["PGSSLMODE", "PGPORT", "PGTARGETSESSIONATTRS", "PGSSLNEGOTIATION"])
def test_variable_is_not_read_where_the_address_says_it(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, IN_ENVIRONMENT[variable])
    query = "sslmode=prefer&target_session_attrs=any&sslnegotiation=postgres"
    assert read_address(f"postgresql://h:5433/d?{query}").ports == (5433,)


@pytest.mark.parametrize(
    ("variables", "address", "hosts", "ports"),
    [
        ({"PGPORT": "5433"}, "postgresql://h/d", ("h",), (5433,)),
        ({"PGPORT": "5433"}, "postgresql://a,b/d", ("a", "b"), (5433, 5433)),
        ({"PGPORT": "5433"}, "host=h dbname=d", ("h",), (5433,)),
        ({"PGPORT": "5433"}, "postgresql://h:5434/d", ("h",), (5434,)),
        ({"PGPORT": "5433"}, "postgresql:///d?hostaddr=10.0.0.1", ("10.0.0.1",), (5433,)),
        ({"PGHOST": "h"}, "postgresql://:5434/d", ("h",), (5434,)),
        ({"PGHOST": "a,b"}, "dbname=d port=1,2", ("a", "b"), (1, 2)),
        ({"PGHOST": "::1"}, "postgresql:///d", ("::1",), (5432,)),
        ({"PGHOST": "/run/postgresql"}, "postgresql:///d", ("/run/postgresql",), (5432,)),
        ({"PGHOST": "h", "PGPORT": "5433"}, "postgresql:///d", ("h",), (5433,)),
        ({"PGHOST": "a"}, "postgresql://h/d", ("h",), (5432,)),
        ({"PGHOST": "a"}, "postgresql:///d?hostaddr=10.0.0.1", ("10.0.0.1",), (5432,)),
        ({"PGHOSTADDR": "10.0.0.1"}, "postgresql:///d", ("10.0.0.1",), (5432,)),
        ({"PGPORT": "5433"}, "postgresql:///d", (), (5433,)),
        ({}, "postgresql://:5433/d", (), (5433,)),
        ({"PGSERVICE": "s", "PGPORT": "5433"}, "postgresql:///d", (), ()),
        ({}, "postgresql:///d", (), ()),
    ],
)
def test_place_is_what_the_address_says_and_then_what_the_environment_does(
    variables: dict[str, str],
    address: str,
    hosts: tuple[str, ...],
    ports: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = read_address(address)
    assert (found.hosts, found.ports) == (hosts, ports)


@pytest.mark.parametrize("variable", ["PGPORT", None])
def test_port_without_a_host_is_that_of_the_sockets(
    variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is not None:
        monkeypatch.setenv(variable, "5433")
    address = read_address("postgresql:///d" if variable else "postgresql://:5433/d")
    places = driver_places(address.arguments)
    assert len(places) > 1
    assert [place for place in places if isinstance(place, str)] == places[:-1]
    assert all(f"{place}".endswith(".s.PGSQL.5433") for place in places[:-1])
    assert places[-1] == ("localhost", 5433)
    assert str(address) == "postgresql://:5433/d"


def driver_places(arguments: Mapping[str, Any]) -> list[Any]:
    """Ask the driver where it would connect to, in its order."""
    places, _ = parsed_by_the_driver(**arguments, user="u", password="p")
    return list(places)


@pytest.mark.parametrize(
    ("variables", "url", "place"),
    [
        ({}, "postgresql:///d?service=shop", ("svc.example", 6000)),
        ({"PGSERVICE": "shop"}, "postgresql:///d", ("svc.example", 6000)),
        ({"PGSERVICE": "shop", "PGPORT": "5433"}, "postgresql:///d", ("svc.example", 6000)),
        ({"PGSERVICE": "shop"}, "postgresql://h/d", ("h", 6000)),
        ({"PGSERVICE": "shop"}, "postgresql://h:5434/d", ("h", 5434)),
        ({"PGSERVICE": "other", "PGPORT": "5433"}, "postgresql://h/d", ("h", 5433)),
    ],
)
def test_service_is_asked_after_the_address_and_before_the_environment(
    variables: dict[str, str],
    url: str,
    place: tuple[str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services = tmp_path / "services.conf"
    services.write_text("[shop]\nhost=svc.example\nport=6000\n[other]\nuser=somebody\n")
    for name, value in {"PGSERVICEFILE": f"{services}", **variables}.items():
        monkeypatch.setenv(name, value)
    assert driver_places(read_address(url).arguments) == [place]


@pytest.mark.parametrize("variables", [{}, {"PGHOST": "h"}, {"PGSERVICE": "s"}])
def test_address_in_the_environment_beside_a_host_is_refused(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # libpq would connect to the one and compare the other with the certificate; the driver knows one of them only.
    for name, value in {"PGHOSTADDR": "10.0.0.1", **variables}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongVariable, match="PGHOSTADDR"):
        read_address("postgresql:///d" if "PGHOST" in variables else "postgresql://h/d")


@pytest.mark.parametrize("host", ["h:5433", "[::1]", "postgresql://u:hunter2@db/d", "u:hunter2@db", "a b"])
def test_host_that_is_no_name_is_refused_without_being_shown(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", host)
    with pytest.raises(WrongVariable, match="PGHOST") as refusal:
        read_address("postgresql:///d")
    assert host not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_fault_of_the_address_is_not_blamed_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGUSER": "shop", "PGSSLMODE": "require"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongAddress, match="sslrootcert") as refusal:
        read_address("postgresql://h/d?sslmode=verify-full&sslrootcert=nowhere.pem")
    assert not isinstance(refusal.value, WrongVariable)
    assert "PGUSER" not in str(refusal.value)


def test_direct_negotiation_of_the_address_suits_the_mode_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    assert read_address("postgresql://h/d?sslnegotiation=direct").arguments["direct_tls"] is True


def test_files_of_tls_in_the_environment_are_read_for_tls_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGSSLCERT", "PGSSLKEY", "PGSSLROOTCERT", "PGSSLCRL"):
        monkeypatch.setenv(name, "nowhere.pem")
    read_address("postgresql://h/d?sslmode=disable")


async def test_variables_that_libpq_takes_leave_the_database_reachable(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(postgres_server.port),
        "PGDATABASE": "postgres",
        "PGUSER": "postgres",
        "PGPASSWORD": postgres_server.password,
        "PGSSLMODE": "prefer",
        "PGTARGETSESSIONATTRS": "read-write",
        "PGSSLNEGOTIATION": "postgres",
        "PGGSSENCMODE": "prefer",
        "PGSSLMINPROTOCOLVERSION": "TLSv1.2",
        "PGSSLMAXPROTOCOLVERSION": "TLSv1.3",
        "PGREQUIREAUTH": "",
        "PGSSLROOTCERT": "nowhere.pem",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    connection = await PostgresAddress("postgresql://").connect()
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


def test_mode_of_the_environment_is_the_one_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    assert read_address("postgresql://h/d").ssl_mode == "require"


def test_wrong_variable_stops_a_deployment_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from czo_auth import Auth

    monkeypatch.setenv("PGSSLMODE", "sometimes")
    with pytest.raises(StartRefused, match=r"variable.*PGSSLMODE.*\.$") as refusal:
        Auth(settings("postgresql://u:hunter2@h/d"))
    assert "CZO_AUTH_DATABASE_URL" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
