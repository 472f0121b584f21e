"""A passkey as second step of a password sign-in, and to raise a session's assurance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from czo_auth.core.context import Context, system_context
from czo_auth.core.errors import AuthenticationFailed, InvalidChallenge, Refusal
from czo_auth.core.events.types import STEP_UP, AuditEvent
from czo_auth.core.flows.owner_mails import mail_notice
from czo_auth.core.flows.passkeys.ceremonies import (
    Binding,
    Ceremonies,
    bind_to_challenge,
    bind_to_session,
)
from czo_auth.core.flows.passkeys.options import Options, request_options
from czo_auth.core.flows.passkeys.verify import VerifiedPasskey, VerifyPasskey, record_use
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import SignedIn, renew_session, signed_in
from czo_auth.core.flows.sign_in.new_browser import is_new_browser
from czo_auth.core.flows.sign_in.second_factor import (
    check_challenge,
    consume_challenge,
    finish_challenge,
)
from czo_auth.core.flows.two_factor.verify_code import claim_challenge
from czo_auth.core.sessions.session import IssuedSession
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import Challenge
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens


class PasskeySecondStep:
    """Turns a valid assertion into a session with ``aal`` 2."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ceremonies = Ceremonies(services)
        self._verify = VerifyPasskey(services)

    async def challenge_options(self, challenge: str, *, now: datetime) -> Options:
        """
        Begin the second step of a sign-in; no attempt is counted.

        Raises:
            PasskeysNotAvailable: The deployment has no relying party id.
            InvalidChallenge: Unknown, expired, used or outdated.
        """
        rp_id = self._ceremonies.rp_id
        if not tokens.is_well_formed(challenge, tokens.CHALLENGE):
            raise InvalidChallenge
        digest = tokens.digest(challenge)

        def read(tx: Transaction) -> Options:
            found = tx.challenges.find_challenge(digest, now=now)
            user = None if found is None else tx.users.find(found.user_id)
            if found is None or user is None:
                raise InvalidChallenge
            check_challenge(user, found)
            return self._options(tx, user.id, bind_to_challenge(challenge), rp_id=rp_id)

        return await self._services.transactions.read(read, system_context(now))

    async def step_up_options(self, *, context: Context) -> Options:
        """
        Begin a step-up.

        Raises:
            PasskeysNotAvailable: The deployment has no relying party id.
        """
        principal = context.caller
        rp_id = self._ceremonies.rp_id
        binding = bind_to_session("step_up", principal)
        return await self._services.transactions.read(
            lambda tx: self._options(tx, principal.require_user(), binding, rp_id=rp_id), context
        )

    def _options(self, tx: Transaction, user_id: str, binding: Binding, *, rp_id: str) -> Options:
        ceremony = self._ceremonies.begin(binding, now=tx.now)
        policy = self._services.policies.passkeys
        return request_options(ceremony, allowed=tx.passkeys.list(user_id), policy=policy, rp_id=rp_id)

    async def complete_sign_in(
        self,
        challenge: str,
        response: Mapping[str, Any],
        *,
        ceremony: str | None,
        wants_trust: bool,
        known_browser: str | None = None,
        context: Context,
    ) -> SignedIn:
        """
        Finish the sign-in of *challenge*.

        A wrong answer counts on the challenge, and never locks the account: a signature cannot be guessed.

        Args:
            known_browser: The value of the known-browser cookie.

        Raises:
            PasskeysNotAvailable, RateLimited
            InvalidChallenge: The sign-in is unknown, expired, used or outdated.
            TooManyAttempts: The challenge was just exhausted.
            PasskeyChallengeNotFound: The ceremony is unknown, expired, another sign-in's, or was answered.
            AuthenticationFailed: The answer is wrong.
        """
        services, rp_id = self._services, self._ceremonies.rp_id
        if not tokens.is_well_formed(challenge, tokens.CHALLENGE):
            raise InvalidChallenge
        await services.limits.hit("second_factor", ip=context.ip, account=None)
        digest = tokens.digest(challenge)
        claimed = await services.transactions.run(lambda tx: claim_challenge(services, tx, digest), context)
        if isinstance(claimed, Refusal):
            raise claimed
        verified = await self._check(
            response,
            bind_to_challenge(challenge),
            claimed.user_id,
            ceremony=ceremony,
            rp_id=rp_id,
            context=context,
        )
        granted = await services.transactions.run(
            lambda tx: self._grant(
                tx, claimed, verified, wants_trust=wants_trust, known_browser=known_browser
            ),
            context,
        )
        if isinstance(granted, Refusal):
            raise granted
        user, issued, device_token, is_new = granted
        if is_new:
            mail_notice(services, user, "new_browser", context=context)
        return signed_in(
            services,
            user,
            issued,
            now=context.now,
            trusted_device_token=device_token,
            knows_browser=claimed.renews is None,
        )

    def _grant(
        self,
        tx: Transaction,
        challenge: Challenge,
        verified: VerifiedPasskey,
        *,
        wants_trust: bool,
        known_browser: str | None,
    ) -> tuple[User, IssuedSession, str | None, bool] | Refusal:
        user = tx.users.lock(challenge.user_id)
        if user is None:
            raise InvalidChallenge
        check_challenge(user, challenge)
        by_user = tx.context.by(user.id, verified.passkey.method)
        refusal = record_use(tx.acting_as(by_user), verified)
        if refusal is not None:
            return refusal
        consume_challenge(tx, challenge)
        is_new = challenge.renews is None and is_new_browser(self._services, tx, user, known_browser)
        issued, device_token = finish_challenge(
            self._services,
            tx.acting_as(by_user),
            user,
            challenge,
            verified.passkey.method,
            wants_trust=wants_trust,
        )
        return user, issued, device_token, is_new

    async def step_up(
        self, response: Mapping[str, Any], *, ceremony: str | None, context: Context
    ) -> SignedIn:
        """
        Prove a passkey in a session; the session is renewed with ``aal`` 2.

        Raises:
            PasskeysNotAvailable, RateLimited
            PasskeyChallengeNotFound: The ceremony is unknown, expired, another session's, or was answered.
            AuthenticationFailed: The answer is wrong.
            InvalidToken: The session ended in the meantime.
        """
        principal = context.caller
        services, rp_id = self._services, self._ceremonies.rp_id
        await services.limits.hit("second_factor", ip=context.ip, account=principal.user_id)
        verified = await self._check(
            response,
            bind_to_session("step_up", principal),
            principal.require_user(),
            ceremony=ceremony,
            rp_id=rp_id,
            context=context,
        )

        def grant(tx: Transaction) -> tuple[User, IssuedSession] | Refusal:
            user = tx.users.lock(principal.require_user())
            if user is None or user.banned_at is not None:
                return AuthenticationFailed()
            by_user = context.by(user.id, verified.passkey.method)
            refusal = record_use(tx.acting_as(by_user), verified)
            if refusal is not None:
                return refusal
            issued = renew_session(
                tx.acting_as(by_user),
                user,
                principal.session_id,
                policy=services.policies.sessions,
                proved=verified.passkey.method,
            )
            tx.acting_as(by_user).record(AuditEvent(action=STEP_UP, user_id=user.id))
            return user, issued

        granted = await services.transactions.run(grant, context)
        if isinstance(granted, Refusal):
            raise granted
        user, issued = granted
        return signed_in(services, user, issued, now=context.now)

    async def _check(
        self,
        response: Mapping[str, Any],
        binding: Binding,
        user_id: str,
        *,
        ceremony: str | None,
        rp_id: str,
        context: Context,
    ) -> VerifiedPasskey:
        challenge = await self._ceremonies.spend(ceremony, binding, context=context)
        return await self._verify.verify(
            response, challenge=challenge, rp_id=rp_id, user_id=user_id, context=context
        )
