"""What a key may do: its scopes, and what its owner may do at the moment (docs/reference/rest.md; S17)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI

from czo_auth import Auth, AuthMiddleware, Principal
from tests.contract.acting import (
    change_actor_types,
    create_key,
    create_organization,
    is_accepted,
    join,
    principal_of,
)
from tests.contract.api import Api, new_client
from tests.contract.checks import accepted, refused
from tests.contract.conftest import Deploy
from tests.contract.deployments import Timed
from tests.contract.people import Session

MAPPING = {
    "customer": ["orders:read"],
    "merchant": ["orders:*"],
    "org:owner": ["reports:read", "reports:write"],
    "org:member": ["reports:read"],
}


def function(actor_types: frozenset[str], role: str | None) -> set[str]:
    """Say the same as the mapping."""
    return {scope for name in [*actor_types, f"org:{role}"] for scope in MAPPING.get(name, ())}


async def grant(api: Api, session: Session, *scopes: str, **more: object) -> httpx.Response:
    return await api.post("/api-keys", {"name": "a key", "scopes": scopes, **more}, bearer=session.token)


async def scopes_of(api: Api, key: dict[str, Any]) -> list[str]:
    scopes: list[str] = (await principal_of(api, key["key"]))["scopes"]
    return scopes


@pytest.mark.parametrize("rule", [MAPPING, function], ids=["mapping", "function"])
async def test_rule_of_the_host_says_which_scopes_a_user_may_put_on_a_key(
    deploy_sqlite: Deploy, rule: Any
) -> None:
    timed = await deploy_sqlite(scope_rule=rule)
    api = timed.api
    account = await timed.people.sign_up("merchant")
    merchant = await timed.people.sign_in(account, "merchant")
    _, customer = await timed.people.newcomer()
    accepted(await grant(api, customer, "orders:read"), 201)
    for scopes in (["orders:write"], ["orders:read", "orders:write"], ["other:read"], ["reports:read"]):
        refused(await grant(api, customer, *scopes), 403, "INSUFFICIENT_SCOPE")
    accepted(await grant(api, merchant, "orders:read", "orders:write", "orders:anything"), 201)
    refused(await grant(api, merchant, "reports:read"), 403, "INSUFFICIENT_SCOPE")
    refused(await grant(api, merchant, "admin:users"), 403, "INSUFFICIENT_SCOPE")
    # The actor types held count, whichever is worn.
    accepted(await grant(api, await timed.people.sign_in(account, "customer"), "orders:write"), 201)
    organization = await create_organization(api, merchant)
    accepted(await grant(api, merchant, "reports:write", organizationId=organization), 201)


@pytest.mark.parametrize("rule", [MAPPING, function], ids=["mapping", "function"])
async def test_scopes_that_the_owner_loses_stop_counting_at_the_next_request(
    deploy: Deploy, rule: Any
) -> None:
    timed = await deploy(scope_rule=rule)
    api = timed.api
    admin = await timed.people.sign_in(timed.ada, "admin")
    account, merchant = await timed.people.newcomer("merchant")
    key = await create_key(api, merchant, scopes=["orders:read", "orders:write"])
    assert await scopes_of(api, key) == ["orders:read", "orders:write"]
    path = f"/admin/users/{account.id}/actor-types"
    accepted(await api.post(path, {"remove": ["merchant"]}, bearer=admin.token))
    assert await scopes_of(api, key) == ["orders:read"]
    assert (await principal_of(api, key["key"]))["actorType"] == "customer"
    # What counts no longer was not taken off the key: given back, it counts again.
    accepted(await api.post(path, {"add": ["merchant"]}, bearer=admin.token))
    assert await scopes_of(api, key) == ["orders:read", "orders:write"]


async def test_scopes_of_a_role_stop_counting_with_the_role(deploy: Deploy) -> None:
    timed = await deploy(scope_rule=MAPPING)
    api = timed.api
    _, founder = await timed.people.newcomer()
    account, owner = await timed.people.newcomer()
    organization = await create_organization(api, founder)
    await join(api, founder, organization, (account, owner), "owner")
    key = await create_key(
        api, owner, organizationId=organization, scopes=["reports:read", "reports:write", "orders:read"]
    )
    for role, expected in (
        ("member", ["orders:read", "reports:read"]),
        ("viewer", ["orders:read"]),
        ("owner", ["orders:read", "reports:read", "reports:write"]),
    ):
        member = f"/organizations/{organization}/members/{account.id}"
        accepted(await api.patch(member, {"role": role}, bearer=founder.token))
        assert await scopes_of(api, key) == expected


async def test_function_of_the_host_is_asked_again_at_each_request(deploy: Deploy) -> None:
    granted = {"orders:read", "orders:write"}
    timed = await deploy(scope_rule=lambda actor_types, role: granted)
    _, session = await timed.people.newcomer()
    key = await create_key(timed.api, session, scopes=["orders:read", "orders:write"])
    for _ in range(2):
        assert await scopes_of(timed.api, key) == ["orders:read", "orders:write"]
    # Nothing is written here: what the host knows lies elsewhere.
    granted.discard("orders:write")
    assert await scopes_of(timed.api, key) == ["orders:read"]
    granted.clear()
    assert await scopes_of(timed.api, key) == []
    granted.add("orders:write")
    assert await scopes_of(timed.api, key) == ["orders:write"]


async def test_demoted_administrator_keeps_ordinary_scopes_only(timed: Timed) -> None:
    api = timed.api
    session = await timed.people.sign_in(timed.ada, "admin")
    key = await create_key(api, session, scopes=["api-keys:verify", "admin:users", "orders:read"])
    assert await scopes_of(api, key) == ["admin:users", "api-keys:verify", "orders:read"]
    accepted(await api.post("/api-keys/verify", {"key": "czo_"}, bearer=key["key"]))
    await change_actor_types(timed, timed.ada, remove=["admin"])
    assert await scopes_of(api, key) == ["orders:read"]
    assert (await principal_of(api, key["key"]))["actorType"] == "customer"
    verify = await api.post("/api-keys/verify", {"key": "czo_"}, bearer=key["key"])
    refused(verify, 403, "INSUFFICIENT_SCOPE")


# --- on a host's own routes ------------------------------------------------------------------------------------------
@pytest.fixture
def host() -> Callable[[Auth], FastAPI]:
    """Make a host application with guarded routes of its own."""

    def make(auth: Auth) -> FastAPI:
        app = FastAPI()
        app.mount("/api/auth", auth.app)
        app.add_middleware(AuthMiddleware, auth=auth)
        orders = Depends(auth.require(scopes=["orders:read"]))
        strict = Depends(auth.require(scopes=["orders:read", "orders:write"]))
        proved = Depends(auth.require(aal=2))
        merchants = Depends(auth.require(actor="merchant"))

        @app.get("/open")
        async def read_open() -> str:
            return "open"

        @app.get("/orders")
        async def read_orders(principal: Principal = orders) -> str | None:
            return principal.api_key_id

        @app.get("/strict")
        async def read_strict(principal: Principal = strict) -> str | None:
            return principal.api_key_id

        @app.get("/proved")
        async def read_proved(principal: Principal = proved) -> str | None:
            return principal.api_key_id

        @app.get("/merchants")
        async def read_merchants(principal: Principal = merchants) -> str | None:
            return principal.api_key_id

        return app

    return make


async def test_routes_of_the_host_ask_for_scopes_actor_types_and_assurance(
    timed: Timed, host: Callable[[Auth], FastAPI]
) -> None:
    _, session = await timed.people.newcomer("merchant")
    reads = await create_key(timed.api, session, scopes=["orders:read"])
    nothing = await create_key(timed.api, session)
    async with new_client(timed.api.origin, transport=httpx.ASGITransport(host(timed.auth))) as http:

        async def get(path: str, key: str | None, **headers: str) -> httpx.Response:
            bearer = {} if key is None else {"authorization": f"Bearer {key}"}
            return await http.get(path, headers={**bearer, **headers})

        # Twice: the second time, the key is remembered.
        for _ in range(2):
            for path in ("/orders", "/merchants"):
                assert (await get(path, reads["key"])).json() == reads["id"]
            refused_codes = {
                ("/strict", reads["key"]): (403, "INSUFFICIENT_SCOPE"),
                ("/orders", nothing["key"]): (403, "INSUFFICIENT_SCOPE"),
                ("/proved", reads["key"]): (403, "TWO_FACTOR_REQUIRED"),
                ("/orders", None): (401, "UNAUTHORIZED"),
                ("/orders", reads["key"][:-1]): (401, "INVALID_API_KEY"),
                ("/open", reads["key"][:-1]): (401, "INVALID_API_KEY"),
            }
            for (path, key), (status, code) in refused_codes.items():
                refused(await get(path, key), status, code)
        # Nothing but the Authorization header carries a key.
        for headers in ({"x-api-key": reads["key"]}, {"cookie": f"api_key={reads['key']}"}):
            refused(await get("/orders", None, **headers), 401, "UNAUTHORIZED")
        refused(await get(f"/orders?api_key={reads['key']}", None), 401, "UNAUTHORIZED")
        # Narrowed and revoked keys are refused at the very next request.
        change = f"/api-keys/{reads['id']}"
        accepted(await timed.api.patch(change, {"scopes": []}, bearer=session.token))
        refused(await get("/orders", reads["key"]), 403, "INSUFFICIENT_SCOPE")
        accepted(await timed.api.delete(change, bearer=session.token), 204)
        refused(await get("/orders", reads["key"]), 401, "INVALID_API_KEY")
        refused(await get("/open", reads["key"]), 401, "INVALID_API_KEY")
    assert not await is_accepted(timed.api, reads["key"])
