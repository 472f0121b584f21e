"""``czo-auth demo``: it walks the product, and does not let a mismatch pass."""

from __future__ import annotations

import http.server
import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from czo_auth.cli.demo import run as run_module
from czo_auth.cli.demo.client import Client
from czo_auth.cli.demo.printer import Mismatch, StepPrinter
from czo_auth.cli.demo.users import DemoRun, Person
from tests.cli.shell import PROGRAM, Shell
from tests.support.processes import still_alive
from tests.support.weak_hashes import IN_EVERY_PROCESS

SECONDS = 240


@pytest.mark.deep
def test_every_step_comes_out_as_the_contract_says(fresh: Shell, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = fresh.env | {
        "TMPDIR": str(temporary),
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": str(IN_EVERY_PROCESS),
    }
    done = subprocess.run(
        [*PROGRAM, "demo"], env=env, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    assert done.stderr == ""
    assert "✗" not in said
    assert int(re.findall(r"All (\d+) steps", said)[0]) == said.count("✓")
    assert "█▀" in said, "the QR code is drawn"
    for part in (
        *("requires2FA: true", "INVALID_CODE", "INVALID_BACKUP_CODE", "TWO_FACTOR_SETUP_REQUIRED"),
        *("TWO_FACTOR_REQUIRED_BY_POLICY", "INVALID_API_KEY", "myApiKeys", "USER_NOT_MEMBER_OF_ORGANIZATION"),
        *("auth.2fa.enabled", "auth.2fa.disabled", "auth.apikey.created", "auth.apikey.revoked"),
    ):
        assert part in said
    assert not re.search(r"cz[orsc]_[A-Za-z0-9_-]{10,}|eyJ[A-Za-z0-9_-]{10,}", said), (
        "secrets are abbreviated"
    )
    assert "\x1b" not in said
    assert list(temporary.iterdir()) == []
    assert not fresh.data.exists()


# Its server starts as every other does: tests/contract/test_start_refusals.py has the keys.
@pytest.mark.deep
def test_bad_key_stops_it_like_any_start(fresh: Shell) -> None:
    done = fresh.run("demo", env={"AUTH_ENCRYPTION_KEY": "k1:short"}, code=2)
    assert "AUTH_ENCRYPTION_KEY is malformed" in done.stderr


@pytest.mark.deep
def test_interrupted_demo_stops_its_server(fresh: Shell, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [*PROGRAM, "demo"],
        env=fresh.env | {"TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert b"answers on" in process.stdout.readline()
        processes = psutil.Process(process.pid).children(recursive=True)
        assert processes
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        assert process.returncode == 128 + signal.SIGTERM
    assert not still_alive(processes, seconds=5)
    assert list(temporary.iterdir()) == []


@pytest.mark.deep
def test_mismatch_is_reported_and_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def sign_up(demo_run: DemoRun, person: Person) -> None:
        demo_run.client.ask("signs up", "GET", "/whoami", status=200, has={"kind": "session"})

    monkeypatch.setattr(run_module, "sign_up", sign_up)
    before = set(psutil.Process().children())
    assert run_module.run_demo() == 1
    said = capsys.readouterr().out
    assert "✗ signs up" in said
    assert "expected 200, got 401" in said
    assert "failed after 0 steps" in said
    assert not still_alive(set(psutil.Process().children()) - before, seconds=5)


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that always says the same."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"code": "INVALID_CODE", "session": {"aal": 2}}),
        (401, {"code": "INVALID_TOKEN", "session": {"aal": 2}}),
        (401, {"code": "INVALID_CODE", "session": {"aal": 1}}),
        (401, {"code": "INVALID_CODE"}),
        (401, {"code": "INVALID_CODE", "session": {"aal": 2}, "token": "t"}),
        (401, None),
    ],
)
def test_client_sees_every_difference(status: int, body: dict[str, object] | None) -> None:
    with answering(status, b"oops" if body is None else json.dumps(body).encode()) as url:
        client = Client(url, "", StepPrinter())
        with pytest.raises(Mismatch):
            client.ask(
                "asks", "GET", "/x", status=401, code="INVALID_CODE", has={"session.aal": 2}, lacks=("token",)
            )
        client.close()


def test_waiting_ends_as_soon_as_it_may() -> None:
    printer = StepPrinter()
    start = time.monotonic()
    assert printer.wait_until("nothing", lambda: time.monotonic() - start > 0.1, seconds=60)
    assert not printer.wait_until("something", lambda: False, seconds=0.3)
    assert time.monotonic() - start < 30
