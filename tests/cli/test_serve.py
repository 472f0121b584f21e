"""``czo-auth serve`` as a process: how it starts, what it says, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
import pytest
from pydantic import SecretStr

from czo_auth import Auth
from czo_auth.cli.serve import _say_ready
from czo_auth.core.mail import MailMessage
from czo_auth.settings import DATABASE_FILE, KEY_FILE, Settings
from tests.cli.shell import PASSWORD, PROGRAM, Shell
from tests.conftest import StartServer
from tests.support.forked_server import ForkedServer
from tests.support.ports import free_port
from tests.support.processes import is_alive, still_alive
from tests.support.settings import KEY
from tests.support.tethered import tethered

READY = re.compile(rb"is ready on (http://\S+)")


class Forked(ForkedServer):
    """A forked server whose output is read as that of `subprocess.Popen` is."""

    def __init__(self, words: list[str], *, env: dict[str, str], folder: Path) -> None:
        reading, writing = os.pipe()
        self.stdout: IO[bytes] | None = open(reading, "rb")  # noqa: SIM115 - `communicate` closes it
        try:
            super().__init__(words, env=env, folder=folder, output=writing, weak_hashes=True)
        finally:
            os.close(writing)

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = 60) -> tuple[bytes, None]:
        """Read the rest of the output, and wait for the end."""
        rest = b""
        if self.stdout is not None and not self.stdout.closed:
            with self.stdout as stdout:
                rest = stdout.read()
        self.wait(timeout)
        return rest, None


Server = subprocess.Popen[bytes] | Forked


@contextmanager
def serving(
    shell: Shell, *words: str, forked: bool = True, program: Sequence[str] = PROGRAM
) -> Iterator[Server]:
    """
    Start the server on a port of its choice, in a process group of its own that ends with the block.

    Args:
        forked: Start it without a second of imports; not where the start itself is tested.
        program: What to run if it is not forked.
    """
    said = ["serve", "--port", "0", *words]
    env = shell.env | {"PYTHONUNBUFFERED": "1"}
    process: Server
    if forked and sys.platform == "linux":
        process = Forked(said, env=env, folder=Path.cwd())
    else:
        process = subprocess.Popen(
            # A test run that is killed must not leave a server behind.
            tethered([*program, *said], signal=signal.SIGTERM),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        # The whole group: workers that outlive their supervisor would hold the pipe open.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def read_until_ready(process: Server) -> tuple[str, str]:
    """Give the server's address, and what it said until it had said everything."""
    assert process.stdout is not None
    said = b""
    while b"Ctrl-C stops" not in said:
        line = process.stdout.readline()
        assert line, said.decode()
        said += line
    found = READY.search(said)
    assert found is not None
    return found[1].decode(), said.decode()


def test_first_start_makes_a_private_folder_and_says_what_to_do(fresh: Shell) -> None:
    with serving(fresh, forked=False) as process:
        url, said = read_until_ready(process)
        assert httpx.get(f"{url}/readyz").status_code == 200
        for part in (
            *("users create --email you@example.com", f"--actor-type admin --data-dir {fresh.data}"),
            *(f"{url}/api/auth/docs", f"{url}/graphql", f"{url}/healthz", str(fresh.data)),
            f"made an encryption key: {fresh.data / KEY_FILE}",
        ):
            assert part in said
        assert httpx.get(f"{url}/api/auth/docs").status_code == 200
        key = (fresh.data / KEY_FILE).read_text().strip()
        assert key not in said
        assert fresh.data.stat().st_mode & 0o777 == 0o700
        for name in os.listdir(fresh.data):
            assert (fresh.data / name).stat().st_mode & 0o777 == 0o600, name


KEYS = f"{KEY},k0:{KEY.rpartition(':')[2]}"


