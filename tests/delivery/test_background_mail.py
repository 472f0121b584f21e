from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta

import pytest

from czo_auth.core.errors import MailNotConfigured, MailUnavailable
from czo_auth.core.mail import MailMessage
from czo_auth.delivery.background_mail import BackgroundMail, BackgroundMailPolicy
from czo_auth.delivery.log_mail import LogMail
from czo_auth.delivery.no_mail import NoMail
from tests.delivery.waiting import until

TOKEN = "czm_" + "t" * 42 + "A"
SOON = timedelta(seconds=5)


def message(number: int = 0) -> MailMessage:
    return MailMessage(
        to=f"ada{number}@example.com",
        subject="Hello",
        text=f"https://auth.example.com/?token={TOKEN}",
        kind="verification",
        token=TOKEN,
    )


class MailServer:
    """Takes mail; first raises what it was told to, and waits while it is shut."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.taken: list[str] = []
        self.tries = 0
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, message: MailMessage) -> None:
        self.tries += 1
        await self.open.wait()
        if self.faults:
            raise self.faults.pop(0)
        self.taken.append(message.to)


def policy(capacity: int = 1000, first_pause: float = 0.01) -> BackgroundMailPolicy:
    return BackgroundMailPolicy(
        capacity=capacity, senders=2, tries=3, first_pause=timedelta(seconds=first_pause)
    )


async def test_sender_does_not_wait_for_the_mail_server() -> None:
    mail_server = MailServer()
    mail_server.open.clear()
    outgoing = BackgroundMail(mail_server, policy=policy())
    # The mail server takes nothing before it is opened: who waited for it would wait for ever.
    async with asyncio.timeout(60):
        for number in range(10):
            await outgoing.send(message(number))
    assert mail_server.taken == []
    mail_server.open.set()
    await outgoing.drain(within=SOON)
    assert sorted(mail_server.taken) == sorted(f"ada{number}@example.com" for number in range(10))


async def test_message_is_sent_again_after_an_outage() -> None:
    mail_server = MailServer(MailUnavailable(), ConnectionError())
    outgoing = BackgroundMail(mail_server, policy=policy())
    await outgoing.send(message())
    await until(lambda: mail_server.taken)
    assert mail_server.tries == 3


@pytest.mark.parametrize("fault", [MailUnavailable(retry_after=None), MailNotConfigured()])
async def test_message_that_is_refused_for_good_is_not_sent_again(fault: Exception) -> None:
    mail_server = MailServer(fault)
    outgoing = BackgroundMail(mail_server, policy=policy())
    await outgoing.send(message())
    await outgoing.drain(within=SOON)
    assert mail_server.tries == 1


async def test_full_queue_drops_without_refusing_and_without_naming_anybody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mail_server = MailServer()
    mail_server.open.clear()
    outgoing = BackgroundMail(mail_server, policy=policy(capacity=3))
    for number in range(10):
        await outgoing.send(message(number))
    mail_server.open.set()
    await outgoing.drain(within=SOON)
    assert len(mail_server.taken) == 3
    assert caplog.text.count("was dropped") == 7
    assert "ada" not in caplog.text


async def test_token_stays_out_of_the_log_whatever_the_mail_server_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    outgoing = BackgroundMail(
        MailServer(*(RuntimeError(f"refused: {message().text}") for _ in range(3))), policy=policy()
    )
    await outgoing.send(message())
    await outgoing.drain(within=SOON)
    assert "could not be sent" in caplog.text
    assert TOKEN not in caplog.text


async def test_drain_cuts_pauses_short() -> None:
    mail_server = MailServer(MailUnavailable())
    outgoing = BackgroundMail(mail_server, policy=policy(first_pause=60))
    await outgoing.send(message())
    await until(lambda: mail_server.tries)
    await outgoing.drain(within=SOON)
    assert mail_server.taken == ["ada0@example.com"]


async def test_drain_gives_up_in_time_and_says_how_many_are_left(caplog: pytest.LogCaptureFixture) -> None:
    mail_server = MailServer()
    mail_server.open.clear()
    outgoing = BackgroundMail(mail_server, policy=policy())
    for number in range(5):
        await outgoing.send(message(number))
    began = time.monotonic()
    await outgoing.drain(within=timedelta(seconds=0.05))
    assert time.monotonic() - began < 20
    assert "5 mails were not sent" in caplog.text
    await outgoing.send(message())
    assert "queue is full or closed" in caplog.text
    assert len(asyncio.all_tasks()) == 1


async def test_log_mail_shows_the_developer_the_link(caplog: pytest.LogCaptureFixture) -> None:
    await LogMail(environment="development").send(message())
    assert [record.name for record in caplog.records] == ["czo_auth.mail"]
    assert TOKEN in caplog.text


def test_log_mail_is_refused_in_production() -> None:
    with pytest.raises(ValueError, match="development only"):
        LogMail(environment="production")


async def test_no_mail_refuses_every_message() -> None:
    with pytest.raises(MailNotConfigured):
        await NoMail().send(message())


class MailStore:
    """Keeps what it is given, as long as there is room."""

    def __init__(self, room: int = 1000, fault: Exception | None = None) -> None:
        self.room, self.fault = room, fault
        self.kept: list[str] = []

    async def keep(self, message: MailMessage) -> bool:
        if self.fault is not None:
            raise self.fault
        if len(self.kept) >= self.room:
            return False
        self.kept.append(message.to)
        return True


async def test_what_no_server_takes_now_is_kept_and_what_one_refuses_is_not() -> None:
    down = [MailUnavailable() for _ in range(3)]
    refusal = MailUnavailable()
    refusal.retry_after = None
    mail_server, store = MailServer(*down, refusal), MailStore()
    outgoing = BackgroundMail(mail_server, keep=store.keep, policy=policy())
    await outgoing.send(message(0))
    await until(lambda: bool(store.kept))
    await outgoing.send(message(1))
    await until(lambda: mail_server.tries == 4)
    await outgoing.drain(within=SOON)
    assert store.kept == ["ada0@example.com"]
    assert mail_server.taken == []


async def test_what_is_left_at_the_end_and_what_has_no_room_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    mail_server, store = MailServer(), MailStore()
    mail_server.open.clear()
    outgoing = BackgroundMail(mail_server, keep=store.keep, policy=policy(capacity=3))
    for number in range(6):
        await outgoing.send(message(number))
        await asyncio.sleep(0)
    await outgoing.drain(within=timedelta(seconds=0.05))
    await outgoing.send(message(6))
    assert sorted(store.kept) == [f"ada{number}@example.com" for number in range(7)]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("store", [MailStore(room=0), MailStore(fault=MailUnavailable())])
async def test_what_nobody_can_keep_is_identified_by_its_kind(
    store: MailStore, caplog: pytest.LogCaptureFixture
) -> None:
    mail_server = MailServer(*[MailUnavailable() for _ in range(3)])
    outgoing = BackgroundMail(mail_server, keep=store.keep, policy=policy())
    await outgoing.send(message())
    await outgoing.drain(within=SOON)
    assert "mail of kind verification could not be sent" in caplog.text
    assert "ada0" not in caplog.text
    assert TOKEN not in caplog.text
