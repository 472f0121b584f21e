"""Mails that notify users of changes to their account, with a link for "this was not me"."""

from __future__ import annotations

from czo_auth.core.context import Context
from czo_auth.core.flows.services import Services
from czo_auth.core.mail import MailKind, MailOrigin, MailValue
from czo_auth.core.mail_drafts import compose_notice
from czo_auth.core.users.security_notices import issue_security_notice_token
from czo_auth.core.users.user import User


def mail_notice(
    services: Services, user: User, kind: MailKind, *, context: Context, **values: MailValue | None
) -> None:
    """
    Mail *user* in the background that they, or someone with their credentials, did something.

    Args:
        values: The values that the text of the kind needs.
    """
    links = services.links
    token = issue_security_notice_token(services.key_ring, user, now=context.now)
    services.background.post(
        compose_notice(
            user,
            kind,
            origin=MailOrigin(at=context.now, ip=context.ip, user_agent=context.user_agent),
            secure_account_link=links.to_page(links.secure_account, token),
            **values,
        )
    )


def mail_notice_by_id(
    services: Services, user_id: str, kind: MailKind, *, context: Context, **values: MailValue | None
) -> None:
    """Do the same for a user who has to be read first."""

    async def find_and_tell() -> None:
        user = await services.transactions.read(lambda tx: tx.users.find(user_id))
        if user is not None:
            mail_notice(services, user, kind, context=context, **values)

    services.background.spawn(find_and_tell())
