"""What people are mailed: in every language, as text and HTML that say the same, with nothing for strangers to use."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qs, urlsplit

import pytest

from czo_auth.brand import Brand
from czo_auth.core import mail_drafts as compose
from czo_auth.core.api_keys.key import LeakResponse
from czo_auth.core.mail import MAIL_KINDS, Links, MailDraft, MailKind, MailMessage, MailOrigin
from czo_auth.errors import StartRefused
from czo_auth.mails import MailWriter
from czo_auth.mails.samples import sample_draft
from czo_auth.translations import shipped

BRAND_PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "brand.md"
BLOCKS = sorted(re.findall(r"^\| `(\w+)` \| `mail\.html`", BRAND_PAGE.read_text("utf-8"), re.MULTILINE))
AT = datetime(2026, 2, 13, 9, 30, 15, tzinfo=UTC)
TOKEN = "czm_" + "t" * 42 + "A"
TO = "ada@example.com"
LINKS = Links(base_url="https://auth.example.com/")
HOUR = timedelta(hours=1)
SHOP = Brand(
    name="Bücher & Söhne",
    accent="#b3541e",
    footer_links={"Imprint": "https://shop.example/imprint"},
    support_address="help@shop.example",
)
LANGUAGES = shipped().languages


def written(draft: MailDraft, brand: Brand = SHOP) -> MailMessage:
    return MailWriter(shipped(), brand, url="https://auth.example.com").write(draft)


def sample(kind: MailKind, language: str = "en") -> MailMessage:
    return written(sample_draft(kind, links=LINKS, now=AT, language=language))


class Visible(HTMLParser):
    """Collects what an HTML mail shows, and the addresses in it."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.addresses: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "form", "link", "object")
        self._hidden += tag in ("style", "title")
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("href", "src"):
                self.addresses.append(str(value))

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "title")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text.append(data)


def shown(message: MailMessage) -> Visible:
    parser = Visible()
    parser.feed(str(message.html))
    return parser


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", MAIL_KINDS)
def test_every_kind_is_written_in_every_language_as_text_and_html(kind: MailKind, language: str) -> None:
    message = sample(kind, language)
    other = sample(kind, "fr" if language == "en" else "en")
    assert (message.to, message.kind, message.language) == (TO, kind, language)
    assert message.subject.startswith("Bücher & Söhne")
    assert message.subject != other.subject
    assert message.text != other.text
    assert not set("{}") & set(message.subject + message.text)
    assert f'<html lang="{language}">' in str(message.html)
    # One says what the other says.
    plain = re.sub(r"\W+", "", message.text)
    html = shown(message)
    for piece in "".join(html.text).split("\n"):
        found = re.sub(r"\W+", "", piece)
        labels = [shipped()[language].find(f"mail.{kind}.do") or "", shipped()[language]("mail.not_me_do")]
        assert found in plain or piece.strip() in labels, piece
    assert set(html.addresses) >= {"https://shop.example/imprint", "mailto:help@shop.example"}
    assert not [each for each in html.addresses if each.startswith("http:")]


@pytest.mark.parametrize("kind", MAIL_KINDS)
def test_lines_of_text_are_short_but_for_links(kind: MailKind) -> None:
    for language in LANGUAGES:
        assert max(len(line) for line in sample(kind, language).text.splitlines() if "://" not in line) <= 78


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
        ("account_secured", "/reset-password"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_link_stands_alone_on_its_line_and_carries_the_token(
    kind: MailKind, page: str, language: str
) -> None:
    message = sample(kind, language)
    body = message.text.partition("\n-- \n")[0]
    (link,) = (line for line in body.splitlines() if "://" in line)
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "auth.example.com", page)
    assert parse_qs(parts.query) == {"token": [message.token]}
    assert link in shown(message).addresses


