"""The users of the demo, and steps that several parts share: sign in, enroll a second factor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from czo_auth.cli.demo.authenticator import Authenticator
from czo_auth.cli.demo.client import Client, same
from czo_auth.cli.demo.printer import Mismatch, StepPrinter
from czo_auth.cli.demo.server import DemoServer
from czo_auth.crypto import qr, tokens

if TYPE_CHECKING:
    from czo_auth.settings import Settings


@dataclass(slots=True)
class DemoRun:
    """The state that the parts share."""

    client: Client
    server: DemoServer
    printer: StepPrinter
    settings: Settings


@dataclass(slots=True)
class Person:
    """A user of the demo: what they type, and what they were shown."""

    name: str
    email: str
    actor: str
    password: str
    id: str = ""
    bearer: str = ""
    phone: Authenticator | None = None
    backup_codes: list[str] = field(default_factory=list)

    @property
    def credentials(self) -> dict[str, object]:
        """The body of a sign-in."""
        return {"email": self.email, "password": self.password}

    def code(self) -> str:
        """Read a new code off the phone."""
        return self._phone().code()

    def wrong_code(self) -> str:
        """Return a code that is wrong at any time."""
        return self._phone().wrong_code()

    def _phone(self) -> Authenticator:
        if self.phone is None:
            raise Mismatch(f"a phone for {self.name}", "none")
        return self.phone


def new_person(demo_run: DemoRun, name: str, actor: str) -> Person:
    """Return a user with a unique password, who has not signed up yet."""
    password = f"demo {tokens.new_token('')[:20]}"
    demo_run.printer.secret(password)
    return Person(name=name, email=f"{name.lower()}@example.com", actor=actor, password=password)


def sign_in(demo_run: DemoRun, person: Person, what: str) -> None:
    """Sign in where the password is enough."""
    answer = demo_run.client.ask(
        what,
        "POST",
        f"/{person.actor}/sign-in/email",
        body=person.credentials,
        status=200,
        has={"requires2FA": False, "session.aal": 1, "session.amr": ["pwd"]},
    )
    signed_in(demo_run, person, answer)


def signed_in(demo_run: DemoRun, person: Person, answer: dict[str, Any]) -> None:
    """Use the session in *answer* from now on."""
    person.bearer = answer["accessToken"]
    demo_run.printer.secret(answer["accessToken"])
    demo_run.printer.secret(answer["refreshToken"])


def first_factor(demo_run: DemoRun, person: Person) -> str:
    """Sign in with the password where that is not enough; return the challenge."""
    answer = demo_run.client.ask(
        "the password alone is no longer enough",
        "POST",
        f"/{person.actor}/sign-in/email",
        body=person.credentials,
        status=200,
        has={"requires2FA": True, "twoFactorMethods": ["totp", "backup-code"]},
        lacks=("session", "accessToken", "refreshToken", "token"),
        tell=lambda answer: (
            f"requires2FA: true, challenge {demo_run.printer.secret(answer['challenge'])}, no session"
        ),
    )
    return str(answer["challenge"])


def enroll(demo_run: DemoRun, person: Person, *, draw: bool) -> None:
    """Turn two factors on: a secret, ten codes, and the first code from the phone."""
    printer = demo_run.printer

    def shown(answer: dict[str, Any]) -> str:
        return (
            f"secret {printer.secret(answer['secret'])}, QR code, {len(answer['backupCodes'])} backup codes"
        )

    answer = demo_run.client.ask(
        "requests a secret",
        "POST",
        "/two-factor/enable",
        bearer=person.bearer,
        body={"password": person.password},
        status=200,
        has={"method": "totp"},
        tell=shown,
    )
    person.backup_codes = answer["backupCodes"]
    same("number of backup codes", 10, len(set(person.backup_codes)))
    for code in person.backup_codes:
        printer.secret(code)
    if draw:
        printer.drawing("\n" + qr.terminal(answer["totpURI"]))
    demo_run.client.ask(
        "has no active factor yet",
        "GET",
        "/two-factor",
        bearer=person.bearer,
        status=200,
        has={"enabled": False, "pending": True},
    )
    person.phone = Authenticator(answer["secret"], drift=demo_run.settings.totp_drift, printer=printer)
    confirmed = demo_run.client.ask(
        "confirms with a code from the phone",
        "POST",
        "/two-factor/verify",
        bearer=person.bearer,
        body={"code": person.code()},
        status=200,
        has={"verified": True, "session.aal": 2, "session.amr": ["pwd", "otp"]},
    )
    signed_in(demo_run, person, confirmed)
