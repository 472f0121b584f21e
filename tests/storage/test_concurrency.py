"""What must hold when many do the same at once: in one process, and in several."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from czo_auth.core.devices.authorization import DeviceAuthorization
from czo_auth.core.idempotency.answer import RequestIdentity
from czo_auth.core.mail_queue import QueuedMail
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.store import MailToken
from czo_auth.core.users.user import User
from tests.storage.contests import CONTESTS, Result
from tests.support.records import HOUR, NOW, a_digest, an_id
from tests.support.rows import Rows

ROOT = Path(__file__).parents[2]
AT_ONCE = 32
ROWS = 5


@pytest.mark.parametrize("name", CONTESTS)
async def test_promise_holds_for_many_calls_at_once(rows: Rows, name: str) -> None:
    contest = CONTESTS[name]
    row = await contest.prepare(rows)
    calls = [rows.run(lambda tx: contest.act(tx, row)) for _ in range(AT_ONCE)]
    assert contest.judge(await asyncio.gather(*calls))


# Each of them imports everything: two stand for more.
@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.deep)])
async def test_promises_hold_across_processes(rows: Rows, processes: int) -> None:
    work = {name: [await contest.prepare(rows) for _ in range(ROWS)] for name, contest in CONTESTS.items()}
    answers = await asyncio.to_thread(fight, rows.storage.url, json.dumps(work), processes)
    wrong = {}
    for name, found_rows in work.items():
        for row in found_rows:
            results = [result for answer in answers for result in answer[name][row]]
            assert len(results) == AT_ONCE
            if not CONTESTS[name].judge(results):
                wrong[name] = results
    assert wrong == {}


def fight(url: str, work: str, processes: int) -> list[dict[str, dict[str, list[Result]]]]:
    """Let all contenders loose at the same moment."""
    command = [sys.executable, "-W", "error", "-m", "tests.storage.contender", url, str(AT_ONCE // processes)]
    contenders = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        for contender in contenders:
            assert contender.stdout is not None
            assert contender.stdout.readline() == "ready\n"
        for contender in contenders:
            assert contender.stdin is not None
            contender.stdin.write(f"{work}\n")
            contender.stdin.flush()
        answers = [json.loads(contender.communicate(timeout=240)[0]) for contender in contenders]
        assert [contender.returncode for contender in contenders] == [0] * processes
        return answers
    finally:
        for contender in contenders:
            contender.kill()
            contender.communicate()


async def test_no_more_mail_tokens_live_than_may(rows: Rows) -> None:
    user, digests = await rows.user(), [a_digest() for _ in range(AT_ONCE)]

    async def add(digest: str) -> None:
        token = MailToken(
            id=an_id(), user_id=user.id, purpose="reset_password", email="a@b.c", expires_at=NOW + HOUR
        )

        def add_under_lock(tx: Transaction) -> bool:
            tx.users.lock(user.id)
            return tx.users.add_mail_token(token, digest=digest, limit=3, now=NOW)

        await rows.run(add_under_lock)

    await asyncio.gather(*(add(digest) for digest in digests))
    taken = [
        await rows.run(lambda tx: tx.users.take_mail_token(digest, purpose="reset_password", now=NOW))  # noqa: B023
        for digest in digests
    ]
    assert sum(token is not None for token in taken) == 3


async def test_no_more_mails_wait_than_may(rows: Rows) -> None:
    async def add() -> bool:
        mail = QueuedMail(
            id=an_id(),
            kind="a",
            sealed="v1.k1.nonce.sealed",
            attempts=0,
            next_at=NOW,
            created_at=NOW,
            expires_at=NOW + HOUR,
        )
        return await rows.run(lambda tx: tx.mail_queue.add(mail, limit=3))

    assert sum(await asyncio.gather(*(add() for _ in range(AT_ONCE)))) == 3
    assert (await rows.run(lambda tx: tx.mail_queue.count_waiting()))[0] == 3


async def test_no_more_devices_wait_than_may(rows: Rows) -> None:
    def add_below(limit: int) -> Callable[[Transaction], bool]:
        request = DeviceAuthorization(
            id=an_id(),
            client_id="a",
            name="a",
            scopes=(),
            organization_id=None,
            key_lifetime_seconds=60,
            ip=None,
            status="pending",
            lineage_id=None,
            user_id=None,
            api_key_id=None,
            sealed_key=None,
            poll_seconds=5,
            polled_at=None,
            fetched_at=None,
            created_at=NOW,
            expires_at=NOW + HOUR,
        )

        def add(tx: Transaction) -> bool:
            if tx.device_authorizations.count(now=NOW) >= limit:
                return False
            return tx.device_authorizations.add(request, device_digest=a_digest(), user_digest=a_digest())

        return add

    kept = await asyncio.gather(*(rows.run(add_below(3)) for _ in range(AT_ONCE)))
    assert kept.count(True) == 3


async def test_no_more_ceremonies_of_a_network_are_answered_than_may(rows: Rows) -> None:
    def answer(tx: Transaction) -> bool:
        if tx.passkeys.count_answered("192.0.2.7", now=NOW) >= 3:
            return False
        return tx.passkeys.consume_ceremony(a_digest(), network="192.0.2.7", expires_at=NOW + HOUR)

    answered = await asyncio.gather(*(rows.run(answer) for _ in range(AT_ONCE)))
    assert answered.count(True) == 3


async def test_no_more_answers_of_a_session_are_kept_than_may(rows: Rows) -> None:
    user, lineage_id = await rows.user(), an_id()

    async def begin() -> str:
        request = RequestIdentity(
            id=an_id(),
            user_id=user.id,
            lineage_id=lineage_id,
            route="POST /api-keys",
            name_digest=a_digest(),
            body_kid="k1",
            body_mac=a_digest(),
            shows_enrollment=False,
            created_at=NOW,
            expires_at=NOW + HOUR,
        )

        def step(tx: Transaction) -> None:
            assert tx.idempotency.begin(request)
            tx.idempotency.forget_oldest(request, keep=3)

        await rows.run(step)
        return request.id

    begun = await asyncio.gather(*(begin() for _ in range(AT_ONCE)))

    def kept(tx: Transaction) -> list[bool]:
        found = (tx.idempotency.find_by_id(each, lineage_id=lineage_id, now=NOW) for each in begun)
        return [each is not None for each in found]

    assert (await rows.run(kept)).count(True) == 3


async def test_steps_that_lock_in_opposite_order_both_succeed(rows: Rows) -> None:
    """PostgreSQL ends one of two that wait for each other; it is run again from the start."""
    first, second = await rows.user(), await rows.user()
    runs = 0

    async def change(*users: User) -> None:
        def step(tx: Transaction) -> None:
            nonlocal runs
            runs += 1
            for user in users:
                assert tx.users.lock(user.id) is not None
                tx.users.bump_credential_version(user.id, now=NOW)
                if rows.storage.dialect == "postgresql":
                    # Long enough for the other to hold its first lock too.
                    tx.connection.exec_driver_sql("SELECT pg_sleep(0.5)")  # type: ignore[attr-defined]

        await rows.run(step)

    await asyncio.gather(change(first, second), change(second, first))
    for user in (first, second):
        found = await rows.run(lambda tx: tx.users.find(user.id))  # noqa: B023
        assert found is not None
        assert found.credential_version == 3
    assert runs == (2 if rows.storage.dialect == "sqlite" else 3)
