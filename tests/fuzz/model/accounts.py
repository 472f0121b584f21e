"""Acts of people with their accounts: they export them, move them to another address and back, and delete them."""

from __future__ import annotations

from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from czo_auth.core.context import system_context
from tests.contract.deployments import Timed
from tests.fuzz.model.acting import PICK, HostApi
from tests.fuzz.model.records import EmailChange, Person, Refused, Session

_numbers = count(1)


class Accounts(HostApi):
    """What is done to an account as a whole."""

    @rule(pick=PICK)
    @precondition(lambda self: self.world.sessions)
    def export(self, pick: int) -> None:
        session = self._session(pick)
        refused = self._proved(session)
        answer = self._ask("GET", "/user/export", bearer=session.token)
        if self._holds(answer, refused):
            shown, person = answer.json(), session.person
            assert (shown["user"]["id"], shown["user"]["email"]) == (person.id, person.account.email)
            assert len(shown["organizations"]) == sum(
                person in each.roles for each in self.world.organizations
            )
            assert shown["twoFactor"]["enabled"] == (person.factor is not None)

    @rule(pick=PICK)
    @precondition(lambda self: self.world.sessions and isinstance(self._here, Timed))
    def ask_for_another_address(self, pick: int) -> None:
        """Ask for a change of address, which replaces the one that waits."""
        assert isinstance(self._here, Timed)
        session = self._session(pick)
        person, mail, old = session.person, self._here.mail, session.person.account.email
        new = f"moved-{next(_numbers)}-{id(self)}@example.com"
        before = len(mail.tokens(old, "email_change_notice"))
        refused = self._proved(session)
        answer = self._ask("POST", "/change-email", {"newEmail": new}, bearer=session.token)
        if self._holds(answer, refused):
            token = self._run(mail.token(new, "email_change"))
            revert = self._run(mail.token(old, "email_change_notice", after=before))
            self.world.after_change_asked(
                EmailChange(person, token, revert, old, new, session.lineage, asked_at=self._now)
            )

    @rule(pick=PICK)
    @precondition(lambda self: self.world.changes)
    def confirm_address(self, pick: int) -> None:
        change: EmailChange = self._one(self.world.changes, pick)
        refused = self.world.confirms(change, now=self._now)
        if self._holds(self._ask("GET", f"/verify-email?token={change.token}"), refused):
            self.world.after_address(change, now=self._now)

    @rule(pick=PICK)
    @precondition(lambda self: self.world.changes)
    def take_address_back(self, pick: int) -> None:
        self._take_back(self._one(self.world.changes, pick))

    def _take_back(self, change: EmailChange) -> None:
        refused = self.world.reverts(change, now=self._now)
        answer = self._ask("POST", "/revert-email-change", {"token": change.revert})
        if self._holds(answer, refused):
            self.world.after_taken_back(change, now=self._now)

    @rule(pick=PICK, has_password=st.sampled_from([True, False, None]), from_above=st.booleans())
    @precondition(lambda self: self.world.sessions and len(self.world.people) > 2)
    def delete(self, pick: int, has_password: bool | None = None, from_above: bool = False) -> None:
        """Delete one's account; an operator deletes without asking whether anybody is left."""
        session = self._session(pick)
        person, world = session.person, self.world
        if from_above:
            if world.is_over(person):
                return
            context = system_context(self._now)
            self._run(self._here.auth.delete_user.delete(person.id, reason=None, force=True, context=context))
            world.after_deleted(person, now=self._now)
            return
        body = {}
        if has_password is not None:
            body["password"] = person.account.password if has_password else "not the right password"
        refused = world.enters(session, now=self._now)
        if refused is None and has_password is False:
            refused = (400, "INVALID_PASSWORD")
        if refused is None:
            refused = world.has_recent_proof(session, now=self._now, typed=has_password is True)
        if refused is None and world.is_last_administrator(person):
            refused = (409, "LAST_ADMINISTRATOR")
        if refused is None and world.orphans(person):
            refused = (409, "LAST_OWNER")
        answer = self._ask("POST", "/delete-user", body, bearer=session.token)
        if self._holds(answer, refused):
            world.after_deleted(person, now=self._now)
        elif refused == (409, "LAST_OWNER"):
            named = {tuple(detail["loc"]) for detail in answer.json()["details"]}
            assert named == {("organizations", each.id) for each in world.orphans(person)}

    def _proved(self, session: Session) -> Refused:
        refused = self.world.enters(session, now=self._now)
        return refused or self.world.has_recent_proof(session, now=self._now)

    def _try_accounts_once_more(self, people: list[Person]) -> None:
        """Nobody who is gone comes back, and no link moves an account that it may not."""
        for person in people:
            body = {"email": person.account.email, "password": person.account.password}
            self._holds(
                self._ask("POST", "/customer/sign-in/email", body), (401, "INVALID_EMAIL_OR_PASSWORD")
            )
        for change in self.world.changes[-4:]:
            if self.world.confirms(change, now=self._now) is not None:
                self.confirm_address(len(self.world.changes) - 1 - self.world.changes.index(change))
            if self.world.reverts(change, now=self._now) is not None:
                self._take_back(change)