@pytest.mark.parametrize(
    ("in_file", "variable", "database_url", "shown"),
    [
        (KEY, None, None, ["{data} (database and encryption key: back up both)"]),
        (KEYS, None, None, ["{data} (database and encryption keys: back up both)"]),
        (None, "AUTH_ENCRYPTION_KEY", None, ["{data} (the database alone)", "AUTH_ENCRYPTION_KEY (in no"]),
        (
            "k9:other",
            "AUTH_ENCRYPTION_KEY",
            None,
            ["{data} (the database alone)", "AUTH_ENCRYPTION_KEY (in no"],
        ),
        (None, "AUTH_ENCRYPTION_KEY_FILE", None, ["AUTH_ENCRYPTION_KEY_FILE (in no backup of the database"]),
        (None, "AUTH_ENCRYPTION_KEY", "postgresql://u:hidden@db.example/czo", ["db.example", "_KEY (in no"]),
    ],
)
def test_ready_block_says_where_the_key_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    in_file: str | None,
    variable: str | None,
    database_url: str | None,
    shown: list[str],
) -> None:
    """Who backs up a folder without the key in it would lose every second factor."""
    key = KEY if variable else in_file or ""
    if in_file:
        (tmp_path / KEY_FILE).write_text(f"{in_file}\n")
    if variable:
        monkeypatch.setenv(variable, key)
    if variable == "AUTH_ENCRYPTION_KEY_FILE":
        (tmp_path / "secret").write_text(f"{key}\n")
        monkeypatch.setenv(variable, str(tmp_path / "secret"))
    _say_ready(Settings(data_dir=tmp_path, database_url=database_url, encryption_key=SecretStr(key)))
    said = capsys.readouterr().out
    for part in shown:
        assert part.format(data=tmp_path) in said
    assert ("with the same" in said) == (variable is not None)
    assert ("back up both" in said) == (variable is None)
    assert key not in said
    assert "hidden" not in said


@pytest.mark.parametrize("variable", ["AUTH_ENCRYPTION_KEY", "AUTH_ENCRYPTION_KEY_FILE"])
def test_ready_block_names_no_variable_that_the_key_is_not_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    monkeypatch.setenv(variable, "k1:another")
    _say_ready(Settings(data_dir=tmp_path, encryption_key=SecretStr(KEY)))
    said = capsys.readouterr().out
    assert "from the code of --app (in no backup of the database" in said
    assert variable not in said


class _OwnMail:
    async def send(self, message: MailMessage) -> None:
        """Send it elsewhere."""


@pytest.mark.parametrize(
    ("chosen", "own", "warns"),
    [
        ({"environment": "production"}, None, True),
        ({"environment": "production"}, _OwnMail(), False),
        ({"environment": "production", "smtp_url": SecretStr("smtp://mail.example")}, None, False),
        ({}, None, False),
    ],
)
def test_ready_block_warns_of_production_without_mail(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    chosen: dict[str, Any],
    own: _OwnMail | None,
    *,
    warns: bool,
) -> None:
    settings = Settings(
        data_dir=tmp_path, base_url="https://auth.example", encryption_key=SecretStr(KEY), **chosen
    )
    host = None if own is None else Auth(settings, mail=own)
    monkeypatch.setattr("czo_auth.cli.host.host_auth", lambda: host)
    _say_ready(settings)
    said = capsys.readouterr().out
    assert ("WARNING: not configured" in said) == warns
    assert ("CZO_AUTH_SMTP_URL" in said) == warns


def test_command_that_is_shown_makes_an_administrator(shell: Shell, tmp_path: Path) -> None:
    with serving(shell) as process:
        _, said = read_until_ready(process)
    (line,) = [line for line in said.splitlines() if "first administrator" in line]
    command = line.partition("administrator")[2].strip()
    env = {name: value for name, value in shell.env.items() if name != "CZO_AUTH_DATA_DIR"}
    done = subprocess.run(
        f"{command} --password-stdin",
        shell=True,
        env=env,
        cwd=tmp_path,
        input=f"{PASSWORD}\n",
        text=True,
        check=True,
        capture_output=True,
    )
    assert "created you@example.com (admin, customer)" in done.stdout


@pytest.mark.parametrize(
    ("number", "group"),
    [
        pytest.param(signal.SIGINT, True, id="SIGINT to the whole terminal"),
        pytest.param(signal.SIGTERM, False, id="SIGTERM to the supervisor"),
        # Each signal and each target is in the two above.
        pytest.param(signal.SIGINT, False, id="SIGINT to the supervisor", marks=pytest.mark.deep),
        pytest.param(signal.SIGTERM, True, id="SIGTERM to the whole terminal", marks=pytest.mark.deep),
    ],
)
def test_signal_ends_all_processes_quietly(shell: Shell, number: signal.Signals, group: bool) -> None:
    with serving(shell, "--workers", "2") as process:
        read_until_ready(process)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 2
        (os.killpg if group else os.kill)(process.pid, number)
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0, rest
        assert rest.strip() == b""
        assert not still_alive(children, seconds=10)


