"""Input of commands: passwords, which are never arguments, and texts that are checked as over HTTP."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from czo_auth.cli.command import CANNOT_START, fail

if TYPE_CHECKING:
    from czo_auth.auth import Auth
    from czo_auth.core.api_keys.quota import QuotaUpdate

_MAX_LINE = 64 * 1024
_AGO = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def new_password(*, from_stdin: bool) -> str:
    """Read a new password: a line of standard input, or else prompted for twice without echo."""
    if from_stdin:
        return _line()
    if not sys.stdin.isatty():
        fail(
            "there is no terminal to ask for the password: give it on standard input with --password-stdin.",
            2,
        )
    import typer

    answer = typer.prompt("Password", hide_input=True, confirmation_prompt="Once more")
    return str(answer)


def _line() -> str:
    line = sys.stdin.buffer.readline(_MAX_LINE)
    try:
        # Strip only the line end: spaces may be part of the password.
        password = line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        fail("the password on standard input is not UTF-8.", CANNOT_START)
    if not password:
        fail("there is no password on standard input.", CANNOT_START)
    return password


def checked_name(name: str) -> str:
    """Check a name as the flows do, or end."""
    from czo_auth.core.fields import checked_name as check

    return _checked(name, check, "--name")


def checked_reason(reason: str) -> str:
    """Check a reason as the flows do, or end."""
    from czo_auth.core.fields import checked_reason as check

    return _checked(reason, check, "--reason")


def since_time(text: str | None, *, now: datetime) -> datetime | None:
    """Read a time, as a date, a time in UTC, or a number of minutes, hours or days ago; end if it is wrong."""
    if text is None:
        return None
    try:
        if (ago := _AGO.fullmatch(text)) is not None:
            return now - int(ago[1]) * _UNITS[ago[2]]
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        fail("--since: a time like 2026-01-31, 2026-01-31T12:00, 30m, 12h or 7d.", CANNOT_START)


def read_day(text: str | None, option: str) -> date | None:
    """Read a day, or end."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"{option}: a day like 2026-01-31.", CANNOT_START)


def read_quota(text: str) -> QuotaUpdate:
    """Read a quota, as uses in a day or month, or ``none``; or end."""
    from czo_auth.core.api_keys.quota import QUOTA_PERIODS, QuotaUpdate

    if text == "none":
        return QuotaUpdate.removal()
    number, _, unit = text.partition("/")
    period = next((each for each in QUOTA_PERIODS if each == unit), None)
    if period is None or not re.fullmatch("[0-9]{1,10}", number):
        fail("--quota: uses in a day or month, like 1000/day or 20000/month.", CANNOT_START)
    return QuotaUpdate.of(int(number), period)


async def user_id_of(auth: Auth, user: str | None) -> str | None:
    """
    Return the id of a user named by address or id; a deleted user can only be named by id.

    Raises:
        NotFound: Nobody has the address.
    """
    from czo_auth.core.ids import is_id

    if user is None or is_id(user):
        return user
    return (await auth.administration.find_by_email(user)).id


def _checked(text: str, check: Callable[[str], str], option: str) -> str:
    from czo_auth.core.errors import ValidationFailed

    try:
        text.encode("utf-8")
        return check(text)
    except UnicodeEncodeError:
        fail(f"{option} is not UTF-8.", CANNOT_START)
    except ValidationFailed as refusal:
        fail(f"{option}: {refusal.details[0][1]}", CANNOT_START)
