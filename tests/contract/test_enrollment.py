"""Turning the second factor on (docs/reference/rest.md; S2, S6, S7, S8)."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
import time
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from czo_auth.crypto import passwords, qr
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy, Live
from tests.contract.deployments import Deployment, Timed
from tests.contract.people import Phone, Session
from tests.support.qr_codes import note_threads

BACKUP_CODE = re.compile(
    r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{4}"
)
OFF = {
    "enabled": False,
    "pending": False,
    "requiredByPolicy": False,
    "backupCodesRemaining": 0,
    "enabledAt": None,
    "methods": [],
    "passkeys": 0,
    "twoFactorDueAt": None,
}


async def enable(here: Deployment, session: Session, **body: object) -> Any:
    return await here.api.post("/two-factor/enable", body, bearer=session.token)


async def test_enable_shows_secret_uri_picture_and_ten_codes(live_sqlite: Live) -> None:
    account, session = await live_sqlite.people.newcomer()
    answer = await enable(live_sqlite, session, password=account.password)
    shown = accepted(answer)
    assert set(shown) == {"method", "secret", "totpURI", "qrCode", "backupCodes", "expiresAt"}
    assert shown["method"] == "totp"
    assert re.fullmatch(r"[A-Z2-7]{32}", shown["secret"]), "160 bits in base32, unpadded"
    assert len(base64.b32decode(shown["secret"])) == 20

    uri = urlsplit(shown["totpURI"])
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == f"/czo-auth:{account.email}"
    query = {name: values[0] for name, values in parse_qs(uri.query).items()}
    assert query["secret"] == shown["secret"]
    assert query["issuer"] == "czo-auth"
    assert (query.get("algorithm", "SHA1"), query.get("digits", "6"), query.get("period", "30")) == (
        "SHA1",
        "6",
        "30",
    )
    assert shown["qrCode"].startswith("data:image/svg+xml;")
    assert len(set(shown["backupCodes"])) == 10
    assert all(BACKUP_CODE.fullmatch(code) for code in shown["backupCodes"])
    assert len({code[:4] for code in shown["backupCodes"]}) == 10


async def test_picture_is_not_drawn_in_the_event_loops_thread(
    timed_sqlite: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All other requests would wait for it."""
    account, session = await timed_sqlite.people.newcomer()
    threads = note_threads(monkeypatch)
    shown = accepted(await enable(timed_sqlite, session, password=account.password))
    assert shown["qrCode"].startswith("data:image/svg+xml;")
    assert len(threads) == 2
    assert threading.get_ident() not in threads


class SlowPassword:
    """Stands before the verification of passwords, in its thread: waits until a QR code is drawn, or for *seconds*."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, seconds: float = 20) -> None:
        self.entered = threading.Event()
        self.drawn = threading.Event()
        self._seconds = seconds
        verify, draw = passwords.verify_password, qr.svg_data_uri

        def slowly(stored: str, password: str) -> passwords.PasswordMatch:
            self.entered.set()
            self.drawn.wait(self._seconds)
            return verify(stored, password)

        def noted(text: str) -> str:
            picture = draw(text)
            self.drawn.set()
            return picture

        monkeypatch.setattr(passwords, "verify_password", slowly)
        monkeypatch.setattr(qr, "svg_data_uri", noted)


async def test_picture_is_drawn_while_the_password_is_verified(
    timed_sqlite: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, session = await timed_sqlite.people.newcomer()
    threads = note_threads(monkeypatch)
    slow = SlowPassword(monkeypatch)
    begun = time.monotonic()
    shown = accepted(await enable(timed_sqlite, session, password=account.password))
    assert time.monotonic() - begun < 15
    assert slow.drawn.is_set()
    assert len(threads) == 2, "once"
    assert shown["qrCode"] == qr.svg_data_uri(shown["totpURI"])


async def test_picture_is_not_drawn_ahead_where_others_wait_for_their_passwords(
    timed_sqlite: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a burst the drawings would otherwise come before the requests of others."""
    account, session = await timed_sqlite.people.newcomer()
    other, _ = await timed_sqlite.people.newcomer()
    slow = SlowPassword(monkeypatch, seconds=1)
    signing_in = asyncio.create_task(timed_sqlite.people.begin(other))
    await asyncio.to_thread(slow.entered.wait, 20)
    begun = time.monotonic()
    shown = accepted(await enable(timed_sqlite, session, password=account.password))
    assert time.monotonic() - begun >= 1, "it waited for its password first"
    assert shown["qrCode"] == qr.svg_data_uri(shown["totpURI"])
    await signing_in


