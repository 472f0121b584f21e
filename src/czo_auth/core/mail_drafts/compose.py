"""Creating drafts, and making user-chosen text safe to quote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from czo_auth.core.mail import MailDraft, MailKind, MailLine, MailValue
from czo_auth.core.text import escape_control
from czo_auth.core.users.user import User

Values = Mapping[str, MailValue | tuple[MailLine, ...]]
_CLOSING: Final = str.maketrans(dict.fromkeys("”“»", "'"))
"""The closing quotation marks of our languages."""


def compose(
    to: User | str,
    kind: MailKind,
    *,
    language: str | None,
    token: str | None = None,
    link: str | None = None,
    values: Values | None = None,
    **more: MailValue | tuple[MailLine, ...],
) -> MailDraft:
    """Make a draft in the language of a known user, or else in *language*."""
    known = to.language if isinstance(to, User) else None
    return MailDraft(
        to=to.mail_address if isinstance(to, User) else to,
        kind=kind,
        language=known or language,
        values=more if values is None else values,
        link=link,
        token=token,
    )


def quoted_name(text: str) -> str:
    """Return a user-chosen name, safe between the quotation marks of any of our languages."""
    return quoted(text, limit=64).translate(_CLOSING)


def quoted(text: str, *, limit: int) -> str:
    """Make user-chosen text safe to quote: one short line that no mail program turns into a link."""
    spread = re.sub(r"(?<=\S)([.:/\\@]+)(?=\S)", r" \1 ", text.strip()[:limit])
    return escape_control(spread, limit=limit)
