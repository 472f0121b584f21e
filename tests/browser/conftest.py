"""A real server and the system's Chromium, shared by the browser tests of one run."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from czo_auth import Auth
from czo_auth.testing import Mailbox
from tests.browser.visitor import DRIFT, NewVisitor, Visitor, new_email
from tests.contract.deployments import create_admin
from tests.support.server import RunningServer
from tests.support.settings import KEY, settings

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
TIMEOUT_MILLISECONDS = 60_000
"""How long a page may take to do something: long, for a busy machine."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine: the browser tests need one")
    expect.set_options(timeout=TIMEOUT_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=ARGUMENTS, timeout=2 * TIMEOUT_MILLISECONDS
        )
        yield browser
        browser.close()


@dataclass
class Deployment:
    """The server, and what an operator can do beside it."""

    server: RunningServer
    database_url: str

    @property
    def base(self) -> str:
        """Where its links lead: at this machine's name, as the server calls itself."""
        return f"http://localhost:{self.server.port}/account"

    def operate(self, act: Callable[[Auth], Any], *, mail: Mailbox | None = None, **more: Any) -> Any:
        """Do something on the database, as the command line does, or as a server with other settings would."""

        async def run() -> Any:
            auth = Auth(settings(self.database_url, **more), mail=mail)
            try:
                await auth.open()
                return await act(auth)
            finally:
                await auth.stop()

        # Playwright keeps an event loop in this thread.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(run())).result()

    def mailed(self, email: str, page: str) -> str:
        """Wait for the mail with a link to *page*; gives its token. Without a mail server, mails go to the log."""
        wanted = re.compile(rf"/account/{page}\?token=(czm_[A-Za-z0-9_-]+)")
        deadline = time.monotonic() + TIMEOUT_MILLISECONDS / 1000
        while time.monotonic() < deadline:
            output = self.server.output()
            if found := wanted.findall(output[max(0, output.rfind(email)) :]):
                return str(found[-1])
            time.sleep(0.05)
        raise AssertionError(f"no mail to {email}")

    def new_admin(self) -> str:
        """Make an administrator without a second factor; gives the address."""
        email = new_email()
        self.operate(lambda auth: create_admin(auth, email, now=datetime.now(UTC)))
        return email


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The standalone server, with its pages."""
    directory: Path = tmp_path_factory.mktemp("browser")
    database_url = f"sqlite:///{directory / 'browser.sqlite3'}"
    server = RunningServer(
        directory,
        database_url=database_url,
        env={
            "AUTH_ENCRYPTION_KEY": KEY,
            "CZO_AUTH_RATE_LIMIT_ENABLED": "false",
            "CZO_AUTH_TOTP_DRIFT": str(DRIFT),
        },
        weak_hashes=True,
    )
    server.start()
    yield Deployment(server, database_url)
    server.stop()


@pytest.fixture
def visit(chromium: Browser, deployment: Deployment) -> Iterator[NewVisitor]:
    """Let somebody come, with a browser of their own; in the end no page may have complained on its console."""
    visitors: list[Visitor] = []

    def come(*, email: str | None = None, **browser: Any) -> Visitor:
        options = {"locale": "en-GB", "viewport": {"width": 1100, "height": 800}, **browser}
        context = chromium.new_context(**options)
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        visitor = Visitor(context.new_page(), deployment.base, email=email or new_email())
        visitors.append(visitor)
        return visitor

    yield come
    for visitor in visitors:
        visitor.page.context.close()
    assert not [complaint for visitor in visitors for complaint in visitor.complaints]
