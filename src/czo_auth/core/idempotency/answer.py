"""What is stored of a repeatable request, and for how long (S42)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

ANSWER_LIFETIME: Final = timedelta(minutes=10)
IDEMPOTENT_ANSWER: Final = "idempotent-answer"
REQUEST_BODY: Final = "idempotent-request"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestIdentity:
    """
    Identifies one request of one session, without its content.

    Attributes:
        lineage_id: The session's, so that a renewal in between changes nothing.
        route: Method and path.
        shows_enrollment: Whether the answer holds what an enrollment shows once.
        name_digest: SHA-256 of the client's idempotency key, or of a form's nonce.
        body_kid: The encryption key that *body_mac* was made with.
        body_mac: HMAC of the body. Bodies contain passwords, so a bare hash could be guessed.
    """

    id: str
    user_id: str
    lineage_id: str
    route: str
    name_digest: str
    body_kid: str
    body_mac: str
    shows_enrollment: bool
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """
    What is stored of an earlier request with the same name.

    Attributes:
        sealed: The answer; None while the first request runs.
    """

    id: str
    user_id: str
    lineage_id: str
    route: str
    body_kid: str
    body_mac: str
    sealed: str | None = field(repr=False)
    expires_at: datetime
