"""A real PgBouncer in front of a test's PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import Final

from tests.support.ports import free_port
from tests.support.postgres import SUPERUSER, PostgresServer
from tests.support.program import Program, takes_connections

START_SECONDS = 120
PROGRAM: Final = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
"""Where it is installed; None where it is not."""


class PgBouncer(Program):
    """
    One pooler on a port of 127.0.0.1, for every database of *server*; both use the server's password.

    Args:
        mode: ``transaction`` or ``session``.
        connections: Connections to PostgreSQL for each database.
    """

    def __init__(self, server: PostgresServer, *, mode: str = "transaction", connections: int = 3) -> None:
        self.port = free_port()
        self._server = server
        self._mode = mode
        self._connections = connections
        self._directory = Path(tempfile.mkdtemp(prefix="czo-bouncer-", dir="/tmp"))
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    def url(self, database: str) -> str:
        """Give the address of *database* through the pooler."""
        return f"postgresql://{SUPERUSER}:{self._server.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, and return when it takes connections."""
        assert PROGRAM is not None, "PgBouncer is not installed"
        users = self._directory / "users.txt"
        users.write_text(f'"{SUPERUSER}" "{self._server.password}"\n')
        settings = self._directory / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self._server.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = plain\nauth_file = {users}\npool_mode = {self._mode}\n"
            f"default_pool_size = {self._connections}\nmax_client_conn = 500\n"
            # It asks again this soon after PostgreSQL was away; by default after 15 seconds.
            "server_login_retry = 1\nquery_wait_timeout = 10\n"
        )
        uid, gid = (self._account.pw_uid, self._account.pw_gid) if self._account else (-1, -1)
        if self._account is not None:
            for path in (self._directory, users, settings):
                os.chown(path, uid, gid)
        self._run([PROGRAM, str(settings)], output=self._directory / "log", uid=uid, gid=gid)
        self._wait(
            lambda: takes_connections(self.port),
            seconds=START_SECONDS,
            failure=lambda: f"PgBouncer does not start:\n{self.log()}",
        )

    def log(self) -> str:
        """Give what it wrote so far."""
        return (self._directory / "log").read_text(errors="replace")

    def kill(self) -> None:
        """End it at once; `start` begins again on the same port. Harmless when repeated."""
        self._kill()

    def stop(self) -> None:
        """End it at once, and delete its files; harmless when repeated."""
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)
