"""Nothing that a client is to keep secret is kept, or said again, by the server (S8, S20)."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Any

import pytest

from czo_auth.core.events.types import AuditFilter
from tests.contract.api import Answer, Api
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Live
from tests.contract.database import everything, is_sqlite, sqlite_file
from tests.contract.deployments import Deployment, Timed
from tests.contract.people import Account, Session
from tests.support.settings import KEY


class Secrets:
    """Collects what a client was told in confidence, in every spelling in which it could turn up."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def add(self, what: str, secret: str) -> str:
        assert len(secret) >= 12, f"{what} is too short to look for"
        self.found[secret] = what
        return secret

    def add_token(self, what: str, token: str) -> str:
        self.add(f"{what} without its prefix", token[4:])
        raw = base64.urlsafe_b64decode(token[4:] + "=")
        self.add(f"{what} in hex", raw.hex())
        return self.add(what, token)

    def add_session(self, session: Session) -> Session:
        self.add_token("a session token", session.token)
        self.add_token("a refresh token", session.refresh_token)
        self.add("an access token", session.access_token)
        self.add("an access token's signature", session.access_token.rpartition(".")[2])
        return session

    def add_factor(self, account: Account) -> None:
        secret = account.has.secret
        raw = base64.b32decode(secret)
        self.add("a TOTP secret", secret)
        self.add("a TOTP secret in hex", raw.hex())
        self.add("a TOTP secret in base64", base64.b64encode(raw).decode().rstrip("="))
        self.add("a TOTP secret in base64url", base64.urlsafe_b64encode(raw).decode().rstrip("="))
        self.add_codes(account.codes)

    def add_codes(self, codes: list[str]) -> None:
        for code in codes:
            self.add("a backup code", code)
            self.add("a backup code without dashes", code.replace("-", ""))
            self.add("a backup code without its selector", code.replace("-", "")[4:])

    def none_in(self, place: str, text: str) -> None:
        assert text, f"{place} is empty: nothing was looked through"
        lower = text.lower()
        leaked = sorted({what for secret, what in self.found.items() if secret.lower() in lower})
        assert not leaked, f"{place} holds {', '.join(leaked)}"


async def live_a_life(here: Deployment, secrets: Secrets) -> Account:
    """Do everything that hands out or takes a secret, rightly and wrongly."""
    people, api = here.people, here.api
    password = secrets.add("a password", "a life's first passphrase")
    account = await people.sign_up("merchant", password=password, organizationName="Lives & Co")
    account.password = secrets.add("a wrong password", "a life's wrong passphrase")
    refused(await people.begin(account), 401, "INVALID_EMAIL_OR_PASSWORD")
    account.password = password
    session = secrets.add_session(await people.sign_in(account, "merchant"))

    await people.enable(account, session)
    secrets.add_factor(account)
    await people.enable(account, session)
    secrets.add_factor(account)
    session = secrets.add_session(Session.of(await people.verify(account.has.code(), bearer=session.token)))
    session = await use_two_factors(here, secrets, account, session)
    await use_keys(api, secrets, account, session)

    pair = accepted(await api.post("/token/refresh", {"refreshToken": session.refresh_token}))
    secrets.add_token("a refresh token", pair["refreshToken"])
    secrets.add("an access token", pair["accessToken"])
    new = secrets.add("a password", "a life's second passphrase")
    body = {"currentPassword": account.password, "newPassword": new}
    session = secrets.add_session(Session.of(await api.post("/change-password", body, bearer=session.token)))
    account.password = new
    await say_it_in_the_wrong_place(api, secrets, session)
    return account


async def use_two_factors(here: Deployment, secrets: Secrets, account: Account, session: Session) -> Session:
    people = here.people
    challenge = secrets.add_token("a challenge", await people.challenge(account))
    refused(await people.verify(account.has.wrong(), challenge=challenge), 401, "INVALID_CODE")
    refused(await people.redeem("ABCD-EFGHJ-KMNPQ-RSTV", challenge=challenge), 401, "INVALID_BACKUP_CODE")
    redeemed = secrets.add_session(Session.of(await people.redeem(account.codes[0], challenge=challenge)))
    refused(await people.redeem(account.codes[0], bearer=redeemed.token), 401, "INVALID_BACKUP_CODE")
    body = {"password": account.password}
    fresh = await here.api.post("/two-factor/generate-backup-codes", body, bearer=redeemed.token)
    secrets.add_codes(accepted(fresh)["backupCodes"])
    trusted = {"code": account.has.code(), "trustDevice": True, "challenge": await people.challenge(account)}
    answer = await here.api.post("/two-factor/verify", trusted)
    for cookie in answer.headers.get_list("set-cookie"):
        secrets.add_token("a cookie", cookie.partition("=")[2].partition(";")[0])
    assert await people.is_alive(session)
    return secrets.add_session(Session.of(answer))


