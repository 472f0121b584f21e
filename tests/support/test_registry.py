"""
A test is skipped where its packages cannot be had for a cause outside, and fails where the cause is ours.

Real installers, against registries of 127.0.0.1 that answer as broken, partial and complete ones do.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import os
import shutil
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.delivery.smtp_server import tls_pair
from tests.support.ports import free_port
from tests.support.registry import WITNESSES, fetch, kept_packages

UV = Path(sys.executable).with_name("uv")
INSTALLERS = [
    pytest.param("uv", marks=pytest.mark.skipif(not UV.exists(), reason="uv is not installed here")),
    pytest.param(
        "npm",
        # Half a second each.
        marks=[
            pytest.mark.deep,
            pytest.mark.skipif(shutil.which("npm") is None, reason="node and npm are not installed here"),
        ],
    ),
]
each_installer = pytest.mark.parametrize("installer", INSTALLERS)
TIMEOUT_SECONDS = 2
"""How long the installers wait for the registry themselves."""

Ended = tuple[type[BaseException], str]


class Registry(http.server.ThreadingHTTPServer):
    """
    A registry for both installers.

    Attributes:
        status: Of every answer, unless it is 200; then packages are given, and 404 for others.
        body: What every answer says; empty for packages.
        cut: Only half of each file is sent.
        delay: Seconds before an answer.
        packages: Version, files and scripts by name.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.status = 200
        self.body = b""
        self.cut = False
        self.delay = 0.0
        self.packages: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"

    def add(self, name: str, version: str = "1.0", *, needs: str = "", binding: str = "") -> None:
        """Publish a package, which may need another one, or hold something to compile."""
        wheel, archive = f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.0.tgz"
        self.files[wheel] = _wheel(name, version, needs)
        self.files[archive] = _archive(name, f"{version}.0", binding)
        self.packages[name] = version

    def content(self, path: str) -> bytes | None:
        """Return what a registry of Python's or node's packages has at *path*."""
        name = path.strip("/").rpartition("/")[2]
        if name in self.files:
            return self.files[name]
        if name not in self.packages:
            return None
        version = self.packages[name]
        if not path.startswith("/simple/"):
            tarball = f"{self.url}/{name}-{version}.0.tgz"
            versions = {
                f"{version}.0": {"name": name, "version": f"{version}.0", "dist": {"tarball": tarball}}
            }
            latest = {"latest": f"{version}.0"}
            return json.dumps({"name": name, "dist-tags": latest, "versions": versions}).encode()
        wheel = f"{name}-{version}-py3-none-any.whl"
        return f'<html><body><a href="{self.url}/{wheel}">{wheel}</a></body></html>'.encode()

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that do not trust the certificate."""


class _Answers(http.server.BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        registry = self.server
        time.sleep(registry.delay)
        content = registry.body or registry.content(self.path)
        status = registry.status if registry.status != 200 or content is not None else 404
        sent = content or b""
        self.send_response(status)
        # npm's metadata is JSON for it in any case.
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        is_cut = registry.cut and self.path.endswith((".whl", ".tgz"))
        self.wfile.write(sent[: len(sent) // 2] if is_cut else sent)

    def do_HEAD(self) -> None:
        self.send_error(405)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _wheel(name: str, version: str, needs: str) -> bytes:
    written, about = io.BytesIO(), f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    parts = {
        f"{name}.py": "",
        f"{about}/METADATA": metadata + (f"Requires-Dist: {needs}\n" if needs else ""),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{path},{_hash(text)},{len(text)}" for path, text in parts.items()]
    with zipfile.ZipFile(written, "w") as wheel:
        for path, text in parts.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{about}/RECORD", "\n".join([*lines, f"{about}/RECORD,,"]))
    return written.getvalue()


def _hash(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def _archive(name: str, version: str, binding: str) -> bytes:
    written = io.BytesIO()
    parts = {"package.json": json.dumps({"name": name, "version": version})}
    if binding:
        parts["binding.gyp"] = binding
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for path, text in parts.items():
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return written.getvalue()


@contextmanager
def answering(registry: Registry) -> Iterator[None]:
    """Let *registry* answer meanwhile."""
    thread = threading.Thread(target=registry.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        registry.shutdown()
        registry.server_close()


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry that answers, and is empty."""
    made = Registry()
    with answering(made):
        yield made