NOTICES: list[MailKind] = [
    "password_changed",
    "two_factor_enabled",
    "two_factor_replaced",
    "two_factor_disabled",
    "two_factor_locked",
    "two_factor_stopped",
    "wrong_codes",
    "backup_code_used",
    "backup_codes_renewed",
    "new_browser",
    "passkey_added",
    "passkey_removed",
    "api_key_created",
]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", NOTICES)
def test_notice_about_an_account_says_when_and_from_where_and_what_to_do(
    kind: MailKind, language: str
) -> None:
    message = sample(kind, language)
    words = shipped()[language]
    assert words.moment(AT) in message.text
    assert "192.0.2.7" in message.text
    assert "Firefox · Linux" in message.text
    (link,) = (line for line in message.text.splitlines() if "/secure-account?token=" in line)
    assert link in shown(message).addresses
    assert message.token is None


def test_a_message_names_service_address_support_and_links() -> None:
    message = sample("password_reset")
    assert message.subject == "Bücher & Söhne: Reset your password"
    foot = message.text.partition("\n-- \n")[2]
    assert "Bücher & Söhne sent this message: https://auth.example.com" in foot
    assert "Need help? help@shop.example" in foot
    assert "Imprint: https://shop.example/imprint" in foot
    assert "Bücher &amp; Söhne" in str(message.html)


def test_images_are_loaded_only_where_the_logo_has_an_address(tmp_path: Path) -> None:
    draft = sample_draft("password_reset", links=LINKS, now=AT)
    for brand in (Brand(name="Shop"), Brand(name="Shop", logo=tmp_path / "logo.png")):
        assert "<img" not in str(written(draft, brand).html)
    html = str(written(draft, Brand(name="Shop", logo="https://cdn.shop.example/logo.png")).html)
    assert re.findall(r"<img src=\"([^\"]+)\"", html) == ["https://cdn.shop.example/logo.png"]
    assert "url(" not in html


def test_buttons_can_be_read_in_light_and_dark() -> None:
    from czo_auth.brand import Accent

    html = str(sample("password_reset").html)
    light, dark = Accent.light("#b3541e"), Accent.dark("#b3541e")
    assert f"background:{light.color};color:{light.ink}" in html
    assert f"background: {dark.color} !important; color: {dark.ink} !important" in html
    assert '<meta name="color-scheme" content="light dark">' in html


@pytest.mark.parametrize("language", LANGUAGES)
def test_notice_of_a_leak_says_what_became_of_the_key(language: str) -> None:
    texts = {
        written(
            compose.compose_api_key_leaked(
                TO, name="CI", prefix="czo_AbCd", place=place, response=response, at=AT, language=language
            )
        ).text
        for place in (None, "https://git.example/a")
        for response in get_args(LeakResponse)
    }
    assert len(texts) == 4
    assert not any("git.example" in text for text in texts), "a stranger's text is no link"


def test_notice_about_several_keys_lists_each_with_its_end() -> None:
    message = sample("api_keys_expiring")
    assert "2 of your " in message.subject
    assert "- Nightly export (czo_AbCd…): 20 Feb 2026, 09:30 UTC\n- Deployment" in message.text
    assert "<li" in str(message.html)


@pytest.mark.parametrize(
    ("lifetime", "said"),
    [
        (HOUR, "1 hour."),
        (timedelta(hours=24), "24 hours."),
        (timedelta(hours=48), "2 days."),
        (timedelta(minutes=10), "10 minutes."),
    ],
)
def test_lifetime_is_said_in_words(lifetime: timedelta, said: str) -> None:
    draft = compose.compose_password_reset(TO, token=TOKEN, links=LINKS, valid_for=lifetime)
    assert f"within {said}" in written(draft).text.replace("\n", " ")


@pytest.mark.parametrize("language", LANGUAGES)
def test_name_of_a_stranger_becomes_neither_a_line_nor_a_link_nor_a_placeholder(language: str) -> None:
    message = written(
        compose.compose_invitation(
            TO,
            token=TOKEN,
            links=LINKS,
            organization="Prize!\r\nBcc: eve@evil.example",
            inviter="{link} http://evil.example/x ” “ » <b>said</b>",
            valid_for=HOUR,
            language=language,
        )
    )
    assert "\r" not in message.subject + message.text
    assert not any(line.startswith("Bcc") for line in message.text.splitlines())
    assert "{link}" in message.text
    for linked in ("evil.example", "http://evil", "eve@evil"):
        assert linked not in message.subject + message.text + str(message.html)
    assert "<b>" not in str(message.html)
    assert "&lt;b&gt;" in str(message.html)
    closing = {"en": "”", "fr": "»", "de": "“"}[language]
    assert message.text.count(closing) == 2, "a name cannot end its quotation"


