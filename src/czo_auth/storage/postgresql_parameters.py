"""
The parameters of libpq, and what czo-auth does with each: pass it on, drop it or refuse it.

Every parameter that libpq 18 knows is decided here: passed on, dropped because the driver has no use for it, or refused
because leaving it out would weaken what the address asks for. Values that libpq does not know are refused everywhere.

Source: PostgreSQL 18, sections 32.1.2 (parameter key words) and 32.15 (environment variables).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from czo_auth.errors import StartRefused

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_NUMBER: Final = re.compile(r"-?[0-9]{1,9}")

AS_TEXT: Final = ("user", "password", "passfile", "krbsrvname", "gsslib", "service", "servicefile")
"""Passed to asyncpg under the same name."""

FILES: Final = ("sslcert", "sslkey", "sslrootcert", "sslcrl")
TLS: Final = (*FILES, "sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version")
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
_KNOWN: Final = frozenset({*AS_TEXT, *TLS, *_CHOICES, *_DROPPED, *_HARMLESS, *_REFUSED, *_READ_HERE})


VARIABLES: Final[Mapping[str, str]] = {
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


DRIVER_READS: Final = frozenset(VARIABLES) - {"hostaddr", "options", "connect_timeout"}
"""asyncpg takes these from the environment, where neither the address nor its service names them."""

DEMANDS: Final[Mapping[str, str]] = {
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


class WrongVariable(WrongAddress):
    """A variable of libpq in the environment cannot be used; the sentence names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSource:
    """
    Where parameters come from, for messages.

    Attributes:
        variables: The names under which they are set there, where they differ.
        error: What is raised for one that cannot be used.
    """

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    error: type[WrongAddress] = WrongAddress

    def spelled(self, parameter: str) -> str:
        return self.variables.get(parameter, parameter)


ADDRESS: Final = ParameterSource(name="the database address")
ENVIRONMENT: Final = ParameterSource(
    name="the environment", variables={**VARIABLES, **DEMANDS}, error=WrongVariable
)


def refuse_unusable(parameters: Mapping[str, str], source: ParameterSource) -> None:
    """
    Refuse parameters and values that libpq does not know, and those that cannot be obeyed.

    Raises:
        WrongAddress: Names the parameter as it is spelled in *source*, and shows no value.
    """
    for name, value in parameters.items():
        spelled = source.spelled(name)
        if name not in _KNOWN:
            raise source.error(
                f"{source.name} has the parameter {shown(name)}, "
                "which PostgreSQL's clients do not know: remove it"
            )
        if name in _REFUSED and value:
            raise source.error(f"{source.name} sets {spelled}, which czo-auth cannot obey: remove it")
        if name in _CHOICES and value and value not in _CHOICES[name]:
            raise source.error(
                f"{source.name} sets {spelled} to an unknown value: it is one of {', '.join(_CHOICES[name])}"
            )
        if name in _NUMBERS and value and not _NUMBER.fullmatch(value):
            raise source.error(f"{source.name} sets {spelled} to something that is not a whole number")
        if name in _HARMLESS and value and value.lower() not in _HARMLESS[name]:
            raise source.error(
                f"{source.name} asks {spelled} for more than czo-auth can do: "
                f"remove it, or set it to {_HARMLESS[name][0]}"
            )
    if "ssl" in parameters:
        raise WrongAddress("the database address sets ssl: write sslmode, for example sslmode=require")


def shown(name: str) -> str:
    """Return the name of a parameter, unless it looks like part of a password."""
    return repr(name) if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,31}", name) else "with an unreadable name"
