"""
Every bound holds in the flows, so that a host that calls them in process, or the command line, gets the same refusal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import ValidationError

from czo_auth import Settings
from czo_auth.core import limits
from czo_auth.core.context import system_context
from czo_auth.core.errors import ValidationFailed
from czo_auth.core.fields import checked_image, checked_metadata, checked_name
from czo_auth.core.flows.administration.import_users import ImportUsers, SourceUser
from czo_auth.core.flows.api_keys.changes import ApiKeyChanges
from czo_auth.core.flows.api_keys.new_key import NewApiKey
from czo_auth.core.flows.organizations.changes import NewOrganization, OrganizationChanges
from czo_auth.core.flows.sign_in.sign_up import NewUser
from czo_auth.core.flows.users.profile import update_profile
from czo_auth.core.principal import Principal
from czo_auth.storage.tables import Tables
from tests.contract.acting import create_key, create_organization
from tests.contract.checks import accepted, refused
from tests.contract.deployments import Timed

BLANK = {
    "empty": "",
    "spaces": " \u00a0\u2003\t",
    "zero width": "\u200b\u200d\ufeff",
    "Hangul filler": "\u3164",
    "Braille": "\u2800\u2800",
    "soft hyphen": "\u00ad",
    "lone variation selector": "\ufe0f",
    "combining mark alone": "\u034f",
}
BAD = {
    "too long": "x" * 100_000,
    "a little too long": "x" * 201,
    "turned around": "Ada\u202egpj.exe",
    "isolate": "Ada\u2066 (admin)\u2069",
    "zero width inside": "Ad\u200ba",
    "mark of direction": "Ada\u200f",
    "line": "Ada\nroot",
    "tag": "Ada\U000e0041",
    "filler inside": "A\u3164da",
    "byte order mark": "\ufeffAda\ufeff",
    "separator": "Ada\u2028x",
    **BLANK,
}
GOOD = [
    "Zoë",
    "José\u0301",
    "محمد",
    "علی\u200cرضا",
    "प्रिया",
    "山田太郎",
    "👩\u200d💻 team",
    "O'Neill & Sons <x>",
]
LARGE = {"note": "x" * 1_000_000}
NEW_PASSWORD = "correct horse battery staple"
Act = Callable[[Timed, Principal, str], Awaitable[object]]


def how(timed: Timed, principal: Principal | None = None) -> dict[str, Any]:
    context = system_context(timed.clock())
    return {"context": context if principal is None else context.of(principal)}


async def principal_of(timed: Timed) -> Principal:
    _, session = await timed.people.newcomer()
    return await timed.runtime.authenticate.session_token(session.token, now=timed.clock())


async def is_refused(attempt: Awaitable[object]) -> bool:
    try:
        await attempt
    except ValidationFailed:
        return True
    return False


async def sign_up(timed: Timed, _: Principal, name: str) -> object:
    new = NewUser(email="new@example.com", name=name, password=NEW_PASSWORD)
    return await timed.runtime.sign_up.sign_up("customer", new, **how(timed))


async def sign_up_with_an_organization(timed: Timed, _: Principal, name: str) -> object:
    new = NewUser(email="m@example.com", name="Mo", password=NEW_PASSWORD, organization_name=name)
    return await timed.runtime.sign_up.sign_up("merchant", new, **how(timed))


async def import_user(timed: Timed, _: Principal, name: str) -> object:
    known = SourceUser(email="old@example.com", name=name, password_hash=None)
    return await ImportUsers(timed.runtime.services).import_user(known, **how(timed))


async def rename(timed: Timed, principal: Principal, name: str) -> object:
    more = {"image": None, "clears_image": False, **how(timed, principal)}
    return await update_profile(timed.runtime.services, name=name, **more)


async def make_key(timed: Timed, principal: Principal, name: str) -> object:
    return await timed.runtime.create_api_keys.create(NewApiKey(name=name), **how(timed, principal))


async def rename_key(timed: Timed, principal: Principal, name: str) -> object:
    made = await timed.runtime.create_api_keys.create(NewApiKey(name="k"), **how(timed, principal))
    changes = ApiKeyChanges(given=frozenset({"name"}), name=name)
    return await timed.runtime.manage_api_keys.change(made.api_key.id, changes, **how(timed, principal))


async def make_organization(timed: Timed, principal: Principal, name: str) -> object:
    return await timed.runtime.manage_organizations.create(
        NewOrganization(name=name), **how(timed, principal)
    )


async def rename_organization(timed: Timed, principal: Principal, name: str) -> object:
    made = await timed.runtime.manage_organizations.create(
        NewOrganization(name="Acme"), **how(timed, principal)
    )
    changes = OrganizationChanges(given=frozenset({"name"}), name=name)
    return await timed.runtime.manage_organizations.update(
        made.organization.id, changes, **how(timed, principal)
    )


NAMED: list[Act] = [
    *(sign_up, sign_up_with_an_organization, import_user, rename, make_key, rename_key),
    *(make_organization, rename_organization),
]


@pytest.mark.parametrize("act", NAMED, ids=[act.__name__ for act in NAMED])
async def test_name_that_cannot_be_shown_is_refused_in_process(timed_sqlite: Timed, act: Act) -> None:
    principal = await principal_of(timed_sqlite)
    assert [
        kind for kind, name in BAD.items() if not await is_refused(act(timed_sqlite, principal, name))
    ] == []
    await act(timed_sqlite, principal, "  Zoë  ")


@pytest.mark.parametrize("name", GOOD)
def test_names_of_people_everywhere_are_taken(name: str) -> None:
    assert checked_name(f" {name} ") == name


async def test_metadata_is_bounded_in_process(timed_sqlite: Timed) -> None:
    principal = await principal_of(timed_sqlite)
    runtime = timed_sqlite.runtime
    circle: dict[str, Any] = {}
    circle["self"] = circle
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    for metadata in (LARGE, circle, deep, {"when": object()}, {"n": float("nan")}, {"é" * 2047: ""}):
        for attempt in (
            runtime.create_api_keys.create(
                NewApiKey(name="k", metadata=metadata), **how(timed_sqlite, principal)
            ),
            runtime.manage_organizations.create(
                NewOrganization(name="Acme", metadata=metadata), **how(timed_sqlite, principal)
            ),
        ):
            with pytest.raises(ValidationFailed):
                await attempt
    while deep:
        deep = deep.pop("a")
    assert checked_metadata({"é" * 2045: 1}) is not None


async def test_key_named_with_blanks_is_refused_over_http(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    key = await create_key(timed.api, session)
    by: dict[str, Any] = {"bearer": session.token}
    for kind, name in BAD.items():
        for answer in (
            await timed.api.post("/api-keys", {"name": name[:60_000]}, **by),
            await timed.api.patch(f"/api-keys/{key['id']}", {"name": name[:60_000]}, **by),
            await timed.api.post("/organizations", {"name": name[:60_000]}, **by),
            await timed.api.patch(f"/organizations/{organization}", {"name": name[:60_000]}, **by),
            await timed.api.post("/update-user", {"name": name[:60_000]}, **by),
        ):
            details = refused(answer, 400, "VALIDATION_ERROR")["details"]
            assert [one["loc"] for one in details] == ["name"], kind
    answer = await timed.api.post("/api-key/create", {"name": "\u3164"}, **by)
    refused(answer, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "reason", ["", " \u200b", "x" * 501, "x" * 1_000_000], ids=["empty", "blank", "long", "huge"]
)
async def test_reason_is_bounded_in_process(timed_sqlite: Timed, reason: str) -> None:
    account = await timed_sqlite.people.sign_up()
    with pytest.raises(ValidationFailed):
        await timed_sqlite.runtime.administration.ban(account.id, reason=reason, **how(timed_sqlite))
    with pytest.raises(ValidationFailed):
        await timed_sqlite.runtime.recovery.reset_now(account.id, reason=reason, **how(timed_sqlite))


# --- pictures --------------------------------------------------------------------------------------------------------
SCRIPTS = [
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)"),
    *("data:text/html,<script>", "data:image/svg+xml,<svg onload=alert(1)>", "data:image/png;base64,AAAA"),
    *("vbscript:x", "http://cdn.example/a.png", "//cdn.example/a.png", "/a.png", "a.png", ""),
    *("https:", "https://", "https:///a.png", "https:a.png", "https://[::1", "https://x:99999/a.png"),
    *("https://cdn.example/a b.png", 'https://cdn.example/"onerror="x', "https://cdn.example/\u202egnp.exe"),
    *(
        "https://cdn.example\\@evil.example/",
        "blob:https://x/1",
        "file:///etc/passwd",
        "https://" + "x" * 2048,
    ),
]


@pytest.mark.parametrize("address", SCRIPTS)
def test_address_that_is_no_picture_is_refused(address: str) -> None:
    with pytest.raises(ValidationFailed):
        checked_image(address)


@pytest.mark.parametrize(
    "address",
    ["https://cdn.example/a.png", "HTTPS://cdn.example:8443/a?b=c#d", "https://xn--e1afmkfd.example/%D0%B0"],
)
def test_address_of_a_picture_is_taken(address: str) -> None:
    assert checked_image(address) == address


async def test_script_as_a_picture_is_refused_wherever_pictures_are_taken(timed: Timed) -> None:
    _, session = await timed.people.newcomer()
    organization = await create_organization(timed.api, session)
    by: dict[str, Any] = {"bearer": session.token}
    for address in SCRIPTS[:8]:
        user = {"email": "img@example.com", "password": NEW_PASSWORD, "name": "Im", "image": address}
        body = {"name": "Acme", "slug": "acme-logo", "logo": address}
        change = {"data": {"logo": address}, "organizationId": organization}
        for answer in (
            await timed.api.post("/sign-up/email", user),
            await timed.api.post("/update-user", {"image": address}, **by),
            await timed.api.post("/organizations", body, **by),
            await timed.api.patch(f"/organizations/{organization}", {"logo": address}, **by),
            await timed.api.post("/organization/create", body, **by),
            await timed.api.post("/organization/update", change, **by),
        ):
            refused(answer, 400, "VALIDATION_ERROR")
    accepted(await timed.api.post("/update-user", {"image": "https://cdn.example/a.png"}, **by))
    accepted(await timed.api.post("/update-user", {"image": None}, **by))


# --- table prefixes --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "prefix",
    ["", "p" * 25, "pg_", "pg_auth_", "sqlite_x", "1a", "Auth_", "a-b", "a b", "é_", "a;drop", "a\n"],
)
def test_prefix_that_a_database_would_not_take_is_refused_with_the_settings(prefix: str) -> None:
    with pytest.raises(ValidationError, match="1 to 24"):
        Settings(table_prefix=prefix)


@pytest.mark.parametrize("prefix", ["_", "a", "select", "p" * limits.MAX_TABLE_PREFIX, "pgx_", "czo_auth_"])
def test_prefix_that_settings_take_makes_tables(prefix: str) -> None:
    tables = Tables(Settings(table_prefix=prefix).table_prefix)
    for table in tables.metadata.tables.values():
        names = [table.name, *(index.name for index in table.indexes)]
        assert all(len(str(name)) <= 63 for name in names)
