"""The statuses that users are filtered by; apart, because the command line's help needs nothing else of users."""

from __future__ import annotations

from typing import Final, Literal, get_args

UserStatus = Literal["active", "unverified", "banned"]
USER_STATUSES: Final[tuple[UserStatus, ...]] = get_args(UserStatus)
