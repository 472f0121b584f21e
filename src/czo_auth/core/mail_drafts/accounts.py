"""Mails about an account: its address, password and deletion."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from czo_auth.core.browsers import browser_name
from czo_auth.core.mail import Links, MailDraft, MailOrigin, Phrase
from czo_auth.core.mail_drafts.compose import compose, quoted
from czo_auth.core.users.user import User


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

    It contains no name: someone who signs up with a stranger's address must not be able to write to them. The browser's
    name is also text of a stranger, and is quoted.
    """
    unknown, browser = Phrase("no_place"), browser_name(made.user_agent)
    return compose(
        to,
        "verification",
        language=language,
        token=token,
        link=links.to_page(links.verify_email, token, callback_url=callback_url),
        valid_for=valid_for,
        at=made.at,
        ip=unknown if made.ip is None else made.ip,
        browser=quoted(browser, limit=120) if browser else unknown,
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
    """Compose the message that confirms a new address of an account. It contains no name."""
    return compose(
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
    """Compose the notice to the old address, with the link that reverts the change."""
    return compose(
        to,
        "email_change_notice",
        language=language,
        token=token,
        link=links.to_page(links.revert_email_change, token),
        at=at,
    )


def compose_email_change_taken(to: User | str, *, at: datetime, language: str | None = None) -> MailDraft:
    """Compose the notice to an address that has an account and that someone wanted for another account."""
    return compose(to, "email_change_taken", language=language, at=at)


def compose_email_change_taken_back(
    to: User | str, *, at: datetime, language: str | None = None
) -> MailDraft:
    """Compose the notice that a change of address was reverted."""
    return compose(to, "email_change_taken_back", language=language, at=at)


def compose_account_created(
    to: User | str, *, token: str, links: Links, valid_for: timedelta, language: str | None = None
) -> MailDraft:
    """Compose the message to someone for whom an administrator created an account; its link sets the password."""
    return compose(
        to,
        "account_created",
        language=language,
        token=token,
        link=links.to_page(links.reset_password, token),
        valid_for=valid_for,
    )


def compose_account_deleted(to: User | str, *, at: datetime, language: str | None = None) -> MailDraft:
    """Compose the last message to a user: the account was deleted."""
    return compose(to, "account_deleted", language=language, at=at)


def compose_account_exported(to: User | str, *, at: datetime, language: str | None = None) -> MailDraft:
    """Compose the notice that an administrator exported an account."""
    return compose(to, "account_exported", language=language, at=at)


Ended = Literal["sessions", "api_keys", "trusted_devices", "email_changes", "second_factors", "factors_stay"]
"""What ends when a password reset proves an address for the first time, or that second factors stay."""


def compose_address_proved(
    to: User | str, *, at: datetime, ended: Sequence[Ended], language: str | None = None
) -> MailDraft:
    """Compose the notice that a password reset proved an address for the first time, and what ended with it."""
    lines = tuple((Phrase(f"ended_{each}"),) for each in ended)
    return compose(to, "address_proved", language=language, at=at, ended=lines)


def compose_password_reset(
    to: User | str,
    *,
    token: str,
    links: Links,
    valid_for: timedelta,
    page: str | None = None,
    language: str | None = None,
) -> MailDraft:
    """Compose the message with the link to reset a password, on *page* or the deployment's own."""
    return compose(
        to,
        "password_reset",
        language=language,
        token=token,
        link=links.to_page(page or links.reset_password, token),
        valid_for=valid_for,
    )


def compose_account_secured(user: User, *, token: str, links: Links, valid_for: timedelta) -> MailDraft:
    """Compose what follows "this was not me": what was ended, and the link that sets a new password."""
    return compose(
        user,
        "account_secured",
        language=None,
        token=token,
        link=links.to_page(links.reset_password, token),
        valid_for=valid_for,
    )
