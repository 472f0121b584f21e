"""
People who use a deployment all at once, and remember what they were told.

Each act of theirs is one of the product's writes. What was answered goes into the `Memory`; what was not, because the
server died, is kept as a `Try` that is made again later, with the answers that it may get then.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

from czo_auth.core.limits import MAX_INVITATIONS_UNCONFIRMED
from tests.contract.api import Answer, Api
from tests.contract.checks import refused
from tests.contract.people import Account, People, Phone, Session
from tests.support.nginx import was_repeated

INVITATIONS = MAX_INVITATIONS_UNCONFIRMED // 2
"""So many does each of them send: fewer than a day allows, since some are sent again."""
MAX_PEOPLE = 12
"""So many are kept for signing in; the newest, for they have the most codes left."""


class Cut(Exception):
    """The server died before it answered, or its database did."""


@dataclass(frozen=True)
class Try:
    """
    One request that was not answered.

    Attributes:
        allowed: The answers that it may get when it is made again, after the server came back.
    """

    what: str
    send: Callable[[Api], Awaitable[Answer]]
    allowed: frozenset[int]


@dataclass
class Person:
    """Somebody with a second factor; who redeems a code of theirs holds the lock, as codes must come in order."""

    account: Account
    session: Session
    invitations: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Memory:
    """
    What clients were told was done.

    Attributes:
        keys: API key by its text, with its id and whether it lives.
        backup_codes: How many codes of a user were redeemed.
    """

    users: set[str] = field(default_factory=set)
    sessions: dict[str, Session] = field(default_factory=dict)
    keys: dict[str, tuple[str, bool]] = field(default_factory=dict)
    members: set[tuple[str, str]] = field(default_factory=set)
    backup_codes: dict[str, int] = field(default_factory=dict)
    factors: set[str] = field(default_factory=set)
    unanswered: list[Try] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answered: int = 0
    """Writes that were acknowledged."""


class Users:
    """
    The people, and what each kind of them does again and again.

    Args:
        people: Reaches the deployment; each request on a connection of its own.
        accounts: Those who are there from the start, with a second factor.
    """

    def __init__(self, people: People, accounts: list[Account]) -> None:
        self.api = people.api
        self.people = people
        self.memory = Memory()
        self.known: list[Person] = []
        self.outages = 0
        """How often somebody was told 503 while an outage was expected."""
        self._beginning = accounts
        self._outage_expected = False
        self._stop = False

    async def gather(self) -> None:
        """Let those who are there from the start sign in."""
        for account in self._beginning:
            self.known.append(Person(account, await self.people.sign_in(account)))

    async def act(self, until_killed: Awaitable[None]) -> None:
        """Let all act until *until_killed* is over; then each finishes what it is at."""
        self._stop = False
        acts = [
            *(self._registers, self._signs_in, self._signs_in, self._redeems, self._refreshes),
            *(self._makes_keys, self._makes_keys, self._invites),
        ]
        acting = [asyncio.create_task(self._again_and_again(act)) for act in acts]
        try:
            await until_killed
        finally:
            self._stop = True
        await asyncio.gather(*acting)

    async def act_through(self, outage: Awaitable[None]) -> None:
        """Let all act during an *outage*, in which 503 leaves open whether it was done, as no answer does."""
        self._outage_expected = True
        await self.act(outage)
        self._outage_expected = False

    async def try_again(self) -> None:
        """Make every request again that was not answered, once the server is back."""
        tries, self.memory.unanswered = self.memory.unanswered, []
        for attempt in tries:
            answer = await attempt.send(self.api)
            if answer.status_code not in attempt.allowed:
                self.memory.wrong.append(f"{attempt.what} again: {answer.status_code} {answer.text}")

    # --- how ---

    async def _again_and_again(self, act: Callable[[], Awaitable[None]]) -> None:
        while not self._stop:
            try:
                await act()
            except Cut:
                # The server may come back at once, when only one of its workers died.
                await asyncio.sleep(0.05)

    async def _ask(
        self, what: str, send: Callable[[Api], Awaitable[Answer]], right: int, *, again: set[int]
    ) -> Answer:
        """
        Make a request; without an answer it is to be made again, and then may be answered with one of *again*.

        A proxy may have made it again already.
        """
        try:
            answer = await send(self.api)
        except httpx.TransportError:
            self.memory.unanswered.append(Try(what, send, frozenset(again)))
            raise Cut from None
        if answer.status_code == 503 and self._outage_expected:
            assert refused(answer, 503, "SERVICE_UNAVAILABLE")["retryAfter"] >= 1
            self.memory.unanswered.append(Try(what, send, frozenset(again)))
            self.outages += 1
            raise Cut
        if answer.status_code not in (again if was_repeated(answer) else {right}):
            self.memory.wrong.append(f"{what}: {answer.status_code} {answer.text}")
            raise Cut
        self.memory.answered += 1
        return answer

    def _anybody(self) -> Person:
        return random.choice(self.known)

    async def _registers(self) -> None:
        """Signs up, in, and turns on the second factor."""
        account = Account(email=f"crowd-{random.getrandbits(64):x}@example.com")
        body = {"email": account.email, "password": account.password, "name": account.name}
        signed_up = await self._ask(
            "sign-up", lambda api: api.post("/customer/sign-up", body), 201, again={201, 422}
        )
        account.id = signed_up.json()["user"]["id"]
        self.memory.users.add(account.id)
        first = Session.of(await self._signed_in(account))
        password = {"password": account.password}
        shown = (
            await self._ask(
                "enabling",
                lambda api: api.post("/two-factor/enable", password, bearer=first.token),
                200,
                again={200},
            )
        ).json()
        account.phone = Phone(shown["secret"], self.people.clock, drift=self.people.drift)
        account.codes = list(shown["backupCodes"])
        code = {"code": account.has.code()}
        # It ends with the confirmation, whether that is answered or not.
        self.memory.sessions.pop(first.id, None)
        # Made again after it was done, it finds that its session was renewed.
        confirmed = await self._ask(
            "confirmation",
            lambda api: api.post("/two-factor/verify", code, bearer=first.token),
            200,
            again={200, 401},
        )
        session = Session.of(confirmed)
        self.memory.factors.add(account.id)
        self.memory.sessions[session.id] = session
        self.known = [*self.known, Person(account, session)][-MAX_PEOPLE:]

    async def _signed_in(self, account: Account) -> Answer:
        body = {"email": account.email, "password": account.password}
        answer = await self._ask(
            "sign-in", lambda api: api.post("/customer/sign-in/email", body), 200, again={200}
        )
        if "session" in answer.json():
            session = Session.of(answer)
            self.memory.sessions[session.id] = session
        return answer

    async def _signs_in(self) -> None:
        """Signs in with a code of the phone."""
        person = self._anybody()
        async with person.turn:
            if person.account.has.left() < 2:
                await asyncio.sleep(0.02)
                return
            body = {
                "code": person.account.has.code(),
                "challenge": (await self._signed_in(person.account)).json()["challenge"],
            }
            await self._second("code", "/two-factor/verify", body)

    async def _redeems(self) -> None:
        """Signs in with a backup code."""
        person = self._anybody()
        if not person.account.codes:
            await asyncio.sleep(0.02)
            return
        body = {
            "code": person.account.codes.pop(),
            "challenge": (await self._signed_in(person.account)).json()["challenge"],
        }
        await self._second("backup code", "/two-factor/verify-backup-code", body)
        spent = self.memory.backup_codes
        spent[person.account.id] = spent.get(person.account.id, 0) + 1

    async def _second(self, what: str, path: str, body: dict[str, str]) -> None:
        answer = await self._ask(what, lambda api: api.post(path, body), 200, again={200, 401})
        session = Session.of(answer)
        self.memory.sessions[session.id] = session

    async def _refreshes(self) -> None:
        """Trades a refresh token for the next one, until the line breaks."""
        person = self._anybody()
        async with person.turn:
            answer = await self._signed_in_somehow(person)
        if answer is None:
            await asyncio.sleep(0.02)
            return
        token = Session.of(answer).refresh_token
        while not self._stop:
            # Replaced but not answered: in progress for ten seconds, and a theft after that.
            body = {"refreshToken": token}
            answer = await self._ask(
                "refresh",
                lambda api: api.post("/token/refresh", body),  # noqa: B023 - sent again with what it was
                200,
                again={200, 401, 409},
            )
            token = answer.json()["refreshToken"]

    async def _signed_in_somehow(self, person: Person) -> Answer | None:
        if person.account.has.left() < 2:
            return None
        challenge = (await self._signed_in(person.account)).json()["challenge"]
        body = {"code": person.account.has.code(), "challenge": challenge}
        return await self._ask(
            "code", lambda api: api.post("/two-factor/verify", body), 200, again={200, 401}
        )

    async def _makes_keys(self) -> None:
        """Creates a key, rotates some, and revokes most."""
        token = self._anybody().session.token
        created = await self._ask(
            "key creation",
            lambda api: api.post("/api-keys", {"name": "crowd", "scopes": ["orders:read"]}, bearer=token),
            201,
            again={201},
        )
        key = created.json()["apiKey"]
        if random.random() < 0.3:
            old = key["id"]
            rotated = await self._ask(
                "rotation",
                lambda api: api.post(f"/api-keys/{old}/rotate", {"overlapSeconds": 0}, bearer=token),
                201,
                again={201, 409},
            )
            self.memory.keys[key["key"]] = old, False
            key = rotated.json()["apiKey"]
        if random.random() < 0.8:
            path = f"/api-keys/{key['id']}"
            await self._ask("revocation", lambda api: api.delete(path, bearer=token), 204, again={204, 404})
            self.memory.keys[key["key"]] = key["id"], False
        else:
            self.memory.keys[key["key"]] = key["id"], True

    async def _invites(self) -> None:
        """Founds an organization and takes somebody in."""
        owner, guest = self._anybody(), self._anybody()
        if owner is guest or owner.invitations >= INVITATIONS:
            await asyncio.sleep(0.02)
            return
        founded = await self._ask(
            "organization",
            lambda api: api.post("/organizations", {"name": "Crowd"}, bearer=owner.session.token),
            201,
            again={201},
        )
        organization = founded.json()["organization"]["id"]
        self.memory.members.add((organization, owner.account.id))
        owner.invitations += 1
        invited = await self._ask(
            "invitation",
            lambda api: api.post(
                f"/organizations/{organization}/invitations",
                {"email": guest.account.email, "role": "member"},
                bearer=owner.session.token,
            ),
            201,
            again={201, 409},
        )
        token = {"token": invited.json()["token"]}
        await self._ask(
            "acceptance",
            lambda api: api.post("/invitations/accept", token, bearer=guest.session.token),
            200,
            again={200, 400},
        )
        self.memory.members.add((organization, guest.account.id))
