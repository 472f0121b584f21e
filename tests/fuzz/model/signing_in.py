"""
What ought to be true of signing in: sessions, refresh families, second factors, codes, challenges and trusted browsers.

`tests.fuzz.model.world` adds the rest, and says how to read the methods.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.fuzz.model.records import (
    DEAD,
    LOCKED,
    LOCKS,
    MINUTE,
    MUST_ENROLL,
    NO_CHALLENGE,
    Challenge,
    Device,
    Organization,
    Person,
    Refused,
    Session,
)


@dataclass(eq=False)
class SigningIn:
    """
    Who there is and what they sign in with.

    Args:
        drift: Steps that the deployment accepts on either side.
    """

    drift: int
    people: list[Person] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    challenges: list[Challenge] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    organizations: list[Organization] = field(default_factory=list)
    events: Counter[tuple[str | None, str]] = field(default_factory=Counter)

    def tell(self, person: Person | None, event: str, times: int = 1) -> None:
        """Expect an event, about nobody where what it is about belongs to an organization."""
        self.events[None if person is None else person.id, event] += times

    # --- sessions ----------------------------------------------------------------------------------------------------
    def is_alive(self, session: Session, *, now: datetime) -> bool:
        return not session.is_over and session.expires_at > now

    def enters(self, session: Session, *, now: datetime, enrolling: bool = False) -> Refused:
        """Say how a session is let in, to what only asks for one."""
        if not self.is_alive(session, now=now):
            return DEAD
        return MUST_ENROLL if session.person.must_enroll and not enrolling else None

    def administers(self, session: Session, *, now: datetime) -> Refused:
        """Say how a session is let in to the administration."""
        refused = self.enters(session, now=now)
        if refused is None and session.actor != "admin":
            return 403, "FORBIDDEN"
        return refused

    def has_recent_proof(self, session: Session, *, now: datetime, typed: bool = False) -> Refused:
        """Say whether a session proved password, unless it is *typed* now, and factor a short while ago."""
        times = [
            *([] if typed else [session.auth_time]),
            *([session.proved_at] if session.person.factor else []),
        ]
        recent = all(at is not None and now - at <= 10 * MINUTE for at in times)
        return None if recent else (403, "REAUTHENTICATION_REQUIRED")

    def is_last_administrator(self, person: Person) -> bool:
        """Say whether nobody else could administer the deployment."""
        acting = [one for one in self.people if one.is_admin and not one.is_banned]
        return acting == [person]

    def after_issue(self, session: Session) -> None:
        self.sessions.append(session)
        self.tell(session.person, "auth.session.created")

    def end(self, session: Session) -> None:
        session.is_over = True
        self.tell(session.person, "auth.session.revoked")

    def after_wrong_code(self, session: Session) -> None:
        """Note a wrong code that came without a password: the fifth in a row ends the session."""
        session.wrong_codes += 1
        if session.wrong_codes == 5:
            self.end(session)

    def end_sessions(
        self, person: Person, *, now: datetime, keep: Session | None = None, actor: str | None = None
    ) -> None:
        """End sessions; pending challenges go with them."""
        for session in self.sessions:
            theirs = session.person is person and session is not keep and actor in (None, session.actor)
            if theirs and self.is_alive(session, now=now):
                self.end(session)
        for challenge in self.challenges:
            if challenge.person is person:
                challenge.is_over = True

    def refreshes(self, session: Session, token: str, *, now: datetime) -> Refused:
        """Say what a refresh token of *session* gets; a spent one ends the family, which this notes."""
        if not self.is_alive(session, now=now):
            return 401, "INVALID_REFRESH_TOKEN"
        if token == session.leaf:
            return None
        (at,) = [at for text, at in session.replaced if text == token]
        if now - at <= timedelta(seconds=10):
            return 409, "REFRESH_IN_PROGRESS"
        self.end(session)
        self.tell(session.person, "auth.refresh.reuse_detected")
        return 401, "INVALID_REFRESH_TOKEN"

    # --- second factors ----------------------------------------------------------------------------------------------
    def is_locked(self, person: Person, *, now: datetime) -> bool:
        return person.is_stopped or (person.locked_until is not None and now < person.locked_until)

    def count(self, person: Person, *, now: datetime) -> Refused:
        """Count an attempt before it is checked."""
        if self.is_locked(person, now=now):
            return LOCKED
        person.failures += 1
        if person.failures >= 50:
            person.is_stopped, person.locked_until = True, None
        elif person.failures % 10 == 0:
            person.locked_until = now + LOCKS[min(person.failures // 10, 4) - 1]
        return None

    def fail(self, person: Person, code: str) -> Refused:
        """Note a counted attempt that was wrong."""
        if person.failures % 10 == 0:
            self.tell(person, "auth.2fa.locked")
        return 401, code

    def tries(self, person: Person, text: str, kind: str, *, now: datetime) -> Refused:
        """
        Try a code against the active factor, and spend it if it is right.

        Args:
            kind: ``totp``, ``backup`` or ``either``.
        """
        factor = person.factor
        if factor is None:
            return 400, "TOTP_NOT_ENABLED"
        refused = self.count(person, now=now)
        if refused is not None:
            return refused
        is_backup = kind == "backup" or (kind == "either" and len(text) > 6)
        if is_backup:
            if text not in factor.codes:
                return self.fail(person, "INVALID_BACKUP_CODE" if kind == "backup" else "INVALID_CODE")
            factor.codes.remove(text)
            person.used_codes.append(text)
            self.tell(person, "auth.2fa.backup_code_used")
        else:
            step = factor.step_of(text, now=now, drift=self.drift, after=factor.last_step)
            if step is None:
                return self.fail(person, "INVALID_CODE")
            factor.last_step = step
        self.forgive(person)
        return None

    def forgive(self, person: Person) -> None:
        person.failures, person.locked_until, person.is_stopped = 0, None, False

    def claims(self, challenge: Challenge, *, now: datetime) -> Refused:
        """Say what an attempt on a challenge gets before its code is looked at."""
        if challenge.is_over or challenge.expires_at <= now:
            return NO_CHALLENGE
        if challenge.renews is not None and not self.is_alive(challenge.renews, now=now):
            return NO_CHALLENGE
        if challenge.attempts > 5:
            return NO_CHALLENGE
        if challenge.attempts == 5:
            challenge.attempts += 1
            return 400, "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE"
        if self.is_locked(challenge.person, now=now):
            return LOCKED
        challenge.attempts += 1
        return None

    def proves(self, session: Session, code: str | None, *, now: datetime) -> Refused:
        """Say how a change of the second factor is let through, the password being right."""
        if session.person.factor is None:
            return 400, "TWO_FACTOR_NOT_ENABLED"
        if code is not None:
            return self.tries(session.person, code, "either", now=now)
        recent = session.proved_at is not None and now - session.proved_at <= 10 * MINUTE
        return None if recent else (403, "REAUTHENTICATION_REQUIRED")

    def after_enabled(self, person: Person, step: int) -> None:
        assert person.pending is not None
        self._retire_factor(person)
        person.factor, person.pending = person.pending, None
        person.factor.last_step = step
        self.forgive(person)
        self.tell(person, "auth.2fa.enabled")

    def after_factor_removed(self, person: Person) -> None:
        if person.factor is not None:
            self.tell(person, "auth.2fa.disabled")
        self._retire_factor(person)
        self.drop_pending(person)
        person.factor = None
        self.forgive(person)

    def _retire_factor(self, person: Person) -> None:
        """What the present factor was good for is over: its phone, its codes, and the browsers that it vouched for."""
        if person.factor is not None:
            person.used_codes += person.factor.codes
            person.old_secrets.append(person.factor.secret)
        self.end_devices(person)

    def drop_pending(self, person: Person) -> None:
        """What was shown and not confirmed is over."""
        if person.pending is not None:
            person.old_secrets.append(person.pending.secret)
        person.pending = None

    def lacks_a_reset(self, person: Person) -> bool:
        """Say whether there is neither a factor nor a lock that could be reset."""
        return person.factor is None and person.locked_until is None and not person.is_stopped

    def is_demanded(self, person: Person) -> bool:
        """Say whether anything demands two factors of *person*, now or from a day on."""
        dated = any(person in each.roles and each.required_from for each in self.organizations)
        return person.is_admin or dated

    def must_keep_factor(self, person: Person, *, now: datetime) -> bool:
        """Say whether *person*, without a factor, would be refused somewhere by now."""
        if person.is_admin:
            return True
        bare = Person(account=person.account)
        for place in self.organizations:
            if person in place.exemptions:
                place.exemptions[bare] = place.exemptions[person]
        due = any(person in place.roles and place.refuses(bare, now=now) for place in self.organizations)
        for place in self.organizations:
            place.exemptions.pop(bare, None)
        return due

    def after_passkey_removed(self, session: Session, *, now: datetime) -> None:
        """Note that the last passkey went, by a session that it had opened."""
        person = session.person
        self.tell(person, "auth.passkey.removed")
        self.end_devices(person)
        for challenge in self.challenges:
            challenge.is_over = challenge.is_over or challenge.person is person
        if person.factor is None:
            self.drop_pending(person)
            self.forgive(person)
            session.aal, session.proved_at = 1, None
            self.end_sessions(person, now=now, keep=session)

    def after_reset(self, person: Person, *, now: datetime) -> None:
        """Note that somebody else took the factor away."""
        self.after_factor_removed(person)
        self.end_sessions(person, now=now)

    # --- trusted browsers --------------------------------------------------------------------------------------------
    def trusted(self, cookie: str | None, person: Person, *, now: datetime) -> Device | None:
        """Find the browser by whose *cookie* the second step of *person* may be skipped; administrators skip none."""
        live = [] if person.is_admin else self.live_devices(person, now=now)
        return next((device for device in live if device.token == cookie), None)

    def live_devices(self, person: Person, *, now: datetime) -> list[Device]:
        return [
            device
            for device in self.devices
            if device.person is person and not device.is_over and device.expires_at > now
        ]

    def end_devices(self, person: Person) -> None:
        for device in self.devices:
            device.is_over = device.is_over or device.person is person
