"""better-auth-server (PyPI) in FastAPI, with its two-factor, api-key and admin plugins."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from better_auth import BetterAuth
from better_auth.adapters.sqlalchemy import SQLAlchemyAdapter
from better_auth.config import EmailAndPassword, RateLimit
from better_auth.integrations.fastapi import BetterAuthFastAPI
from better_auth.plugins_ext.admin import AdminPlugin
from better_auth.plugins_ext.api_key import ApiKeyPlugin
from better_auth.plugins_ext.two_factor import TwoFactorPlugin
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import create_async_engine

_adapter = SQLAlchemyAdapter(create_async_engine(os.environ["BENCH_DATABASE_URL"]))
_auth = BetterAuth(
    secret="a secret that only this comparison knows, and long enough",
    base_url=f"http://127.0.0.1:{os.environ['BENCH_PORT']}",
    adapter=_adapter,
    email_and_password=EmailAndPassword(enabled=True),
    rate_limit=RateLimit(enabled=False),
    plugins=[
        TwoFactorPlugin(issuer="peers"),
        AdminPlugin(),
        ApiKeyPlugin({"enable_session_for_api_keys": True, "rate_limit": {"enabled": False}}),
    ],
)


async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    await _adapter.create_tables()
    yield


app = FastAPI(lifespan=_lifespan)
app.include_router(BetterAuthFastAPI(_auth).router)
