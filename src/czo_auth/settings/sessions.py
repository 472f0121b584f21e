"""Settings of sessions and access tokens."""

from __future__ import annotations

from pydantic import Field

from czo_auth.settings.group import SettingsGroup, Words


class SessionSettings(SettingsGroup):
    """How long sessions and access tokens live, and what the tokens name."""

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
