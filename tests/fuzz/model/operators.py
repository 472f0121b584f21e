"""Acts of operators and administrators, and of time."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from czo_auth.core.context import system_context
from tests.contract.deployments import Timed
from tests.fuzz.model.acting import PICK, HostApi
from tests.fuzz.model.records import NOT_FOUND, Organization, Person

WAITS = st.sampled_from([1, 11, 31, 31, 95, 301, 601, 1201, 3601, 8 * 86400])
DEEDS = st.sampled_from(["ban", "unban", "unban", "promote", "promote", "demote", "reset"])


class Operators(HostApi):
    """What is done to people from above."""

    @rule(pick=PICK, deed=DEEDS)
    def operate(self, pick: int, deed: str) -> None:
        """Act as the command line does, beside the server."""
        person: Person = self._one(self.world.people, pick)
        administration, recovery = self._here.auth.administration, self._here.auth.recovery
        if deed == "reset" and self.world.lacks_a_reset(person):
            return
        how = {"context": system_context(self._now)}
        add, remove = (["admin"], []) if deed == "promote" else ([], ["admin"])
        if deed == "ban":
            self._run(administration.ban(person.id, reason="the model", force=True, **how))
        elif deed == "unban":
            self._run(administration.unban(person.id, **how))
        elif deed == "reset":
            self._run(recovery.reset_now(person.id, reason="the model", **how))
        else:
            changing = administration.change_actor_types(person.id, add=add, remove=remove, force=True, **how)
            self._run(changing)
        self._done(person, deed)

    @rule(pick=PICK, by=PICK, deed=DEEDS)
    @precondition(lambda self: self.world.sessions)
    def administration(self, pick: int, by: int, deed: str) -> None:
        """Act, or try to, as an administrator does."""
        person: Person = self._one(self.world.people, pick)
        session = self._session(by)
        refused = self.world.administers(session, now=self._now)
        path, status = f"/admin/users/{person.id}", 200
        reason = {"reason": "the model"}
        if refused is None and deed not in ("ban", "unban"):
            refused = self.world.has_recent_proof(session, now=self._now)
        if refused is None and deed in ("ban", "demote") and self.world.is_last_administrator(person):
            refused = (409, "LAST_ADMINISTRATOR")
        if deed == "reset":
            if refused is None and person is session.person:
                refused = (403, "CANNOT_RESET_OWN_TWO_FACTOR")
            if refused is None and self.world.lacks_a_reset(person):
                refused = (400, "TWO_FACTOR_NOT_ENABLED")
            answer = self._ask("DELETE", f"{path}/two-factor", reason, bearer=session.token)
            status = 204
        elif deed == "ban":
            answer = self._ask("POST", f"{path}/ban", reason, bearer=session.token)
        elif deed == "unban":
            answer = self._ask("POST", f"{path}/unban", bearer=session.token)
        else:
            body = {"add": ["admin"]} if deed == "promote" else {"remove": ["admin"]}
            answer = self._ask("POST", f"{path}/actor-types", body, bearer=session.token)
        if self._holds(answer, refused, status):
            self._done(person, deed)

    def _done(self, person: Person, deed: str) -> None:
        world, now = self.world, self._now
        if deed == "ban":
            world.after_ban(person, now=now)
        elif deed == "unban":
            person.is_banned = False
        elif deed == "reset":
            world.after_reset(person, now=now)
        else:
            world.after_actor_type(person, is_admin=deed == "promote", now=now)

    @rule(place=PICK, whom=PICK, by=PICK)
    @precondition(lambda self: self.world.organizations and self.world.sessions)
    def hand_over(self, place: int, whom: int, by: int) -> None:
        """Make a member the owner of an organization whose owners are all gone or banned."""
        organization: Organization = self._one(self.world.organizations, place)
        person: Person = self._one(self.world.people, whom)
        session = self._session(by)
        world, now = self.world, self._now
        refused = world.administers(session, now=now) or world.has_recent_proof(session, now=now)
        if refused is None and person not in organization.roles:
            refused = NOT_FOUND
        acting = [each for each, role in organization.roles.items() if role == "owner" and not each.is_banned]
        if refused is None and acting:
            refused = (409, "OWNER_EXISTS")
        body = {"userId": person.id, "reason": "the model"}
        path = f"/admin/organizations/{organization.id}/owner"
        if self._holds(self._ask("POST", path, body, bearer=session.token), refused):
            organization.roles[person] = "owner"
            world.tell(person, "auth.role.changed")

    @rule(at_once=st.booleans())
    @precondition(lambda self: isinstance(self._here, Timed))
    def rotate_signing_key(self, at_once: bool = False) -> None:
        """Sign with another key; what earlier ones signed counts as long as before."""
        keys = self._here.auth.signing_keys
        self._run(keys.rotate(at_once=at_once, now=self._now))
        self._run(keys.load(now=self._now))

    @rule()
    @precondition(lambda self: isinstance(self._here, Timed) and len(self._here.ring) < 4)
    def rotate_encryption_key(self) -> None:
        """Start again with another encryption key in front, and re-encrypt: everything goes on."""
        assert isinstance(self._here, Timed)
        self._run(self._here.rotate_encryption_key())

    @rule(seconds=WAITS)
    @precondition(lambda self: isinstance(self._here, Timed))
    def wait(self, seconds: int) -> None:
        assert isinstance(self._here, Timed)
        self._here.time.advance(seconds=seconds)
