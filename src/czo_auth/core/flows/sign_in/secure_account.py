"""
"This was not me": what the link in mails about an account does.

It ends whatever someone with stolen credentials may hold, and starts the recovery. Opening the link changes nothing,
because scanners open links; a click on its page does.
"""

from __future__ import annotations

from datetime import datetime

from czo_auth.core.context import Context
from czo_auth.core.errors import InvalidMailToken
from czo_auth.core.events import types
from czo_auth.core.events.types import AuditEvent
from czo_auth.core.flows.accounts.change_email import close_changes
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import end_sessions
from czo_auth.core.flows.sign_in.password_reset import RESET_LIFETIME
from czo_auth.core.flows.users.mailed_tokens import store_mail_token
from czo_auth.core.mail_drafts import compose_account_secured
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.security_notices import is_live, user_of_token
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens


class SecureAccount:
    """Handles the link "this was not me"."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def is_live(self, token: str, *, now: datetime) -> bool:
        """Return whether a link still works; asking spends nothing."""
        user = await self._services.transactions.read(lambda tx: self._find(tx, token))
        return user is not None and is_live(self._services.key_ring, token, user, now=now)

    async def secure(self, token: str, *, context: Context) -> None:
        """
        End all sessions and trusted devices, remove the password, and mail a link that sets a new one.

        API keys stay, because programs depend on them; the mail says so. Second factors stay too, because removing them
        is what someone with access to the mailbox would want.

        Raises:
            RateLimited: Too many tries.
            InvalidMailToken: Unknown, used, older than a week, or mailed to an address that is not the account's now.
        """
        await self._services.limits.hit("password", ip=context.ip, account=None)
        reset = tokens.new_token(tokens.MAIL)

        def end_everything(tx: Transaction) -> User:
            found = self._find(tx, token)
            user = None if found is None else tx.users.lock_active(found.id)
            if user is None or not is_live(self._services.key_ring, token, user, now=tx.now):
                raise InvalidMailToken
            as_user = tx.acting_as(context.by(user.id, "mail"))
            tx.users.secure(user.id, now=tx.now)
            tx.users.bump_credential_version(user.id, now=tx.now)
            tx.users.drop_password_tokens(user.id)
            tx.two_factor.drop_enrollment(user.id)
            tx.challenges.drop_trusted_devices(user.id)
            close_changes(as_user, user.id, reason="account_secured")
            end_sessions(as_user, user.id, reason="account_secured")
            as_user.record(AuditEvent(action=types.ACCOUNT_SECURED, user_id=user.id))
            store_mail_token(as_user, user, reset, purpose="reset_password", lifetime=RESET_LIFETIME)
            return user

        user = await self._services.transactions.run(end_everything, context)
        self._services.background.post(
            compose_account_secured(user, token=reset, links=self._services.links, valid_for=RESET_LIFETIME)
        )

    def _find(self, tx: Transaction, token: str) -> User | None:
        user_id = user_of_token(token)
        return None if user_id is None else tx.users.find(user_id)
