"""An organization whose members need a second factor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tests.contract.acting import create_organization, join
from tests.contract.api import Answer
from tests.contract.checks import accepted, refused
from tests.contract.deployments import Timed
from tests.contract.keys import moment
from tests.contract.people import Account, Session

REFUSED = "ORGANIZATION_TWO_FACTOR_REQUIRED"


@dataclass
class Acme:
    """An organization whose owner has a factor, and a member without one."""

    timed: Timed
    id: str
    boss: Account
    owner: Session
    account: Account
    member: Session

    @property
    def path(self) -> str:
        return f"/organizations/{self.id}"

    @property
    def exemption(self) -> str:
        return f"{self.path}/members/{self.account.id}/two-factor-exemption"

    async def demand(self, from_: datetime | None, grace_days: int | None = None) -> Answer:
        """Set the rule, by a session whose proof is recent."""
        body: dict[str, object] = {"requireTwoFactorFrom": said(from_)}
        if grace_days is not None:
            body["twoFactorGraceDays"] = grace_days
        answer = await self.timed.api.patch(self.path, body, bearer=self.owner.token)
        if answer.status_code != 403:
            return answer
        self.owner = await self.timed.people.sign_in(self.boss)
        return await self.timed.api.patch(self.path, body, bearer=self.owner.token)

    async def due_at(self) -> str | None:
        """Say from when on the member is refused, as both routes say it."""
        api = self.timed.api
        session = accepted(await api.get("/session", bearer=self.member.token))["session"]
        state = await self.timed.people.two_factor(self.member)
        assert session["twoFactorDueAt"] == state["twoFactorDueAt"]
        due_at: str | None = state["twoFactorDueAt"]
        return due_at

    async def is_refused(self) -> bool:
        answer = await self.timed.api.get(self.path, bearer=self.member.token)
        if answer.status_code == 200:
            return False
        refused(answer, 403, REFUSED)
        return True


def said(at: datetime | None) -> str | None:
    return None if at is None else moment(at)


async def acme_of(timed: Timed, role: str = "admin") -> Acme:
    boss, owner = await timed.people.enrolled()
    account, member = await timed.people.newcomer()
    organization = await create_organization(timed.api, owner)
    await join(timed.api, owner, organization, (account, member), role)
    return Acme(timed, organization, boss, owner, account, member)