async def use_keys(api: Api, secrets: Secrets, account: Account, session: Session) -> None:
    created = await api.post("/api-keys", {"name": "a key"}, bearer=session.token)
    key = accepted(created, 201)["apiKey"]
    secrets.add_token("an API key", key["key"])
    accepted(await api.get("/whoami", bearer=key["key"]))
    refused(await api.get("/session", bearer=key["key"]), 403, "SESSION_REQUIRED")
    rotated = await api.post(f"/api-keys/{key['id']}/rotate", {"overlapSeconds": 60}, bearer=session.token)
    secrets.add_token("an API key", accepted(rotated, 201)["apiKey"]["key"])
    accepted(await api.delete(f"/api-keys/{key['id']}", bearer=session.token), 204)
    refused(await api.get("/whoami", bearer=key["key"]), 401, "INVALID_API_KEY")
    created = await api.post("/api-key/create", {"name": "another"}, bearer=session.token)
    secrets.add_token("an API key", accepted(created)["key"])
    assert account.id


async def say_it_in_the_wrong_place(api: Api, secrets: Secrets, session: Session) -> None:
    """Send live secrets where they do not belong: every refusal is safe to log, to show and to keep."""
    token = secrets.add("a token in the wrong place", f"{session.token}")
    answers: list[Answer] = []
    for body in (
        {"email": token, "password": token},
        {"email": [token], "password": {"a": token}},
        {"email": "x@example.com", "password": token, "rememberMe": token},
    ):
        answers.append(await api.post("/customer/sign-in/email", body))
        answers.append(await api.post("/sign-up/email", body | {"name": 1}))
    for path in ("/reset-password", "/token/refresh", "/two-factor/verify", "/api-keys", "/api-keys/verify"):
        values: dict[str, Any] = dict.fromkeys(("token", "code", "key", "challenge", "refreshToken"), token)
        answers.append(await api.post(path, values, bearer=session.token))
    answers.append(await api.post("/sign-in/email", raw=f'{{"email": "{token}", "password": '.encode()))
    answers.append(await api.get(f"/verify-email?token={token}&access_token={token}"))
    answers.append(await api.get(f"/api-keys/{token}", bearer=session.token))
    answers.append(await api.delete(f"/sessions/{token}", bearer=session.token))
    answers.append(await api.get("/session", bearer=f"czo_{token[4:]}"))
    answers.append(await api.get("/session", bearer=f"{session.access_token}x"))
    for answer in answers:
        assert 400 <= answer.status_code < 500, answer.text
        secrets.none_in("a refusal", answer.text + str(answer.headers))


async def test_server_writes_and_keeps_no_secret(live: Live) -> None:
    """S20: output, events, audit and the database itself, after everything that hands out a secret."""
    secrets = Secrets()
    account = await live_a_life(live, secrets)
    secrets.add("the encryption key", KEY)
    assert len(secrets.found) > 100

    served = live.served
    secrets.none_in("the output", served.server.output())
    events = served.events_file.read_text()
    if account.id in events:
        secrets.none_in("the events file", events)
    else:
        await reported(live, account, secrets)
    records, _ = await live.auth.administration.audit(AuditFilter(user_id=account.id), limit=200)
    assert len(records) > 10
    secrets.none_in("the audit log", str(records))
    secrets.none_in("the database", await everything(served.database_url))
    if is_sqlite(served.database_url):
        secrets.none_in("the database file", file_and_log(sqlite_file(served.database_url)))


def file_and_log(path: str) -> str:
    """Read an SQLite file with its write-ahead log, byte by byte: rows that were deleted may still lie there."""
    parts = [Path(path), Path(path + "-wal")]
    return "".join(part.read_bytes().decode("latin-1") for part in parts if part.exists())


async def reported(live: Live, account: Account, secrets: Secrets) -> None:
    """Wait until the relay has told of *account*, then look through what it said."""
    for _ in range(2000):
        events = live.served.events_file.read_text()
        if account.id in events and "auth.apikey.revoked" in events:
            return secrets.none_in("the events file", events)
        await live.api.get("/get-session")
    raise AssertionError("no event was told")


async def test_mailed_tokens_are_kept_as_digests_only(timed: Timed, caplog: pytest.LogCaptureFixture) -> None:
    """S20. With a mail server, whose place the test's mailbox takes here, the log is silent about them."""
    caplog.set_level(logging.DEBUG)
    secrets = Secrets()
    account = await live_a_life(timed, secrets)
    for path, kind in (
        ("/request-password-reset", "password_reset"),
        ("/send-verification-email", "verification"),
    ):
        accepted(await timed.api.post(path, {"email": account.email}))
        secrets.add_token("a mailed token", await timed.mail.token(account.email, kind))
    new = secrets.add("a password", "a life's third passphrase")
    token = await timed.mail.token(account.email, "password_reset")
    accepted(await timed.api.post("/reset-password", {"token": token, "newPassword": new}))
    token = await timed.mail.token(account.email, "verification")
    accepted(await timed.api.get(f"/verify-email?token={token}"))
    secrets.none_in("the database", await everything(timed.auth.settings.storage_url))
    # The client's own log repeats addresses; what the product and the libraries below it say is looked through.
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    secrets.none_in("the log", "\n".join(["-", *(f"{one.getMessage()} {one.exc_text}" for one in ours)]))


async def test_nothing_secret_shows_when_things_are_printed(timed_sqlite: Timed) -> None:
    """What lands in a traceback or a debugger's log: the settings and the deployment itself."""
    shown = f"{timed_sqlite.auth.settings!r} {timed_sqlite.auth.settings} {timed_sqlite.auth.services!r}"
    assert KEY not in shown
    user = await timed_sqlite.auth.services.transactions.read(lambda tx: tx.users.find(timed_sqlite.carol.id))
    assert "argon2" not in repr(user)
