"""The files in deploy/: linters find nothing in them, and what they build and start, starts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from czo_auth.crypto.sealing import new_key_text
from czo_auth.setting_sources import OTHER_VARIABLES, variable_of
from czo_auth.settings import SECRETS, Settings
from tests.deploy.files import DEPLOY, ROOT, compose, manifests, stages, unit_settings, units
from tests.support.nats import NatsServer
from tests.support.nginx import PROGRAM as NGINX
from tests.support.nginx import Nginx
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.server import RunningServer

BIN = Path(sys.executable).parent
SETTINGS = (
    {variable_of(name) for name in Settings.model_fields}
    | {f"{variable_of(name)}_FILE" for name in SECRETS}
    | OTHER_VARIABLES
)
KUBERNETES = "1.34"
EXPOSURE = "20"
"""Of a unit, from 0 to 100, as systemd counts it."""


def lint(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


# --- linters ---
def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    lint(str(BIN / "hadolint"), str(DEPLOY / "Dockerfile"))


def test_compose_file_is_of_compose_s_schema() -> None:
    lint(
        str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yml")
    )


@pytest.mark.parametrize("path", sorted((DEPLOY / "kubernetes").glob("*.yaml")), ids=lambda path: path.name)
def test_manifests_are_of_kubernetes_schemas(path: Path) -> None:
    lint(str(BIN / "kubernetes-validate"), "--strict", "--kubernetes-version", KUBERNETES, str(path))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_units_are_right_and_hardened(tmp_path: Path) -> None:
    for unit in units():
        text = unit.read_text().replace("/opt/czo-auth/bin/czo-auth", shutil.which("true") or "/bin/true")
        (tmp_path / unit.name).write_text(text)
    for unit in units():
        lint("systemd-analyze", "verify", str(tmp_path / unit.name))
        if unit.suffix == ".service":
            lint("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", str(unit))


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text(nginx_configuration(tmp_path, listen=free_port(), servers=[free_port()]))
    lint(str(NGINX), "-t", "-p", str(tmp_path), "-c", str(path))


# --- what they say about the product ---
def test_every_setting_in_the_files_exists() -> None:
    named = set(stages()[-1].environment()) | set(compose()["x-auth"]["environment"])
    for thing in manifests():
        if thing["kind"] == "ConfigMap":
            named |= set(thing["data"])
    for unit in units():
        named |= {value.partition("=")[0] for name, value in unit_settings(unit) if name == "Environment"}
    assert {name for name in named if "AUTH_" in name} <= SETTINGS


def test_no_container_runs_as_root_or_may_become_it() -> None:
    assert stages()[-1].all_of("USER") == ["10001:10001"]
    service = compose()["services"]["auth"]
    assert (service["cap_drop"], service["read_only"]) == (["ALL"], True)
    for thing in manifests():
        if thing["kind"] in ("Deployment", "Job"):
            pod = thing["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"]
            for container in pod["containers"]:
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
                assert not container["securityContext"]["allowPrivilegeEscalation"]


def test_servers_wait_for_the_migration_and_never_all_go_at_once() -> None:
    waits = compose()["services"]["auth"]["depends_on"]
    assert waits["migrate"]["condition"] == "service_completed_successfully"
    by_kind: dict[str, Any] = {thing["kind"]: thing for thing in manifests()}
    assert by_kind["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert by_kind["PodDisruptionBudget"]["spec"]["minAvailable"] == 1
    assert by_kind["ConfigMap"]["data"]["CZO_AUTH_AUTO_MIGRATE"] == "false"
    (container,) = by_kind["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert by_kind["Job"]["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]


def test_no_file_names_a_package_index_and_all_packages_have_hashes() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            assert not re.search(r"index-url|pypi\.org", path.read_text()), path
    steps = " ".join(stages()[0].all_of("RUN"))
    assert "--require-hashes" in steps
    assert "--no-index ." in steps


# --- what they start ---
@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's folder of programs, built by the steps of the Dockerfile in a clean folder."""
    directory = tmp_path_factory.mktemp("image")
    source, installed = directory / "source", directory / "czo-auth"
    source.mkdir()
    for name, rest in stages()[0].steps:
        if name == "COPY":
            *sources, target = rest.split()
            for each in sources:
                place = source / (target if target != "./" else each)
                place.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / each).is_dir():
                    shutil.copytree(ROOT / each, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / each, place)
        elif name == "RUN":
            command = rest.replace("/opt/czo-auth", str(installed)).replace(
                "python -m venv", f"{sys.executable} -m venv"
            )
            done = subprocess.run(
                ["bash", "-c", command], cwd=source, capture_output=True, text=True, check=False, timeout=280
            )
            assert done.returncode == 0, done.stdout + done.stderr
    return installed / "bin"


