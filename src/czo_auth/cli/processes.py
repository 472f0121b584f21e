"""The server as processes: a supervisor, and workers that serve requests."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import multiprocessing
import os
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels, logger

from czo_auth.cli.command import note
from czo_auth.cli.logs import configure_logging, logging_config
from czo_auth.cli.start_check import FORKS, check_start
from czo_auth.errors import StartRefused
from czo_auth.metrics import SHARED_FOLDER
from czo_auth.server import Server

if TYPE_CHECKING:
    from czo_auth.settings import Settings

_WISHES_TO_END = frozenset({signal.SIGINT, signal.SIGTERM})
_KILL_AFTER_SECONDS = 12
_ORPHAN_CHECK_SECONDS = 1.0
_SAME_SIGNAL_SECONDS = 0.2
_END_NOTED_WITHIN_SECONDS = 1.0
_REFUSED = re.compile(r"Killing worker-(\d+) after it refused")
_READY_WITHIN_SECONDS = 30.0
_COLLECTOR_THRESHOLDS = (300, 10, 200)
"""New containers, collections of the youngest and of the middle generation: see `gc.set_threshold`."""


def serve(settings: Settings, *, when_ready: Callable[[Settings], None]) -> None:
    """
    Serve until SIGINT or SIGTERM; then return, with no process left.

    Args:
        when_ready: Called once, in a thread, when the server answers; with the port that the system chose for port 0.

    Raises:
        StartRefused, StorageUnavailable: Before anything listens.
        SystemExit: The same, when it was reported already.
    """
    with _without_collecting():
        configure_logging("INFO", log_format=settings.log_format)
        check_start(settings)
        _load_ahead()
        address, port = _free_address(settings.host, settings.port)
        settings = settings.model_copy(update={"port": port})
        _hand_over(settings)
    with _shared_figures(settings):
        _Supervisor(settings, address=address, when_ready=when_ready).serve()


@contextmanager
def _shared_figures(settings: Settings) -> Iterator[None]:
    """Give several workers a folder where they add up their metrics; prometheus-client looks for it at import."""
    if not settings.metrics_enabled or settings.workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="czo-auth-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[SHARED_FOLDER] = folder
        yield


def _load_ahead() -> None:
    """Import what the workers need, if they are forks of this process, so that it is done once for all of them."""
    if FORKS:
        multiprocessing.set_start_method("fork", force=True)
        import czo_auth.app
        import czo_auth.graphql.app  # noqa: F401


class _Supervisor:
    """
    Starts the workers, restarts those that die, and ends them all.

    granian does this. What is added here uses its documented hooks, signals, Python's fork hooks and its log.
    """

    def __init__(self, settings: Settings, *, address: str, when_ready: Callable[[Settings], None]) -> None:
        self._server = Granian(
            "czo_auth.server:application",
            address=address,
            port=settings.port,
            workers=settings.workers,
            interface=Interfaces.ASGI,
            websockets=False,
            http1_settings=HTTP1Settings(header_read_timeout=settings.keep_alive_seconds * 1000),
            log_level=LogLevels.warning,
            log_dictconfig=logging_config("INFO", log_format=settings.log_format),
            log_access=False,
            respawn_failed_workers=True,
            workers_kill_timeout=_KILL_AFTER_SECONDS,
        )
        self._settings = settings
        self._address = address
        self._when_ready = when_ready
        self._pid = os.getpid()
        self._told_to_end = threading.Event()
        self._workers_to_fork = settings.workers

    def serve(self) -> None:
        """Serve until told to stop by SIGINT, SIGTERM or SIGHUP."""
        self._server.on_startup(self._before_workers)
        logger.addFilter(self._is_news)
        try:
            self._server.serve(target_loader=load_worker, wrap_loader=False)
        except SystemExit:
            # When the supervisor gets the signal together with the workers, it may see one end before it signaled it:
            # that is not a crash.
            if not self._told_to_end.is_set():
                raise

    def _before_workers(self) -> None:
        """Add to granian's signal handlers, which are installed by now, and prepare for the forks."""
        for number in _WISHES_TO_END:
            signal.signal(number, self._noting(signal.getsignal(number)))
        signal.signal(signal.SIGHUP, self._hang_up)
        # A new worker has the supervisor's handlers, which would swallow the request to end. So signals wait until it
        # has its own handlers.
        os.register_at_fork(before=_hold_signals, after_in_parent=self._after_fork)
        if not FORKS:
            self._announce_in_thread()

    def _noting(self, handler: Any) -> Callable[[int, FrameType | None], None]:
        def note_and_handle(number: int, frame: FrameType | None) -> None:
            self._told_to_end.set()
            handler(number, frame)

        return note_and_handle

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        """End at SIGHUP."""
        if os.getpid() != self._pid:
            # A worker inherits this handler; its supervisor ends it.
            return
        # A closed terminal sends SIGHUP, and stderr may be gone with it.
        with suppress(OSError):
            note("SIGHUP: stopping. Start again to read the settings again.")
        signal.raise_signal(signal.SIGTERM)

    def _after_fork(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WISHES_TO_END)
        self._workers_to_fork -= 1
        # After the last fork, because a child inherits the locks that another thread holds at that moment.
        if self._workers_to_fork == 0:
            self._announce_in_thread()

    def _is_news(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if text.startswith("Unexpected exit"):
            # The same race, for the log: the signal is on its way to this process, too.
            return not self._told_to_end.wait(_SAME_SIGNAL_SECONDS)
        refused = _REFUSED.match(text)
        return refused is None or self._runs_on(int(refused[1]) - 1)

    def _runs_on(self, index: int) -> bool:
        """
        Tell whether a worker that granian is about to kill is really there.

        Two threads of granian wait for a worker's end. The one that does not learn of it takes the worker for alive
        until the other has noted it, for which it has a millisecond: too short for a busy machine. Noted in time, the
        process's number, which may be another process's by then, gets no signal either.
        """
        deadline = time.monotonic() + _END_NOTED_WITHIN_SECONDS
        while self._server.wrks[index].inner.is_alive():
            if time.monotonic() > deadline:
                return True
            time.sleep(0.01)
        return False

    def _announce_in_thread(self) -> None:
        threading.Thread(target=self._announce, name="czo-auth-announce", daemon=True).start()

    def _announce(self) -> None:
        if _answers(self._address, self._settings.port, stop=self._told_to_end):
            self._when_ready(self._settings)


def load_worker() -> Worker:
    """Build the application of one worker process, from the environment."""
    # If the worker is not a fork, this was not done before.
    _hold_signals()
    from czo_auth.auth import Auth
    from czo_auth.cli.host import host_auth
    from czo_auth.deployment import settings_with_local_key

    # The supervisor's id, written before it started this process: the supervisor may have ended since.
    supervisor = multiprocessing.parent_process()
    auth = host_auth() or Auth(settings_with_local_key())
    return Worker(auth, supervisor=supervisor.pid if supervisor else None)


def _hold_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _WISHES_TO_END)


