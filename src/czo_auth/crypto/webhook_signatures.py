"""
Secrets and signatures of webhooks.

Source: Standard Webhooks 1.0, sections "Webhook headers" and "Symmetric".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from czo_auth.crypto import tokens

PREFIX: Final = tokens.WEBHOOK_SECRET
SECRET_BYTES: Final = 32


def new_secret() -> bytes:
    """Generate a new signing key."""
    return tokens.random_bytes(SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """Return *secret* in the form that receivers get: ``whsec_`` and base64."""
    return PREFIX + base64.b64encode(secret).decode("ascii")


def sign(secrets: Iterable[bytes], *, message_id: str, timestamp: int, body: bytes) -> str:
    """
    Return the value of ``webhook-signature``: one ``v1`` signature for each secret, separated by spaces.

    Args:
        timestamp: Seconds since 1970; the value of ``webhook-timestamp``.
        body: Exactly the bytes that are sent.
    """
    signed = f"{message_id}.{timestamp}.".encode("ascii") + body
    return " ".join(
        f"v1,{base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode('ascii')}"
        for secret in secrets
    )
