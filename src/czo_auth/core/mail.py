"""Mail: the port through which it leaves, and how each message is put together."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol
from urllib.parse import urlencode, urlsplit

from czo_auth.core.api_keys.key import LeakResponse
from czo_auth.core.mail_texts import ENDED, KEY_ENDINGS, LEAK_RESPONSES, NO_NAME, NO_PLACE, TEXTS
from czo_auth.core.text import escape_control
from czo_auth.core.users.email import deliverable_email, find_canonical_email

MailKind = Literal[
    "verification",
    "password_reset",
    "invitation",
    "two_factor_reset",
    "two_factor_reset_asked",
    "two_factor_reset_cancelled",
    "two_factor_enabled",
    "two_factor_disabled",
    "two_factor_due",
    "two_factor_due_by_type",
    "two_factor_exempt",
    "passkey_added",
    "passkey_removed",
    "password_changed",
    "address_proved",
    "email_change",
    "email_change_notice",
    "email_change_taken",
    "email_change_taken_back",
    "account_created",
    "account_deleted",
    "account_exported",
    "api_key_leaked",
    "api_key_expiring",
    "api_keys_expiring",
    "api_key_unused",
    "api_keys_unused",
    "api_key_ended",
    "api_keys_made_by",
    "service_account_key",
    "webhook_switched_off",
]
Language = Literal["en", "fr"]
DEFAULT_LANGUAGE: Language = "en"


_ADDRESS = r"[^\s<>@,;\"()]+@[^\s<>@,;\"()]+"
_SENDER = re.compile(
    rf'(?P<bare>{_ADDRESS})|(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<name>[^<>",;@]*))\s*<(?P<address>{_ADDRESS})>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailMessage:
    """
    One message to one person, plain text.

    Attributes:
        to: Address as its owner typed it, in the form that can be delivered to.
        subject: One line.
        text: Hidden from ``repr``, as it holds the token.
        token: What the link carries; None for a notice.

    Raises:
        ValueError: The address or the subject could carry a second header or a second recipient.
    """

    to: str
    subject: str
    text: str = field(repr=False)
    kind: MailKind
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        # This form has no control character, space, comma or bracket.
        if find_canonical_email(self.to) is None or deliverable_email(self.to) != self.to:
            raise ValueError("mail goes to one address in its deliverable form")
        if not self.subject or any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in self.subject):
            raise ValueError("a subject is one line of text")


class Mail(Protocol):
    """Sends mail."""

    async def send(self, message: MailMessage) -> None:
        """
        Send *message*; returns when a server has taken it or, where there is a queue, when it is queued.

        Raises:
            MailUnavailable: It was not taken.
            MailNotConfigured: There is nothing that could take it.
        """


def read_sender(text: str) -> tuple[str, str]:
    """
    Read the sender of mails, ``auth@example.com`` or ``Shop <auth@example.com>``, as name and address.

    Raises:
        ValueError: It is neither.
    """
    found = _SENDER.fullmatch(text.strip())
    if found is None or not text.isprintable():
        raise ValueError("must be an address, like auth@example.com or Shop <auth@example.com>")
    name = re.sub(r"\\(.)", r"\1", found["quoted"]) if found["quoted"] is not None else found["name"] or ""
    return name.strip(), found["bare"] or found["address"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """
    The pages that mail points to.

    Attributes:
        base_url: Where people reach this deployment, ``https://host`` with an optional path.
        verify_email, reset_password, accept_invitation, cancel_reset, revert_email_change: Pages that take
            ``?token=``: a path below the base URL, or a whole address where the front end lives on another host.
        organizations: The page of organizations; the keys of one are below it.

    Raises:
        ValueError: Something is not an address, or not one that a token can be added to.
    """

    base_url: str
    verify_email: str = "/api/auth/verify-email"
    reset_password: str = "/reset-password"  # noqa: S105 - a path
    accept_invitation: str = "/accept-invitation"
    cancel_reset: str = "/cancel-reset"
    revert_email_change: str = "/revert-email-change"
    organizations: str = "/account/organizations"

    def __post_init__(self) -> None:
        pages = (
            *(self.verify_email, self.reset_password, self.accept_invitation, self.cancel_reset),
            self.revert_email_change,
        )
        for page in ("/", *pages):
            address = self._address(page)
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"{address!r} is not an http(s) address")
            if re.search(r"[^\x21-\x7e]|[?#<>]", address):
                raise ValueError(f"{address!r} must be plain ASCII, without query and fragment")

    def to_page(self, page: str, token: str, *, callback_url: str | None = None) -> str:
        """Build the address of *page*, one of this object's, for *token*; it leads on to *callback_url*."""
        query = {"token": token} | ({} if callback_url is None else {"callbackURL": callback_url})
        address = self._address(page)
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    def to_keys_made_by(self, organization_id: str, user_id: str) -> str:
        """Build the address of the page that lists the keys of an organization that somebody made."""
        page = self._address(self.organizations)
        return f"{page}/{organization_id}/api-keys?{urlencode({'createdBy': user_id})}"

    def _address(self, page: str) -> str:
        return self.base_url.rstrip("/") + page if page.startswith("/") else page


