"""Somebody with everything that an outage could take away, and what a server answers meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.contract.acting import create_key, is_accepted, listed_keys
from tests.contract.api import Answer, Api
from tests.contract.checks import accepted, refused
from tests.contract.conftest import DRIFT
from tests.contract.deployments import Prepared
from tests.contract.people import Account, People, Session
from tests.support.settings import KEY

ENV = {
    "AUTH_ENCRYPTION_KEY": KEY,
    "CZO_AUTH_RATE_LIMIT_ENABLED": "false",
    "CZO_AUTH_TOTP_DRIFT": str(DRIFT),
}


@dataclass
class Scenario:
    """Somebody with everything that an outage could take away: sessions, a key, a challenge, codes."""

    api: Api
    people: People
    account: Account
    session: Session
    spare: Session
    key: dict[str, Any]
    challenge: str
    other_challenge: str
    code: str
    backup_code: str

    def writes(self) -> dict[str, Awaitable[Answer]]:
        """Try everything that changes something."""
        api, session = self.api, self.session
        wrong = Account(email=self.account.email, password="not the password")
        nobody = Account(email="nobody@example.com")
        return {
            "sign-in": self.people.begin(self.account),
            "wrong password": self.people.begin(wrong),
            "unknown user": self.people.begin(nobody),
            "sign-up": api.post(
                "/customer/sign-up", {"email": "new@example.com", "password": wrong.password, "name": "New"}
            ),
            "right code": self.people.verify(self.code, challenge=self.challenge),
            "wrong code": self.people.verify(self.account.has.wrong(), challenge=self.challenge),
            "backup code": self.people.redeem(self.backup_code, challenge=self.other_challenge),
            "refresh": api.post("/token/refresh", {"refreshToken": self.spare.refresh_token}),
            "new key": api.post("/api-keys", {"name": "late"}, bearer=session.token),
            "rotation": api.post(f"/api-keys/{self.key['id']}/rotate", {}, bearer=session.token),
            "revocation": api.delete(f"/api-keys/{self.key['id']}", bearer=session.token),
            "sign-out": api.post("/sign-out", {}, bearer=self.spare.token),
            "end of sessions": api.delete("/sessions", bearer=session.token),
        }

    def reads(self) -> dict[str, Awaitable[Answer]]:
        """Read with every credential."""
        return {
            "key": self.api.get("/whoami", bearer=self.key["key"]),
            "session token": self.api.get("/whoami", bearer=self.session.token),
            "access token": self.api.get("/whoami", bearer=self.session.access_token),
            "cookie": self.api.get("/session", cookies=self.session.cookies),
            "keys": self.api.get("/api-keys", bearer=self.session.token),
        }

    async def nothing_was_consumed(self) -> None:
        """Do all that was refused, with the same codes and tokens."""
        assert len(await listed_keys(self.api, self.session)) == 1
        assert await self.people.is_alive(self.spare)
        state = await self.people.two_factor(self.session)
        assert state["backupCodesRemaining"] == len(self.account.codes) - 1
        accepted(await self.api.post("/token/refresh", {"refreshToken": self.spare.refresh_token}))
        accepted(await self.people.verify(self.code, challenge=self.challenge))
        accepted(await self.people.redeem(self.backup_code, challenge=self.other_challenge))
        assert await is_accepted(self.api, self.key["key"])
        await create_key(self.api, self.session)


async def scenario(api: Api, prepared: Prepared) -> Scenario:
    people = People(api, clock=lambda: datetime.now(UTC), drift=DRIFT)
    account = prepared.seen_by(people).customers[0]
    session, spare = await people.sign_in(account), await people.sign_in(account)
    challenge = await people.challenge(account)
    accepted(await people.redeem(account.codes[1], challenge=challenge))
    return Scenario(
        api=api,
        people=people,
        account=account,
        session=session,
        spare=spare,
        key=await create_key(api, session),
        challenge=await people.challenge(account),
        other_challenge=await people.challenge(account),
        code=account.has.code(),
        backup_code=account.codes[0],
    )


async def all_of(tries: dict[str, Awaitable[Answer]]) -> dict[str, Answer]:
    return dict(zip(tries, await asyncio.gather(*tries.values()), strict=True))


def all_unavailable(answers: dict[str, Answer]) -> None:
    for name, answer in answers.items():
        assert answer.status_code == 503, f"{name}: {answer.status_code} {answer.text}"
        body = refused(answer, 503, "SERVICE_UNAVAILABLE")
        assert body["retryAfter"] >= 1
        assert "set-cookie" not in answer.headers
