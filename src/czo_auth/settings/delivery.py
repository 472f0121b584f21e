"""Settings of mail, events, message brokers and webhooks."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from czo_auth.core.mail import OPTIONAL_MAILS, MailKind, read_sender
from czo_auth.settings.group import NewFile, Numbers, SettingsGroup, Split, Words

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")


class DeliverySettings(SettingsGroup):
    """Where mails and events go."""

    smtp_url: SecretStr | None = Field(
        default=None,
        description="`smtp://user:password@host:587` (STARTTLS) or `smtps://…`; without it mails go to the log in "
        "development; in production none is sent, and each is an error in the log.",
    )
    mail_from: str = Field(
        default="czo-auth@localhost",
        description="Sender of mails: `auth@example.com`, or with a name `Shop <auth@example.com>`; by default "
        "the brand's.",
    )
    confirm_sign_up: bool | None = Field(
        default=None,
        description="Whether new users are mailed a link that confirms their address where nothing depends on it; by "
        "default if `CZO_AUTH_SMTP_URL` is set.",
    )
    mails_off: Annotated[tuple[MailKind, ...], NoDecode, Split] = Field(
        default=(),
        description="Kinds of mails that are not sent: those that carry no link and warn of no takeover, such as "
        "`new_browser,api_key_created`.",
    )
    events_file: NewFile | None = Field(
        default=None, description="File to which every event is appended as one CloudEvents JSON line."
    )
    rabbitmq_url: SecretStr | None = Field(
        default=None,
        description="`amqp://user:password@host/vhost` or `amqps://…`: every event is published there. Needs "
        "`czo-auth[rabbitmq]`.",
    )
    rabbitmq_exchange: str = Field(
        default="czo-auth.events",
        pattern=r"^[A-Za-z0-9_.:-]{1,127}$",
        description="Topic exchange that events are published to, with their type as routing key; declared, durable.",
    )
    nats_url: SecretStr | None = Field(
        default=None,
        description="`nats://user:password@host:4222` or `tls://…`, several with commas between: every event is "
        "published to a JetStream stream there. Needs `czo-auth[nats]`.",
    )
    nats_stream: str = Field(
        default="CZO_AUTH",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Stream that takes the events; created if there is none.",
    )
    nats_subject: str = Field(
        default="czo_auth",
        pattern=r"^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}$",
        description="Prefix of the subjects, before the type of the event.",
    )
    webhook_allowed_hosts: Words = Field(
        default=(),
        description="Hosts, without port, that administrators' webhook endpoints may use although they are not "
        "public; over http too. Write literal addresses as they are, IPv6 without brackets.",
    )
    organization_webhook_allowed_hosts: Words = Field(
        default=(),
        description="The same for webhook endpoints of organizations, whose owners are strangers.",
    )
    webhook_retry_seconds: Numbers = Field(
        default=(1, 5, 30, 300, 1800, 7200, 18_000, 36_000, 36_000),
        description="How long to wait after each failed attempt at a webhook endpoint; after one more attempt the "
        "delivery is dead. The default spreads ten attempts over 28 hours. Unit: seconds.",
    )
    webhook_timeout_seconds: float = Field(
        default=10.0,
        gt=0.0,
        le=10.0,
        description="How long an attempt at a webhook endpoint may take. Unit: seconds.",
    )

    @field_validator("webhook_allowed_hosts", "organization_webhook_allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_HOST.fullmatch(host) for host in value):
            raise ValueError("must be hosts without scheme and port, like hooks.internal,10.0.0.5,fd00::5")
        return tuple(host.lower() for host in value)

    @field_validator("rabbitmq_url", "nats_url")
    @classmethod
    def _brokers(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        schemes = {"rabbitmq_url": ("amqp", "amqps"), "nats_url": ("nats", "tls")}[str(info.field_name)]
        if value is not None and not all(
            _names_server(url.strip(), schemes) for url in value.get_secret_value().split(",")
        ):
            raise ValueError(f"must be like {schemes[0]}://user:password@host, or {schemes[1]}:// for TLS")
        return value

    @field_validator("webhook_retry_seconds")
    @classmethod
    def _pauses(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not 1 <= len(value) <= 20 or not all(0 < seconds <= 7 * 86_400 for seconds in value):
            raise ValueError("must be 1 to 20 numbers of seconds, each more than 0 and at most a week")
        return value

    @field_validator("mail_from")
    @classmethod
    def _mail_from(cls, value: str) -> str:
        read_sender(value)
        return value

    @field_validator("mails_off")
    @classmethod
    def _mails_off(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not OPTIONAL_MAILS.issuperset(value):
            raise ValueError(f"must be among {', '.join(sorted(OPTIONAL_MAILS))}; the others are needed")
        return value

    @property
    def confirms_sign_up(self) -> bool:
        return self.smtp_url is not None if self.confirm_sign_up is None else self.confirm_sign_up


def _names_server(url: str, schemes: Collection[str]) -> bool:
    """Return whether *url* names a host, and a port that is one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
