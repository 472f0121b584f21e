"""Acts of owners who demand two factors of their members from a day on, and of people with passkeys."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.contract.deployments import Timed
from tests.fuzz.model.acting import PICK, HostApi
from tests.fuzz.model.records import MINUTE, Exemption, Organization, Person
from tests.support.authenticator import Authenticator

DATES = st.sampled_from(
    [None, timedelta(days=-1), timedelta(0), timedelta(seconds=600), timedelta(days=1), timedelta(days=9)]
)
"""From when on a factor is demanded, counted from now; None for never."""


class Policies(HostApi):
    """What moves the day, and what a passkey opens and closes."""

    @rule(place=PICK, pick=PICK, ahead=DATES)
    @precondition(lambda self: self.world.organizations and self.world.sessions)
    def demand(self, place: int, pick: int, ahead: timedelta | None) -> None:
        organization: Organization = self._one(self.world.organizations, place)
        session = self._session(pick)
        world, now, person = self.world, self._now, session.person
        date = None if ahead is None else now.replace(microsecond=0) + ahead
        refused = world.enters(session, now=now) or organization.admits(person, now=now)
        if refused is None and organization.roles[person] != "owner":
            refused = (403, "FORBIDDEN")
        if refused is None and date is not None and person.factor is None:
            refused = (400, "TWO_FACTOR_NOT_ENABLED")
        refused = refused or world.has_recent_proof(session, now=now)
        body = {"requireTwoFactorFrom": None if date is None else date.isoformat()}
        answer = self._ask("PATCH", f"/organizations/{organization.id}", body, bearer=session.token)
        if self._holds(answer, refused):
            organization.required_from = date

    @rule(place=PICK, pick=PICK, whom=PICK, minutes=st.sampled_from([1, 15, 1500]))
    @precondition(lambda self: self.world.organizations and self.world.sessions)
    def exempt(self, place: int, pick: int, whom: int, minutes: int) -> None:
        organization: Organization = self._one(self.world.organizations, place)
        session = self._session(pick)
        member: Person = self._one(self.world.people, whom)
        world, now, person = self.world, self._now, session.person
        until = now.replace(microsecond=0) + minutes * MINUTE
        refused = world.enters(session, now=now) or organization.admits(person, now=now)
        if refused is None and organization.roles[person] != "owner":
            refused = (403, "FORBIDDEN")
        refused = refused or world.has_recent_proof(session, now=now)
        if refused is None and member not in organization.roles:
            refused = (404, "NOT_FOUND")
        if refused is None and member is person:
            refused = (403, "FORBIDDEN")
        before = organization.exemptions.get(member)
        if refused is None and before is not None and until > before.since + timedelta(days=90):
            refused = (400, "VALIDATION_ERROR")
        path = f"/organizations/{organization.id}/members/{member.id}/two-factor-exemption"
        body = {"until": until.isoformat(), "reason": "the model"}
        if self._holds(self._ask("PUT", path, body, bearer=session.token), refused):
            organization.exemptions[member] = Exemption(before.since if before else now, until)

    @rule(pick=PICK)
    @precondition(lambda self: self.world.sessions and isinstance(self._here, Timed))
    def visit_with_a_passkey(self, pick: int) -> None:
        """Add a passkey, sign in with it, and remove it; each answer counts once."""
        session = self._session(pick)
        world, person = self.world, session.person
        if world.is_demanded(person) and person.factor is None:
            # It would be the factor that is demanded, and the model's people have no such.
            return
        refused = world.enters(session, now=self._now) or world.has_recent_proof(session, now=self._now)
        answer = self._ask("GET", "/passkey/generate-register-options", bearer=session.token)
        if not self._holds(answer, refused):
            return
        device, options = Authenticator(self._here.api.origin), answer.json()
        body = {"response": device.create(options), "ceremony": options["ceremony"]}
        passkey = self._ask("POST", "/passkey/verify-registration", body, bearer=session.token).json()
        again = self._ask("POST", "/passkey/verify-registration", body, bearer=session.token)
        self._holds(again, (400, "CHALLENGE_NOT_FOUND"))
        world.tell(person, "auth.passkey.added")

        options = self._ask("GET", "/passkey/generate-authenticate-options").json()
        body = {"response": device.get(options), "ceremony": options["ceremony"]}
        answer = self._ask("POST", "/passkey/verify-authentication", body)
        assert answer.status_code == 200, answer.text
        entered = self._issued(person, answer, auth_time=self._now, proved_at=self._now)
        self._holds(self._ask("POST", "/passkey/verify-authentication", body), (400, "CHALLENGE_NOT_FOUND"))

        gone = self._ask("POST", "/passkey/delete-passkey", {"id": passkey["id"]}, bearer=entered.token)
        assert gone.status_code == 200, gone.text
        world.after_passkey_removed(entered, now=self._now)
        options = self._ask("GET", "/passkey/generate-authenticate-options").json()
        body = {"response": device.get(options), "ceremony": options["ceremony"]}
        self._holds(self._ask("POST", "/passkey/verify-authentication", body), (401, "AUTHENTICATION_FAILED"))
