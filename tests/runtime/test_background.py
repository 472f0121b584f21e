"""Work beside the requests: what fails is told, and ends nothing else."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from czo_auth.brand import Brand
from czo_auth.core.errors import RateLimited
from czo_auth.delivery.no_mail import NoMail
from czo_auth.mails import MailWriter
from czo_auth.runtime.background import BackgroundTasks
from czo_auth.translations import shipped

WRITER = MailWriter(shipped(), Brand(name="Shop"), url="https://auth.example.com")


async def test_refused_work_is_identified_by_its_code_and_without_a_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done = asyncio.Event()

    async def refused() -> None:
        raise RateLimited

    async def other() -> None:
        done.set()

    background = BackgroundTasks(NoMail(), writer=WRITER)
    with caplog.at_level(logging.WARNING, "czo_auth"):
        background.spawn(refused())
        background.spawn(other())
        await background.finish()
    assert done.is_set()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert RateLimited.code in record.getMessage()
    assert record.exc_info is None


async def test_a_defect_is_reported_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> None:
        raise KeyError("left")

    background = BackgroundTasks(NoMail(), writer=WRITER)
    with caplog.at_level(logging.WARNING, "czo_auth"):
        background.spawn(broken())
        await background.finish()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info


async def test_the_end_waits_a_while_and_then_cancels_what_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended: list[str] = []

    async def work(name: str, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
            ended.append(f"{name} done")
        except asyncio.CancelledError:
            ended.append(f"{name} called off")
            raise

    background = BackgroundTasks(NoMail(), writer=WRITER, last_wait=timedelta(seconds=0.2))
    background.spawn(work("short", 0.01))
    background.spawn(work("long", 3600))
    await background.finish()
    assert ended == ["short done", "long called off"]
    assert not caplog.records


async def test_the_end_waits_for_work_that_other_work_begins() -> None:
    """What is begun at the end would run on a database that is being closed."""
    ended: list[str] = []
    background = BackgroundTasks(NoMail(), writer=WRITER)

    async def second() -> None:
        await asyncio.sleep(0.02)
        ended.append("second")

    async def first() -> None:
        await asyncio.sleep(0.02)
        background.spawn(second())
        ended.append("first")

    background.spawn(first())
    await background.finish()
    assert ended == ["first", "second"]


async def test_a_run_that_must_finish_is_waited_for_and_no_other_begins() -> None:
    """A write that took counted uses from memory would lose them if it were canceled."""
    ended: list[str] = []
    begun = asyncio.Event()
    background = BackgroundTasks(NoMail(), writer=WRITER)

    async def write() -> None:
        begun.set()
        await asyncio.sleep(0.05)
        ended.append("written")

    async def tidy() -> None:
        await asyncio.sleep(0.05)
        ended.append("tidied")

    every = timedelta(milliseconds=10)
    background.repeat(write, every=every, finishes=True)
    background.repeat(tidy, every=every)
    await begun.wait()
    await background.finish()
    await asyncio.sleep(0.1)
    assert ended == ["written"]


async def test_repetitions_that_finish_begin_again_after_an_end() -> None:
    runs = 0
    twice = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            twice.set()

    background = BackgroundTasks(NoMail(), writer=WRITER)
    background.repeat(work, every=timedelta(hours=1), finishes=True)
    await background.finish()
    assert runs == 0
    background.repeat(work, every=timedelta(milliseconds=5), finishes=True)
    await asyncio.wait_for(twice.wait(), 10)
    await background.finish()
