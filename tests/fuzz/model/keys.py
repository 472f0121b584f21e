"""Acts of people with their API keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.fuzz.model.acting import PICK, Acting
from tests.fuzz.model.records import NO_FACTOR, Key, Organization, Refused, Session


class Keys(Acting):
    """What makes, changes and ends a key."""

    @rule(
        pick=PICK,
        place=st.none() | PICK,
        lives=st.none() | st.sampled_from([60, 3600]),
        reserved=st.booleans(),
    )
    @precondition(lambda self: self.world.sessions and len(self.world.keys) < 20)
    def create_key(
        self, pick: int, place: int | None = None, lives: int | None = None, reserved: bool = False
    ) -> None:
        session = self._session(pick)
        world, now = self.world, self._now
        scopes = [*(["admin:read"] if reserved else []), "orders:read"]
        body: dict[str, Any] = {"name": "a key", "scopes": scopes}
        organization: Organization | None = None
        refused = world.enters(session, now=now)
        if place is not None and world.organizations:
            organization = self._one(world.organizations, place)
            body["organizationId"] = organization.id
            role = organization.roles.get(session.person)
            if role is None:
                refused = refused or (403, "USER_NOT_MEMBER_OF_ORGANIZATION")
            elif role not in ("owner", "admin"):
                refused = refused or (403, "INSUFFICIENT_API_KEY_PERMISSIONS")
            elif organization.refuses(session.person, now=now):
                refused = refused or NO_FACTOR
        if lives is not None:
            body["expiresIn"] = lives
        if reserved and session.actor != "admin":
            refused = refused or (403, "INSUFFICIENT_SCOPE")
        answer = self._ask("POST", "/api-keys", body, bearer=session.token)
        if self._holds(answer, refused, 201):
            shown = answer.json()["apiKey"]
            key = Key(session.person, shown["id"], shown["key"], session.actor, tuple(scopes), organization)
            key.expires_at = None if lives is None else now + timedelta(seconds=lives)
            world.keys.append(key)
            world.tell(session.person, "auth.apikey.created")

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
            heir.expires_at, heir.is_enabled = key.expires_at, key.is_enabled
            world.keys.append(heir)
            world.tell(key.person, "auth.apikey.rotated")
            end = now + timedelta(seconds=overlap)
            key.is_rotated = True
            key.expires_at = end if key.expires_at is None else min(key.expires_at, end)
