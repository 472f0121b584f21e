"""A reset that waits, as its user, administrators and holders of the link see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from czo_auth.core.context import system_context
from czo_auth.crypto import tokens
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.people import Account, Session

DAY = 86_400
REASON = "phone and codes lost, called back"


@dataclass
class Waiting:
    """A deployment in which the reset of a user's factor waits for a day."""

    here: Timed
    admin: Session
    carol: Account
    token: str
    asked: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/admin/users/{self.carol.id}/two-factor"

    async def housekeeping(self) -> None:
        await self.here.runtime.recovery.carry_out_due(now=self.here.clock())

    async def cancel(self, token: str) -> Answer:
        return await self.here.api.post("/two-factor/reset/cancel", {"token": token})

    async def waits(self) -> bool:
        found = accepted(await self.here.api.get("/admin/two-factor-resets", bearer=self.admin.token))
        assert found["total"] == len(found["resets"])
        return bool(found["resets"])

    async def mails(self) -> list[str]:
        """Let housekeeping tell what there is to tell; gives the kinds of mail that the user got in all."""
        await self.housekeeping()
        await self.here.auth.stop()
        return [message.kind for message in self.here.mail.messages if message.to == self.carol.email]


async def begin(deploy: Deploy) -> Waiting:
    here = await deploy(recovery_wait_seconds=DAY)
    admin = await here.people.sign_in(here.ada, "admin")
    path = f"/admin/users/{here.carol.id}/two-factor"
    answer = await here.api.delete(path, {"reason": REASON}, bearer=admin.token)
    asked = accepted(answer, 202)["reset"]
    token = await here.mail.token(here.carol.email, "two_factor_reset_asked")
    return Waiting(here, admin, here.carol, token, asked)


@pytest.fixture
async def waiting(deploy: Deploy) -> Waiting:
    return await begin(deploy)


@pytest.fixture
async def waiting_sqlite(deploy_sqlite: Deploy) -> Waiting:
    return await begin(deploy_sqlite)


# --- the way of an honest one ----------------------------------------------------------------------------------------
async def test_reset_waits_changes_nothing_and_is_carried_out_when_due(waiting: Waiting) -> None:
    here, asked = waiting.here, waiting.asked
    assert set(asked) == {"id", "userId", "askedBy", "reason", "askedAt", "dueAt"}
    assert (asked["userId"], asked["askedBy"]) == (waiting.carol.id, here.ada.id)
    assert asked["reason"] == REASON
    listed = accepted(await here.api.get("/admin/two-factor-resets", bearer=waiting.admin.token))
    assert listed == {"resets": [asked], "total": 1, "nextCursor": None}
    again = await here.api.delete(waiting.path, {"reason": "again"}, bearer=waiting.admin.token)
    refused(again, 409, "TWO_FACTOR_RESET_PENDING")

    here.time.advance(seconds=DAY - 1)
    await waiting.housekeeping()
    assert accepted(await here.people.begin(waiting.carol))["requires2FA"] is True
    here.time.advance(seconds=1)
    await waiting.housekeeping()
    assert accepted(await here.people.begin(waiting.carol))["requires2FA"] is False
    assert not await waiting.waits()
    audit = accepted(
        await here.api.get(f"/admin/audit?userId={waiting.carol.id}&limit=200", bearer=waiting.admin.token)
    )["audit"]
    found = {record["action"]: record for record in audit}
    assert found["auth.2fa.reset_asked"]["actorUserId"] == here.ada.id
    assert found["auth.2fa.reset"]["actorKind"] == "system"
    assert found["auth.2fa.reset"]["details"]["askedBy"] == here.ada.id
    assert waiting.token not in repr(audit)
    assert await waiting.mails() == ["two_factor_reset_asked", "two_factor_reset"]