@pytest.fixture
def install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, registry: Registry
) -> Callable[..., Ended | None]:
    """Fetch with a real installer from `registry`; returns how the test would end, or None where it goes on."""
    for name in [*os.environ]:
        if name.lower().startswith(("uv_", "npm_config_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    settings = {
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "UV_HTTP_RETRIES": "0",
        "UV_HTTP_TIMEOUT": str(TIMEOUT_SECONDS),
        "npm_config_userconfig": str(tmp_path / "user"),
        "npm_config_globalconfig": str(tmp_path / "global"),
        "npm_config_cache": str(tmp_path / "npm"),
        "npm_config_fetch_retries": "0",
        "npm_config_fetch_timeout": str(TIMEOUT_SECONDS * 1000),
        "npm_config_update_notifier": "false",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}')

    def run(
        installer: str, *packages: str, url: str = "", more: tuple[str, ...] = (), seconds: float = 60
    ) -> Ended | None:
        address = url or registry.url
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{address}/simple")
        monkeypatch.setenv("npm_config_registry", address)
        commands = {
            "uv": (str(UV), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder)),
            "npm": ("npm", "install", "--no-package-lock", "--no-audit", "--no-fund"),
        }
        try:
            fetch([*commands[installer], *more], packages=packages, seconds=seconds, cwd=folder)
        # Both, for a skip that comes out of here would skip this test.
        except (pytest.skip.Exception, pytest.fail.Exception) as ended:
            return type(ended), str(ended.msg)
        return None

    return run


Install = Callable[..., Ended | None]


def check_skipped(ended: Ended | None, *, because: str = "") -> None:
    assert ended is not None, "it was installed"
    kind, reason = ended
    assert kind is pytest.skip.Exception, reason
    assert reason.startswith("no registry gave ")
    assert because in reason
    assert "\n" not in reason
    assert len(reason) < 400


def check_failed(ended: Ended | None, *, because: str) -> None:
    assert ended is not None, "it was installed"
    kind, reason = ended
    assert kind is pytest.fail.Exception, reason
    assert because in reason


@each_installer
def test_packages_that_a_registry_has_let_the_test_go_on(
    installer: str, registry: Registry, install: Install, tmp_path: Path
) -> None:
    registry.add("alpha")
    assert install(installer, "alpha") is None
    assert (tmp_path / "folder" / ("alpha.py" if installer == "uv" else "node_modules/alpha")).exists()


# The network and the registry


@each_installer
def test_registry_that_refuses_connections_skips(installer: str, install: Install) -> None:
    check_skipped(install(installer, "alpha", url=f"http://127.0.0.1:{free_port()}"), because="alpha")


@each_installer
def test_registry_without_an_address_skips(installer: str, install: Install) -> None:
    check_skipped(install(installer, "alpha", url="http://registry.invalid"))


