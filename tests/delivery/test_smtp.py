from __future__ import annotations

import asyncio
import logging
import ssl
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from czo_auth.brand import Brand
from czo_auth.core.errors import MailUnavailable
from czo_auth.core.mail import Links, MailMessage
from czo_auth.core.mail_drafts import compose_password_reset
from czo_auth.delivery.smtp import SmtpMail, SmtpSettings
from czo_auth.mails import MailWriter
from czo_auth.translations import shipped
from tests.delivery.smtp_server import SmtpServer, tls_pair
from tests.support.ports import free_port

NOW = datetime(2026, 2, 13, 9, 30, tzinfo=UTC)
TOKEN = "czm_" + "t" * 42 + "A"
LINKS = Links(base_url="https://auth.example.com")

Tls = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return tls_pair(tmp_path_factory.mktemp("tls"))


def reset(to: str = "ada@example.com") -> MailMessage:
    draft = compose_password_reset(to, token=TOKEN, links=LINKS, valid_for=timedelta(hours=1), language="fr")
    return MailWriter(shipped(), Brand(name="Café"), url="https://auth.example.com").write(draft)


def settings(port: int, tls: ssl.SSLContext | None = None, **others: Any) -> SmtpSettings:
    values: dict[str, Any] = {"host": "127.0.0.1", "port": port, "sender": "auth@example.com", "tls": tls}
    return SmtpSettings(**values | others)


async def send(given: SmtpSettings, message: MailMessage | None = None) -> None:
    await SmtpMail(given, now=lambda: NOW).send(message or reset())


async def test_message_arrives_over_starttls_with_its_link_whole(tls: Tls) -> None:
    async with SmtpServer(password="s3cret").serve(tls=tls[0]) as server:
        given = settings(
            server.port, tls[1], username="mailer", password="s3cret", sender_name="Tür, Ça & Co"
        )
        await send(given)
    (received,) = server.received
    assert (received.sender, received.recipients) == ("auth@example.com", ["ada@example.com"])
    assert received.encrypted
    assert received.username == "mailer"
    assert received.message["To"] == "ada@example.com"
    assert received.message["From"].addresses[0].display_name == "Tür, Ça & Co"
    assert received.message["Subject"] == "Café\xa0: Réinitialisez votre mot de passe"
    assert received.message["Date"].datetime == NOW
    assert received.message["Message-ID"].endswith("@example.com>")
    assert received.message["Auto-Submitted"] == "auto-generated"
    assert received.message["Content-Language"] == "fr"
    assert received.message.get_content_type() == "multipart/alternative"
    text, html = received.message.iter_parts()
    # The last is the one that programs prefer. Source: RFC 2046 section 5.1.4.
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    link = f"https://auth.example.com/reset-password?token={TOKEN}"
    assert link in text.get_content().splitlines()
    assert "double" in text.get_content()
    assert f'href="{link}"' in html.get_content()


async def test_message_arrives_over_tls_from_the_first_byte(tls: Tls) -> None:
    async with SmtpServer().serve(tls=tls[0], implicit=True) as server:
        await send(settings(server.port, tls[1], security="tls"))
    assert [received.encrypted for received in server.received] == [True]


async def test_message_arrives_in_clear_only_when_asked_to(tls: Tls) -> None:
    async with SmtpServer(offers_starttls=False).serve(tls=tls[0]) as server:
        await send(settings(server.port, security="none"))
    assert [received.encrypted for received in server.received] == [False]


async def test_nothing_is_sent_to_a_server_without_starttls(tls: Tls) -> None:
    async with SmtpServer(offers_starttls=False, password="s3cret").serve(tls=tls[0]) as server:
        with pytest.raises(MailUnavailable):
            await send(settings(server.port, tls[1], username="mailer", password="s3cret"))
    assert {command.split()[0] for command in server.commands} <= {"EHLO", "STARTTLS", "QUIT"}


async def test_nothing_is_sent_to_a_server_with_an_unknown_certificate(tls: Tls) -> None:
    async with SmtpServer(password="s3cret").serve(tls=tls[0]) as server:
        with pytest.raises(MailUnavailable):
            await send(settings(server.port, username="mailer", password="s3cret"))
    assert {command.split()[0] for command in server.commands} <= {"EHLO", "STARTTLS", "QUIT"}


async def test_address_beyond_ascii_arrives(tls: Tls) -> None:
    async with SmtpServer().serve(tls=tls[0]) as server:
        await send(settings(server.port, tls[1]), reset("élan@example.com"))
    assert server.received[0].recipients == ["élan@example.com"]
    assert server.received[0].message["To"] == "élan@example.com"


