"""First step of sign-in: the password."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from czo_auth.core.context import Context
from czo_auth.core.errors import ActorTypeMismatch, EmailNotVerified, InvalidEmailOrPassword, Refusal
from czo_auth.core.events.types import SIGN_IN, AuditEvent
from czo_auth.core.flows.factors import enable_where_demanded, second_step_methods
from czo_auth.core.flows.owner_mails import mail_notice
from czo_auth.core.flows.services import Services
from czo_auth.core.flows.sessions.issue import SignedIn, issue_session, signed_in
from czo_auth.core.flows.sign_in.new_browser import is_new_browser
from czo_auth.core.flows.two_factor.trusted_devices import find_trusted_device, may_trust, renew_trust
from czo_auth.core.flows.users.password_guesses import CountedGuess, PasswordGuesses
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_CHALLENGES
from czo_auth.core.sessions.session import IssuedSession, Session
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import Challenge
from czo_auth.core.users.email import deliverable_email, find_canonical_email, folded_email
from czo_auth.core.users.known_browser import find_browser_token
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a person enters to sign in, and what their browser adds."""

    email: str
    password: str = field(repr=False)
    remember: bool = True
    trusted_device: str | None = field(default=None, repr=False)
    known_browser: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactorRequired:
    """
    The password was correct; a code finishes the sign-in.

    Attributes:
        methods: What the user has: ``passkey``, ``totp``, ``backup-code``.
        may_trust: Whether the user may trust the browser at this second step.
    """

    challenge: str = field(repr=False)
    expires_at: datetime
    methods: tuple[str, ...]
    may_trust: bool = False


