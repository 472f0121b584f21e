"""Tokens that are mailed to a user, or handed over by an operator, to set a password."""

from __future__ import annotations

from datetime import timedelta

from czo_auth.core.ids import new_id
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.store import MailPurpose, MailToken
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens


def store_mail_token(
    tx: Transaction, user: User, token: str, *, purpose: MailPurpose, lifetime: timedelta
) -> bool:
    """
    Store the digest of *token*, which works once and only for the current address of *user*.

    Returns:
        False if the maximum number is live.
    """
    tx.users.lock(user.id)
    kept = MailToken(
        id=new_id(tx.now), user_id=user.id, purpose=purpose, email=user.email, expires_at=tx.now + lifetime
    )
    return tx.users.add_mail_token(kept, digest=tokens.digest(token), now=tx.now)
