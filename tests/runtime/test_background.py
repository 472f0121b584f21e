"""Work beside the requests: what fails is told, and ends nothing else."""

from __future__ import annotations

import asyncio
import logging

import pytest

from czo_auth.core.errors import RateLimited
from czo_auth.delivery.no_mail import NoMail
from czo_auth.runtime.background import BackgroundTasks


async def test_refused_work_is_told_by_its_code_and_without_a_trace(caplog: pytest.LogCaptureFixture) -> None:
    done = asyncio.Event()

    async def refused() -> None:
        raise RateLimited

    async def other() -> None:
        done.set()

    background = BackgroundTasks(NoMail())
    with caplog.at_level(logging.WARNING, "czo_auth"):
        background.spawn(refused())
        background.spawn(other())
        await background.finish()
    assert done.is_set()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert RateLimited.code in record.getMessage()
    assert record.exc_info is None


async def test_a_defect_is_told_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> None:
        raise KeyError("left")

    background = BackgroundTasks(NoMail())
    with caplog.at_level(logging.WARNING, "czo_auth"):
        background.spawn(broken())
        await background.finish()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info
