"""Settings: everything a deployment may choose, from the environment or from code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from czo_auth.brand import Brand
from czo_auth.brand.brand import DEFAULT_NAME
from czo_auth.core.api_keys.scopes import check_rule, check_rule_function
from czo_auth.core.organizations.roles import RANK
from czo_auth.core.origins import canonical_origin, host_of, is_loopback
from czo_auth.core.passkeys.policy import LOCALHOST, is_ip_address, is_within
from czo_auth.core.policies import Policies
from czo_auth.setting_sources import Files
from czo_auth.settings.accounts import AccountSettings
from czo_auth.settings.api_keys import ApiKeySettings
from czo_auth.settings.brand import BrandSettings
from czo_auth.settings.database import DatabaseSettings
from czo_auth.settings.delivery import DeliverySettings
from czo_auth.settings.limits import LimitSettings
from czo_auth.settings.network import NetworkSettings
from czo_auth.settings.operation import OperationSettings
from czo_auth.settings.policies import policies_of
from czo_auth.settings.sessions import SessionSettings

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


# The fields of the last base come first, on the reference page too.
class Settings(
    OperationSettings,
    DeliverySettings,
    LimitSettings,
    ApiKeySettings,
    AccountSettings,
    BrandSettings,
    SessionSettings,
    NetworkSettings,
    DatabaseSettings,
    BaseSettings,
):
    """
    One deployment's settings. Each is read from ``CZO_AUTH_<NAME>`` (the encryption key from ``AUTH_ENCRYPTION_KEY``);
    arguments win over the environment. Lists are comma-separated there, and an empty variable counts as unset.
    Secrets may come from a file that ``<NAME>_FILE`` names, too.

    Raises:
        pydantic.ValidationError: A value makes no sense; the message names the setting and never shows a secret.
        ValueError: A file cannot be read, or a variable that begins with ``CZO_AUTH_`` is not a setting.
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

    @model_validator(mode="after")
    def _rp_id_fits(self) -> Self:
        host = host_of(canonical_origin(self.public_url) or "")
        if self.passkey_rp_id is None or is_within(host, self.passkey_rp_id):
            return self
        if self.passkey_rp_id == LOCALHOST and is_loopback(host):
            return self
        raise ValueError("CZO_AUTH_PASSKEY_RP_ID must be the host name of the base URL, or a domain above it")

    @model_validator(mode="after")
    def _brand(self) -> Self:
        self.shown_brand  # noqa: B018 - refuses what cannot be used
        return self

    @model_validator(mode="after")
    def _scope_rule(self) -> Self:
        if isinstance(self.scope_rule, Mapping):
            check_rule(self.scope_rule, actor_types=[actor.name for actor in self.actor_types], roles=RANK)
        elif self.scope_rule is not None:
            check_rule_function(self.scope_rule)
        return self

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
    def issuer_name(self) -> str:
        """The name shown in authenticator apps."""
        return self.totp_issuer or self.shown_brand.name or DEFAULT_NAME

    def policies(self) -> Policies:
        """Return the policies that the flows obey."""
        return policies_of(self)
