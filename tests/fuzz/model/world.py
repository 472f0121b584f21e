"""
What ought to be true of people, links, keys, organizations and addresses, and of how one signs in.

Written from the contract, not from the code. Every method that begins with ``after_`` says what a success changes; the
others say what an attempt must be answered. None stands for success, else the status and the code of the refusal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tests.fuzz.model.programs import Programs
from tests.fuzz.model.records import (
    CHANGE_LIFE,
    MUST_ENROLL,
    NO_FACTOR,
    NO_KEY,
    REVERT_LIFE,
    EmailChange,
    Invitation,
    Key,
    Link,
    Organization,
    Person,
    Refused,
    Session,
)
from tests.fuzz.model.signing_in import SigningIn


@dataclass(eq=False)
class World(SigningIn):
    """Everything that the machine made, and what it must be answered."""

    links: list[Link] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    changes: list[EmailChange] = field(default_factory=list)
    gone: list[Person] = field(default_factory=list)
    invitations: list[Invitation] = field(default_factory=list)
    programs: Programs = field(default_factory=Programs)

    # --- passwords ---------------------------------------------------------------------------------------------------
    def after_link(self, link: Link) -> None:
        """Note a new link; the operator's is the only one of its kind, mailed ones lie side by side."""
        for other in self.links:
            if link.kind == "operator" and (other.person, other.kind) == (link.person, link.kind):
                other.is_over = True
        self.links.append(link)

    def after_password(self, person: Person, *, now: datetime, keep: Session | None = None) -> None:
        """Note a new password: what the old one opened, and whatever could set another one, is over."""
        self.drop_pending(person)
        self.end_devices(person)
        for link in self.links:
            link.is_over = link.is_over or link.person is person
        self.end_sessions(person, now=now, keep=keep)
        self.tell(person, "auth.user.updated")

    def after_first_proof(self, person: Person, *, now: datetime) -> None:
        """Note that a mailed link proved an address for the first time: what was made before it is over."""
        person.is_confirmed = True
        self.end_keys(now=now, person=person)
        for change in self._changes_of(person):
            change.is_over = change.is_over or change.waits
        elsewhere = any(person in each.roles and each.grantor is not person for each in self.organizations)
        if person.factor is not None and not person.is_admin and not elsewhere:
            self.after_factor_removed(person)

    # --- keys --------------------------------------------------------------------------------------------------------
    def accepts(self, key: Key, *, now: datetime) -> Refused:
        """Say what a use of a key gets."""
        if key.is_over or not key.is_enabled or key.person.is_banned:
            return NO_KEY
        if key.expires_at is not None and key.expires_at <= now:
            return NO_KEY
        if key.person.must_enroll:
            return MUST_ENROLL
        place = key.organization
        return NO_FACTOR if place is not None and place.refuses(key.person, now=now) else None

    def rights(self, key: Key) -> list[str]:
        """Give the scopes that count now: reserved ones only while the owner wears an administrator's actor type."""
        administers = key.actor == "admin" and key.person.is_admin
        return [scope for scope in key.scopes if administers or not scope.startswith("admin:")]

    def owns(self, session: Session, key: Key, *, now: datetime) -> Refused:
        """Say how a session is let in to a key of its own or of somebody else."""
        refused = self.enters(session, now=now)
        if refused is not None:
            return refused
        return (404, "NOT_FOUND") if key.person is not session.person or key.is_over else None

    def end_keys(
        self, *, now: datetime, person: Person | None = None, organization: Organization | None = None
    ) -> None:
        """End keys; those that expired are dead, and nothing is written about them."""
        for key in self.keys:
            theirs = person in (None, key.person) and organization in (None, key.organization)
            may_live = key.expires_at is None or key.expires_at > now
            if theirs and may_live and not key.is_over:
                key.is_over = True
                self.tell(key.person, "auth.apikey.revoked")
        if person is None and organization is not None:
            self.tell(None, "auth.apikey.revoked", self.programs.end_organization(organization, now=now))

    def has_keys_in(self, person: Person, organization: Organization, *, now: datetime) -> bool:
        """Say whether *person* has keys there that may still be used."""
        return any(
            (key.person, key.organization, key.is_over) == (person, organization, False)
            and (key.expires_at is None or key.expires_at > now)
            for key in self.keys
        )

    def may_invite(self, person: Person) -> bool:
        """Say whether *person* sent fewer invitations than a day allows, were they all of today."""
        return person.invitations < (100 if person.is_confirmed else 10)

    # --- people ------------------------------------------------------------------------------------------------------
    def after_ban(self, person: Person, *, now: datetime) -> None:
        if person.is_banned:
            return
        person.is_banned = True
        for link in self.links:
            link.is_over = link.is_over or link.person is person
        for change in self._changes_of(person):
            change.is_over = change.is_over or change.waits
        self.drop_pending(person)
        self.end_devices(person)
        self.end_sessions(person, now=now)
        self.end_keys(now=now, person=person)
        self.tell(person, "auth.user.banned")

    def is_over(self, person: Person) -> bool:
        return person in self.gone

    def orphans(self, person: Person) -> list[Organization]:
        """List the organizations that others belong to and nobody else owns."""
        return [each for each in self.organizations if each.is_last_owner(person) and len(each.roles) > 1]

    def after_deleted(self, person: Person, *, now: datetime) -> None:
        for invitation in self.invitations:
            if invitation.email == person.account.email:
                invitation.is_over = True
        for organization in self.organizations:
            if person not in organization.roles:
                continue
            del organization.roles[person]
            self.tell(person, "auth.org.member_removed")
            self.end_keys(now=now, person=person, organization=organization)
            if not organization.roles:
                self.end_keys(now=now, organization=organization)
        self.end_sessions(person, now=now)
        self.end_keys(now=now, person=person)
        self.end_devices(person)
        for over in (*self.links, *self._changes_of(person), *self.keys):
            over.is_over = over.is_over or over.person is person
        self.drop_pending(person)
        person.is_banned = True
        self.people.remove(person)
        self.gone.append(person)
        self.tell(person, "auth.user.deleted")

    # --- addresses ---------------------------------------------------------------------------------------------------
    def _changes_of(self, person: Person) -> list[EmailChange]:
        return [each for each in self.changes if each.person is person]

    def _replace_waiting(self, person: Person) -> None:
        for change in self._changes_of(person):
            change.is_replaced = change.is_replaced or change.waits

    def after_change_asked(self, change: EmailChange) -> None:
        self._replace_waiting(change.person)
        self.changes.append(change)

    def confirms(self, change: EmailChange, *, now: datetime) -> Refused:
        """Say what the link to the new address gets; a second use is no error while the address is still that."""
        email = change.person.account.email
        if change.confirmed_at is not None and not change.is_over and email == change.new:
            return None if not change.person.is_banned else (400, "INVALID_TOKEN")
        lives = change.waits and now < change.asked_at + CHANGE_LIFE and email == change.old
        return None if lives and not change.person.is_banned else (400, "INVALID_TOKEN")

    def after_address(self, change: EmailChange, *, now: datetime) -> None:
        person = change.person
        if change.confirmed_at is not None:
            return
        change.confirmed_at = now
        person.account.email, person.is_confirmed = change.new, True
        self._drop_mailed(person)
        kept = next(
            (
                each
                for each in self.sessions
                if each.lineage is change.lineage and self.is_alive(each, now=now)
            ),
            None,
        )
        self.end_sessions(person, now=now, keep=kept)
        self.tell(person, "auth.user.updated")

    def reverts(self, change: EmailChange, *, now: datetime) -> Refused:
        """Say what the link to the old address gets."""
        until = (change.confirmed_at or change.asked_at) + REVERT_LIFE
        return None if not change.is_over and now < until else (400, "INVALID_TOKEN")

    def after_taken_back(self, change: EmailChange, *, now: datetime) -> None:
        person = change.person
        for other in self._changes_of(person):
            other.is_over = other.is_over or other.asked_at >= change.asked_at
        change.is_over = True
        if person.account.email != change.old:
            person.account.email = change.old
            self.tell(person, "auth.user.updated")
        self._drop_mailed(person)
        self.end_sessions(person, now=now)

    def _drop_mailed(self, person: Person) -> None:
        """What was mailed to an address that the account gave up is over, and what is bound to its credentials."""
        for link in self.links:
            link.is_over = link.is_over or link.person is person
        self._replace_waiting(person)
        self.end_devices(person)

    def after_actor_type(self, person: Person, *, is_admin: bool, now: datetime) -> None:
        if person.is_admin == is_admin:
            return
        person.is_admin = is_admin
        if not is_admin:
            self.end_sessions(person, now=now, actor="admin")
        self.tell(person, "auth.role.changed")
