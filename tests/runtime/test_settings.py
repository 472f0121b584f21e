"""What the settings keep to themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from czo_auth import ActorType, Auth, Settings, StartRefused
from czo_auth.core.limits import MAX_SETTING_FILE_BYTES
from czo_auth.core.mail import read_sender
from czo_auth.crypto.sealing import new_key_text
from czo_auth.delivery.smtp import SmtpSettings
from czo_auth.deployment import read_settings
from czo_auth.setting_sources import variable_of
from czo_auth.settings import SECRETS

PASSWORD = "a-word-that-nobody-may-read"


def test_no_password_shows_in_what_is_printed() -> None:
    key = new_key_text()
    settings = Settings(
        encryption_key=key,  # type: ignore[arg-type]
        database_url=f"postgresql://czo:{PASSWORD}@db.example/czo",
        database_direct_url=f"postgresql://czo:{PASSWORD}@primary.example/czo",
        rate_limit_url=f"redis://:{PASSWORD}@redis.example:6379/0",
        smtp_url=f"smtp://czo:{PASSWORD}@mail.example:587",  # type: ignore[arg-type]
        rabbitmq_url=f"amqps://czo:{PASSWORD}@rabbit.example/",  # type: ignore[arg-type]
        nats_url=f"tls://czo:{PASSWORD}@nats.example",  # type: ignore[arg-type]
    )
    for printed in (repr(settings), str(settings), f"{settings}"):
        assert PASSWORD not in printed
        assert key not in printed


VALUES = {
    "encryption_key": new_key_text(),
    "database_url": "postgresql://u:p@db.example/czo",
    "database_direct_url": "postgresql://u:p@primary.example/czo",
    "rate_limit_url": "redis://:p@redis.example:6379/0",
    "smtp_url": "smtp://u:p@mail.example:587",
    "rabbitmq_url": "amqp://u:p@rabbit.example/vhost",
    "nats_url": "nats://u:p@one.example:4222,tls://u:p@two.example",
}


def plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


@pytest.mark.parametrize("name", Settings.model_fields)
def test_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    unset = read_settings()
    monkeypatch.setenv(variable_of(name), "")
    assert read_settings() == unset
    assert getattr(Settings(), name) == getattr(unset, name) or name == "pages_enabled"


def test_every_secret_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert set(VALUES) == set(SECRETS)
    hidden = {name for name, field in Settings.model_fields.items() if not field.repr}
    hidden |= {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert hidden <= set(SECRETS)
    for name, value in VALUES.items():
        file = tmp_path / name
        file.write_text(f"{value}\n")
        monkeypatch.setenv(f"{variable_of(name)}_FILE", str(file))
    settings = read_settings()
    assert {name: plain(getattr(settings, name)) for name in SECRETS} == VALUES


@pytest.mark.parametrize("name", SECRETS)
def test_file_that_cannot_be_used_is_named_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    variable = f"{variable_of(name)}_FILE"
    empty, binary, large = tmp_path / "empty", tmp_path / "binary", tmp_path / "large"
    empty.write_text(" \n")
    binary.write_bytes(b"\xff\xfe\x00")
    large.write_bytes(b"x" * (MAX_SETTING_FILE_BYTES + 1))
    for path in (tmp_path / "missing", tmp_path, empty, binary, large):
        monkeypatch.setenv(variable, str(path))
        with pytest.raises(StartRefused, match=f"^{variable} names a file that ") as refusal:
            read_settings()
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", SECRETS)
def test_secret_that_is_there_twice_is_refused_and_an_argument_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret").write_text(VALUES[name])
    monkeypatch.setenv(f"{variable_of(name)}_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv(variable_of(name), VALUES[name])
    with pytest.raises(StartRefused, match="are both set"):
        read_settings()
    monkeypatch.setenv(variable_of(name), "")
    assert plain(getattr(read_settings(), name)) == VALUES[name]
    assert plain(getattr(read_settings(**{name: f"{VALUES[name]}1"}), name)) == f"{VALUES[name]}1"


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("CZO_AUTH_BASEURL", "CZO_AUTH_BASE_URL"),
        ("CZO_AUTH_TRUSTED_ORIGIN", "CZO_AUTH_TRUSTED_ORIGINS"),
        ("CZO_AUTH_ENCRYPTION_KEY", "AUTH_ENCRYPTION_KEY"),
        ("AUTH_ENCRYPTION_KEYS", "AUTH_ENCRYPTION_KEY"),
        ("czo_auth_prot", "CZO_AUTH_PORT"),
        ("CZO_AUTH_SMTP_URLFILE", "CZO_AUTH_SMTP_URL_FILE"),
        ("CZO_AUTH_PORT_FILE", "CZO_AUTH_"),
        ("CZO_AUTH_ZZZZZZ", None),
    ],
)
def test_misspelled_variable_is_refused_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, variable: str, meant: str | None
) -> None:
    monkeypatch.setenv(variable, "x")
    with pytest.raises(StartRefused, match=f"{variable.upper()} is not a setting") as refusal:
        read_settings()
    assert (f"did you mean {meant}" in str(refusal.value)) is (meant is not None)
    assert not str(refusal.value).endswith("?.")


def test_actor_types_come_from_the_environment_and_from_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted = (
        ActorType(name="buyer", sign_up_open=True),
        ActorType(name="staff", requires_two_factor=True, administers=True),
        ActorType(
            name="clerk",
            two_factor="required",
            required_from=datetime(2027, 1, 1, tzinfo=UTC),
            grace=timedelta(days=14),
        ),
    )
    text = json.dumps(
        [
            {"name": "buyer", "sign_up_open": True},
            {"name": "staff", "requires_two_factor": True, "administers": True},
            {
                "name": "clerk",
                "two_factor": "required",
                "required_from": "2027-01-01T00:00:00Z",
                "grace": "P14D",
            },
        ]
    )
    monkeypatch.setenv("CZO_AUTH_ACTOR_TYPES", text)
    assert read_settings().actor_types == wanted
    monkeypatch.delenv("CZO_AUTH_ACTOR_TYPES")
    (tmp_path / "actors.json").write_text(text)
    (tmp_path / "actors.toml").write_text(
        '[[actor_types]]\nname = "buyer"\nsign_up_open = true\n'
        '[[actor_types]]\nname = "staff"\nrequires_two_factor = true\nadministers = true\n'
        '[[actor_types]]\nname = "clerk"\ntwo_factor = "required"\n'
        'required_from = 2027-01-01T00:00:00Z\ngrace = "P14D"\n'
    )
    for name in ("actors.json", "actors.toml"):
        monkeypatch.setenv("CZO_AUTH_ACTOR_TYPES_FILE", str(tmp_path / name))
        assert read_settings().actor_types == wanted


@pytest.mark.parametrize(
    "text",
    [
        "customer, admin",
        "[]",
        '[{"name": "session"}]',
        '[{"name": "a"}, {"name": "a"}]',
        '[{"name": "a", "sign_up": true}]',
        '[{"name": "a", "required_from": "2027-01-01T00:00:00Z"}]',
        '[{"name": "a", "two_factor": "required", "required_from": "2027-01-01T00:00:00"}]',
        '[{"name": "a", "two_factor": "required", "grace": "P91D"}]',
        '[{"name": "a", "two_factor": "required", "grace": "-P1D"}]',
        '[{"name": "a", "two_factor": "required", "administers": true, "grace": "P1D"}]',
        '["a"]',
        '{"name": "a"}',
    ],
)
def test_actor_types_that_make_no_sense_are_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("CZO_AUTH_ACTOR_TYPES", text)
    with pytest.raises(StartRefused, match="CZO_AUTH_ACTOR_TYPES") as refusal:
        read_settings()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("auth@example.com", "", "auth@example.com"),
        ("Shop <a@b.c>", "Shop", "a@b.c"),
        ('"Shop, Inc." <a@b.c>', "Shop, Inc.", "a@b.c"),
        ("Tür & Tor <a@b.c>", "Tür & Tor", "a@b.c"),
        ("<a@b.c>", "", "a@b.c"),
    ],
)
def test_sender_may_have_a_name(text: str, name: str, address: str) -> None:
    assert read_sender(Settings(mail_from=text).mail_from) == (name, address)
    sender = SmtpSettings.from_url("smtp://mail.example", sender=text)
    assert (sender.sender_name, sender.sender) == (name, address)


@pytest.mark.parametrize(
    "text", ["Shop", "Shop <a>", "a@b.c, d@e.f", "Shop <a@b.c", "Shop\n <a@b.c>", "a b@c.d"]
)
def test_invalid_sender_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="mail_from"):
        Settings(mail_from=text)


def test_production_without_a_base_url_is_refused(tmp_path: Path) -> None:
    settings = Settings(
        environment="production",
        encryption_key=SecretStr(new_key_text()),
        database_url=f"sqlite:///{tmp_path}/a.db",
    )
    with pytest.raises(StartRefused, match="CZO_AUTH_BASE_URL is missing"):
        Auth(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rabbitmq_url", f"http://u:{PASSWORD}@rabbit.example/"),
        ("rabbitmq_url", "amqp://"),
        ("nats_url", f"nats://u:{PASSWORD}@nats.example:port"),
        ("nats_url", "nats.example:4222"),
        ("rabbitmq_exchange", "a b"),
        ("nats_stream", "a.b"),
        ("nats_subject", "a..b"),
        ("nats_subject", "a.*"),
        ("events_file", "/var/log/czo-auth/"),
        ("webhook_allowed_hosts", "https://hooks.example"),
        ("webhook_allowed_hosts", "hooks.example:443"),
        ("organization_webhook_allowed_hosts", "*"),
        ("webhook_retry_seconds", "1,0"),
        ("webhook_retry_seconds", "soon"),
        ("webhook_timeout_seconds", "11"),
    ],
)
def test_places_of_events_that_make_no_sense_are_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(variable_of(name), value)
    with pytest.raises(StartRefused) as refusal:
        read_settings()
    assert variable_of(name) in str(refusal.value)
    assert PASSWORD not in str(refusal.value)


def test_allowed_hosts_are_a_list_of_names_and_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CZO_AUTH_WEBHOOK_ALLOWED_HOSTS", "Hooks.internal, 10.0.0.5,fd00::5")
    policy = read_settings().policies().webhooks
    assert policy.hosts_allowed_for(None) == {"hooks.internal", "10.0.0.5", "fd00::5"}
    assert policy.hosts_allowed_for("an organization") == frozenset()