@pytest.mark.parametrize(
    ("answer", "retry_after"),
    [("451 later; you wrote: {content}", 2), ("550 spam: {content}", None)],
)
async def test_token_stays_out_of_log_and_error_when_the_server_quotes_the_message(
    tls: Tls, caplog: pytest.LogCaptureFixture, answer: str, retry_after: int | None
) -> None:
    caplog.set_level(logging.DEBUG)
    async with SmtpServer(answer_to_data=answer).serve(tls=tls[0]) as server:
        with pytest.raises(MailUnavailable) as refused:
            await send(settings(server.port, tls[1]))
    assert refused.value.code == "MAIL_UNAVAILABLE"
    assert refused.value.retry_after == retry_after
    assert refused.value.__suppress_context__
    assert refused.value.__cause__ is None
    assert f"status {answer[:3]}" in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN not in f"{refused.value!r} {refused.value} {refused.value.message}"


async def test_mail_waits_while_the_password_is_wrong(tls: Tls) -> None:
    """An operator who rotates the password must not lose the mails of the meantime."""
    async with SmtpServer(password="right").serve(tls=tls[0]) as server:
        with pytest.raises(MailUnavailable) as refused:
            await send(settings(server.port, tls[1], username="mailer", password="wrong"))
    assert refused.value.retry_after == 2


async def test_mail_waits_while_the_sender_is_refused(tls: Tls) -> None:
    async with SmtpServer(answer_to_sender="550 relaying denied").serve(tls=tls[0]) as server:
        with pytest.raises(MailUnavailable) as refused:
            await send(settings(server.port, tls[1]))
    assert refused.value.retry_after == 2


async def test_mail_to_a_recipient_that_does_not_exist_is_given_up(tls: Tls) -> None:
    async with SmtpServer(answer_to_recipient="550 no such user").serve(tls=tls[0]) as server:
        with pytest.raises(MailUnavailable) as refused:
            await send(settings(server.port, tls[1]))
    assert refused.value.retry_after is None


async def test_server_that_is_down_is_an_outage() -> None:
    with pytest.raises(MailUnavailable) as refused:
        await send(settings(free_port()))
    assert refused.value.retry_after == 2


async def test_slow_server_is_left_after_the_time_limit(tls: Tls) -> None:
    began = time.monotonic()
    # Each answer comes within the limit, all of them together do not.
    async with SmtpServer(pause=0.3).serve(tls=tls[0]) as server:
        with pytest.raises(MailUnavailable):
            await send(settings(server.port, tls[1], time_limit=timedelta(seconds=0.5)))
        assert time.monotonic() - began < 20
        assert server.received == []
        await asyncio.sleep(0.4)


def test_password_does_not_show_in_repr() -> None:
    assert "s3cret" not in repr(settings(25, username="mailer", password="s3cret"))


@pytest.mark.parametrize(
    "faulty",
    [
        {"sender": "no address"},
        {"sender": "auth@example.com\r\nBcc: eve@example.com"},
        {"sender_name": "Auth\r\nBcc: eve@example.com"},
        {"username": "mailer"},
        {"username": "mailer", "password": "s3cret", "security": "none"},
    ],
)
def test_settings_that_cannot_work_are_refused(faulty: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the email package's own words
        settings(25, **faulty)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("smtp://mail.example", ("mail.example", 587, "starttls", None, None)),
        ("smtp://ada%40x:p%3A%2Fw@mail.example:2525", ("mail.example", 2525, "starttls", "ada@x", "p:/w")),
        ("smtps://u:p@mail.example/", ("mail.example", 465, "tls", "u", "p")),
        ("smtp+plain://localhost", ("localhost", 25, "none", None, None)),
    ],
)
def test_settings_are_read_from_an_address(url: str, read: tuple[object, ...]) -> None:
    found = SmtpSettings.from_url(url, sender="auth@example.com")
    assert (found.host, found.port, found.security, found.username, found.password) == read


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example",
        "http://u:s3cret@mail.example",
        "smtp://u:s3cret@",
        "smtp://u:s3cret@mail.example:port",
        "smtp://u:s3cret@mail.example/x",
        "smtp+plain://u:s3cret@mail.example",
        "smtp://u@mail.example",
    ],
)
def test_address_that_cannot_work_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - of several kinds
        SmtpSettings.from_url(url, sender="auth@example.com")
    assert "s3cret" not in str(refused.value)
