"""The acts of people: an account, two factors on and off, and an administrator who must have them."""

from __future__ import annotations

import json

from czo_auth.cli.demo.cast import Cast, Person, enroll, first_factor, sign_in, signed_in
from czo_auth.cli.demo.client import same

_SETUP = "TWO_FACTOR_SETUP_REQUIRED"


def sign_up(cast: Cast, ada: Person) -> None:
    """Play act 1."""
    cast.narrator.chapter("Ada, a customer, signs up and signs in")
    answer = cast.client.ask(
        "signs up",
        "POST",
        "/customer/sign-up",
        body={**ada.credentials, "name": ada.name},
        status=201,
        has={"user.email": ada.email, "user.twoFactorEnabled": False},
    )
    ada.id = answer["user"]["id"]
    sign_in(cast, ada, "signs in; the password is enough")
    cast.client.ask(
        "is refused with a wrong password",
        "POST",
        "/customer/sign-in/email",
        body={"email": ada.email, "password": "not her password"},
        status=401,
        code="INVALID_EMAIL_OR_PASSWORD",
    )


def turn_on(cast: Cast, person: Person) -> None:
    """Play act 2."""
    cast.narrator.chapter(f"{person.name} turns on two-factor authentication")
    enroll(cast, person, draw=True)
    cast.client.ask(
        "never sees the secret again",
        "POST",
        "/two-factor/get-totp-uri",
        bearer=person.bearer,
        body={"password": person.password},
        status=403,
        tell=lambda answer: str(answer["code"]),
    )


def sign_in_with_two_factors(cast: Cast, ada: Person) -> None:
    """Play act 3: each way in, and each attempt to use something twice."""
    cast.narrator.chapter("Ada signs in with two factors")
    ask = cast.client.ask
    challenge = first_factor(cast, ada)
    ask(
        "enters a wrong code",
        "POST",
        "/two-factor/verify",
        body={"challenge": challenge, "code": ada.wrong_code()},
        status=401,
        code="INVALID_CODE",
    )
    code = ada.code()
    answer = ask(
        "enters the correct code",
        "POST",
        "/two-factor/verify",
        body={"challenge": challenge, "code": code},
        status=200,
        has={"verified": True, "session.aal": 2, "session.amr": ["pwd", "otp"]},
    )
    signed_in(cast, ada, answer)
    ask(
        "cannot use that code a second time",
        "POST",
        "/two-factor/verify",
        body={"challenge": first_factor(cast, ada), "code": code},
        status=401,
        code="INVALID_CODE",
    )
    backup_code = ada.backup_codes[0]
    answer = ask(
        "without the phone, uses a backup code",
        "POST",
        "/two-factor/verify-backup-code",
        body={"challenge": first_factor(cast, ada), "code": backup_code},
        status=200,
        has={"verified": True, "session.aal": 2, "session.amr": ["pwd", "bkp"]},
    )
    signed_in(cast, ada, answer)
    ask(
        "cannot use the backup code again either",
        "POST",
        "/two-factor/verify-backup-code",
        body={"challenge": first_factor(cast, ada), "code": backup_code},
        status=401,
        code="INVALID_BACKUP_CODE",
    )
    ask(
        "has nine backup codes left",
        "GET",
        "/two-factor",
        bearer=ada.bearer,
        status=200,
        has={"enabled": True, "backupCodesRemaining": 9},
    )


def administrator(cast: Cast, root: Person) -> None:
    """Play act 4."""
    cast.narrator.chapter("An administrator can do nothing until two factors are on")
    words = ("users", "create", "--email", root.email, "--name", root.name, "--actor-type", "admin")
    created = json.loads(cast.stage.command(*words, "--password-stdin", "--json", stdin=f"{root.password}\n"))
    same("actorTypes", ["admin", "customer"], created["actorTypes"])
    root.id = created["id"]
    cast.narrator.step(
        "is created by the operator",
        "czo-auth users create --password-stdin",
        "admin, customer",
    )
    ask = cast.client.ask
    answer = ask(
        "signs in",
        "POST",
        "/admin/sign-in/email",
        body=root.credentials,
        status=200,
        has={"requires2FASetup": True, "session.restrictedTo": "two_factor_setup"},
    )
    signed_in(cast, root, answer)
    ask("cannot list the users", "GET", "/admin/users", bearer=root.bearer, status=403, code=_SETUP)
    ask(
        "cannot create an API key",
        "POST",
        "/api-keys",
        bearer=root.bearer,
        body={"name": "early"},
        status=403,
        code=_SETUP,
    )
    ask(
        "cannot use GraphQL",
        "POST",
        "//graphql",
        bearer=root.bearer,
        body={"query": "{ me { email } }"},
        status=403,
        code=_SETUP,
    )
    enroll(cast, root, draw=False)
    ask(
        "can list the users now",
        "GET",
        "/admin/users",
        bearer=root.bearer,
        status=200,
        has={"total": 2},
        tell=lambda answer: ", ".join(user["email"] for user in answer["users"]),
    )
    ask(
        "cannot turn two factors off again",
        "POST",
        "/two-factor/disable",
        bearer=root.bearer,
        body={"password": root.password},
        status=409,
        code="TWO_FACTOR_REQUIRED_BY_POLICY",
    )


def turn_off(cast: Cast, ada: Person) -> None:
    """Play act 7."""
    cast.narrator.chapter("Ada turns two factors off again")
    cast.client.ask(
        "cannot do it with a wrong password",
        "POST",
        "/two-factor/disable",
        bearer=ada.bearer,
        body={"password": "not her password"},
        status=400,
        code="INVALID_PASSWORD",
    )
    cast.client.ask(
        "can with the correct password",
        "POST",
        "/two-factor/disable",
        bearer=ada.bearer,
        body={"password": ada.password},
        status=200,
        has={"status": True},
    )
    sign_in(cast, ada, "signs in; the password is enough again")
