"""Settings: everything a deployment may choose, from the environment or from code."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from czo_auth.core.actors import ADMIN, CUSTOMER, MERCHANT, ActorRegistry, ActorType
from czo_auth.core.api_keys.key import ApiKeyPolicy, LeakResponse
from czo_auth.core.api_keys.scopes import ScopePolicy, check_rule, check_rule_function
from czo_auth.core.events.types import AuditPolicy
from czo_auth.core.limits import MAX_API_KEYS_A_DAY, MAX_KEY_DAYS, TABLE_PREFIX_RULE, is_table_prefix
from czo_auth.core.mail import read_sender
from czo_auth.core.organizations.organization import OrganizationPolicy
from czo_auth.core.organizations.roles import RANK
from czo_auth.core.origins import canonical_origin, host_of, is_loopback
from czo_auth.core.passkeys.policy import LOCALHOST, PasskeyPolicy, is_ip_address, is_within, passkey_origins
from czo_auth.core.policies import Policies
from czo_auth.core.sessions.session import SessionPolicy
from czo_auth.core.two_factor.policy import TwoFactorPolicy
from czo_auth.core.users.own_fields import NO_USER_FIELDS
from czo_auth.core.users.password_policy import PasswordPolicy
from czo_auth.core.webhooks.webhook import WebhookPolicy
from czo_auth.crypto import passkeys, tokens
from czo_auth.setting_sources import Files
from czo_auth.user_fields import ModelFields

_PREFIX = re.compile(r"[a-z][a-z0-9]{1,14}_")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_DOMAIN = re.compile(r"localhost|(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}")
# The last is libpq's other form: host=db.example dbname=shop.
_DATABASE_URL: Final = re.compile(r"sqlite:///|postgres(ql)?://|\s*[a-z_]+\s*=")
_ONE_REDIS: Final = frozenset({"redis", "rediss"})
_REDIS: Final = _ONE_REDIS | {"redis+unix", "redis+sentinel", "redis+cluster"}
SECRETS: Final = ("encryption_key", "database_url", "rate_limit_url", "smtp_url", "rabbitmq_url", "nats_url")
"""Settings that hold a secret, and may come from a file."""

DATABASE_FILE = "czo-auth.db"
KEY_FILE = "encryption.key"

Words = Annotated[tuple[str, ...], NoDecode]
Numbers = Annotated[tuple[float, ...], NoDecode]


class Settings(BaseSettings):
    """
    One deployment's settings. Each is read from ``CZO_AUTH_<NAME>`` (the encryption key from ``AUTH_ENCRYPTION_KEY``);
    arguments win over the environment. Lists are comma-separated there, and an empty variable counts as unset.
    Secrets may come from a file that ``<NAME>_FILE`` names, too.

    Raises:
        pydantic.ValidationError: A value makes no sense; the message names the setting and never shows a secret.
        ValueError: A file cannot be read, or a variable that begins with ``CZO_AUTH_`` is no setting.
    """

    model_config = SettingsConfigDict(
        env_prefix="CZO_AUTH_",
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        # A compose file or a chart leaves variables empty that nobody chose.
        env_ignore_empty=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Called by pydantic-settings: arguments, then the environment, then mounted files."""
        files = Files(settings_cls, names=(*SECRETS, "actor_types"), structured=("actor_types",))
        return init_settings, env_settings, files

    # what it runs on
    environment: Literal["development", "production"] = Field(
        default="development",
        description="`production` closes the API docs, introspection and mails written to the log.",
    )
    encryption_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("encryption_key", "AUTH_ENCRYPTION_KEY"),
        description="Key ring that seals TOTP secrets and signing keys: `kid2:base64,kid1:base64`, or one base64 value "
        "of 32 bytes. The first encrypts, all decrypt.",
    )
    data_dir: Path = Field(
        default=Path("czo-auth-data"),
        description="Folder of the embedded default: database and encryption key, mode 0600.",
    )
    # Not shown by `repr`, here and below: the address may hold a password.
    database_url: str | None = Field(
        default=None,
        repr=False,
        description="`sqlite:///path` or `postgresql://…`; by default a SQLite file in the data folder.",
    )
    table_prefix: str = Field(default="czo_auth_", description="What the names of all tables begin with.")
    auto_migrate: bool = Field(default=True, description="Whether starting brings the tables up to date.")

    cache_seconds: float = Field(
        default=0.0,
        ge=0.0,
        le=60.0,
        description="PostgreSQL only: remember proved credentials, and let a revocation take at most so long where its "
        "notification is lost (it usually takes a millisecond). 0 asks the database each time. On SQLite the memory "
        "is exact and always on.",
    )

    remembered_credentials: int = Field(
        default=10_000,
        ge=0,
        le=1_000_000,
        description="How many proved credentials each process remembers, about a kilobyte each; 0 asks the database "
        "each time.",
    )

    # where it is reached
    host: str = Field(default="127.0.0.1", description="Address that the server listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that the server listens on.")
    keep_alive_seconds: int = Field(
        default=75,
        ge=1,
        le=3600,
        description="How long the server keeps an idle connection, and waits for the head of a request. Longer than "
        "the load balancer in front does, mostly 60. Unit: seconds.",
    )
    workers: int = Field(default=1, ge=1, le=256, description="Server processes.")
    base_url: str | None = Field(
        default=None,
        description="Where clients reach the deployment, e.g. `https://auth.example.com`; https makes cookies "
        "`Secure`. By default `http://localhost:<port>`, or `http://<host>:<port>` where the host is another one.",
    )
    base_path: str = Field(default="/api/auth", description="Path that the API is mounted at.")
    trusted_origins: Words = Field(
        default=(),
        description="Origins besides the own one whose pages may use cookies; `*` stands for one or more labels.",
    )
    trusted_proxies: Words = Field(
        default=(), description="Addresses or networks of proxies whose `X-Forwarded-For` is believed."
    )

    # tokens
    issuer: str | None = Field(default=None, description="`iss` of access tokens; by default the base URL.")
    audience: str | None = Field(default=None, description="`aud` of access tokens; by default the base URL.")
    token_audiences: Words = Field(
        default=(),
        description="Further audiences that API keys may be traded for at `/token/exchange`, besides the own one.",
    )
    session_days: int = Field(
        default=7, ge=1, le=365, description="Life of a session and its refresh family. Unit: days."
    )
    access_token_minutes: int = Field(
        default=15, ge=1, le=60, description="Life of an access token. Unit: minutes."
    )

    # people
    require_email_verification: bool = Field(
        default=False, description="Whether an unconfirmed address keeps its owner from signing in."
    )
    refuse_common_passwords: bool = Field(
        default=True, description="Whether the bundled list of common passwords is asked."
    )
    pwned_passwords_url: str | None = Field(
        default=None,
        description="Base URL of a Have I Been Pwned range API; when set, new passwords are asked there by the first "
        "five characters of their SHA-1. An outage lets the password pass.",
    )
    user_fields: type[BaseModel] | None = Field(
        default=None,
        description="A pydantic model of own fields that users have; those marked `server_only` come from the host "
        "alone. From code only.",
    )
    actor_types: tuple[ActorType, ...] = Field(
        default=(CUSTOMER, MERCHANT, ADMIN),
        description="Actor types, the default first: a JSON list of objects with the fields of `ActorType`, "
        '`[{"name": "buyer", "sign_up_open": true}, {"name": "staff", "administers": true}]`; or a JSON or TOML file '
        "that `CZO_AUTH_ACTOR_TYPES_FILE` names.",
    )

    # second factors
    totp_drift: int = Field(
        default=1, ge=0, le=10, description="Steps of 30 seconds accepted on either side."
    )
    totp_issuer: str = Field(
        default="czo-auth", min_length=1, max_length=64, description="Name in the authenticator app."
    )
    trust_mandatory_devices: bool = Field(
        default=False, description="Whether users who must have a second factor may trust devices."
    )
    recovery_wait_seconds: int = Field(
        default=0,
        ge=0,
        le=30 * 24 * 3600,
        description="How long an administrator's reset of somebody's second factor waits. Meanwhile the user, whom a "
        "mail warns, can cancel it. 0 acts at once; 86400 (a day) or more is recommended. Unit: seconds.",
    )

    # passkeys
    passkey_rp_id: str | None = Field(
        default=None,
        description="Relying party id of passkeys: the host name of the base URL (the default), or a domain that it "
        "lies within. A change makes every passkey worthless.",
    )

    # API keys
    api_key_prefix: str = Field(default=tokens.DEFAULT_API_KEY, description="What every API key begins with.")
    api_key_limit: int = Field(default=100, ge=1, description="Live API keys that a user may have.")
    api_key_daily_limit: int | None = Field(
        default=None,
        ge=1,
        description="API keys that a user may make or rotate in a day, those that ended since included; by default "
        "five times the limit of live ones, and 500 at least.",
    )
    api_key_max_days: int | None = Field(
        default=None,
        ge=1,
        le=MAX_KEY_DAYS,
        description="Longest life of an API key; organizations may set a shorter one. A key without an expiry gets it, "
        "and keys of before end when it is over, counted from the first start with it. Unit: days.",
    )
    api_key_unused_days: int | None = Field(
        default=None,
        ge=1,
        le=MAX_KEY_DAYS,
        description="After so long without use an API key expires, its owner warned a week before; organizations may "
        "set a shorter time. Off by default. Unit: days.",
    )
    api_key_header: bool = Field(
        default=False,
        description="Whether better-auth's `x-api-key` header is read besides `Authorization: Bearer`.",
    )
    leaked_api_keys: LeakResponse = Field(
        default="revoke",
        description="What a report of a leak does to a key: `revoke` ends it, `quarantine` switches it off until its "
        "owner decides.",
    )
    scope_rule: (
        Callable[[frozenset[str], str | None], Collection[str]] | Mapping[str, Collection[str]] | None
    ) = Field(
        default=None,
        description="Which scopes may be put on a key: a mapping from actor type or `org:<role>` to scopes, or a "
        "function of actor types and organization role. From code only.",
    )
    organization_limit: int = Field(default=100, ge=1, description="Organizations that a user may own.")

    # floods
    rate_limit_enabled: bool = Field(
        default=True,
        description="Coarse limits by address and account. Attempt caps and locks are never off.",
    )
    rate_limit_url: str | None = Field(
        default=None,
        repr=False,
        description="`redis://…` to share the coarse limits, and those of single API keys, between processes; by "
        "default each process counts by itself, so that N workers let up to N times as much pass.",
    )
    hash_threads: int | None = Field(
        default=None, ge=1, le=64, description="Threads that hash; by default one a core."
    )
    hash_queue: int = Field(
        default=256, ge=1, description="Hashes that may wait before further ones are refused with 429."
    )

    # mail and events
    smtp_url: SecretStr | None = Field(
        default=None,
        description="`smtp://user:password@host:587` (STARTTLS) or `smtps://…`; without it mails go to the log "
        "in development and are refused in production.",
    )
    mail_from: str = Field(
        default="czo-auth@localhost",
        description="Sender of mails: `auth@example.com`, or with a name `Shop <auth@example.com>`.",
    )
    events_file: Path | None = Field(
        default=None, description="File that gets every event as one CloudEvents JSON line."
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
        description="Stream that takes the events; made when there is none.",
    )
    nats_subject: str = Field(
        default="czo_auth",
        pattern=r"^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}$",
        description="What subjects begin with, before the type of the event.",
    )
    webhook_allowed_hosts: Words = Field(
        default=(),
        description="Hosts, without port, that administrators' webhook endpoints may use although they are not "
        "reachable from everywhere; over http too. Literal addresses are named as such, IPv6 without brackets.",
    )
    organization_webhook_allowed_hosts: Words = Field(
        default=(),
        description="The same for the webhook endpoints of organizations, whose owners are strangers.",
    )
    webhook_retry_seconds: Numbers = Field(
        default=(1, 5, 30, 300, 1800, 7200, 18_000, 36_000, 36_000),
        description="How long to wait after each failed attempt at a webhook endpoint; after one attempt more a "
        "delivery is dead. The default spreads ten attempts over 28 hours. Unit: seconds.",
    )
    webhook_timeout_seconds: float = Field(
        default=10.0,
        gt=0.0,
        le=10.0,
        description="How long an attempt at a webhook endpoint may take. Unit: seconds.",
    )

    # what is kept
    audit_retention_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="How long audit records are kept; older ones are deleted in batches, and the log says how far. For "
        "ever by default. Unit: days.",
    )
    audit_address_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="How long audit records keep the address and the browser of who acted; as long as the record by "
        "default. Unit: days.",
    )

    # interfaces
    api_docs: bool | None = Field(
        default=None,
        description="Whether `/openapi.json` and `/docs` are open; by default outside production.",
    )
    graphql_introspection: bool | None = Field(
        default=None,
        description="Whether GraphQL introspection and suggestions are open; by default outside production.",
    )
    pages_enabled: bool = Field(
        default=False,
        description="Whether the account pages are there, and mails point at them. The standalone server switches them "
        "on unless the environment says otherwise; a host that mounts `auth.pages` switches them on itself.",
    )
    pages_path: str = Field(default="/account", description="Path that the account pages are mounted at.")
    metrics_enabled: bool = Field(default=False, description="Whether the server answers `GET /metrics`.")

    @field_validator(
        "trusted_origins",
        "trusted_proxies",
        "token_audiences",
        "webhook_allowed_hosts",
        "organization_webhook_allowed_hosts",
        "webhook_retry_seconds",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            tuple(word.strip() for word in value.split(",") if word.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("user_fields")
    @classmethod
    def _user_fields(cls, value: type[BaseModel] | None) -> type[BaseModel] | None:
        if value is not None:
            ModelFields(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise ValueError("must be addresses or networks, like 10.0.0.5,10.1.0.0/16") from None
        return value

    @field_validator("trusted_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if canonical_origin(text) is None:
                raise ValueError("must be origins, like https://shop.example.com or https://*.example.com")
        return value

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

    @field_validator("api_key_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        if not _PREFIX.fullmatch(value):
            raise ValueError("must be 2 to 15 lower-case letters or digits and an underscore")
        if value in tokens.RESERVED_PREFIXES:
            raise ValueError("is the prefix of another credential")
        return value

    @field_validator("table_prefix")
    @classmethod
    def _table_prefix(cls, value: str) -> str:
        if not is_table_prefix(value):
            raise ValueError(TABLE_PREFIX_RULE)
        return value

    @field_validator("base_path", "pages_path")
    @classmethod
    def _base_path(cls, value: str) -> str:
        if not value.startswith("/") or value.endswith("/"):
            raise ValueError("must begin with a slash and not end with one")
        return value

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not re.fullmatch(r"https?://[^/?#\s]+/?", value):
            raise ValueError("must be like https://auth.example.com, without a path")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: str | None) -> str | None:
        if value is not None and not _DATABASE_URL.match(value):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return value

    @field_validator("actor_types")
    @classmethod
    def _actor_types(cls, value: tuple[ActorType, ...]) -> tuple[ActorType, ...]:
        ActorRegistry(value)
        return value

    @field_validator("mail_from")
    @classmethod
    def _mail_from(cls, value: str) -> str:
        read_sender(value)
        return value

    @field_validator("rate_limit_url")
    @classmethod
    def _rate_limit_url(cls, value: str | None) -> str | None:
        if value is not None and not _names_counters(value):
            raise ValueError("must be like redis://:password@host:6379/0, or rediss:// for TLS")
        return value

    @field_validator("passkey_rp_id")
    @classmethod
    def _rp_id(cls, value: str | None) -> str | None:
        if value is not None and not _DOMAIN.fullmatch(value):
            raise ValueError("must be a domain name in lower case, like example.com, or localhost")
        return value

    @model_validator(mode="after")
    def _rp_id_fits(self) -> Self:
        host = host_of(canonical_origin(self.public_url) or "")
        if self.passkey_rp_id is None or is_within(host, self.passkey_rp_id):
            return self
        if self.passkey_rp_id == LOCALHOST and is_loopback(host):
            return self
        raise ValueError("CZO_AUTH_PASSKEY_RP_ID must be the host name of the base URL, or a domain above it")

    @model_validator(mode="after")
    def _scope_rule(self) -> Self:
        if isinstance(self.scope_rule, Mapping):
            check_rule(self.scope_rule, actor_types=[actor.name for actor in self.actor_types], roles=RANK)
        elif self.scope_rule is not None:
            check_rule_function(self.scope_rule)
        return self

    @property
    def is_production(self) -> bool:
        """Whether the environment is ``production``."""
        return self.environment == "production"

    @property
    def public_url(self) -> str:
        """Where clients reach the deployment, without a final slash."""
        if self.base_url is not None:
            return self.base_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        # Browsers allow passkeys on the name, and not on the address.
        is_here = self.host in ("0.0.0.0", "::") or is_loopback(host)  # noqa: S104 - compared, not bound
        return f"http://{'localhost' if is_here else host}:{self.port}"

    @property
    def rp_id(self) -> str | None:
        """The relying party id of passkeys; None where they are not available: at an IP address."""
        host = host_of(canonical_origin(self.public_url) or "")
        if is_loopback(host):
            return LOCALHOST
        return None if is_ip_address(host) else self.passkey_rp_id or host

    @property
    def storage_url(self) -> str:
        """The database that is used."""
        return self.database_url or f"sqlite:///{(self.data_dir / DATABASE_FILE).absolute()}"

    @property
    def is_embedded_default(self) -> bool:
        """Whether database and key live in the data folder."""
        return self.database_url is None

    @property
    def docs_are_open(self) -> bool:
        """Whether the API docs are served."""
        return not self.is_production if self.api_docs is None else self.api_docs

    @property
    def introspection_is_open(self) -> bool:
        """Whether GraphQL tells its schema."""
        return not self.is_production if self.graphql_introspection is None else self.graphql_introspection

    def policies(self) -> Policies:
        """Return the policies that the flows obey."""
        return Policies(
            passwords=PasswordPolicy(refuse_common=self.refuse_common_passwords),
            sessions=SessionPolicy(
                lifetime=timedelta(days=self.session_days),
                access_token_lifetime=timedelta(minutes=self.access_token_minutes),
            ),
            two_factor=TwoFactorPolicy(
                issuer=self.totp_issuer,
                drift=self.totp_drift,
                trust_mandatory_devices=self.trust_mandatory_devices,
                reset_wait=timedelta(seconds=self.recovery_wait_seconds),
            ),
            passkeys=PasskeyPolicy(
                rp_id=self.rp_id if passkeys.is_installed() else None,
                rp_name=self.totp_issuer,
                origins=passkey_origins(self.public_url, self.trusted_origins),
            ),
            api_keys=ApiKeyPolicy(
                prefix=self.api_key_prefix,
                limit=self.api_key_limit,
                daily_limit=self.api_key_daily_limit or max(MAX_API_KEYS_A_DAY, 5 * self.api_key_limit),
                longest_days=self.api_key_max_days,
                unused_days=self.api_key_unused_days,
                when_leaked=self.leaked_api_keys,
            ),
            scopes=ScopePolicy(self.scope_rule),
            organizations=OrganizationPolicy(limit=self.organization_limit),
            audit=AuditPolicy(
                keep_records=_days(self.audit_retention_days), keep_addresses=_days(self.audit_address_days)
            ),
            webhooks=WebhookPolicy(
                pauses=tuple(timedelta(seconds=seconds) for seconds in self.webhook_retry_seconds),
                time_limit=timedelta(seconds=self.webhook_timeout_seconds),
                allowed_hosts=frozenset(self.webhook_allowed_hosts),
                organization_allowed_hosts=frozenset(self.organization_webhook_allowed_hosts),
            ),
            user_fields=NO_USER_FIELDS if self.user_fields is None else ModelFields(self.user_fields),
            require_email_verification=self.require_email_verification,
            limits_guesses=self.rate_limit_enabled,
        )


def _days(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(days=number)


def _names_server(url: str, schemes: Collection[str]) -> bool:
    """Return whether *url* names a host, and a port that is one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _names_counters(url: str) -> bool:
    """Return whether *url* can be a Redis; what only its driver can tell comes when it is opened."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in _ONE_REDIS:
            return parts.scheme in _REDIS
        path = parts.path.removeprefix("/")
        return bool(parts.hostname and parts.port) and (not path or (path.isascii() and path.isdecimal()))
    except ValueError:
        # A port that is no number, or brackets that hold no IPv6 address.
        return False
