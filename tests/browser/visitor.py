"""Somebody at a browser: what they know, and the hops that many tests make."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Response

from tests.browser.axe import IDS, RUN, axe_source
from tests.contract.people import PASSWORD, Phone

DRIFT = 10
"""Steps that the server accepts, so that a test may use many codes without waiting."""

TURN_ON = re.compile("^(Turn on|Activer|Einschalten)$")
BEGIN = re.compile("^(Begin|Commencer|Beginnen)$")

SCRIPTS = [pytest.param(True, id="scripts"), pytest.param(False, marks=pytest.mark.deep, id="no scripts")]
"""With scripts; without them by `make test-deep`, where other tests show for `make test` that pages need none."""

_numbers = count(1)


def new_email() -> str:
    return f"person-{next(_numbers)}@example.com"


@dataclass
class Visitor:
    """A person with a browser, on one deployment."""

    page: Page
    base: str
    email: str = field(default_factory=new_email)
    name: str = "Ada Lovelace"
    password: str = PASSWORD
    phone: Phone | None = None
    codes: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _listen(self, message: object) -> None:
        text = str(getattr(message, "text", ""))
        # That an answer was 401 or 403 is what several tests are about.
        if getattr(message, "type", "") == "error" and "Failed to load resource" not in text:
            self.complaints.append(text)

    # --- hands -------------------------------------------------------------------------------------------------------
    def open(self, path: str) -> Response:
        response = self.page.goto(self.base + path)
        assert response is not None
        return response

    def follow(self, link: str) -> Response:
        """Open a link as it was mailed, on the host that this browser uses."""
        return self.open("/" + link.partition("/account/")[2])

    def fill(self, **fields: str) -> None:
        for name, text in fields.items():
            self.page.locator(f"#f-{name}").fill(text)

    def press(self, name: str | re.Pattern[str]) -> None:
        """Press the button of the main part that is called so."""
        self.page.locator("main").get_by_role("button", name=name).first.click()
        # As in `submit`: the page that answers may not have come to its end yet.
        self.page.wait_for_load_state()

    def confirm_act(self, label: str, name: str) -> None:
        """Open what is called *label*, and press the button in it: what cannot be undone takes two steps."""
        self.page.locator("main summary").filter(has_text=label).first.click()
        self.press(name)

    def submit(self, within: str = "main form") -> None:
        self.page.locator(within).locator("button[type=submit]").first.click()
        # The click ends when the answer begins; what comes next would cut it off.
        self.page.wait_for_load_state()

    # --- eyes --------------------------------------------------------------------------------------------------------
    @property
    def path(self) -> str:
        return self.page.url.removeprefix(self.base).partition("?")[0]

    def sees(self, text: str) -> bool:
        return text in self.page.locator("body").inner_text()

    @property
    def error(self) -> str:
        return self.page.locator(".error").first.inner_text()

    def look(self, name: str) -> None:
        """Check the page for accessibility; keep a picture where somebody asks for pictures."""
        self.page.evaluate(axe_source())
        found = self.page.evaluate(RUN)
        assert not self.page.evaluate(IDS), "an id stands twice"
        assert not found, [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]
        self.picture(name)

    def picture(self, name: str) -> None:
        if folder := os.environ.get("BROWSER_TEST_PICTURES"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    # --- ways --------------------------------------------------------------------------------------------------------
    def sign_up(self, actor: str = "customer") -> None:
        self.open(f"/sign-up?as={actor}")
        self.fill(name=self.name, email=self.email, new_password=self.password)
        self.submit()
        assert self.path == "/sign-in", self.page.locator("main").inner_text()

    def register(self, actor: str = "customer") -> None:
        """Sign up past the pages, in a fraction of their time."""
        self._send(f"/{actor}/sign-up", email=self.email, password=self.password, name=self.name)

    def settle(self, actor: str = "customer") -> None:
        """Sign up and in past the pages; what follows begins where a sign-in leads."""
        self.register(actor)
        self._send(f"/{actor}/sign-in/email", email=self.email, password=self.password)
        self.open("/security")
        assert self.path == "/security"

    def settle_as_admin(self) -> None:
        """Let an administrator whom an operator made in with a second factor, past the pages."""
        self._send("/admin/sign-in/email", email=self.email, password=self.password)
        shown = self._send("/two-factor/enable", password=self.password)
        self.phone = Phone(shown["secret"], lambda: datetime.now(UTC), drift=DRIFT)
        self.codes = shown["backupCodes"]
        self._send("/two-factor/verify", code=self.phone.code())
        self.open("/security")
        assert self.path == "/security"

    def _send(self, path: str, **body: str) -> Any:
        """Call the API with this browser's cookies, and keep those that it sets."""
        origin = self.base.removesuffix("/account")
        answer = self.page.context.request.post(
            f"{origin}/api/auth{path}", data=body, headers={"origin": origin}
        )
        assert answer.ok, answer.text()
        return answer.json()

    def begin(self, actor: str = "customer") -> None:
        """Send the password."""
        self.open(f"/sign-in?as={actor}")
        self.fill(email=self.email, password=self.password)
        self.submit()

    def sign_in(self, actor: str = "customer") -> None:
        self.begin(actor)
        if self.phone is not None:
            assert self.path == "/sign-in/code", self.page.locator("main").inner_text()
            self.fill(code=self.phone.code())
            self.submit()

    def scan(self) -> None:
        """Take the secret down that is shown."""
        secret = self.page.locator("#manual-key").inner_text().replace(" ", "")
        self.phone = Phone(secret, lambda: datetime.now(UTC), drift=DRIFT)

    def enroll(self) -> None:
        """Turn two factors on, from a fresh sign-in."""
        self.open("/enrol")
        self.press(BEGIN)
        self.scan()
        self.confirm()

    def confirm(self) -> None:
        """Enter the first code, and take the backup codes down where there are new ones."""
        self.enter_first_code()
        self.keep_codes()
        assert self.path == "/security", self.page.locator("main").inner_text()

    def enter_first_code(self) -> None:
        assert self.phone is not None
        self.fill(code=self.phone.code())
        self.press(TURN_ON)

    def keep_codes(self) -> None:
        codes = self.page.locator("#backup-codes li").all_inner_texts()
        if not codes:
            return
        assert len(codes) == 10
        self.codes = codes
        self.page.locator("#f-saved").check()
        self.submit("main form:has(#f-saved)")

    def use_backup_code(self, code: str) -> None:
        self.page.locator("details.other summary").click()
        self.fill(backup_code=code)

    def sign_out(self) -> None:
        self.page.locator("[data-menu] summary").click()
        self.page.locator(".sign-out button").click()


NewVisitor = Callable[..., Visitor]
