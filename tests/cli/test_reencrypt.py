"""The rotation of encryption keys against writers that do not wait for it (S14)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr

from czo_auth import Auth, Settings
from czo_auth.core.context import Context, system_context
from czo_auth.core.flows.administration import reencrypt
from czo_auth.core.flows.administration.reencrypt import Reencrypt
from czo_auth.core.flows.administration.sealed_rows import secret_of_webhook
from czo_auth.core.flows.administration.verify_keys import VerifyKeys
from czo_auth.core.flows.sign_in.sign_up import NewUser
from czo_auth.core.idempotency.answer import IDEMPOTENT_ANSWER, RequestIdentity
from czo_auth.core.ids import new_id
from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.core.transaction import Transaction
from czo_auth.core.two_factor.factor import PENDING_CODES, TOTP_SECRET, Enrollment, TotpFactor
from czo_auth.crypto import jwt, totp
from tests.cli.inside import put_enrollment, put_factor
from tests.cli.shell import PASSWORD
from tests.contract.database import sql
from tests.support.records import LINEAGE
from tests.webhooks.dispatching import WebhookSetup

T = TypeVar("T")
K1 = "k1:NZ8cLu1Mn0ZQxkLgJgyE4M2QUjwpfHYGvPHGYlqUKxg="
K2 = "k2:mY2H5yqL0c9vPnZk3nq6u8mJY0cQm2kqVYx2QzLrM7o="


def deployment(url: str, ring: str) -> Auth:
    return Auth(Settings(database_url=url, encryption_key=SecretStr(ring), refuse_common_passwords=False))


@pytest.fixture
async def old(database_url: str) -> AsyncIterator[Auth]:
    """A server that seals with k1, and knows k2 already."""
    auth = deployment(database_url, f"{K1},{K2}")
    await auth.open()
    yield auth
    await auth.stop()


@pytest.fixture
async def new(database_url: str, old: Auth) -> AsyncIterator[Auth]:
    """What rotates: its primary key is k2."""
    auth = deployment(database_url, f"{K2},{K1}")
    await auth.open()
    yield auth
    await auth.stop()


async def user_id(auth: Auth, name: str) -> str:
    user, _ = await auth.sign_up.create(
        NewUser(email=f"{name}@example.com", name=name, password=PASSWORD),
        actor_types=(),
        email_verified=True,
        context=system_context(auth.now()),
    )
    return user.id


async def factor_of(auth: Auth, user: str) -> TotpFactor:
    factor = await auth.services.transactions.read(lambda tx: tx.two_factor.find_factor(user))
    assert factor is not None
    return factor


async def enrollment_of(auth: Auth, user: str) -> Enrollment:
    enrollment = await auth.services.transactions.read(
        lambda tx: tx.two_factor.find_enrollment(user, lineage_id=LINEAGE, now=auth.now())
    )
    assert enrollment is not None
    return enrollment


async def totals(auth: Auth) -> dict[str, int]:
    return {rows.kid: rows.total for rows in await Reencrypt(auth.services).status()}


async def test_every_row_moves_in_batches_and_still_opens(
    old: Auth, new: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reencrypt, "BATCH", 2)
    secrets = {await user_id(old, f"user{number}"): totp.new_secret() for number in range(5)}
    for user, secret in secrets.items():
        await put_factor(old, user, secret)
    enrollments = [
        await put_enrollment(old, user, with_codes=number % 2 == 0) for number, user in enumerate(secrets)
    ]
    webhooks = [await WebhookSetup(old).endpoint("https://hooks.example.com/") for _ in range(3)]
    reported: list[tuple[int, int]] = []

    done = await Reencrypt(new.services).run(lambda moved, total: reported.append((moved, total)))

    assert (done.moved, done.left) == (14, 0)
    assert reported[-1] == (14, 14)
    assert [moved for moved, _ in reported] == sorted(moved for moved, _ in reported)
    assert await totals(new) == {"k2": 14, "k1": 0}
    ring = new.services.key_ring
    for user, secret in secrets.items():
        factor = await factor_of(new, user)
        bound_to = {"user": user, "enrolment": factor.id}
        assert ring.open(factor.sealed_secret, purpose=TOTP_SECRET, bound_to=bound_to) == secret
    for before in enrollments:
        after = await enrollment_of(new, before.user_id)
        bound_to = {"user": before.user_id, "enrolment": before.id}
        ring.open(after.sealed_secret, purpose=TOTP_SECRET, bound_to=bound_to)
        assert (after.sealed_codes is None) == (before.sealed_codes is None)
        if after.sealed_codes is not None:
            ring.open(after.sealed_codes, purpose=PENDING_CODES, bound_to=bound_to)
    for webhook in webhooks:
        (secret,) = await new.services.transactions.read(
            lambda tx, each=webhook.id: tx.webhooks.secrets_of(each, now=new.now())  # type: ignore[misc]
        )
        assert ring.kid_of(secret.sealed_secret) == "k2"
        assert len(secret_of_webhook(secret).open(ring)) == 32
    assert (await Reencrypt(new.services).run(lambda moved, total: None)).moved == 0


class Between:
    """Transactions that let somebody else write once, between a rotation's reading and its writing."""

    def __init__(self, real: Any, meanwhile: Callable[[], Any]) -> None:
        self._real = real
        self._meanwhile: Callable[[], Any] | None = meanwhile

    async def read(self, step: Callable[[Transaction], T]) -> T:
        result: T = await self._real.read(step)
        return result

    async def run(self, step: Callable[[Transaction], T], context: Context | None = None) -> T:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        result: T = await self._real.run(step, context)
        return result


