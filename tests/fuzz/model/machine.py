"""The machine: it acts as people do, in any order, and every answer must be the one that the model gives."""

from __future__ import annotations

from collections import Counter

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant

from czo_auth.core.flows.administration.audit import ReadAuditLog
from tests.contract.deployments import Timed
from tests.fuzz.model.accounts import Accounts
from tests.fuzz.model.devices import Devices
from tests.fuzz.model.operators import Operators
from tests.fuzz.model.organizations import Organizations
from tests.fuzz.model.passwords import Passwords
from tests.fuzz.model.policies import Policies
from tests.fuzz.model.records import MINUTE, Factor, Key, Person, Session
from tests.fuzz.model.second_factors import SecondFactors
from tests.fuzz.model.service_accounts import ServiceAccounts

LAST = 4
"""So many of each thing that was ever handed out are tried once more at the end, the newest."""


class Machine(
    SecondFactors, Passwords, Devices, ServiceAccounts, Organizations, Operators, Accounts, Policies
):
    """All acts together, what always holds, and what holds in the end."""

    def __init__(self) -> None:
        super().__init__()
        self._before = self._run(self._told())

    def meet(self) -> None:
        """Get to know a customer and an administrator, who have a second factor."""
        for account in [*self._here.prepared.customers[:1], *self._here.prepared.admins]:
            is_admin = account in self._here.prepared.admins
            factor = Factor(secret=account.has.secret, codes=list(account.codes), last_step=account.has._last)
            self.world.people.append(
                Person(account=account, factor=factor, is_admin=is_admin, is_confirmed=is_admin)
            )

    @initialize(number=st.integers(0, 2**32))
    def begin(self, number: int = 1) -> None:
        # Hypothesis tries the simplest story first: the same act again and again.
        assume(number)
        self.meet()
        self.sign_up()
        for pick in range(3):
            self.sign_in(pick)
            if self.world.challenges and not self.world.challenges[-1].is_over:
                self.finish(0, trusts=True)
            self.found(0)
            self.create_key(0, reserved=pick == 0)
        self.operate(0, "promote")
        self.join(0, 1, "admin")

    # --- what always holds -------------------------------------------------------------------------------------------
    @invariant()
    def look(self) -> None:
        """See that credentials are what the model says."""
        type(self).steps += 1
        for session in self.world.sessions[-5:]:
            self._look_at_session(session)
        for key in self.world.keys[-4:]:
            self._look_at_key(key)
        for account_key in self.world.programs.keys[-3:]:
            self._look_at_account_key(account_key)
        for token in self.world.programs.tokens[-2:]:
            self._look_at_token(token)

    def _look_at_session(self, session: Session) -> None:
        world, now = self.world, self._now
        answer = self._ask("GET", "/whoami", bearer=session.token)
        if self._holds(answer, world.enters(session, now=now, enrolling=True)):
            shown = answer.json()
            assert (shown["userId"], shown["aal"]) == (session.person.id, session.aal)
            assert (shown["restrictedTo"] is not None) == session.person.must_enroll
        self._holds(
            self._ask("GET", "/admin/users?limit=1", bearer=session.token),
            world.administers(session, now=now),
        )
        age = now - session.issued_at
        if not 14 * MINUTE <= age <= 17 * MINUTE:
            refused = world.enters(session, now=now)
            if age > 17 * MINUTE:
                refused = (401, "INVALID_TOKEN")
            self._holds(self._ask("GET", "/sessions", bearer=session.access_token), refused)

    def _look_at_key(self, key: Key) -> None:
        if not key.text:
            # Its device did not fetch it yet.
            return
        refused = self.world.accepts(key, now=self._now) or key.spends(now=self._now)
        answer = self._ask("GET", "/whoami", bearer=key.text)
        if self._holds(answer, refused):
            shown = answer.json()
            assert shown["userId"] == key.person.id
            assert shown["scopes"] == self.world.rights(key)
            assert shown["organizationId"] == (key.organization and key.organization.id)
            refused = key.spends(now=self._now) or (403, "SESSION_REQUIRED")
            self._holds(self._ask("GET", "/sessions", bearer=key.text), refused)

    # --- the end -----------------------------------------------------------------------------------------------------
    def teardown(self) -> None:
        try:
            self.hold_the_end()
        finally:
            self.close()

    def hold_the_end(self) -> None:
        """Hold what is left against the model: every credential, the events, and the chain of the audit log."""
        self._try_all_once_more()
        for key in self.world.keys:
            self._look_at_key(key)
        for account_key in self.world.programs.keys:
            self._look_at_account_key(account_key)
        for token in self.world.programs.tokens:
            self._look_at_token(token)
        self._one_live_leaf()
        reported = self._run(self._told())
        reported = reported - self._before
        lacking, surplus = self.world.events - reported, reported - self.world.events
        assert not lacking, lacking
        assert not surplus, surplus
        verdict = self._run(ReadAuditLog(self._here.auth.services).verify_audit())
        assert verdict.broken_at is None

    def close(self) -> None:
        """End the deployment."""
        self._run(self._stack.aclose())
        self._loop.close()

    def _try_all_once_more(self) -> None:
        """Whatever ought to be over is, though nobody happened to try it before."""
        world = self.world
        for device in world.devices[-LAST:]:
            for cookie in {device.token, *device.replaced[-1:]}:
                self._sign_in(device.person, "customer", cookie=cookie)
        for challenge in world.challenges[-2 * LAST :]:
            self._finish(challenge, "right")
        for person in world.people:
            mine = [each for each in world.sessions if each.person is person and not each.is_over]
            for kind in ["old phone", "spent", "spent backup"] if mine else []:
                self._verify(mine[-1], kind, of_present=True)
        for link in world.links[-LAST:]:
            self._follow(link)
        for request in range(len(world.programs.requests)):
            self.fetch_as_a_device(request)
        for invitation in range(min(LAST, len(world.invitations))):
            if world.sessions and not self._is_alive(self._one(world.invitations, invitation)):
                self.answer_invitation(invitation, 0)
        self._try_accounts_once_more(world.gone)
        if isinstance(self._here, Timed):
            # Beyond the grace of a race: someone who still has a replaced token copied it.
            self.wait(11)
            for session in [each for each in world.sessions if each.replaced][-LAST:]:
                self._refresh(session, session.replaced[-1][0])
        for session in world.sessions[-2 * LAST :]:
            self._look_at_session(session)
            if world.enters(session, now=self._now) is None:
                self._look_at_browsers(session)

    def _one_live_leaf(self) -> None:
        """Each living family has one token that counts, and each that ended has none."""
        world, now = self.world, self._now
        for session in world.sessions:
            alive = world.is_alive(session, now=now)
            answer = self._ask("POST", "/token/refresh", {"refreshToken": session.leaf})
            assert answer.status_code == (200 if alive else 401), answer.text
            again = self._ask("POST", "/token/refresh", {"refreshToken": session.leaf})
            assert again.status_code == (409 if alive else 401), again.text

    async def _told(self) -> Counter[tuple[str | None, str]]:
        found: Counter[tuple[str | None, str]] = Counter()
        async for batch in ReadAuditLog(self._here.auth.services).events():
            found.update((event.user_id, event.type) for event in batch)
        return found
