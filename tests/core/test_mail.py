from __future__ import annotations

import pytest

from czo_auth.core.errors import MailNotConfigured, MailUnavailable
from czo_auth.core.mail import Links, MailMessage

TO = "ada@example.com"


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
        MailMessage(to=address, subject="x", text="", kind="verification")


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
