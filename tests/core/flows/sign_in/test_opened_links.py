"""A mailed link that is opened several times at once: it acts once, and tells everybody what is true in the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

import asyncpg
import pytest

from czo_auth.core.context import Context
from czo_auth.core.events import types
from czo_auth.core.flows.users.mailed_tokens import store_mail_token
from czo_auth.core.users.user import User
from czo_auth.crypto import tokens
from czo_auth.storage.users import SqlUsers
from tests.contract.database import PREFIX
from tests.contract.test_lock_order import Meeting
from tests.core.flows.deployment import NOW, Deployment, open_deployment, outcome
from tests.support.users import from_here

pytestmark = pytest.mark.each_database

AT_ONCE = 12
ROUNDS = 8
Open = Callable[[Deployment, str, Context], Awaitable[object]]


async def open_at_once(deployments: tuple[Deployment, ...], token: str, act: Open) -> Counter[str]:
    """Open a link many times at once, in each of *deployments*; count how that ended."""
    opened = [outcome(act(each, token, from_here(NOW))) for _ in range(AT_ONCE) for each in deployments]
    return Counter(await asyncio.gather(*opened))


async def asked_change(deployment: Deployment, name: str = "ada") -> tuple[User, str, str]:
    """Ask for a new address; gives the user, the token of the link to it, and that of the link to the old one."""
    user, new = await deployment.user(name, email_verified=True), f"{name}@new.example"
    person = await deployment.proved(await deployment.sign_in(user))
    await deployment.runtime.change_email.request(new_email=new, context=from_here(NOW).of(person))
    token = await deployment.mailbox.token(new, "email_change")
    revert_token = await deployment.mailbox.token(user.email, "email_change_notice")
    return user, token, revert_token


async def confirm(deployment: Deployment, token: str, context: Context) -> None:
    await deployment.runtime.verify_email.verify(token, context=context)


async def take_back(deployment: Deployment, token: str, context: Context) -> None:
    await deployment.runtime.change_email.take_back(token, context=context)


async def reject(deployment: Deployment, token: str, context: Context) -> None:
    await deployment.runtime.verify_email.reject(token, context=context)


async def changes_of(deployment: Deployment) -> list[object]:
    """Read what the audit log says that was changed."""
    return [each.audit_event.details["changed"] for each in await deployment.audit(types.USER_UPDATED)]


async def test_confirmation_acts_once_and_succeeds_for_everybody(
    two_deployments: tuple[Deployment, Deployment],
) -> None:
    first, _ = two_deployments
    user = await first.user("ada")
    await first.runtime.verify_email.send(user.email, context=from_here(NOW))
    token = await first.mailbox.token(user.email, "verification")
    assert await open_at_once(two_deployments, token, confirm) == {"done": 2 * AT_ONCE}
    assert await changes_of(first) == [["emailVerified"]]


async def test_change_of_address_acts_once_and_succeeds_for_everybody(
    two_deployments: tuple[Deployment, Deployment],
) -> None:
    """Who opens the link beside a scanner sees that the address is theirs, and no error."""
    first, _ = two_deployments
    _, token, _ = await asked_change(first)
    assert await open_at_once(two_deployments, token, confirm) == {"done": 2 * AT_ONCE}
    assert await changes_of(first) == [["email"]]


async def test_change_of_address_is_taken_back_once(two_deployments: tuple[Deployment, Deployment]) -> None:
    first, _ = two_deployments
    user, token, revert_token = await asked_change(first)
    await confirm(first, token, from_here(NOW))
    ended = await open_at_once(two_deployments, revert_token, take_back)
    assert ended == {"done": 1, "InvalidMailToken": 2 * AT_ONCE - 1}
    found = await first.transactions.read(lambda tx: tx.users.find(user.id))
    assert found is not None
    assert found.email == user.email
    assert await changes_of(first) == [["email"], ["email"]]


async def test_change_that_is_confirmed_while_it_is_rejected_can_still_be_taken_back(
    migrated_postgres_url: str,
) -> None:
    """
    Somebody who took over the session may hold both links of the new address: they must not end the owner's link.

    Another connection holds the change until both wait, the confirmation first.
    """
    async with AsyncExitStack() as stack:
        onlooker, holder = [await asyncpg.connect(migrated_postgres_url) for _ in range(2)]
        stack.push_async_callback(onlooker.close)
        stack.push_async_callback(holder.close)
        deployment = await stack.enter_async_context(open_deployment(migrated_postgres_url))
        _, token, revert_token = await asked_change(deployment)
        meeting = Meeting(onlooker)
        async with holder.transaction():
            await holder.execute(f"SELECT id FROM {PREFIX}email_changes FOR UPDATE")
            await meeting.enters(outcome(confirm(deployment, token, from_here(NOW))))
            await meeting.enters(outcome(reject(deployment, token, from_here(NOW))))
        assert await meeting.results() == ["done", "InvalidMailToken"]
        assert await deployment.runtime.change_email.is_revertible(revert_token, now=NOW)
        await take_back(deployment, revert_token, from_here(NOW))


async def test_links_of_one_user_that_are_opened_at_once_leave_the_newest(
    migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Each ends the earlier ones. Another connection holds the oldest until both wait, the newest first: without one order
    of locks, they would then wait for each other, and one of them would run again.
    """
    runs, opens = [], SqlUsers.open_mail_token

    def counted(users: SqlUsers, digest: str, *, now: datetime) -> None:
        runs.append(digest)
        opens(users, digest, now=now)

    monkeypatch.setattr(SqlUsers, "open_mail_token", counted)
    async with AsyncExitStack() as stack:
        onlooker, holder = [await asyncpg.connect(migrated_postgres_url) for _ in range(2)]
        stack.push_async_callback(onlooker.close)
        stack.push_async_callback(holder.close)
        deployment = await stack.enter_async_context(open_deployment(migrated_postgres_url))
        user = await deployment.user("ada")
        links = [tokens.new_token(tokens.MAIL) for _ in range(3)]
        for minute, link in enumerate(links):
            at = NOW - timedelta(minutes=3 - minute)
            await deployment.transactions.run(
                lambda tx, link=link: store_mail_token(  # type: ignore[misc]
                    tx, user, link, purpose="reset_password", lifetime=timedelta(hours=1)
                ),
                from_here(at),
            )
        oldest, middle, newest = links
        passwords = deployment.runtime.passwords
        meeting = Meeting(onlooker)
        async with holder.transaction():
            held = f"SELECT id FROM {PREFIX}mail_tokens WHERE digest = $1 FOR UPDATE"
            await holder.execute(held, tokens.digest(oldest))
            await meeting.enters(outcome(passwords.open_link(newest, now=NOW)))
            await meeting.enters(outcome(passwords.open_link(middle, now=NOW)))
        assert await meeting.results() == ["done", "done"]
        assert sorted(runs) == sorted(map(tokens.digest, (middle, newest)))
        assert [await passwords.is_live(each, now=NOW) for each in links] == [False, False, True]


async def test_confirmed_or_rejected_but_never_both(two_deployments: tuple[Deployment, Deployment]) -> None:
    """The two links of one mail, opened at once: an account that was rejected is gone, one that was confirmed stays."""
    first, second = two_deployments
    for number in range(ROUNDS):
        user = await first.user(f"ada{number}")
        await first.runtime.verify_email.send(user.email, context=from_here(NOW))
        token = await first.mailbox.token(user.email, "verification")
        confirmed, rejected = await asyncio.gather(
            outcome(confirm(first, token, from_here(NOW))), outcome(reject(second, token, from_here(NOW)))
        )
        found = await first.transactions.read(lambda tx, user_id=user.id: tx.users.find(user_id))  # type: ignore[misc]
        assert sorted([confirmed, rejected]) == ["InvalidMailToken", "done"]
        assert (found is not None and found.email_verified) == (confirmed == "done")
        assert (found is None) == (rejected == "done")
