"""
The wheel, as someone gets it: built from the tree, installed into a clean environment, used.

The slowest of the tests (some ten seconds). The packages that czo-auth needs are the pinned ones, from uv's cache;
where uv or its cache is missing, they are borrowed from the environment of the tests, and only the wheel is installed.
"""

from __future__ import annotations

import os
import signal
import site
import subprocess
import sys
import time
import venv
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import httpx
import pytest

from tests.support.ports import free_port
from tests.support.server import INHERITED
from tests.support.tethered import tethered

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "czo_auth"
PINS = ROOT / "requirements" / "base.txt"
START_SECONDS = 90
COMMAND_SECONDS = 180
"""Compiles every module of a new environment; for a machine that does other things beside."""
# What belongs to frameworks and extras that a plain installation does not have.
NOT_EVERYWHERE = (
    *("integrations.django", "integrations.flask", "integrations.litestar", "testing.plugin"),
    *("integrations.mcp.fastmcp", "integrations.mcp.sdk"),
    *("delivery.nats", "delivery.rabbitmq"),
)
IMPORT_ALL = """
import importlib, pkgutil, sys, czo_auth
names = [found.name for found in pkgutil.walk_packages(czo_auth.__path__, "czo_auth.")]
left_out = tuple(sys.argv[1:])
for name in names:
    if not name.endswith((*left_out, "__main__", "migrations.env")):
        importlib.import_module(name)
print(len(names), czo_auth.__file__)
"""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A clean environment with the wheel in it."""

    bin: Path
    folder: Path

    def run(self, *command: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.folder,
            env=self.env(**env),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )

    def env(self, **more: str) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return {
            **inherited,
            "PYTHONWARNINGS": "error",
            "CZO_AUTH_DATA_DIR": str(self.folder / "data"),
            **more,
        }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _done([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)])
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("clean")
    if not _installed_by_uv(wheel, folder / "venv"):
        _installed_with_borrowed_packages(wheel, folder / "venv")
    return Installed(bin=folder / "venv" / "bin", folder=folder)


def _installed_by_uv(wheel: Path, environment: Path) -> bool:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        return False
    _done([str(uv), "venv", "--quiet", "--offline", "--python", sys.executable, str(environment)])
    install = [
        str(uv),
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--python",
        str(environment / "bin" / "python"),
    ]
    pinned = subprocess.run(
        [*install, "--require-hashes", "-r", str(PINS)], capture_output=True, check=False, cwd=environment
    )
    if pinned.returncode == 0:
        _done([*install, "--no-deps", str(wheel)])
    return pinned.returncode == 0


def _installed_with_borrowed_packages(wheel: Path, environment: Path) -> None:
    venv.create(environment, clear=True, with_pip=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    _done([*pip, str(wheel)])
    (packages,) = (environment / "lib").glob("python*/site-packages")
    # A path line does not read the .pth files of the folder it names: the editable czo-auth stays out.
    (packages / "borrowed.pth").write_text("\n".join(site.getsitepackages()) + "\n")


def _done(command: list[str]) -> None:
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if not name.endswith("/")}
    described = {name for name in files if ".dist-info/" in name}
    sources = {
        str(path.relative_to(PACKAGE.parent))
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files - described == sources
    needed = {"py.typed", "storage/migrations/script.py.mako", "crypto/assets/common_passwords.txt.gz"}
    assert {f"czo_auth/{name}" for name in needed} <= files
    assert any(name.startswith("czo_auth/storage/migrations/versions/r0001") for name in files)
    assert any(name.endswith("licenses/LICENSE") for name in described)


def test_wheel_says_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    assert metadata["Name"] == "czo-auth"
    assert metadata["Requires-Python"] == ">=3.11"
    needs = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert any(need.startswith("fastapi") for need in needs)
    hosts = ("django", "flask", "litestar", "a2wsgi")
    assert not [need for need in needs if need.lower().startswith(hosts)]


@pytest.mark.deep
def test_every_module_can_be_imported_with_the_declared_packages(installed: Installed) -> None:
    ran = installed.run("python", "-c", IMPORT_ALL, *NOT_EVERYWHERE)
    assert ran.returncode == 0, ran.stderr
    count, place = ran.stdout.split()
    assert int(count) > 100
    assert Path(place).is_relative_to(installed.folder)


@pytest.mark.deep
def test_migrate_and_users_work(installed: Installed) -> None:
    data = installed.folder / "migrated"
    env = {"CZO_AUTH_DATA_DIR": str(data)}
    migrated = installed.run("czo-auth", "migrate", **env)
    assert migrated.returncode == 0, migrated.stderr
    assert (data / "czo-auth.db").stat().st_mode & 0o777 == 0o600
    create = (
        "czo-auth",
        "users",
        "create",
        "--email",
        "root@example.com",
        "--name",
        "Root",
        "--password-stdin",
    )
    # The bundled list of common passwords is asked.
    common = installed.run(*create, stdin="password1\n", **env)
    assert common.returncode == 1, common.stderr
    assert "appears in known data breaches" in common.stderr
    created = installed.run(*create, stdin="correct horse battery staple\n", **env)
    assert created.returncode == 0, created.stderr


@pytest.mark.deep
def test_serve_works(installed: Installed) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    output = installed.folder / "output.txt"
    with output.open("wb") as file:
        server = subprocess.Popen(
            tethered([str(installed.bin / "czo-auth"), "serve", "--port", str(port)], signal=signal.SIGTERM),
            cwd=installed.folder,
            env=installed.env(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=START_SECONDS) as client:
            _wait_until_ready(client, server, output)
            account = {"name": "Bo", "email": "bo@example.com", "password": "correct horse battery staple"}
            signed_up = client.post("/api/auth/sign-up/email", json=account)
            assert signed_up.status_code == 200, signed_up.text
            enrollment = client.post(
                "/api/auth/two-factor/enable", json={"password": account["password"]}, headers={"origin": url}
            )
            assert enrollment.json()["qrCode"].startswith("data:image/svg+xml")
            assert client.post(
                "/graphql", json={"query": "{ me { email } }"}, headers={"origin": url}
            ).json() == {"data": {"me": {"email": "bo@example.com"}}}
        server.send_signal(signal.SIGINT)
        assert server.wait(15) == 0, output.read_text()
    finally:
        server.kill()
        server.wait()


def _wait_until_ready(client: httpx.Client, server: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"the installed server is not ready\n{output.read_text()}")
