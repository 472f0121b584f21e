"""What a new API key looks like to its owner."""

from __future__ import annotations

import re
from datetime import UTC, datetime

KEY = re.compile(r"czo_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
FIELDS = {
    *("id", "key", "name", "prefix", "organizationId", "scopes", "metadata", "enabled"),
    *("expiresAt", "lastUsedAt", "createdAt"),
}


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
