"""
A newcomer's first ten minutes, from a clone and from the wheel: a server, the first administrator with a passkey, a
protected route of their own, a key for it, and a webhook that arrives.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.authenticator import Authenticator
from tests.support.ports import free_port
from tests.support.server import INHERITED
from tests.support.tethered import tethered
from tools.measure_extras import ROOT, build_wheel

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]

MINUTES = 10
START_SECONDS = 120
PASSWORD = "a long enough phrase"
SHOP = """
from fastapi import Depends, FastAPI
from czo_auth import Auth, AuthMiddleware, Principal, Settings

auth = Auth(Settings())
app = FastAPI(lifespan=auth.lifespan())
app.mount("/api/auth", auth.app)
app.add_middleware(AuthMiddleware, auth=auth)


@app.get("/orders")
async def orders(principal: Principal = Depends(auth.require(scopes=["orders:read"]))):
    return {"of": principal.user_id}
"""


class Newcomer:
    """Somebody with a folder, the commands in *bin*, and a browser with a passkey in it."""

    def __init__(self, folder: Path, bin: Path) -> None:
        self.folder = folder
        self.bin = bin
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.env = {
            **inherited,
            "CZO_AUTH_DATA_DIR": str(folder / "data"),
            "CZO_AUTH_PORT": str(self.port),
            "CZO_AUTH_WEBHOOK_ALLOWED_HOSTS": "127.0.0.1",
            "AUTH_ENCRYPTION_KEY": self.run("czo-auth", "keys", "generate").strip(),
        }
        self.http = httpx.Client(base_url=self.url, headers={"origin": self.url}, timeout=60, trust_env=False)

    def run(self, *command: str, stdin: str = "") -> str:
        ran = subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.folder,
            env=getattr(self, "env", dict(os.environ)),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    @contextmanager
    def running(self, *command: str) -> Iterator[None]:
        """Run a server until the block ends."""
        output = self.folder / "output.txt"
        with output.open("wb") as file:
            server = subprocess.Popen(
                tethered([str(self.bin / command[0]), *command[1:]], signal=signal.SIGTERM),
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        try:
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline and server.poll() is None:
                try:
                    if self.http.get("/api/auth/jwks").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.1)
            else:
                pytest.fail(output.read_text())
            yield
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()

    def ask(self, method: str, path: str, status: int, body: object = None) -> Any:
        answer = self.http.request(method, f"/api/auth{path}", **({} if body is None else {"json": body}))
        assert answer.status_code == status, f"{path}: {answer.text}"
        return answer.json()


class Receiver(HTTPServer):
    """Keeps the webhooks that come."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.arrived = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()
        self.server.arrived.set()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def from_clone(folder: Path) -> Path:
    clone = folder / "czo-auth"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True, timeout=120)
    setup = subprocess.run(
        ["make", "setup", f"PYTHON={sys.executable}"],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert setup.returncode == 0, setup.stdout + setup.stderr
    return clone / ".venv" / "bin"


def from_wheel(folder: Path) -> Path:
    wheel = build_wheel(folder)
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([str(uv), "venv", "--quiet", "--python", sys.executable, str(folder / "venv")], check=True)
    wanted = f"czo-auth[server] @ {wheel.as_uri()}"
    install = [
        str(uv),
        "pip",
        "install",
        "--quiet",
        "--python",
        str(folder / "venv" / "bin" / "python"),
        wanted,
    ]
    subprocess.run(install, check=True, timeout=600)
    return folder / "venv" / "bin"


def follow_path(me: Newcomer, said: list[str], began: float, stack: ExitStack) -> None:
    def say(text: str) -> None:
        said.append(f"{time.monotonic() - began:6.1f} s  {text}")

    receiver = stack.enter_context(closing(Receiver()))
    browser = Authenticator(me.url, synced=True)
    with me.running("czo-auth", "serve"):
        say("the server answers")
        create = ("users", "create", "--email", "root@example.com", "--name", "Root", "--actor-type", "admin")
        me.run("czo-auth", *create, "--password-stdin", stdin=PASSWORD + "\n")
        entered = me.ask(
            "POST", "/admin/sign-in/email", 200, {"email": "root@example.com", "password": PASSWORD}
        )
        assert entered["requires2FASetup"] is True
        options = me.ask("GET", "/passkey/generate-register-options", 200)
        registration = {"response": browser.create(options), "ceremony": options["ceremony"]}
        renewed = me.ask("POST", "/passkey/verify-registration", 200, registration)
        assert renewed["session"]["aal"] == 2
        say("the first administrator has a passkey")
        url = f"http://127.0.0.1:{receiver.server_port}/hook"
        webhook = me.ask("POST", "/admin/webhooks", 201, {"url": url, "events": ["auth.apikey.*"]})
        made = me.ask("POST", "/api-keys", 201, {"name": "orders", "scopes": ["orders:read"]})
        key = made["apiKey"]["key"]
        assert receiver.arrived.wait(60), "no webhook came"
        headers, body = receiver.came[0]
        assert json.loads(body)["type"] == "auth.apikey.created"
        secret = base64.b64decode(webhook["secret"].removeprefix("whsec_"))
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        signed = base64.b64encode(hmac.digest(secret, text, hashlib.sha256)).decode()
        assert f"v1,{signed}" in headers["webhook-signature"].split()
        say("a webhook came, signed")
    (me.folder / "shop.py").write_text(SHOP)
    with me.running(
        "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(me.port), "shop:app"
    ):
        assert me.http.get("/orders", headers={"cookie": ""}).status_code in (401, 403)
        answer = httpx.get(f"{me.url}/orders", headers={"authorization": f"Bearer {key}"}, trust_env=False)
        assert answer.status_code == 200, answer.text
        assert httpx.get(f"{me.url}/orders", trust_env=False).status_code == 401
        say("a route of their own takes the key, and nobody else")


@pytest.mark.parametrize("install", [from_clone, from_wheel], ids=["clone", "wheel"])
def test_newcomer_gets_there_in_ten_minutes(install: Any, tmp_path: Path) -> None:
    began = time.monotonic()
    said: list[str] = []
    bin_folder = install(tmp_path)
    said.append(f"{time.monotonic() - began:6.1f} s  installed")
    work = tmp_path / "work"
    work.mkdir()
    with ExitStack() as stack:
        me = Newcomer(work, bin_folder)
        stack.callback(me.http.close)
        follow_path(me, said, began, stack)
    print("\n".join(said))
    assert time.monotonic() - began < MINUTES * 60, said
