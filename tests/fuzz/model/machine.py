"""The machine: it acts as people do, in any order, and every answer must be the one that the model gives."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from typing import Any, ClassVar, Protocol

import pyotp
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from czo_auth.core.flows.read_journal import ReadJournal
from czo_auth.core.provenance import SYSTEM
from tests.contract.api import Answer
from tests.contract.deployments import Deployment, Timed
from tests.contract.people import Account
from tests.fuzz.model.world import (
    MINUTE,
    NO_CHALLENGE,
    STEP,
    Challenge,
    Factor,
    Key,
    Organization,
    Person,
    Refused,
    Session,
    World,
)

PICK = st.integers(0, 4)
CODES = st.sampled_from(
    ["right", "right", "right", "wrong", "spent", "late", "backup", "spent backup", "another's"]
)
WAITS = st.sampled_from([1, 11, 31, 31, 95, 301, 601, 1201, 3601, 8 * 86400])
LIFE = timedelta(days=7)
_numbers = count(1)


class Place(Protocol):
    """Where the machine runs: opens a fresh deployment, and says how far its clock may be trusted."""

    drift: int

    async def open(self, stack: AsyncExitStack) -> Deployment: ...


class Machine(RuleBasedStateMachine):
    """Runs in the place that a subclass names."""

    place: ClassVar[Place]
    answers: ClassVar[Counter[int]] = Counter()
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._here = self._run(self.place.open(self._stack))
        self._world = World(drift=self.place.drift)
        self._before = self._run(self._told())

    # --- means -------------------------------------------------------------------------------------------------------
    def _run(self, what: Any) -> Any:
        return self._loop.run_until_complete(what)

    @property
    def _now(self) -> Any:
        return self._here.clock()

    def _ask(self, method: str, path: str, body: object = None, *, bearer: str | None = None) -> Answer:
        how: dict[str, Any] = {"bearer": bearer}
        sent = () if body is None else (body,)
        answer: Answer = self._run(self._here.api.call(method, path, *sent, **how))
        self.answers[answer.status_code] += 1
        assert answer.status_code < 500, answer.text
        return answer

    def _holds(self, answer: Answer, refused: Refused, status: int = 200) -> bool:
        """Hold *answer* against the model; say whether it is a success."""
        if refused is None:
            assert answer.status_code == status, answer.text
            return True
        assert (answer.status_code, answer.json()["code"]) == refused, (refused, answer.text)
        return False

    @staticmethod
    def _one(things: list[Any], pick: int) -> Any:
        """Choose, counted from the newest."""
        return things[-1 - pick % len(things)]

    def _issued(self, person: Person, answer: Answer, **more: Any) -> Session:
        body, now = answer.json(), self._now
        shown = body["session"]
        session = Session(
            person=person,
            id=shown["id"],
            token=answer.headers["set-auth-token"],
            access_token=body["accessToken"],
            actor=shown["actorType"],
            aal=shown["aal"],
            issued_at=now,
            expires_at=now + LIFE,
            leaf=body["refreshToken"],
            **more,
        )
        assert body["requires2FASetup"] == person.must_enrol
        assert shown["aal"] == (2 if session.proved_at else 1)
        self._world.after_issue(session)
        return session

    def _renewed(self, old: Session, answer: Answer, **more: Any) -> Session:
        self._world.end(old)
        kept = {"auth_time": old.auth_time, "proved_at": old.proved_at}
        session = self._issued(old.person, answer, **{**kept, **more})
        assert session.actor == old.actor
        return session

    def _code(self, person: Person, factor: Factor | None, kind: str) -> str:
        if factor is None:
            return "000000"
        phone, step = pyotp.TOTP(factor.secret), int(self._now.timestamp()) // STEP
        if kind == "right":
            oldest = step - max(0, self.place.drift - 2)
            return phone.generate_otp(min(max(factor.last_step + 1, oldest), step + self.place.drift))
        if kind == "spent":
            return phone.generate_otp(factor.last_step)
        if kind == "late":
            return phone.generate_otp(step - self.place.drift - 3)
        if kind == "backup" and factor.codes:
            return factor.codes[0]
        if kind == "spent backup" and person.spent_codes:
            return person.spent_codes[-1]
        others = [each.factor for each in self._world.people if each is not person and each.factor]
        if kind == "another's" and others:
            return others[0].codes[0] if others[0].codes else "111111"
        return "000000"

    # --- people ------------------------------------------------------------------------------------------------------
    @initialize()
    def begin(self) -> None:
        for account in [*self._here.prepared.customers[:1], *self._here.prepared.admins]:
            is_admin = account in self._here.prepared.admins
            factor = Factor(secret=account.has.secret, codes=list(account.codes), last_step=account.has._last)
            self._world.people.append(Person(account=account, factor=factor, is_admin=is_admin))
        self.sign_up()
        for pick in range(3):
            self.sign_in(pick, has_password=True)
            if self._world.challenges and not self._world.challenges[-1].is_over:
                self.finish(0, "right")
            self.found(0)
            self.create_key(0, place=None, lives=None, reserved=pick == 0)
        self.operate(0, "promote")
        self.join(0, 1, "admin")

    @rule()
    @precondition(lambda self: len(self._world.people) < 4)
    def sign_up(self) -> None:
        account = Account(email=f"model-{next(_numbers)}-{id(self)}@example.com")
        body = {"email": account.email, "password": account.password, "name": account.name}
        answer = self._ask("POST", "/customer/sign-up", body)
        assert answer.status_code == 201, answer.text
        account.id = answer.json()["user"]["id"]
        person = Person(account=account)
        self._world.people.append(person)
        self._world.tell(person, "auth.user.registered")

    @rule(pick=PICK, has_password=st.sampled_from([True, True, True, False]))
    def sign_in(self, pick: int, has_password: bool, actor: str | None = None) -> None:
        person: Person = self._one(self._world.people, pick)
        password = person.account.password if has_password else "not the right password"
        actor = actor or ("admin" if person.is_admin and pick % 2 == 0 else "customer")
        answer = self._ask(
            "POST", f"/{actor}/sign-in/email", {"email": person.account.email, "password": password}
        )
        refused: Refused = None
        if person.is_banned or not has_password:
            refused = (401, "INVALID_EMAIL_OR_PASSWORD")
        if not self._holds(answer, refused):
            return
        now, body = self._now, answer.json()
        assert body["requires2FA"] == (person.factor is not None)
        if person.factor is None:
            self._issued(person, answer, auth_time=now, proved_at=None)
            return
        assert "set-auth-token" not in answer.headers
        self._world.challenges.append(
            Challenge(person, body["challenge"], actor, auth_time=now, expires_at=now + 5 * MINUTE)
        )

    @rule(pick=PICK)
    def sign_in_with_a_hat_that_is_not_held(self, pick: int) -> None:
        person: Person = self._one(self._world.people, pick)
        if person.is_admin or person.is_banned:
            return
        body = {"email": person.account.email, "password": person.account.password}
        self._holds(self._ask("POST", "/admin/sign-in/email", body), (403, "ACTOR_TYPE_MISMATCH"))

    # --- second factors ----------------------------------------------------------------------------------------------
    @rule(pick=PICK, kind=CODES)
    @precondition(lambda self: self._world.challenges)
    def finish(self, pick: int, kind: str) -> None:
        challenge: Challenge = self._one(self._world.challenges, pick)
        person = challenge.person
        code = self._code(person, person.factor, kind)
        is_backup = len(code) > 6
        path = "/two-factor/verify-backup-code" if is_backup else "/two-factor/verify"
        refused = self._world.claims(challenge, now=self._now)
        if refused is None:
            refused = self._world.tries(person, code, "backup" if is_backup else "totp", now=self._now)
        answer = self._ask("POST", path, {"code": code, "challenge": challenge.token})
        if self._holds(answer, refused):
            challenge.is_over = True
            self._issued(person, answer, auth_time=challenge.auth_time, proved_at=self._now)

    @rule(pick=PICK, has_password=st.booleans())
    @precondition(lambda self: self._world.sessions)
    def enable(self, pick: int, has_password: bool) -> None:
        session: Session = self._one(self._world.sessions, pick)
        person = session.person
        refused = self._world.enters(session, now=self._now, enrolling=True)
        if refused is None and person.factor is not None:
            refused = (400, "TOTP_ALREADY_ENABLED")
        if refused is None and not has_password and self._now - session.auth_time > 10 * MINUTE:
            refused = (403, "REAUTHENTICATION_REQUIRED")
        body = {"password": person.account.password} if has_password else {}
        answer = self._ask("POST", "/two-factor/enable", body, bearer=session.token)
        if self._holds(answer, refused):
            shown = answer.json()
            expires_at = self._now + 10 * MINUTE
            person.pending = Factor(shown["secret"], list(shown["backupCodes"]), expires_at=expires_at)

    @rule(pick=PICK, kind=CODES)
    @precondition(lambda self: self._world.sessions)
    def verify(self, pick: int, kind: str) -> None:
        """Confirm an enrolment if one is pending, else prove the factor again."""
        session: Session = self._one(self._world.sessions, pick)
        person, world, now = session.person, self._world, self._now
        if person.pending is not None and (person.pending.expires_at or now) <= now:
            person.pending = None
        code = self._code(person, person.pending or person.factor, kind)
        is_backup = len(code) > 6
        path = "/two-factor/verify-backup-code" if is_backup else "/two-factor/verify"
        step = None
        if not world.is_alive(session, now=now):
            refused = NO_CHALLENGE
        elif is_backup and person.must_enrol:
            refused = (403, "TWO_FACTOR_SETUP_REQUIRED")
        elif person.pending is None or is_backup:
            refused = world.tries(person, code, "backup" if is_backup else "totp", now=now)
        else:
            refused = world.count(person, now=now)
            step = person.pending.step_of(code, now=now, drift=world.drift, after=-1)
            if refused is None and step is None:
                refused = world.fail(person, "INVALID_CODE")
        answer = self._ask("POST", path, {"code": code}, bearer=session.token)
        if not self._holds(answer, refused):
            return
        if step is not None:
            world.after_enabled(person, step)
        renewed = self._renewed(session, answer, proved_at=now)
        if step is not None:
            world.end_sessions(person, now=now, keep=renewed)

    @rule(pick=PICK)
    @precondition(lambda self: self._world.sessions)
    def guess_ten_times(self, pick: int) -> None:
        if self._one(self._world.sessions, pick).person.factor is not None:
            for _ in range(10):
                self.verify(pick, "wrong")

    @rule(pick=PICK, kind=st.none() | CODES, has_password=st.sampled_from([True, True, False]))
    @precondition(lambda self: self._world.sessions)
    def turn_off(self, pick: int, kind: str | None, has_password: bool) -> None:
        session: Session = self._one(self._world.sessions, pick)
        person, world, now = session.person, self._world, self._now
        refused = world.enters(session, now=now)
        if refused is None and person.is_admin:
            refused = (409, "TWO_FACTOR_REQUIRED_BY_POLICY")
        answer = self._prove("/two-factor/disable", session, kind, has_password, refused)
        if answer is not None:
            world.after_factor_removed(person)
            session.aal, session.proved_at = 1, None
            world.end_sessions(person, now=now, keep=session)

    @rule(pick=PICK, kind=st.none() | CODES, has_password=st.sampled_from([True, True, False]))
    @precondition(lambda self: self._world.sessions)
    def regenerate(self, pick: int, kind: str | None, has_password: bool) -> None:
        session: Session = self._one(self._world.sessions, pick)
        refused = self._world.enters(session, now=self._now)
        answer = self._prove("/two-factor/generate-backup-codes", session, kind, has_password, refused)
        if answer is not None:
            person = session.person
            assert person.factor is not None
            person.spent_codes += person.factor.codes
            person.factor.codes = list(answer.json()["backupCodes"])
            self._world.tell(person, "auth.2fa.backup_codes_regenerated")

    def _prove(
        self, path: str, session: Session, kind: str | None, has_password: bool, refused: Refused
    ) -> Answer | None:
        person = session.person
        body = {"password": person.account.password if has_password else "not the right password"}
        code = None if kind is None else self._code(person, person.factor, kind)
        if code is not None:
            body["code"] = code
        if refused is None and person.factor is not None and not has_password:
            refused = (400, "INVALID_PASSWORD")
        if refused is None:
            refused = self._world.proves(session, code, now=self._now)
        answer = self._ask("POST", path, body, bearer=session.token)
        return answer if self._holds(answer, refused) else None

    # --- sessions ----------------------------------------------------------------------------------------------------
    @rule(pick=PICK, back=st.sampled_from([0, 0, 1, 2]))
    @precondition(lambda self: self._world.sessions)
    def refresh(self, pick: int, back: int) -> None:
        session: Session = self._one(self._world.sessions, pick)
        texts = [session.leaf, *(text for text, _ in reversed(session.replaced))]
        text = texts[min(back, len(texts) - 1)]
        if text != session.leaf and not isinstance(self._here, Timed):
            return
        refused = self._world.refreshes(session, text, now=self._now)
        answer = self._ask("POST", "/token/refresh", {"refreshToken": text})
        if self._holds(answer, refused):
            session.replaced.append((session.leaf, self._now))
            session.leaf = answer.json()["refreshToken"]
            session.access_token, session.issued_at = answer.json()["accessToken"], self._now

    @rule(pick=PICK, how=st.sampled_from(["sign out", "others", "one", "password"]))
    @precondition(lambda self: self._world.sessions)
    def end_some(self, pick: int, how: str) -> None:
        session: Session = self._one(self._world.sessions, pick)
        person, world, now = session.person, self._world, self._now
        refused = world.enters(session, now=now)
        if how == "sign out":
            answer = self._ask("POST", "/sign-out", {}, bearer=session.token)
            self._holds(answer, None)
            if world.is_alive(session, now=now):
                world.end(session)
        elif how == "others":
            if self._holds(self._ask("DELETE", "/sessions", bearer=session.token), refused, 204):
                world.end_sessions(person, now=now, keep=session)
        elif how == "one":
            other: Session = self._one(world.sessions, pick + 1)
            theirs = other.person is person and not other.is_over
            refused = refused or (None if theirs else (404, "NOT_FOUND"))
            if self._holds(self._ask("DELETE", f"/sessions/{other.id}", bearer=session.token), refused, 204):
                world.end(other)
        else:
            new = f"correct horse {next(_numbers)} battery staple"
            body = {"currentPassword": person.account.password, "newPassword": new}
            answer = self._ask("POST", "/change-password", body, bearer=session.token)
            if self._holds(answer, refused):
                person.account.password, person.pending = new, None
                renewed = self._renewed(session, answer)
                world.end_sessions(person, now=now, keep=renewed)
                world.tell(person, "auth.user.updated")

    # --- keys and organizations --------------------------------------------------------------------------------------
    @rule(
        pick=PICK,
        place=st.none() | PICK,
        lives=st.none() | st.sampled_from([60, 3600]),
        reserved=st.booleans(),
    )
    @precondition(lambda self: self._world.sessions and len(self._world.keys) < 20)
    def create_key(self, pick: int, place: int | None, lives: int | None, reserved: bool) -> None:
        session: Session = self._one(self._world.sessions, pick)
        world, now = self._world, self._now
        scopes = ["orders:read", *(["admin:read"] if reserved else [])]
        body: dict[str, Any] = {"name": "a key", "scopes": scopes}
        organization: Organization | None = None
        refused = world.enters(session, now=now)
        if place is not None and world.organizations:
            organization = self._one(world.organizations, place)
            body["organizationId"] = organization.id
            role = organization.roles.get(session.person)
            if role is None:
                refused = refused or (403, "USER_NOT_MEMBER_OF_ORGANIZATION")
            elif role not in ("owner", "admin"):
                refused = refused or (403, "INSUFFICIENT_API_KEY_PERMISSIONS")
        if lives is not None:
            body["expiresIn"] = lives
        if reserved and session.actor != "admin":
            refused = refused or (403, "INSUFFICIENT_SCOPE")
        answer = self._ask("POST", "/api-keys", body, bearer=session.token)
        if self._holds(answer, refused, 201):
            shown = answer.json()["apiKey"]
            key = Key(session.person, shown["id"], shown["key"], session.actor, tuple(scopes), organization)
            key.expires_at = None if lives is None else now + timedelta(seconds=lives)
            world.keys.append(key)
            world.tell(session.person, "auth.apikey.created")

    @rule(pick=PICK, who=PICK, how=st.sampled_from(["off", "on", "rotate", "overlap", "end"]))
    @precondition(lambda self: self._world.sessions and self._world.keys)
    def change_key(self, pick: int, who: int, how: str) -> None:
        key: Key = self._one(self._world.keys, pick)
        theirs = [each for each in self._world.sessions if each.person is key.person]
        session: Session = self._one(theirs if theirs and who else self._world.sessions, who)
        world, now = self._world, self._now
        refused = world.owns(session, key, now=now)
        if how == "end":
            answer = self._ask("DELETE", f"/api-keys/{key.id}", bearer=session.token)
            if self._holds(answer, refused, 204):
                key.is_over = True
                world.tell(key.person, "auth.apikey.revoked")
        elif how in ("on", "off"):
            body = {"enabled": how == "on"}
            if how == "on" and key.is_rotated:
                return
            answer = self._ask("PATCH", f"/api-keys/{key.id}", body, bearer=session.token)
            if self._holds(answer, refused):
                key.is_enabled = how == "on"
        else:
            self._rotate(key, session, refused, overlap=0 if how == "rotate" else 120)

    def _rotate(self, key: Key, session: Session, refused: Refused, *, overlap: int) -> None:
        world, now = self._world, self._now
        role = key.organization and key.organization.roles.get(key.person)
        if refused is None and key.is_rotated:
            refused = (409, "API_KEY_ALREADY_ROTATED")
        if refused is None and key.expires_at is not None and key.expires_at <= now:
            refused = (404, "NOT_FOUND")
        if refused is None and key.organization is not None and role not in ("owner", "admin"):
            refused = (403, "INSUFFICIENT_API_KEY_PERMISSIONS")
        body = {"overlapSeconds": overlap}
        answer = self._ask("POST", f"/api-keys/{key.id}/rotate", body, bearer=session.token)
        if self._holds(answer, refused, 201):
            shown = answer.json()["apiKey"]
            assert set(shown["scopes"]) <= set(key.scopes)
            heir = Key(key.person, shown["id"], shown["key"], key.actor, key.scopes, key.organization)
            heir.expires_at, heir.is_enabled = key.expires_at, key.is_enabled
            world.keys.append(heir)
            world.tell(key.person, "auth.apikey.rotated")
            end = now + timedelta(seconds=overlap)
            key.is_rotated = True
            key.expires_at = end if key.expires_at is None else min(key.expires_at, end)

    @rule(pick=PICK)
    @precondition(lambda self: self._world.sessions and len(self._world.organizations) < 5)
    def found(self, pick: int) -> None:
        session: Session = self._one(self._world.sessions, pick)
        answer = self._ask("POST", "/organizations", {"name": "Acme"}, bearer=session.token)
        if self._holds(answer, self._world.enters(session, now=self._now), 201):
            organization = Organization(answer.json()["organization"]["id"], {session.person: "owner"})
            self._world.organizations.append(organization)
            self._world.tell(session.person, "auth.org.created")
            self._world.tell(session.person, "auth.org.member_added")

    @rule(place=PICK, pick=PICK, role=st.sampled_from(["admin", "member"]))
    @precondition(lambda self: self._world.organizations)
    def join(self, place: int, pick: int, role: str) -> None:
        organization: Organization = self._one(self._world.organizations, place)
        world, now = self._world, self._now
        guest: Session = self._one(world.sessions, pick)
        hosts = [
            each
            for each in world.sessions
            if organization.roles.get(each.person) in ("owner", "admin") and not world.enters(each, now=now)
        ]
        if not hosts or guest.person in organization.roles or world.enters(guest, now=now):
            return
        body = {"email": guest.person.account.email, "role": role}
        path = f"/organizations/{organization.id}/invitations"
        token = self._ask("POST", path, {**body, "resend": True}, bearer=hosts[0].token).json()["token"]
        for status in (200, 400):
            answer = self._ask("POST", "/invitations/accept", {"token": token}, bearer=guest.token)
            assert answer.status_code == status, answer.text
        organization.roles[guest.person] = role
        world.tell(guest.person, "auth.org.member_added")

    @rule(place=PICK, pick=PICK, whom=PICK)
    @precondition(lambda self: self._world.organizations and self._world.sessions)
    def remove(self, place: int, pick: int, whom: int) -> None:
        organization: Organization = self._one(self._world.organizations, place)
        session: Session = self._one(self._world.sessions, pick)
        person: Person = self._one(self._world.people, whom)
        world, now, roles = self._world, self._now, organization.roles
        refused = world.enters(session, now=now)
        if refused is None and session.person not in roles:
            refused = (404, "NOT_FOUND")
        elif refused is None and session.person is not person and roles[session.person] == "member":
            refused = (403, "FORBIDDEN")
        elif refused is None and person not in roles:
            refused = (404, "NOT_FOUND")
        elif refused is None and roles[person] == "owner":
            refused = (409, "LAST_OWNER") if roles[session.person] == "owner" else (403, "FORBIDDEN")
        path = f"/organizations/{organization.id}/members/{person.id}"
        if self._holds(self._ask("DELETE", path, bearer=session.token), refused, 204):
            del roles[person]
            world.end_keys(person=person, organization=organization)
            world.tell(person, "auth.org.member_removed")

    # --- operators and time ------------------------------------------------------------------------------------------
    @rule(pick=PICK, what=st.sampled_from(["ban", "unban", "promote", "promote", "demote"]))
    def operate(self, pick: int, what: str) -> None:
        person: Person = self._one(self._world.people, pick)
        administer, world, now = self._here.auth.administer, self._world, self._now
        how = {"provenance": SYSTEM, "now": now}
        if what == "ban":
            self._run(administer.ban(person.id, reason="the model", **how))
            world.after_ban(person, now=now)
        elif what == "unban":
            self._run(administer.unban(person.id, **how))
            person.is_banned = False
        else:
            add, remove = (["admin"], []) if what == "promote" else ([], ["admin"])
            self._run(administer.change_actor_types(person.id, add=add, remove=remove, **how))
            world.after_hat(person, is_admin=what == "promote", now=now)

    @rule(seconds=WAITS)
    @precondition(lambda self: isinstance(self._here, Timed))
    def wait(self, seconds: int) -> None:
        assert isinstance(self._here, Timed)
        self._here.time.advance(seconds=seconds)

    # --- what always holds -------------------------------------------------------------------------------------------
    @invariant()
    def credentials_are_what_the_model_says(self) -> None:
        type(self).steps += 1
        for session in self._world.sessions[-5:]:
            self._look_at_session(session)
        for key in self._world.keys[-4:]:
            self._look_at_key(key)

    def _look_at_session(self, session: Session) -> None:
        world, now = self._world, self._now
        answer = self._ask("GET", "/whoami", bearer=session.token)
        if self._holds(answer, world.enters(session, now=now, enrolling=True)):
            shown = answer.json()
            assert (shown["userId"], shown["aal"]) == (session.person.id, session.aal)
            assert (shown["restrictedTo"] is not None) == session.person.must_enrol
        self._holds(
            self._ask("GET", "/admin/users?limit=1", bearer=session.token),
            world.administers(session, now=now),
        )
        age = now - session.issued_at
        if not 14 * MINUTE <= age <= 17 * MINUTE:
            refused = world.enters(session, now=now)
            if age > 17 * MINUTE:
                refused = (401, "INVALID_TOKEN")
            self._holds(self._ask("GET", "/sessions", bearer=session.access_token), refused)

    def _look_at_key(self, key: Key) -> None:
        answer = self._ask("GET", "/whoami", bearer=key.text)
        if self._holds(answer, self._world.accepts(key, now=self._now)):
            shown = answer.json()
            assert shown["userId"] == key.person.id
            assert shown["scopes"] == self._world.rights(key)
            assert shown["organizationId"] == (key.organization and key.organization.id)
            refused = self._ask("GET", "/sessions", bearer=key.text)
            assert (refused.status_code, refused.json()["code"]) == (403, "SESSION_REQUIRED")

    # --- the end -----------------------------------------------------------------------------------------------------
    def teardown(self) -> None:
        try:
            for key in self._world.keys:
                self._look_at_key(key)
            self._one_live_leaf()
            told = self._run(self._told())
            told = told - self._before
            lacking, surplus = self._world.events - told, told - self._world.events
            assert not lacking, lacking
            assert not surplus, surplus
            verdict = self._run(ReadJournal(self._here.auth.services).verify_audit())
            assert verdict.broken_at is None
        finally:
            self._run(self._stack.aclose())
            self._loop.close()

    def _one_live_leaf(self) -> None:
        """Each living family has one token that counts, and each that ended has none."""
        world, now = self._world, self._now
        for session in world.sessions:
            alive = world.is_alive(session, now=now)
            answer = self._ask("POST", "/token/refresh", {"refreshToken": session.leaf})
            assert answer.status_code == (200 if alive else 401), answer.text
            again = self._ask("POST", "/token/refresh", {"refreshToken": session.leaf})
            assert again.status_code == (409 if alive else 401), again.text

    async def _told(self) -> Counter[tuple[str | None, str]]:
        found: Counter[tuple[str | None, str]] = Counter()
        async for batch in ReadJournal(self._here.auth.services).events():
            found.update((event.user_id, event.type) for event in batch)
        return found
