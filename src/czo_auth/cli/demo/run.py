"""The whole demo: a server, its parts, and the exit code."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from czo_auth.cli.command import REFUSED, reporting
from czo_auth.cli.demo.client import Client
from czo_auth.cli.demo.machines import api_key, organization
from czo_auth.cli.demo.people import administrator, sign_in_with_two_factors, sign_up, turn_off, turn_on
from czo_auth.cli.demo.printer import Mismatch, StepPrinter, clean
from czo_auth.cli.demo.recorded import check_recorded
from czo_auth.cli.demo.server import DemoServer, ServerFailed
from czo_auth.cli.demo.users import DemoRun, new_person


def run_demo() -> int:
    """Run the demo; return 0 if every step behaved as documented."""
    printer = StepPrinter()
    with reporting():
        try:
            with _ended_by_signals(), tempfile.TemporaryDirectory(prefix="czo-auth-demo-") as folder:
                _run_on(DemoServer(Path(folder)), printer)
        except Mismatch as mismatch:
            printer.say(f"\nThe demo failed after {printer.steps} steps: {clean(str(mismatch))}", "bold red")
            return REFUSED
        except ServerFailed as fault:
            # In the words of the server or the command.
            print(fault, file=sys.stderr)
            return fault.code
        printer.say(f"\nAll {printer.steps} steps behaved as documented.", "bold green")
    return 0


def _run_on(server: DemoServer, printer: StepPrinter) -> None:
    from czo_auth.deployment import read_settings

    settings = read_settings()
    try:
        url = server.start()
        printer.say(f"A new server answers on {url}; its data is in a temporary folder.")
        client = Client(url, settings.base_path, printer)
        try:
            _run_parts(DemoRun(client=client, server=server, printer=printer, settings=settings))
        finally:
            client.close()
    except BaseException:
        _stop_ignoring_faults(server)
        raise
    server.stop()


def _run_parts(demo_run: DemoRun) -> None:
    ada = new_person(demo_run, "Ada", "customer")
    root = new_person(demo_run, "Root", "admin")
    mia = new_person(demo_run, "Mia", "merchant")
    try:
        sign_up(demo_run, ada)
        turn_on(demo_run, ada)
        sign_in_with_two_factors(demo_run, ada)
        administrator(demo_run, root)
        api_key(demo_run, ada)
        organization(demo_run, mia, stranger=ada)
        turn_off(demo_run, ada)
        check_recorded(demo_run, {person.id: person.name for person in (ada, root, mia)}, ada)
    except (LookupError, TypeError) as fault:
        raise Mismatch("answers with all their fields", f"one without {fault}") from None


def _stop_ignoring_faults(server: DemoServer) -> None:
    """End the server without a message; only the earlier failure matters."""
    try:
        server.stop()
    except ServerFailed:
        return


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does: with the server."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