async def test_picture_that_was_drawn_for_a_wrong_password_is_dropped(
    timed_sqlite: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, session = await timed_sqlite.people.newcomer()
    slow = SlowPassword(monkeypatch)
    refused(await enable(timed_sqlite, session, password="a wrong password"), 400, "INVALID_PASSWORD")
    assert slow.drawn.is_set()
    assert await timed_sqlite.people.two_factor(session) == OFF


async def test_nothing_is_active_before_the_first_code(live_sqlite: Live) -> None:
    """S6: a pending enrollment is never accepted as a factor, nor are its codes."""
    account, session = await live_sqlite.people.newcomer()
    assert await live_sqlite.people.two_factor(session) == OFF
    await live_sqlite.people.enable(account, session)
    assert await live_sqlite.people.two_factor(session) == OFF | {"pending": True}
    shown = accepted(await live_sqlite.api.get("/session", bearer=session.token))
    assert shown["user"]["twoFactorEnabled"] is False
    assert accepted(await live_sqlite.people.begin(account))["requires2FA"] is False
    refused(await live_sqlite.people.redeem(account.codes[0], bearer=session.token), 400, "TOTP_NOT_ENABLED")


async def test_first_code_turns_it_on_and_renews_the_session(live_sqlite: Live, carried: Any) -> None:
    """Contract 4, *renewed*: a token stolen before the second factor never becomes `aal` 2."""
    account, session = await live_sqlite.people.newcomer()
    await live_sqlite.people.enable(account, session)
    answer = await live_sqlite.people.verify(account.has.code(), **carried(session))
    renewed = Session.of(answer)
    assert renewed.body["verified"] is True
    assert (renewed.body["requires2FA"], renewed.body["requires2FASetup"]) == (False, False)
    assert (renewed.body["session"]["aal"], renewed.body["session"]["amr"]) == (2, ["pwd", "otp"])
    assert renewed.body["user"]["twoFactorEnabled"] is True
    assert renewed.id != session.id
    assert renewed.token != session.token
    assert not await live_sqlite.people.is_alive(session)
    refusal = await live_sqlite.api.post("/token/refresh", {"refreshToken": session.refresh_token})
    refused(refusal, 401, "INVALID_REFRESH_TOKEN")
    assert await live_sqlite.people.is_alive(renewed)
    state = await live_sqlite.people.two_factor(renewed)
    assert state == OFF | {
        "enabled": True,
        "backupCodesRemaining": 10,
        "enabledAt": state["enabledAt"],
        "methods": ["totp", "backup-code"],
    }
    assert state["enabledAt"] is not None


async def test_confirming_ends_all_other_sessions(live: Live) -> None:
    account, session = await live.people.newcomer()
    other = await live.people.sign_in(account)
    renewed = await live.people.enroll(account, session)
    assert not await live.people.is_alive(other)
    refusal = await live.api.post("/token/refresh", {"refreshToken": other.refresh_token})
    refused(refusal, 401, "INVALID_REFRESH_TOKEN")
    assert accepted(await live.api.get("/sessions", bearer=renewed.token))["total"] == 1


async def test_code_that_enrolled_does_not_sign_in(live: Live) -> None:
    """S2: the step that matched is spent where the code is redeemed."""
    account, session = await live.people.newcomer()
    await live.people.enable(account, session)
    code = account.has.code()
    accepted(await live.people.verify(code, bearer=session.token))
    challenge = await live.people.challenge(account)
    refused(await live.people.verify(code, challenge=challenge), 401, "INVALID_CODE")
    accepted(await live.people.verify(account.has.code(), challenge=challenge))


async def test_backup_code_does_not_confirm(live_sqlite: Live) -> None:
    account, session = await live_sqlite.people.newcomer()
    await live_sqlite.people.enable(account, session)
    refused(await live_sqlite.people.verify(account.codes[0], bearer=session.token), 401, "INVALID_CODE")
    assert (await live_sqlite.people.two_factor(session))["pending"] is True


async def test_second_enable_replaces_the_pending_enrollment(live: Live) -> None:
    account, session = await live.people.newcomer()
    await live.people.enable(account, session)
    lost_phone, lost_codes = account.has, account.codes
    await live.people.enable(account, session)
    assert account.has.secret != lost_phone.secret
    refused(await live.people.verify(lost_phone.code(), bearer=session.token), 401, "INVALID_CODE")
    Session.of(await live.people.verify(account.has.code(), bearer=session.token))
    challenge = await live.people.challenge(account)
    refused(await live.people.redeem(lost_codes[0], challenge=challenge), 401, "INVALID_BACKUP_CODE")
    accepted(await live.people.redeem(account.codes[0], challenge=challenge))


async def test_codes_of_the_last_enable_are_the_ones_that_count(timed: Timed) -> None:
    """Also when it came while the codes of the one before were still being hashed."""
    account, session = await timed.people.newcomer()
    for _ in range(3):
        await timed.people.enable(account, session)
    await timed.people.verify(account.has.code(), bearer=session.token)
    for code in account.codes[:2]:
        challenge = await timed.people.challenge(account)
        accepted(await timed.people.redeem(code, challenge=challenge))


async def test_pending_enrollment_expires_after_ten_minutes(timed: Timed) -> None:
    account, session = await timed.people.newcomer()
    await timed.people.enable(account, session)
    timed.time.advance(minutes=10)
    refused(await timed.people.verify(account.has.code(), bearer=session.token), 400, "TOTP_NOT_ENABLED")
    assert (await timed.people.two_factor(session))["pending"] is False
    await timed.people.enroll(account, session)


async def test_password_may_be_left_out_for_ten_minutes_after_the_sign_in(timed_sqlite: Timed) -> None:
    """Contract 4; S7."""
    _, session = await timed_sqlite.people.newcomer()
    timed_sqlite.time.advance(minutes=9, seconds=59)
    accepted(await enable(timed_sqlite, session))
    timed_sqlite.time.advance(minutes=1)
    refused(await enable(timed_sqlite, session), 403, "REAUTHENTICATION_REQUIRED")


async def test_refresh_does_not_make_an_old_sign_in_young(timed_sqlite: Timed) -> None:
    _, session = await timed_sqlite.people.newcomer()
    timed_sqlite.time.advance(minutes=11)
    pair = accepted(await timed_sqlite.api.post("/token/refresh", {"refreshToken": session.refresh_token}))
    answer = await timed_sqlite.api.post("/two-factor/enable", {}, bearer=pair["accessToken"])
    refused(answer, 403, "REAUTHENTICATION_REQUIRED")


async def test_old_sign_in_enables_with_the_password(timed_sqlite: Timed) -> None:
    account, session = await timed_sqlite.people.newcomer()
    timed_sqlite.time.advance(hours=5)
    refused(await enable(timed_sqlite, session, password="not the password"), 400, "INVALID_PASSWORD")
    accepted(await enable(timed_sqlite, session, password=account.password))


async def test_wrong_password_is_wrong_however_young_the_sign_in(live_sqlite: Live) -> None:
    _, session = await live_sqlite.people.newcomer()
    refused(await enable(live_sqlite, session, password="not the password"), 400, "INVALID_PASSWORD")
    refused(await enable(live_sqlite, session, password=""), 400, "INVALID_PASSWORD")
    assert (await live_sqlite.people.two_factor(session))["pending"] is False


async def test_enable_needs_a_session(live_sqlite: Live) -> None:
    refused(await live_sqlite.api.post("/two-factor/enable", {"password": "x"}), 401, "UNAUTHORIZED")


async def test_active_factor_is_not_enabled_twice(live_sqlite: Live) -> None:
    account = live_sqlite.enrolled_user
    session = await live_sqlite.people.sign_in(account)
    refused(await enable(live_sqlite, session, password=account.password), 400, "TOTP_ALREADY_ENABLED")
    refused(await enable(live_sqlite, session), 400, "TOTP_ALREADY_ENABLED")
    assert (await live_sqlite.people.two_factor(session))["pending"] is False


# --- what is shown, once ---------------------------------------------------------------------------------------------
async def test_uri_is_shown_again_only_while_pending(live_sqlite: Live) -> None:
    """S8: an active secret is never shown again."""
    account, session = await live_sqlite.people.newcomer()

    async def uri(of: Session) -> Any:
        return await live_sqlite.api.post(
            "/two-factor/get-totp-uri", {"password": account.password}, bearer=of.token
        )

    refused(await uri(session), 400, "TOTP_NOT_ENABLED")
    shown = await live_sqlite.people.enable(account, session)
    assert accepted(await uri(session)) == {"totpURI": shown["totpURI"]}
    without = await live_sqlite.api.post("/two-factor/get-totp-uri", bearer=session.token)
    assert accepted(without) == {"totpURI": shown["totpURI"]}
    wrong = await live_sqlite.api.post("/two-factor/get-totp-uri", {"password": "nope"}, bearer=session.token)
    refused(wrong, 400, "INVALID_PASSWORD")
    renewed = Session.of(await live_sqlite.people.verify(account.has.code(), bearer=session.token))
    assert (await uri(renewed)).status_code == 403


async def test_no_answer_shows_secret_or_codes_later(live_sqlite: Live) -> None:
    """S8."""
    account, session = await live_sqlite.people.enrolled()
    for path in ("/two-factor", "/session", "/whoami", "/get-session", "/sessions", "/list-sessions"):
        text = (await live_sqlite.api.get(path, bearer=session.token)).text
        assert account.has.secret not in text
        assert not any(code in text or code.replace("-", "") in text for code in account.codes)
        assert "otpauth" not in text


# --- a new phone -----------------------------------------------------------------------------------------------------
async def test_replacement_runs_beside_the_active_factor_until_it_is_confirmed(timed: Timed) -> None:
    """By docs/reference/rest.md: `{replace: true}`; S6."""
    carol = timed.carol
    session = await timed.people.sign_in(carol)
    old_phone, old_codes = carol.has, carol.codes
    shown = accepted(await enable(timed, session, password=carol.password, replace=True))
    new_phone = Phone(shown["secret"], timed.clock)
    state = await timed.people.two_factor(session)
    assert (state["enabled"], state["pending"], state["backupCodesRemaining"]) == (True, True, 10)

    timed.time.advance(seconds=30)
    challenge = await timed.people.challenge(carol)
    refused(await timed.people.verify(new_phone.at(0), challenge=challenge), 401, "INVALID_CODE")
    refused(
        await timed.people.redeem(shown["backupCodes"][0], challenge=challenge), 401, "INVALID_BACKUP_CODE"
    )
    accepted(await timed.people.verify(old_phone.code(), challenge=challenge))

    renewed = Session.of(await timed.people.verify(new_phone.code(), bearer=session.token))
    assert renewed.body["verified"] is True
    assert (await timed.people.two_factor(renewed))["backupCodesRemaining"] == 10
    timed.time.advance(seconds=30)
    challenge = await timed.people.challenge(carol)
    refused(await timed.people.verify(old_phone.code(), challenge=challenge), 401, "INVALID_CODE")
    refused(await timed.people.redeem(old_codes[0], challenge=challenge), 401, "INVALID_BACKUP_CODE")
    accepted(await timed.people.redeem(shown["backupCodes"][0], challenge=challenge))


async def test_replacement_leaves_step_up_with_the_old_phone_alone(timed_sqlite: Timed) -> None:
    carol = timed_sqlite.carol
    session = await timed_sqlite.people.sign_in(carol)
    accepted(await enable(timed_sqlite, session, password=carol.password, replace=True))
    timed_sqlite.time.advance(seconds=30)
    stepped = Session.of(await timed_sqlite.people.verify(carol.has.code(), bearer=session.token))
    state = await timed_sqlite.people.two_factor(stepped)
    assert (state["enabled"], state["pending"]) == (True, True)


async def test_replacement_needs_the_step_up_of_disable(timed_sqlite: Timed) -> None:
    """S7: password, and a second factor proved within ten minutes or by a code."""
    carol = timed_sqlite.carol
    session = await timed_sqlite.people.sign_in(carol)
    refused(await enable(timed_sqlite, session, replace=True), 403, "REAUTHENTICATION_REQUIRED")
    refused(await enable(timed_sqlite, session, replace=True, password="nope"), 400, "INVALID_PASSWORD")
    timed_sqlite.time.advance(minutes=10, seconds=1)
    how = {"replace": True, "password": carol.password}
    refused(await enable(timed_sqlite, session, **how), 403, "REAUTHENTICATION_REQUIRED")
    refused(await enable(timed_sqlite, session, **how, code=carol.has.wrong()), 401, "INVALID_CODE")
    accepted(await enable(timed_sqlite, session, **how, code=carol.has.code()))


async def test_replacement_without_a_factor_is_a_first_enrollment(timed_sqlite: Timed) -> None:
    account, session = await timed_sqlite.people.newcomer()
    await timed_sqlite.people.enable(account, session, replace=True)
    Session.of(await timed_sqlite.people.verify(account.has.code(), bearer=session.token))


async def test_client_chooses_no_secret(live_sqlite: Live) -> None:
    """better-auth's route ignores what it does not know; `secret` and `userId` are the server's."""
    account, session = await live_sqlite.people.newcomer()
    chosen = "JBSWY3DPEHPK3PXP" * 2
    for field in ("secret", "userId"):
        answer = await enable(live_sqlite, session, password=account.password, **{field: chosen})
        refused(answer, 400, "VALIDATION_ERROR")
    unknown = dict.fromkeys(("backupCodes", "enabled", "method", "allowPasswordless"), chosen)
    shown = accepted(await enable(live_sqlite, session, password=account.password, **unknown))
    assert chosen not in str(shown)


async def test_issuer_of_the_client_is_a_label_or_refused(live_sqlite: Live) -> None:
    account, session = await live_sqlite.people.newcomer()
    good = ["My Shop", "Café", "a:b", "", " ", ":", " : ", "\u3000", "\u202e", "://?&=secret=x", "x" * 64]
    for issuer in good:
        shown = accepted(await enable(live_sqlite, session, password=account.password, issuer=issuer))
        uri = urlsplit(shown["totpURI"])
        query = parse_qs(uri.query, strict_parsing=True)
        assert query["secret"] == [shown["secret"]]
        label, _, name = unquote(uri.path).removeprefix("/").partition(":")
        assert (label, name) == (query["issuer"][0], account.email)
    for issuer in ("x" * 65, "x" * 50_000):
        answer = await enable(live_sqlite, session, password=account.password, issuer=issuer)
        refused(answer, 400, "VALIDATION_ERROR")


async def test_two_enrollments_share_no_secret(live_sqlite: Live) -> None:
    account, session = await live_sqlite.people.newcomer()
    seen = set()
    for _ in range(3):
        shown = await live_sqlite.people.enable(account, session)
        seen |= {shown["secret"], *shown["backupCodes"]}
    assert len(seen) == 33


@pytest.mark.deep
@pytest.mark.real_hashes
async def test_flood_of_enrollments_leaves_the_codes_to_the_confirmation(deploy_sqlite: Deploy) -> None:
    """S5, S25: hashing is bounded; what was not hashed ahead is hashed when it is needed."""
    here = await deploy_sqlite(hash_threads=1, hash_queue=10)
    first, second = await here.people.newcomer(), await here.people.newcomer()
    for account, session in (first, second):
        await here.people.enable(account, session)
    for account, session in (first, second):
        Session.of(await here.people.verify(account.has.code(), bearer=session.token))
        challenge = await here.people.challenge(account)
        accepted(await here.people.redeem(account.codes[9], challenge=challenge))
