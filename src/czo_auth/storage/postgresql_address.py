"""
Parse a PostgreSQL address as libpq does, and return what asyncpg needs to connect.

`postgresql_parameters` decides what is done with each parameter.

Source: PostgreSQL 18, section 32.1 (connection strings, parameter key words).
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote, urlencode

from czo_auth.storage.postgresql_environment import environment_parameters
from czo_auth.storage.postgresql_parameters import (
    ADDRESS,
    AS_TEXT,
    ENVIRONMENT,
    FILES,
    TLS,
    VARIABLES,
    WrongAddress,
    WrongVariable,
    refuse_unusable,
    shown,
)

T = TypeVar("T")

SCHEMES: Final = ("postgresql://", "postgres://")
DEFAULT_PORT: Final = 5432

_CONNINFO: Final = re.compile(r"\s*[a-z_]+\s*=")
_PAIR: Final = re.compile(r"\s*([a-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(?:\s+|$)", re.DOTALL)
_NO_NAME: Final = re.compile(r"[\s/@:\[\]]")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresAddress:
    """
    A PostgreSQL address that was read.

    Attributes:
        hosts: Names, addresses or socket folders, in the order to try; without one the driver tries the usual folders
            of sockets, or the host of a service.
        ports: One for each host; without hosts the port of the sockets, if one is set.
        connect_timeout: Seconds; None when the address does not say.
        arguments: Further arguments of ``asyncpg.connect``. May hold a password.
        server_settings: Sent to the server at the start of a connection.
    """

    hosts: tuple[str, ...]
    ports: tuple[int, ...]
    database: str | None
    ssl_mode: str
    connect_timeout: float | None
    arguments: Mapping[str, Any] = field(repr=False)
    server_settings: Mapping[str, str] = field(repr=False)

    def __str__(self) -> str:
        """Describe the address without user and password."""
        places = zip(self.hosts or ("",), self.ports or (None,), strict=True)
        named = ",".join(_shown_place(host, port) for host, port in places)
        return f"postgresql://{named}/{quote(self.database or '', safe='')}"


def is_postgres(url: str) -> bool:
    """Return whether *url* is meant for PostgreSQL: a URI, or libpq's ``keyword=value`` form."""
    return url.startswith(SCHEMES) or _CONNINFO.match(url) is not None


def read_address(url: str) -> PostgresAddress:
    """
    Read *url*: a URI, or pairs like ``host=db.example dbname=shop``.

    Raises:
        WrongAddress: It is neither, or names a parameter that is unknown or cannot be obeyed; or the environment does,
            where the driver would take a parameter from it.
    """
    parameters = _of_uri(url) if url.startswith(SCHEMES) else _of_pairs(url)
    refuse_unusable(parameters, ADDRESS)
    of_environment = environment_parameters(parameters)
    service = parameters.get("service") or of_environment.get("service")
    # A service may say what neither does, and the driver reads it.
    added = {} if service else of_environment
    if service and of_environment.get("hostaddr"):
        raise WrongVariable(
            "the environment sets PGHOSTADDR, which czo-auth cannot obey beside a service: remove it"
        )
    hosts, ports = _with_environment(_places, parameters, added, ("host", "hostaddr", "port"))
    _with_environment(_check_tls, parameters, added, ("sslmode", "sslnegotiation", *TLS))
    arguments: dict[str, Any] = {name: parameters[name] for name in AS_TEXT if parameters.get(name)}
    if parameters.get("dbname"):
        arguments["database"] = parameters["dbname"]
    if hosts:
        arguments["host"] = list(hosts)
    if ports and (parameters.get("port") or not service):
        arguments["port"] = list(ports) if hosts else ports[0]
    if parameters.get("target_session_attrs"):
        arguments["target_session_attrs"] = parameters["target_session_attrs"]
    if parameters.get("sslnegotiation"):
        arguments["direct_tls"] = parameters["sslnegotiation"] == "direct"
    arguments |= _tls(parameters)
    if service:
        # The driver looks into the file of services only if it is given an address.
        arguments = {"dsn": "postgresql://", **arguments, "service": service}
    application = parameters.get("application_name") or parameters.get("fallback_application_name")
    options = {"options": parameters["options"]} if parameters.get("options") else {}
    return PostgresAddress(
        hosts=hosts,
        ports=ports,
        database=parameters.get("dbname") or None,
        ssl_mode=parameters.get("sslmode") or of_environment.get("sslmode") or "prefer",
        connect_timeout=_seconds(parameters.get("connect_timeout") or ""),
        arguments=arguments,
        server_settings={"application_name": application or "czo-auth", **options},
    )


