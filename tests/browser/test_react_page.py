"""The example with React and better-auth's client, in Chromium: sign-up, TOTP, passkey, key and organization."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from czo_auth.crypto import totp
from examples.react_page.__main__ import HERE, INSTALL
from tests.browser.virtual_authenticator import VirtualAuthenticator
from tests.examples.hosts import HostProcess
from tests.support.npm import installed

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]
INSTALL_SECONDS = 400


@pytest.fixture
def page(chromium: Browser, tmp_path: Path) -> Iterator[Page]:
    packages = json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]
    made = installed(packages, command=INSTALL, seconds=INSTALL_SECONDS, with_scripts=True)
    data = tmp_path / "data"
    data.mkdir()
    (data / "node_modules").symlink_to(made / "node_modules")
    host = HostProcess(["-m", "examples.react_page"], tmp_path)
    host.start()
    context = chromium.new_context()
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    opened.goto(f"http://localhost:{host.port}/")
    yield opened
    context.close()
    host.kill()


def test_person_signs_up_enrolls_and_works_with_the_unchanged_client(page: Page) -> None:
    VirtualAuthenticator(page)
    reported, who = page.locator("#told"), page.locator("#who")
    expect(who).to_have_text("nobody")
    page.get_by_label("Email").fill("bo@shop.example")
    page.get_by_label("Password").fill("a long enough phrase")
    page.get_by_role("button", name="Sign up").click()
    expect(who).to_have_text("bo@shop.example, two factors off")

    page.get_by_role("button", name="Turn two factors on").click()
    expect(reported).to_have_text(re.compile("^otpauth://totp/"))
    secret = totp.decode_secret(parse_qs(urlsplit(reported.inner_text()).query)["secret"][0])
    enter_code(page, secret)
    expect(who).to_have_text("bo@shop.example, two factors on")

    page.get_by_role("button", name="Add a passkey").click()
    expect(reported).to_have_text("passkey added")
    page.get_by_role("button", name="Make a key").click()
    expect(reported).to_contain_text("czo_")
    page.get_by_role("button", name="Create an organization").click()
    expect(reported).to_contain_text("books-")

    page.get_by_role("button", name="Sign out").click()
    expect(who).to_have_text("nobody")
    page.get_by_role("button", name="Sign in").click()
    expect(reported).to_have_text("a code is asked for")
    wait_for_next_step()
    enter_code(page, secret)
    expect(who).to_have_text("bo@shop.example, two factors on")

    page.get_by_role("button", name="Sign out").click()
    expect(who).to_have_text("nobody")
    page.get_by_role("button", name="Use a passkey").click()
    expect(who).to_have_text("bo@shop.example, two factors on")


def enter_code(page: Page, secret: bytes) -> None:
    page.get_by_label("Code").fill(totp.hotp(secret, int(time.time()) // totp.PERIOD))
    page.get_by_role("button", name="Verify").click()


def wait_for_next_step() -> None:
    """Wait until the step of the last code is over; it is accepted once, ever."""
    time.sleep(totp.PERIOD - time.time() % totp.PERIOD + 0.1)