SLOW_TO_NOTE_AN_END = """
import os, sys, time
wait = os.waitpid
def wait_and_pause(pid, options):
    ended, status = wait(pid, options)
    if ended:
        time.sleep(0.1)
    return ended, status
os.waitpid = wait_and_pause
from czo_auth.cli import main
sys.exit(main())
"""


def test_worker_that_ended_is_not_said_to_refuse_its_end_on_a_busy_machine(shell: Shell) -> None:
    program = [sys.executable, "-c", SLOW_TO_NOTE_AN_END]
    with serving(shell, "--workers", "4", forked=False, program=program) as process:
        read_until_ready(process)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0, rest
        assert rest.strip() == b""
        assert not still_alive(workers, seconds=10)


@pytest.mark.deep
def test_worker_that_does_not_end_is_killed_with_a_word(shell: Shell) -> None:
    with serving(shell, "--workers", "2") as process:
        read_until_ready(process)
        workers = psutil.Process(process.pid).children()
        workers[1].suspend()
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0, rest
        assert rest.count(b"refused to gracefully stop") == 1
        assert not still_alive(workers, seconds=10)


def test_hangup_ends_the_server_with_a_word(shell: Shell) -> None:
    with serving(shell, "--workers", "2") as process:
        read_until_ready(process)
        process.send_signal(signal.SIGHUP)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    assert b"SIGHUP: stopping" in said


def test_idle_connection_ends_after_the_time_that_is_set(shell: Shell) -> None:
    assert Settings().keep_alive_seconds > 60, "load balancers keep idle connections for 60 seconds"
    shell.env["CZO_AUTH_KEEP_ALIVE_SECONDS"] = "1"
    with serving(shell) as process:
        url, _ = read_until_ready(process)
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            said = b""
            while chunk := connection.recv(4096):
                said += chunk
    assert said.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("after", [0.3, *(pytest.param(each, marks=pytest.mark.deep) for each in (0.7, 1.2))])
def test_signal_during_the_start_ends_it_as_quietly(shell: Shell, after: float) -> None:
    with serving(shell, "--workers", "2", forked=False) as process:
        _wait_for_handlers(process)
        time.sleep(after)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert b"Traceback" not in said
        left = [each for each in psutil.process_iter() if _in_group(each, process.pid) and is_alive(each)]
        assert not still_alive(left, seconds=10)


def _wait_for_handlers(process: Server) -> None:
    """Wait until the process handles SIGTERM itself; before, Python is not even up."""
    bit = 1 << (signal.SIGTERM - 1)
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        found = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
        if found and int(found[1], 16) & bit:
            return
        time.sleep(0.01)


def _in_group(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group
    except ProcessLookupError:
        return False


def test_worker_that_dies_is_started_again(start_server: StartServer) -> None:
    server = start_server(workers=2)
    before = server.workers
    before[0].kill()
    deadline = time.monotonic() + 60
    while len(now := server.workers) < 2 or now == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for _ in range(10):
        assert httpx.get(f"{server.url}/healthz", timeout=60).status_code == 200


def test_workers_end_when_their_supervisor_is_killed(shell: Shell) -> None:
    with serving(shell, "--workers", "2") as process:
        read_until_ready(process)
        workers = psutil.Process(process.pid).children()
        process.kill()
        process.wait(15)
        assert not still_alive(workers, seconds=10)


def test_port_that_is_taken_is_said_in_one_sentence(shell: Shell) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = shell.run("serve", "--port", str(port), code=2)
    assert done.stderr == (
        f"czo-auth: 127.0.0.1 port {port} is already in use: "
        "stop what listens there, or choose another with --port.\n"
    )
    assert done.stdout == ""


@pytest.mark.deep
def test_second_server_does_not_share_the_port_of_the_first(start_server: StartServer) -> None:
    server = start_server()
    shell = Shell(server.data_directory)
    assert "already in use" in shell.run("serve", "--port", str(server.port), code=2).stderr


@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        (("--port", "70000"), {}, "CZO_AUTH_PORT"),
        (("--port", "many"), {}, "--port"),
        (("--host", "192.0.2.1"), {}, "192.0.2.1"),
        (("--host", "no.such.host.invalid"), {}, "CZO_AUTH_HOST"),
        (("--workers", "0"), {}, "CZO_AUTH_WORKERS"),
        (("--database-url", "mysql://x"), {}, "CZO_AUTH_DATABASE_URL"),
        ((), {"CZO_AUTH_API_KEY_PREFIX": "czs_"}, "CZO_AUTH_API_KEY_PREFIX"),
        ((), {"CZO_AUTH_ENVIRONMENT": "staging"}, "CZO_AUTH_ENVIRONMENT"),
        ((), {"CZO_AUTH_DATA_DIR": "/dev/null/data"}, "/dev/null/data"),
    ],
)
def test_bad_setting_is_named_in_one_sentence(
    shell: Shell, words: tuple[str, ...], env: dict[str, str], said: str
) -> None:
    done = shell.run("serve", *words, env={"CZO_AUTH_PORT": str(free_port())} | env, code=2)
    assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.deep
