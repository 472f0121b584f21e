"""
The same rule as in most FastAPI services: a dependency, and SQLAlchemy's asynchronous ORM.

It is generous to the convention: one query with a join, no write of a last use, no second factor, one session of the
ORM a request. Access tokens are verified by PyJWT, and their session is read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import BigInteger, ForeignKey, String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship

_engine = create_async_engine(os.environ["BENCH_DATABASE_URL"], pool_size=8)
_new_session = async_sessionmaker(_engine, expire_on_commit=False)
_bearer = HTTPBearer()
_public_key = os.environ.get("BENCH_PUBLIC_KEY", "")
_claims = {"issuer": os.environ.get("BENCH_ISSUER", ""), "audience": os.environ.get("BENCH_ISSUER", "")}


class _Base(DeclarativeBase):
    pass


class User(_Base):
    """An account."""

    __tablename__ = "czo_auth_users"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    email: Mapped[str]
    actor_types: Mapped[str]
    banned_at: Mapped[int | None] = mapped_column(BigInteger)


class ApiKey(_Base):
    """A key and its owner."""

    __tablename__ = "czo_auth_api_keys"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey(User.id))
    scopes: Mapped[str]
    enabled: Mapped[bool]
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)
    user: Mapped[User] = relationship()


class Session(_Base):
    """A sign-in and its user."""

    __tablename__ = "czo_auth_sessions"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey(User.id))
    expires_at: Mapped[int] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)
    user: Mapped[User] = relationship()


async def session() -> AsyncIterator[AsyncSession]:
    """Yield one ORM session per request."""
    async with _new_session() as one:
        yield one


Credentials = Annotated[HTTPAuthorizationCredentials, Depends(_bearer)]
Database = Annotated[AsyncSession, Depends(session)]


async def user_of_key(given: Credentials, database: Database) -> User:
    """Find the owner of the key."""
    digest = hashlib.sha256(given.credentials.encode()).hexdigest()
    query = select(ApiKey).where(ApiKey.digest == digest).options(joinedload(ApiKey.user))
    key = (await database.execute(query)).scalar_one_or_none()
    if key is None or key.revoked_at is not None or not key.enabled or key.user.banned_at is not None:
        raise HTTPException(401)
    if key.expires_at is not None and key.expires_at <= _now():
        raise HTTPException(401)
    return key.user


async def user_of_token(given: Credentials, database: Database) -> User:
    """Find the user of the access token, if its session is live."""
    try:
        claims = jwt.decode(given.credentials, _public_key, algorithms=["ES256"], **_claims)  # type: ignore[arg-type]
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None
    query = select(Session).where(Session.id == claims["sid"]).options(joinedload(Session.user))
    found = (await database.execute(query)).scalar_one_or_none()
    if found is None or found.revoked_at is not None or found.expires_at <= _now():
        raise HTTPException(401)
    return found.user


app = FastAPI()


@app.get("/", response_class=PlainTextResponse)
async def hello(user: Annotated[User, Depends(user_of_key)]) -> str:
    """Answer callers with a key."""
    return "hello"


@app.get("/token", response_class=PlainTextResponse)
async def hello_token(user: Annotated[User, Depends(user_of_token)]) -> str:
    """Answer callers with an access token."""
    return "hello"


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
