"""Acts of owners and admins for the programs of their organization: service accounts, their keys, and webhooks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.fuzz.model.acting import PICK, HostApi
from tests.fuzz.model.programs import AccountKey, ServiceAccount, Webhook, administers, is_assured
from tests.fuzz.model.records import FORBIDDEN, NO_PASSWORD, NOT_FOUND, Key, Organization, Refused, Session

TYPED = st.sampled_from([None, None, True, False])
"""Whether the password is typed with the request: not, the right one, a wrong one."""
NEVER = "auth.passkey.counter_regressed"
"""An event that no act of the model causes: nothing is sent to the webhooks."""


class ServiceAccounts(HostApi):
    """What makes, changes and ends what belongs to an organization instead of a person."""

    def _typed(self, session: Session, typed: bool | None) -> dict[str, Any]:
        if typed is None:
            return {}
        return {"password": session.person.account.password if typed else "not the right password"}

    def _gives(
        self, organization: Organization, session: Session, first: Refused, typed: bool | None
    ) -> Refused:
        """Say how *session* is let through to give something; *first* is refused before a proof is looked at."""
        world, now = self.world, self._now
        refused = world.enters(session, now=now) or administers(organization, session.person, now=now)
        refused = refused or is_assured(organization, session) or first
        return refused or self._proves(session, typed)

    def _proves(self, session: Session, typed: bool | None) -> Refused:
        if typed is False:
            return NO_PASSWORD
        return self.world.has_recent_proof(session, now=self._now, typed=typed is True)

    # --- accounts ----------------------------------------------------------------------------------------------------
    @rule(place=PICK, pick=PICK, typed=TYPED, reserved=st.sampled_from([False, False, False, True]))
    @precondition(
        lambda self: (
            self.world.organizations and self.world.sessions and len(self.world.programs.accounts) < 8
        )
    )
    def make_account(self, place: int, pick: int, typed: bool | None = None, reserved: bool = False) -> None:
        """Make a service account; nobody can give it what only administrators have."""
        organization: Organization = self._one(self.world.organizations, place)
        session = self._session(pick)
        scopes = ["orders:read", "orders:write", *(["admin:read"] if reserved else [])]
        body = {"name": "a program", "scopes": scopes, **self._typed(session, typed)}
        refused = self._gives(organization, session, (403, "INSUFFICIENT_SCOPE") if reserved else None, typed)
        path = f"/organizations/{organization.id}/service-accounts"
        answer = self._ask("POST", path, body, bearer=session.token)
        if self._holds(answer, refused, 201):
            made = answer.json()["serviceAccount"]["id"]
            self.world.programs.accounts.append(ServiceAccount(made, organization, scopes))
            self.world.tell(None, "auth.service_account.created")

    @rule(
        which=PICK,
        pick=PICK,
        how=st.sampled_from(["narrow", "widen", "off", "on", "end"]),
        typed=TYPED,
    )
    @precondition(lambda self: self.world.programs.accounts and self.world.sessions)
    def change_account(self, which: int, pick: int, how: str, typed: bool | None = None) -> None:
        """Change a service account; what is taken is gone at once, and to give more asks for proof."""
        account: ServiceAccount = self._one(self.world.programs.accounts, which)
        session = self._session(pick)
        world, now, organization = self.world, self._now, account.organization
        path = f"/organizations/{organization.id}/service-accounts/{account.id}"
        refused = world.enters(session, now=now) or administers(organization, session.person, now=now)
        if refused is None and account.is_over:
            refused = NOT_FOUND
        if how == "end":
            if self._holds(self._ask("DELETE", path, bearer=session.token), refused, 204):
                world.tell(None, "auth.apikey.revoked", world.programs.end_account(account, now=now))
                world.tell(None, "auth.service_account.deleted")
            return
        scopes = {"narrow": ["orders:read"], "widen": ["orders:read", "orders:write"]}.get(
            how, account.scopes
        )
        body: dict[str, Any] = {"enabled": how == "on"} if how in ("on", "off") else {"scopes": scopes}
        widens = set(scopes) > set(account.scopes)
        if how == "widen":
            body |= self._typed(session, typed)
            # Who sends a proof is asked for one, though the change may need none.
            if refused is None and (widens or typed is not None):
                refused = is_assured(organization, session) or self._proves(session, typed)
        if self._holds(self._ask("PATCH", path, body, bearer=session.token), refused):
            is_enabled = body.get("enabled", account.is_enabled)
            if (is_enabled, scopes) != (account.is_enabled, account.scopes):
                world.tell(None, "auth.service_account.updated")
            account.is_enabled, account.scopes = is_enabled, scopes

    # --- keys --------------------------------------------------------------------------------------------------------
    @rule(
        which=PICK, pick=PICK, typed=TYPED, wide=st.booleans(), lives=st.sampled_from([None, None, 60, 3600])
    )
    @precondition(
        lambda self: (
            self.world.programs.accounts and self.world.sessions and len(self.world.programs.keys) < 20
        )
    )
    def make_account_key(
        self, which: int, pick: int, typed: bool | None = None, wide: bool = True, lives: int | None = None
    ) -> None:
        account: ServiceAccount = self._one(self.world.programs.accounts, which)
        session, now = self._session(pick), self._now
        scopes = ["orders:read", *(["orders:write"] if wide else [])]
        body: dict[str, Any] = {"name": "a key", "scopes": scopes, **self._typed(session, typed)}
        if lives is not None:
            body["expiresIn"] = lives
        first = self._lacks(account, scopes)
        refused = self._gives(account.organization, session, first, typed)
        path = f"/organizations/{account.organization.id}/service-accounts/{account.id}/api-keys"
        answer = self._ask("POST", path, body, bearer=session.token)
        if self._holds(answer, refused, 201):
            shown = answer.json()["apiKey"]
            ends = None if lives is None else now + timedelta(seconds=lives)
            self._note_key(account, shown, tuple(scopes), ends, "auth.apikey.created")

    def _lacks(self, account: ServiceAccount, scopes: Any) -> Refused:
        if account.is_over:
            return NOT_FOUND
        return None if set(scopes) <= set(account.scopes) else (403, "INSUFFICIENT_SCOPE")

    def _note_key(
        self, account: ServiceAccount, shown: Any, scopes: tuple[str, ...], ends: datetime | None, event: str
    ) -> AccountKey:
        made = AccountKey(account, shown["id"], shown["key"], scopes, ends)
        self.world.programs.keys.append(made)
        self.world.tell(None, event)
        return made

    @rule(
        which=PICK,
        pick=PICK,
        how=st.sampled_from(["off", "on", "narrow", "rotate", "overlap", "end"]),
        typed=TYPED,
    )
    @precondition(lambda self: self.world.programs.keys and self.world.sessions)
    def change_account_key(self, which: int, pick: int, how: str, typed: bool | None = None) -> None:
        key: AccountKey = self._one(self.world.programs.keys, which)
        session = self._session(pick)
        world, now, organization = self.world, self._now, key.account.organization
        path = f"/organizations/{organization.id}/api-keys/{key.id}"
        refused = world.enters(session, now=now) or administers(organization, session.person, now=now)
        gone = NOT_FOUND if key.is_over else None
        if how == "end":
            if self._holds(self._ask("DELETE", path, bearer=session.token), refused or gone, 204):
                key.is_over = True
                world.tell(None, "auth.apikey.revoked")
        elif how in ("rotate", "overlap"):
            self._rotate_account_key(key, session, path, gone, how, typed)
        else:
            if key.is_rotated or (key.expires_at is not None and key.expires_at <= now):
                return
            scopes = key.scopes[:1] if how == "narrow" else key.scopes
            body = {"scopes": scopes} if how == "narrow" else {"enabled": how == "on"}
            if self._holds(self._ask("PATCH", path, body, bearer=session.token), refused or gone):
                key.scopes = scopes
                key.is_enabled = body.get("enabled", key.is_enabled)

    def _rotate_account_key(
        self, key: AccountKey, session: Session, path: str, gone: Refused, how: str, typed: bool | None
    ) -> None:
        now, seconds = self._now, 120 if how == "overlap" else 0
        refused = self._gives(key.account.organization, session, gone, typed)
        if refused is None and key.is_rotated:
            refused = (409, "API_KEY_ALREADY_ROTATED")
        if refused is None and key.expires_at is not None and key.expires_at <= now:
            refused = NOT_FOUND
        body = {"overlapSeconds": seconds, **self._typed(session, typed)}
        answer = self._ask("POST", f"{path}/rotate", body, bearer=session.token)
        if self._holds(answer, refused, 201):
            heir = self._note_key(
                key.account, answer.json()["apiKey"], key.scopes, key.expires_at, "auth.apikey.rotated"
            )
            heir.is_enabled = key.is_enabled
            self._retire(key, seconds)

    def _retire(self, key: AccountKey | Key, seconds: int) -> None:
        end = self._now + timedelta(seconds=seconds)
        key.is_rotated = True
        key.expires_at = end if key.expires_at is None else min(key.expires_at, end)

    # --- keys of members ---------------------------------------------------------------------------------------------
    @rule(which=PICK, to=PICK, pick=PICK, how=st.sampled_from(["end", "transfer", "transfer"]), typed=TYPED)
    @precondition(lambda self: self.world.keys and self.world.programs.accounts and self.world.sessions)
    def administer_key(self, which: int, to: int, pick: int, how: str, typed: bool | None = None) -> None:
        """Revoke a member's key as an admin of its organization, or make it the key of a service account."""
        account: ServiceAccount = self._one(self.world.programs.accounts, to)
        organization = account.organization
        key: Key = self._one(self.world.keys, which)
        session = self._session(pick)
        world, now = self.world, self._now
        path = f"/organizations/{organization.id}/api-keys/{key.id}"
        acts_here = key.organization is organization and not key.is_over
        if how == "end":
            refused = world.enters(session, now=now) or administers(organization, session.person, now=now)
            refused = refused or (None if acts_here else NOT_FOUND)
            if self._holds(self._ask("DELETE", path, bearer=session.token), refused, 204):
                key.is_over = True
                world.tell(key.person, "auth.apikey.revoked")
            return
        first: Refused = None
        if not acts_here:
            first = NOT_FOUND
        elif key.is_rotated:
            first = (409, "API_KEY_ALREADY_ROTATED")
        elif key.expires_at is not None and key.expires_at <= now:
            first = NOT_FOUND
        else:
            first = self._lacks(account, key.scopes)
        refused = self._gives(organization, session, first, typed)
        body = {"serviceAccountId": account.id, **self._typed(session, typed)}
        answer = self._ask("POST", f"{path}/transfer", body, bearer=session.token)
        if self._holds(answer, refused, 201):
            made = self._note_key(
                account, answer.json()["apiKey"], tuple(key.scopes), key.expires_at, "auth.apikey.transferred"
            )
            made.is_enabled = key.is_enabled
            self._retire(key, 0)

    # --- what always holds -------------------------------------------------------------------------------------------
    def _look_at_account_key(self, key: AccountKey) -> None:
        answer = self._ask("GET", "/whoami", bearer=key.text)
        if self._holds(answer, key.accepts(now=self._now)):
            shown = answer.json()
            assert (shown["userId"], shown["serviceAccountId"]) == (None, key.account.id)
            assert (shown["scopes"], shown["actorType"]) == (key.rights, None)
            assert shown["organizationId"] == key.account.organization.id
            refused = self._ask("GET", "/sessions", bearer=key.text)
            assert (refused.status_code, refused.json()["code"]) == (403, "SESSION_REQUIRED")

    # --- webhooks ----------------------------------------------------------------------------------------------------
    @rule(
        place=PICK,
        pick=PICK,
        which=PICK,
        how=st.sampled_from(["make", "make", "off", "secret", "end"]),
        typed=TYPED,
    )
    @precondition(lambda self: self.world.organizations and self.world.sessions)
    def manage_webhook(
        self, place: int, pick: int, which: int = 0, how: str = "make", typed: bool | None = None
    ) -> None:
        """Make, change and end an endpoint: owners only, and only with a recent proof."""
        webhooks = self.world.programs.webhooks
        if how != "make" and not webhooks:
            return
        webhook: Webhook | None = None if how == "make" else self._one(webhooks, which)
        if webhook is not None and how == "secret" and webhook.secrets > 8:
            return
        organization = webhook.organization if webhook else self._one(self.world.organizations, place)
        session = self._session(pick)
        refused = self.world.enters(session, now=self._now)
        refused = refused or organization.admits(session.person, now=self._now)
        if refused is None and organization.roles[session.person] != "owner":
            refused = FORBIDDEN
        refused = refused or self._proves(session, typed)
        if refused is None and webhook is not None and webhook.is_over:
            refused = NOT_FOUND
        path = f"/organizations/{organization.id}/webhooks" + (f"/{webhook.id}" if webhook else "")
        body: dict[str, Any] = self._typed(session, typed)
        if how == "make":
            body |= {"url": "https://hooks.example.com/czo", "events": [NEVER]}
        elif how == "off":
            body |= {"enabled": False}
        method = {"make": "POST", "off": "PATCH", "secret": "POST", "end": "DELETE"}[how]
        answer = self._ask(method, path + ("/secret" if how == "secret" else ""), body, bearer=session.token)
        status = {"make": 201, "secret": 201, "end": 204}.get(how, 200)
        if not self._holds(answer, refused, status):
            return
        if webhook is None:
            self._note_webhook(organization, session, answer.json())
        else:
            webhook.is_over = how == "end"
            webhook.secrets += how == "secret"

    def _note_webhook(self, organization: Organization, session: Session, shown: Any) -> None:
        made = Webhook(organization, shown["webhook"]["id"])
        self.world.programs.webhooks.append(made)
        path = f"/organizations/{organization.id}/webhooks/{made.id}"
        again = self._ask("GET", path, bearer=session.token)
        assert shown["secret"] not in again.text
