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

from czo_auth.brand import Brand
from czo_auth.brand.brand import DEFAULT_NAME
from czo_auth.core.actors import ADMIN, CUSTOMER, MERCHANT, ActorRegistry, ActorType
from czo_auth.core.api_keys.key import ApiKeyPolicy, LeakResponse
from czo_auth.core.api_keys.retired import RetiredKeyFormat, check_formats
from czo_auth.core.api_keys.scopes import ScopePolicy, check_rule, check_rule_function
from czo_auth.core.events.types import AuditPolicy
from czo_auth.core.limits import MAX_API_KEYS_A_DAY, MAX_KEY_DAYS, TABLE_PREFIX_RULE, is_table_prefix
from czo_auth.core.mail import OPTIONAL_MAILS, MailKind, read_sender
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
from czo_auth.crypto import tokens
from czo_auth.extras import is_installed
from czo_auth.setting_sources import Files
from czo_auth.user_fields import ModelFields

_PREFIX = re.compile(r"[a-z][a-z0-9]{1,14}_")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_COOKIE_PREFIX = re.compile(r"(?:__Host-)?[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_DOMAIN = re.compile(r"localhost|(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}")
# The last is libpq's other form: host=db.example dbname=shop.
_DATABASE_URL: Final = re.compile(r"sqlite:///|postgres(ql)?://|\s*[a-z_]+\s*=")
_ONE_REDIS: Final = frozenset({"redis", "rediss"})
_REDIS: Final = _ONE_REDIS | {"redis+unix", "redis+sentinel", "redis+cluster"}
SECRETS: Final = (
    "encryption_key",
    "database_url",
    "database_direct_url",
    "rate_limit_url",
    "smtp_url",
    "rabbitmq_url",
    "nats_url",
)
"""Settings that hold a secret, and may come from a file."""

DEFAULT_COOKIE_PREFIX: Final = "better-auth"
"""The one that better-auth's client looks for."""
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
        description="`production` turns off the API docs, GraphQL introspection and mail to the log.",
    )
    encryption_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("encryption_key", "AUTH_ENCRYPTION_KEY"),
        description="Key ring that encrypts TOTP secrets and signing keys: `kid2:base64,kid1:base64`, or one base64 "
        "value of 32 bytes. The first encrypts, all decrypt.",
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
    database_direct_url: str | None = Field(
        default=None,
        repr=False,
        description="`postgresql://…` of PostgreSQL itself, where `CZO_AUTH_DATABASE_URL` leads to a pooler in "
        "transaction mode. Migrations, notifications and backups go there.",
    )
    table_prefix: str = Field(default="czo_auth_", description="Prefix of the names of all tables.")
    auto_migrate: bool = Field(default=True, description="Whether to migrate the tables at the start.")

    cache_seconds: float = Field(
        default=0.0,
        ge=0.0,
        le=60.0,
        description="PostgreSQL only: how long to cache verified credentials, and so the longest delay of a "
        "revocation whose notification is lost (it usually takes a millisecond). 0 asks the database each"
        " time. On SQLite the cache is exact and always on.",
    )

    remembered_credentials: int = Field(
        default=10_000,
        ge=0,
        le=1_000_000,
        description="How many verified credentials each process caches, about a kilobyte each; 0 asks the database "
        "each time.",
    )

    # where it is reached
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    keep_alive_seconds: int = Field(
        default=75,
        ge=1,
        le=3600,
        description="How long the server keeps an idle connection, and waits for the head of a request. Must exceed "
        "that of the load balancer in front, often 60. Unit: seconds.",
    )
    workers: int = Field(default=1, ge=1, le=256, description="Server processes.")
    base_url: str | None = Field(
        default=None,
        description="Public address of the deployment, e.g. `https://auth.example.com`; https makes cookies `Secure`."
        " By default `http://localhost:<port>`, or `http://<host>:<port>` if the host is set to another "
        "one.",
    )
    base_path: str = Field(default="/api/auth", description="Path where the API is mounted.")
    trusted_origins: Words = Field(
        default=(),
        description="Origins besides its own whose pages may use cookies; `*` stands for one or more labels.",
    )
    trusted_proxies: Words = Field(
        default=(), description="Addresses or networks of proxies whose `X-Forwarded-For` is trusted."
    )

    cookie_prefix: str = Field(
        default=DEFAULT_COOKIE_PREFIX,
        description="What the names of cookies begin with, before a dot; better-auth's client expects its own. https "
        "adds `__Secure-`. With `__Host-` before it, no other host can set or get them.",
    )
    cookie_domain: str | None = Field(
        default=None,
        description="Domain whose hosts all get the cookies, such as `example.com`: that of the base URL or one above "
        "it. By default the host alone gets them.",
    )

    # tokens
    issuer: str | None = Field(default=None, description="`iss` of access tokens; by default the base URL.")
    audience: str | None = Field(default=None, description="`aud` of access tokens; by default the base URL.")
    token_audiences: Words = Field(
        default=(),
        description="Further audiences that API keys can be exchanged for at `/token/exchange`, besides its own.",
    )
    session_days: int = Field(
        default=7, ge=1, le=365, description="Lifetime of a session and its refresh family. Unit: days."
    )
    session_idle_minutes: int | None = Field(
        default=None,
        ge=1,
        le=365 * 24 * 60,
        description="A session, with its refresh family, that was unused for so long is over. Off by default. Unit: "
        "minutes.",
    )
    access_token_minutes: int = Field(
        default=15, ge=1, le=60, description="Lifetime of an access token. Unit: minutes."
    )

    # what people see
    brand: Brand | None = Field(
        default=None,
        description="A `Brand`, from code only; what it leaves out is read from the settings below.",
    )
    brand_name: str | None = Field(
        default=None,
        description="Name of the service: on pages, in mails, beside passkeys and, unless `CZO_AUTH_TOTP_ISSUER` is "
        "set, in authenticator apps.",
    )
    brand_logo: str | None = Field(
        default=None,
        description="Logo: a file (SVG without script, PNG, JPEG, WebP; at most 256 KiB), or an `https://` address, "
        "which mails show too.",
    )
    brand_accent: str | None = Field(
        default=None,
        description="Color of buttons and links, `#rrggbb`; variants that can be read on light and dark are derived.",
    )
    brand_favicon: Path | None = Field(
        default=None,
        description="Icon in the browser's tab: a file (SVG without script, PNG, ICO; at most 64 KiB).",
    )
    brand_footer_links: Words = Field(
        default=(),
        description="Links below each page and mail: `Imprint=https://shop.example/imprint,Privacy=https://…`; at "
        "most ten.",
    )
    brand_support_address: str | None = Field(
        default=None, description="Email address, or `https://` page, for people who need help."
    )
    templates_dir: Path | None = Field(
        default=None,
        description="Folder of your own page and mail templates, laid over ours.",
    )
    default_language: str = Field(
        default="en",
        pattern=r"^[a-z]{2,8}$",
        description="Language of pages and mails for people whose own is not known: `en`, `fr`, `de`, or one of "
        "`CZO_AUTH_TRANSLATIONS_DIR`.",
    )
    translations_dir: Path | None = Field(
        default=None,
        description="Folder of your own texts, laid over ours: a file for each language, such as `de.toml`.",
    )

    # people
    require_email_verification: bool = Field(
        default=False, description="Whether users must confirm their address before they can sign in."
    )
    refuse_common_passwords: bool = Field(
        default=True,
        description="Whether new passwords are checked against the bundled list of common passwords.",
    )
    pwned_passwords_url: str | None = Field(
        default=None,
        description="Base URL of a Have I Been Pwned range API; if set, new passwords are checked there by the first "
        "five characters of their SHA-1. If it does not answer, the password is accepted.",
    )
    user_fields: type[BaseModel] | None = Field(
        default=None,
        description="A pydantic model of additional user fields; those marked `server_only` are set by the host only."
        " From code only.",
    )
    actor_types: tuple[ActorType, ...] = Field(
        default=(CUSTOMER, MERCHANT, ADMIN),
        description="Actor types, the default first: a JSON list of objects with the fields of `ActorType`, "
        '`[{"name": "buyer", "sign_up_open": true}, {"name": "staff", "administers": true}]`; or a JSON or TOML file '
        "that `CZO_AUTH_ACTOR_TYPES_FILE` names.",
    )

    # second factors
    totp_drift: int = Field(
        default=1, ge=0, le=10, description="Steps of 30 seconds accepted before and after the current one."
    )
    totp_issuer: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Name shown in the authenticator app; by default that of the brand.",
    )
    trust_mandatory_devices: bool = Field(
        default=False, description="Whether users who must have a second factor can trust devices."
    )
    recovery_wait_seconds: int = Field(
        default=0,
        ge=0,
        le=30 * 24 * 3600,
        description="Delay before an administrator's reset of a second factor. Meanwhile the user is warned by email "
        "and can cancel it. 0 resets immediately; 86400 (a day) or more is recommended. Unit: seconds.",
    )

    # passkeys
    passkey_rp_id: str | None = Field(
        default=None,
        description="Relying party id of passkeys: the host name of the base URL (the default), or a parent domain of"
        " it. Changing it invalidates every passkey.",
    )

    # API keys
    api_key_prefix: str = Field(default=tokens.DEFAULT_API_KEY, description="Prefix of every API key.")
    retired_key_formats: Words = Field(
        default=(),
        description="Forms of API keys that were imported from another system, each `prefix:length:date` like "
        "`shop_:69:2027-06-30`: they are accepted until that day.",
    )
    api_key_limit: int = Field(default=100, ge=1, description="Maximum number of live API keys per user.")
    api_key_daily_limit: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of API keys that a user may create or rotate in a day, including those that ended"
        " since; by default five times the limit of live ones, and at least 500.",
    )
    api_key_max_days: int | None = Field(
        default=None,
        ge=1,
        le=MAX_KEY_DAYS,
        description="Maximum lifetime of an API key; organizations may set a shorter one. Keys without an expiry get "
        "it. Existing keys expire at the new limit, counted from the first start with it. Unit: days.",
    )
    api_key_unused_days: int | None = Field(
        default=None,
        ge=1,
        le=MAX_KEY_DAYS,
        description="API keys that are not used for this long expire; their owner is warned a week before. "
        "Organizations may set a shorter time. Off by default. Unit: days.",
    )
    api_key_header: bool = Field(
        default=False,
        description="Whether better-auth's `x-api-key` header is accepted besides `Authorization: Bearer`.",
    )
    record_key_addresses: bool = Field(
        default=True,
        description="Whether the network that an API key was last used from is kept and shown: the first 24 bits of an"
        " IPv4 address, the first 48 of an IPv6 address. Without it, those that were kept are deleted.",
    )
    leaked_api_keys: LeakResponse = Field(
        default="revoke",
        description="What a leak report does to a key: `revoke` revokes it, `quarantine` disables it until its owner "
        "decides.",
    )
    scope_rule: (
        Callable[[frozenset[str], str | None], Collection[str]] | Mapping[str, Collection[str]] | None
    ) = Field(
        default=None,
        description="Which scopes a key may have: a mapping from actor type or `org:<role>` to scopes, or a function "
        "of actor types and organization role. From code only.",
    )
    organization_limit: int = Field(
        default=100, ge=1, description="Maximum number of organizations that a user may own."
    )

    # floods
    rate_limit_enabled: bool = Field(
        default=True,
        description="Coarse limits by address and account. Attempt limits and locks are always on.",
    )
    rate_limit_url: str | None = Field(
        default=None,
        repr=False,
        description="`redis://…` to share the coarse limits, and those of API keys, between processes; by default "
        "each process counts on its own, so N workers allow up to N times as many requests.",
    )
    hash_threads: int | None = Field(
        default=None, ge=1, le=64, description="Threads that hash; by default one per core."
    )
    hash_queue: int = Field(
        default=256, ge=1, description="Hashes that may wait before further ones get 429."
    )

    # mail and events
    smtp_url: SecretStr | None = Field(
        default=None,
        description="`smtp://user:password@host:587` (STARTTLS) or `smtps://…`; without it mail goes to the log in "
        "development and is refused in production.",
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
    mails_off: Annotated[tuple[MailKind, ...], NoDecode] = Field(
        default=(),
        description="Kinds of mails that are not sent: those that carry no link and warn of no takeover, such as "
        "`new_browser,api_key_created`.",
    )
    events_file: Path | None = Field(
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

    # what is kept
    audit_retention_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="How long audit records are kept; older ones are deleted in batches, and the log records how far."
        " Forever by default. Unit: days.",
    )
    audit_address_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="How long audit records keep the actor's address and browser; as long as the record by default. "
        "Unit: days.",
    )

    # interfaces
    api_docs: bool | None = Field(
        default=None,
        description="Whether `/openapi.json` and `/docs` are served; by default outside production.",
    )
    graphql_introspection: bool | None = Field(
        default=None,
        description="Whether GraphQL introspection and suggestions are on; by default outside production.",
    )
    pages_enabled: bool = Field(
        default=False,
        description="Whether the account pages are served, and mails link to them. The standalone server turns them "
        "on unless the environment says otherwise; a host that mounts `auth.pages` sets this itself.",
    )
    pages_path: str = Field(default="/account", description="Path where the account pages are mounted.")
    metrics_enabled: bool = Field(default=False, description="Whether the server serves `GET /metrics`.")
    log_format: Literal["plain", "json"] = Field(
        default="plain",
        description="How the server logs to standard error: lines for people, or one JSON object a line, with the ids "
        "of request and trace.",
    )

    @field_validator(
        "trusted_origins",
        "trusted_proxies",
        "token_audiences",
        "retired_key_formats",
        "webhook_allowed_hosts",
        "organization_webhook_allowed_hosts",
        "webhook_retry_seconds",
        "brand_footer_links",
        "mails_off",
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

    @field_validator("retired_key_formats")
    @classmethod
    def _retired(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            RetiredKeyFormat.parse(text)
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

    @field_validator("database_direct_url")
    @classmethod
    def _database_direct_url(cls, value: str | None) -> str | None:
        if value is not None and (value.startswith("sqlite:") or not _DATABASE_URL.match(value)):
            raise ValueError("must begin with postgresql://")
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

    @field_validator("mails_off")
    @classmethod
    def _mails_off(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not OPTIONAL_MAILS.issuperset(value):
            raise ValueError(f"must be among {', '.join(sorted(OPTIONAL_MAILS))}; the others are needed")
        return value

    @field_validator("cookie_prefix")
    @classmethod
    def _cookie_prefix(cls, value: str) -> str:
        if not _COOKIE_PREFIX.fullmatch(value):
            raise ValueError("must be 1 to 40 letters, digits, - or _, perhaps with __Host- before them")
        return value

    @field_validator("cookie_domain")
    @classmethod
    def _cookie_domain(cls, value: str | None) -> str | None:
        # A browser ignores a leading dot. Source: RFC 6265 section 5.2.3.
        domain = None if value is None else value.removeprefix(".")
        if domain is not None and (
            "." not in domain or not _DOMAIN.fullmatch(domain) or is_ip_address(domain)
        ):
            raise ValueError("must be a domain name in lower case, like example.com")
        return domain

    @model_validator(mode="after")
    def _cookies_fit(self) -> Self:
        host = host_of(canonical_origin(self.public_url) or "")
        if self.cookie_prefix.startswith("__Host-"):
            if self.cookie_domain is not None:
                raise ValueError("CZO_AUTH_COOKIE_DOMAIN and the prefix __Host- exclude each other")
            if not self.public_url.startswith("https://"):
                raise ValueError(
                    "CZO_AUTH_COOKIE_PREFIX may begin with __Host- only where the base URL is https"
                )
        if self.cookie_domain is not None and not is_within(host, self.cookie_domain):
            raise ValueError(
                "CZO_AUTH_COOKIE_DOMAIN must be the host name of the base URL, or a domain above it"
            )
        return self

    @model_validator(mode="after")
    def _brand(self) -> Self:
        self.shown_brand  # noqa: B018 - refuses what cannot be used
        return self

    @model_validator(mode="after")
    def _retired_formats_differ(self) -> Self:
        check_formats(self._retired_formats(), taken=tokens.RESERVED_PREFIXES | {self.api_key_prefix})
        return self

    @model_validator(mode="after")
    def _scope_rule(self) -> Self:
        if isinstance(self.scope_rule, Mapping):
            check_rule(self.scope_rule, actor_types=[actor.name for actor in self.actor_types], roles=RANK)
        elif self.scope_rule is not None:
            check_rule_function(self.scope_rule)
        return self

    def _retired_formats(self) -> tuple[RetiredKeyFormat, ...]:
        return tuple(RetiredKeyFormat.parse(text) for text in self.retired_key_formats)

    @property
    def key_prefixes(self) -> tuple[str, ...]:
        """What every text begins with that is an API key or is refused: our prefix, then the retired ones."""
        return (self.api_key_prefix, *(each.prefix for each in self._retired_formats()))

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
    def shown_brand(self) -> Brand:
        """The brand that people see; its name is never None."""
        links = [tuple(part.strip() for part in link.partition("=")[::2]) for link in self.brand_footer_links]
        set_here = Brand(
            name=self.brand_name,
            logo=self.brand_logo,
            accent=self.brand_accent,
            favicon=self.brand_favicon,
            footer_links=[(label, url) for label, url in links] or None,
            support_address=self.brand_support_address,
        )
        brand = set_here if self.brand is None else self.brand.over(set_here)
        # Pages were named like the issuer before there was a brand.
        return brand.over(Brand(name=self.totp_issuer or DEFAULT_NAME))

    @property
    def _confirms_sign_up(self) -> bool:
        return self.smtp_url is not None if self.confirm_sign_up is None else self.confirm_sign_up

    @property
    def issuer_name(self) -> str:
        """The name shown in authenticator apps."""
        return self.totp_issuer or self.shown_brand.name or DEFAULT_NAME

    @property
    def storage_url(self) -> str:
        """The database that is used."""
        return self.database_url or f"sqlite:///{(self.data_dir / DATABASE_FILE).absolute()}"

    @property
    def direct_url(self) -> str:
        """The database without a pooler in between: for migrations, and whatever outlives a transaction."""
        return self.database_direct_url or self.storage_url

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
                idle=timedelta(minutes=self.session_idle_minutes) if self.session_idle_minutes else None,
            ),
            two_factor=TwoFactorPolicy(
                issuer=self.issuer_name,
                drift=self.totp_drift,
                trust_mandatory_devices=self.trust_mandatory_devices,
                reset_wait=timedelta(seconds=self.recovery_wait_seconds),
            ),
            passkeys=PasskeyPolicy(
                rp_id=self.rp_id if is_installed("passkeys") else None,
                rp_name=self.shown_brand.name or DEFAULT_NAME,
                origins=passkey_origins(self.public_url, self.trusted_origins),
            ),
            api_keys=ApiKeyPolicy(
                prefix=self.api_key_prefix,
                retired=self._retired_formats(),
                limit=self.api_key_limit,
                daily_limit=self.api_key_daily_limit or max(MAX_API_KEYS_A_DAY, 5 * self.api_key_limit),
                longest_days=self.api_key_max_days,
                unused_days=self.api_key_unused_days,
                when_leaked=self.leaked_api_keys,
                records_addresses=self.record_key_addresses,
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
                available=is_installed("webhooks"),
            ),
            user_fields=NO_USER_FIELDS if self.user_fields is None else ModelFields(self.user_fields),
            require_email_verification=self.require_email_verification,
            confirms_sign_up=self.require_email_verification or self._confirms_sign_up,
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
