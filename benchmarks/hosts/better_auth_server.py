"""better-auth-server (PyPI) with its api-key plugin, in FastAPI; its key-wise rate limit is off."""

from __future__ import annotations

import os
from typing import Any

from better_auth import BetterAuth
from better_auth.adapters.sqlalchemy import SQLAlchemyAdapter
from better_auth.plugins_ext.api_key import ApiKeyPlugin
from better_auth.types import AuthRequest, Ctx
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse
from sqlalchemy.ext.asyncio import create_async_engine

# It writes at each verification: on SQLite more connections would only wait for each other's lock.
_pool = {"pool_size": int(os.environ["BENCH_POOL"]), "max_overflow": 0}
_adapter = SQLAlchemyAdapter(create_async_engine(os.environ["BENCH_DATABASE_URL"], **_pool))
_keys = ApiKeyPlugin({"rate_limit": {"enabled": False}})
_auth = BetterAuth(
    secret="a secret that is only used to measure",
    base_url="http://127.0.0.1",
    adapter=_adapter,
    plugins=[_keys],
)


async def _lifespan(_: FastAPI) -> Any:
    await _adapter.create_tables()
    yield


app = FastAPI(lifespan=_lifespan)


@app.get("/", response_class=PlainTextResponse)
async def hello(request: Request) -> str:
    """Answer callers with a key, which is read and written as the plugin does."""
    key = request.headers["authorization"].removeprefix("Bearer ")
    asked = AuthRequest(
        method="GET", path="/", headers={}, query={}, body=b"", client_ip="127.0.0.1", url="/"
    )
    answer = await _keys.verify_api_key(Ctx(auth=_auth, request=asked), key=key)
    if not answer["valid"]:
        raise HTTPException(401)
    return "hello"