class SignIn:
    """Checks a password and opens a session or a challenge."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.guesses = PasswordGuesses(services)

    async def begin(
        self, actor: str, given: Credentials, *, context: Context
    ) -> SignedIn | SecondFactorRequired:
        """
        Sign in as *actor* with a password.

        Unknown address, wrong password and ban take the same time and give the same answer (S24).

        Raises:
            UnknownActorType: There is no such actor type.
            RateLimited: Too many tries from this address or for this account.
            InvalidEmailOrPassword: Unknown user, wrong password or banned.
            ActorTypeMismatch, EmailNotVerified: Only after a correct password.
        """
        actor_type = self._services.actors.get(actor)
        user, guess = await self._prove_password(given, context=context)
        refusal = self._refusal(user, actor_type.name)
        if refusal is not None:
            await self._services.transactions.run(guess.take_back, context)
            raise refusal

        def enter(
            tx: Transaction,
        ) -> tuple[User, IssuedSession, str | None, str | None, bool] | SecondFactorRequired:
            fresh = tx.users.lock_active(user.id)
            if fresh is None or fresh.credential_version != user.credential_version:
                raise InvalidEmailOrPassword
            lost = self._refusal(fresh, actor_type.name)
            if lost is not None:
                raise lost
            guess.take_back(tx)
            fresh = enable_where_demanded(self._services, tx, fresh)
            device_token = used_token = None
            if fresh.has_factor:
                device = find_trusted_device(self._services, tx, fresh, given.trusted_device)
                if device is None:
                    return self._challenge(tx, fresh, actor_type.name, given)
                used_token = device[1]
                device_token = renew_trust(tx, device, policy=self._services.policies.two_factor)
            is_new = is_new_browser(self._services, tx, fresh, given.known_browser)
            issued = issue_session(
                tx,
                fresh,
                actor_type=actor_type.name,
                amr=("pwd",),
                auth_time=tx.now,
                factor_proved_at=None,
                remembered=given.remember,
                policy=self._services.policies.sessions,
            )
            return fresh, issued, device_token, used_token, is_new

        match await self._services.transactions.run(enter, context.by(user.id, "pwd")):
            case SecondFactorRequired() as required:
                return required
            case fresh, issued, device_token, used_token, is_new:
                if is_new:
                    mail_notice(self._services, fresh, "new_browser", context=context)
                return signed_in(
                    self._services,
                    fresh,
                    issued,
                    now=context.now,
                    trusted_device_token=device_token,
                    used_device_token=used_token,
                    knows_browser=True,
                )

    def _refusal(self, user: User, actor: str) -> Refusal | None:
        if actor not in user.actor_types:
            return ActorTypeMismatch()
        if self._services.policies.require_email_verification and not user.email_verified:
            return EmailNotVerified()
        return None

    async def _prove_password(self, given: Credentials, *, context: Context) -> tuple[User, CountedGuess]:
        """Find the user whose password was given, or refuse without revealing why."""
        email = find_canonical_email(given.email)
        await self._services.limits.hit("sign_in", ip=context.ip, account=None)
        transactions = self._services.transactions
        user = None if email is None else await self._find(email, given.email)
        guess = await self.guesses.count_sign_in(
            folded_email(given.email),
            browser_token=find_browser_token(
                self._services.key_ring, user, given.known_browser, now=context.now
            ),
            context=context,
        )
        try:
            match = await self._services.hashing.verify_password(
                user.password_hash if user else None, given.password
            )
        except Refusal:
            # The password was not checked: too many others are waiting.
            await transactions.run(guess.take_back, context)
            raise
        if user is None or not match.matches or user.banned_at is not None:
            failure = AuditEvent(action=SIGN_IN, user_id=user.id if user else None, outcome="failure")
            await transactions.run(lambda tx: tx.record(failure), context)
            raise InvalidEmailOrPassword
        if email is not None and user.email != email:
            user = await self._restore_email(user, email, given.email, now=context.now)
        if match.needs_rehash:
            user = await self._rehash(user, given.password, now=context.now)
        return user, guess

    async def _find(self, email: str, typed: str) -> User | None:
        """
        Find the user of an address, including one from before revision 0007, whose address was folded into another.
        """
        folded = folded_email(typed)

        def find(tx: Transaction) -> User | None:
            user = tx.users.find_by_email(email)
            if user is not None or folded is None or folded == email:
                return user
            earlier = tx.users.find_by_email(folded)
            return earlier if earlier is not None and earlier.mailbox is None else None

        return await self._services.transactions.read(find)

    async def _restore_email(self, user: User, email: str, typed: str, *, now: datetime) -> User:
        """Restore the address that folding changed: the password proves whose it is."""

        def restore(tx: Transaction) -> User | None:
            mailbox = deliverable_email(typed)
            tx.users.restore_email(user.id, folded=user.email, email=email, mailbox=mailbox, now=now)
            return tx.users.find(user.id)

        return await self._services.transactions.run(restore) or user

    async def _rehash(self, user: User, password: str, *, now: datetime) -> User:
        """Bring an imported or outdated hash up to today's parameters, unless the password changed meanwhile."""
        password_hash = await self._services.hashing.hash_password(password)

        def replace_hash(tx: Transaction) -> User | None:
            fresh = tx.users.lock(user.id)
            if fresh is not None and fresh.password_hash == user.password_hash:
                tx.users.set_password(user.id, password_hash=password_hash, now=now)
            return tx.users.find(user.id)

        return await self._services.transactions.run(replace_hash) or user

    def _challenge(
        self, tx: Transaction, user: User, actor_type: str, given: Credentials
    ) -> SecondFactorRequired:
        return open_challenge(self._services, tx, user, actor_type=actor_type, remembered=given.remember)


def open_challenge(
    services: Services,
    tx: Transaction,
    user: User,
    *,
    actor_type: str,
    remembered: bool,
    renews: Session | None = None,
) -> SecondFactorRequired:
    """
    Create a challenge, bound to the user's current credentials (S3).

    Args:
        renews: The session that is replaced when the challenge is completed; without it, the password was just
            verified.
    """
    token = tokens.new_token(tokens.CHALLENGE)
    expires_at = tx.now + services.policies.two_factor.challenge_lifetime
    challenge = Challenge(
        id=new_id(tx.now),
        user_id=user.id,
        actor_type=actor_type,
        credential_version=user.credential_version,
        attempts=0,
        remembered=remembered,
        renews=None if renews is None else renews.id,
        auth_time=tx.now if renews is None else renews.auth_time,
        expires_at=expires_at,
    )
    tx.challenges.add_challenge(challenge, digest=tokens.digest(token), now=tx.now)
    tx.challenges.drop_surplus_challenges(user.id, limit=MAX_CHALLENGES)
    return SecondFactorRequired(
        challenge=token,
        expires_at=expires_at,
        methods=second_step_methods(services, tx, user),
        may_trust=may_trust(services, user, now=tx.now),
    )