async def test_administrator_who_was_reset_may_only_enroll(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(recovery_wait_seconds=DAY)
    admin = await here.people.sign_in(here.ada, "admin")
    other, session = await here.admin()
    await here.people.enroll(other, session)
    path = f"/admin/users/{other.id}/two-factor"
    accepted(await here.api.delete(path, {"reason": REASON}, bearer=admin.token), 202)
    here.time.advance(seconds=DAY)
    await here.runtime.recovery.carry_out_due(now=here.clock())
    other.phone = None
    restricted = await here.people.sign_in(other, "admin")
    assert restricted.body["requires2FASetup"] is True
    answer = await here.api.get("/admin/users", bearer=restricted.token)
    refused(answer, 403, "TWO_FACTOR_SETUP_REQUIRED")
    await here.people.enroll(other, restricted)


# --- what calls it off -----------------------------------------------------------------------------------------------
async def test_link_cancels_without_a_session_and_once(waiting: Waiting) -> None:
    accepted(await waiting.cancel(waiting.token))
    refused(await waiting.cancel(waiting.token), 400, "INVALID_TOKEN")
    assert not await waiting.waits()
    waiting.here.time.advance(seconds=DAY)
    await waiting.housekeeping()
    assert accepted(await waiting.here.people.begin(waiting.carol))["requires2FA"] is True
    assert await waiting.mails() == ["two_factor_reset_asked", "two_factor_reset_cancelled"]


@pytest.mark.parametrize("how", ["totp", "backup code", "step-up", "new phone"])
async def test_second_factor_that_is_used_is_not_lost(deploy_sqlite: Deploy, how: str) -> None:
    here = await deploy_sqlite(recovery_wait_seconds=DAY)
    carol, people = here.carol, here.people
    session = await people.sign_in(carol)
    waiting = await begin_in(here)
    here.time.advance(minutes=2)
    match how:
        case "totp":
            await people.sign_in(carol)
        case "backup code":
            challenge = await people.challenge(carol)
            accepted(await people.redeem(carol.codes[0], challenge=challenge))
        case "step-up":
            accepted(await people.verify(carol.has.code(), bearer=session.token))
        case _:
            await people.enable(carol, session, replace=True)
            accepted(await people.verify(carol.has.code(), bearer=session.token))
    assert not await waiting.waits()
    here.time.advance(seconds=DAY)
    await waiting.housekeeping()
    assert accepted(await people.begin(carol))["requires2FA"] is True
    reported = {"new phone": ["two_factor_replaced"], "backup code": ["backup_code_used"]}.get(how, [])
    assert sorted((await waiting.mails())[1:]) == sorted([*reported, "two_factor_reset_cancelled"])


async def begin_in(here: Timed) -> Waiting:
    admin = await here.people.sign_in(here.ada, "admin")
    path = f"/admin/users/{here.carol.id}/two-factor"
    asked = accepted(await here.api.delete(path, {"reason": REASON}, bearer=admin.token), 202)["reset"]
    token = await here.mail.token(here.carol.email, "two_factor_reset_asked")
    return Waiting(here, admin, here.carol, token, asked)


async def test_factor_that_its_owner_turned_off_needs_no_reset(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(recovery_wait_seconds=DAY)
    session = await here.people.sign_in(here.carol)
    waiting = await begin_in(here)
    body = {"password": here.carol.password}
    accepted(await here.api.post("/two-factor/disable", body, bearer=session.token))
    assert not await waiting.waits()
    here.carol.phone = None
    again = await here.people.sign_in(here.carol)
    await here.people.enroll(here.carol, again)
    here.time.advance(seconds=DAY)
    await waiting.housekeeping()
    assert accepted(await here.people.begin(here.carol))["requires2FA"] is True


async def test_user_sees_the_reset_in_a_session_and_cancels_it(deploy_sqlite: Deploy) -> None:
    here = await deploy_sqlite(recovery_wait_seconds=DAY)
    session = await here.people.sign_in(here.carol)
    _, stranger = await here.people.newcomer()
    nothing = accepted(await here.api.get("/two-factor/reset", bearer=session.token))
    assert nothing == {"reset": None}
    waiting = await begin_in(here)
    seen = accepted(await here.api.get("/two-factor/reset", bearer=session.token))["reset"]
    assert seen == {name: waiting.asked[name] for name in ("id", "askedAt", "dueAt")}
    assert accepted(await here.api.get("/two-factor/reset", bearer=stranger.token)) == {"reset": None}
    refused(await here.api.delete("/two-factor/reset", bearer=stranger.token), 404, "NOT_FOUND")
    assert await waiting.waits()
    accepted(await here.api.delete("/two-factor/reset", bearer=session.token), 204)
    refused(await here.api.delete("/two-factor/reset", bearer=session.token), 404, "NOT_FOUND")
    assert not await waiting.waits()


async def test_another_administrator_cancels(waiting_sqlite: Waiting) -> None:
    waiting, here = waiting_sqlite, waiting_sqlite.here
    other, session = await here.admin()
    session = await here.people.enroll(other, session)
    accepted(await here.api.delete(f"{waiting.path}/reset", bearer=session.token), 204)
    refused(await here.api.delete(f"{waiting.path}/reset", bearer=session.token), 404, "NOT_FOUND")
    assert not await waiting.waits()


# --- what attackers try ----------------------------------------------------------------------------------------------
async def test_guessed_replayed_or_late_token_cancels_nothing(waiting: Waiting) -> None:
    guesses = [
        tokens.new_token(tokens.MAIL),
        waiting.token[:-1],
        waiting.token.swapcase(),
        waiting.token + " ",
        tokens.digest(waiting.token),
        waiting.asked["id"],
        "é" * 47,
    ]
    for guess in guesses:
        refused(await waiting.cancel(guess), 400, "INVALID_TOKEN")
    assert await waiting.waits()
    waiting.here.time.advance(seconds=DAY)
    refused(await waiting.cancel(waiting.token), 400, "INVALID_TOKEN")
    await waiting.housekeeping()
    refused(await waiting.cancel(waiting.token), 400, "INVALID_TOKEN")
    assert accepted(await waiting.here.people.begin(waiting.carol))["requires2FA"] is False


async def test_token_of_an_earlier_reset_does_not_cancel_a_later_one(waiting_sqlite: Waiting) -> None:
    waiting, here = waiting_sqlite, waiting_sqlite.here
    accepted(await waiting.cancel(waiting.token))
    later = await here.api.delete(waiting.path, {"reason": REASON}, bearer=waiting.admin.token)
    accepted(later, 202)
    refused(await waiting.cancel(waiting.token), 400, "INVALID_TOKEN")
    assert await waiting.waits()


async def test_token_is_good_for_nothing_else_and_other_tokens_do_not_cancel(waiting_sqlite: Waiting) -> None:
    waiting, here = waiting_sqlite, waiting_sqlite.here
    reset = await here.api.post(
        "/reset-password", {"token": waiting.token, "newPassword": "a long enough phrase"}
    )
    refused(reset, 400, "INVALID_TOKEN")
    refused(await here.api.get(f"/verify-email?token={waiting.token}"), 400, "INVALID_TOKEN")
    refused(await here.api.get("/session", bearer=waiting.token), 401, "INVALID_TOKEN")
    accepted(await here.api.post("/request-password-reset", {"email": waiting.carol.email}))
    other = await here.mail.token(waiting.carol.email, "password_reset")
    refused(await waiting.cancel(other), 400, "INVALID_TOKEN")
    assert await waiting.waits()


async def test_link_is_not_followed_by_getting_it(waiting_sqlite: Waiting) -> None:
    waiting, here = waiting_sqlite, waiting_sqlite.here
    answer = await here.api.get(f"/two-factor/reset/cancel?token={waiting.token}")
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert await waiting.waits()


async def test_user_without_the_actor_type_cannot_cancel_for_others(waiting_sqlite: Waiting) -> None:
    waiting, here = waiting_sqlite, waiting_sqlite.here
    _, stranger = await here.people.newcomer()
    refused(await here.api.delete(f"{waiting.path}/reset", bearer=stranger.token), 403, "FORBIDDEN")
    refused(await here.api.get("/admin/two-factor-resets", bearer=stranger.token), 403, "FORBIDDEN")
    assert await waiting.waits()


async def test_trusted_device_proves_no_factor(deploy_sqlite: Deploy) -> None:
    """It may be the very device that was stolen; only a code shows that the factor is there."""
    here = await deploy_sqlite(recovery_wait_seconds=DAY)
    challenge = await here.people.challenge(here.carol)
    body = {"code": here.carol.has.code(), "challenge": challenge, "trustDevice": True}
    trusted = await here.api.post("/two-factor/verify", body)
    cookie = next(
        header.partition(";")[0]
        for header in trusted.headers.get_list("set-cookie")
        if header.startswith("better-auth.trust_device=")
    )
    waiting = await begin_in(here)
    name, _, value = cookie.partition("=")
    given = {"email": here.carol.email, "password": here.carol.password}
    entered = await here.api.post("/customer/sign-in/email", given, cookies={name: value})
    assert accepted(entered)["requires2FA"] is False
    assert await waiting.waits()


async def test_password_alone_does_not_call_it_off(waiting_sqlite: Waiting) -> None:
    waiting, here = waiting_sqlite, waiting_sqlite.here
    accepted(await here.people.begin(waiting.carol))
    refused(
        await here.people.verify(
            waiting.carol.has.wrong(), challenge=await here.people.challenge(waiting.carol)
        ),
        401,
        "INVALID_CODE",
    )
    assert await waiting.waits()


# --- a password that no mail can reset -------------------------------------------------------------------------------
async def test_operators_link_sets_a_password_once_and_confirms_no_address(timed_sqlite: Timed) -> None:
    here = timed_sqlite
    account, session = await here.people.newcomer()
    issued = [
        await here.auth.passwords.issue_recovery_token(
            account.id, reason="no mail", context=system_context(here.clock())
        )
        for _ in range(2)
    ]
    body = {"newPassword": "an entirely new phrase"}
    replaced = await here.api.post("/reset-password", {**body, "token": issued[0]})
    refused(replaced, 400, "INVALID_TOKEN")
    accepted(await here.api.post("/reset-password", {**body, "token": issued[1]}))
    refused(await here.api.post("/reset-password", {**body, "token": issued[1]}), 400, "INVALID_TOKEN")
    assert not await here.people.is_alive(session)
    account.password = body["newPassword"]
    shown = accepted(await here.people.begin(account))
    assert shown["user"]["emailVerified"] is False
