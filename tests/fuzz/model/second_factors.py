"""Acts of people with their phones, codes and trusted browsers."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.contract.api import DEVICE_COOKIE, Answer, cookies_set_by
from tests.fuzz.model.acting import CODES, PICK
from tests.fuzz.model.records import (
    DEVICE_LIFE,
    MINUTE,
    NO_CHALLENGE,
    Challenge,
    Device,
    Factor,
    Refused,
    Session,
)
from tests.fuzz.model.sessions import Sessions

PASSWORDS = st.sampled_from(["right", "right", "wrong", None])
"""What of the password is sent; None for nothing."""


class SecondFactors(Sessions):
    """What begins, uses and ends a second factor."""

    @rule(pick=PICK, kind=CODES, trusts=st.booleans())
    @precondition(lambda self: self.world.challenges)
    def finish(self, pick: int, kind: str = "right", trusts: bool = False) -> None:
        self._finish(self._one(self.world.challenges, pick), kind, trusts=trusts)

    def _finish(self, challenge: Challenge, kind: str, *, trusts: bool = False) -> None:
        person = challenge.person
        code = self._code(person, person.factor, kind)
        is_backup = len(code) > 6
        path = "/two-factor/verify-backup-code" if is_backup else "/two-factor/verify"
        refused = self.world.claims(challenge, now=self._now)
        if refused is None:
            refused = self.world.tries(person, code, "backup" if is_backup else "totp", now=self._now)
        body = {"code": code, "challenge": challenge.token, "trustDevice": trusts}
        answer = self._ask("POST", path, body)
        if self._holds(answer, refused):
            challenge.is_over = True
            session = self._finished(challenge, answer)
            assert session.actor == challenge.actor
            self._trusted(session, answer, wanted=trusts)

    def _finished(self, challenge: Challenge, answer: Answer) -> Session:
        old = challenge.renews
        if old is None:
            return self._issued(challenge.person, answer, auth_time=challenge.auth_time, proved_at=self._now)
        return self._renewed(
            old, answer, actor=challenge.actor, proved_at=self._now, expires_at=old.expires_at
        )

    def _trusted(self, session: Session, answer: Answer, *, wanted: bool) -> None:
        """Note a browser that is trusted from now on."""
        person, now = session.person, self._now
        cookie = cookies_set_by(answer).get(DEVICE_COOKIE)
        assert (cookie is not None) == (wanted and not person.is_admin)
        if cookie is None:
            return
        (new,) = self._listed_browsers(session) - self._known_browsers(session)
        self.world.devices.append(Device(person, new, cookie.value, expires_at=now + DEVICE_LIFE))
        self._look_at_browsers(session)

    def _look_at_browsers(self, session: Session) -> None:
        """See that the trusted browsers of a session's user are listed, and no others."""
        assert self._listed_browsers(session) == self._known_browsers(session)

    def _listed_browsers(self, session: Session) -> set[str]:
        listed = self._ask("GET", "/two-factor/trusted-devices", bearer=session.token).json()
        return {shown["id"] for shown in listed["trustedDevices"]}

    def _known_browsers(self, session: Session) -> set[str]:
        return {device.id for device in self.world.live_devices(session.person, now=self._now)}

    @rule(pick=PICK, which=st.none() | PICK)
    @precondition(lambda self: self.world.sessions)
    def forget_browsers(self, pick: int, which: int | None = None) -> None:
        """Forget one trusted browser, or try to forget somebody else's; None forgets all."""
        session = self._session(pick)
        world, now = self.world, self._now
        refused = world.enters(session, now=now)
        if which is None:
            answer = self._ask("DELETE", "/two-factor/trusted-devices", bearer=session.token)
            if self._holds(answer, refused, 204):
                world.end_devices(session.person)
            return
        live = [device for device in world.devices if device.is_over or device.expires_at > now]
        if not live:
            return
        device: Device = self._one(live, which)
        if refused is None and (device.is_over or device.person is not session.person):
            refused = (404, "NOT_FOUND")
        path = f"/two-factor/trusted-devices/{device.id}"
        if self._holds(self._ask("DELETE", path, bearer=session.token), refused, 204):
            device.is_over = True

    @rule(pick=PICK, password=PASSWORDS, replace=st.booleans(), kind=st.none() | CODES)
    @precondition(lambda self: self.world.sessions)
    def enable(
        self, pick: int, password: str | None = "right", replace: bool = False, kind: str | None = None
    ) -> None:
        """Begin an enrollment, beside the factor that there is if it is to be replaced."""
        session = self._session(pick)
        person, now = session.person, self._now
        body: dict[str, Any] = {"replace": replace}
        if password is not None:
            body["password"] = person.account.password if password == "right" else "not the right password"
        code = None
        if kind is not None and person.factor is not None:
            code = body["code"] = self._code(person, person.factor, kind)
        refused = self.world.enters(session, now=now, enrolling=True)
        if refused is None and person.factor is not None and not replace:
            refused = (400, "TOTP_ALREADY_ENABLED")
        is_recent = person.factor is None and now - session.auth_time <= 10 * MINUTE
        if refused is None and password is None and not is_recent:
            refused = (403, "REAUTHENTICATION_REQUIRED")
        if refused is None and password == "wrong":
            refused = (400, "INVALID_PASSWORD")
        if refused is None and person.factor is not None:
            refused = self.world.proves(session, code, now=now)
        answer = self._ask("POST", "/two-factor/enable", body, bearer=session.token)
        if self._holds(answer, refused):
            self.world.drop_pending(person)
            session.wrong_codes = 0 if code is not None else session.wrong_codes
            shown = answer.json()
            expires_at = self._now + 10 * MINUTE
            person.pending = Factor(
                shown["secret"],
                list(shown["backupCodes"]),
                expires_at=expires_at,
                lineage=session.lineage,
            )

    @rule(pick=PICK, kind=CODES, of_present=st.booleans())
    @precondition(lambda self: self.world.sessions)
    def verify(self, pick: int, kind: str = "right", of_present: bool = False) -> None:
        """Confirm an enrollment if one is pending, else, or with the present phone, prove the factor again."""
        session = self._session(pick)
        self._verify(session, kind, of_present=of_present)

    def _verify(self, session: Session, kind: str, *, of_present: bool = False) -> None:
        person, world, now = session.person, self.world, self._now
        if person.pending is not None and (person.pending.expires_at or now) <= now:
            self.world.drop_pending(person)
        own = person.pending is not None and person.pending.lineage is session.lineage
        pending = person.pending if own else None
        phones = [person.factor, person.pending] if of_present else [person.pending, person.factor]
        code = self._code(person, phones[0] or phones[1], kind)
        is_backup = len(code) > 6
        path = "/two-factor/verify-backup-code" if is_backup else "/two-factor/verify"
        step = None
        if pending is not None and not is_backup:
            step = pending.step_of(code, now=now, drift=world.drift, after=-1)
        confirms = pending is not None and (step is not None or person.factor is None)
        if not world.is_alive(session, now=now):
            refused = NO_CHALLENGE
        elif is_backup and person.must_enroll:
            refused = (403, "TWO_FACTOR_SETUP_REQUIRED")
        elif not confirms or is_backup:
            refused = world.tries(person, code, "backup" if is_backup else "totp", now=now)
            if refused in ((401, "INVALID_CODE"), (401, "INVALID_BACKUP_CODE")):
                world.after_wrong_code(session)
        else:
            refused = world.count(person, now=now)
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
    @precondition(lambda self: self.world.sessions)
    def guess_ten_times(self, pick: int) -> None:
        if self._one(self.world.sessions, pick).person.factor is not None:
            for _ in range(10):
                self.verify(pick, "wrong")

    @rule(pick=PICK)
    def wear_out_a_challenge(self, pick: int) -> None:
        """The right code comes after five wrong ones."""
        before = len(self.world.challenges)
        self.sign_in(pick)
        for challenge in self.world.challenges[before:]:
            for kind in [*["wrong"] * 5, "right", "right"]:
                self._finish(challenge, kind)

    @rule(pick=PICK, kind=st.none() | CODES, has_password=st.sampled_from([True, True, False]))
    @precondition(lambda self: self.world.sessions)
    def turn_off(self, pick: int, kind: str | None = None, has_password: bool = True) -> None:
        session = self._session(pick)
        person, world, now = session.person, self.world, self._now
        refused = world.enters(session, now=now)
        if refused is None and world.must_keep_factor(person, now=now) and (person.factor or person.is_admin):
            refused = (409, "TWO_FACTOR_REQUIRED_BY_POLICY")
        answer = self._prove("/two-factor/disable", session, kind, has_password, refused)
        if answer is not None:
            world.after_factor_removed(person)
            session.aal, session.proved_at = 1, None
            world.end_sessions(person, now=now, keep=session)
            self._look_at_browsers(session)

    @rule(pick=PICK, kind=st.none() | CODES, has_password=st.sampled_from([True, True, False]))
    @precondition(lambda self: self.world.sessions)
    def regenerate(self, pick: int, kind: str | None = None, has_password: bool = True) -> None:
        session = self._session(pick)
        refused = self.world.enters(session, now=self._now)
        answer = self._prove("/two-factor/generate-backup-codes", session, kind, has_password, refused)
        if answer is not None:
            person = session.person
            assert person.factor is not None
            person.used_codes += person.factor.codes
            person.factor.codes = list(answer.json()["backupCodes"])
            self.world.tell(person, "auth.2fa.backup_codes_regenerated")

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
            refused = self.world.proves(session, code, now=self._now)
        answer = self._ask("POST", path, body, bearer=session.token)
        if not self._holds(answer, refused):
            return None
        session.wrong_codes = 0 if code is not None else session.wrong_codes
        return answer
