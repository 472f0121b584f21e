"""A user's own passkeys: list, rename, remove."""

from __future__ import annotations

from collections.abc import Sequence

from czo_auth.core.context import Context
from czo_auth.core.errors import PasskeyNotFound, TwoFactorRequiredByPolicy
from czo_auth.core.events import types
from czo_auth.core.events.types import PASSKEY_RENAMED, AuditEvent
from czo_auth.core.flows.factors import disable_two_factor, record_removed
from czo_auth.core.flows.owner_mails import mail_notice
from czo_auth.core.flows.required_factor import requires_factor_now
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import end_sessions
from czo_auth.core.flows.two_factor.cancel_reset import cancel_reset
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.ids import is_id
from czo_auth.core.passkeys.passkey import Passkey
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User


class ManagePasskeys:
    """Lists, renames and removes the caller's passkeys."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._proof = Reauthentication(services)

    async def list(self, principal: Principal) -> Sequence[Passkey]:
        """List the caller's passkeys, newest first."""
        return await self._services.transactions.read(lambda tx: tx.passkeys.list(principal.require_user()))

    async def rename(self, passkey_id: str, *, name: str, context: Context) -> Passkey:
        """
        Name a passkey.

        Raises:
            PasskeyNotFound: No such id, or it belongs to someone else.
        """
        principal = context.caller
        if not is_id(passkey_id):
            raise PasskeyNotFound

        def rename(tx: Transaction) -> Passkey:
            if not tx.passkeys.rename(principal.require_user(), passkey_id, name=name):
                raise PasskeyNotFound
            audit_event = AuditEvent(
                action=PASSKEY_RENAMED, user_id=principal.user_id, details={"passkeyId": passkey_id}
            )
            tx.record(audit_event)
            renamed = tx.passkeys.find(principal.require_user(), passkey_id)
            if renamed is None:
                raise PasskeyNotFound
            return renamed

        return await self._services.transactions.run(rename, context)

    async def remove(
        self, passkey_id: str, *, password: str | None = None, code: str | None = None, context: Context
    ) -> None:
        """
        Remove a passkey, after recent proof (S7). Removing the last factor turns two factors off.

        Raises:
            PasskeyNotFound: No such id, or it belongs to someone else.
            TwoFactorRequiredByPolicy: It is the last factor that satisfies what an actor type or organization demands.
            ReauthenticationRequired, InvalidPassword, InvalidCode, AccountLocked: See ``Reauthentication``.
        """
        if not is_id(passkey_id):
            raise PasskeyNotFound
        proof = await self._proof.require(password=password, code=code, context=context)

        def remove(tx: Transaction) -> tuple[User, Passkey]:
            user = proof.consume(tx)
            passkey = tx.passkeys.find(user.id, passkey_id)
            if passkey is None or not tx.passkeys.delete(user.id, passkey_id):
                raise PasskeyNotFound
            is_last = tx.passkeys.count(user.id) == 0
            if self._services.actors.must_enroll(
                user.actor_types,
                user.grants,
                owns_factor=user.has_totp or not is_last,
                has_passkey=not is_last,
                now=tx.now,
            ) or (is_last and not user.has_totp and requires_factor_now(tx, user)):
                raise TwoFactorRequiredByPolicy
            record_removed(tx, passkey, reason="removed")
            if is_last:
                self._remove_last(tx, user, proof.session_id)
            else:
                tx.challenges.drop_trusted_devices(user.id)
                tx.users.bump_credential_version(user.id, now=tx.now)
            return user, passkey

        user, passkey = await self._services.transactions.run(remove, context)
        mail_notice(self._services, user, "passkey_removed", context=context, name=passkey.name)

    def _remove_last(self, tx: Transaction, user: User, session_id: str) -> None:
        """
        Lower the assurance of the current session, and end all other sessions, after the last passkey was removed.
        """
        if user.has_totp:
            tx.users.set_passkeys_enabled(user.id, None, now=tx.now)
            tx.challenges.drop_trusted_devices(user.id)
            tx.users.bump_credential_version(user.id, now=tx.now)
            return
        disable_two_factor(tx, user.id)
        cancel_reset(tx, user.id, outcome="factor_disabled")
        tx.sessions.lower_assurance(session_id)
        end_sessions(tx, user.id, reason="passkey_removed", keep=session_id)
        if user.has_factor:
            details = {"method": "passkey"}
            disabled = AuditEvent(action=types.TWO_FACTOR_DISABLED, user_id=user.id, details=details)
            tx.record(disabled)
