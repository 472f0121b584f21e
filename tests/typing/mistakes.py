"""Mistakes that the types find: each line is an error, and an unneeded ``ignore`` would be one."""

from __future__ import annotations

from starlette.applications import Starlette

from czo_auth import Auth, AuthMiddleware, Event, Settings
from czo_auth.integrations.starlette import principal_of, requires
from czo_auth.testing import AuthHost, MovableClock, hosted

Settings(enviroment="production")  # type: ignore[call-arg]
Settings(environment="staging")  # type: ignore[arg-type]
Settings(totp_drift="two")  # type: ignore[arg-type]

auth = Auth(Settings())
Auth({"base_url": "https://shop.example"})  # type: ignore[arg-type]
auth.require(actor=7)  # type: ignore[arg-type]
auth.require(aal="2")  # type: ignore[arg-type]
auth.require(scope="orders:read")  # type: ignore[call-arg]
requires(scopes=7)  # type: ignore[arg-type]
AuthMiddleware(Starlette())  # type: ignore[call-arg]
AuthMiddleware(Starlette(), auth=Settings())  # type: ignore[arg-type]


async def nobody_is_not_somebody() -> None:
    principal = principal_of(None)  # type: ignore[arg-type]
    print(principal.user_id)  # type: ignore[union-attr]
    auth.start()  # type: ignore[unused-coroutine]


@auth.on("auth.2fa.enabled")
def wrong_event(event: Event) -> str:
    return event.kind  # type: ignore[attr-defined,no-any-return]


auth.on(7)  # type: ignore[arg-type]
MovableClock().move(30)  # type: ignore[arg-type]
hosted(auth)  # type: ignore[call-arg, arg-type]


async def server_side() -> None:
    await auth.users.create("ada@shop.example")  # type: ignore[call-arg]
    user = await auth.users.find(email="ada@shop.example")
    print(user.id)  # type: ignore[union-attr]
    await auth.api_keys.create("user", name="robot", scope="orders:read")  # type: ignore[call-arg]
    print((await auth.users.get("user")).password_hash)  # type: ignore[attr-defined]


async def test(auth_host: AuthHost) -> None:
    ada = auth_host.person()
    print(ada.client)  # type: ignore[attr-defined]
    await auth_host.person("ada@shop.example")  # type: ignore[call-arg]
    await auth_host.api_key(await ada, scope="orders:read")  # type: ignore[call-arg]
