"""What is remembered of a credential is what was true when the read began, or nothing (S18), and is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

import pytest

from czo_auth.core.api_keys.rate_limit import RateLimitUpdate
from czo_auth.core.api_keys.usage import KeyUsage
from czo_auth.core.errors import InvalidApiKey, InvalidToken
from czo_auth.core.flows.api_keys.new_key import CreatedApiKey, NewApiKey
from czo_auth.core.flows.authentication.authenticate import Authenticate
from czo_auth.core.principal import Principal
from czo_auth.core.sessions.session import IssuedSession
from czo_auth.core.transaction import CredentialRecord
from czo_auth.crypto import tokens
from tests.core.flows.deployment import NOW, Deployment, nowhere, open_deployment
from tests.delivery.waiting import until
from tests.support.users import from_here

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def remembering(migrated_url: str) -> AsyncIterator[Deployment]:
    """A town that remembers what it proved on PostgreSQL too."""
    async with open_deployment(migrated_url, cache_seconds=60.0) as deployment:
        yield deployment


@asynccontextmanager
async def heard(deployment: Deployment) -> AsyncIterator[None]:
    """Wait until this process knows of a change: PostgreSQL notifies a moment later, SQLite's file shows it at once."""
    lookup = deployment.runtime.services.lookup
    before = lookup.change_token()
    yield
    await until(lambda: lookup.change_token() is not before)


async def signed_in(deployment: Deployment) -> IssuedSession:
    return await deployment.session_of(await deployment.user("ada"))


@pytest.mark.each_database
@pytest.mark.parametrize("by", ["session_token", "access_token"])
async def test_read_that_began_before_the_end_of_a_session_is_not_remembered(
    remembering: Deployment, monkeypatch: pytest.MonkeyPatch, by: Literal["session_token", "access_token"]
) -> None:
    deployment, services = remembering, remembering.runtime.services
    issued = await signed_in(deployment)
    access_token = services.access_tokens.sign(issued.session, restricted=False, now=NOW)
    was_read, may_go = asyncio.Event(), asyncio.Event()
    name = "find_session" if by == "session_token" else "find_session_by_id"
    find = getattr(services.lookup, name)

    async def find_and_linger(value: str) -> CredentialRecord | None:
        found: CredentialRecord | None = await find(value)
        was_read.set()
        await may_go.wait()
        return found

    async def prove() -> Principal:
        if by == "session_token":
            return await deployment.runtime.authenticate.session_token(issued.session_token, now=NOW)
        return await deployment.runtime.authenticate.access_token(access_token, client=nowhere, now=NOW)

    monkeypatch.setattr(services.lookup, name, find_and_linger)
    proving = asyncio.create_task(prove())
    await was_read.wait()
    async with heard(deployment):
        await deployment.transactions.run(
            lambda tx: tx.sessions.revoke(issued.session.id, reason="test", now=NOW)
        )
    may_go.set()
    await proving
    with pytest.raises(InvalidToken):
        await prove()


async def test_token_of_the_future_is_refused_however_often_it_was_verified(deployment: Deployment) -> None:
    """A clock that is set back (S33) must not find it in the memory of verified signatures."""
    issued, later = await signed_in(deployment), NOW + timedelta(hours=1)
    token = deployment.runtime.services.access_tokens.sign(issued.session, restricted=False, now=later)
    await deployment.runtime.authenticate.access_token(token, client=nowhere, now=later)
    with pytest.raises(InvalidToken):
        await deployment.runtime.authenticate.access_token(token, client=nowhere, now=NOW)
    await deployment.runtime.authenticate.access_token(token, client=nowhere, now=later)


# --- what is remembered, and for how long ----------------------------------------------------------------------------
class Memory:
    """An `Authenticate`, with what it noted, and how often it asked the database and verified a signature."""

    def __init__(
        self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, *, max_entries: int = 10
    ) -> None:
        services = deployment.runtime.services
        self.key_usage = KeyUsage()
        self.authenticate = Authenticate(
            services, self.key_usage, deployment.runtime.signing_keys, max_remembered=max_entries
        )
        self.lookups = 0
        self.verified = 0
        for name in ("find_api_key", "find_session", "find_session_by_id"):
            monkeypatch.setattr(services.lookup, name, self._counted(getattr(services.lookup, name)))
        verify = services.access_tokens.verify

        def verify_and_count(token: str, **how: Any) -> object:
            self.verified += 1
            return verify(token, **how)

        monkeypatch.setattr(services.access_tokens, "verify", verify_and_count)

    def take_latest(self) -> dict[str, datetime]:
        return {key_id: last.at for key_id, last in self.key_usage.take().latest.items()}

    def _counted(self, find: Any) -> Any:
        async def find_and_count(value: str) -> object:
            self.lookups += 1
            return await find(value)

        return find_and_count

    async def key(self, key: str, *, now: datetime = NOW) -> Principal:
        return await self.authenticate.api_key(key, client=nowhere, now=now)


