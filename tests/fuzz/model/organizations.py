"""Acts of people in organizations: they found and dissolve them, let people in and out, and change what they are."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.fuzz.model.acting import PICK
from tests.fuzz.model.invitations import Invitations
from tests.fuzz.model.records import RANKS, Organization, Person

ROLES = st.sampled_from(RANKS)


class Organizations(Invitations):
    """What makes and unmakes members."""

    @rule(pick=PICK)
    @precondition(lambda self: self.world.sessions and len(self.world.organizations) < 5)
    def found(self, pick: int) -> None:
        session = self._session(pick)
        answer = self._ask("POST", "/organizations", {"name": "Acme"}, bearer=session.token)
        if self._holds(answer, self.world.enters(session, now=self._now), 201):
            organization = Organization(answer.json()["organization"]["id"], {session.person: "owner"})
            self.world.organizations.append(organization)
            self.world.tell(session.person, "auth.org.created")
            self.world.tell(session.person, "auth.org.member_added")

    @rule(place=PICK, pick=PICK, role=ROLES)
    @precondition(lambda self: self.world.organizations and self.world.sessions)
    def join(self, place: int, pick: int, role: str) -> None:
        """Invite and accept; a second acceptance is one too many."""
        organization: Organization = self._one(self.world.organizations, place)
        world, now = self.world, self._now
        guest = self._session(pick)
        hosts = [
            each
            for each in world.sessions
            if organization.roles.get(each.person) in ("owner", "admin")
            and not organization.ranks_below(each.person, role)
            and not world.enters(each, now=now)
            and world.may_invite(each.person)
            and not organization.refuses(each.person, now=now)
            and not self._is_above(each.person, organization, guest.person)
        ]
        if not hosts or guest.person in organization.roles or world.enters(guest, now=now):
            return
        body = {"email": guest.person.account.email, "role": role}
        path = f"/organizations/{organization.id}/invitations"
        token = self._ask("POST", path, {**body, "resend": True}, bearer=hosts[0].token).json()["token"]
        hosts[0].person.invitations += 1
        self._end_waiting(organization, guest.person.account.email)
        for status in (200, 400):
            answer = self._ask("POST", "/invitations/accept", {"token": token}, bearer=guest.token)
            assert answer.status_code == status, answer.text
        organization.roles[guest.person] = role
        world.tell(guest.person, "auth.org.member_added")

    def _is_above(self, host: Person, organization: Organization, guest: Person) -> bool:
        """Say whether an invitation of *guest* waits that *host* may not replace."""
        waiting = self._pending(organization, guest.account.email)
        return waiting is not None and organization.ranks_below(host, waiting.role)

    @rule(place=PICK, pick=PICK, whom=PICK, confirms=st.sampled_from([True, True, False]))
    @precondition(lambda self: self.world.organizations and self.world.sessions)
    def remove(self, place: int, pick: int, whom: int, confirms: bool = True) -> None:
        """Remove a member, or leave; who has keys there goes only when that is confirmed."""
        organization: Organization = self._one(self.world.organizations, place)
        session = self._session(pick)
        person: Person = self._one(self.world.people, whom)
        world, now = self.world, self._now
        refused = world.enters(session, now=now)
        if refused is None:
            refused = organization.lets(session.person, person, now=now, leaving=session.person is person)
        if refused is None and organization.is_last_owner(person):
            refused = (409, "LAST_OWNER")
        if refused is None and not confirms and world.has_keys_in(person, organization, now=now):
            refused = (409, "MEMBER_HAS_API_KEYS")
        path = f"/organizations/{organization.id}/members/{person.id}"
        body = {"confirm": confirms}
        if self._holds(self._ask("DELETE", path, body, bearer=session.token), refused, 204):
            del organization.roles[person]
            world.end_keys(now=now, person=person, organization=organization)
            world.tell(person, "auth.org.member_removed")

    @rule(place=PICK, pick=PICK, whom=PICK, role=ROLES)
    @precondition(lambda self: self.world.organizations and self.world.sessions)
    def change_role(self, place: int, pick: int, whom: int, role: str) -> None:
        organization: Organization = self._one(self.world.organizations, place)
        session = self._session(pick)
        person: Person = self._one(self.world.people, whom)
        world, now = self.world, self._now
        refused = world.enters(session, now=now)
        if refused is None:
            refused = organization.lets(session.person, person, now=now)
        if refused is None and organization.ranks_below(session.person, role):
            refused = (403, "FORBIDDEN")
        if refused is None and organization.is_last_owner(person) and role != "owner":
            refused = (409, "LAST_OWNER")
        path = f"/organizations/{organization.id}/members/{person.id}"
        if self._holds(self._ask("PATCH", path, {"role": role}, bearer=session.token), refused):
            if organization.roles[person] != role:
                world.tell(person, "auth.role.changed")
            organization.roles[person] = role

    @rule(place=PICK, pick=PICK)
    @precondition(lambda self: self.world.organizations and self.world.sessions)
    def dissolve(self, place: int, pick: int) -> None:
        organization: Organization = self._one(self.world.organizations, place)
        session = self._session(pick)
        world, now = self.world, self._now
        refused = world.enters(session, now=now)
        refused = refused or organization.admits(session.person, now=now)
        if refused is None and organization.roles[session.person] != "owner":
            refused = (403, "FORBIDDEN")
        answer = self._ask("DELETE", f"/organizations/{organization.id}", bearer=session.token)
        if self._holds(answer, refused, 204):
            for person in organization.roles:
                world.tell(person, "auth.org.member_removed")
            organization.roles.clear()
            world.end_keys(now=now, organization=organization)
