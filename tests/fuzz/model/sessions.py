"""Acts of people on their sessions: they sign up, in and out, change actor types, and refresh."""

from __future__ import annotations

from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.contract.api import DEVICE_COOKIE, cookies_set_by
from tests.contract.deployments import Timed
from tests.contract.people import Account
from tests.fuzz.model.acting import PICK, HostApi
from tests.fuzz.model.records import DEVICE_LIFE, MINUTE, Challenge, Person, Refused, Session

_numbers = count(1)


class Sessions(HostApi):
    """What begins, goes on and ends with a session."""

    @rule()
    @precondition(lambda self: len(self.world.people) < 4)
    def sign_up(self) -> None:
        account = Account(email=f"model-{next(_numbers)}-{id(self)}@example.com")
        body = {"email": account.email, "password": account.password, "name": account.name}
        answer = self._ask("POST", "/customer/sign-up", body)
        assert answer.status_code == 201, answer.text
        account.id = answer.json()["user"]["id"]
        person = Person(account=account)
        self.world.people.append(person)
        self.world.tell(person, "auth.user.registered")

    @rule(
        pick=PICK,
        has_password=st.sampled_from([True, True, True, False]),
        browser=st.none() | PICK,
        is_old=st.booleans(),
    )
    def sign_in(
        self, pick: int, has_password: bool = True, browser: int | None = None, is_old: bool = False
    ) -> None:
        """Sign in, some from a browser that was trusted, by them or by somebody else."""
        person: Person = self._one(self.world.people, pick)
        actor = "admin" if person.is_admin and pick % 2 == 0 else "customer"
        cookie = None
        if browser is not None and self.world.devices:
            device = self._one(self.world.devices, browser)
            cookie = device.replaced[-1] if is_old and device.replaced else device.token
        self._sign_in(person, actor, has_password=has_password, cookie=cookie)

    def _sign_in(
        self, person: Person, actor: str, *, has_password: bool = True, cookie: str | None = None
    ) -> None:
        password = person.account.password if has_password else "not the right password"
        answer = self._ask(
            "POST",
            f"/{actor}/sign-in/email",
            {"email": person.account.email, "password": password},
            cookies=None if cookie is None else {DEVICE_COOKIE: cookie},
        )
        refused: Refused = None
        if person.is_banned or not has_password:
            refused = (401, "INVALID_EMAIL_OR_PASSWORD")
        if not self._holds(answer, refused):
            return
        now, body = self._now, answer.json()
        device = self.world.trusted(cookie, person, now=now)
        assert body["requires2FA"] == (person.factor is not None and device is None)
        if not body["requires2FA"]:
            self._issued(person, answer, auth_time=now, proved_at=None)
            if person.factor is not None and device is not None:
                device.replaced.append(device.token)
                device.token = cookies_set_by(answer)[DEVICE_COOKIE].value
                device.expires_at = now + DEVICE_LIFE
            return
        self._challenged(person, body["challenge"], actor)
        assert "set-auth-token" not in answer.headers

    def _challenged(self, person: Person, token: str, actor: str, *, renews: Session | None = None) -> None:
        now = self._now
        auth_time = now if renews is None else renews.auth_time
        self.world.challenges.append(
            Challenge(person, token, actor, auth_time, expires_at=now + 5 * MINUTE, renews=renews)
        )

    @rule(pick=PICK)
    def sign_in_with_an_actor_type_that_is_not_held(self, pick: int) -> None:
        person: Person = self._one(self.world.people, pick)
        if person.is_admin or person.is_banned:
            return
        body = {"email": person.account.email, "password": person.account.password}
        self._holds(self._ask("POST", "/admin/sign-in/email", body), (403, "ACTOR_TYPE_MISMATCH"))

    @rule(pick=PICK, actor=st.sampled_from(["admin", "customer"]))
    @precondition(lambda self: self.world.sessions)
    def change_actor_types(self, pick: int, actor: str) -> None:
        session = self._session(pick)
        person = session.person
        refused = self.world.enters(session, now=self._now)
        if refused is None and actor == "admin" and not person.is_admin:
            refused = (403, "ACTOR_TYPE_MISMATCH")
        answer = self._ask("POST", "/switch-actor", {"actorType": actor}, bearer=session.token)
        if not self._holds(answer, refused):
            return
        needs_proof = person.factor is not None and session.aal < 2
        assert answer.json()["requires2FA"] == needs_proof
        if needs_proof:
            self._challenged(person, answer.json()["challenge"], actor, renews=session)
        else:
            self._renewed(session, answer, actor=actor, expires_at=session.expires_at)

    @rule(pick=PICK, back=st.sampled_from([0, 0, 1, 2]))
    @precondition(lambda self: self.world.sessions)
    def refresh(self, pick: int, back: int = 0) -> None:
        session = self._session(pick)
        texts = [session.leaf, *(text for text, _ in reversed(session.replaced))]
        self._refresh(session, texts[min(back, len(texts) - 1)])

    def _refresh(self, session: Session, text: str) -> None:
        if text != session.leaf and not isinstance(self._here, Timed):
            return
        refused = self.world.refreshes(session, text, now=self._now)
        answer = self._ask("POST", "/token/refresh", {"refreshToken": text})
        if self._holds(answer, refused):
            session.replaced.append((session.leaf, self._now))
            session.leaf = answer.json()["refreshToken"]
            session.access_token, session.issued_at = answer.json()["accessToken"], self._now

    @rule(pick=PICK, how=st.sampled_from(["sign out", "others", "one"]))
    @precondition(lambda self: self.world.sessions)
    def end_some(self, pick: int, how: str) -> None:
        session = self._session(pick)
        person, world, now = session.person, self.world, self._now
        refused = world.enters(session, now=now)
        if how == "sign out":
            answer = self._ask("POST", "/sign-out", {}, bearer=session.token)
            self._holds(answer, None)
            if world.is_alive(session, now=now):
                world.end(session)
        elif how == "others":
            if self._holds(self._ask("DELETE", "/sessions", bearer=session.token), refused, 204):
                world.end_sessions(person, now=now, keep=session)
        else:
            other: Session = self._one(world.sessions, pick + 1)
            theirs = other.person is person and not other.is_over
            refused = refused or (None if theirs else (404, "NOT_FOUND"))
            if self._holds(self._ask("DELETE", f"/sessions/{other.id}", bearer=session.token), refused, 204):
                world.end(other)
