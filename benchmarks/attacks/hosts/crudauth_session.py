"""crudauth (PyPI) in FastAPI with its session transport, its second factor, and its state in the database."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from crudauth import CRUDAuth, DatabaseStore
from crudauth.core import CookieConfig
from crudauth.mfa import MfaConfig
from crudauth.models.mixin import make_auth_identity
from crudauth.ratelimit import DEFAULT_RATE_LIMITS, RateLimit
from cryptography.fernet import Fernet
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

_engine = create_async_engine(os.environ["BENCH_DATABASE_URL"])
_new_session = async_sessionmaker(_engine, expire_on_commit=False)


class _Base(DeclarativeBase):
    pass


class User(_Base, make_auth_identity(mfa=True)):
    """An account, as crudauth requires it."""

    __tablename__ = "users"


async def session() -> AsyncIterator[AsyncSession]:
    """Yield one ORM session per request."""
    async with _new_session() as one:
        yield one


_store = DatabaseStore(_new_session)
_auth = CRUDAuth(
    session=session,
    user_model=User,
    SECRET_KEY="a secret that only this comparison knows, and long enough",
    # The comparison uses plain http.
    cookies=CookieConfig(secure=False),
    database_store=_store,
    trusted_proxy_hops=1,
    # Each browser of the comparison has its own address, as behind a proxy. The lockout at sign-in stays on.
    rate_limits={
        action: RateLimit(times=0, seconds=limit.seconds) for action, limit in DEFAULT_RATE_LIMITS.items()
    },
    mfa=MfaConfig(issuer="peers", encryption_key=Fernet.generate_key()),
)


async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with _engine.begin() as connection:
        await connection.run_sync(_Base.metadata.create_all)
    await _store.create_tables()
    await _auth.initialize()
    yield
    await _auth.shutdown()


app = FastAPI(lifespan=_lifespan)
app.include_router(_auth.router)
