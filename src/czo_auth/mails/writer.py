"""Rendering of mail drafts into messages."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from string import Formatter
from textwrap import fill
from typing import TYPE_CHECKING, Final, Literal

from czo_auth.brand import Accent, Brand
from czo_auth.core.browsers import browser_name
from czo_auth.core.mail import MailDraft, MailKind, MailLine, MailMessage, MailOrigin, MailValue, Phrase
from czo_auth.core.text import escape_control
from czo_auth.extras import is_installed, require_extra
from czo_auth.translations import Catalogs, Translations

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE: Final = "mail.html"
DEFAULT_ACCENT: Final = "#2457c5"
_LOG = logging.getLogger("czo_auth.mail")
_MAX_BROWSER: Final = 120
_WIDTH: Final = 78
"""Of lines of text. Source: RFC 5322 section 2.1.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One part of a mail: a paragraph, a list of lines, or a link that is shown as a button."""

    kind: Literal["paragraph", "list", "button"]
    lines: tuple[str, ...] = field(repr=False)
    label: str = ""

    def as_text(self) -> str:
        """Write the part as plain text; a link stays in one piece."""
        match self.kind:
            case "button":
                return self.lines[0]
            case "list":
                return "\n".join(_wrapped(line, first="- ", others="  ") for line in self.lines)
            case _:
                return "\n".join(_wrapped(line) for line in self.lines)


class MailWriter:
    """
    Writes mails. Without Jinja, which the extras `smtp` and `pages` bring, they have no HTML part.

    Args:
        url: Of the deployment; every mail names it, so that its readers know where it comes from.
        templates: A folder whose ``mail.html`` replaces ours.
        off: Kinds that the deployment switched off.

    Raises:
        StartRefused: The deployment's template is broken, or Jinja is not installed.
    """

    def __init__(
        self,
        catalogs: Catalogs,
        brand: Brand,
        *,
        url: str,
        templates: Path | None = None,
        off: frozenset[MailKind] = frozenset(),
    ) -> None:
        self._catalogs = catalogs
        self._brand = brand
        self._url = url
        self._off = off
        accent = brand.accent or DEFAULT_ACCENT
        self._accents = {"light": Accent.light(accent), "dark": Accent.dark(accent)}
        own = templates if templates is not None and (templates / TEMPLATE).exists() else None
        self._ours, self._templates = _environments(own)

    def sends(self, kind: MailKind) -> bool:
        """Whether mails of *kind* are sent."""
        return kind not in self._off

    def write(self, draft: MailDraft) -> MailMessage:
        """Write *draft* in the language of its reader."""
        words = self._catalogs[draft.language]
        values = {
            name: _localized(value, words) for name, value in draft.values.items() if not _is_list(value)
        }
        values |= {"link": draft.link or ""}
        name = self._brand.name or ""
        subject = words(f"mail.{draft.kind}.subject").format_map(values)
        whole = words("mail.subject", brand=name, subject=subject)
        blocks = list(self._body(draft, words, values)) + list(_ending(draft, words))
        return MailMessage(
            to=draft.to,
            subject=whole,
            text=self._as_text(blocks, words),
            html=self._as_html(whole, blocks, words),
            kind=draft.kind,
            token=draft.token,
            language=words.language,
            valid_for=valid_for
            if isinstance(valid_for := draft.values.get("valid_for"), timedelta)
            else None,
        )

    def _body(self, draft: MailDraft, words: Translations, values: Mapping[str, str]) -> list[Block]:
        blocks = []
        for paragraph in words(f"mail.{draft.kind}.text").strip().split("\n\n"):
            alone = _only_value(paragraph)
            listed = draft.values.get(alone) if alone else None
            if alone == "link" and draft.link is not None:
                label = words(f"mail.{draft.kind}.do")
                blocks.append(Block(kind="button", lines=(draft.link,), label=label))
            elif isinstance(listed, tuple):
                lines = tuple("".join(_localized(part, words) for part in line) for line in listed)
                blocks.append(Block(kind="list", lines=lines))
            else:
                text = " ".join(paragraph.format_map(values).split("\n"))
                blocks.append(Block(kind="paragraph", lines=(text,)))
        return blocks

    def _as_text(self, blocks: list[Block], words: Translations) -> str:
        brand = self._brand
        foot = [words("mail.sent_by", brand=brand.name, url=self._url)]
        if brand.support_address is not None:
            foot.append(words("mail.support", address=brand.support_address))
        foot += [f"{label}: {address}" for label, address in brand.links]
        return "\n\n".join([*(block.as_text() for block in blocks), "-- \n" + "\n".join(foot)]) + "\n"

    def _as_html(self, subject: str, blocks: list[Block], words: Translations) -> str | None:
        if self._ours is None or self._templates is None:
            return None
        brand = self._brand
        values = {
            "t": words,
            "subject": subject,
            "blocks": blocks,
            "brand": brand.name,
            "logo": brand.logo_address,
            "light": self._accents["light"],
            "dark": self._accents["dark"],
            "url": self._url,
            "footer_links": brand.links,
            "support_address": brand.support_address,
            "support_link": brand.support_link,
        }
        try:
            return self._templates.get_template(TEMPLATE).render(values)
        except Exception:
            if self._templates is self._ours:
                raise
            # The mail is still sent: someone may be waiting for its link.
            _LOG.exception("CZO_AUTH_TEMPLATES_DIR: %s failed", TEMPLATE)
            return self._ours.get_template(TEMPLATE).render(values)


def _environments(own: Path | None) -> tuple[Environment | None, Environment | None]:
    """Return the environment of our template, and the one in which the template in *own* replaces it."""
    if own is not None:
        require_extra("pages", "CZO_AUTH_TEMPLATES_DIR")
    elif not is_installed("pages"):
        return None, None
    from czo_auth.templating import check_own_templates, template_environment

    ours = template_environment(None, package="czo_auth.mails")
    if own is None:
        return ours, ours
    templates = template_environment(own, package="czo_auth.mails")
    check_own_templates(own, templates, only=frozenset({TEMPLATE}))
    return ours, templates


def _wrapped(line: str, *, first: str = "", others: str = "") -> str:
    return fill(
        line,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _ending(draft: MailDraft, words: Translations) -> list[Block]:
    """Return what follows the text: when and from where it was done, and what to do if it was not the reader."""
    blocks = []
    if draft.origin is not None:
        blocks.append(Block(kind="paragraph", lines=tuple(_facts(draft.origin, words))))
    if draft.secure_account_link is not None:
        link, valid_for = draft.secure_account_link
        text = words("mail.not_me", valid_for=_duration(valid_for, words))
        blocks.append(Block(kind="paragraph", lines=(text,)))
        blocks.append(Block(kind="button", lines=(link,), label=words("mail.not_me_do")))
    return blocks


def _facts(origin: MailOrigin, words: Translations) -> list[str]:
    facts = [words("mail.at", at=words.moment(origin.at))]
    if origin.ip is not None:
        facts.append(words("mail.ip", ip=origin.ip))
    if origin.user_agent is not None:
        facts.append(
            words("mail.browser", browser=escape_control(browser_name(origin.user_agent), limit=_MAX_BROWSER))
        )
    return facts


def _only_value(paragraph: str) -> str | None:
    """Return the name of the value, if *paragraph* consists of one placeholder."""
    parts = list(Formatter().parse(paragraph.strip()))
    return parts[0][1] if len(parts) == 1 and not parts[0][0] else None


def _is_list(value: MailValue | tuple[MailLine, ...]) -> bool:
    return isinstance(value, tuple)


def _localized(value: MailValue | tuple[MailLine, ...], words: Translations) -> str:
    match value:
        case datetime():
            return words.moment(value)
        case timedelta():
            return _duration(value, words)
        case Phrase():
            return words(f"mail.{value.key}")
        case _:
            return str(value)


def _duration(duration: timedelta, words: Translations) -> str:
    minutes = round(duration.total_seconds() / 60)
    hours, days = minutes // 60, minutes // (24 * 60)
    if minutes % 60 or not hours:
        return words("mail.minutes", count=minutes)
    if hours == 1:
        return words("mail.hour")
    return words("mail.days", count=days) if days > 1 and not hours % 24 else words("mail.hours", count=hours)