def nginx_configuration(directory: Path, *, listen: int, servers: list[int]) -> str:
    text = (DEPLOY / "nginx.conf").read_text()
    assert "server auth:8000 resolve;" in text
    named = " ".join(f"server 127.0.0.1:{port};" for port in servers)
    text = text.replace("server auth:8000 resolve;", named).replace(
        "listen 8080", f"listen 127.0.0.1:{listen}"
    )
    text = text.replace("/tmp/nginx.pid", str(directory / "nginx.pid"))
    text = text.replace("/dev/stdout", str(directory / "access.log"))
    temporary = "".join(
        f"{name}_temp_path {directory / name};\n    "
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return "daemon off;\nerror_log stderr;\n" + text.replace("http {\n", f"http {{\n    {temporary}", 1)


class FromImage(RunningServer):
    """A server started by the image's programs."""

    def __init__(self, directory: Path, programs: Path, env: dict[str, str]) -> None:
        last = stages()[-1]
        self.entry_point = str(programs / last.words("ENTRYPOINT")[0])
        super().__init__(directory, env=env, program=[self.entry_point])
        self._words = last.words("CMD")
        self.env |= {"CZO_AUTH_PORT": str(self.port), "PATH": f"{programs}:{os.environ['PATH']}"}

    def healthcheck(self) -> int:
        words = stages()[-1].words("HEALTHCHECK")
        return subprocess.run(
            [shutil.which(words[0], path=self.env["PATH"]) or words[0], *words[1:]],
            env=self.env,
            check=False,
            capture_output=True,
        ).returncode


@pytest.fixture
def environment(
    postgres_server: PostgresServer, tmp_path: Path
) -> Iterator[tuple[dict[str, str], NatsServer]]:
    """What the compose file gives its servers, with this machine's addresses in it."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    name = postgres_server.create_database()
    (secrets / "encryption_key").write_text(new_key_text())
    (secrets / "database_url").write_text(postgres_server.url(name))
    reported: dict[str, str] = compose()["services"]["auth"]["environment"]
    (tmp_path / "nats").mkdir()
    with NatsServer(tmp_path / "nats") as nats:
        env = {name: value.replace("/run/secrets", str(secrets)) for name, value in reported.items()}
        env = stages()[-1].environment() | env
        del env["PATH"]
        env |= {
            "CZO_AUTH_HOST": "127.0.0.1",
            "CZO_AUTH_DATA_DIR": str(tmp_path / "data"),
            "CZO_AUTH_NATS_URL": nats.url,
            "CZO_AUTH_TRUSTED_PROXIES": "127.0.0.1",
            "CZO_AUTH_SMTP_URL": "smtp://127.0.0.1:1",
        }
        yield env, nats
    postgres_server.drop_database(name)


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_image_migrates_serves_behind_nginx_and_is_found_healthy(
    image: Path, environment: tuple[dict[str, str], NatsServer], tmp_path: Path
) -> None:
    env, _ = environment
    port = free_port()
    env["CZO_AUTH_BASE_URL"] = f"http://127.0.0.1:{port}"
    servers = [FromImage(tmp_path / f"server-{number}", image, env) for number in range(2)]
    migrate = [servers[0].entry_point, *compose()["services"]["migrate"]["command"]]
    lint_env = servers[0].env
    done = subprocess.run(migrate, env=lint_env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert servers[0].healthcheck() != 0
    ports = [server.port for server in servers]
    configuration = nginx_configuration(tmp_path / "nginx", listen=port, servers=ports)
    front = Nginx(tmp_path / "nginx", configuration=configuration, port=port)
    try:
        for server in servers:
            server.start()
            assert server.healthcheck() == 0
        front.start()
        body = {"email": "ada@example.com", "password": "a sentence that nobody guesses", "name": "Ada"}
        with httpx.Client(base_url=front.url) as http:
            assert http.post("/api/auth/customer/sign-up", json=body).status_code == 201
            # How the deployment is, is not for the world.
            assert [http.get(path).status_code for path in ("/metrics", "/readyz", "/healthz")] == [
                404,
                404,
                200,
            ]
        for server in servers:
            server.stop()
    finally:
        for server in servers:
            server.kill()
        front.stop()