def libpq_environment(url: str) -> dict[str, str]:
    """
    Return *url* as the environment variables that libpq's own programs read.

    Source: PostgreSQL 18, section 32.15.

    Raises:
        WrongAddress: As `read_address`.
    """
    read_address(url)
    parameters = _of_uri(url) if url.startswith(SCHEMES) else _of_pairs(url)
    named = {name: variable for name, variable in VARIABLES.items() if parameters.get(name)}
    return {variable: parameters[name] for name, variable in named.items()}


# --- the two forms ---------------------------------------------------------------------------------------------------
def _of_uri(url: str) -> dict[str, str]:
    rest = url.partition("://")[2].partition("#")[0]
    rest, _, query = rest.partition("?")
    authority, _, database = rest.partition("/")
    # The last @ of all: a password may hold one that was not escaped, a host cannot.
    login, _, hosts = authority.rpartition("@")
    user, _, password = login.partition(":")
    found = _host_list(hosts) if hosts else {}
    named = {"user": user, "password": password, "dbname": database}
    found |= {name: _unescaped(value, name) for name, value in named.items() if value}
    for name, value in _pairs_of(query):
        # As in libpq, the last of repeated parameters counts.
        found["dbname" if name == "database" else name] = value
    if found.pop("ssl", None) == "true":
        found.setdefault("sslmode", "require")
    return found


def _pairs_of(query: str) -> Iterator[tuple[str, str]]:
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        name = _unescaped(name, "query")
        if not equals:
            raise WrongAddress("the database address has a parameter without a value")
        # `+` is not decoded as a space: libpq leaves it as it is, and passwords contain it.
        yield name, _unescaped(value, name)


def _host_list(text: str) -> dict[str, str]:
    hosts, ports = [], []
    for each in text.split(","):
        if each.startswith("["):
            host, bracket, rest = each[1:].partition("]")
            if not bracket or (rest and not rest.startswith(":")):
                raise WrongAddress("the database address has brackets that hold no IPv6 address")
            port = rest[1:]
        else:
            host, _, port = each.partition(":")
        hosts.append(_unescaped(host, "host"))
        ports.append(_unescaped(port, "port"))
    return {"host": ",".join(hosts)} | ({"port": ",".join(ports)} if any(ports) else {})


def _of_pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while text[at:].strip():
        pair = _PAIR.match(text, at)
        if pair is None:
            raise WrongAddress(
                "the database address is neither postgresql://user@host/database nor pairs like host=… dbname=…"
            )
        name, value = pair.groups()
        if value.startswith("'"):
            value = value[1:-1]
        found[name] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        at = pair.end()
    return found


