"""The server-side API: what a host's own code asks of its deployment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr

import czo_auth
from czo_auth import Auth, Settings, UserRecord
from czo_auth.core import errors
from czo_auth.crypto.sealing import new_key_text
from tests.integrations.acting import PASSWORD, Person, settle_administrator, sign_in, sign_up
from tests.integrations.raw import client_of

NOBODY = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
async def auth(migrated_url: str) -> AsyncIterator[Auth]:
    auth = Auth(
        Settings(
            database_url=migrated_url,
            encryption_key=SecretStr(new_key_text()),
            base_url="http://shop.test",
            rate_limit_enabled=False,
        )
    )
    yield auth
    await auth.stop()


async def new_user(auth: Auth, email: str = "Ada@Shop.example") -> UserRecord:
    return await auth.users.create(email=email, name="Ada", password=PASSWORD, email_verified=True)


async def actions(auth: Auth) -> list[tuple[str, str, str | None]]:
    records = await auth.services.transactions.read(lambda tx: tx.audit_log.audit_after(0, limit=100))
    return [(each.audit_event.action, each.context.actor_kind, each.context.method) for each in records]


async def test_user_is_created_found_and_asked_for(auth: Auth) -> None:
    user = await new_user(auth)
    assert (user.email, user.mail_address) == ("ada@shop.example", "Ada@shop.example")
    assert user.actor_types == {"customer"}
    assert await auth.users.get(user.id) == user
    for email in ("ada@shop.example", "ADA@SHOP.EXAMPLE"):
        assert await auth.users.find(email=email) == user
    for email in ("nobody@shop.example", "no address", ""):
        assert await auth.users.find(email=email) is None
    for user_id in (NOBODY, "", "x", "\x00"):
        with pytest.raises(errors.NotFound):
            await auth.users.get(user_id)
    with pytest.raises(errors.UserAlreadyExists):
        await new_user(auth, "ada@shop.example")
    assert not hasattr(user, "password_hash")
    assert PASSWORD not in repr(user)


async def test_users_are_listed_page_by_page(auth: Auth) -> None:
    users = [await new_user(auth, f"user{number}@shop.example") for number in range(3)]
    first = await auth.users.search(limit=2)
    assert (list(first.items), first.total) == (users[:2], 3)
    rest = await auth.users.search(limit=2, cursor=first.next_cursor)
    assert (list(rest.items), rest.next_cursor) == (users[2:], None)
    assert [each.id for each in (await auth.users.search("USER1")).items] == [users[1].id]


async def test_actor_types_and_bans_act_at_once_and_are_audited(auth: Auth) -> None:
    user = await new_user(auth)
    async with client_of(auth.app) as client:
        person = await sign_in(client, user.email)
    by = await auth.authenticate_token(person.session_token)
    assert (await auth.users.grant(user.id, "merchant")).actor_types == {"customer", "merchant"}
    assert (await auth.users.revoke(user.id, "merchant", by=by)).actor_types == {"customer"}
    assert (await auth.users.ban(user.id, reason="spam")).banned
    with pytest.raises(errors.InvalidToken):
        await auth.authenticate_token(person.session_token)
    assert not (await auth.users.unban(user.id)).banned
    with pytest.raises(errors.UnknownActorType):
        await auth.users.grant(user.id, "pirate")
    seen = await actions(auth)
    assert ("auth.user.registered", "system", "host") in seen
    assert ("auth.role.changed", "system", "host") in seen
    assert ("auth.role.changed", "user", "session") in seen
    assert ("auth.user.banned", "system", "host") in seen


async def test_keys_are_made_listed_rotated_and_revoked(auth: Auth) -> None:
    user = await new_user(auth)
    created = await auth.api_keys.create(
        user.id, name="robot", scopes=["orders:read"], expires_in=timedelta(days=30)
    )
    assert created.key.startswith("czo_")
    assert created.key not in repr(created)
    principal = await auth.authenticate_token(created.key)
    assert (principal.kind, principal.user_id, principal.scopes) == ("api_key", user.id, ("orders:read",))
    assert [each.id for each in (await auth.api_keys.list(user.id)).items] == [created.api_key.id]
    rotated = await auth.api_keys.rotate(created.api_key.id)
    with pytest.raises(errors.InvalidApiKey):
        await auth.authenticate_token(created.key)
    await auth.api_keys.revoke(rotated.api_key.id)
    with pytest.raises(errors.InvalidApiKey):
        await auth.authenticate_token(rotated.key)
    with pytest.raises(errors.NotFound):
        await auth.api_keys.revoke(rotated.api_key.id)


async def test_key_has_no_right_that_its_user_has_not(auth: Auth) -> None:
    user = await new_user(auth)
    organization = await auth.organizations.create(
        name="Acme", owner_id=(await new_user(auth, "o@shop.example")).id
    )
    with pytest.raises(errors.InsufficientScope):
        await auth.api_keys.create(user.id, name="robot", scopes=["admin:users"])
    with pytest.raises(errors.NotMemberOfOrganization):
        await auth.api_keys.create(user.id, name="robot", organization_id=organization.id)
    with pytest.raises(errors.InsufficientScope):
        # Who is not an administrator is none by asking for the actor type.
        await auth.api_keys.create(user.id, name="robot", scopes=["api-keys:verify"], actor_type="admin")
    with pytest.raises(errors.NotFound):
        await auth.api_keys.create(NOBODY, name="robot")


async def test_key_may_be_bound_to_addresses(auth: Auth) -> None:
    user = await new_user(auth)
    created = await auth.api_keys.create(user.id, name="robot", allowed_ips=["203.0.113.0/24"])
    assert (await auth.authenticate_token(created.key, ip="203.0.113.9")).user_id == user.id
    for ip in ("198.51.100.1", None):
        with pytest.raises(errors.Forbidden):
            await auth.authenticate_token(created.key, ip=ip)


async def test_organizations_get_members_and_keep_an_owner(auth: Auth) -> None:
    owner, other = await new_user(auth), await new_user(auth, "bo@shop.example")
    organization = await auth.organizations.create(name="Acme", owner_id=owner.id)
    assert await auth.organizations.get(organization.id) == organization
    assert await auth.organizations.find_member(organization.id, other.id) is None
    member = await auth.organizations.add_member(organization.id, other.id, role="admin")
    assert (member.user_id, member.role) == (other.id, "admin")
    with pytest.raises(errors.AlreadyMember):
        await auth.organizations.add_member(organization.id, other.id)
    with pytest.raises(errors.LastOwner):
        await auth.organizations.change_role(organization.id, owner.id, role="member")
    with pytest.raises(errors.LastOwner):
        await auth.organizations.remove_member(organization.id, owner.id)
    await auth.organizations.change_role(organization.id, other.id, role="owner")
    await auth.organizations.remove_member(organization.id, owner.id)
    assert [each.user_id for each in (await auth.organizations.list_members(organization.id)).items] == [
        other.id
    ]
    for organization_id in (NOBODY, "x"):
        with pytest.raises(errors.UnknownOrganization):
            await auth.organizations.get(organization_id)
        with pytest.raises(errors.UnknownOrganization):
            await auth.organizations.add_member(organization_id, owner.id)
    with pytest.raises(errors.UnknownRole):
        await auth.organizations.add_member(organization.id, owner.id, role="boss")
    with pytest.raises(errors.UnknownMember):
        await auth.organizations.remove_member(organization.id, owner.id)


async def two_sessions(client: httpx.AsyncClient, email: str) -> list[Person]:
    return [await sign_in(client, email) for _ in range(2)]


async def test_sessions_are_listed_and_ended(auth: Auth) -> None:
    user = await new_user(auth)
    async with client_of(auth.app) as client:
        first, second = await two_sessions(client, user.email)
    listed = await auth.sessions.list(user.id)
    assert len(listed) == 2
    principal = await auth.authenticate_token(first.access_token)
    assert principal.session_id is not None
    await auth.sessions.revoke(user.id, principal.session_id)
    for token in (first.session_token, first.access_token):
        with pytest.raises(errors.InvalidToken):
            await auth.authenticate_token(token)
    await auth.sessions.revoke_all(user.id)
    with pytest.raises(errors.InvalidToken):
        await auth.authenticate_token(second.session_token)
    assert await auth.sessions.list(user.id) == []
    with pytest.raises(errors.NotFound):
        await auth.sessions.list(NOBODY)


@pytest.mark.parametrize("text", ["", "x", "czs_short", "czr_" + "A" * 43, "a.b.c", "Bearer czo_x"])
async def test_malformed_token_is_refused(auth: Auth, text: str) -> None:
    with pytest.raises(errors.InvalidToken):
        await auth.authenticate_token(text)


async def test_session_that_may_only_enroll_is_refused(auth: Auth) -> None:
    await auth.start()
    email = await settle_administrator(auth)
    async with client_of(auth.app) as client:
        person = await sign_in(client, email, actor="admin")
        await sign_up(client)
    with pytest.raises(errors.TwoFactorSetupRequired):
        await auth.authenticate_token(person.session_token)


def test_public_names_are_shown() -> None:
    assert set(czo_auth.__all__) <= set(dir(czo_auth))
    for name in czo_auth.__all__:
        assert getattr(czo_auth, name).__doc__
