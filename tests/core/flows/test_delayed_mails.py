"""Mails that no server takes for a day are kept, sealed, and sent once."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

import pytest

from czo_auth.core.errors import MailUnavailable
from czo_auth.core.flows.delayed_mails import KEPT_FOR, DelayedMails
from czo_auth.core.limits import MAX_QUEUED_MAILS
from czo_auth.core.mail import MailKind, MailMessage
from czo_auth.core.mail_queue import QueuedMail
from tests.contract.database import sql
from tests.core.flows.deployment import NOW, Deployment

TOKEN = "czm_" + "t" * 42 + "A"
LATER = timedelta(minutes=1)


def message(
    number: int = 0, *, kind: MailKind = "password_changed", valid_for: timedelta | None = None
) -> MailMessage:
    return MailMessage(
        to=f"ada{number}@example.com",
        subject="Café",
        text=f"https://auth.example.com/?token={TOKEN}",
        html="<p>é</p>",
        kind=kind,
        token=TOKEN,
        language="fr",
        valid_for=valid_for,
    )


class UnreliableMail:
    """A mail server that may be down, or refuse for good."""

    def __init__(self) -> None:
        self.taken: list[MailMessage] = []
        self.tries = 0
        self.fault: Exception | None = None

    async def send(self, message: MailMessage) -> None:
        self.tries += 1
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        self.taken.append(message)


def delayed(deployment: Deployment) -> DelayedMails:
    return deployment.runtime.delayed_mails


async def waiting(deployment: Deployment) -> int:
    return (await deployment.transactions.read(lambda tx: tx.mail_queue.count_waiting()))[0]


async def test_a_mail_survives_a_server_that_is_down_for_a_day_and_is_sent_once(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    mail, mails = UnreliableMail(), delayed(deployment)
    mail.fault = MailUnavailable()
    assert await mails.keep(message(), now=NOW)
    now = NOW
    while now < NOW + timedelta(days=1):
        now += timedelta(minutes=10)
        await mails.send_due(mail, now=now)
    assert 20 < mail.tries < 40, "once an hour in the end"
    assert await waiting(deployment) == 1
    assert "1 mails wait for the mail server" in caplog.text
    mail.fault = None
    for _ in range(3):
        now += timedelta(hours=1)
        await mails.send_due(mail, now=now)
    assert mail.taken == [message()]
    assert await waiting(deployment) == 0
    assert "ada0" not in caplog.text
    assert TOKEN not in caplog.text


async def test_a_stored_mail_is_encrypted(deployment: Deployment) -> None:
    await delayed(deployment).keep(message(), now=NOW)

    def rows(tx: object) -> str:
        connection, tables = tx.connection, tx.tables  # type: ignore[attr-defined]
        return str(connection.execute(tables.mail_queue.select()).all())

    stored = await deployment.transactions.read(rows)
    assert "password_changed" in stored
    for secret in (TOKEN, "ada0", "example.com", "Café"):
        assert secret not in stored


@pytest.mark.parametrize(
    ("valid_for", "lifetime"),
    [(None, KEPT_FOR), (timedelta(hours=1), timedelta(hours=1)), (timedelta(days=7), KEPT_FOR)],
)
async def test_a_mail_is_given_up_when_its_link_expires_or_after_two_days(
    deployment: Deployment,
    caplog: pytest.LogCaptureFixture,
    valid_for: timedelta | None,
    lifetime: timedelta,
) -> None:
    mail, mails = UnreliableMail(), delayed(deployment)
    await mails.keep(message(valid_for=valid_for), now=NOW)
    with caplog.at_level(logging.ERROR, "czo_auth.mail"):
        await mails.send_due(mail, now=NOW + lifetime)
    assert mail.tries == 0
    assert await waiting(deployment) == 0
    assert "mail of kind password_changed was given up" in caplog.text


async def test_what_the_server_refuses_for_good_is_not_offered_again(deployment: Deployment) -> None:
    mail, mails = UnreliableMail(), delayed(deployment)
    mail.fault = MailUnavailable(retry_after=None)
    mail.fault.retry_after = None
    await mails.keep(message(), now=NOW)
    await mails.send_due(mail, now=NOW + LATER)
    assert (mail.tries, await waiting(deployment)) == (1, 0)


async def test_a_server_that_is_down_is_not_asked_for_each_mail(deployment: Deployment) -> None:
    mail, mails = UnreliableMail(), delayed(deployment)
    mail.fault = MailUnavailable()
    for number in range(10):
        await mails.keep(message(number), now=NOW)
    await mails.send_due(mail, now=NOW + LATER)
    assert mail.tries == 3
    mail.fault = None
    await mails.send_due(mail, now=NOW + timedelta(hours=1))
    assert sorted(each.to for each in mail.taken) == sorted(message(number).to for number in range(10))


async def test_several_processes_send_a_mail_once(deployment: Deployment) -> None:
    mail, mails = UnreliableMail(), delayed(deployment)
    for number in range(5):
        await mails.keep(message(number), now=NOW)
    await asyncio.gather(*(mails.send_due(mail, now=NOW + LATER) for _ in range(4)))
    assert len(mail.taken) == 5
    assert await waiting(deployment) == 0


async def test_a_process_that_dies_in_an_attempt_leaves_the_mail_to_another(deployment: Deployment) -> None:
    mail, mails = UnreliableMail(), delayed(deployment)
    await mails.keep(message(), now=NOW)

    def claim(tx: object) -> bool:
        queue = tx.mail_queue  # type: ignore[attr-defined]
        (mail,) = queue.list_due(now=NOW + LATER, limit=1)
        return bool(queue.claim(mail, until=NOW + timedelta(minutes=6)))

    assert await deployment.transactions.run(claim)
    await mails.send_due(mail, now=NOW + timedelta(minutes=2))
    assert mail.tries == 0
    await mails.send_due(mail, now=NOW + timedelta(minutes=6))
    assert len(mail.taken) == 1


async def test_the_queue_is_bounded(deployment: Deployment) -> None:
    def queued(number: int, at: datetime) -> QueuedMail:
        return QueuedMail(
            id=f"00000000-0000-7000-8000-{number:012}",
            kind="password_changed",
            sealed="",
            attempts=0,
            next_at=at,
            created_at=at,
            expires_at=at,
        )

    added = [
        await deployment.transactions.run(lambda tx, n=number: tx.mail_queue.add(queued(n, NOW), limit=3))  # type: ignore[misc]
        for number in range(5)
    ]
    assert added == [True, True, True, False, False]
    count, since = await deployment.transactions.read(lambda tx: tx.mail_queue.count_waiting())
    assert (count, since) == (3, NOW)


async def test_ten_thousand_mails_wait_and_no_more(deployment: Deployment) -> None:
    await sql(
        deployment.runtime.settings.storage_url,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) "
        "INSERT INTO {}mail_queue (id, kind, sealed, attempts, next_at, created_at, expires_at) "
        "SELECT 'mail-' || CAST(i AS TEXT), 'password_changed', '', 0, $2, $2, $2 FROM n",
        MAX_QUEUED_MAILS - 1,
        int(NOW.timestamp() * 1000),
    )
    assert await delayed(deployment).keep(message(), now=NOW)
    assert not await delayed(deployment).keep(message(1), now=NOW)
    assert await waiting(deployment) == MAX_QUEUED_MAILS