async def test_what_a_server_writes_in_the_meantime_is_not_lost(old: Auth, new: Auth) -> None:
    ada = await user_id(old, "ada")
    await put_factor(old, ada, totp.new_secret())
    changed = totp.new_secret()

    services = replace(
        new.services, transactions=Between(new.services.transactions, lambda: put_factor(old, ada, changed))
    )
    done = await Reencrypt(services).run(lambda moved, total: None)

    assert done.left == 0
    factor = await factor_of(new, ada)
    bound_to = {"user": ada, "enrolment": factor.id}
    assert new.services.key_ring.open(factor.sealed_secret, purpose=TOTP_SECRET, bound_to=bound_to) == changed
    assert new.services.key_ring.kid_of(factor.sealed_secret) == "k2"


async def test_row_that_changed_since_it_was_read_is_left_as_it_is(old: Auth) -> None:
    ada = await user_id(old, "ada")
    await put_factor(old, ada, totp.new_secret())
    factor, at = await factor_of(old, ada), old.now()
    webhook = await WebhookSetup(old).endpoint("https://hooks.example.com/")
    key = StoredSigningKey(
        kid="k", sealed_private_key="sealed", public_jwk={}, created_at=at, retired_at=None, expires_at=None
    )

    def overtaken(tx: Transaction) -> list[bool]:
        tx.sessions.add_signing_key(key)
        (secret,) = tx.webhooks.secrets_of(webhook.id, now=at + timedelta(minutes=1))
        return [
            tx.two_factor.reencrypt_factor(factor.id, old="as it was", new="changed"),
            tx.sessions.reencrypt_signing_key(key.kid, old="as it was", new="changed"),
            tx.webhooks.reencrypt_secret(secret.id, old="as it was", new="changed"),
        ]

    assert await old.services.transactions.run(overtaken) == [False] * 3
    assert await factor_of(old, ada) == factor


async def test_codes_that_are_hashed_meanwhile_do_not_come_back(old: Auth, new: Auth) -> None:
    ada = await user_id(old, "ada")
    enrollment = await put_enrollment(old, ada, with_codes=True)

    async def hash_codes() -> None:
        await old.services.transactions.run(
            lambda tx: tx.two_factor.put_pending_codes(enrollment.id, ada, [])
        )

    services = replace(new.services, transactions=Between(new.services.transactions, hash_codes))
    done = await Reencrypt(services).run(lambda moved, total: None)

    assert done.left == 0
    after = await enrollment_of(new, ada)
    assert after.sealed_codes is None
    assert new.services.key_ring.kid_of(after.sealed_secret) == "k2"