# --- messages --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFrom:
    """When and from where an account was made; None where that is not known any more."""

    at: datetime
    ip: str | None = None
    user_agent: str | None = None


def compose_verification(
    to: str,
    *,
    token: str,
    links: Links,
    made: MadeFrom,
    valid_for: timedelta,
    callback_url: str | None = None,
    language: Language = DEFAULT_LANGUAGE,
) -> MailMessage:
    """
    Compose the message that confirms an address. It says when and from where the account was made.

    It names nobody: who signs up with a stranger's address must not get to write to them. The browser's name is text
    of a stranger too, and is quoted.
    """
    unknown = NO_PLACE[language]
    return _compose(
        to,
        "verification",
        language=language,
        token=token,
        link=links.to_page(links.verify_email, token, callback_url=callback_url),
        valid_for=_duration(valid_for, language=language),
        at=_time(made.at),
        ip=unknown if made.ip is None else made.ip,
        browser=unknown if made.user_agent is None else _quoted(made.user_agent, limit=120),
    )


def compose_email_change(
    to: str,
    *,
    token: str,
    links: Links,
    callback_url: str | None,
    valid_for: timedelta,
    language: Language = DEFAULT_LANGUAGE,
) -> MailMessage:
    """Compose the message that confirms a new address of an account. It names nobody."""
    return _compose(
        to,
        "email_change",
        language=language,
        token=token,
        link=links.to_page(links.verify_email, token, callback_url=callback_url),
        valid_for=_duration(valid_for, language=language),
    )


