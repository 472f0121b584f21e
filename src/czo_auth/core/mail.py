"""Mail: the port for sending it, drafts of flows, and rendered messages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol, get_args
from urllib.parse import urlencode, urlsplit

from czo_auth.core.errors import MailNotConfigured, MailUnavailable
from czo_auth.core.users.email import deliverable_email, find_canonical_email

MailKind = Literal[
    "verification",
    "password_reset",
    "invitation",
    "two_factor_reset",
    "two_factor_reset_asked",
    "two_factor_reset_cancelled",
    "two_factor_enabled",
    "two_factor_replaced",
    "two_factor_disabled",
    "two_factor_locked",
    "two_factor_stopped",
    "wrong_codes",
    "backup_code_used",
    "backup_codes_renewed",
    "new_browser",
    "account_secured",
    "api_key_created",
    "two_factor_due",
    "two_factor_due_by_type",
    "two_factor_renewal",
    "two_factor_exempt",
    "two_factor_exemption_ended",
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
MAIL_KINDS: Final[tuple[MailKind, ...]] = get_args(MailKind)
OPTIONAL_MAILS: Final[frozenset[MailKind]] = frozenset(
    {
        *("new_browser", "wrong_codes", "api_key_created", "account_exported"),
        *("api_key_expiring", "api_keys_expiring", "api_key_unused", "api_keys_unused"),
        *("api_key_ended", "service_account_key"),
        *("two_factor_due", "two_factor_due_by_type", "two_factor_renewal"),
        *("two_factor_exempt", "two_factor_exemption_ended"),
        "webhook_switched_off",
    }
)
"""Mails that a deployment may turn off. The others contain a link that someone waits for, or warn of a takeover."""


_ADDRESS = r"[^\s<>@,;\"()]+@[^\s<>@,;\"()]+"
_SENDER = re.compile(
    rf'(?P<bare>{_ADDRESS})|(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<name>[^<>",;@]*))\s*<(?P<address>{_ADDRESS})>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailMessage:
    """
    One message to one person, as text and as equivalent HTML.

    Attributes:
        to: Address as its owner entered it, in deliverable form.
        subject: One line.
        text, html: Hidden from ``repr``, as they hold the token.
        token: What the link carries; None for a notice.
        language: The language of the text, such as ``de``; None if unspecified.
        valid_for: How long its link works; None for a notice.

    Raises:
        ValueError: The address or the subject could carry a second header or a second recipient.
    """

    to: str
    subject: str
    text: str = field(repr=False)
    kind: MailKind
    token: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)
    language: str | None = None
    valid_for: timedelta | None = None

    def __post_init__(self) -> None:
        # This form has no control character, space, comma or bracket.
        if find_canonical_email(self.to) is None or deliverable_email(self.to) != self.to:
            raise ValueError("mail goes to one address in its deliverable form")
        if not self.subject or any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in self.subject):
            raise ValueError("a subject is one line of text")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text of the ``mail`` group of the translations, inserted into a mail."""

    key: str


MailValue = str | datetime | timedelta | Phrase
"""What can be put into a mail; times, durations and phrases are written in the language of its reader."""
MailLine = tuple[MailValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailOrigin:
    """When, from where and with which browser the action of a mail happened; None if unknown."""

    at: datetime
    ip: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailDraft:
    """
    A mail to be sent; texts, brand and format are added when it is rendered.

    Attributes:
        to: Address as its owner entered it, in deliverable form.
        language: The reader's language; None if unknown.
        values: Values for the text. Text that strangers chose is already quoted; several lines make a list.
        link, token: Where the message leads to, and what the link carries.
        origin: Shown below the text.
        secure_account_link: The link "this was not me" below that, and how long it works.
    """

    to: str
    kind: MailKind
    language: str | None = None
    values: Mapping[str, MailValue | tuple[MailLine, ...]] = field(default_factory=dict, repr=False)
    link: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    origin: MailOrigin | None = None
    secure_account_link: tuple[str, timedelta] | None = field(default=None, repr=False)


class Mail(Protocol):
    """Sends mail."""

    async def send(self, message: MailMessage) -> None:
        """
        Send *message*; returns once a server has accepted it or, with a queue, once it is queued.

        Raises:
            MailUnavailable: It was not accepted.
            MailNotConfigured: There is no mail server.
        """


def is_final(error: Exception) -> bool:
    """Whether another attempt would fail as well: the server refused the mail, or there is no server."""
    return isinstance(error, (MailUnavailable, MailNotConfigured)) and error.retry_after is None


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
    The pages that mails link to.

    Attributes:
        base_url: Where people reach this deployment, ``https://host`` with an optional path.
        verify_email, reset_password, accept_invitation, cancel_reset, revert_email_change, secure_account: Pages that
            take ``?token=``: a path below the base URL, or a whole address where the front end lives on another host.
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
    secure_account: str = "/secure-account"
    organizations: str = "/account/organizations"

    def __post_init__(self) -> None:
        pages = (
            *(self.verify_email, self.reset_password, self.accept_invitation, self.cancel_reset),
            self.revert_email_change,
            self.secure_account,
        )
        for page in ("/", *pages):
            address = self._address(page)
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError(f"{address!r} is not an http(s) address")
            if re.search(r"[^\x21-\x7e]|[?#<>]", address):
                raise ValueError(f"{address!r} must be plain ASCII, without query and fragment")

    def to_page(self, page: str, token: str, *, callback_url: str | None = None) -> str:
        """Build the URL of *page*, one of this object's, for *token*; it redirects to *callback_url*."""
        query = {"token": token} | ({} if callback_url is None else {"callbackURL": callback_url})
        address = self._address(page)
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    def to_keys_made_by(self, organization_id: str, user_id: str) -> str:
        """Build the URL of the page that lists the keys someone created in an organization."""
        page = self._address(self.organizations)
        return f"{page}/{organization_id}/api-keys?{urlencode({'createdBy': user_id})}"

    def _address(self, page: str) -> str:
        return self.base_url.rstrip("/") + page if page.startswith("/") else page
