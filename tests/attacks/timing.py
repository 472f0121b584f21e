"""
Does the time of an answer tell what the answer does not?

For each pair of questions that must not be told apart, both are asked again and again over one connection each, in
random order within every turn, so that load, a warm cache or a slow clock falls on both alike. Compared are the
medians, which do not care for the tail that a busy machine makes. How sure the difference is says a bootstrap: turns
are drawn again with replacement 1000 times, which gives an interval that holds 99 of 100 of the differences. A
difference counts when the whole interval lies beyond what the pair is allowed.

Run it: ``python -m tests.attacks.timing [TURNS]``; it starts a server of its own with one process.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from statistics import median

from czo_auth.crypto import tokens
from tests.attacks.shell import ban, make_admin
from tests.attacks.volley import Shot
from tests.contract.api import BASE, Api, new_client
from tests.contract.people import Account, People, Session
from tests.support.server import RunningServer
from tests.support.settings import KEY

DRIFT = 10
DRAWS = 1000
TURNS = 60
WARM_UP = 2
"""Turns that do not count."""
ENROLLED = 4
"""People with second factors; each has some 18 codes until one would have to wait."""


@dataclass(frozen=True)
class Question:
    """One way to ask."""

    path: str
    body: Mapping[str, object] | None = None
    bearer: str | None = None


@dataclass(frozen=True)
class Pair:
    """
    Two kinds of question that must take the same time.

    Attributes:
        one, other: Make a question; called for every turn, outside the measured time.
        allowed: Difference of the medians that is no fault; unit: seconds. Far below what leaving out the hash
            would make, and for keys below what a network can show.
        between: Called after every turn.
    """

    name: str
    one: Callable[[], Question]
    other: Callable[[], Question]
    allowed: float
    between: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Difference:
    """What came out; all in seconds."""

    name: str
    median: float
    difference: float
    low: float
    high: float
    allowed: float

    @property
    def tells(self) -> bool:
        """Say whether the times can be told apart beyond what is allowed."""
        return self.low > self.allowed or self.high < -self.allowed

    def __str__(self) -> str:
        return (
            f"{self.name:44} median {self.median * 1000:8.3f} ms   difference {self.difference * 1000:+8.3f} ms "
            f"({self.low * 1000:+.3f} to {self.high * 1000:+.3f}; allowed {self.allowed * 1000:.3f})"
        )


class Stopwatch:
    """Asks over one connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, question: Question) -> Shot:
        method = "GET" if question.body is None else "POST"
        headers = {"content-type": "application/json"}
        if question.bearer is not None:
            headers["authorization"] = f"Bearer {question.bearer}"
        body = None if question.body is None else json.dumps(question.body)
        began = time.perf_counter()
        self._connection.request(method, BASE + question.path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        return Shot(status=answer.status, headers={}, text=text, began=began, ended=time.perf_counter())

    def close(self) -> None:
        self._connection.close()


def ask_once(port: int, question: Question) -> Shot:
    """Ask over a connection of its own."""
    watch = Stopwatch(port)
    try:
        return watch.ask(question)
    finally:
        watch.close()


def compare(port: int, pair: Pair, *, turns: int) -> Difference:
    """Measure a pair; both must also be answered alike."""
    watches = Stopwatch(port), Stopwatch(port)
    makers = pair.one, pair.other
    times: list[tuple[float, float]] = []
    answers = set()
    for _ in range(turns + WARM_UP):
        asked = [make() for make in makers]
        taken = [0.0, 0.0]
        for number in random.sample((0, 1), 2):
            shot = watches[number].ask(asked[number])
            taken[number] = shot.ended - shot.began
            answers.add((shot.status, shot.text))
        pair.between()
        times.append((taken[0], taken[1]))
    for watch in watches:
        watch.close()
    assert len(answers) == 1, answers
    return judge(pair.name, times[WARM_UP:], allowed=pair.allowed)


def judge(name: str, times: Sequence[tuple[float, float]], *, allowed: float) -> Difference:
    """Compare the medians of paired times, with an interval by bootstrap."""

    def of(drawn: Sequence[tuple[float, float]]) -> float:
        return median(one for one, _ in drawn) - median(other for _, other in drawn)

    draws = sorted(of(random.choices(times, k=len(times))) for _ in range(DRAWS))
    return Difference(
        name=name,
        median=median(time for both in times for time in both),
        difference=of(times),
        low=draws[DRAWS // 200],
        high=draws[-DRAWS // 200],
        allowed=allowed,
    )


def sign_in(email: str, password: str = "not the password at all") -> Question:
    return Question("/customer/sign-in/email", {"email": email, "password": password})


def whoami(token: str) -> Question:
    return Question("/whoami", bearer=token)


def new_key(port: int, session: str) -> str:
    """Create a key to be reported: a report ends it, so each needs one of its own."""
    return str(ask_once(port, Question("/api-keys", {"name": "leaked"}, session)).body["apiKey"]["key"])


def report_leak(key: str) -> Question:
    return Question("/api-keys/report-leak", {"key": key})


def keys_by_distance(key: str) -> tuple[str, str]:
    """Make two wrong keys whose digests agree with the right one's in two digits, and in none."""
    wanted = hashlib.sha256(key.encode()).hexdigest()
    near = far = ""
    for number in range(1_000_000):
        text = key[:4] + base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")
        digest = hashlib.sha256(text.encode()).hexdigest()
        near = text if digest[:2] == wanted[:2] else near
        far = text if digest[0] != wanted[0] else far
        if near and far:
            break
    return near, far


def introspect(token: str, asker: str) -> Question:
    return Question("/introspect", {"token": token}, asker)


class Selectors:
    """Wrong backup codes for several people in turn, with a sign-in in between that forgets the failures."""

    def __init__(self, port: int, accounts: Sequence[Account]) -> None:
        self._port = port
        self._accounts = cycle(accounts)
        self._turn = 0
        self._begin()

    def _begin(self) -> None:
        self._account = next(self._accounts)
        shot = ask_once(self._port, sign_in(self._account.email, self._account.password))
        self._challenge = str(shot.body["challenge"])

    def _redeem(self, code: str) -> Question:
        return Question("/two-factor/verify-backup-code", {"code": code, "challenge": self._challenge})

    def known(self) -> Question:
        return self._redeem(self._account.codes[0][:4] + "-00000-00000-0000")

    def unknown(self) -> Question:
        return self._redeem("0000-00000-00000-0000")

    def after_turn(self) -> None:
        """Two turns are four wrong codes; then a right one, before the challenge is used up."""
        self._turn += 1
        if self._turn % 2:
            return
        body = {"code": self._account.has.code(), "challenge": self._challenge}
        assert ask_once(self._port, Question("/two-factor/verify", body)).status == 200
        self._begin()


@dataclass(frozen=True)
class Subjects:
    """Who is needed for the pairs."""

    known: Account
    banned: Account
    enrolled: list[Account]
    key: str
    session: str
    asker: str
    foreign: str
    revoked: str


async def set_up(
    server: RunningServer, ban: Callable[[Account], None], make_admin: Callable[[Account], None]
) -> Subjects:
    """Sign the people up that the pairs are about; *ban* and *make_admin* do what an operator does."""
    async with new_client(server.url) as client:
        people = People(Api(client), lambda: datetime.now(UTC), drift=DRIFT)
        known, session = await people.newcomer()
        banned = await people.sign_up()
        await asyncio.to_thread(ban, banned)
        enrolled = [(await people.enrolled())[0] for _ in range(ENROLLED)]
        asker = await _asker(people, make_admin)
        foreign, revoked = (
            await _key(people.api, session),
            await people.api.post("/api-keys", {"name": "revoked"}, bearer=session.token),
        )
        ended = revoked.json()["apiKey"]
        await people.api.delete(f"/api-keys/{ended['id']}", bearer=session.token)
        key = await _key(people.api, session)
        return Subjects(known, banned, enrolled, key, session.token, asker, foreign, ended["key"])


async def _asker(people: People, make_admin: Callable[[Account], None]) -> str:
    """Make a key that may ask about the credentials of one organization."""
    root, _ = await people.enrolled()
    await asyncio.to_thread(make_admin, root)
    begun = await people.begin(root, "admin")
    session = Session.of(await people.verify(root.has.code(), challenge=begun.json()["challenge"]))
    made = await people.api.post("/organizations", {"name": "Acme"}, bearer=session.token)
    organization = made.json()["organization"]["id"]
    return await _key(people.api, session, scopes=["api-keys:verify"], organizationId=organization)


async def _key(api: Api, session: Session, **more: object) -> str:
    answer = await api.post("/api-keys", {"name": "timed", **more}, bearer=session.token)
    return str(answer.json()["apiKey"]["key"])


def pairs(port: int, subjects: Subjects) -> list[Pair]:
    """List what is compared."""
    near, far = keys_by_distance(subjects.key)
    selectors = Selectors(port, subjects.enrolled)
    known, banned = subjects.known.email, subjects.banned
    nobody = "nobody-at-all@example.com"
    return [
        Pair("sign-in: unknown or wrong password", lambda: sign_in(nobody), lambda: sign_in(known), 0.004),
        Pair(
            "sign-in: banned (right password) or wrong",
            *(lambda: sign_in(banned.email, banned.password), lambda: sign_in(known), 0.004),
        ),
        Pair(
            "backup code: right or wrong selector",
            selectors.known,
            selectors.unknown,
            0.004,
            selectors.after_turn,
        ),
        Pair("API key: near or far digest", lambda: whoami(near), lambda: whoami(far), 0.0005),
        Pair(
            "introspection: revoked or unknown key",
            lambda: introspect(subjects.revoked, subjects.asker),
            lambda: introspect(near, subjects.asker),
            0.0005,
        ),
        Pair(
            "introspection of another's: live or revoked",
            lambda: introspect(subjects.foreign, subjects.asker),
            lambda: introspect(subjects.revoked, subjects.asker),
            0.0005,
        ),
        Pair(
            "report of a leak: live or unknown key",
            lambda: report_leak(new_key(port, subjects.session)),
            lambda: report_leak(tokens.new_token("czo_")),
            0.002,
        ),
    ]


def main(turns: int = TURNS) -> int:
    """Measure all pairs against a server of its own; gives 1 when one tells."""
    with tempfile.TemporaryDirectory() as folder:
        env = {
            "AUTH_ENCRYPTION_KEY": KEY,
            "CZO_AUTH_RATE_LIMIT_ENABLED": "false",
            "CZO_AUTH_TOTP_DRIFT": str(DRIFT),
        }
        server = RunningServer(Path(folder), env=env)
        server.start()
        try:
            subjects = asyncio.run(
                set_up(server, lambda each: ban(server, each), lambda each: make_admin(server, each))
            )
            found = []
            for pair in pairs(server.port, subjects):
                found.append(compare(server.port, pair, turns=turns))
                print(found[-1], "TELLS" if found[-1].tells else "", flush=True)
        finally:
            server.stop()
    return 1 if any(each.tells for each in found) else 0


if __name__ == "__main__":
    sys.exit(main(*[int(text) for text in sys.argv[1:]]))
