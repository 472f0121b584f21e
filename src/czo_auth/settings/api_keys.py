"""Settings of API keys, and how many organizations a user may own."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Self

from pydantic import Field, field_validator, model_validator

from czo_auth.core.api_keys.key import LeakResponse
from czo_auth.core.api_keys.retired import RetiredKeyFormat, check_formats
from czo_auth.core.limits import MAX_KEY_DAYS
from czo_auth.crypto import tokens
from czo_auth.settings.group import SettingsGroup, Words

_PREFIX = re.compile(r"[a-z][a-z0-9]{1,14}_")


class ApiKeySettings(SettingsGroup):
    """The form, number, lifetime and scopes of API keys."""

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

    @model_validator(mode="after")
    def _retired_formats_differ(self) -> Self:
        check_formats(self.retired_formats(), taken=tokens.RESERVED_PREFIXES | {self.api_key_prefix})
        return self

    def retired_formats(self) -> tuple[RetiredKeyFormat, ...]:
        return tuple(RetiredKeyFormat.parse(text) for text in self.retired_key_formats)

    @property
    def key_prefixes(self) -> tuple[str, ...]:
        """What every text begins with that is an API key or is refused: our prefix, then the retired ones."""
        return (self.api_key_prefix, *(each.prefix for each in self.retired_formats()))
