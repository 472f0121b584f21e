"""
The composition root: assembles one deployment's settings, storage, key ring, clock and flows.

Everything below is passed what it needs; only this package reads the clock.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from czo_auth.core.actors import ActorRegistry
from czo_auth.core.api_keys.usage import KeyUsage
from czo_auth.core.context import system_context
from czo_auth.core.errors import Refusal, SecretUnreadable, StorageUnavailable
from czo_auth.core.events.deliver import Sink
from czo_auth.core.flows.services import Background, Services
from czo_auth.core.hashing import Hashing
from czo_auth.core.mail import Mail, MailMessage
from czo_auth.core.sessions.access_tokens import AccessTokens
from czo_auth.core.sessions.last_used import SessionUses
from czo_auth.crypto import passwords
from czo_auth.delivery.pwned_passwords import NoBreaches, PwnedPasswords
from czo_auth.delivery.subscribers import Subscribers
from czo_auth.deployment import make_data_folder
from czo_auth.errors import StartRefused
from czo_auth.runtime.background import BackgroundTasks
from czo_auth.runtime.clock import utc_now
from czo_auth.runtime.early_checks import check_host_objects, refuse_missing_extras, settings_from
from czo_auth.runtime.event_delivery import EventDelivery
from czo_auth.runtime.flows import Flows
from czo_auth.runtime.hashing import HashingPool
from czo_auth.runtime.housekeeping import (
    DELAYED_MAILS_EVERY,
    FLUSH_EVERY,
    KEPT_ANSWERS_EVERY,
    KEY_EXPIRY_EVERY,
    RESETS_EVERY,
    RETENTION_EVERY,
    SHUTDOWN_FLUSH_TIMEOUT,
    SIGNING_KEYS_EVERY,
    TIDY_EVERY,
)
from czo_auth.runtime.key_ring import check_key_ring, read_key_ring
from czo_auth.runtime.mail import links_of, mail_of, mail_writer_of
from czo_auth.runtime.rate_limits import CoarseLimits, KeyLimits, NoRateLimits
from czo_auth.runtime.telemetry import Telemetry
from czo_auth.runtime.traced import TracedHashing, TracedTransactions
from czo_auth.settings import Settings
from czo_auth.storage import open_storage
from czo_auth.storage.errors import DatabaseMisconfigured
from czo_auth.storage.postgresql_parameters import WrongVariable
from czo_auth.translations import Catalogs

if TYPE_CHECKING:
    from czo_auth.storage import Storage

_LOG = logging.getLogger("czo_auth")
HASHES_EVERY = timedelta(hours=1)
HASHES_SAMPLED = 200
PAUSE_SECONDS = 1.0
"""The pause after a start that failed because of the database."""


def _storage_of(settings: Settings) -> Storage:
    if settings.database_direct_url is not None and settings.storage_url.startswith("sqlite:"):
        raise StartRefused(
            "CZO_AUTH_DATABASE_DIRECT_URL is set, but CZO_AUTH_DATABASE_URL names no pooler: set that too, or neither."
        )
    try:
        return open_storage(
            settings.storage_url,
            table_prefix=settings.table_prefix,
            cache_bound=timedelta(seconds=settings.cache_seconds) if settings.cache_seconds else None,
            direct_url=settings.database_direct_url,
        )
    except WrongVariable as error:
        raise StartRefused(f"A variable of PostgreSQL's clients is wrong: {error}.") from None
    except ValueError as error:
        raise StartRefused(f"CZO_AUTH_DATABASE_URL or CZO_AUTH_TABLE_PREFIX is wrong: {error}.") from None


def _refuse_unreachable(settings: Settings) -> None:
    """Refuse a production deployment without a base URL: cookies, links and tokens depend on it."""
    if settings.is_production and settings.base_url is None:
        raise StartRefused(
            "CZO_AUTH_BASE_URL is missing: production needs the address that clients use, like https://auth.example.com."
        )


class Runtime(Flows):
    """
    One deployment, ready to serve REST, GraphQL, the pages and the command line.

    Args:
        settings: By default from the environment.
        clock: Returns aware UTC times; for tests. ``czo_auth.testing`` has one that can be moved.
        sinks: Additional destinations for events.
        mail: Sends mails; by default what the settings say.
        chosen: Settings by name, instead of *settings*.

    Raises:
        StartRefused: The settings do not make a deployment.
        TypeError: *mail* or a sink lacks a required method, or an argument is not the name of a setting.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
        sinks: Sequence[Sink] = (),
        mail: Mail | None = None,
        **chosen: Any,
    ) -> None:
        check_host_objects(mail=mail, sinks=sinks)
        self.settings = settings_from(settings, chosen)
        refuse_missing_extras(self.settings)
        self.now = clock
        self.catalogs = Catalogs(self.settings.translations_dir, default=self.settings.default_language)
        self.telemetry = Telemetry()
        self.mail_writer = mail_writer_of(self.settings, self.catalogs)
        self.subscribers = Subscribers()
        self._sinks = tuple(sinks)
        self.has_own_mail = mail is not None
        """Whether the host's code sends the mails, instead of the server in the settings."""
        self._mail = mail or mail_of(self.settings, now=clock)
        self._background: Background = BackgroundTasks(
            self._mail, writer=self.mail_writer, keep=self._keep_mail
        )
        self._hashing: Hashing = HashingPool(
            threads=self.settings.hash_threads, queue=self.settings.hash_queue
        )
        self._works_beside = True
        self._delivery: EventDelivery | None = None
        self._try_again_at = 0.0
        self._starting = asyncio.Lock()
        self.is_started = False
        self.own_paths: dict[str, re.Pattern[str]] = {}
        """The paths of the applications that were made for a host to mount, by where they are mounted."""
        self._assemble()

    def _assemble(self) -> None:
        settings = self.settings
        policies = settings.policies()
        self.storage: Storage = _storage_of(settings)
        key_usage = KeyUsage(records_addresses=policies.api_keys.records_addresses)
        session_uses = SessionUses(idle=policies.sessions.idle)
        self.services = services = Services(
            transactions=TracedTransactions(self.storage.transactions, self.telemetry),
            lookup=self.storage.lookup,
            hashing=TracedHashing(self._hashing, self.telemetry),
            key_ring=read_key_ring(settings),
            access_tokens=AccessTokens(
                issuer=settings.issuer or settings.public_url,
                audience=settings.audience or settings.public_url,
                lifetime=policies.sessions.access_token_lifetime,
            ),
            background=self._background,
            limits=CoarseLimits(settings.rate_limit_url, now=self.now)
            if settings.rate_limit_enabled
            else NoRateLimits(),
            key_limits=KeyLimits(settings.rate_limit_url, now=self.now),
            breaches=PwnedPasswords(settings.pwned_passwords_url)
            if settings.pwned_passwords_url
            else NoBreaches(),
            actors=ActorRegistry(settings.actor_types),
            policies=policies,
            links=links_of(settings),
        )
        _refuse_unreachable(settings)
        self._make_flows(services, settings, now=self.now, key_usage=key_usage, session_uses=session_uses)

    @contextmanager
    def replaced(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime],
        insecure_hashing: Hashing,
        background: Background,
    ) -> Iterator[None]:
        """
        Become another deployment inside the block; only for ``czo_auth.testing``.

        Applications and middleware that hold this object serve the other one in the meantime; subscribers stay. Nothing
        works in the background: events are not delivered, nothing is tidied. Everything that is set meanwhile goes
        into a dictionary of its own, so that what this object was cannot be written to, and is back in one step
        (docs/decisions/0015).

        Args:
            settings: Of the other deployment, on another database; how it is reached stays as it was.
            insecure_hashing: May be arbitrarily weak.

        Raises:
            StartRefused: One of the two is in production, or both have one database.
            RuntimeError: It is started, or is starting.
        """
        if settings.is_production or self.settings.is_production:
            raise StartRefused("czo_auth.testing does not touch a deployment in production.")
        if settings.storage_url == self.settings.storage_url:
            raise StartRefused("czo_auth.testing writes to a database of its own only.")
        if self.is_started or self._starting.locked():
            raise RuntimeError("this Auth is started already: take it over before its first request")
        before = self.__dict__
        self.__dict__ = dict(before)
        try:
            self.settings, self.now = settings, clock
            self._hashing, self._background = insecure_hashing, background
            self._works_beside = False
            self._try_again_at, self._starting = 0.0, asyncio.Lock()
            self._assemble()
            yield
        finally:
            self.__dict__ = before

    # --- life --------------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """
        Start once; later calls return at once. Safe to call from every request.

        Raises:
            StartRefused: The encryption key is not the one of this database, or its tables are not up to date.
            StorageUnavailable: The database does not answer; the next call tries again.
        """
        if self.is_started:
            return
        async with self._starting:
            await self._start_unless_started()

    async def _start_unless_started(self) -> None:
        if self.is_started:
            return
        # A request that waited for a failed start does not wait for the next one as well.
        clock = asyncio.get_running_loop().time
        if clock() < self._try_again_at:
            raise StorageUnavailable
        try:
            await self._start()
        except (StorageUnavailable, StartRefused) as error:
            if isinstance(error, StartRefused) and not isinstance(error.__cause__, DatabaseMisconfigured):
                raise
            self._try_again_at = clock() + PAUSE_SECONDS
            raise
        self.is_started = True

    async def open(self) -> None:
        """
        Open storage and keys without the work in the background; for the command line.

        Raises:
            StartRefused, StorageUnavailable: As ``start``.
        """
        try:
            await self._open()
        except DatabaseMisconfigured as refused:
            raise StartRefused(refused.advice) from refused

    async def _open(self) -> None:
        await self.storage.check_address()
        await self._bring_up_to_date()
        await self.storage.start()
        now = self.now()
        await self.services.transactions.run(
            lambda tx: check_key_ring(tx, self.services.key_ring), system_context(now)
        )
        try:
            await self.signing_keys.load(now=now)
        except SecretUnreadable:
            raise StartRefused(
                "AUTH_ENCRYPTION_KEY does not open the signing key of this database."
            ) from None

    async def _bring_up_to_date(self) -> None:
        from czo_auth.storage import migrate

        if self.settings.is_embedded_default:
            self._make_data_folder()
        if self.settings.auto_migrate:
            await migrate.upgrade(self.settings.direct_url, table_prefix=self.settings.table_prefix)
        elif not await migrate.is_current(self.settings.direct_url, table_prefix=self.settings.table_prefix):
            raise StartRefused("The tables are not up to date: run `czo-auth migrate`.")

    def _make_data_folder(self) -> None:
        # A host that provides its encryption key starts with nothing but its settings.
        try:
            make_data_folder(self.settings.data_dir)
        except OSError as error:
            raise StartRefused(
                f"The data folder {self.settings.data_dir} cannot be used: {error.strerror}."
            ) from None

    async def _start(self) -> None:
        await self.open()
        if not self._works_beside:
            return
        # A request may have caused the start; work that runs forever belongs neither to it nor to its trace.
        self._delivery = EventDelivery(
            self.services,
            self.settings,
            [*self._sinks, *self.subscribers.sinks],
            telemetry=self.telemetry,
            now=self.now,
        )
        contextvars.Context().run(self._delivery.begin)
        await self._learn_hashes()
        contextvars.Context().run(self._begin_housekeeping)

    def _begin_housekeeping(self) -> None:
        """Start the periodic jobs. Those that write counted uses finish: a canceled write would lose what it took."""
        # Once right away: a killed process may have left a deleted user half erased.
        self._background.spawn(self._housekeeping.keep_retention())
        self._background.spawn(self._housekeeping.forget_key_addresses())
        self._background.repeat(self._learn_hashes, every=HASHES_EVERY)
        self._background.repeat(self._housekeeping.flush_key_uses, every=FLUSH_EVERY, finishes=True)
        self._background.repeat(self._housekeeping.flush_session_uses, every=FLUSH_EVERY, finishes=True)
        self._background.repeat(self._housekeeping.carry_out_resets, every=RESETS_EVERY)
        self._background.repeat(self._housekeeping.forget_answers, every=KEPT_ANSWERS_EVERY)
        self._background.repeat(self._housekeeping.load_signing_keys, every=SIGNING_KEYS_EVERY)
        self._background.repeat(self._housekeeping.tidy, every=TIDY_EVERY)
        self._background.repeat(self._housekeeping.keep_retention, every=RETENTION_EVERY)
        self._background.repeat(self._housekeeping.enforce_key_expiry, every=KEY_EXPIRY_EVERY, finishes=True)
        self._background.repeat(self.send_delayed_mails, every=DELAYED_MAILS_EVERY)
        self._background.repeat(self._remind_of_factors, every=KEY_EXPIRY_EVERY)

    async def _keep_mail(self, message: MailMessage) -> bool:
        return await self.delayed_mails.keep(message, now=self.now())

    async def send_delayed_mails(self) -> None:
        """Try again to send the stored mails that are due."""
        await self.delayed_mails.send_due(self._mail, now=self.now())

    async def _remind_of_factors(self) -> None:
        """Tell people ahead of the day from which they can do nothing but enroll, or nothing in an organization."""
        await self.organization_factors.remind(now=self.now())
        await self.remind_holders.remind(now=self.now())
        await self.remind_renewals.remind(now=self.now())

    async def _learn_hashes(self) -> None:
        """Find out which kinds of password hashes users have, so that sign-in takes the same time for all (S24)."""
        current = passwords.CURRENT_HASHES_BEGIN
        found = await self.services.transactions.read(
            lambda tx: tx.users.sample_foreign_hashes(current, limit=HASHES_SAMPLED)
        )
        for stored in found:
            self._hashing.register(stored)

    async def readiness(self) -> dict[str, bool]:
        """Check that the database responds, its tables are up to date, and the encryption key is still its key."""
        from czo_auth.storage import migrate

        checks = {"database": False, "migrations": False, "encryptionKey": False}
        try:
            await self.start()
            await self.storage.ping()
            checks["database"] = True
            settings = self.settings
            checks["migrations"] = await migrate.is_current(
                settings.direct_url, table_prefix=settings.table_prefix
            )
            known = await self.services.transactions.read(lambda tx: tx.key_checks.find_all())
            ring = self.services.key_ring
            checks["encryptionKey"] = known.get(ring.primary) == ring.check_value(ring.primary)
        except (Refusal, StartRefused):
            _LOG.warning("not ready: %s", checks)
        return checks

    async def stop(self) -> None:
        """Finish running work, flush, and close; does nothing if not started."""
        if self._delivery is not None:
            await self._delivery.stop()
        await self._background.finish()
        if self.is_started:
            # Only once: if the answer to a commit was lost, a second attempt would return the uses twice.
            with suppress(StorageUnavailable):
                await self._quotas.give_back()
            await self._housekeeping.flush_all(within=SHUTDOWN_FLUSH_TIMEOUT)
        await self.subscribers.close()
        self._hashing.close()
        await self.storage.close()
        self._delivery = None
        self.is_started = False
