from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import get_args
from urllib.parse import parse_qs, urlsplit

import pytest

from czo_auth.core import mail
from czo_auth.core.api_keys.key import LeakResponse
from czo_auth.core.errors import MailNotConfigured, MailUnavailable
from czo_auth.core.mail import Language, Links, MailKind, MailMessage

AT = datetime(2026, 2, 13, 9, 30, 15, tzinfo=UTC)
TOKEN = "czm_" + "t" * 42 + "A"
TO = "ada@example.com"
LINKS = Links(base_url="https://auth.example.com/")
HOUR = timedelta(hours=1)

MADE = mail.MadeFrom(at=AT, ip="192.0.2.1", user_agent="Firefox")
CI = mail.EndingKey(name="CI", prefix="czo_AbCd", ends_at=AT)
DEPLOY = mail.EndingKey(name="deploy", prefix="czo_WxYz", ends_at=AT + HOUR)
COMPOSED: dict[str, Callable[[Language], MailMessage]] = {
    "verification": lambda language: mail.compose_verification(
        TO, token=TOKEN, links=LINKS, made=MADE, valid_for=timedelta(hours=24), language=language
    ),
    "email_change": lambda language: mail.compose_email_change(
        TO, token=TOKEN, links=LINKS, callback_url=None, valid_for=timedelta(hours=24), language=language
    ),
    "email_change_notice": lambda language: mail.compose_email_change_notice(
        TO, token=TOKEN, links=LINKS, at=AT, language=language
    ),
    "email_change_taken": lambda language: mail.compose_email_change_taken(TO, at=AT, language=language),
    "email_change_taken_back": lambda language: mail.compose_email_change_taken_back(
        TO, at=AT, language=language
    ),
    "account_created": lambda language: mail.compose_account_created(
        TO, token=TOKEN, links=LINKS, valid_for=timedelta(hours=48), language=language
    ),
    "account_deleted": lambda language: mail.compose_account_deleted(TO, at=AT, language=language),
    "account_exported": lambda language: mail.compose_account_exported(TO, at=AT, language=language),
    "address_proved": lambda language: mail.compose_address_proved(
        TO, at=AT, ended=get_args(mail.Ended), language=language
    ),
    "password_reset": lambda language: mail.compose_password_reset(
        TO, token=TOKEN, links=LINKS, valid_for=HOUR, language=language
    ),
    "invitation": lambda language: invitation(language=language),
    "two_factor_reset": lambda language: mail.compose_two_factor_reset(TO, at=AT, language=language),
    "two_factor_reset_asked": lambda language: mail.compose_two_factor_reset_asked(
        TO, token=TOKEN, links=LINKS, at=AT - HOUR, due_at=AT, language=language
    ),
    "webhook_switched_off": lambda language: mail.compose_webhook_switched_off(
        TO, host="https://hooks.example", since=AT - HOUR, at=AT, language=language
    ),
    "two_factor_reset_cancelled": lambda language: mail.compose_two_factor_reset_cancelled(
        TO, asked_at=AT - HOUR, at=AT, language=language
    ),
    "two_factor_enabled": lambda language: mail.compose_two_factor_enabled(TO, at=AT, language=language),
    "two_factor_due": lambda language: mail.compose_two_factor_due(
        TO, organization="Acme", due_at=AT, language=language
    ),
    "two_factor_due_by_type": lambda language: mail.compose_two_factor_due_by_type(
        TO, due_at=AT, language=language
    ),
    "two_factor_exempt": lambda language: mail.compose_two_factor_exempt(
        TO, organization="Acme", until=AT, language=language
    ),
    "two_factor_disabled": lambda language: mail.compose_two_factor_disabled(TO, at=AT, language=language),
    "passkey_added": lambda language: mail.compose_passkey_added(TO, name="phone", at=AT, language=language),
    "passkey_removed": lambda language: mail.compose_passkey_removed(TO, name=None, at=AT, language=language),
    "password_changed": lambda language: mail.compose_password_changed(TO, at=AT, language=language),
    "api_key_leaked": lambda language: leaked(language=language),
    "api_key_expiring": lambda language: mail.compose_keys_expiring(TO, [CI], language=language),
    "api_keys_expiring": lambda language: mail.compose_keys_expiring(TO, [CI, DEPLOY], language=language),
    "api_key_unused": lambda language: mail.compose_keys_unused(TO, [CI], language=language),
    "api_key_ended": lambda language: mail.compose_api_key_ended(
        TO,
        by="Grace",
        name="CI",
        prefix="czo_AbCd",
        organization="Acme",
        what="transferred",
        at=AT,
        language=language,
    ),
    "service_account_key": lambda language: mail.compose_service_account_key(
        TO,
        by="Grace",
        name="CI",
        prefix="czo_AbCd",
        organization="Acme",
        what="rotated",
        at=AT,
        language=language,
    ),
    "api_keys_made_by": lambda language: mail.compose_keys_made_by(
        TO,
        [mail.MadeKey(name="CI", prefix="czo_AbCd")],
        total=2,
        person="Grace",
        organization="Acme",
        link=LINKS.to_keys_made_by("o1", "u1"),
        language=language,
    ),
    "api_keys_unused": lambda language: mail.compose_keys_unused(TO, [CI, DEPLOY], language=language),
}


