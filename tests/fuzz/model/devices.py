"""Acts of devices that ask for a key, of those who approve them, and of services that exchange keys for tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.contract.api import BASE, Answer
from tests.contract.deployments import Timed
from tests.fuzz.model.acting import PICK
from tests.fuzz.model.keys import Keys
from tests.fuzz.model.programs import DEVICE_KEY_LIFE, FETCHED_TWICE, TOKEN_LIFE, DeviceRequest, Token
from tests.fuzz.model.records import NO_PASSWORD, Key, Organization, Refused, Session

CLIENT = "a-device"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
KEY_TYPE = "urn:czo-auth:token-type:api-key"


class Devices(Keys):
    """What hands a key to a device, and a token to a service."""

    def _send_form(self, path: str, form: dict[str, str]) -> Answer:
        answer: Answer = self._run(self._here.api.http.post(BASE + path, data=form))
        self.answers[answer.status_code] += 1
        assert answer.status_code < 500, answer.text
        return answer

    @rule(place=st.none() | PICK)
    @precondition(lambda self: len(self.world.programs.requests) < 12)
    def ask_as_a_device(self, place: int | None = None) -> None:
        organization: Organization | None = None
        form = {"client_id": CLIENT, "scope": "orders:read"}
        if place is not None and self.world.organizations:
            organization = self._one(self.world.organizations, place)
            form["organization_id"] = organization.id
        answer = self._send_form("/device/code", form)
        assert answer.status_code == 200, answer.text
        codes = answer.json()
        self.world.programs.requests.append(
            DeviceRequest(codes["device_code"], codes["user_code"], self._now, organization)
        )

    @rule(
        which=PICK,
        pick=PICK,
        approves=st.sampled_from([True, True, True, False]),
        typed=st.sampled_from([None, None, True, False]),
    )
    @precondition(
        lambda self: self.world.programs.requests and self.world.sessions and len(self.world.keys) < 20
    )
    def decide_about_a_device(
        self, which: int, pick: int, approves: bool = True, typed: bool | None = None
    ) -> None:
        """Approve or deny; to approve takes a proof and makes a key of the approver, which only the device gets."""
        request: DeviceRequest = self._one(self.world.programs.requests, which)
        session = self._session(pick)
        world, now, person = self.world, self._now, session.person
        body: dict[str, Any] = {"userCode": request.user_code}
        refused = world.enters(session, now=now)
        if approves and typed is not None:
            body["password"] = person.account.password if typed else "not the right password"
        if approves and refused is None:
            refused = NO_PASSWORD if typed is False else None
            refused = refused or world.has_recent_proof(session, now=now, typed=typed is True)
        refused = refused or request.opens(session, now=now)
        if approves:
            refused = refused or self._may_create(session, request.organization)
        known = {key.id for key in world.keys}
        path = "/device/approve" if approves else "/device/deny"
        answer = self._ask("POST", path, body, bearer=session.token)
        if not self._holds(answer, refused):
            return
        request.lineage, request.status = session.lineage, "approved" if approves else "denied"
        request.decided_by = person
        if approves:
            request.key = self._made_for_device(session, request, known)
            world.tell(person, "auth.apikey.created")

    def _made_for_device(self, session: Session, request: DeviceRequest, known: set[str]) -> Key:
        listed = self._ask("GET", "/api-keys", bearer=session.token).json()["apiKeys"]
        (shown,) = [each for each in listed if each["id"] not in known]
        scopes = tuple(shown["scopes"])
        key = Key(session.person, shown["id"], "", session.actor, scopes, request.organization)
        key.expires_at = self._now + DEVICE_KEY_LIFE
        self.world.keys.append(key)
        return key

    @rule(which=PICK, as_another=st.sampled_from([False, False, False, True]))
    @precondition(lambda self: self.world.programs.requests)
    def fetch_as_a_device(self, which: int, as_another: bool = False) -> None:
        """Ask for the key: it is given once, and who asks a second time at once ends it."""
        request: DeviceRequest = self._one(self.world.programs.requests, which)
        world, now = self.world, self._now
        if request.status == "pending" and not isinstance(self._here, Timed):
            # How soon is too soon is a matter of the real clock there.
            return
        client = "another-device" if as_another else CLIENT
        form = {"grant_type": DEVICE_GRANT, "device_code": request.device_code, "client_id": client}
        refused = (400, "INVALID_DEVICE_CODE") if as_another else request.gives(now=now)
        answer = self._send_form("/device/token", form)
        if request.decided_by in world.gone:
            # Their decision went with them.
            assert answer.status_code == 400, answer.text
            return
        if self._holds(answer, refused):
            assert request.key is not None
            request.key.text = answer.json()["access_token"]
            request.status, request.fetched_at = "fetched", now
        elif not as_another and request.status == "fetched":
            assert request.key is not None
            assert request.fetched_at is not None
            if now - request.fetched_at <= FETCHED_TWICE and not request.key.is_over:
                request.key.is_over = True
                world.tell(request.key.person, "auth.apikey.revoked")

    # --- tokens ------------------------------------------------------------------------------------------------------
    @rule(which=PICK, narrow=st.booleans(), lives=st.sampled_from([None, 30]))
    @precondition(lambda self: self.world.keys and len(self.world.programs.tokens) < 12)
    def exchange(self, which: int, narrow: bool = False, lives: int | None = None) -> None:
        """Exchange a key for a token; the token itself is exchanged for nothing."""
        key: Key = self._one(self.world.keys, which)
        if not key.text:
            return
        world, now = self.world, self._now
        form = {"grant_type": EXCHANGE_GRANT, "subject_token": key.text, "subject_token_type": KEY_TYPE}
        scopes = world.rights(key)
        if narrow and scopes:
            scopes = scopes[-1:]
            form["scope"] = scopes[0]
        if lives is not None:
            form["expires_in"] = str(lives)
        refused: Refused = None if world.accepts(key, now=now) is None else (400, "INVALID_REQUEST")
        refused = refused or key.spends(now=now)
        answer = self._send_form("/token/exchange", form)
        if not self._holds(answer, refused):
            return
        ends = now + (TOKEN_LIFE if lives is None else timedelta(seconds=lives))
        ends = ends if key.expires_at is None else min(ends, key.expires_at)
        token = Token(key, answer.json()["access_token"], scopes, ends)
        world.programs.tokens.append(token)
        again = self._send_form("/token/exchange", form | {"subject_token": token.text})
        self._holds(again, (400, "INVALID_REQUEST"))

    def _look_at_token(self, token: Token) -> None:
        world, now = self.world, self._now
        if token.is_uncertain(now=now) or (token.key.quota is not None and now > token.ends_at):
            return
        of_key = world.accepts(token.key, now=now)
        refused = token.accepts(of_key, now=now)
        if refused is None:
            refused = token.key.spends(now=now)
        answer = self._ask("GET", "/whoami", bearer=token.text)
        if self._holds(answer, refused):
            shown = answer.json()
            assert (shown["userId"], shown["apiKeyId"]) == (token.key.person.id, token.key.id)
            assert shown["scopes"] == [each for each in world.rights(token.key) if each in token.scopes]
