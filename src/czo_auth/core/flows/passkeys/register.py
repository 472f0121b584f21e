"""Registering a passkey, and what it changes: whether two factors are on (docs/reference/rest.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    FailedToVerifyRegistration,
    InvalidToken,
    PasskeyLimitReached,
    PhishingResistantFactorRequired,
    PreviouslyRegistered,
    ReauthenticationRequired,
)
from czo_auth.core.events import types
from czo_auth.core.events.types import PASSKEY_REFUSED, AuditEvent
from czo_auth.core.flows.factors import demands_two_factor
from czo_auth.core.flows.owner_mails import mail_notice
from czo_auth.core.flows.passkeys.ceremonies import Ceremonies, Kind, bind_to_session
from czo_auth.core.flows.passkeys.options import Attachment, Options, creation_options
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import SignedIn, end_sessions, renew_session, signed_in
from czo_auth.core.flows.two_factor.cancel_reset import cancel_reset
from czo_auth.core.flows.two_factor.reauthenticate import Reauthentication
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_PASSKEYS
from czo_auth.core.passkeys.passkey import Passkey
from czo_auth.core.principal import Principal
from czo_auth.core.sessions.session import IssuedSession
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import HashedCode
from czo_auth.core.users.user import User
from czo_auth.crypto import base64url, codes
from czo_auth.crypto.passkeys import InvalidResponse, NewCredential, verify_registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """
    A passkey that was added.

    Attributes:
        backup_codes: Shown once, if it turned two factors on; otherwise empty.
        signed_in: The renewed session, when it turned two factors on.
    """

    passkey: Passkey
    backup_codes: tuple[str, ...] = field(default=(), repr=False)
    signed_in: SignedIn | None = None


class RegisterPasskey:
    """Begins and finishes registrations, for the user of the session and nobody else."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ceremonies = Ceremonies(services)
        self._proof = Reauthentication(services)

    async def options(
        self,
        *,
        label: str | None,
        attachment: Attachment | None,
        password: str | None = None,
        code: str | None = None,
        context: Context,
    ) -> Options:
        """
        Begin a registration, after recent proof (S7).

        Args:
            label: What the authenticator shows instead of the address.
            attachment: The kind of authenticator; any when None.

        Raises:
            PasskeysNotAvailable: The deployment has no relying party id.
            PhishingResistantFactorRequired: The session must use a passkey first; it may not add one instead.
            ReauthenticationRequired, InvalidPassword, InvalidCode, AccountLocked: See ``Reauthentication``.
            PasskeyLimitReached: The user has as many as an account may have.
        """
        return await self._begin(
            "register", label=label, attachment=attachment, password=password, code=code, context=context
        )

    async def _begin(
        self,
        kind: Kind,
        *,
        label: str | None,
        attachment: Attachment | None,
        password: str | None = None,
        code: str | None = None,
        context: Context,
    ) -> Options:
        principal = context.caller
        rp_id = self._ceremonies.rp_id
        if principal.requires_passkey:
            raise PhishingResistantFactorRequired
        proof = await self._proof.require(password=password, code=code, context=context)

        user = proof.user

        def read(tx: Transaction) -> Sequence[Passkey]:
            if proof.code is not None:
                proof.consume(tx)
            return tx.passkeys.list(user.id)

        transactions = self._services.transactions
        known = await (transactions.read(read) if proof.code is None else transactions.run(read, context))
        if len(known) >= MAX_PASSKEYS:
            raise PasskeyLimitReached
        return creation_options(
            self._ceremonies.begin(bind_to_session(kind, principal), now=context.now),
            user,
            label=label,
            attachment=attachment,
            known=known,
            policy=self._services.policies.passkeys,
            rp_id=rp_id,
        )

    async def conditional_options(self, *, context: Context) -> Options | None:
        """
        Begin a registration that the browser may finish without asking, after filling in a password.

        Only for people who have a second factor and backup codes, and no passkey yet, so that it neither turns two
        factors on nor has codes to show. None for everyone else, and if recent proof is missing.

        Source: WebAuthn Level 3, section 5.1.3 (conditional creation).
        """
        principal = context.caller
        if principal.requires_passkey or self._services.policies.passkeys.rp_id is None:
            return None

        def read(tx: Transaction) -> bool:
            user = tx.users.find(principal.require_user())
            return (
                user is not None
                and user.has_factor
                and not user.has_passkey
                and tx.two_factor.count_codes(user.id) > 0
            )

        if not await self._services.transactions.read(read, context):
            return None
        try:
            return await self._begin("register_quietly", label=None, attachment=None, context=context)
        except ReauthenticationRequired:
            return None

    async def finish(
        self,
        response: Mapping[str, Any],
        *,
        ceremony: str | None,
        name: str | None,
        enables_two_factor: bool,
        conditional: bool = False,
        context: Context,
    ) -> Registered:
        """
        Verify the answer and store the passkey.

        It turns two factors on if that is requested or an actor type requires them: backup codes are created, all other
        sessions end, and this one is renewed with ``aal`` 2. If an authenticator app is already on, the passkey is
        added as another factor. Otherwise it is only a way to sign in.

        Args:
            conditional: Whether the ceremony is one of ``conditional_options``, which needs no touch. The user was
                verified nevertheless.

        Raises:
            PasskeysNotAvailable, PhishingResistantFactorRequired, RateLimited
            PasskeyChallengeNotFound: The ceremony is unknown, expired, another session's, or was answered.
            FailedToVerifyRegistration: The answer is wrong.
            PreviouslyRegistered: The credential is someone's already.
            PasskeyLimitReached: The user has as many as an account may have.
            InvalidToken: The session ended in the meantime.
        """
        principal = context.caller
        services, rp_id = self._services, self._ceremonies.rp_id
        if principal.requires_passkey:
            raise PhishingResistantFactorRequired
        await services.limits.hit("second_factor", ip=context.ip, account=principal.user_id)
        binding = bind_to_session("register_quietly" if conditional else "register", principal)
        challenge = await self._ceremonies.spend(ceremony, binding, context=context)
        credential = await self._verify(
            response, challenge=challenge, rp_id=rp_id, needs_presence=not conditional, context=context
        )
        passkey = _new_passkey(principal.require_user(), credential, name=name, rp_id=rp_id, now=context.now)
        shown = await self._new_codes(principal, enables_two_factor=enables_two_factor and not conditional)
        hashed = await services.hashing.hash_codes(shown) if shown else []
        user, issued = await services.transactions.run(
            lambda tx: self._store_passkey(tx, principal, passkey, hashed), context
        )
        mail_notice(services, user, "passkey_added", context=context, name=name)
        if issued is None:
            return Registered(passkey=passkey)
        return Registered(
            passkey=passkey,
            backup_codes=tuple(code.text for code in shown),
            signed_in=signed_in(services, user, issued, now=context.now),
        )

    async def _verify(
        self,
        response: Mapping[str, Any],
        *,
        challenge: bytes,
        rp_id: str,
        needs_presence: bool,
        context: Context,
    ) -> NewCredential:
        principal = context.caller
        policy = self._services.policies.passkeys
        try:
            return verify_registration(
                response,
                challenge=challenge,
                rp_id=rp_id,
                accepts_origin=policy.accepts_origin,
                needs_presence=needs_presence,
            )
        except InvalidResponse:
            refused = AuditEvent(action=PASSKEY_REFUSED, user_id=principal.user_id, outcome="failure")
        await self._services.transactions.run(lambda tx: tx.record(refused), context)
        raise FailedToVerifyRegistration

    async def _new_codes(self, principal: Principal, *, enables_two_factor: bool) -> list[codes.BackupCode]:
        """Make the backup codes of a passkey that is about to turn two factors on; none where it does not."""

        def read(tx: Transaction) -> list[codes.BackupCode]:
            user = tx.users.find(principal.require_user())
            if user is None:
                raise InvalidToken
            demanded = demands_two_factor(self._services, tx, user)
            if user.has_factor or not (enables_two_factor or demanded):
                return []
            number = self._services.policies.two_factor.backup_codes
            return codes.new_codes(number, taken=tx.two_factor.selectors(user.id))

        return await self._services.transactions.read(read)

    def _store_passkey(
        self, tx: Transaction, principal: Principal, passkey: Passkey, hashed: Sequence[HashedCode]
    ) -> tuple[User, IssuedSession | None]:
        user = tx.users.lock(principal.require_user())
        if user is None or user.banned_at is not None:
            raise InvalidToken
        if principal.session_id is None or tx.sessions.find(principal.session_id) is None:
            raise InvalidToken
        if tx.passkeys.count(user.id) >= MAX_PASSKEYS:
            raise PasskeyLimitReached
        if not tx.passkeys.add(passkey):
            raise PreviouslyRegistered
        by_user = tx.context.by(user.id, passkey.method)
        details = {"passkeyId": passkey.id, "deviceType": passkey.device_type}
        added = AuditEvent(action=types.PASSKEY_ADDED, user_id=user.id, details=details)
        tx.acting_as(by_user).record(added)
        issued = None
        if user.has_factor:
            if user.passkeys_enabled_at is None:
                tx.users.set_passkeys_enabled(user.id, tx.now, now=tx.now)
        elif hashed:
            issued = self._turn_on(tx.acting_as(by_user), user, principal, passkey, hashed)
        return tx.users.find(user.id) or user, issued

    def _turn_on(
        self,
        tx: Transaction,
        user: User,
        principal: Principal,
        passkey: Passkey,
        hashed: Sequence[HashedCode],
    ) -> IssuedSession:
        tx.users.set_passkeys_enabled(user.id, tx.now, now=tx.now)
        two_factor = tx.two_factor
        two_factor.drop_enrollment(user.id)
        two_factor.put_codes(user.id, set_id=new_id(tx.now), codes=hashed, now=tx.now)
        tx.challenges.drop_trusted_devices(user.id)
        tx.users.bump_credential_version(user.id, now=tx.now)
        cancel_reset(tx, user.id, outcome="factor_proved")
        issued = renew_session(
            tx, user, principal.session_id, policy=self._services.policies.sessions, proved=passkey.method
        )
        end_sessions(tx, user.id, reason="two_factor_enabled", keep=issued.session.id)
        # After the challenges, because counting an attempt locks the challenge first.
        tx.challenges.clear_attempts(user.id)
        details = {"method": "passkey", "replaced": False, "actorType": issued.session.actor_type}
        enabled = AuditEvent(action=types.TWO_FACTOR_ENABLED, user_id=user.id, details=details)
        tx.record(enabled)
        return issued


def _new_passkey(
    user_id: str, credential: NewCredential, *, name: str | None, rp_id: str, now: datetime
) -> Passkey:
    return Passkey(
        id=new_id(now),
        user_id=user_id,
        name=name,
        credential_id=base64url.encode(credential.credential_id),
        public_key=base64url.encode(credential.public_key),
        sign_count=credential.sign_count,
        aaguid=credential.aaguid,
        backup_eligible=credential.backup_eligible,
        backed_up=credential.backed_up,
        transports=credential.transports,
        rp_id=rp_id,
        created_at=now,
        last_used_at=None,
    )