class Worker(Server):
    """
    The application in a process that belongs to a supervisor.

    granian's worker ends at SIGINT or SIGTERM, but a second one before it serves blocks it for good. And Ctrl-C
    reaches every process of the terminal, but only the supervisor should end workers: a worker that ends by itself
    looks like one that died. So SIGINT is blocked all the time, SIGTERM until the start is done, and the first SIGTERM
    lets one SIGINT through: one, although the event loop may hear of two SIGTERM, the terminal's and the supervisor's,
    before it comes to the first.
    """

    def __init__(self, auth: Any, *, supervisor: int | None) -> None:
        super().__init__(auth)
        self._supervisor = supervisor
        self._watch: asyncio.Task[None] | None = None
        self._was_told = False

    async def started(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._end)
        self._watch = asyncio.create_task(self._end_as_an_orphan())
        await super().started()
        _collect_old_objects_rarely()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    async def ending(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        await super().ending()

    def _end(self) -> None:
        if self._was_told:
            return
        self._was_told = True
        # To the process, not the thread: together with a pending one from the terminal, it still counts as one.
        os.kill(os.getpid(), signal.SIGINT)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    async def _end_as_an_orphan(self) -> None:
        # There is no portable notification that the parent is gone, so the process has to check.
        while os.getppid() == self._supervisor:  # noqa: ASYNC110
            await asyncio.sleep(_ORPHAN_CHECK_SECONDS)
        signal.raise_signal(signal.SIGTERM)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Import with the garbage collector off, then exempt what was imported from later collections."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _collect_old_objects_rarely() -> None:
    """
    Let this process's garbage collector stop it for short times only, as far as it can.

    Nothing else runs while it goes through a generation. The oldest one holds all that is remembered, and with Python's
    thresholds long lists alone had it gone through all the time. Few cycles live long enough to get there.
    """
    # An incremental collector has no oldest generation to wait for.
    if gc.get_threshold()[2]:
        gc.set_threshold(*_COLLECTOR_THRESHOLDS)


def _free_address(host: str, port: int) -> tuple[str, int]:
    """
    Find the numeric address of *host*, and a port for 0.

    Workers share the port, so the system would let a second server share it as well. So this tries to bind it without
    sharing.

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
    """Pass the options of the command line to the workers, which read the environment."""
    os.environ["CZO_AUTH_HOST"] = settings.host
    os.environ["CZO_AUTH_PORT"] = str(settings.port)
    os.environ["CZO_AUTH_WORKERS"] = str(settings.workers)
    os.environ["CZO_AUTH_DATA_DIR"] = str(settings.data_dir)
    if settings.database_url is not None:
        os.environ["CZO_AUTH_DATABASE_URL"] = settings.database_url
        os.environ.pop("CZO_AUTH_DATABASE_URL_FILE", None)
    if settings.database_direct_url is None:
        # It belongs to the database of the environment, not to one that an option names.
        os.environ.pop("CZO_AUTH_DATABASE_DIRECT_URL", None)
        os.environ.pop("CZO_AUTH_DATABASE_DIRECT_URL_FILE", None)
