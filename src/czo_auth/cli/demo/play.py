"""The whole demo: a server, its parts, and the exit code."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from czo_auth.cli.demo.cast import Cast, new_person
from czo_auth.cli.demo.client import Client
from czo_auth.cli.demo.machines import api_key, organization
from czo_auth.cli.demo.narrator import Mismatch, Narrator, clean
from czo_auth.cli.demo.people import administrator, sign_in_with_two_factors, sign_up, turn_off, turn_on
from czo_auth.cli.demo.record import record
from czo_auth.cli.demo.stage import Stage, StageFault
from czo_auth.cli.session import REFUSED, reporting


def play() -> int:
    """Run it; return 0 if every step behaved as documented."""
    narrator = Narrator()
    with reporting():
        try:
            with _ended_by_signals(), tempfile.TemporaryDirectory(prefix="czo-auth-demo-") as folder:
                _on_stage(Stage(Path(folder)), narrator)
        except Mismatch as mismatch:
            narrator.say(
                f"\nThe demo failed after {narrator.steps} steps: {clean(str(mismatch))}", "bold red"
            )
            return REFUSED
        except StageFault as fault:
            # In the words of the server or the command.
            print(fault, file=sys.stderr)
            return fault.code
        narrator.say(f"\nAll {narrator.steps} steps behaved as documented.", "bold green")
    return 0


def _on_stage(stage: Stage, narrator: Narrator) -> None:
    from czo_auth.deployment import read_settings

    settings = read_settings()
    try:
        url = stage.start()
        narrator.say(f"A new server answers on {url}; its data is in a temporary folder.")
        client = Client(url, settings.base_path, narrator)
        try:
            _perform(Cast(client=client, stage=stage, narrator=narrator, settings=settings))
        finally:
            client.close()
    except BaseException:
        _stop_ignoring_faults(stage)
        raise
    stage.stop()


def _perform(cast: Cast) -> None:
    ada = new_person(cast, "Ada", "customer")
    root = new_person(cast, "Root", "admin")
    mia = new_person(cast, "Mia", "merchant")
    try:
        sign_up(cast, ada)
        turn_on(cast, ada)
        sign_in_with_two_factors(cast, ada)
        administrator(cast, root)
        api_key(cast, ada)
        organization(cast, mia, stranger=ada)
        turn_off(cast, ada)
        record(cast, {person.id: person.name for person in (ada, root, mia)}, ada)
    except (LookupError, TypeError) as fault:
        raise Mismatch("answers with all their fields", f"one without {fault}") from None


def _stop_ignoring_faults(stage: Stage) -> None:
    """End the server without a message; only the earlier failure matters."""
    try:
        stage.stop()
    except StageFault:
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
