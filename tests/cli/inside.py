"""What tests put into a deployment's database past HTTP: factors, keys, enrollments; and what they look up there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from czo_auth import Auth, Settings
from czo_auth.core.api_keys.key import ApiKey
from czo_auth.core.api_keys.usage import GatheredUses
from czo_auth.core.context import system_context
from czo_auth.core.flows.organizations.create import create_organization
from czo_auth.core.ids import new_id
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import PENDING_CODES, TOTP_SECRET, Enrollment, TotpFactor
from czo_auth.crypto import tokens, totp
from czo_auth.settings import KEY_FILE
from tests.support.records import a_factor, a_key, an_enrollment

T = TypeVar("T")


@dataclass
class Inside:
    """One deployment, opened by the test for a moment at a time, with the key that it has then."""

    data: Path
    key: str | None = None
    database_url: str | None = None
    wait_seconds: int = 0

    def settings(self) -> Settings:
        key = self.key or (self.data / KEY_FILE).read_text().strip()
        return Settings(
            data_dir=self.data,
            database_url=self.database_url,
            encryption_key=SecretStr(key),
            recovery_wait_seconds=self.wait_seconds,
        )

    def run(self, act: Callable[[Auth], Awaitable[T]]) -> T:
        async def opened() -> T:
            auth = Auth(self.settings())
            try:
                await auth.open()
                return await act(auth)
            finally:
                await auth.stop()

        return asyncio.run(opened())

    def give_factor(self, user_id: str) -> bytes:
        """Give a user an active second factor; answers its secret."""
        secret = totp.new_secret()
        self.run(lambda auth: put_factor(auth, user_id, secret))
        return secret

    def give_organization(self, owner_id: str, member_id: str) -> str:
        """Give two users an organization; answers its id."""
        return self.run(lambda auth: put_organization(auth, owner_id, member_id))

    def give_api_key(self, user_id: str) -> tuple[str, ApiKey]:
        """Give a user an API key; answers its text, and what the database holds."""
        return self.run(lambda auth: put_api_key(auth, user_id))

    def count_uses(self, key_id: str, days: Mapping[str, tuple[int, int]]) -> None:
        """Count uses and refusals of a key, by day."""
        gathered = GatheredUses(
            used={date.fromisoformat(day): {key_id: used} for day, (used, _) in days.items()},
            refused={date.fromisoformat(day): {key_id: refused} for day, (_, refused) in days.items()},
        )

        async def count(auth: Auth) -> None:
            await auth.services.transactions.run(
                lambda tx: tx.key_uses.add(gathered, keeps_addresses=True), system_context(auth.now())
            )

        self.run(count)


async def put_organization(auth: Auth, owner_id: str, member_id: str) -> str:
    """Create an organization with an owner and a member; answers its id."""

    def store(tx: Transaction) -> str:
        made = create_organization(
            tx,
            owner_id,
            name="Acme",
            slug=None,
            policy=auth.services.policies.organizations,
        )
        tx.organizations.add_member(
            new_id(auth.now()),
            organization_id=made.id,
            user_id=member_id,
            role="member",
            now=auth.now(),
        )
        return made.id

    return await auth.services.transactions.run(store, system_context(auth.now()))


async def put_api_key(auth: Auth, user_id: str) -> tuple[str, ApiKey]:
    """Keep a new API key of a user."""
    now, text = auth.now(), tokens.new_token("czo_")
    key = a_key(user_id, now=now, name="robot", prefix=text[:8], scopes=("orders:read",))
    await auth.services.transactions.run(lambda tx: tx.api_keys.add(key, digest=tokens.digest(text)))
    return text, key


async def put_factor(auth: Auth, user_id: str, secret: bytes) -> TotpFactor:
    """Seal *secret* with the primary key and make it the user's factor."""
    now = auth.now()
    factor_id = new_id(now)
    bound_to = {"user": user_id, "enrolment": factor_id}
    sealed = auth.services.key_ring.seal(secret, purpose=TOTP_SECRET, bound_to=bound_to)
    factor = a_factor(user_id, now=now, id=factor_id, sealed_secret=sealed, last_step=0)
    await auth.services.transactions.run(lambda tx: tx.two_factor.put_factor(factor))
    return factor


async def put_enrollment(auth: Auth, user_id: str, *, with_codes: bool) -> Enrollment:
    """Begin an enrollment, its codes not hashed yet or hashed already."""
    now = auth.now()
    enrollment_id = new_id(now)
    bound_to = {"user": user_id, "enrolment": enrollment_id}
    ring = auth.services.key_ring
    sealed_codes = ring.seal(b"SSSS-XXXXX-XXXXX-XXXX", purpose=PENDING_CODES, bound_to=bound_to)
    enrollment = an_enrollment(
        user_id,
        now=now,
        id=enrollment_id,
        sealed_secret=ring.seal(totp.new_secret(), purpose=TOTP_SECRET, bound_to=bound_to),
        sealed_codes=sealed_codes if with_codes else None,
    )
    await auth.services.transactions.run(lambda tx: tx.two_factor.put_enrollment(enrollment))
    return enrollment
