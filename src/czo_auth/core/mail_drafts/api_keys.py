"""Mails about API keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from czo_auth.core.api_keys.key import LeakResponse
from czo_auth.core.limits import MAX_LISTED_KEYS
from czo_auth.core.mail import MailDraft, MailKind, MailLine, Phrase
from czo_auth.core.mail_drafts.compose import Values, compose, quoted, quoted_name
from czo_auth.core.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingKey:
    """
    An API key that ends soon, for the notice to its owner.

    Attributes:
        prefix: What lists show of it.
        ends_at: When it expires or, if it is not used before, ends because it is unused.
    """

    name: str
    prefix: str
    ends_at: datetime


def compose_keys_expiring(
    to: User | str, keys: Sequence[EndingKey], *, language: str | None = None
) -> MailDraft:
    """Compose the notice that API keys are about to expire, one message for all of them."""
    kind: MailKind = "api_key_expiring" if len(keys) == 1 else "api_keys_expiring"
    return compose(to, kind, language=language, values=_ending(keys))


def compose_keys_unused(
    to: User | str, keys: Sequence[EndingKey], *, language: str | None = None
) -> MailDraft:
    """Compose the warning that API keys will expire because they are unused."""
    kind: MailKind = "api_key_unused" if len(keys) == 1 else "api_keys_unused"
    return compose(to, kind, language=language, values=_ending(keys))


def compose_api_key_leaked(
    to: User | str,
    *,
    name: str,
    prefix: str,
    place: str | None,
    response: LeakResponse,
    at: datetime,
    language: str | None = None,
) -> MailDraft:
    """
    Compose the notice that an API key was reported as leaked.

    Args:
        place: Where it was seen, according to the report: text of a stranger, quoted so that it is not a link.
        response: What happened to the key.
    """
    place_text = Phrase("no_place") if place is None else quoted(place, limit=300)
    return compose(
        to,
        "api_key_leaked",
        language=language,
        name=quoted_name(name),
        prefix=quoted_name(prefix),
        at=at,
        place=place_text,
        response=Phrase(f"leak_{response}"),
    )


KeyEnding = Literal["revoked", "transferred", "rotated"]
"""What somebody else did with a key."""


def compose_key_changed(
    to: User | str,
    kind: Literal["api_key_ended", "service_account_key"],
    *,
    by: str,
    name: str,
    prefix: str,
    organization: str,
    what: KeyEnding,
    at: datetime,
    language: str | None = None,
) -> MailDraft:
    """
    Compose the notice that someone else revoked, transferred or rotated a key.

    Args:
        to: The member whose key it was, or an owner if it was the key of a service account.
        kind: ``api_key_ended`` for the member, ``service_account_key`` for the owner.
    """
    return compose(
        to,
        kind,
        language=language,
        by=quoted_name(by),
        name=quoted_name(name),
        prefix=quoted_name(prefix),
        organization=quoted_name(organization),
        what=Phrase(f"key_{what}"),
        at=at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key of a service account whose creator is gone or has fewer rights."""

    name: str
    prefix: str


def compose_keys_made_by(
    to: User | str,
    keys: Sequence[MadeKey],
    *,
    total: int,
    person: str,
    organization: str,
    link: str,
    language: str | None = None,
) -> MailDraft:
    """
    Compose the notice to an owner that keys stay valid although their creator is gone or has fewer rights.

    Args:
        keys: The first ones.
        total: How many there are in all.
        link: The page that lists them.
    """
    lines: list[MailLine] = [
        (f"{quoted_name(key.name)} ({quoted_name(key.prefix)}…)",) for key in keys[:MAX_LISTED_KEYS]
    ]
    if total > len(lines):
        lines.append(("…",))
    return compose(
        to,
        "api_keys_made_by",
        language=language,
        link=link,
        person=quoted_name(person),
        organization=quoted_name(organization),
        count=str(total),
        keys=tuple(lines),
    )


def _ending(keys: Sequence[EndingKey]) -> Values:
    """Return the values about expiring keys; their names are text that their owner chose."""
    lines = tuple((f"{quoted_name(key.name)} ({quoted_name(key.prefix)}…): ", key.ends_at) for key in keys)
    return {"name": quoted_name(keys[0].name), "count": str(len(keys)), "keys": lines}
