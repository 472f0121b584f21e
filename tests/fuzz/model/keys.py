"""Acts of people with their API keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.fuzz.model.acting import PICK, HostApi
from tests.fuzz.model.programs import ANSWER_LIFE, Repeated
from tests.fuzz.model.records import NO_FACTOR, Key, Organization, Refused, Session

LIVES = st.none() | st.sampled_from([60, 3600])
"""After how many seconds a key ends; None for never."""


class Keys(HostApi):
    """What makes, changes and ends a key."""

    @rule(
        pick=PICK,
        place=st.none() | PICK,
        lives=LIVES,
        reserved=st.booleans(),
        quota=st.sampled_from([None, None, 3, 25]),
    )
    @precondition(lambda self: self.world.sessions and len(self.world.keys) < 20)
    def create_key(
        self,
        pick: int,
        place: int | None = None,
        lives: int | None = None,
        reserved: bool = False,
        quota: int | None = None,
    ) -> None:
        session = self._session(pick)
        organization: Organization | None = None
        if place is not None and self.world.organizations:
            organization = self._one(self.world.organizations, place)
        body = self._new_key(organization, lives=lives, quota=quota, reserved=reserved)
        refused = self.world.enters(session, now=self._now)
        refused = refused or self._may_create(session, organization, reserved=reserved)
        answer = self._ask("POST", "/api-keys", body, bearer=session.token)
        if self._holds(answer, refused, 201):
            self._note_own_key(session, organization, body, answer.json()["apiKey"])

    def _new_key(
        self,
        organization: Organization | None,
        *,
        lives: int | None = None,
        quota: int | None = None,
        reserved: bool = False,
    ) -> dict[str, Any]:
        scopes = [*(["admin:read"] if reserved else []), "orders:read"]
        body: dict[str, Any] = {"name": "a key", "scopes": scopes}
        if organization is not None:
            body["organizationId"] = organization.id
        if lives is not None:
            body["expiresIn"] = lives
        if quota is not None:
            body |= {"quotaMax": quota, "quotaPeriod": "day"}
        return body

    def _may_create(
        self, session: Session, organization: Organization | None, *, reserved: bool = False
    ) -> Refused:
        """Say whether *session* may make a key now, once it is let in."""
        if organization is not None:
            role = organization.roles.get(session.person)
            if role is None:
                return 403, "USER_NOT_MEMBER_OF_ORGANIZATION"
            if role not in ("owner", "admin"):
                return 403, "INSUFFICIENT_API_KEY_PERMISSIONS"
            if organization.refuses(session.person, now=self._now):
                return NO_FACTOR
        return (403, "INSUFFICIENT_SCOPE") if reserved and session.actor != "admin" else None

    def _note_own_key(
        self, session: Session, organization: Organization | None, body: dict[str, Any], shown: Any
    ) -> None:
        scopes = tuple(body["scopes"])
        key = Key(session.person, shown["id"], shown["key"], session.actor, scopes, organization)
        if "expiresIn" in body:
            key.expires_at = self._now + timedelta(seconds=body["expiresIn"])
        key.quota = body.get("quotaMax")
        self.world.keys.append(key)
        self.world.tell(session.person, "auth.apikey.created")

    @rule(pick=PICK, place=st.none() | PICK, name=st.sampled_from(["first", "second"]), lives=LIVES)
    @precondition(lambda self: self.world.sessions and len(self.world.keys) < 20)
    def create_key_repeatedly(
        self, pick: int, place: int | None = None, name: str = "first", lives: int | None = None
    ) -> None:
        """Create a key under a name for the request: a repetition makes none, and needs the same rights again."""
        session = self._session(pick)
        organization: Organization | None = None
        if place is not None and self.world.organizations:
            organization = self._one(self.world.organizations, place)
        body, now = self._new_key(organization, lives=lives), self._now
        repeated = self.world.programs.repeated
        earlier = repeated.get((session.lineage, name))
        if earlier is not None and now >= earlier.at + ANSWER_LIFE:
            earlier = None
        refused = self.world.enters(session, now=now)
        if refused is None and earlier is not None and earlier.body != body:
            refused = (422, "IDEMPOTENCY_KEY_REUSED")
        refused = refused or self._may_create(session, organization)
        answer = self._ask("POST", "/api-keys", body, bearer=session.token, headers={"Idempotency-Key": name})
        if not self._holds(answer, refused, 201):
            return
        if earlier is not None:
            assert answer.json() == earlier.answer
            return
        repeated[session.lineage, name] = Repeated(body, answer.json(), now)
        self._note_own_key(session, organization, body, answer.json()["apiKey"])

    @rule(which=PICK)
    @precondition(lambda self: self.world.keys)
    def use_up(self, which: int) -> None:
        """Use a key until its quota refuses, and once more."""
        key: Key = self._one(self.world.keys, which)
        if key.quota is None:
            return
        for _ in range(key.quota + 1):
            refused = self.world.accepts(key, now=self._now) or key.spends(now=self._now)
            self._holds(self._ask("GET", "/whoami", bearer=key.text), refused)

    @rule(
        pick=PICK,
        who=PICK,
        how=st.sampled_from(["off", "on", "narrow", "widen", "rotate", "overlap", "end"]),
    )
    @precondition(lambda self: self.world.sessions and self.world.keys)
    def change_key(self, pick: int, who: int, how: str) -> None:
        """Let the owner change it, or try to as somebody else."""
        key: Key = self._one(self.world.keys, pick)
        theirs = [each for each in self.world.sessions if each.person is key.person]
        session: Session = self._one(theirs if theirs and who else self.world.sessions, who)
        world, now = self.world, self._now
        refused = world.owns(session, key, now=now)
        if how == "end":
            answer = self._ask("DELETE", f"/api-keys/{key.id}", bearer=session.token)
            if self._holds(answer, refused, 204):
                key.is_over = True
                world.tell(key.person, "auth.apikey.revoked")
        elif how in ("on", "off"):
            body = {"enabled": how == "on"}
            if how == "on" and key.is_rotated:
                return
            answer = self._ask("PATCH", f"/api-keys/{key.id}", body, bearer=session.token)
            if self._holds(answer, refused):
                key.is_enabled = how == "on"
        elif how == "narrow":
            scopes = key.scopes[:1]
            answer = self._ask("PATCH", f"/api-keys/{key.id}", {"scopes": scopes}, bearer=session.token)
            if self._holds(answer, refused):
                key.scopes = scopes
        elif how == "widen":
            wide = [*key.scopes, "orders:write"]
            answer = self._ask("PATCH", f"/api-keys/{key.id}", {"scopes": wide}, bearer=session.token)
            self._holds(answer, refused or (400, "VALIDATION_ERROR"))
        else:
            self._rotate(key, session, refused, overlap=0 if how == "rotate" else 120)

    def _rotate(self, key: Key, session: Session, refused: Refused, *, overlap: int) -> None:
        world, now = self.world, self._now
        role = key.organization and key.organization.roles.get(key.person)
        if refused is None and key.is_rotated:
            refused = (409, "API_KEY_ALREADY_ROTATED")
        if refused is None and key.expires_at is not None and key.expires_at <= now:
            refused = (404, "NOT_FOUND")
        if refused is None and key.organization is not None and role not in ("owner", "admin"):
            refused = (403, "INSUFFICIENT_API_KEY_PERMISSIONS")
        if refused is None and key.organization is not None and key.organization.refuses(key.person, now=now):
            refused = NO_FACTOR
        body = {"overlapSeconds": overlap}
        answer = self._ask("POST", f"/api-keys/{key.id}/rotate", body, bearer=session.token)
        if self._holds(answer, refused, 201):
            shown = answer.json()["apiKey"]
            assert set(shown["scopes"]) <= set(key.scopes)
            heir = Key(key.person, shown["id"], shown["key"], key.actor, key.scopes, key.organization)
            heir.expires_at, heir.is_enabled, heir.quota = key.expires_at, key.is_enabled, key.quota
            heir.uses = key.uses
            world.keys.append(heir)
            world.tell(key.person, "auth.apikey.rotated")
            end = now + timedelta(seconds=overlap)
            key.is_rotated = True
            key.expires_at = end if key.expires_at is None else min(key.expires_at, end)