async def key_of(deployment: Deployment, owner: Principal, **more: Any) -> CreatedApiKey:
    new = NewApiKey(name="key", **more)
    return await deployment.runtime.create_api_keys.create(new, context=from_here(NOW).of(owner))


async def test_what_was_proved_is_recalled_without_a_look_into_the_database(
    remembering: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment, memory = remembering, Memory(remembering, monkeypatch)
    issued = await signed_in(deployment)
    access_token = deployment.runtime.services.access_tokens.sign(issued.session, restricted=False, now=NOW)
    # The first read of all gives the first stamp.
    await deployment.proved(issued.session_token)
    memory.lookups = 0
    by_session = await memory.authenticate.session_token(issued.session_token, now=NOW)
    by_token = await memory.authenticate.access_token(access_token, client=nowhere, now=NOW)
    assert (by_session.session_id, memory.lookups) == (issued.session.id, 2)
    assert (by_session.kind, by_token.kind) == ("session", "session")
    for _ in range(2):
        assert await memory.authenticate.session_token(issued.session_token, now=NOW) is by_session
        assert await memory.authenticate.access_token(access_token, client=nowhere, now=NOW) is by_token
        assert (
            memory.authenticate.get_cached(issued.session_token.encode(), client=nowhere, clock=lambda: NOW)
            is by_session
        )
        assert (
            memory.authenticate.get_cached(access_token.encode(), client=nowhere, clock=lambda: NOW)
            is by_token
        )
    assert memory.lookups == 2
    assert memory.take_latest() == {}


async def test_nothing_is_recalled_of_what_was_not_proved_or_has_changed(
    remembering: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment, memory = remembering, Memory(remembering, monkeypatch)
    issued = await signed_in(deployment)

    def no_clock() -> datetime:
        raise AssertionError("the clock is asked for what is known only")

    token = issued.session_token.encode()
    assert memory.authenticate.get_cached(token, client=nowhere, clock=no_clock) is None
    await memory.authenticate.session_token(issued.session_token, now=NOW)
    assert memory.authenticate.get_cached(b"another", client=nowhere, clock=no_clock) is None
    async with heard(deployment):
        await deployment.transactions.run(
            lambda tx: tx.sessions.revoke(issued.session.id, reason="test", now=NOW)
        )
    assert memory.authenticate.get_cached(token, client=nowhere, clock=lambda: NOW) is None


async def test_key_that_is_recalled_is_used(
    migrated_sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite, where memory has no bound: uses are noted a minute apart."""
    async with open_deployment(migrated_sqlite_url) as deployment:
        memory = Memory(deployment, monkeypatch)
        created = await key_of(deployment, await deployment.person("ada"))
        memory.lookups = 0
        await memory.key(created.key)
        assert memory.take_latest() == {created.api_key.id: NOW}
        assert (
            memory.authenticate.get_cached(created.key.encode(), client=nowhere, clock=lambda: NOW + MINUTE)
            is not None
        )
        assert memory.take_latest() == {created.api_key.id: NOW + MINUTE}
        await memory.key(created.key, now=NOW + 2 * MINUTE)
        assert memory.take_latest() == {created.api_key.id: NOW + 2 * MINUTE}
        assert memory.lookups == 1


@pytest.mark.parametrize(
    ("rule", "scopes", "lookups"),
    [(None, ["a:b"], 1), ({"customer": ["*"]}, ["a:b"], 1), ("function", ["a:b"], 3), ("function", [], 1)],
    ids=["no rule", "a mapping", "a function", "a function and no scopes"],
)
@pytest.mark.parametrize("is_guarded", [False, True], ids=["plain", "guarded"])
async def test_key_is_remembered_unless_the_host_decides_on_its_scopes(
    migrated_sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    rule: Any,
    scopes: list[str],
    lookups: int,
    is_guarded: bool,
) -> None:
    if rule == "function":
        rule = lambda actor_types, role: {"*"}  # noqa: E731
    limit = RateLimitUpdate(enabled=True) if is_guarded else RateLimitUpdate()
    async with open_deployment(migrated_sqlite_url, scope_rule=rule) as deployment:
        memory = Memory(deployment, monkeypatch)
        created = await key_of(deployment, await deployment.person("ada"), scopes=scopes, rate_limit=limit)
        memory.lookups = 0
        for minutes in range(3):
            principal = await memory.key(created.key, now=NOW + minutes * MINUTE)
            assert principal.scopes == tuple(scopes)
            assert memory.take_latest() == {created.api_key.id: NOW + minutes * MINUTE}
        assert memory.lookups == lookups


async def test_signature_is_verified_once_however_often_the_database_changes(
    remembering: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment, memory = remembering, Memory(remembering, monkeypatch)
    issued = await signed_in(deployment)
    token = deployment.runtime.services.access_tokens.sign(issued.session, restricted=False, now=NOW)
    eve = await deployment.user("eve")
    for number in range(3):
        # With its leeway it counts from a minute before.
        await memory.authenticate.access_token(token, client=nowhere, now=NOW - MINUTE)
        async with heard(deployment):
            await deployment.transactions.run(
                lambda tx, at=NOW + number * MINUTE: tx.users.set_ban(  # type: ignore[misc]
                    eve.id, banned_at=at, reason="test", now=at
                )
            )
    assert memory.verified == 1
    assert memory.lookups == 3


async def test_token_ends_though_its_signature_is_remembered(deployment: Deployment) -> None:
    issued = await signed_in(deployment)
    services, authenticate = deployment.runtime.services, deployment.runtime.authenticate
    token = services.access_tokens.sign(issued.session, restricted=False, now=NOW)
    await authenticate.access_token(token, client=nowhere, now=NOW + timedelta(minutes=15, seconds=59))
    with pytest.raises(InvalidToken):
        await authenticate.access_token(token, client=nowhere, now=NOW + timedelta(minutes=16))


@pytest.mark.parametrize(("max_entries", "verified"), [(0, 3), (1, 3), (2, 2)])
async def test_memory_of_signatures_is_bounded(
    migrated_sqlite_url: str, monkeypatch: pytest.MonkeyPatch, max_entries: int, verified: int
) -> None:
    async with open_deployment(migrated_sqlite_url) as deployment:
        memory = Memory(deployment, monkeypatch, max_entries=max_entries)
        issued = await signed_in(deployment)
        sign = deployment.runtime.services.access_tokens.sign
        one, other = (sign(issued.session, restricted=False, now=NOW) for _ in range(2))
        for token in (one, other):
            await memory.authenticate.access_token(token, client=nowhere, now=NOW)
        await deployment.user("somebody")
        await memory.authenticate.access_token(one, client=nowhere, now=NOW)
        assert memory.verified == verified


# --- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", ["", "é" * 47, tokens.SESSION + "A" * 44, tokens.CHALLENGE + "A" * 43])
async def test_text_of_another_form_is_refused_without_a_database_query(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    memory = Memory(deployment, monkeypatch)
    with pytest.raises(InvalidToken):
        await memory.authenticate.session_token(text, now=NOW)
    with pytest.raises(InvalidToken):
        await memory.authenticate.access_token(text, client=nowhere, now=NOW)
    with pytest.raises(InvalidApiKey):
        await memory.key(text)
    with pytest.raises(InvalidApiKey):
        await memory.authenticate.check_owner_enrollment(text, now=NOW)
    assert memory.lookups == 0


async def test_access_token_whose_session_has_no_id_is_refused_without_a_look_into_the_database(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL cannot compare with every text, and that is no outage."""
    memory, issued = Memory(deployment, monkeypatch), await signed_in(deployment)
    strange = replace(issued.session, id="a\0b")
    token = deployment.runtime.services.access_tokens.sign(strange, restricted=False, now=NOW)
    with pytest.raises(InvalidToken):
        await memory.authenticate.access_token(token, client=nowhere, now=NOW)
    assert memory.lookups == 0


async def test_access_token_of_another_users_session_is_refused(deployment: Deployment) -> None:
    issued = await signed_in(deployment)
    strange = replace(issued.session, user_id=(await deployment.user("eve")).id)
    token = deployment.runtime.services.access_tokens.sign(strange, restricted=False, now=NOW)
    with pytest.raises(InvalidToken):
        await deployment.runtime.authenticate.access_token(token, client=nowhere, now=NOW)


async def test_unknown_key_has_no_owner_to_check(deployment: Deployment) -> None:
    authenticate = deployment.runtime.authenticate
    created = await key_of(deployment, await deployment.person("ada"))
    await authenticate.check_owner_enrollment(created.key, now=NOW)
    with pytest.raises(InvalidApiKey):
        await authenticate.check_owner_enrollment(tokens.new_token("czo_"), now=NOW)


async def test_key_of_an_organization_is_refused_after_the_membership_ends(deployment: Deployment) -> None:
    """S17, without what else a removal does: the key itself is not revoked here."""
    owner = await deployment.person("ada")
    organization = await deployment.organization(owner)
    member = await deployment.member(organization, "bob", "admin")
    created = await deployment.api_key(member, organization)
    authenticate = deployment.runtime.authenticate
    principal = await authenticate.api_key(created.key, client=nowhere, now=NOW)
    assert (principal.organization_id, principal.organization_role) == (organization.id, "admin")
    await deployment.transactions.run(
        lambda tx: tx.organizations.remove_member(organization.id, member.user_id)
    )
    with pytest.raises(InvalidApiKey):
        await authenticate.api_key(created.key, client=nowhere, now=NOW)
    with pytest.raises(InvalidApiKey):
        await authenticate.check_owner_enrollment(created.key, now=NOW)
