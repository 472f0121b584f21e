"""The server as processes: one that watches, and workers that answer."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from granian.constants import Interfaces
from granian.log import LogLevels, logger
from granian.server.mp import MPServer

from czo_auth.cli.logs import configure_logging, logging_config
from czo_auth.cli.session import REFUSED, assembled, no_newer_schema, reporting
from czo_auth.errors import StartRefused
from czo_auth.metrics import SHARED_FOLDER
from czo_auth.server import Server

if TYPE_CHECKING:
    from czo_auth.settings import Settings

FORKS = sys.platform == "linux"
"""Elsewhere system libraries do not survive a fork, and workers start from nothing."""

_KILL_AFTER_SECONDS = 12
_ORPHAN_CHECK_SECONDS = 1.0
_SAME_SIGNAL_SECONDS = 0.2
_READY_WITHIN_SECONDS = 30.0


def serve(settings: Settings, *, when_ready: Callable[[Settings], None]) -> None:
    """
    Serve until told to stop by SIGINT or SIGTERM; then return, with no process left.

    Args:
        when_ready: Called once, in a thread, when the server answers; with the port that was chosen for port 0.

    Raises:
        StartRefused, StorageUnavailable, SystemExit: Before anything listens.
    """
    with _without_collecting():
        configure_logging("INFO")
        _prepare(settings)
        address, port = _free_address(settings.host, settings.port)
        settings = settings.model_copy(update={"port": port})
        _hand_over(settings)
    with _shared_figures(settings):
        _Supervisor(settings, address=address, when_ready=when_ready).serve(
            target_loader=load_worker, wrap_loader=False
        )


@contextmanager
def _shared_figures(settings: Settings) -> Iterator[None]:
    """Give several workers a folder where they add up their figures; prometheus-client finds it when imported."""
    if not settings.metrics_enabled or settings.workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="czo-auth-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[SHARED_FOLDER] = folder
        yield


def _prepare(settings: Settings) -> None:
    """
    Do once, before any worker starts, what can refuse the start: key, database, migrations.

    Where workers are copies of this process, another copy does it: meanwhile this one imports what the workers need,
    and it never has a connection or a thread that they could inherit.
    """
    if not FORKS:
        asyncio.run(_open_once(settings))
        return
    multiprocessing.set_start_method("fork", force=True)
    copy = multiprocessing.Process(target=_prepare_and_report, args=(settings,), name="czo-auth-prepare")
    copy.start()
    try:
        import czo_auth.app
        import czo_auth.auth
        import czo_auth.graphql.app  # noqa: F401

        copy.join()
    finally:
        copy.terminate()
        copy.join()
    if copy.exitcode:
        raise SystemExit(copy.exitcode if copy.exitcode > 0 else REFUSED)


def _prepare_and_report(settings: Settings) -> None:
    with reporting():
        asyncio.run(_open_once(settings))


async def _open_once(settings: Settings) -> None:
    auth = assembled(settings)
    try:
        with no_newer_schema():
            await auth.open()
    finally:
        await auth.stop()


class _Supervisor(MPServer):
    """Starts the workers, starts again what dies, and ends them all."""

    def __init__(self, settings: Settings, *, address: str, when_ready: Callable[[Settings], None]) -> None:
        super().__init__(
            "czo_auth.server:application",
            address=address,
            port=settings.port,
            workers=settings.workers,
            interface=Interfaces.ASGI,
            websockets=False,
            log_level=LogLevels.warning,
            log_dictconfig=logging_config("INFO"),
            log_access=False,
            respawn_failed_workers=True,
            workers_kill_timeout=_KILL_AFTER_SECONDS,
        )
        self._settings = settings
        self._when_ready = when_ready
        logger.addFilter(self._is_news)

    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        # A new worker has the supervisor's handlers, which would swallow the wish to end. So signals wait until it
        # has its own.
        os.register_at_fork(
            before=lambda: _mask(signal.SIG_BLOCK), after_in_parent=lambda: _mask(signal.SIG_UNBLOCK)
        )
        super().startup(spawn_target, target_loader)  # type: ignore[no-untyped-call]
        # After the forks, for a child inherits the locks that another thread happens to hold.
        threading.Thread(target=self._announce, name="czo-auth-announce", daemon=True).start()

    def shutdown(self, exit_code: int = 0) -> None:
        try:
            super().shutdown(exit_code)  # type: ignore[no-untyped-call]
        except SystemExit:
            # Told to end together with the workers, it may see one gone before it told it so: that is no crash.
            if not self.interrupt_signal:
                raise

    def _is_news(self, record: logging.LogRecord) -> bool:
        if not record.getMessage().startswith("Unexpected exit"):
            return True
        # The same race, for what is logged: the wish to end is on its way to this process, too.
        self.main_loop_interrupt.wait(_SAME_SIGNAL_SECONDS)
        return not self.interrupt_signal

    def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:
        # What a closed terminal sends is a wish to end here; there is nothing to read anew.
        self.signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def _announce(self) -> None:
        if _answers(self.bind_addr, self.bind_port, stop=self.main_loop_interrupt):
            self._when_ready(self._settings)


def load_worker() -> Worker:
    """Build the application of one worker process, from the environment."""
    # Two signals during the start would block the worker for good: granian keeps one until it serves. While they are
    # held off, all that come are one. Also where the worker is not a copy.
    _mask(signal.SIG_BLOCK)
    from czo_auth.auth import Auth
    from czo_auth.deployment import settings_with_local_key

    # What the supervisor wrote down before it started this process: it may be gone by now.
    supervisor = multiprocessing.parent_process()
    return Worker(Auth(settings_with_local_key()), supervisor=supervisor.pid if supervisor else None)


def _mask(how: int) -> None:
    signal.pthread_sigmask(how, {signal.SIGINT, signal.SIGTERM})


class Worker(Server):
    """The application in a process that belongs to a supervisor."""

    def __init__(self, auth: Any, *, supervisor: int | None) -> None:
        super().__init__(auth)
        self._supervisor = supervisor
        self._watch: asyncio.Task[None] | None = None

    async def started(self) -> None:
        loop = asyncio.get_running_loop()
        # Ctrl-C reaches every process of the terminal, but the supervisor tells when to end: a worker that ended by
        # itself would look like one that died.
        loop.add_signal_handler(signal.SIGINT, _ignore)
        self._watch = asyncio.create_task(self._end_as_an_orphan())
        await super().started()
        _mask(signal.SIG_UNBLOCK)

    async def ending(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _ignore)
        if self._watch is not None:
            self._watch.cancel()
        await super().ending()

    async def _end_as_an_orphan(self) -> None:
        # Nothing tells a process that its parent is gone, on all systems alike: it has to look.
        while os.getppid() == self._supervisor:  # noqa: ASYNC110
            await asyncio.sleep(_ORPHAN_CHECK_SECONDS)
        signal.raise_signal(signal.SIGTERM)


def _ignore() -> None:
    """Do nothing about a signal."""


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Import without looking for garbage, of which there is none; then leave what is there to no later search."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _free_address(host: str, port: int) -> tuple[str, int]:
    """
    Find the numeric address of *host*, and a port for 0.

    Workers share the port, so the system would let a second server share it as well; hence the trial without sharing.

    Raises:
        StartRefused: Nothing can listen there.
    """
    where = f"{host} port {port}"
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
            address = trial.getsockname()
            return str(address[0]), int(address[1])
    except socket.gaierror:
        raise StartRefused(f"CZO_AUTH_HOST: {host!r} is not an address of this machine.") from None
    except OSError as error:
        raise StartRefused(_why_not_there(error, where)) from None


def _why_not_there(error: OSError, where: str) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"{where} is already in use: stop what listens there, or choose another with --port."
        case errno.EADDRNOTAVAIL:
            return f"{where} is not an address of this machine: choose another with --host."
        case errno.EACCES:
            return f"{where} is reserved: choose a port above 1023 with --port."
        case _:
            return f"{where} cannot be used: {error.strerror}."


def _answers(address: str, port: int, *, stop: threading.Event) -> bool:
    """Wait until the server at *address* answers; False when it did not in time, or is ending."""
    import http.client

    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound
    for _ in range(int(_READY_WITHIN_SECONDS / 0.02)):
        connection = http.client.HTTPConnection(here, port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            if stop.wait(0.02):
                return False
        finally:
            connection.close()
    return False


def _hand_over(settings: Settings) -> None:
    """Give the workers what the command line chose; they read the environment."""
    os.environ["CZO_AUTH_HOST"] = settings.host
    os.environ["CZO_AUTH_PORT"] = str(settings.port)
    os.environ["CZO_AUTH_WORKERS"] = str(settings.workers)
    os.environ["CZO_AUTH_DATA_DIR"] = str(settings.data_dir)
    if settings.database_url is not None:
        os.environ["CZO_AUTH_DATABASE_URL"] = settings.database_url