def leaked(
    place: str | None = "https://git.example/a", response: LeakResponse = "revoke", language: Language = "en"
) -> MailMessage:
    return mail.compose_api_key_leaked(
        TO, name="CI", prefix="czo_AbCd", place=place, response=response, at=AT, language=language
    )


def invitation(organization: str = "Acme", inviter: str = "Grace", language: Language = "en") -> MailMessage:
    return mail.compose_invitation(
        TO,
        token=TOKEN,
        links=LINKS,
        organization=organization,
        inviter=inviter,
        valid_for=timedelta(hours=48),
        language=language,
    )


@pytest.mark.parametrize("language", get_args(Language))
@pytest.mark.parametrize("kind", get_args(MailKind))
def test_every_kind_is_written_in_every_language(kind: MailKind, language: Language) -> None:
    message = COMPOSED[kind](language)
    other = COMPOSED[kind]("fr" if language == "en" else "en")
    assert (message.to, message.kind) == (TO, kind)
    assert message.subject != other.subject
    assert message.text != other.text
    assert not set("{}") & set(message.subject + message.text)
    assert max(map(len, message.text.splitlines())) < 130


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("verification", "/api/auth/verify-email"),
        ("password_reset", "/reset-password"),
        ("invitation", "/accept-invitation"),
        ("two_factor_reset_asked", "/cancel-reset"),
        ("email_change", "/api/auth/verify-email"),
        ("email_change_notice", "/revert-email-change"),
        ("account_created", "/reset-password"),
    ],
)
@pytest.mark.parametrize("language", get_args(Language))
def test_link_stands_alone_on_its_line_and_carries_the_token(
    kind: str, page: str, language: Language
) -> None:
    message = COMPOSED[kind](language)
    (link,) = (line for line in message.text.splitlines() if "://" in line)
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "auth.example.com", page)
    assert parse_qs(parts.query) == {"token": [TOKEN]}
    assert message.token == TOKEN


@pytest.mark.parametrize(
    "kind",
    [
        "two_factor_reset",
        "two_factor_reset_cancelled",
        "password_changed",
        "address_proved",
        "email_change_taken",
        "email_change_taken_back",
        "account_deleted",
        "account_exported",
        "api_key_expiring",
        "api_key_unused",
        "api_key_leaked",
        "webhook_switched_off",
    ],
)
def test_notice_carries_no_link_and_says_when(kind: str) -> None:
    message = COMPOSED[kind]("en")
    assert message.token is None
    assert re.search(r"\S://|://\S", message.text) is None
    assert "2026-02-13 09:30 UTC" in message.text


@pytest.mark.parametrize("language", get_args(Language))
def test_notice_of_a_leak_says_what_became_of_the_key(language: Language) -> None:
    texts = {
        leaked(place, response, language).text
        for place in (None, "https://git.example/a")
        for response in get_args(LeakResponse)
    }
    assert len(texts) == 4
    assert not any("git.example" in text for text in texts), "a stranger's text is no link"


