"""
The statuses that users are filtered by; in a module of their own, because the command line's help needs nothing else
about users.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

UserStatus = Literal["active", "unverified", "banned"]
USER_STATUSES: Final[tuple[UserStatus, ...]] = get_args(UserStatus)