class PowerCut(Exception):
    """What ends a rotation in the middle."""


async def test_interrupted_rotation_is_resumed(old: Auth, new: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reencrypt, "BATCH", 1)
    for number in range(3):
        await put_factor(old, await user_id(old, f"user{number}"), totp.new_secret())

    def cut(moved: int, total: int) -> None:
        if moved == 2:
            raise PowerCut

    with pytest.raises(PowerCut):
        await Reencrypt(new.services).run(cut)
    assert await totals(new) == {"k2": 2, "k1": 2}
    assert (await Reencrypt(new.services).run(lambda moved, total: None)).moved == 2
    assert await totals(new) == {"k2": 4, "k1": 0}


async def test_verification_opens_every_row_and_names_what_does_not_open(old: Auth) -> None:
    ada, bob = await user_id(old, "ada"), await user_id(old, "bob")
    await put_factor(old, ada, totp.new_secret())
    await put_factor(old, bob, totp.new_secret())
    await put_enrollment(old, ada, with_codes=True)
    verified = {rows.kind: rows for rows in await VerifyKeys(old.services).run(lambda done, total: None)}
    assert {kind: (rows.checked, rows.failed) for kind, rows in verified.items()} == {
        "factors": (2, 0),
        "enrollments": (1, 0),
        "signing keys": (1, 0),
        "webhook secrets": (0, 0),
        "kept answers": (0, 0),
        "device keys": (0, 0),
    }
    # Ada's secret in Bob's row: the same key, and yet it does not open there.
    foreign, his = await factor_of(old, ada), await factor_of(old, bob)
    await old.services.transactions.run(
        lambda tx: tx.two_factor.reencrypt_factor(his.id, old=his.sealed_secret, new=foreign.sealed_secret)
    )
    factors = (await VerifyKeys(old.services).run(lambda done, total: None))[0]
    assert (factors.checked, factors.failed, factors.ids) == (2, 1, [his.id])


async def test_signing_key_whose_published_half_is_another_one_is_found(old: Auth, database_url: str) -> None:
    other = jwt.new_signing_key().public_jwk()
    await sql(database_url, "UPDATE {}signing_keys SET public_jwk = $1", json.dumps(other))
    signing = (await VerifyKeys(old.services).run(lambda done, total: None))[2]
    assert (signing.checked, signing.failed) == (1, 1)


async def test_verification_also_decrypts_what_is_stored_for_minutes(old: Auth, database_url: str) -> None:
    user = await user_id(old, "ada")
    ring, now = old.services.key_ring, old.now()
    answer_id, lineage = new_id(now), new_id(now)
    request = RequestIdentity(
        id=answer_id,
        user_id=user,
        lineage_id=lineage,
        route="POST /api-keys",
        name_digest="d" * 64,
        body_kid=ring.primary,
        body_mac="m" * 64,
        shows_enrollment=False,
        created_at=now,
        expires_at=now + timedelta(minutes=10),
    )
    sealed = ring.seal(b"{}", purpose=IDEMPOTENT_ANSWER, bound_to={"answer": answer_id, "lineage": lineage})

    def keep_answer(tx: Transaction) -> None:
        tx.idempotency.begin(request)
        tx.idempotency.keep(answer_id, sealed=sealed)

    await old.services.transactions.run(keep_answer)
    kept = (await VerifyKeys(old.services).run(lambda done, total: None))[4]
    assert (kept.kind, kept.checked, kept.failed) == ("kept answers", 1, 0)
    await sql(database_url, "UPDATE {}kept_answers SET lineage_id = $1", new_id(now))
    kept = (await VerifyKeys(old.services).run(lambda done, total: None))[4]
    assert (kept.checked, kept.failed, kept.ids) == (1, 1, [answer_id])