def test_database_that_does_not_answer_is_an_outage_and_not_a_mistake(shell: Shell) -> None:
    url = f"postgresql://nobody:a-secret@127.0.0.1:{free_port()}/none"
    env = {"CZO_AUTH_DATABASE_URL": url, "AUTH_ENCRYPTION_KEY": (shell.data / KEY_FILE).read_text().strip()}
    for words in (("serve", "--port", "0"), ("users", "list"), ("migrate",)):
        done = shell.run(*words, env=env, code=75)
        assert "database" in done.stderr
        assert "a-secret" not in done.stderr


@pytest.mark.deep
def test_file_that_is_no_database_is_an_outage(fresh: Shell) -> None:
    fresh.run("migrate")
    (fresh.data / DATABASE_FILE).write_bytes(b"this is not a database, it is a sentence. " * 100)
    fresh.run("users", "list", code=75)


@pytest.mark.deep
def test_database_of_a_newer_version_is_left_alone(shell: Shell) -> None:
    with closing(sqlite3.connect(shell.data / DATABASE_FILE, isolation_level=None)) as database:
        database.execute("UPDATE czo_auth_version SET version_num = '9999', oldest_program = '9999'")
    for words in (("serve", "--port", "0"), ("users", "list"), ("migrate",)):
        assert "newer version" in shell.run(*words, code=2).stderr


@pytest.mark.deep
def test_tables_are_not_touched_when_that_is_switched_off(fresh: Shell) -> None:
    env = {"CZO_AUTH_AUTO_MIGRATE": "false"}
    assert "czo-auth migrate" in fresh.run("serve", "--port", "0", env=env, code=2).stderr
    fresh.run("migrate", env=env)
    assert fresh.run("users", "list", env=env).stdout.startswith("email\t")


def test_log_has_mails_escaped_and_neither_requests_nor_secrets(start_server: StartServer) -> None:
    server = start_server(env={"CZO_AUTH_REQUIRE_EMAIL_VERIFICATION": "true"})
    with httpx.Client(base_url=f"{server.url}/api/auth", timeout=30) as client:
        body = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada\n2026 forged"}
        assert client.post("/customer/sign-up", json=body).status_code == 400
        # What a browser calls itself is in the mail too.
        agent = {"User-Agent": "Ada\t2026 forged"}
        body["name"] = "Ada"
        assert client.post("/customer/sign-up", json=body, headers=agent).status_code == 201
        bearer = {"Authorization": "Bearer czo_" + "A" * 43}
        assert client.get("/whoami?key=in-the-query", headers=bearer).status_code == 401
    deadline = time.monotonic() + 60
    while "czm_" not in server.output() and time.monotonic() < deadline:
        time.sleep(0.05)
    written = server.output()
    assert "czo_auth.mail: mail to ada@example.com: czo-auth: Confirm your email address" in written
    # Whatever follows the first line of a record is indented: a line that begins at the margin is the server's.
    after = written.partition("mail to ada@example.com")[2].splitlines()[1:]
    assert after
    assert all(line.startswith("    ") or line == "" for line in after)
    for secret in (PASSWORD, "in-the-query", "A" * 43, "GET /", "/whoami"):
        assert secret not in written


def test_output_that_nobody_reads_does_not_matter(shell: Shell) -> None:
    with serving(shell) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        port = _listening_port(process)
        assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=30).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


def _listening_port(process: Server) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        # A child may end between being listed and being asked.
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children():
                for connection in child.net_connections("tcp"):
                    if connection.status == psutil.CONN_LISTEN:
                        return int(connection.laddr.port)
        time.sleep(0.05)
    raise AssertionError("nobody listens")
