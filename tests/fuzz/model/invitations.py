"""Acts of people with invitations, which wait until somebody answers them or their sender may invite no more."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.fuzz.model.acting import PICK, HostApi
from tests.fuzz.model.programs import administers
from tests.fuzz.model.records import FORBIDDEN, NOT_FOUND, RANKS, Invitation, Organization, Person, Refused

INVITATION_LIFE = timedelta(days=7)
NO_INVITATION: Refused = (400, "INVITATION_NOT_FOUND")


class Invitations(HostApi):
    """What sends, answers and withdraws an invitation."""

    def _is_alive(self, invitation: Invitation) -> bool:
        """Say whether it can be answered: its sender could send it again."""
        roles, sender = invitation.organization.roles, invitation.sender
        may_send = roles.get(sender) in ("owner", "admin") and not sender.is_banned
        may_send = may_send and not invitation.organization.ranks_below(sender, invitation.role)
        return may_send and not invitation.is_over and invitation.expires_at > self._now

    def _pending(self, organization: Organization, email: str) -> Invitation | None:
        waiting = [
            each
            for each in self.world.invitations
            if (each.organization, each.email, each.is_over) == (organization, email, False)
            and each.expires_at > self._now
        ]
        return waiting[-1] if waiting else None

    @rule(place=PICK, pick=PICK, whom=PICK, role=st.sampled_from(RANKS), resend=st.booleans())
    @precondition(
        lambda self: self.world.organizations and self.world.sessions and len(self.world.invitations) < 20
    )
    def invite(self, place: int, pick: int, whom: int, role: str = "member", resend: bool = False) -> None:
        organization: Organization = self._one(self.world.organizations, place)
        session = self._session(pick)
        guest: Person = self._one(self.world.people, whom)
        world, now, sender = self.world, self._now, session.person
        email = guest.account.email
        refused = world.enters(session, now=now) or administers(organization, sender, now=now)
        if refused is None and organization.ranks_below(sender, role):
            refused = FORBIDDEN
        if refused is None and guest in organization.roles:
            refused = (409, "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION")
        waiting = self._pending(organization, email)
        if refused is None and waiting is not None and self._is_alive(waiting):
            if not resend:
                refused = (409, "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION")
            elif organization.ranks_below(sender, waiting.role):
                refused = FORBIDDEN
        if refused is None and not world.may_invite(sender):
            return
        body = {"email": email, "role": role, "resend": resend}
        path = f"/organizations/{organization.id}/invitations"
        answer = self._ask("POST", path, body, bearer=session.token)
        if self._holds(answer, refused, 201):
            sender.invitations += 1
            self._end_waiting(organization, email)
            shown = answer.json()
            world.invitations.append(
                Invitation(
                    organization,
                    email,
                    role,
                    sender,
                    shown["invitation"]["id"],
                    shown["token"],
                    expires_at=now + INVITATION_LIFE,
                )
            )

    def _end_waiting(self, organization: Organization, email: str) -> None:
        """Note that a newer invitation replaced the one that waited."""
        waiting = self._pending(organization, email)
        if waiting is not None:
            waiting.is_over = True

    @rule(which=PICK, pick=PICK, how=st.sampled_from(["accept", "accept", "accept", "reject", "cancel"]))
    @precondition(lambda self: self.world.invitations and self.world.sessions)
    def answer_invitation(self, which: int, pick: int, how: str = "accept") -> None:
        """Answer or withdraw an invitation, or try to as somebody else."""
        invitation: Invitation = self._one(self.world.invitations, which)
        theirs = [each for each in self.world.sessions if each.person.account.email == invitation.email]
        session = self._one(theirs, 0) if theirs and pick > 1 else self._session(pick)
        world, now, organization = self.world, self._now, invitation.organization
        person = session.person
        refused = world.enters(session, now=now)
        if how == "cancel":
            refused = refused or administers(organization, person, now=now)
            # One that its sender could not send any more still waits, and can be withdrawn.
            waits = not invitation.is_over and invitation.expires_at > now
            if refused is None and (not waits or organization.ranks_below(person, invitation.role)):
                refused = NOT_FOUND
            path = f"/organizations/{organization.id}/invitations/{invitation.id}"
            if self._holds(self._ask("DELETE", path, bearer=session.token), refused, 204):
                invitation.is_over = True
            return
        if refused is None and not self._is_alive(invitation):
            refused = NO_INVITATION
        if refused is None and person.account.email != invitation.email:
            refused = (403, "YOU_ARE_NOT_THE_RECIPIENT_OF_THE_INVITATION")
        if how == "reject":
            body = {"invitationId": invitation.id}
            answer = self._ask("POST", "/organization/reject-invitation", body, bearer=session.token)
            if self._holds(answer, refused):
                invitation.is_over = True
            return
        if refused is None and person in organization.roles:
            refused = (409, "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION")
        body = {"token": invitation.token}
        answer = self._ask("POST", "/invitations/accept", body, bearer=session.token)
        if self._holds(answer, refused):
            invitation.is_over = True
            organization.roles[person] = invitation.role
            world.tell(person, "auth.org.member_added")
