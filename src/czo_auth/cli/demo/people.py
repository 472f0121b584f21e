"""The parts about people: an account, two factors on and off, and an administrator who must have them."""

from __future__ import annotations

import json

from czo_auth.cli.demo.client import same
from czo_auth.cli.demo.users import DemoRun, Person, enroll, first_factor, sign_in, signed_in

_SETUP = "TWO_FACTOR_SETUP_REQUIRED"


def sign_up(demo_run: DemoRun, ada: Person) -> None:
    """Sign up, and sign in with the password alone."""
    demo_run.printer.heading("Ada, a customer, signs up and signs in")
    answer = demo_run.client.ask(
        "signs up",
        "POST",
        "/customer/sign-up",
        body={**ada.credentials, "name": ada.name},
        status=201,
        has={"user.email": ada.email, "user.twoFactorEnabled": False},
    )
    ada.id = answer["user"]["id"]
    sign_in(demo_run, ada, "signs in; the password is enough")
    demo_run.client.ask(
        "is refused with a wrong password",
        "POST",
        "/customer/sign-in/email",
        body={"email": ada.email, "password": "not her password"},
        status=401,
        code="INVALID_EMAIL_OR_PASSWORD",
    )


def turn_on(demo_run: DemoRun, person: Person) -> None:
    """Turn two factors on."""
    demo_run.printer.heading(f"{person.name} turns on two-factor authentication")
    enroll(demo_run, person, draw=True)
    demo_run.client.ask(
        "never sees the secret again",
        "POST",
        "/two-factor/get-totp-uri",
        bearer=person.bearer,
        body={"password": person.password},
        status=403,
        tell=lambda answer: str(answer["code"]),
    )


def sign_in_with_two_factors(demo_run: DemoRun, ada: Person) -> None:
    """Sign in with a code and with a backup code; nothing can be used twice."""
    demo_run.printer.heading("Ada signs in with two factors")
    ask = demo_run.client.ask
    challenge = first_factor(demo_run, ada)
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
    signed_in(demo_run, ada, answer)
    ask(
        "cannot use that code a second time",
        "POST",
        "/two-factor/verify",
        body={"challenge": first_factor(demo_run, ada), "code": code},
        status=401,
        code="INVALID_CODE",
    )
    backup_code = ada.backup_codes[0]
    answer = ask(
        "without the phone, uses a backup code",
        "POST",
        "/two-factor/verify-backup-code",
        body={"challenge": first_factor(demo_run, ada), "code": backup_code},
        status=200,
        has={"verified": True, "session.aal": 2, "session.amr": ["pwd", "bkp"]},
    )
    signed_in(demo_run, ada, answer)
    ask(
        "cannot use the backup code again either",
        "POST",
        "/two-factor/verify-backup-code",
        body={"challenge": first_factor(demo_run, ada), "code": backup_code},
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


def administrator(demo_run: DemoRun, root: Person) -> None:
    """Create an administrator, who can do nothing before two factors are on."""
    demo_run.printer.heading("An administrator can do nothing until two factors are on")
    words = ("users", "create", "--email", root.email, "--name", root.name, "--actor-type", "admin")
    created = json.loads(
        demo_run.server.command(*words, "--password-stdin", "--json", stdin=f"{root.password}\n")
    )
    same("actorTypes", ["admin", "customer"], created["actorTypes"])
    root.id = created["id"]
    demo_run.printer.step(
        "is created by the operator",
        "czo-auth users create --password-stdin",
        "admin, customer",
    )
    ask = demo_run.client.ask
    answer = ask(
        "signs in",
        "POST",
        "/admin/sign-in/email",
        body=root.credentials,
        status=200,
        has={"requires2FASetup": True, "session.restrictedTo": "two_factor_setup"},
    )
    signed_in(demo_run, root, answer)
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
    enroll(demo_run, root, draw=False)
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


def turn_off(demo_run: DemoRun, ada: Person) -> None:
    """Turn two factors off."""
    demo_run.printer.heading("Ada turns two factors off again")
    demo_run.client.ask(
        "cannot do it with a wrong password",
        "POST",
        "/two-factor/disable",
        bearer=ada.bearer,
        body={"password": "not her password"},
        status=400,
        code="INVALID_PASSWORD",
    )
    demo_run.client.ask(
        "can with the correct password",
        "POST",
        "/two-factor/disable",
        bearer=ada.bearer,
        body={"password": ada.password},
        status=200,
        has={"status": True},
    )
    sign_in(demo_run, ada, "signs in; the password is enough again")
