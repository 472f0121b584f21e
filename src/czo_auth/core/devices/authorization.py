"""A device's request for an API key, and the codes that identify it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

CODE_LIFETIME: Final = timedelta(minutes=10)
POLL_INTERVAL: Final = timedelta(seconds=5)
SLOWER_BY: Final = timedelta(seconds=5)
"""Added to the interval each time a device polls too soon. Source: RFC 8628 section 3.5."""
KEY_LIFETIME: Final = timedelta(days=90)
FETCHED_TWICE: Final = timedelta(seconds=60)
"""A key that is fetched again within this time is revoked: somebody else holds the device code."""

DEVICE_KEY: Final = "device-key"
USER_CODE: Final = "device-user-code"
USER_CODE_ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words; nothing that looks like something else. Source: RFC 8628 section 6.1."""
USER_CODE_LENGTH: Final = 8

DeviceStatus = Literal["pending", "approved", "denied", "fetched", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAuthorization:
    """
    Attributes:
        client_id: What the device calls its program; unverified.
        name: Of the key that is made.
        key_lifetime_seconds: Of the key, as the device asked.
        ip: Where the device asked from.
        lineage_id: Of the session that opened the code; only its lineage may approve.
        user_id, api_key_id, sealed_key: From the approval; the key is stored encrypted until it is fetched.
        poll_seconds: How long the device has to wait between two polls.
    """

    id: str
    client_id: str
    name: str
    scopes: tuple[str, ...]
    organization_id: str | None
    key_lifetime_seconds: int
    ip: str | None
    status: DeviceStatus
    lineage_id: str | None
    user_id: str | None
    api_key_id: str | None
    sealed_key: str | None = field(repr=False)
    poll_seconds: int
    polled_at: datetime | None
    fetched_at: datetime | None
    created_at: datetime
    expires_at: datetime