@pytest.mark.parametrize("kind", ["api_keys_expiring", "api_keys_unused"])
def test_notice_about_several_keys_lists_each_with_its_end(kind: str) -> None:
    message = COMPOSED[kind]("en")
    assert message.subject.startswith("2 of your ")
    assert (
        "- CI (czo_AbCd…): 2026-02-13 09:30 UTC\n- deploy (czo_WxYz…): 2026-02-13 10:30 UTC\n" in message.text
    )


def test_name_of_a_key_becomes_neither_a_line_nor_a_link() -> None:
    named = mail.EndingKey(name="x\r\nBcc: http://evil.example/", prefix="czo_AbCd", ends_at=AT)
    message = mail.compose_keys_expiring(TO, [named])
    assert "\r" not in message.subject + message.text
    assert "evil.example" not in message.subject + message.text
    assert not any(line.startswith("Bcc") for line in message.text.splitlines())


def test_token_does_not_show_in_repr() -> None:
    assert TOKEN not in repr(COMPOSED["password_reset"]("en"))


def test_page_may_live_on_another_host() -> None:
    links = Links(base_url="https://api.example.com", reset_password="https://app.example.com/reset")
    message = mail.compose_password_reset(TO, token=TOKEN, links=links, valid_for=HOUR)
    assert f"\nhttps://app.example.com/reset?token={TOKEN}\n" in message.text


@pytest.mark.parametrize(
    ("lifetime", "said"),
    [(HOUR, "1 hour."), (timedelta(hours=48), "48 hours."), (timedelta(minutes=10), "10 min.")],
)
def test_lifetime_is_said_in_words(lifetime: timedelta, said: str) -> None:
    message = mail.compose_password_reset(TO, token=TOKEN, links=LINKS, valid_for=lifetime)
    assert f"within {said}" in message.text


def test_name_of_a_stranger_becomes_neither_a_line_nor_a_link_nor_a_placeholder() -> None:
    message = invitation("Prize!\r\nBcc: eve@evil.example", "{link} http://evil.example/x ” said")
    assert "\r" not in message.subject + message.text
    assert not any(line.startswith("Bcc") for line in message.text.splitlines())
    assert "{link}" in message.text
    for linked in ("evil.example", "http://evil", "eve@evil", "”  said"):
        assert linked not in message.subject + message.text
    assert len(invitation("x" * 5000).subject) < 120


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com\n",
        "ada@example.com,eve@example.com",
        "<ada@example.com>",
        "ada @example.com",
        "Ada@Example.com",
    ],
)
def test_anything_but_one_canonical_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="one address"):
        mail.compose_password_changed(address, at=AT)


@pytest.mark.parametrize("subject", ["", "a\nb", "a\rb", "a\x00b", "a\u2028b", "a\x85b", "a\ud800b"])
def test_subject_that_is_not_one_line_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        MailMessage(to=TO, subject=subject, text="", kind="verification")


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "auth.example.com",
        "javascript://x",
        "ftp://example.com",
        "https://",
        "https://a.example?x=1",
        "https://a.example#x",
        "https://a.example/\nx",
        "https://a b.example",
        "https://é.example",
    ],
)
def test_base_url_that_is_no_plain_address_is_refused(base_url: str) -> None:
    with pytest.raises(ValueError, match=r"address|ASCII"):
        Links(base_url=base_url)


@pytest.mark.parametrize("page", ["reset", "javascript:x", "/reset?x=1", "/re set"])
def test_page_that_cannot_take_a_token_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match=r"address|ASCII"):
        Links(base_url="https://a.example", reset_password=page)


def test_outages_have_codes_of_their_own() -> None:
    assert (MailUnavailable.code, MailUnavailable().retry_after) == ("MAIL_UNAVAILABLE", 2)
    assert (MailNotConfigured.code, MailNotConfigured().retry_after) == ("MAIL_NOT_CONFIGURED", None)
