"""
What the environment adds to a PostgreSQL address, as the driver reads it.

Source: PostgreSQL 18, section 32.15 (environment variables).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from czo_auth.storage.postgresql_parameters import (
    DEMANDS,
    DRIVER_READS,
    ENVIRONMENT,
    FILES,
    WrongVariable,
    refuse_unusable,
)


def environment_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """
    Return what variables of libpq say and *parameters* do not, as far as the driver reads it or should have.

    Raises:
        WrongVariable: One cannot be obeyed; the sentence names it.
    """
    found = _found(parameters)
    refuse_unusable(found, ENVIRONMENT)
    if found.get("sslrootcert") == "system":
        raise WrongVariable(
            "the environment sets PGSSLROOTCERT=system, which czo-auth reads in the database address only: "
            "write sslrootcert=system there"
        )
    return found


def _found(parameters: Mapping[str, str]) -> dict[str, str]:
    found = {
        name: value
        for name in (*sorted(DRIVER_READS), "hostaddr", *DEMANDS)
        if (value := os.environ.get(ENVIRONMENT.spelled(name))) and not parameters.get(name)
    }
    if parameters.get("hostaddr"):
        # The address says where the server is; a name beside it would only be compared with its certificate.
        found.pop("host", None)
    mode = parameters.get("sslmode") or found.get("sslmode") or "prefer"
    # The driver opens certificates for TLS only, and those of authorities where it verifies the server.
    for name in FILES if mode == "disable" or parameters.get("sslrootcert") == "system" else ():
        found.pop(name, None)
    for name in ("sslrootcert", "sslcrl") if mode in ("allow", "prefer") else ():
        found.pop(name, None)
    return found
