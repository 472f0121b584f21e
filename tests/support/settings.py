"""The settings of deployments under test."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from czo_auth import Settings

KEY = base64.b64encode(hashlib.sha256(b"the contract tests").digest()).decode()
HERE = "http://auth.test"


def settings(database_url: str, **more: Any) -> Settings:
    """Make settings as a test deployment has them: no coarse limits, and its own host name; *more* replaces any."""
    chosen: dict[str, Any] = {
        "encryption_key": KEY,
        "database_url": database_url,
        "rate_limit_enabled": False,
        "base_url": HERE,
        "trusted_origins": "https://app.example,https://*.shop.example",
        **more,
    }
    return Settings(**chosen)