def _unescaped(text: str, name: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise WrongAddress(f"the database address has a % in {shown(name)} that must be written as %25")
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise WrongAddress(
            f"the database address escapes bytes in {shown(name)} that are not UTF-8"
        ) from None
    if "\0" in plain:
        raise WrongAddress(f"the database address has a zero byte in {shown(name)}")
    return plain


# --- what each parameter means ---------------------------------------------------------------------------------------
def _with_environment(
    read: Callable[[Mapping[str, str]], T],
    parameters: Mapping[str, str],
    found: Mapping[str, str],
    names: Sequence[str],
) -> T:
    """
    Read *parameters* together with what the environment adds to them, where the driver would stumble over both later.

    Args:
        found: What the environment says and *parameters* do not.
        names: The parameters that *read* looks at.

    Raises:
        WrongVariable: The environment is the reason; names the variables.
        WrongAddress: The address is.
    """
    added = {name: found[name] for name in names if name in found}
    try:
        return read({**parameters, **added})
    except WrongAddress as error:
        read(parameters)
        variables = ", ".join(sorted(map(ENVIRONMENT.spelled, added)))
        raise WrongVariable(f"{error} (the environment adds {variables})") from None


def _places(parameters: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return hosts and ports, as many of the one as of the other."""
    names, addresses = (parameters.get(name) or "" for name in ("host", "hostaddr"))
    if names and addresses:
        raise WrongAddress(
            "the database address sets hostaddr beside host, which czo-auth cannot obey: remove one of the two"
        )
    for each in filter(None, addresses.split(",")):
        if not _is_ip_address(each):
            raise WrongAddress(
                "the database address sets hostaddr to something that is not an IP address: a name goes into host"
            )
    for each in filter(None, names.split(",")):
        if not each.startswith(("/", "@")) and not _is_ip_address(each) and _NO_NAME.search(each):
            raise WrongAddress(
                "the database address sets host to something that is neither a name, an IP address nor a folder"
            )
    hosts = [each or "localhost" for each in (names or addresses).split(",")] if names or addresses else []
    ports = [_port(each) for each in (parameters.get("port") or "").split(",")]
    if not hosts and len(ports) == 1:
        return (), tuple(ports) if parameters.get("port") else ()
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts):
        raise WrongAddress(
            f"the database address has {len(ports)} ports for {len(hosts) or 1} hosts: port needs one, or one for each"
        )
    return tuple(hosts), tuple(ports)


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _port(text: str) -> int:
    if not text:
        return DEFAULT_PORT
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise WrongAddress("the database address has a port that is not a number from 1 to 65535")
    return int(text)


def _seconds(text: str) -> float | None:
    if not text:
        return None
    # Zero and less mean no limit to libpq, but a server must not wait forever.
    return float(text) if int(text) > 0 else None


def _check_tls(parameters: Mapping[str, str]) -> None:
    mode = parameters.get("sslmode")
    lowest, highest = (parameters.get(f"ssl_{end}_protocol_version") for end in ("min", "max"))
    if lowest and highest and lowest > highest:
        raise WrongAddress(
            "the database address sets ssl_min_protocol_version above ssl_max_protocol_version: no version is left"
        )
    is_direct = parameters.get("sslnegotiation") == "direct" and parameters.get("sslrootcert") != "system"
    if is_direct and mode not in ("require", "verify-ca", "verify-full"):
        raise WrongAddress(
            "the database address sets sslnegotiation=direct, which needs sslmode=require or stricter"
        )
    if parameters.get("sslrootcert") == "system":
        if mode not in (None, "", "verify-full"):
            raise WrongAddress(
                "the database address sets sslrootcert=system, which needs sslmode=verify-full"
            )
        return
    for name in FILES:
        path = parameters.get(name)
        if path and not os.access(path, os.R_OK):
            raise WrongAddress(f"the database address names a file in {name} that cannot be read")


def _tls(parameters: Mapping[str, str]) -> dict[str, Any]:
    mode = parameters.get("sslmode")
    if parameters.get("sslrootcert") == "system":
        return {"ssl": ssl.create_default_context()}
    known = {name: parameters[name] for name in TLS if parameters.get(name)}
    arguments: dict[str, Any] = {"ssl": mode} if mode else {}
    if known:
        arguments["dsn"] = f"postgresql://?{urlencode(known, quote_via=quote)}"
    return arguments


def _shown_place(host: str, port: int | None) -> str:
    name = quote(host, safe="") if host.startswith("/") else f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"
