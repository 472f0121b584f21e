"""What a flow asks to be mailed, one function for each kind."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from czo_auth.core.api_keys.key import LeakResponse
from czo_auth.core.browsers import browser_name
from czo_auth.core.mail import Links, MailDraft, MailKind, MailLine, MailOrigin, MailValue, Phrase
from czo_auth.core.text import escape_control
from czo_auth.core.users.not_me import NOT_ME_LIFETIME
from czo_auth.core.users.user import User

Values = Mapping[str, MailValue | tuple[MailLine, ...]]
_CLOSING: Final = str.maketrans(dict.fromkeys("”“»", "'"))
"""The quotation marks that end a name in one of our languages."""


def compose_notice(
    user: User,
    kind: MailKind,
    *,
    origin: MailOrigin,
    not_me: str | None,
    **values: MailValue | None,
) -> MailDraft:
    """
    Compose what tells a user that something was done with their account, from where, and what to do if it was not them.

    Args:
        not_me: The link "this was not me"; None leaves it out.
        values: What the text of the kind puts in; a name that somebody chose is quoted, and None is "no name".
    """
    return MailDraft(
        to=user.mail_address,
        kind=kind,
        language=user.language,
        values={name: _quotable(value) for name, value in values.items()},
        origin=origin,
        not_me=None if not_me is None else (not_me, NOT_ME_LIFETIME),
    )


def _quotable(value: MailValue | None) -> MailValue:
    if value is None:
        return Phrase("no_name")
    return _name(value) if isinstance(value, str) else value


def compose_verification(
    to: User | str,
    *,
    token: str,
    links: Links,
    made: MailOrigin,
    valid_for: timedelta,
    callback_url: str | None = None,
    language: str | None = None,
) -> MailDraft:
    """
    Compose the message that confirms an address. It says when and from where the account was made.

    It names nobody: who signs up with a stranger's address must not get to write to them. The browser's name is text
    of a stranger too, and is quoted.
    """
    unknown, browser = Phrase("no_place"), browser_name(made.user_agent)
    return _compose(
        to,
        "verification",
        language=language,
        token=token,
        link=links.to_page(links.verify_email, token, callback_url=callback_url),
        valid_for=valid_for,
        at=made.at,
        ip=unknown if made.ip is None else made.ip,
        browser=_quoted(browser, limit=120) if browser else unknown,
    )


def compose_email_change(
    to: User | str,
    *,
    token: str,
    links: Links,
    callback_url: str | None,
    valid_for: timedelta,
    language: str | None = None,
) -> MailDraft:
    """Compose the message that confirms a new address of an account. It names nobody."""
    return _compose(
        to,
        "email_change",
        language=language,
        token=token,
        link=links.to_page(links.verify_email, token, callback_url=callback_url),
        valid_for=valid_for,
    )


def compose_email_change_notice(
    to: User | str, *, token: str, links: Links, at: datetime, language: str | None = None
) -> MailDraft:
    """Compose the notice to the old address, with the link that takes the change back."""
    return _compose(
        to,
        "email_change_notice",
        language=language,
        token=token,
        link=links.to_page(links.revert_email_change, token),
        at=at,
    )


def compose_email_change_taken(to: User | str, *, at: datetime, language: str | None = None) -> MailDraft:
    """Compose the notice to an address that somebody wanted for another account, and that has one."""
    return _compose(to, "email_change_taken", language=language, at=at)


def compose_email_change_taken_back(
    to: User | str, *, at: datetime, language: str | None = None
) -> MailDraft:
    """Compose the notice that a change of address was taken back."""
    return _compose(to, "email_change_taken_back", language=language, at=at)


def compose_account_created(
    to: User | str, *, token: str, links: Links, valid_for: timedelta, language: str | None = None
) -> MailDraft:
    """Compose the message to somebody for whom an administrator made an account; its link sets the password."""
    return _compose(
        to,
        "account_created",
        language=language,
        token=token,
        link=links.to_page(links.reset_password, token),
        valid_for=valid_for,
    )


def compose_account_deleted(to: User | str, *, at: datetime, language: str | None = None) -> MailDraft:
    """Compose the last message to a user: the account was deleted."""
    return _compose(to, "account_deleted", language=language, at=at)


def compose_account_exported(to: User | str, *, at: datetime, language: str | None = None) -> MailDraft:
    """Compose the notice that an administrator exported an account."""
    return _compose(to, "account_exported", language=language, at=at)


Ended = Literal["sessions", "api_keys", "trusted_devices", "email_changes", "second_factors", "factors_stay"]
"""What ends when a password reset proves an address for the first time, or that second factors do not."""


def compose_address_proved(
    to: User | str, *, at: datetime, ended: Sequence[Ended], language: str | None = None
) -> MailDraft:
    """Compose the notice that a password reset proved an address for the first time, and what ended with it."""
    lines = tuple((Phrase(f"ended_{each}"),) for each in ended)
    return _compose(to, "address_proved", language=language, at=at, ended=lines)


def compose_password_reset(
    to: User | str,
    *,
    token: str,
    links: Links,
    valid_for: timedelta,
    page: str | None = None,
    language: str | None = None,
) -> MailDraft:
    """Compose the message with which a forgotten password is replaced, on *page* or the deployment's own."""
    return _compose(
        to,
        "password_reset",
        language=language,
        token=token,
        link=links.to_page(page or links.reset_password, token),
        valid_for=valid_for,
    )


