"""Acts that many may try at once, and what the port says about who wins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.core.transaction import Transaction
from czo_auth.core.users.store import MailToken
from tests.support.records import HOUR, NOW, a_digest, a_factor, a_user, an_id, an_organization, some_codes
from tests.support.rows import Rows

Result = bool | int | None
MAX_BATCH = 5

_SIGNING_KEY = StoredSigningKey(
    kid="",
    sealed_private_key="v1.k1.nonce.sealed",
    public_jwk={},
    created_at=NOW,
    retired_at=None,
    expires_at=None,
)


def one_wins(results: Sequence[Result]) -> bool:
    """Say whether exactly one of all calls was told yes."""
    return sorted(map(bool, results)) == [False] * (len(results) - 1) + [True]


def all_are_counted(results: Sequence[Result]) -> bool:
    """Say whether every call got a number of its own, without gaps."""
    return sorted(result or 0 for result in results) == list(range(1, len(results) + 1))


def counted_to_the_limit(results: Sequence[Result]) -> bool:
    """Say whether the first ``MAX_BATCH + 1`` calls got a number of their own, and the others nothing."""
    return sorted(result for result in results if result is not None) == list(range(1, MAX_BATCH + 2))


@dataclass(frozen=True, kw_only=True)
class Contest:
    """
    Attributes:
        prepare: Keeps a row that is fought over and answers what names it.
        act: What each contender does to it.
        judge: Whether the results of all contenders are as promised.
    """

    prepare: Callable[[Rows], Awaitable[str]]
    act: Callable[[Transaction, str], Result]
    judge: Callable[[Sequence[Result]], bool] = one_wins


async def _factor(rows: Rows) -> str:
    return (await rows.factor(await rows.user(), last_step=10)).id


async def _code(rows: Rows) -> str:
    user, set_id, codes = await rows.user(), an_id(), some_codes()
    await rows.run(lambda tx: tx.two_factor.put_codes(user.id, set_id=set_id, codes=codes, now=NOW))
    found = await rows.run(lambda tx: tx.two_factor.find_code(user.id, codes[1].selector))
    assert found is not None
    return found.id


async def _challenge(rows: Rows) -> str:
    return (await rows.challenge(await rows.user())).id


async def _challenge_digest(rows: Rows) -> str:
    digest = a_digest()
    await rows.challenge(await rows.user(), digest=digest)
    return digest


async def _enrollment(rows: Rows) -> str:
    return (await rows.enrollment(await rows.user())).id


async def _user(rows: Rows) -> str:
    return (await rows.user()).id


async def _session(rows: Rows) -> str:
    return (await rows.session(await rows.user())).id


async def _refresh_token(rows: Rows) -> str:
    return await rows.refresh_token(await rows.session(await rows.user()))


async def _mail_token(rows: Rows) -> str:
    user, digest = await rows.user(), a_digest()
    token = MailToken(
        id=an_id(), user_id=user.id, purpose="reset_password", email=user.email, expires_at=NOW + HOUR
    )
    await rows.run(lambda tx: tx.users.add_mail_token(token, digest=digest, now=NOW))
    return digest


async def _key(rows: Rows) -> str:
    return (await rows.key(await rows.user())).id


async def _invitation(rows: Rows) -> str:
    return (await rows.invitation(await rows.organization(), await rows.user())).id


async def _organization_and_user(rows: Rows) -> str:
    return f"{(await rows.organization()).id} {(await rows.user()).id}"


async def _organization(rows: Rows) -> str:
    return (await rows.organization()).id


async def _device_digest(rows: Rows) -> str:
    digest = a_digest()
    await rows.device(await rows.user(), digest=digest)
    return digest


async def _free_name(rows: Rows) -> str:
    return an_id()


def _claim(tx: Transaction, digest: str) -> int | None:
    claimed = tx.challenges.claim_challenge(digest, now=NOW, max_attempts=MAX_BATCH)
    return None if claimed is None else claimed.attempts


def _rotate_device(tx: Transaction, digest: str) -> bool:
    device = tx.challenges.find_trusted_device(digest, now=NOW)
    return device is not None and tx.challenges.rotate_trusted_device(
        device, old_digest=digest, new_digest=a_digest()
    )


def _reencrypt(tx: Transaction, factor_id: str) -> bool:
    return tx.two_factor.reencrypt_factor(
        factor_id, old="v1.k1.nonce.sealed", new=f"v1.k2.{a_digest()}.sealed"
    )


def _add_member(tx: Transaction, names: str) -> bool:
    organization_id, user_id = names.split()
    return tx.organizations.add_member(
        an_id(), organization_id=organization_id, user_id=user_id, role="member", now=NOW
    )


def _claim_sink(tx: Transaction, sink: str) -> bool:
    return tx.outbox.claim_sink(sink, owner=an_id(), until=NOW + HOUR, now=NOW) is not None


def _count_under_lock(tx: Transaction, user_id: str) -> int:
    """Read, then write what was read plus one: right only if the lock makes all others wait, and lets them see."""
    user = tx.users.lock(user_id)
    assert user is not None
    name = str(int(user.name) + 1) if user.name.isdecimal() else "1"
    tx.users.update_profile(user_id, name=name, image=None, email_verified=False, now=NOW)
    return int(name)


def _enable_under_lock(tx: Transaction, user_id: str) -> bool:
    """See the factor that another transaction committed while this one waited for the user."""
    user = tx.users.lock(user_id)
    assert user is not None
    if user.has_factor:
        return False
    factor = a_factor(user_id)
    tx.two_factor.put_factor(factor)
    return True


def _make_signing_key_under_lock(tx: Transaction, prefix: str) -> bool:
    tx.sessions.lock_signing_keys()
    if any(key.kid.startswith(prefix) for key in tx.sessions.signing_keys()):
        return False
    tx.sessions.add_signing_key(replace(_SIGNING_KEY, kid=f"{prefix} {an_id()}"))
    return True


def _own_under_lock(tx: Transaction, organization_id: str) -> bool:
    """Become the owner unless there is one: what keeps counts of owners true."""
    assert tx.organizations.lock(organization_id) is not None
    if tx.organizations.count_owners(organization_id):
        return False
    user = a_user()
    assert tx.users.add(user)
    return tx.organizations.add_member(
        an_id(), organization_id=organization_id, user_id=user.id, role="owner", now=NOW
    )


CONTESTS = {
    "consume_step": Contest(prepare=_factor, act=lambda tx, name: tx.two_factor.consume_step(name, step=11)),
    "consume_code": Contest(prepare=_code, act=lambda tx, name: tx.two_factor.consume_code(name, now=NOW)),
    "consume_challenge": Contest(
        prepare=_challenge, act=lambda tx, name: tx.challenges.consume_challenge(name, now=NOW)
    ),
    "claim_challenge": Contest(prepare=_challenge_digest, act=_claim, judge=counted_to_the_limit),
    "reserve_attempt": Contest(
        prepare=_user,
        act=lambda tx, name: tx.challenges.reserve_attempt(name, now=NOW),
        judge=all_are_counted,
    ),
    "take_enrollment": Contest(prepare=_enrollment, act=lambda tx, name: tx.two_factor.take_enrollment(name)),
    "rotate_trusted_device": Contest(prepare=_device_digest, act=_rotate_device),
    "reencrypt_factor": Contest(prepare=_factor, act=_reencrypt),
    "replace_refresh_token": Contest(
        prepare=_refresh_token, act=lambda tx, name: tx.sessions.replace_refresh_token(name, now=NOW)
    ),
    "revoke_session": Contest(
        prepare=_session, act=lambda tx, name: tx.sessions.revoke(name, reason="test", now=NOW)
    ),
    "make_signing_key": Contest(prepare=_free_name, act=_make_signing_key_under_lock),
    "take_mail_token": Contest(
        prepare=_mail_token,
        act=lambda tx, name: tx.users.take_mail_token(name, purpose="reset_password", now=NOW) is not None,
    ),
    "add_user": Contest(prepare=_free_name, act=lambda tx, name: tx.users.add(a_user(email=name))),
    "lock_user": Contest(prepare=_user, act=_count_under_lock, judge=all_are_counted),
    "lock_user_with_factor": Contest(prepare=_user, act=_enable_under_lock),
    "revoke_key": Contest(
        prepare=_key, act=lambda tx, name: tx.api_keys.revoke(name, reason="test", now=NOW)
    ),
    "mark_rotated": Contest(
        prepare=_key, act=lambda tx, name: tx.api_keys.mark_rotated(name, expires_at=NOW, now=NOW)
    ),
    "add_organization": Contest(
        prepare=_free_name, act=lambda tx, name: tx.organizations.add(an_organization(slug=name))
    ),
    "add_member": Contest(prepare=_organization_and_user, act=_add_member),
    "lock_organization": Contest(prepare=_organization, act=_own_under_lock),
    "close_invitation": Contest(
        prepare=_invitation,
        act=lambda tx, name: tx.organizations.close_invitation(name, status="accepted", now=NOW),
    ),
    "claim_sink": Contest(prepare=_free_name, act=_claim_sink),
    "add_key_check": Contest(
        prepare=_free_name, act=lambda tx, name: tx.key_checks.add(name, an_id(), now=NOW)
    ),
}
