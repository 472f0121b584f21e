"""Settings of the environment, the encryption key and the database."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator

from czo_auth.core.limits import TABLE_PREFIX_RULE, is_table_prefix
from czo_auth.settings.group import SettingsGroup

DATABASE_FILE = "czo-auth.db"
KEY_FILE = "encryption.key"

# The last is libpq's other form: host=db.example dbname=shop.
_DATABASE_URL: Final = re.compile(r"sqlite:///|postgres(ql)?://|\s*[a-z_]+\s*=")


class DatabaseSettings(SettingsGroup):
    """What a deployment runs on."""

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

    @field_validator("table_prefix")
    @classmethod
    def _table_prefix(cls, value: str) -> str:
        if not is_table_prefix(value):
            raise ValueError(TABLE_PREFIX_RULE)
        return value

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

    @property
    def is_production(self) -> bool:
        """Whether the environment is ``production``."""
        return self.environment == "production"

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