def compose_invitation(
    to: User | str,
    *,
    token: str,
    links: Links,
    organization: str,
    inviter: str,
    valid_for: timedelta,
    language: str | None = None,
) -> MailDraft:
    """Compose an invitation; the names of *organization* and *inviter* are text that strangers chose."""
    return _compose(
        to,
        "invitation",
        language=language,
        token=token,
        link=links.to_page(links.accept_invitation, token),
        valid_for=valid_for,
        organization=_name(organization),
        inviter=_name(inviter),
    )


def compose_two_factor_reset(to: User | str, *, at: datetime, language: str | None = None) -> MailDraft:
    """Compose the notice that an administrator switched a user's second factor off."""
    return _compose(to, "two_factor_reset", language=language, at=at)


def compose_two_factor_reset_asked(
    to: User | str,
    *,
    token: str,
    links: Links,
    at: datetime,
    due_at: datetime,
    language: str | None = None,
) -> MailDraft:
    """
    Compose the warning that a user's second factor will be switched off at *due_at*, with the link that cancels it.

    The administrator's reason stays out: it is not written for the user, whom somebody may be trying to deceive.
    """
    return _compose(
        to,
        "two_factor_reset_asked",
        language=language,
        token=token,
        link=links.to_page(links.cancel_reset, token),
        at=at,
        due_at=due_at,
    )


def compose_two_factor_reset_cancelled(
    to: User | str, *, asked_at: datetime, at: datetime, language: str | None = None
) -> MailDraft:
    """Compose the notice that the reset that was asked for at *asked_at* will not happen."""
    return _compose(to, "two_factor_reset_cancelled", language=language, asked_at=asked_at, at=at)


def compose_two_factor_due(
    to: User | str, *, organization: str, due_at: datetime, language: str | None = None
) -> MailDraft:
    """Compose the reminder that an organization refuses its members without a second factor soon."""
    return _compose(to, "two_factor_due", language=language, organization=_name(organization), at=due_at)


def compose_two_factor_due_by_type(
    to: User | str, *, due_at: datetime, language: str | None = None
) -> MailDraft:
    """Compose the reminder that an account can do nothing but enroll a second factor soon."""
    return _compose(to, "two_factor_due_by_type", language=language, at=due_at)


def compose_two_factor_renewal(to: User | str, *, due_at: datetime, language: str | None = None) -> MailDraft:
    """Compose the reminder that an account can do nothing but enroll its authenticator app again soon."""
    return _compose(to, "two_factor_renewal", language=language, at=due_at)


def compose_two_factor_exempt(
    to: User | str, *, organization: str, until: datetime, language: str | None = None
) -> MailDraft:
    """Compose the notice that an owner exempted the reader from two factors until a time, or ended that."""
    return _compose(to, "two_factor_exempt", language=language, organization=_name(organization), at=until)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingKey:
    """
    An API key that ends soon, for the notice to its owner.

    Attributes:
        prefix: What lists show of it.
        ends_at: By its expiry or, unless it is used before, for disuse.
    """

    name: str
    prefix: str
    ends_at: datetime


def compose_keys_expiring(
    to: User | str, keys: Sequence[EndingKey], *, language: str | None = None
) -> MailDraft:
    """Compose the notice that API keys are about to expire, one message for all of them."""
    kind: MailKind = "api_key_expiring" if len(keys) == 1 else "api_keys_expiring"
    return _compose(to, kind, language=language, values=_ending(keys))


