"""Acts of people with their passwords: they change one they know, and set one by a link."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from czo_auth.core.context import system_context
from tests.contract.deployments import Timed
from tests.fuzz.model.acting import CODES, PICK, HostApi
from tests.fuzz.model.records import LINK_LIFE, Link, Person, Refused

_numbers = count(1)


class Passwords(HostApi):
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

    @rule(pick=PICK, typed=st.sampled_from([None, True, True, False]), kind=st.none() | CODES)
    @precondition(lambda self: self.world.sessions)
    def reauthenticate(self, pick: int, typed: bool | None = True, kind: str | None = None) -> None:
        """Prove password, second factor or both again; the session stays what it is, with newer times."""
        session = self._session(pick)
        person, world, now = session.person, self.world, self._now
        body: dict[str, Any] = {}
        if typed is not None:
            body["password"] = person.account.password if typed else "not the right password"
        code = None
        if kind is not None and (person.factor is not None or kind != "right"):
            code = body["code"] = self._code(person, person.factor, kind)
        refused = world.enters(session, now=now)
        if refused is None and not body:
            refused = (400, "VALIDATION_ERROR")
        if refused is None and typed is False:
            refused = (400, "INVALID_PASSWORD")
        if refused is None and code is not None:
            refused = world.tries(person, code, "either", now=now)
            if refused == (401, "INVALID_CODE") and typed is None:
                world.after_wrong_code(session)
        answer = self._ask("POST", "/reauthenticate", body, bearer=session.token)
        if not self._holds(answer, refused):
            return
        shown = answer.json()["session"]
        assert (shown["id"], shown["aal"]) == (session.id, session.aal)
        session.auth_time = session.auth_time if typed is None else now
        if code is not None:
            session.proved_at, session.wrong_codes = now, 0

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
