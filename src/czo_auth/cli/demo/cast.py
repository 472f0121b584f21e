"""The users of the demo, and what several parts share: sign in, enroll a second factor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from czo_auth.cli.demo.authenticator import Authenticator
from czo_auth.cli.demo.client import Client, same
from czo_auth.cli.demo.narrator import Mismatch, Narrator
from czo_auth.cli.demo.stage import Stage
from czo_auth.crypto import qr, tokens

if TYPE_CHECKING:
    from czo_auth.settings import Settings


@dataclass(slots=True)
class Cast:
    """The state that the parts share."""

    client: Client
    stage: Stage
    narrator: Narrator
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
        """Make up a code."""
        return self._phone().wrong_code()

    def _phone(self) -> Authenticator:
        if self.phone is None:
            raise Mismatch(f"a phone for {self.name}", "none")
        return self.phone


def new_person(cast: Cast, name: str, actor: str) -> Person:
    """Make up a user with a unique password."""
    password = f"demo {tokens.new_token('')[:20]}"
    cast.narrator.secret(password)
    return Person(name=name, email=f"{name.lower()}@example.com", actor=actor, password=password)


def sign_in(cast: Cast, person: Person, what: str) -> None:
    """Sign in where the password is enough."""
    answer = cast.client.ask(
        what,
        "POST",
        f"/{person.actor}/sign-in/email",
        body=person.credentials,
        status=200,
        has={"requires2FA": False, "session.aal": 1, "session.amr": ["pwd"]},
    )
    signed_in(cast, person, answer)


def signed_in(cast: Cast, person: Person, answer: dict[str, Any]) -> None:
    """Use the session in *answer* from now on."""
    person.bearer = answer["accessToken"]
    cast.narrator.secret(answer["accessToken"])
    cast.narrator.secret(answer["refreshToken"])


def first_factor(cast: Cast, person: Person) -> str:
    """Sign in with the password where that is not enough; return the challenge."""
    answer = cast.client.ask(
        "the password alone is no longer enough",
        "POST",
        f"/{person.actor}/sign-in/email",
        body=person.credentials,
        status=200,
        has={"requires2FA": True, "twoFactorMethods": ["totp", "backup-code"]},
        lacks=("session", "accessToken", "refreshToken", "token"),
        tell=lambda answer: (
            f"requires2FA: true, challenge {cast.narrator.secret(answer['challenge'])}, no session"
        ),
    )
    return str(answer["challenge"])


def enroll(cast: Cast, person: Person, *, draw: bool) -> None:
    """Turn two factors on: a secret, ten codes, and the first code from the phone."""
    narrator = cast.narrator

    def shown(answer: dict[str, Any]) -> str:
        return (
            f"secret {narrator.secret(answer['secret'])}, QR code, {len(answer['backupCodes'])} backup codes"
        )

    answer = cast.client.ask(
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
        narrator.secret(code)
    if draw:
        narrator.drawing("\n" + qr.terminal(answer["totpURI"]))
    cast.client.ask(
        "has no active factor yet",
        "GET",
        "/two-factor",
        bearer=person.bearer,
        status=200,
        has={"enabled": False, "pending": True},
    )
    person.phone = Authenticator(answer["secret"], drift=cast.settings.totp_drift, narrator=narrator)
    confirmed = cast.client.ask(
        "confirms with a code from the phone",
        "POST",
        "/two-factor/verify",
        bearer=person.bearer,
        body={"code": person.code()},
        status=200,
        has={"verified": True, "session.aal": 2, "session.amr": ["pwd", "otp"]},
    )
    signed_in(cast, person, confirmed)
