"""What every part of the machine acts with: it asks the deployment, and holds each answer against the model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, ClassVar, Protocol

import pyotp
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from tests.contract.api import NO_BODY, Answer
from tests.contract.deployments import Deployment
from tests.fuzz.model.records import STEP, Factor, Person, Refused, Session
from tests.fuzz.model.world import World

PICK = st.integers(0, 4)
CODES = st.sampled_from(
    ["right", "right", "right", "wrong", "spent", "late", "backup", "spent backup", "old phone", "another's"]
)
LIFE = timedelta(days=7)


class Place(Protocol):
    """Where the machine runs: opens a fresh deployment, and says how far its clock may be trusted."""

    drift: int

    async def open(self, stack: AsyncExitStack) -> Deployment: ...


class HostApi(RuleBasedStateMachine):
    """Runs in the place that a subclass names."""

    place: ClassVar[Place]
    answers: ClassVar[Counter[int]] = Counter()
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._here = self._run(self.place.open(self._stack))
        self.world = World(drift=self.place.drift)

    def _run(self, what: Any) -> Any:
        return self._loop.run_until_complete(what)

    @property
    def _now(self) -> Any:
        return self._here.clock()

    def _ask(
        self,
        method: str,
        path: str,
        body: object = NO_BODY,
        *,
        bearer: str | None = None,
        cookies: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        asked = self._here.api.call(method, path, body, bearer=bearer, cookies=cookies, headers=headers)
        answer: Answer = self._run(asked)
        self.answers[answer.status_code] += 1
        assert answer.status_code < 500, answer.text
        return answer

    def _holds(self, answer: Answer, refused: Refused, status: int = 200) -> bool:
        """Hold *answer* against the model; say whether it is a success."""
        if refused is None:
            assert answer.status_code == status, answer.text
            return True
        code = answer.json().get("code") if answer.content else None
        assert (answer.status_code, code) == refused, (refused, answer.text)
        return False

    @staticmethod
    def _one(things: list[Any], pick: int) -> Any:
        """Choose, counted from the newest."""
        return things[-1 - pick % len(things)]

    def _session(self, pick: int) -> Session:
        """Choose one of the newest that live, or the newest that does not."""
        living = [each for each in self.world.sessions if self.world.is_alive(each, now=self._now)]
        over = [each for each in self.world.sessions if each not in living]
        return self._one([*over[-1:], *living[-4:]], pick)  # type: ignore[no-any-return]

    def _issued(self, person: Person, answer: Answer, **more: Any) -> Session:
        body, now = answer.json(), self._now
        shown = body["session"]
        session = Session(
            person=person,
            id=shown["id"],
            token=answer.headers["set-auth-token"],
            access_token=body["accessToken"],
            actor=shown["actorType"],
            issued_at=now,
            leaf=body["refreshToken"],
            **{"expires_at": now + LIFE, "aal": 2 if more["proved_at"] else 1, **more},
        )
        assert body["requires2FASetup"] == person.must_enroll
        assert shown["aal"] == session.aal
        self.world.after_issue(session)
        return session

    def _renewed(self, old: Session, answer: Answer, *, actor: str | None = None, **more: Any) -> Session:
        self.world.end(old)
        kept = {"auth_time": old.auth_time, "proved_at": old.proved_at, "lineage": old.lineage}
        # A factor that was proved again by `/reauthenticate` is recent, and raises nothing.
        kept["aal"] = 2 if "proved_at" in more else old.aal
        session = self._issued(old.person, answer, **{**kept, **more})
        assert session.actor == (actor or old.actor)
        return session

    def _code(self, person: Person, factor: Factor | None, kind: str) -> str:
        step = int(self._now.timestamp()) // STEP
        if kind == "spent backup" and person.used_codes:
            return person.used_codes[-1]
        if kind == "old phone" and person.old_secrets:
            return pyotp.TOTP(person.old_secrets[-1]).generate_otp(step)
        if factor is None:
            return "000000"
        phone = pyotp.TOTP(factor.secret)
        if kind == "right":
            oldest = step - max(0, self.place.drift - 2)
            return phone.generate_otp(min(max(factor.last_step + 1, oldest), step + self.place.drift))
        if kind == "spent":
            return phone.generate_otp(factor.last_step)
        if kind == "late":
            return phone.generate_otp(step - self.place.drift - 3)
        if kind == "backup" and factor.codes:
            return factor.codes[0]
        others = [each.factor for each in self.world.people if each is not person and each.factor]
        if kind == "another's" and others:
            return others[0].codes[0] if others[0].codes else "111111"
        return "000000"
