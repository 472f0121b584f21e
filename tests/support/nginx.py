"""A real nginx in front of several servers of a test."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx

from tests.support.ports import free_port
from tests.support.program import Program, takes_connections

START_SECONDS = 120
PROGRAM: Final = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
"""Where it is installed; None where it is not."""

CONFIGURATION: Final = """\
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream auth {{
        {servers}
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://auth;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            # As in deploy/nginx.conf. The header says how much of the request each server got.
            proxy_next_upstream error timeout;
            add_header X-Upstream-Bytes-Sent $upstream_bytes_sent always;
            proxy_connect_timeout 2s;
            proxy_read_timeout 30s;
        }}
    }}
}}
"""


def was_repeated(answer: httpx.Response) -> bool:
    """
    Say whether nginx sent the request to another server after one that had got it gave no answer.

    It does so for methods that may be repeated (RFC 9110 section 9.2.2); the first server may have done what it was
    asked. A server that refused the connection got nothing, and does not count.
    """
    *before, _ = answer.headers.get("x-upstream-bytes-sent", "0").split(", ")
    return any(sent not in ("0", "-") for sent in before)


class Nginx(Program):
    """
    One nginx on a port of 127.0.0.1, whose requests go to the servers on *ports* in turn.

    Args:
        directory: Where its files go.
        configuration: Another one than the usual; it says ``daemon off`` and listens on *port*.
    """

    def __init__(
        self,
        directory: Path,
        ports: Sequence[int] = (),
        *,
        configuration: str | None = None,
        port: int | None = None,
    ) -> None:
        self.port = port or free_port()
        self._configuration = configuration
        self.url = f"http://127.0.0.1:{self.port}"
        self.ports = list(ports)
        self._directory = directory

    def start(self) -> None:
        """Start, and return when it takes connections."""
        assert PROGRAM is not None, "nginx is not installed"
        self._directory.mkdir(parents=True, exist_ok=True)
        configuration = self._directory / "nginx.conf"
        servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in self.ports)
        configuration.write_text(
            self._configuration
            or CONFIGURATION.format(directory=self._directory, servers=servers, port=self.port)
        )
        output = self._directory / "output.txt"
        self._run(
            [PROGRAM, "-p", str(self._directory), "-c", str(configuration)],
            output=output,
            ended_by=signal.SIGTERM,
        )
        self._wait(
            lambda: takes_connections(self.port),
            seconds=START_SECONDS,
            failure=lambda: f"nginx does not start:\n{output.read_text()}",
        )

    def stop(self) -> None:
        """End it and its workers; harmless when repeated."""
        self._terminate(seconds=5)
