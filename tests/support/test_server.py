"""`RunningServer` on stand-ins for the product, so that its own failures show."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import server as support
from tests.support.processes import still_alive, with_pids
from tests.support.server import RunningServer

ROOT = Path(__file__).parents[2]

STAND_IN = """
import http.server, os, signal, subprocess, sys, time

class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({ready} if self.path == "/readyz" else 200)
        self.end_headers()

print("arguments", *sys.argv[1:])
print("key", os.environ.get("AUTH_ENCRYPTION_KEY"), "data", os.environ.get("CZO_AUTH_DATA_DIR"))
{before}
port = int(sys.argv[sys.argv.index("--port") + 1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answers)
try:
    server.serve_forever()
except KeyboardInterrupt:
    print("good-bye")
"""
CHILD = "subprocess.Popen([sys.executable, '-c', 'import signal, time; signal.pause()'])"
IGNORES = "signal.signal(signal.SIGINT, signal.SIG_IGN)"


def stand_in(
    tmp_path: Path, *, before: str = "", ready: int = 200, env: dict[str, str] | None = None
) -> RunningServer:
    program = tmp_path / "stand_in.py"
    program.write_text(STAND_IN.format(before=before, ready=ready))
    return RunningServer(
        tmp_path, env=env, database_url="sqlite:///x.db", workers=2, program=[sys.executable, str(program)]
    )


def get(server: RunningServer, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_server_answers_stops_and_starts_again(tmp_path: Path) -> None:
    server = stand_in(tmp_path, env={"AUTH_ENCRYPTION_KEY": "given"})
    for _ in range(2):
        server.start()
        assert get(server, "/anything") == 200
        server.stop()
        assert not server.running
        server.stop()
    assert f"arguments serve --host 127.0.0.1 --port {server.port} --workers 2" in server.output()
    assert f"key given data {server.data_directory}" in server.output()
    assert server.output().count("good-bye") == 2


def test_settings_of_the_developer_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_ENCRYPTION_KEY", "developer")
    server = stand_in(tmp_path)
    server.start()
    server.stop()
    assert "key None" in server.output()


def test_kill_ends_the_whole_group(tmp_path: Path) -> None:
    server = stand_in(tmp_path, before=CHILD)
    server.start()
    processes = server.processes
    assert len(processes) == 2
    server.kill()
    assert not still_alive(processes, seconds=5)
    assert "good-bye" not in server.output()


def test_start_that_fails_shows_the_output(tmp_path: Path) -> None:
    server = stand_in(tmp_path, before="sys.exit('AUTH_ENCRYPTION_KEY is malformed')")
    with pytest.raises(AssertionError, match=r"ended with status 1\n(?s:.*)AUTH_ENCRYPTION_KEY is malformed"):
        server.start()


@pytest.mark.deep
def test_server_that_is_never_ready_fails_and_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(support, "START_SECONDS", 1)
    server = stand_in(tmp_path, ready=503)
    with pytest.raises(AssertionError, match="/readyz still answers 503"):
        server.start()
    assert not server.running


@pytest.mark.deep
@pytest.mark.parametrize(
    ("before", "fault"),
    [
        (CHILD, "left processes behind"),
        (IGNORES, "no end 1 s after SIGINT"),
        ("signal.signal(signal.SIGINT, lambda *_: sys.exit(3))", "exit status 3 after SIGINT"),
    ],
)
def test_unclean_end_is_a_failure_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, fault: str
) -> None:
    monkeypatch.setattr(support, "STOP_SECONDS", 1)
    server = stand_in(tmp_path, before=before)
    server.start()
    processes = server.processes
    with pytest.raises(AssertionError, match=fault):
        server.stop()
    assert not still_alive(processes, seconds=5)


@pytest.mark.deep
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_server_ends_when_the_test_run_is_killed(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from tests.support.server import RunningServer\n"
        "import os, signal, sys\n"
        "server = RunningServer(Path(sys.argv[1]))\n"
        "server.start()\n"
        "print(*(process.pid for process in server.processes), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert not still_alive(with_pids(map(int, ran.stdout.split())), seconds=10)
