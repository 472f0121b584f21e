"""
Deployments under test: the real server, and one in the test's own process whose clock the test moves.

Both begin with a copy of a prepared database, in which a few people have a second factor already: hashing their backup
codes takes most of a second each.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
from pydantic import SecretStr

from czo_auth import Auth
from czo_auth.core.actors import ADMIN
from czo_auth.core.context import system_context
from czo_auth.core.flows.administration.reencrypt import Reencrypt
from czo_auth.core.flows.sign_in.sign_up import NewUser
from czo_auth.testing import Mailbox
from tests.contract.api import Api, new_client
from tests.contract.people import PASSWORD, Account, People, Session
from tests.support.clock import Clock
from tests.support.settings import KEY, settings

THEN = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)
"""When the prepared people signed up: long ago, so that the real clock and the tests' own both go on from there."""

_numbers = count(os.getpid() * 1000)
"""Distinct in each process: the prepared people may be those of another one."""

PREPARED_CUSTOMERS = 3
PREPARED_ADMINS = 1


@dataclass
class Prepared:
    """The people in a prepared database. Who takes one does not share them with another test of the same server."""

    customers: list[Account] = field(default_factory=list)
    admins: list[Account] = field(default_factory=list)

    def seen_by(self, people: People) -> Prepared:
        """Give the same people, with phones that go by another clock."""
        seen = copy.deepcopy(self)
        for account in [*seen.customers, *seen.admins]:
            account.phone = type(account.has)(account.has.secret, people.clock, drift=people.drift)
        return seen


async def create_admin(auth: Auth, email: str, *, now: datetime) -> str:
    """Do what `czo-auth users create --actor-type admin` does; gives the user's id."""
    new = NewUser(email=email, name="Ada Lovelace", password=PASSWORD)
    user, _ = await auth.sign_up.create(
        new, actor_types=(ADMIN,), email_verified=True, context=system_context(now)
    )
    return user.id


@dataclass
class Deployment(ABC):
    """One deployment, the people that are known there, and those that an operator can add."""

    api: Api
    people: People
    clock: Callable[[], datetime]
    prepared: Prepared

    @property
    @abstractmethod
    def auth(self) -> Auth:
        """The deployment, or a second process on its database: what an operator holds."""

    @property
    def enrolled_user(self) -> Account:
        """The prepared customer with the most fresh codes; of the three, the second is for races."""
        return max(self.prepared.customers[::2], key=lambda account: account.has.left())

    async def admin(self) -> tuple[Account, Session]:
        """Make an administrator; the session may only enroll."""
        account = Account(email=f"admin-{next(_numbers)}@example.com")
        account.id = await create_admin(self.auth, account.email, now=self.clock())
        return account, await self.people.sign_in(account, "admin")

    async def promote(self, account: Account) -> None:
        """Do what `czo-auth users grant --actor-type admin` does."""
        await self.auth.administration.change_actor_types(
            account.id, add=["admin"], remove=[], context=system_context(self.clock())
        )


@dataclass
class Timed(Deployment):
    """A deployment in the test's process."""

    runtime: Auth
    time: Clock
    mail: Mailbox
    ring: list[str] = field(default_factory=lambda: [f"k1:{KEY}"])

    @property
    def auth(self) -> Auth:
        return self.runtime

    async def rotate_encryption_key(self) -> None:
        """Start again with a fresh encryption key before those that there are, and re-encrypt with it."""
        kid = f"k{len(self.ring) + 1}"
        fresh = base64.b64encode(hashlib.sha256(kid.encode()).digest()).decode()
        self.ring.insert(0, f"{kid}:{fresh}")
        before = self.runtime.settings
        await self.runtime.stop()
        changed = before.model_copy(update={"encryption_key": SecretStr(",".join(self.ring))})
        self.runtime = Auth(changed, clock=self.time, mail=self.mail)
        await self.runtime.start()
        moved = await Reencrypt(self.runtime.services).run(lambda done, left: None)
        assert moved.left == 0

    @property
    def carol(self) -> Account:
        """A customer with a second factor."""
        return self.prepared.customers[0]

    @property
    def ada(self) -> Account:
        """An administrator with a second factor."""
        return self.prepared.admins[0]


@asynccontextmanager
async def timed_deployment(
    database_url: str, prepared: Prepared, *, now: datetime = THEN + timedelta(days=3), **more: Any
) -> AsyncIterator[Timed]:
    """Run a deployment in this process, over ASGI, with a clock and a mailbox of its own."""
    time, mail = Clock(now), Mailbox()
    auth = Auth(settings(database_url, **more), clock=time, mail=mail)
    here: Timed

    async def app(scope: Any, receive: Any, send: Any) -> None:
        # It may be another one after a rotation.
        await here.runtime.app(scope, receive, send)

    transport = httpx.ASGITransport(app)
    async with new_client(auth.settings.public_url, transport=transport) as http:
        api = Api(http)
        people = People(api, time)
        await auth.start()
        here = Timed(
            api=api,
            people=people,
            runtime=auth,
            clock=time,
            prepared=prepared.seen_by(people),
            time=time,
            mail=mail,
        )
        try:
            yield here
        finally:
            await here.runtime.stop()


async def prepare(database_url: str) -> Prepared:
    """Migrate an empty database and let people sign up in it."""
    made = Prepared()
    async with timed_deployment(database_url, made, now=THEN) as here:
        for _ in range(PREPARED_CUSTOMERS):
            account, _ = await here.people.enrolled()
            made.customers.append(account)
        for _ in range(PREPARED_ADMINS):
            account, session = await here.admin()
            await here.people.enroll(account, session)
            made.admins.append(account)
    return made
