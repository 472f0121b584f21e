"""
Parse a PostgreSQL address as libpq does, and return what asyncpg needs to connect.

Every parameter that libpq 18 knows is decided here: passed on, dropped because the driver has no use for it, or refused
because leaving it out would weaken what the address asks for. Values that libpq does not know are refused everywhere.

Source: PostgreSQL 18, section 32.1 (connection strings, parameter key words).
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

from czo_auth.errors import StartRefused

SCHEMES: Final = ("postgresql://", "postgres://")
SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
DEFAULT_PORT: Final = 5432

_CONNINFO: Final = re.compile(r"\s*[a-z_]+\s*=")
_PAIR: Final = re.compile(r"\s*([a-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(?:\s+|$)", re.DOTALL)
_NUMBER: Final = re.compile(r"-?[0-9]{1,9}")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

_AS_TEXT: Final = ("user", "password", "passfile", "krbsrvname", "gsslib", "service", "servicefile")
"""Passed to asyncpg under the same name."""

_FILES: Final = ("sslcert", "sslkey", "sslrootcert", "sslcrl")
_TLS: Final = (*_FILES, "sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version")
"""Known to asyncpg inside an address only."""

_TLS_VERSIONS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_PROTOCOL_VERSIONS: Final = ("3.0", "3.2", "latest")
_SWITCH: Final = ("0", "1")

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssdelegation": _SWITCH,
    "gssencmode": ("disable", "prefer", "require"),
    "gsslib": ("gssapi", "sspi"),
    "load_balance_hosts": ("disable", "random"),
    "max_protocol_version": _PROTOCOL_VERSIONS,
    "min_protocol_version": _PROTOCOL_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "sslcertmode": ("disable", "allow", "require"),
    "sslcompression": _SWITCH,
    "sslmode": SSL_MODES,
    "sslnegotiation": ("postgres", "direct"),
    "sslsni": _SWITCH,
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
"""Every value that PostgreSQL's documentation knows for a parameter, whatever is done with it."""

_NUMBERS: Final = frozenset(
    {
        "connect_timeout",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "tcp_user_timeout",
    }
)

_DROPPED: Final = frozenset(
    {
        "channel_binding",
        "fallback_application_name",
        "gssdelegation",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "max_protocol_version",
        "sslcompression",
        "sslkeylogfile",
        "tcp_user_timeout",
    }
)
"""
Tuning that the driver decides by itself, and ``channel_binding``: hosted databases put it into every address they hand
out, and the driver cannot do it. ``sslmode=verify-full`` protects against the same attack.
"""

_HARMLESS: Final[Mapping[str, tuple[str, ...]]] = {
    "client_encoding": ("utf8", "utf-8", "unicode", "auto"),
    "gssencmode": ("disable", "prefer"),
    "min_protocol_version": ("3.0",),
    "replication": ("false", "off", "no", "0"),
    "sslcertmode": ("allow",),
    "sslsni": ("1",),
}
"""Dropped with one of these values; any other requests something that the driver cannot do."""

_REFUSED: Final = frozenset(
    {
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_issuer",
        "oauth_scope",
        "require_auth",
        "requirepeer",
        "scram_client_key",
        "scram_server_key",
        "sslcrldir",
    }
)

_READ_HERE: Final = frozenset(
    {"host", "hostaddr", "port", "dbname", "ssl", "connect_timeout", "application_name", "options"}
)
_KNOWN: Final = frozenset({*_AS_TEXT, *_TLS, *_CHOICES, *_DROPPED, *_HARMLESS, *_REFUSED, *_READ_HERE})


_VARIABLES: Final[Mapping[str, str]] = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "servicefile": "PGSERVICEFILE",
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


_DRIVER_READS: Final = frozenset(_VARIABLES) - {"hostaddr", "options", "connect_timeout"}
"""asyncpg takes these from the environment, where neither the address nor its service names them."""

_DEMANDS: Final[Mapping[str, str]] = {
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "gssencmode": "PGGSSENCMODE",
    "sslcertmode": "PGSSLCERTMODE",
    "sslcrldir": "PGSSLCRLDIR",
}
"""asyncpg does not read these, and connects with less than they ask for."""


class WrongAddress(StartRefused, ValueError):
    """
    The address, or a variable of libpq in the environment, cannot be used.

    Says which parameter and why in one sentence, and shows no value.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """
    Where parameters come from, for messages.

    Attributes:
        variables: The names under which they are set there, where they differ.
    """

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def spelled(self, parameter: str) -> str:
        return self.variables.get(parameter, parameter)


_ADDRESS: Final = _Source(name="the database address")
_ENVIRONMENT: Final = _Source(name="the environment", variables={**_VARIABLES, **_DEMANDS})


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresAddress:
    """
    A PostgreSQL address that was read.

    Attributes:
        hosts: Names, addresses or socket folders, in the order to try; empty asks the environment, as libpq does.
        ports: One for each host.
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
        named = ",".join(
            f"{quote(host, safe='') if host.startswith('/') else _bracketed(host)}:{port}"
            for host, port in zip(self.hosts, self.ports, strict=True)
        )
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
    _refuse_unusable(parameters, _ADDRESS)
    hosts, ports = _places(parameters)
    of_environment = _of_environment(parameters)
    _check_environment(parameters, of_environment)
    arguments: dict[str, Any] = {name: parameters[name] for name in _AS_TEXT if parameters.get(name)}
    if parameters.get("dbname"):
        arguments["database"] = parameters["dbname"]
    if hosts:
        arguments |= {"host": list(hosts), "port": list(ports)}
    if parameters.get("target_session_attrs"):
        arguments["target_session_attrs"] = parameters["target_session_attrs"]
    if parameters.get("sslnegotiation"):
        arguments["direct_tls"] = parameters["sslnegotiation"] == "direct"
    arguments |= _tls(parameters)
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
    named = {name: variable for name, variable in _VARIABLES.items() if parameters.get(name)}
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
        raise WrongAddress(f"the database address has a % in {_shown(name)} that must be written as %25")
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise WrongAddress(
            f"the database address escapes bytes in {_shown(name)} that are not UTF-8"
        ) from None
    if "\0" in plain:
        raise WrongAddress(f"the database address has a zero byte in {_shown(name)}")
    return plain


