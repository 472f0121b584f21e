"""A host application under test, with a deployment of its own behind it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import SecretStr

from czo_auth.core.context import Context
from czo_auth.core.events.types import Event
from czo_auth.core.flows.administration.audit import ReadAuditLog
from czo_auth.core.flows.sign_in.sign_up import NewUser
from czo_auth.core.mail import MailMessage
from czo_auth.crypto.sealing import new_key_text
from czo_auth.storage.migrate import upgrade_blocking
from czo_auth.testing.clock import MovableClock
from czo_auth.testing.lifespan import lifespan_of
from czo_auth.testing.people import PASSWORD, Machine, Person
from czo_auth.testing.replacements import CapturedMails, InsecureHashing

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from czo_auth.auth import Auth


def _operator_context(now: datetime) -> Context:
    """Return the context for what a test sets up at *now*."""
    return Context(now=now, actor_kind="operator", method="test")


class AuthHost:
    """
    A host application whose accounts are in a database of this test.

    Attributes:
        app: The host application.
        auth: Its ``Auth``, with another database behind it.
        clock: The clock of czo-auth; it does not advance until it is moved.
        mails: The mails that were sent, oldest first; ``mails[-1].token`` is the token in the last one's link.
    """

    def __init__(self, app: ASGIApp, auth: Auth, *, clock: MovableClock, mails: list[MailMessage]) -> None:
        self.app = app
        self.auth = auth
        self.clock = clock
        self.mails = mails
        self._people = 0
        self._delivered = 0

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Return a client without credentials, with further *headers*."""
        return self._client(self.app, headers)

    async def person(
        self,
        *,
        email: str | None = None,
        name: str = "Somebody",
        password: str = PASSWORD,
        actor_types: Sequence[str] = (),
        two_factor: bool = False,
    ) -> Person:
        """
        Create a user and sign them in.

        Args:
            email: By default a unique one.
            actor_types: Besides the default one; the session has the first.
            two_factor: Whether they have an authenticator app; the session then has proved it.

        Raises:
            Refusal: The user cannot be created, e.g. ``UserAlreadyExists``.
        """
        auth = self.auth
        await auth.start()
        self._people += 1
        new = NewUser(email=email or f"person{self._people}@example.com", name=name, password=password)
        types = tuple(auth.services.actors.get(each) for each in actor_types)
        user, _ = await auth.sign_up.create(
            new, actor_types=types, email_verified=True, context=_operator_context(auth.now())
        )
        person = Person(
            host=self,
            id=user.id,
            email=user.email,
            password=password,
            actor=types[0].name if types else auth.services.actors.default.name,
            client=self.client(),
        )
        await person.sign_in()
        if two_factor:
            await person.turn_on_two_factor()
        return person

    async def administrator(self, *, email: str | None = None) -> Person:
        """
        Create a user who administers, with a second factor, and sign them in.

        Raises:
            LookupError: No actor type of this deployment administers.
        """
        name = next((actor.name for actor in self.auth.services.actors if actor.administers), None)
        if name is None:
            raise LookupError("no actor type of this deployment administers")
        return await self.person(email=email, name="Root", actor_types=[name], two_factor=True)

    async def organization(self, owner: Person, *, name: str = "Acme") -> str:
        """Create an organization; returns its id."""
        answer = await self.ask("POST", "/organizations", json={"name": name}, headers=owner.client.headers)
        return str(answer.json()["organization"]["id"])

    async def api_key(
        self,
        owner: Person,
        *,
        scopes: Sequence[str] = (),
        organization_id: str | None = None,
        name: str = "machine",
    ) -> Machine:
        """
        Create an API key as *owner* would, with the rules of the host's settings.

        Raises:
            AssertionError: It was refused, e.g. for a scope that the owner may not give; the message says how.
        """
        body: dict[str, Any] = {"name": name, "scopes": list(scopes)}
        if organization_id is not None:
            body["organizationId"] = organization_id
        created = await self.ask("POST", "/api-keys", json=body, headers=owner.client.headers)
        key = created.json()["apiKey"]
        return Machine(id=key["id"], key=key["key"], client=self.client(authorization=f"Bearer {key['key']}"))

    async def events(self, event_type: str | None = None) -> list[Event]:
        """Return the events that were recorded so far, oldest first; of one type, if given."""
        await self.auth.start()
        found = [event async for batch in ReadAuditLog(self.auth.services).events() for event in batch]
        return [event for event in found if event_type in (None, event.type)]

    async def deliver_events(self) -> list[Event]:
        """
        Call the host's subscribers (``@auth.on``) with the events that they have not received; return these events.

        In tests, events are delivered only by this call, so that no test has to wait.

        Raises:
            ExceptionGroup: The errors that subscribers raised.
        """
        due = [event for event in await self.events() if event.sequence > self._delivered]
        for event in due:
            self._delivered = event.sequence
            await self.auth.subscribers.deliver(event)
        return due

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the host's own lifespan around the block; an httpx client does not."""
        async with lifespan_of(self.app):
            yield

    async def ask(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """
        Send a request to czo-auth directly, not through the host; *path* is relative to the base path.

        Raises:
            AssertionError: It refused.
        """
        async with self._client(self.auth.app, headers or {}) as client:
            answer = await client.request(method, self.auth.settings.base_path + path, json=json)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"  # noqa: S101 - for tests
        return answer

    def _client(self, app: ASGIApp, headers: Mapping[str, str]) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app)
        base_url = self.auth.settings.public_url
        return httpx.AsyncClient(transport=transport, base_url=base_url, headers=dict(headers))


@contextmanager
def hosted(
    app: ASGIApp, auth: Auth, *, folder: Path | None = None, template: Path | None = None
) -> Iterator[AuthHost]:
    """
    Give *auth* a new SQLite database while the block lasts, and yield the helpers of a test.

    Middleware and mounted applications that hold *auth* need no change. Its settings stay but for the database, the
    encryption key, and what would reach outside: mail, rate limits, breached passwords, the events file.

    Args:
        folder: The folder of the database; by default a temporary one.
        template: A migrated database to copy, which is faster than migrating; created if it does not exist.

    Raises:
        StartRefused: *auth* is in production.
        RuntimeError: *auth* is started.
    """
    with tempfile.TemporaryDirectory(prefix="czo-auth-test-") as temporary:
        place = folder or Path(temporary)
        database = place / "czo-auth-test.db"
        settings = auth.settings.model_copy(
            update={
                "database_url": f"sqlite:///{database}",
                "database_direct_url": None,
                "data_dir": place,
                "encryption_key": SecretStr(new_key_text()),
                "rate_limit_enabled": False,
                "smtp_url": None,
                "pwned_passwords_url": None,
                "events_file": None,
            }
        )
        clock, beside = MovableClock(), CapturedMails(auth.mail_writer)
        with auth.replaced(settings, clock=clock, insecure_hashing=InsecureHashing(), background=beside):
            _prepare(database, template, table_prefix=settings.table_prefix)
            try:
                yield AuthHost(app, auth, clock=clock, mails=beside.mails)
            finally:
                _stop(auth)


def _prepare(database: Path, template: Path | None, *, table_prefix: str) -> None:
    if template is None:
        return
    if not template.exists():
        upgrade_blocking(f"sqlite:///{template}", table_prefix=table_prefix)
    shutil.copyfile(template, database)


def _stop(auth: Auth) -> None:
    """Close what the test opened, whether or not its event loop still runs here."""
    stopping = threading.Thread(target=lambda: asyncio.run(auth.stop()), name="czo-auth-test-stop")
    stopping.start()
    stopping.join()
