"""What 10⁸ keys and 10⁵ checks a second would need: arithmetic over measured sizes, costs and the simulation."""

from __future__ import annotations

import random
from dataclasses import dataclass

from benchmarks.capacity.simulation import Load, recalled

AT_MOST = 0.6
"""How busy a core may be on average, to leave room for a lost machine and for peaks."""
REMEMBERED = 200_000
"""Keys that a process may cache, about a kilobyte each; most expire before."""


@dataclass(frozen=True)
class Plan:
    """
    Attributes:
        changes_a_second: Changes that take a right away, in the whole deployment.
        recalled: Share of the checks that a process answers from its cache.
        server_cores, database_cores: Number of cores, each busy to ``AT_MOST``.
        asked_a_second: Checks that reach the database.
    """

    changes_a_second: float
    recalled: float
    server_cores: float
    database_cores: float
    asked_a_second: float


def plan(
    *,
    keys: int,
    checks_a_second: float,
    processes: int,
    changes_a_second: float,
    bound_seconds: float,
    server_cost: float,
    recalled_cost: float,
    asked_cost: float,
    database_cost: float,
) -> Plan:
    """
    Compute cores; costs in µs of CPU for one check.

    Args:
        server_cost: Of the web server around one check.
        recalled_cost, asked_cost: Of the process, for a key from its cache and for one from the database.
        database_cost: Of PostgreSQL, for a key that a process asks for. It and *asked_cost* depend on how many
            lookups wait together: those of one at a time are the upper bound.
    """
    load = Load(
        keys=keys,
        checks_a_second=checks_a_second / processes,
        changes_a_second=changes_a_second,
        remembered=REMEMBERED,
        bound_seconds=bound_seconds,
    )
    # Long enough that the cache is as full as it gets.
    part = recalled(load, seconds=3 * bound_seconds, chance=random.Random(3))
    server = server_cost + part * recalled_cost + (1 - part) * asked_cost
    asked = checks_a_second * (1 - part)
    return Plan(
        changes_a_second=changes_a_second,
        recalled=part,
        server_cores=checks_a_second * server / 1e6 / AT_MOST,
        database_cores=asked * database_cost / 1e6 / AT_MOST,
        asked_a_second=asked,
    )
