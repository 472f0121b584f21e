"""Acts of people with their passwords: they change one they know, and set one by a link."""

from __future__ import annotations

from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from czo_auth.core.context import system_context
from tests.contract.deployments import Timed
from tests.fuzz.model.acting import PICK, Acting
from tests.fuzz.model.records import LINK_LIFE, Link, Person, Refused

_numbers = count(1)


class Passwords(Acting):
    """What changes a password."""

    @rule(pick=PICK, has_password=st.sampled_from([True, True, False]))
    @precondition(lambda self: self.world.sessions)
    def change_password(self, pick: int, has_password: bool = True) -> None:
        session = self._session(pick)
        person, world, now = session.person, self.world, self._now
        refused = world.enters(session, now=now)
        if refused is None and not has_password:
            refused = (400, "INVALID_PASSWORD")
        new = f"correct horse {next(_numbers)} battery staple"
        current = person.account.password if has_password else "not the right password"
        body = {"currentPassword": current, "newPassword": new}
        answer = self._ask("POST", "/change-password", body, bearer=session.token)
        if self._holds(answer, refused):
            person.account.password = new
            renewed = self._renewed(session, answer)
            world.after_password(person, now=now, keep=renewed)

    @rule(pick=PICK, from_operator=st.booleans())
    def ask_for_a_link(self, pick: int, from_operator: bool = False) -> None:
        """Get a link by mail where the mail can be read, else from the operator."""
        person: Person = self._one(self.world.people, pick)
        here, now = self._here, self._now
        if from_operator or not isinstance(here, Timed):
            if person.is_banned:
                return
            issue = here.auth.passwords.issue_recovery_token
            token = self._run(issue(person.id, reason="the model", context=system_context(now)))
            self.world.after_link(Link(person, token, "operator", expires_at=now + LINK_LIFE))
            return
        mailed = here.mail.tokens
        before = len(mailed(person.account.email, "password_reset"))
        answer = self._ask("POST", "/request-password-reset", {"email": person.account.email})
        self._holds(answer, None)
        if person.is_banned:
            return
        token = self._run(here.mail.token(person.account.email, "password_reset", after=before))
        self.world.after_link(Link(person, token, "mail", expires_at=now + LINK_LIFE))

    @rule(pick=PICK, is_short=st.sampled_from([False, False, False, True]))
    @precondition(lambda self: self.world.links)
    def follow_a_link(self, pick: int, is_short: bool = False) -> None:
        self._follow(self._one(self.world.links, pick), is_short=is_short)

    def _follow(self, link: Link, *, is_short: bool = False) -> None:
        person, world, now = link.person, self.world, self._now
        new = "short" if is_short else f"stapled horse {next(_numbers)} battery"
        refused: Refused = None
        if is_short:
            refused = (400, "PASSWORD_TOO_SHORT")
        elif link.is_over or link.expires_at <= now or person.is_banned:
            refused = (400, "INVALID_TOKEN")
        answer = self._ask("POST", "/reset-password", {"token": link.token, "newPassword": new})
        if self._holds(answer, refused):
            assert "set-auth-token" not in answer.headers
            person.account.password = new
            if link.kind == "mail" and not person.is_confirmed:
                world.after_first_proof(person, now=now)
            world.after_password(person, now=now)
            if person.is_stopped:
                world.forgive(person)
