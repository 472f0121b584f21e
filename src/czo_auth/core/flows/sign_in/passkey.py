"""Signing in with a passkey, which is both factors at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from czo_auth.core.context import Context
from czo_auth.core.errors import ActorTypeMismatch, AuthenticationFailed, EmailNotVerified, Refusal
from czo_auth.core.flows.owner_mails import mail_notice
from czo_auth.core.flows.passkeys.ceremonies import Binding, Ceremonies
from czo_auth.core.flows.passkeys.options import Options, request_options
from czo_auth.core.flows.passkeys.verify import VerifiedPasskey, VerifyPasskey, record_use
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import SignedIn, issue_session, signed_in
from czo_auth.core.flows.sign_in.new_browser import is_new_browser
from czo_auth.core.sessions.session import IssuedSession
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.user import User

_ANYBODY = Binding(kind="sign_in")


class PasskeySignIn:
    """Issues a session for the owner of the passkey that signed."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ceremonies = Ceremonies(services)
        self._verify = VerifyPasskey(services)

    def options(self, *, now: datetime) -> Options:
        """
        Begin a sign-in; nothing is stored, and nobody is named.

        Raises:
            PasskeysNotAvailable: The deployment has no relying party id.
        """
        rp_id = self._ceremonies.rp_id
        ceremony = self._ceremonies.begin(_ANYBODY, now=now)
        return request_options(ceremony, allowed=None, policy=self._services.policies.passkeys, rp_id=rp_id)

    async def finish(
        self,
        response: Mapping[str, Any],
        *,
        ceremony: str | None,
        actor: str | None,
        known_browser: str | None = None,
        context: Context,
    ) -> SignedIn:
        """
        Sign in.

        Args:
            actor: The actor type of the session; the default one when None.
            known_browser: The value of the known-browser cookie.

        Raises:
            PasskeysNotAvailable, PasskeyChallengeNotFound, RateLimited, UnknownActorType
            AuthenticationFailed: Unknown passkey, wrong answer, or a banned or deleted user: the same answer for all.
            ActorTypeMismatch, EmailNotVerified: Only after a correct answer.
        """
        services = self._services
        rp_id = self._ceremonies.rp_id
        actor_type = services.actors.default if actor is None else services.actors.get(actor)
        await services.limits.hit("sign_in", ip=context.ip, account=None)
        challenge = await self._ceremonies.spend(ceremony, _ANYBODY, context=context)
        verified = await self._verify.verify(
            response, challenge=challenge, rp_id=rp_id, user_id=None, context=context
        )
        granted = await services.transactions.run(
            lambda tx: self._grant(tx, verified, actor_type.name, known_browser), context
        )
        if isinstance(granted, Refusal):
            raise granted
        user, issued, is_new = granted
        if is_new:
            mail_notice(services, user, "new_browser", context=context)
        return signed_in(services, user, issued, now=context.now, knows_browser=True)

    def _grant(
        self, tx: Transaction, verified: VerifiedPasskey, actor: str, known_browser: str | None
    ) -> tuple[User, IssuedSession, bool] | Refusal:
        services, passkey = self._services, verified.passkey
        user = tx.users.lock(passkey.user_id)
        if user is None or user.banned_at is not None:
            return AuthenticationFailed()
        by_user = tx.context.by(user.id, passkey.method)
        refusal = record_use(tx.acting_as(by_user), verified)
        if refusal is not None:
            return refusal
        if actor not in user.actor_types:
            return ActorTypeMismatch()
        if services.policies.require_email_verification and not user.email_verified:
            return EmailNotVerified()
        is_new = is_new_browser(services, tx, user, known_browser)
        issued = issue_session(
            tx.acting_as(by_user),
            user,
            actor_type=actor,
            amr=(passkey.method, "user"),
            auth_time=tx.now,
            factor_proved_at=tx.now,
            remembered=True,
            policy=services.policies.sessions,
        )
        return user, issued, is_new