@pytest.mark.parametrize("kind", ["verification", "new_browser"])
def test_a_browser_is_called_as_its_users_call_it(kind: MailKind) -> None:
    text = written(sample_draft(kind, links=LINKS, now=AT)).text
    assert "Firefox · Linux" in " ".join(text.split())
    assert "Mozilla" not in text


def test_a_browser_that_calls_itself_a_link_is_cut_and_escaped() -> None:
    draft = sample_draft("new_browser", links=LINKS, now=AT)
    origin = MailOrigin(at=AT, user_agent="x\u202e<script>" + "y" * 5000)
    message = written(
        MailDraft(to=TO, kind=draft.kind, origin=origin, secure_account_link=draft.secure_account_link)
    )
    assert "<script>" not in str(message.html)
    assert "\u202e" not in message.text
    assert len(message.text) < 1500


def test_page_may_live_on_another_host() -> None:
    links = Links(base_url="https://api.example.com", reset_password="https://app.example.com/reset")
    message = written(compose.compose_password_reset(TO, token=TOKEN, links=links, valid_for=HOUR))
    assert f"\nhttps://app.example.com/reset?token={TOKEN}\n" in message.text


def test_token_shows_in_no_repr() -> None:
    draft = sample_draft("password_reset", links=LINKS, now=AT)
    assert "EXAMPLE" not in repr(draft) + repr(written(draft))
    assert "EXAMPLE" not in repr(sample_draft("new_browser", links=LINKS, now=AT))


def test_a_language_that_there_is_not_is_the_default() -> None:
    assert written(sample_draft("password_reset", links=LINKS, now=AT, language="xx")).language == "en"


def test_an_own_template_is_laid_over_ours(tmp_path: Path) -> None:
    tmp_path.joinpath("mail.html").write_text(
        '{% extends "czo_auth/mail.html" %}{% block footer %}<p>Only here</p>{% endblock %}'
    )
    writer = MailWriter(shipped(), SHOP, url="https://a.example", templates=tmp_path)
    html = str(writer.write(sample_draft("password_reset", links=LINKS, now=AT)).html)
    assert "<p>Only here</p>" in html
    assert "sent this message" not in html
    assert "Choose a new password" in html


@pytest.mark.parametrize("block", BLOCKS)
def test_an_override_of_each_documented_block_is_in_the_mail(tmp_path: Path, block: str) -> None:
    tmp_path.joinpath("mail.html").write_text(
        f'{{% extends "czo_auth/mail.html" %}}{{% block {block} %}}{{{{ super() }}}}<!--ours-->{{% endblock %}}'
    )
    writer = MailWriter(shipped(), SHOP, url="https://a.example", templates=tmp_path)
    html = str(writer.write(sample_draft("password_reset", links=LINKS, now=AT)).html)
    assert html.count("<!--ours-->") == 1
    assert "Choose a new password" in html
    assert "sent this message" in html


def test_a_mail_is_sent_although_the_own_template_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.joinpath("mail.html").write_text("{{ nobody }}")
    writer = MailWriter(shipped(), SHOP, url="https://a.example", templates=tmp_path)
    message = writer.write(sample_draft("password_reset", links=LINKS, now=AT))
    assert "Choose a new password" in str(message.html)
    assert "mail.html failed" in caplog.text
    assert "EXAMPLE" not in caplog.text


def test_a_broken_template_stops_the_start(tmp_path: Path) -> None:
    tmp_path.joinpath("mail.html").write_text("\n{% block %}")
    with pytest.raises(StartRefused, match=r"mail\.html is broken: .* \(at line 2\)"):
        MailWriter(shipped(), SHOP, url="https://a.example", templates=tmp_path)


def test_every_documented_block_of_the_mail_exists() -> None:
    from importlib.resources import files

    documented = set(BLOCKS)
    template = files("czo_auth.mails").joinpath("templates", "mail.html").read_text("utf-8")
    assert set(re.findall(r"{% block (\w+) %}", template)) == documented