def compose_email_change_notice(
    to: str, *, token: str, links: Links, at: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice to the old address, with the link that takes the change back."""
    return _compose(
        to,
        "email_change_notice",
        language=language,
        token=token,
        link=links.to_page(links.revert_email_change, token),
        at=_time(at),
    )


def compose_email_change_taken(
    to: str, *, at: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice to an address that somebody wanted for another account, and that has one."""
    return _compose(to, "email_change_taken", language=language, at=_time(at))


def compose_email_change_taken_back(
    to: str, *, at: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice that a change of address was taken back."""
    return _compose(to, "email_change_taken_back", language=language, at=_time(at))


def compose_account_created(
    to: str, *, token: str, links: Links, valid_for: timedelta, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the message to somebody for whom an administrator made an account; its link sets the password."""
    return _compose(
        to,
        "account_created",
        language=language,
        token=token,
        link=links.to_page(links.reset_password, token),
        valid_for=_duration(valid_for, language=language),
    )


def compose_account_deleted(to: str, *, at: datetime, language: Language = DEFAULT_LANGUAGE) -> MailMessage:
    """Compose the last message to a user: the account was deleted."""
    return _compose(to, "account_deleted", language=language, at=_time(at))


def compose_account_exported(to: str, *, at: datetime, language: Language = DEFAULT_LANGUAGE) -> MailMessage:
    """Compose the notice that an administrator exported an account."""
    return _compose(to, "account_exported", language=language, at=_time(at))


Ended = Literal["sessions", "api_keys", "trusted_devices", "email_changes", "second_factors", "factors_stay"]
"""What ends when a password reset proves an address for the first time, or that second factors do not."""


def compose_address_proved(
    to: str, *, at: datetime, ended: Sequence[Ended], language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice that a password reset proved an address for the first time, and what ended with it."""
    lines = "\n".join(f"- {ENDED[each, language]}" for each in ended)
    return _compose(to, "address_proved", language=language, at=_time(at), ended=lines)


def compose_password_reset(
    to: str,
    *,
    token: str,
    links: Links,
    valid_for: timedelta,
    page: str | None = None,
    language: Language = DEFAULT_LANGUAGE,
) -> MailMessage:
    """Compose the message with which a forgotten password is replaced, on *page* or the deployment's own."""
    return _compose(
        to,
        "password_reset",
        language=language,
        token=token,
        link=links.to_page(page or links.reset_password, token),
        valid_for=_duration(valid_for, language=language),
    )


def compose_invitation(
    to: str,
    *,
    token: str,
    links: Links,
    organization: str,
    inviter: str,
    valid_for: timedelta,
    language: Language = DEFAULT_LANGUAGE,
) -> MailMessage:
    """Compose an invitation; the names of *organization* and *inviter* are text that strangers chose."""
    return _compose(
        to,
        "invitation",
        language=language,
        token=token,
        link=links.to_page(links.accept_invitation, token),
        valid_for=_duration(valid_for, language=language),
        organization=_name(organization),
        inviter=_name(inviter),
    )


def compose_two_factor_reset(to: str, *, at: datetime, language: Language = DEFAULT_LANGUAGE) -> MailMessage:
    """Compose the notice that an administrator switched a user's second factor off."""
    return _compose(to, "two_factor_reset", language=language, at=_time(at))


def compose_two_factor_reset_asked(
    to: str,
    *,
    token: str,
    links: Links,
    at: datetime,
    due_at: datetime,
    language: Language = DEFAULT_LANGUAGE,
) -> MailMessage:
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
        at=_time(at),
        due_at=_time(due_at),
    )


def compose_two_factor_reset_cancelled(
    to: str, *, asked_at: datetime, at: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice that the reset that was asked for at *asked_at* will not happen."""
    return _compose(
        to, "two_factor_reset_cancelled", language=language, asked_at=_time(asked_at), at=_time(at)
    )


def compose_two_factor_enabled(
    to: str, *, at: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice that an authenticator app was added."""
    return _compose(to, "two_factor_enabled", language=language, at=_time(at))


def compose_two_factor_disabled(
    to: str, *, at: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice that an authenticator app, or all factors, were removed."""
    return _compose(to, "two_factor_disabled", language=language, at=_time(at))


def compose_two_factor_due(
    to: str, *, organization: str, due_at: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the reminder that an organization refuses its members without a second factor soon."""
    return _compose(
        to, "two_factor_due", language=language, organization=_name(organization), at=_time(due_at)
    )


def compose_two_factor_due_by_type(
    to: str, *, due_at: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the reminder that an account can do nothing but enroll a second factor soon."""
    return _compose(to, "two_factor_due_by_type", language=language, at=_time(due_at))


def compose_two_factor_exempt(
    to: str, *, organization: str, until: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice that an owner exempted the reader from two factors until a time, or ended that."""
    return _compose(
        to, "two_factor_exempt", language=language, organization=_name(organization), at=_time(until)
    )


def compose_passkey_added(
    to: str, *, name: str | None, at: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice that a passkey was added; its name was chosen by the person who added it."""
    return _compose(to, "passkey_added", language=language, name=_passkey_name(name, language), at=_time(at))


def compose_passkey_removed(
    to: str, *, name: str | None, at: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice that a passkey was removed."""
    return _compose(
        to, "passkey_removed", language=language, name=_passkey_name(name, language), at=_time(at)
    )


def _passkey_name(name: str | None, language: Language) -> str:
    return NO_NAME[language] if name is None else _name(name)


def compose_password_changed(to: str, *, at: datetime, language: Language = DEFAULT_LANGUAGE) -> MailMessage:
    """Compose the notice that a password was changed or reset."""
    return _compose(to, "password_changed", language=language, at=_time(at))


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
    to: str, keys: Sequence[EndingKey], *, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the notice that API keys are about to expire, one message for all of them."""
    kind: MailKind = "api_key_expiring" if len(keys) == 1 else "api_keys_expiring"
    return _compose(to, kind, language=language, **_ending(keys))


def compose_keys_unused(
    to: str, keys: Sequence[EndingKey], *, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
    """Compose the warning that API keys will be ended because nobody uses them."""
    kind: MailKind = "api_key_unused" if len(keys) == 1 else "api_keys_unused"
    return _compose(to, kind, language=language, **_ending(keys))


def compose_api_key_leaked(
    to: str,
    *,
    name: str,
    prefix: str,
    place: str | None,
    response: LeakResponse,
    at: datetime,
    language: Language = DEFAULT_LANGUAGE,
) -> MailMessage:
    """
    Compose the notice that an API key was reported as leaked.

    Args:
        place: Where it was seen, as the report says: text of a stranger, quoted so that it is no link.
        response: What became of the key.
    """
    told = NO_PLACE[language] if place is None else _quoted(place, limit=300)
    return _compose(
        to,
        "api_key_leaked",
        language=language,
        name=_name(name),
        prefix=_name(prefix),
        at=_time(at),
        place=told,
        response=LEAK_RESPONSES[response, language],
    )


KeyEnding = Literal["revoked", "transferred", "rotated"]
"""What somebody else did with a key."""


def compose_api_key_ended(
    to: str,
    *,
    by: str,
    name: str,
    prefix: str,
    organization: str,
    what: KeyEnding,
    at: datetime,
    language: Language = DEFAULT_LANGUAGE,
) -> MailMessage:
    """Compose the notice to a member that somebody ended their key, or transferred it to a service account."""
    return _compose(
        to,
        "api_key_ended",
        language=language,
        by=_name(by),
        name=_name(name),
        prefix=_name(prefix),
        organization=_name(organization),
        what=KEY_ENDINGS[what, language],
        at=_time(at),
    )


def compose_service_account_key(
    to: str,
    *,
    by: str,
    name: str,
    prefix: str,
    organization: str,
    what: KeyEnding,
    at: datetime,
    language: Language = DEFAULT_LANGUAGE,
) -> MailMessage:
    """Compose the notice to an owner that somebody ended or rotated the key of a service account."""
    return _compose(
        to,
        "service_account_key",
        language=language,
        by=_name(by),
        name=_name(name),
        prefix=_name(prefix),
        organization=_name(organization),
        what=KEY_ENDINGS[what, language],
        at=_time(at),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """A key of a service account that somebody made or rotated who is gone, or has fewer rights."""

    name: str
    prefix: str


MAX_MADE_KEYS: Final = 50
"""Keys that one notice lists; the page that it leads to has them all."""


def compose_keys_made_by(
    to: str,
    keys: Sequence[MadeKey],
    *,
    total: int,
    person: str,
    organization: str,
    link: str,
    language: Language = DEFAULT_LANGUAGE,
) -> MailMessage:
    """
    Compose the notice to an owner that keys live on which somebody made who is gone, or has fewer rights.

    Args:
        keys: The first ones.
        total: How many there are in all.
        link: The page that lists them.
    """
    lines = [f"- {_name(key.name)} ({_name(key.prefix)}…)" for key in keys[:MAX_MADE_KEYS]]
    if total > len(lines):
        lines.append("…")
    return _compose(
        to,
        "api_keys_made_by",
        language=language,
        person=_name(person),
        organization=_name(organization),
        count=str(total),
        keys="\n".join(lines),
        link=link,
    )


def compose_webhook_switched_off(
    to: str, *, host: str, since: datetime | None, at: datetime, language: Language = DEFAULT_LANGUAGE
) -> MailMessage:
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
        since=_time(since or at),
        at=_time(at),
    )


def _ending(keys: Sequence[EndingKey]) -> dict[str, str]:
    """Return the words about keys that end; their names are text that their owner chose."""
    lines = [f"- {_name(key.name)} ({_name(key.prefix)}…): {_time(key.ends_at)}" for key in keys]
    return {"name": _name(keys[0].name), "count": str(len(keys)), "keys": "\n".join(lines)}


def _compose(
    to: str, kind: MailKind, *, language: Language, token: str | None = None, **words: str
) -> MailMessage:
    subject, text = TEXTS[kind, language]
    # One pass over our own template: braces in a name stay braces.
    return MailMessage(
        to=to, subject=subject.format_map(words), text=text.format_map(words), kind=kind, token=token
    )


def _name(text: str) -> str:
    return _quoted(text, limit=64).replace("”", "'").replace("»", "'")


def _quoted(text: str, *, limit: int) -> str:
    """Make what a stranger chose fit to quote: one short line that no mail program turns into a link."""
    spread = re.sub(r"(?<=\S)([.:/\\@]+)(?=\S)", r" \1 ", text.strip()[:limit])
    return escape_control(spread, limit=limit)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _duration(duration: timedelta, *, language: Language) -> str:
    minutes = round(duration.total_seconds() / 60)
    if minutes % 60 or minutes == 0:
        return f"{minutes} min"
    hours = minutes // 60
    unit = {"en": "hour", "fr": "heure"}[language]
    return f"{hours} {unit}" if hours == 1 else f"{hours} {unit}s"