# --- what each parameter means ---------------------------------------------------------------------------------------
def _refuse_unusable(parameters: Mapping[str, str], source: _Source) -> None:
    for name, value in parameters.items():
        spelled = source.spelled(name)
        if name not in _KNOWN:
            raise WrongAddress(
                f"{source.name} has the parameter {_shown(name)}, "
                "which PostgreSQL's clients do not know: remove it"
            )
        if name in _REFUSED and value:
            raise WrongAddress(f"{source.name} sets {spelled}, which czo-auth cannot obey: remove it")
        if name in _CHOICES and value and value not in _CHOICES[name]:
            raise WrongAddress(
                f"{source.name} sets {spelled} to an unknown value: it is one of {', '.join(_CHOICES[name])}"
            )
        if name in _NUMBERS and value and not _NUMBER.fullmatch(value):
            raise WrongAddress(f"{source.name} sets {spelled} to something that is not a whole number")
        if name in _HARMLESS and value and value.lower() not in _HARMLESS[name]:
            raise WrongAddress(
                f"{source.name} asks {spelled} for more than czo-auth can do: "
                f"remove it, or set it to {_HARMLESS[name][0]}"
            )
    if "ssl" in parameters:
        raise WrongAddress("the database address sets ssl: write sslmode, for example sslmode=require")


def _of_environment(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return what variables of libpq say and *parameters* do not, as far as the driver reads it or should have."""
    found = {
        name: value
        for name in (*sorted(_DRIVER_READS), *_DEMANDS)
        if (value := os.environ.get(_ENVIRONMENT.spelled(name))) and not parameters.get(name)
    }
    # With one of the two in the address, the driver asks the environment for neither.
    for name in ("host", "port") if any(map(parameters.get, ("host", "hostaddr", "port"))) else ():
        found.pop(name, None)
    mode = parameters.get("sslmode") or found.get("sslmode") or "prefer"
    # The driver opens certificates for TLS only, and those of authorities where it verifies the server.
    for name in _FILES if mode == "disable" or parameters.get("sslrootcert") == "system" else ():
        found.pop(name, None)
    for name in ("sslrootcert", "sslcrl") if mode in ("allow", "prefer") else ():
        found.pop(name, None)
    return found


def _check_environment(parameters: Mapping[str, str], found: Mapping[str, str]) -> None:
    """
    Refuse what the driver would stumble over at the first connection only, or not obey.

    Raises:
        WrongAddress: Names a variable.
    """
    _refuse_unusable(found, _ENVIRONMENT)
    if found.get("sslrootcert") == "system":
        raise WrongAddress(
            "the environment sets PGSSLROOTCERT=system, which czo-auth reads in the database address only: "
            "write sslrootcert=system there"
        )
    if parameters.get("service") or found.get("service"):
        # It may say the rest.
        return
    together = dict(parameters) | dict(found)
    try:
        _places(together)
        _tls(together)
    except WrongAddress as error:
        variables = ", ".join(sorted(map(_ENVIRONMENT.spelled, found)))
        raise WrongAddress(f"{error} (the environment adds {variables})") from None


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
    hosts = [each or "localhost" for each in (names or addresses).split(",")] if names or addresses else []
    ports = [_port(each) for each in (parameters.get("port") or "").split(",")]
    if not hosts:
        # Like libpq without a host, on the port that was given.
        if "port" not in parameters:
            return (), ()
        hosts = ["localhost"]
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts):
        raise WrongAddress(
            f"the database address has {len(ports)} ports for {len(hosts)} hosts: port needs one, or one for each"
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


def _tls(parameters: Mapping[str, str]) -> dict[str, Any]:
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
        return {"ssl": ssl.create_default_context()}
    for name in _FILES:
        path = parameters.get(name)
        if path and not os.access(path, os.R_OK):
            raise WrongAddress(f"the database address names a file in {name} that cannot be read")
    known = {name: parameters[name] for name in _TLS if parameters.get(name)}
    arguments: dict[str, Any] = {"ssl": mode} if mode else {}
    if known:
        arguments["dsn"] = f"postgresql://?{urlencode(known, quote_via=quote)}"
    return arguments


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _shown(name: str) -> str:
    """Return the name of a parameter, unless it looks like part of a password."""
    return repr(name) if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,31}", name) else "with an unreadable name"
