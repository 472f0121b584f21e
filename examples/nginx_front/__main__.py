"""``python -m examples.nginx_front``: czo-auth, a service, and nginx in front of the service, until Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AUTH_PORT = int(os.environ.get("CZO_AUTH_PORT", "8000"))
ORDERS_PORT = int(os.environ.get("ORDERS_PORT", "8001"))
NGINX_PORT = int(os.environ.get("NGINX_PORT", "8080"))
WELCOME = f"""\
nginx listens on http://127.0.0.1:{NGINX_PORT} in front of the service, and czo-auth on http://localhost:{AUTH_PORT}

  nobody          curl -i http://127.0.0.1:{NGINX_PORT}/today
  with a key      curl http://127.0.0.1:{NGINX_PORT}/today -H 'authorization: Bearer czo_…'   (scope orders:read)
  get a key       http://localhost:{AUTH_PORT}/account/
"""


def configuration() -> str:
    """Return nginx.conf with the ports of this run."""
    text = Path(__file__).with_name("nginx.conf").read_text("utf-8")
    for written, port in ((":8000", AUTH_PORT), (":8001", ORDERS_PORT), (":8080", NGINX_PORT)):
        text = text.replace(f"127.0.0.1{written}", f"127.0.0.1:{port}")
    return text


def commands(nginx: str, folder: Path) -> list[list[str]]:
    """Return the three commands."""
    return [
        [sys.executable, "-m", "czo_auth", "serve"],
        [
            *(sys.executable, "-m", "granian", "--interface", "asgi", "--no-ws", "--log-level", "warning"),
            *("--port", str(ORDERS_PORT), "examples.nginx_front.orders:app"),
        ],
        [nginx, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"],
    ]


def main() -> None:
    """Run all three until Ctrl-C, or until one of them ends."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if nginx is None:
        raise SystemExit("This example needs nginx: apt install nginx, or brew install nginx.")
    environment = {
        "CZO_AUTH_DATA_DIR": ".czo-auth/nginx_front",
        **os.environ,
        "CZO_AUTH_PORT": str(AUTH_PORT),
        "CZO_AUTH_TRUSTED_PROXIES": "127.0.0.1",
    }
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="czo-auth-nginx-") as name:
        (Path(name) / "nginx.conf").write_text(configuration(), "utf-8")
        # In sessions of their own, so that Ctrl-C reaches this process only, which ends them in order.
        processes = [
            subprocess.Popen(command, env=environment, start_new_session=True)
            for command in commands(nginx, Path(name))
        ]
        print(WELCOME, flush=True)
        try:
            while all(process.poll() is None for process in processes):
                time.sleep(0.2)
        except KeyboardInterrupt:
            pass
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                process.wait()


if __name__ == "__main__":
    main()
