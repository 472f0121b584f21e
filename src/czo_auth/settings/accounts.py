"""Settings of accounts: sign-up, actor types, second factors and passkeys."""

from __future__ import annotations

from pydantic import BaseModel, Field, field_validator

from czo_auth.core.actors import ADMIN, CUSTOMER, MERCHANT, ActorRegistry, ActorType
from czo_auth.settings.group import DOMAIN, SettingsGroup
from czo_auth.user_fields import ModelFields


class AccountSettings(SettingsGroup):
    """Who can have an account, and how people prove who they are."""

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

    @field_validator("user_fields")
    @classmethod
    def _user_fields(cls, value: type[BaseModel] | None) -> type[BaseModel] | None:
        if value is not None:
            ModelFields(value)
        return value

    @field_validator("actor_types")
    @classmethod
    def _actor_types(cls, value: tuple[ActorType, ...]) -> tuple[ActorType, ...]:
        ActorRegistry(value)
        return value

    @field_validator("passkey_rp_id")
    @classmethod
    def _rp_id(cls, value: str | None) -> str | None:
        if value is not None and not DOMAIN.fullmatch(value):
            raise ValueError("must be a domain name in lower case, like example.com, or localhost")
        return value
