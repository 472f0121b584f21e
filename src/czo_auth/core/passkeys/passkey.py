"""A passkey as stored in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from czo_auth.crypto import base64url

DEVICE_BOUND = "hwk"
SYNCED = "swk"
PASSKEY_METHODS = frozenset({DEVICE_BOUND, SYNCED})
"""How a session's ``amr`` says that a passkey was used. Source: RFC 8176 section 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """
    Attributes:
        credential_id, public_key: Base64url, unpadded; the key is a COSE key.
        sign_count: The highest accepted counter; 0 for authenticators that do not count.
        aaguid: The model of the authenticator, as claimed by itself; not attested.
        backup_eligible: Whether it may be synced to other devices. Never changes, except at the first use of an
            imported passkey.
        backed_up: Whether it was synced when it was last used.
        rp_id: The relying party id that it was created for; it works for no other.
        user_handle: The user handle in its authenticator, base64url, if another system chose it; empty if that system
            did not store it; None if it is `user_handle` of the user's id.
    """

    id: str
    user_id: str
    name: str | None
    credential_id: str
    public_key: str
    sign_count: int
    aaguid: str
    backup_eligible: bool
    backed_up: bool
    transports: tuple[str, ...]
    rp_id: str
    created_at: datetime
    last_used_at: datetime | None
    user_handle: str | None = None

    def belongs_to_handle(self, handle: bytes) -> bool:
        """Whether an authenticator that names *handle* may hold it."""
        if self.user_handle is None:
            return handle == user_handle(self.user_id)
        return not self.user_handle or handle == base64url.decode(self.user_handle)

    @property
    def is_unused_import(self) -> bool:
        """Whether it was imported and not used here yet; some systems do not store whether a passkey may be synced."""
        return self.user_handle is not None and self.last_used_at is None

    @property
    def device_type(self) -> Literal["singleDevice", "multiDevice"]:
        """Whether it is bound to one device or synced, in better-auth's terms."""
        return "multiDevice" if self.backup_eligible else "singleDevice"

    @property
    def method(self) -> str:
        """Its name in ``amr``: ``hwk`` when bound to a device, ``swk`` when synced."""
        return SYNCED if self.backup_eligible else DEVICE_BOUND


def user_handle(user_id: str) -> bytes:
    """Return the user handle for authenticators: the 16 bytes of the id, which reveal nothing about the person."""
    return UUID(user_id).bytes


def is_phishing_resistant(*, aal: int, amr: tuple[str, ...]) -> bool:
    """Whether a session was proved by a passkey, which answers no other site than the one it was made for."""
    return aal >= 2 and not PASSKEY_METHODS.isdisjoint(amr)