def compose_keys_unused(
    to: User | str, keys: Sequence[EndingKey], *, language: str | None = None
) -> MailDraft:
    """Compose the warning that API keys will be ended because nobody uses them."""
    kind: MailKind = "api_key_unused" if len(keys) == 1 else "api_keys_unused"
    return _compose(to, kind, language=language, values=_ending(keys))


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
        place: Where it was seen, as the report says: text of a stranger, quoted so that it is no link.
        response: What became of the key.
    """
    told = Phrase("no_place") if place is None else _quoted(place, limit=300)
    return _compose(
        to,
        "api_key_leaked",
        language=language,
        name=_name(name),
        prefix=_name(prefix),
        at=at,
        place=told,
        response=Phrase(f"leak_{response}"),
    )


KeyEnding = Literal["revoked", "transferred", "rotated"]
"""What somebody else did with a key."""


def compose_api_key_ended(
    to: User | str,
    *,
    by: str,
    name: str,
    prefix: str,
    organization: str,
    what: KeyEnding,
    at: datetime,
    language: str | None = None,
) -> MailDraft:
    """Compose the notice to a member that somebody ended their key, or transferred it to a service account."""
    return _compose(
        to,
        "api_key_ended",
        language=language,
        by=_name(by),
        name=_name(name),
        prefix=_name(prefix),
        organization=_name(organization),
        what=Phrase(f"key_{what}"),
        at=at,
    )


def compose_service_account_key(
    to: User | str,
    *,
    by: str,
    name: str,
    prefix: str,
    organization: str,
    what: KeyEnding,
    at: datetime,
    language: str | None = None,
) -> MailDraft:
    """Compose the notice to an owner that somebody ended or rotated the key of a service account."""
    return _compose(
        to,
        "service_account_key",
        language=language,
        by=_name(by),
        name=_name(name),
        prefix=_name(prefix),
        organization=_name(organization),
        what=Phrase(f"key_{what}"),
        at=at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key of a service account that somebody made or rotated who is gone, or has fewer rights."""

    name: str
    prefix: str


MAX_MADE_KEYS: Final = 50
"""Keys that one notice lists; the page that it leads to has them all."""


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
    Compose the notice to an owner that keys live on which somebody made who is gone, or has fewer rights.

    Args:
        keys: The first ones.
        total: How many there are in all.
        link: The page that lists them.
    """
    lines: list[MailLine] = [(f"{_name(key.name)} ({_name(key.prefix)}…)",) for key in keys[:MAX_MADE_KEYS]]
    if total > len(lines):
        lines.append(("…",))
    return _compose(
        to,
        "api_keys_made_by",
        language=language,
        link=link,
        person=_name(person),
        organization=_name(organization),
        count=str(total),
        keys=tuple(lines),
    )


def compose_webhook_switched_off(
    to: User | str, *, host: str, since: datetime | None, at: datetime, language: str | None = None
) -> MailDraft:
    """
    Compose the notice that a webhook endpoint was switched off.

    Args:
        host: Of its address; text that a stranger chose.
        since: When its first delivery was given up.
    """
    return _compose(
        to,
        "webhook_switched_off",
        language=language,
        host=_name(host),
        since=since or at,
        at=at,
    )


def _ending(keys: Sequence[EndingKey]) -> Values:
    """Return the words about keys that end; their names are text that their owner chose."""
    lines = tuple((f"{_name(key.name)} ({_name(key.prefix)}…): ", key.ends_at) for key in keys)
    return {"name": _name(keys[0].name), "count": str(len(keys)), "keys": lines}


def _compose(
    to: User | str,
    kind: MailKind,
    *,
    language: str | None,
    token: str | None = None,
    link: str | None = None,
    values: Values | None = None,
    **more: MailValue | tuple[MailLine, ...],
) -> MailDraft:
    known = to.language if isinstance(to, User) else None
    return MailDraft(
        to=to.mail_address if isinstance(to, User) else to,
        kind=kind,
        language=known or language,
        values=more if values is None else values,
        link=link,
        token=token,
    )


def _name(text: str) -> str:
    return _quoted(text, limit=64).translate(_CLOSING)


def _quoted(text: str, *, limit: int) -> str:
    """Make what a stranger chose fit to quote: one short line that no mail program turns into a link."""
    spread = re.sub(r"(?<=\S)([.:/\\@]+)(?=\S)", r" \1 ", text.strip()[:limit])
    return escape_control(spread, limit=limit)


def compose_account_secured(user: User, *, token: str, links: Links, valid_for: timedelta) -> MailDraft:
    """Compose what follows "this was not me": what was ended, and the link that sets a new password."""
    return _compose(
        user,
        "account_secured",
        language=None,
        token=token,
        link=links.to_page(links.reset_password, token),
        valid_for=valid_for,
    )
