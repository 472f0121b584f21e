"""Owners with many keys: the first page of an organization, and the ban of somebody with many dead ones."""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path

from benchmarks.growth import fill, work
from benchmarks.measure import OURS, Row
from benchmarks.people_rows import Person, Service, serving
from czo_auth.storage.migrate import upgrade_blocking

FEW, MANY = 10, 10_000
_USERS = 1_000
_LISTED = 40
"""Requests per round: the CPU clock has a resolution of ten milliseconds."""


def rows(directory: Path, *, rounds: int) -> list[Row]:
    """Measure CPU time on SQLite, as a multiple of the cost with few keys."""
    return [_list_row(directory, rounds=rounds), _ban_row(directory, rounds=rounds)]


def _list_row(directory: Path, *, rounds: int) -> Row:
    with serving(directory) as service:
        owner = service.newcomer()
        few, many = (_organization(service, directory, owner, keys) for keys in (FEW, MANY))
        ratios = []
        for number in range(rounds + 1):
            ratio = _listing(service, owner, many) / _listing(service, owner, few)
            if number:
                ratios.append(ratio)
    return _row(
        f"first {FEW} of {MANY:,} keys of one organization",
        statistics.median(ratios),
        f"x of {FEW} in all",
        2,
    )


def _organization(service: Service, directory: Path, owner: Person, keys: int) -> str:
    organization = service.new_organization(owner)
    database = f"sqlite:///{directory / 'people.sqlite3'}"
    user_id = service.user_id(owner)
    fill.add_keys(database, user_id, dead=0, live=keys, since=10 * keys, organization_id=organization)
    return organization


def _listing(service: Service, owner: Person, organization: str) -> float:
    def list_keys() -> None:
        for _ in range(_LISTED):
            service.call("GET", f"/organizations/{organization}/api-keys?limit={FEW}", bearer=owner.token)

    return service.cpu_of(list_keys)


def _ban_row(directory: Path, *, rounds: int) -> Row:
    url = f"sqlite:///{directory / 'banned.sqlite3'}"
    upgrade_blocking(url)
    fill.fill(url, users=_USERS)
    base = work.Filled(url, _USERS, None)
    found = asyncio.run(work.measure(base, rounds=rounds, only={work.BAN, work.BAN_OF_MANY}))
    return _row(work.BAN_OF_MANY, found[work.BAN_OF_MANY] / found[work.BAN], "x without", 1.2)


def _row(operation: str, value: float, unit: str, target: float) -> Row:
    return Row(operation=operation, subject=OURS, database="sqlite", value=value, unit=unit, target=target)
