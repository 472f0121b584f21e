"""S17, S18: every kind of change takes a right away at the next request, and only because the triggers report it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx
import pytest

from czo_auth import Auth
from tests.attacks.guarded_routes import guarded_routes
from tests.attacks.removable import Credential
from tests.attacks.removals import Change, changes_on
from tests.attacks.revocation import ISSUER, REFUSALS, settings_of
from tests.attacks.triggers import Watched, all_watched, disarm_triggers, record_triggers, recorded

NEVER_UPDATED = "nothing in the product updates it"
REVOKED_BEFORE = "such rows are revoked first, or have long expired"
CHANGED_BY_NO_KIND: dict[Watched, str] = {
    ("api_keys", "update", "actor_type"): NEVER_UPDATED,
    ("api_keys", "update", "organization_id"): NEVER_UPDATED,
    ("api_keys", "delete", ""): REVOKED_BEFORE,
    ("members", "insert", ""): "it only gives: sessions and keys leave an organization with the membership",
    ("sessions", "update", "actor_type"): NEVER_UPDATED,
    ("sessions", "update", "auth_time"): "it only gives: a newer proof",
    ("sessions", "update", "expires_at"): NEVER_UPDATED,
    ("sessions", "delete", ""): REVOKED_BEFORE,
}
"""What is watched although no request takes a right away by it, and why."""


@dataclass
class Outcome:
    """
    What one process did.

    Attributes:
        faults: What should not have happened, whether or not the triggers work.
        refused: Credentials that were refused after their change.
        let_in: Those that were let in all the same.
        moved: What the triggers watch and the changes changed.
    """

    faults: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    let_in: list[str] = field(default_factory=list)
    moved: set[Watched] = field(default_factory=set)


async def carry_out_all(database_url: str, *, disarmed: bool) -> Outcome:
    """Carry out one change of every kind in one process that has used what it takes."""
    outcome = Outcome()
    auth = Auth(settings_of(database_url))
    await auth.start()
    try:
        changes = await changes_on(auth, 1)
        record_triggers(database_url)
        if disarmed:
            await disarm_triggers(database_url)
        transport = httpx.ASGITransport(guarded_routes(auth))
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as client:
            for change in changes:
                await _carry_out(client, change, outcome)
    finally:
        await auth.stop()
    outcome.moved = recorded(database_url)
    return outcome


async def _carry_out(client: httpx.AsyncClient, change: Change, outcome: Outcome) -> None:
    for credential in [*change.takes, *change.takes]:
        if (status := await _use(client, credential)) != 200:
            outcome.faults.append(f"{credential.name} was not let in before: {status}")
    headers = {"authorization": f"Bearer {change.bearer}"} if change.bearer else {}
    answer = await client.request(
        change.method, f"/api/auth{change.path}", json=change.content(), headers=headers
    )
    if answer.status_code != change.status:
        outcome.faults.append(f"{change.kind} failed: {answer.status_code} {answer.text}")
        return
    await asyncio.sleep(change.delay)
    for credential in change.takes:
        for _ in range(credential.spared):
            await _use(client, credential)
        status = await _use(client, credential)
        (outcome.let_in if status == 200 else outcome.refused).append(credential.name)
        if status not in (200, *REFUSALS):
            outcome.faults.append(f"{credential.name} got {status} afterwards")


async def _use(client: httpx.AsyncClient, credential: Credential) -> int:
    headers = {"authorization": f"Bearer {credential.text}"}
    return (await client.get(credential.path, headers=headers)).status_code


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What a process does whose triggers work."""
    folder = tmp_path_factory.mktemp("removals")
    return asyncio.run(carry_out_all(f"sqlite:///{folder / 'database.sqlite3'}", disarmed=False))


def test_every_kind_of_change_ends_what_it_takes(outcome: Outcome) -> None:
    assert outcome.faults == []
    assert outcome.let_in == []


def test_everything_that_the_triggers_watch_is_changed_by_some_kind(outcome: Outcome) -> None:
    """So a new column needs a kind here, or a reason why no request takes anything away by it."""
    assert outcome.moved.isdisjoint(CHANGED_BY_NO_KIND), "it is changed after all"
    assert sorted(all_watched() - outcome.moved - set(CHANGED_BY_NO_KIND)) == []


async def test_without_the_triggers_every_kind_would_let_in_what_it_takes(sqlite_url: str) -> None:
    outcome = await carry_out_all(sqlite_url, disarmed=True)
    assert outcome.faults == []
    assert outcome.refused == []
