"""What is installed by choice: few packages are needed, and one sentence says which extra is missing."""

from __future__ import annotations

import importlib
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from czo_auth import Auth, Settings
from czo_auth.core.actors import ActorType
from czo_auth.errors import StartRefused
from czo_auth.extras import MODULES, MissingExtra, require_extra

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
KEY = "k1:" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1w="
NEEDED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "redis": ("limits", "CZO_AUTH_RATE_LIMIT_URL", {"rate_limit_url": "redis://localhost:6379/0"}),
    "pwned": ("httpx", "CZO_AUTH_PWNED_PASSWORDS_URL", {"pwned_passwords_url": "https://pwned.example"}),
    "rabbitmq": ("aio_pika", "CZO_AUTH_RABBITMQ_URL", {"rabbitmq_url": "amqp://localhost"}),
    "nats": ("nats", "CZO_AUTH_NATS_URL", {"nats_url": "nats://localhost:4222"}),
    "passkeys": ("webauthn", "CZO_AUTH_PASSKEY_RP_ID", {"passkey_rp_id": "localhost"}),
    "metrics": ("prometheus_client", "CZO_AUTH_METRICS_ENABLED", {"metrics_enabled": True}),
    "smtp": (
        "aiosmtplib",
        "CZO_AUTH_SMTP_URL",
        {"smtp_url": "smtp://mail.example", "mail_from": "auth@example.com"},
    ),
    "postgres": ("asyncpg", "PostgreSQL", {"database_url": "postgresql://db.example/auth"}),
}


def sentence(extra: str, feature: str) -> str:
    return f"{feature} needs czo-auth[{extra}]: pip install 'czo-auth[{extra}]'"


def settings(folder: Path, **chosen: Any) -> Settings:
    return Settings(encryption_key=KEY, data_dir=folder, **chosen)


def test_twelve_packages_are_enough() -> None:
    assert len(PROJECT["dependencies"]) <= 12


def test_every_extra_that_the_code_asks_for_is_declared() -> None:
    assert set(MODULES) <= set(PROJECT["optional-dependencies"])


def test_all_brings_every_extra() -> None:
    extras = PROJECT["optional-dependencies"]

    def brought(extra: str) -> set[str]:
        inner = [
            name
            for need in extras[extra]
            if need.startswith("czo-auth[")
            for name in need.removeprefix("czo-auth[").rstrip("]").split(",")
        ]
        return {extra, *inner}.union(*map(brought, inner))

    assert brought("all") == set(extras) - {"testing"}


@pytest.mark.parametrize("extra", NEEDED)
def test_setting_without_its_extra_stops_the_start_in_one_sentence(
    extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, feature, chosen = NEEDED[extra]
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(StartRefused) as refused:
        Auth(settings(tmp_path, **chosen))
    assert str(refused.value) == sentence(extra, feature)


def test_actor_type_that_demands_a_passkey_needs_passkeys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "webauthn", None)
    types = (
        ActorType(name="customer", sign_up_open=True),
        ActorType(name="keeper", two_factor="phishing_resistant"),
    )
    with pytest.raises(MissingExtra) as missing:
        Auth(settings(tmp_path, actor_types=types))
    assert str(missing.value) == sentence("passkeys", "The actor type 'keeper', which demands a passkey,")


def test_a_deployment_without_any_extra_starts_and_names_what_is_asked_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for modules in MODULES.values():
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)
    auth = Auth(settings(tmp_path))
    assert auth.app is not None
    with pytest.raises(MissingExtra) as missing:
        _ = auth.graphql
    assert str(missing.value) == sentence("graphql", "GraphQL")
    with pytest.raises(MissingExtra) as missing:
        _ = auth.pages
    assert str(missing.value) == sentence("pages", "Auth.pages")
    with pytest.raises(MissingExtra) as missing:
        require_extra("testing", "czo_auth.testing")
    assert isinstance(missing.value, ImportError)


def test_mails_have_no_html_where_jinja_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from czo_auth.runtime.clock import utc_now
    from czo_auth.runtime.mail import mail_writer_of, sample_message
    from czo_auth.translations import Catalogs

    chosen = settings(tmp_path)
    catalogs = Catalogs(None, default="en")
    whole = sample_message(
        mail_writer_of(chosen, catalogs), "new_browser", chosen, language=None, now=utc_now()
    )
    monkeypatch.setitem(sys.modules, "jinja2", None)
    plain = sample_message(
        mail_writer_of(chosen, catalogs), "new_browser", chosen, language=None, now=utc_now()
    )
    assert whole.html is not None
    assert plain.html is None
    assert plain.text == whole.text


def test_command_line_without_its_extra_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from czo_auth.cli import main

    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == sentence("cli", "The command line") + "\n"


def test_serve_without_the_server_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from czo_auth.cli.serve import serve

    monkeypatch.delenv("AUTH_ENCRYPTION_KEY", raising=False)
    monkeypatch.setitem(sys.modules, "granian", None)
    with pytest.raises(SystemExit) as ended:
        serve(data_dir=tmp_path)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"czo-auth: {sentence('server', 'czo-auth serve')}\n"
    assert not list(tmp_path.iterdir())


async def test_migrations_of_postgresql_without_its_extra_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from czo_auth.storage.migrate import current_revision

    monkeypatch.delitem(sys.modules, "czo_auth.storage.postgresql_server", raising=False)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(MissingExtra) as missing:
        await current_revision("postgresql://db.example/auth")
    assert str(missing.value) == sentence("postgres", "PostgreSQL")


def test_mcp_without_its_extra_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("czo_auth.integrations.mcp")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingExtra) as missing:
        importlib.import_module("czo_auth.integrations.mcp")
    assert str(missing.value) == sentence("mcp", "czo_auth.integrations.mcp")