@each_installer
def test_proxy_that_refuses_connections_skips(
    installer: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    check_skipped(install(installer, "alpha", url="https://registry.invalid"))


@each_installer
@pytest.mark.parametrize("status", [401, 403, 407, 429, 503])
def test_registry_that_serves_nobody_skips(
    installer: str, status: int, registry: Registry, install: Install
) -> None:
    registry.status = status
    check_skipped(install(installer, "alpha"), because=str(status))


@each_installer
def test_registry_that_does_not_speak_tls_skips(installer: str, registry: Registry, install: Install) -> None:
    check_skipped(install(installer, "alpha", url=registry.url.replace("http:", "https:")))


@each_installer
def test_registry_whose_certificate_nobody_trusts_skips(
    installer: str, install: Install, tmp_path: Path
) -> None:
    secured = Registry()
    secured.socket = tls_pair(tmp_path)[0].wrap_socket(secured.socket, server_side=True)
    with answering(secured):
        check_skipped(install(installer, "alpha", url=secured.url.replace("http:", "https:")))


@each_installer
def test_registry_that_the_installer_stops_waiting_for_skips(
    installer: str, registry: Registry, install: Install
) -> None:
    registry.delay = TIMEOUT_SECONDS + 1
    check_skipped(install(installer, "alpha"))


@each_installer
def test_installer_that_takes_too_long_is_not_waited_for(
    installer: str, registry: Registry, install: Install
) -> None:
    registry.delay = TIMEOUT_SECONDS + 1
    check_skipped(install(installer, "alpha", seconds=0.5), because="longer than 0.5 s")


@each_installer
def test_file_that_arrives_in_part_skips(installer: str, registry: Registry, install: Install) -> None:
    registry.add("alpha")
    registry.cut = True
    check_skipped(install(installer, "alpha"))


@each_installer
def test_page_in_place_of_the_registry_skips(installer: str, registry: Registry, install: Install) -> None:
    """As a network gives that wants a person to sign in first."""
    registry.body = b"<html><body>Please sign in.</body></html>"
    check_skipped(install(installer, "alpha"))


@each_installer
def test_installer_that_is_set_to_work_offline_skips(
    installer: str, registry: Registry, install: Install
) -> None:
    registry.add("alpha")
    check_skipped(install(installer, "alpha", more=("--offline",)))


def test_uv_that_is_set_to_ask_no_registry_skips(install: Install) -> None:
    if not UV.exists():
        pytest.skip("uv is not installed here")
    check_skipped(install("uv", "alpha", more=("--no-index",)))


@pytest.mark.deep
def test_machine_that_cannot_compile_skips(
    registry: Registry, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("node and npm are not installed here")
    programs = tmp_path / "programs"
    programs.mkdir()
    for program in (npm, node, "/bin/sh", "/usr/bin/env"):
        (programs / Path(program).name).symlink_to(Path(program).resolve())
    monkeypatch.setenv("PATH", str(programs))
    registry.add("alpha", binding='{"targets": [{"target_name": "alpha", "sources": ["alpha.c"]}]}')
    check_skipped(install("npm", "alpha"))


# What a registry does not have

ABSENT = {
    "uv": ["beta", "beta==1.*", "alpha==2.0", "alpha==2.*", "alpha>=2", "alpha==1.0 beta"],
    "npm": ["beta", "beta@1.0.0", "@beta/beta", "alpha@2.0.0", "alpha@2", "alpha@next", "alpha@1.0.0 beta"],
}
EACH_ABSENT = [
    pytest.param(*installer.values, wanted, marks=installer.marks)
    for installer in INSTALLERS
    for wanted in ABSENT[str(installer.values[0])]
]


@pytest.mark.parametrize(("installer", "wanted"), EACH_ABSENT)
def test_name_or_version_that_a_complete_registry_does_not_have_fails(
    installer: str, wanted: str, registry: Registry, install: Install
) -> None:
    """It is misspelled, or does not exist: a skip would hide that."""
    registry.add("alpha")
    registry.add(WITNESSES[installer])
    check_failed(install(installer, *wanted.split()), because="beta" if "beta" in wanted else "alpha")


@pytest.mark.parametrize(("installer", "wanted"), EACH_ABSENT)
def test_name_or_version_that_a_partial_registry_does_not_have_skips(
    installer: str, wanted: str, registry: Registry, install: Install
) -> None:
    registry.add("alpha")
    check_skipped(install(installer, *wanted.split()), because=f"does not have {WITNESSES[installer]} either")


@each_installer
def test_asking_for_the_witness_installs_nothing(
    installer: str, registry: Registry, install: Install, tmp_path: Path
) -> None:
    registry.add(WITNESSES[installer])
    check_failed(install(installer, "beta"), because="beta")
    assert not [*(tmp_path / "folder").rglob(f"*{WITNESSES[installer]}*")]
    assert "dependencies" not in (tmp_path / "folder" / "package.json").read_text()


# Ours


def test_versions_that_exclude_each_other_fail_with_uv(registry: Registry, install: Install) -> None:
    if not UV.exists():
        pytest.skip("uv is not installed here")
    registry.add("alpha", needs="beta<1")
    registry.add("beta")
    registry.add(WITNESSES["uv"])
    check_failed(install("uv", "alpha", "beta==1.0"), because="unsatisfiable")


@each_installer
@pytest.mark.parametrize("wanted", ["al pha", "alpha@>>", "alpha==="])
def test_requirement_that_is_none_fails(
    installer: str, wanted: str, registry: Registry, install: Install
) -> None:
    registry.add("alpha")
    check_failed(install(installer, wanted), because=wanted)


def test_option_that_uv_does_not_know_fails(registry: Registry, install: Install) -> None:
    if not UV.exists():
        pytest.skip("uv is not installed here")
    registry.add("alpha")
    check_failed(install("uv", "alpha", more=("--no-such-option",)), because="--no-such-option")


# What is kept


def test_packages_are_made_once_and_again_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a changed version is really fetched, and an installation that failed is not kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").touch()

    def fail(folder: Path) -> None:
        (folder / "file").touch()
        pytest.fail("cannot be installed")

    with pytest.raises(pytest.fail.Exception):
        kept_packages("any", ["alpha==1", "beta"], fail)
    first = kept_packages("any", ["alpha==1", "beta"], make)
    assert (first / "file").exists()
    assert kept_packages("any", ["beta", "alpha==1"], make) == first
    assert len(made) == 1
    assert kept_packages("any", ["alpha==2", "beta"], make) != first
    assert len(made) == 2
    assert not [each for each in first.parent.iterdir() if not each.name.startswith("any-")]
