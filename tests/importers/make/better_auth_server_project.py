"""Make a database with better-auth-server and its plugins; say on standard output what its users know."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from better_auth import BetterAuth
from better_auth.adapters.base import Where
from better_auth.adapters.sqlalchemy import SQLAlchemyAdapter
from better_auth.config import EmailAndPassword, RateLimit
from better_auth.integrations.fastapi import BetterAuthFastAPI
from better_auth.plugins_ext.admin import AdminPlugin
from better_auth.plugins_ext.api_key import ApiKeyPlugin
from better_auth.plugins_ext.organization import OrganizationPlugin
from better_auth.plugins_ext.passkey import PasskeyPlugin
from better_auth.plugins_ext.two_factor import TwoFactorPlugin
from better_auth.types import AuthRequest, Ctx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import create_async_engine

URL = "http://localhost:3000"


async def main(path: str, secret: str, passkey: dict[str, Any]) -> dict[str, str]:
    """Sign people up over its routes, as its clients do; its server alone may give keys permissions."""
    adapter = SQLAlchemyAdapter(create_async_engine(f"sqlite+aiosqlite:///{path}"))
    keys = ApiKeyPlugin(
        [
            {"config_id": "default", "default_prefix": "shop_"},
            {"config_id": "bare"},
            {"config_id": "machines", "references": "organization", "default_prefix": "shop_"},
        ]
    )
    auth = BetterAuth(
        secret=secret,
        base_url=URL,
        adapter=adapter,
        email_and_password=EmailAndPassword(enabled=True),
        rate_limit=RateLimit(enabled=False),
        plugins=[
            TwoFactorPlugin(issuer="Shop"),
            AdminPlugin(),
            keys,
            OrganizationPlugin(),
            PasskeyPlugin(rp_id="localhost", origin=URL),
        ],
    )
    await adapter.create_tables()
    app = FastAPI()
    app.include_router(BetterAuthFastAPI(auth).router)
    context = Ctx(
        auth=auth,
        request=AuthRequest(method="GET", path="/", headers={}, query={}, body=b"", client_ip=None, url=URL),
    )

    ids: dict[str, str] = {}
    browsers: dict[str, httpx.AsyncClient] = {}

    async def post(name: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await browsers[name].post(f"/api/auth{path}", json=body, headers={"origin": URL})
        assert answer.status_code == 200, (path, answer.text)
        read: dict[str, Any] = answer.json()
        return read

    for name in ("uma", "ben", "bad"):
        browsers[name] = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL)
        person = {
            "name": name.title(),
            "email": f"{name}@example.com",
            "password": f"the old password of {name}",
        }
        ids[name] = (await post(name, "/sign-up/email", person))["user"]["id"]
    await adapter.update("user", [Where("id", ids["bad"])], {"banned": True})
    await adapter.update("user", [Where("id", ids["uma"])], {"emailVerified": True})

    key = await keys.create_api_key(
        context, configId="default", name="orders", userId=ids["uma"], permissions={"orders": ["read"]}
    )
    bare = await keys.create_api_key(context, configId="bare", name="bare", userId=ids["ben"])
    shop = await post("uma", "/organization/create", {"name": "Shop", "slug": "shop"})
    member = {
        "organizationId": shop["id"],
        "userId": ids["ben"],
        "role": "member",
        "createdAt": datetime.now(UTC),
    }
    await adapter.create("member", member)
    machine = await keys.create_api_key(
        context,
        configId="machines",
        name="warehouse",
        organizationId=shop["id"],
        userId=ids["uma"],
        permissions={"stock": ["read"]},
    )

    enabled = await post("uma", "/two-factor/enable", {"password": "the old password of uma"})
    (text,) = parse_qs(urlsplit(enabled["totpURI"]).query)["secret"]
    totp = base64.b32decode(text + "=" * (-len(text) % 8))
    plugin = next(each for each in auth.plugins if isinstance(each, TwoFactorPlugin))
    code = (await plugin.generate_totp_code(totp.decode()))["code"]
    await post("uma", "/two-factor/verify-totp", {"code": code})
    if passkey:
        await adapter.create("passkey", {**passkey, "userId": ids["ben"], "createdAt": datetime.now(UTC)})
    return {"totp": totp.hex(), "key": key["key"], "bare": bare["key"], "machine": machine["key"]}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))))
