"""The notice about a change to an account."""

from __future__ import annotations

from czo_auth.core.mail import MailDraft, MailKind, MailOrigin, MailValue, Phrase
from czo_auth.core.mail_drafts.compose import quoted_name
from czo_auth.core.users.security_notices import SECURITY_NOTICE_LIFETIME
from czo_auth.core.users.user import User


def compose_notice(
    user: User,
    kind: MailKind,
    *,
    origin: MailOrigin,
    secure_account_link: str | None,
    **values: MailValue | None,
) -> MailDraft:
    """
    Compose the notice about a change to an account: what, from where, and what to do if it was not the user.

    Args:
        secure_account_link: The link "this was not me"; None leaves it out.
        values: The values for the text of the kind; a user-chosen name is quoted, and None is "no name".
    """
    return MailDraft(
        to=user.mail_address,
        kind=kind,
        language=user.language,
        values={name: _quotable(value) for name, value in values.items()},
        origin=origin,
        secure_account_link=None
        if secure_account_link is None
        else (secure_account_link, SECURITY_NOTICE_LIFETIME),
    )


def _quotable(value: MailValue | None) -> MailValue:
    if value is None:
        return Phrase("no_name")
    return quoted_name(value) if isinstance(value, str) else value
