"""Rows for the tests: each method keeps one thing with plausible values and gives it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.context import Context
from czo_auth.core.organizations.organization import Invitation, Organization
from czo_auth.core.passkeys.passkey import Passkey
from czo_auth.core.service_accounts.account import ServiceAccount
from czo_auth.core.sessions.session import Session
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import Challenge, Enrollment, HashedCode, TotpFactor, TrustedDevice
from czo_auth.core.users.user import User
from czo_auth.storage import Storage
from tests.support.records import (
    NOW,
    a_challenge,
    a_device,
    a_digest,
    a_factor,
    a_key,
    a_passkey,
    a_service_account,
    a_session,
    a_user,
    an_account_key,
    an_enrollment,
    an_id,
    an_invitation,
    an_organization,
    some_codes,
)

T = TypeVar("T")


class Rows:
    """Keeps things in a storage, each in a transaction of its own."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    async def run(self, step: Callable[[Transaction], T], context: Context | None = None) -> T:
        return await self.storage.transactions.run(step, context)

    async def user(self, **changes: Any) -> User:
        user = a_user(**changes)
        assert await self.run(lambda tx: tx.users.add(user))
        return user

    async def session(self, user: User, *, digest: str | None = None, **changes: Any) -> Session:
        session = a_session(user.id, **changes)
        await self.run(lambda tx: tx.sessions.add(session, token_digest=digest or a_digest()))
        return session

    async def refresh_token(
        self, session: Session, *, digest: str | None = None, parent_id: str | None = None
    ) -> str:
        token_id = an_id()
        await self.run(
            lambda tx: tx.sessions.add_refresh_token(
                token_id, session=session, digest=digest or a_digest(), parent_id=parent_id, now=NOW
            )
        )
        return token_id

    async def key(self, user: User, *, digest: str | None = None, **changes: Any) -> ApiKey:
        key = a_key(user.id, **changes)
        await self.run(lambda tx: tx.api_keys.add(key, digest=digest or a_digest()))
        return key

    async def service_account(self, organization: Organization, **changes: Any) -> ServiceAccount:
        account = a_service_account(organization, **changes)
        await self.run(lambda tx: tx.service_accounts.add(account))
        return account

    async def account_key(
        self, account: ServiceAccount, *, digest: str | None = None, **changes: Any
    ) -> ApiKey:
        key = an_account_key(account, **changes)
        await self.run(lambda tx: tx.api_keys.add(key, digest=digest or a_digest()))
        return key

    async def organization(self, members: Mapping[User, str] | None = None, **changes: Any) -> Organization:
        organization = an_organization(**changes)
        assert await self.run(lambda tx: tx.organizations.add(organization))
        for user, role in (members or {}).items():
            await self.member(organization, user, role=role)
        return organization

    async def member(self, organization: Organization, user: User, *, role: str = "member") -> str:
        member_id = an_id()
        added = await self.run(
            lambda tx: tx.organizations.add_member(
                member_id, organization_id=organization.id, user_id=user.id, role=role, now=NOW
            )
        )
        assert added
        return member_id

    async def invitation(
        self, organization: Organization, inviter: User, *, digest: str | None = None, **changes: Any
    ) -> Invitation:
        invitation = an_invitation(organization, inviter, **changes)
        await self.run(lambda tx: tx.organizations.add_invitation(invitation, digest=digest or a_digest()))
        return invitation

    async def factor(self, user: User, **changes: Any) -> TotpFactor:
        factor = a_factor(user.id, **changes)
        await self.run(lambda tx: tx.two_factor.put_factor(factor))
        return factor

    async def passkey(self, user: User, **changes: Any) -> Passkey:
        passkey = a_passkey(user.id, **changes)
        assert await self.run(lambda tx: tx.passkeys.add(passkey))
        return passkey

    async def enrollment(self, user: User, **changes: Any) -> Enrollment:
        enrollment = an_enrollment(user.id, **changes)
        await self.run(lambda tx: tx.two_factor.put_enrollment(enrollment))
        return enrollment

    async def codes(self, user: User, amount: int = 3) -> list[HashedCode]:
        codes = some_codes(amount)
        await self.run(lambda tx: tx.two_factor.put_codes(user.id, set_id=an_id(), codes=codes, now=NOW))
        return codes

    async def challenge(self, user: User, *, digest: str | None = None, **changes: Any) -> Challenge:
        challenge = a_challenge(user, **changes)
        await self.run(
            lambda tx: tx.challenges.add_challenge(challenge, digest=digest or a_digest(), now=NOW)
        )
        return challenge

    async def device(self, user: User, *, digest: str | None = None, **changes: Any) -> TrustedDevice:
        device = a_device(user, **changes)
        await self.run(lambda tx: tx.challenges.add_trusted_device(device, digest=digest or a_digest()))
        return device
