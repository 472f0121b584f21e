"""crudauth (PyPI) with its bearer transport: a stateless HS256 token, and the user's row at each request."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from crudauth import BearerTransport, CRUDAuth, Principal
from crudauth.models import AuthUserMixin
from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse
from sqlalchemy import Integer, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_engine = create_async_engine(os.environ["BENCH_DATABASE_URL"], pool_size=8)
_new_session = async_sessionmaker(_engine, expire_on_commit=False)
_USERS = 1000


class _Base(DeclarativeBase):
    pass


class User(_Base, AuthUserMixin):
    """An account as crudauth wants it."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)


async def session() -> AsyncIterator[AsyncSession]:
    """Give one session of the ORM a request."""
    async with _new_session() as one:
        yield one


_bearer = BearerTransport(access_ttl=7200, refresh="body")
_auth = CRUDAuth(
    session=session,
    user_model=User,
    SECRET_KEY="a secret that is only used to measure, and long enough",
    transports=[_bearer],
)


async def _lifespan(_: FastAPI) -> Any:
    async with _engine.begin() as connection:
        await connection.run_sync(_Base.metadata.create_all)
    async with _new_session() as database:
        for number in range(_USERS):
            name = f"user{number}"
            database.add(User(username=name, email=f"{name}@example.com", hashed_password="x"))
        await database.commit()
        users = (await database.execute(select(User))).scalars().all()
    _write([_bearer.access_token(user, ()) for user in users])
    await _auth.initialize()
    yield
    await _auth.shutdown()


def _write(tokens: list[str]) -> None:
    with open(os.environ["BENCH_TOKENS"], "w") as file:
        file.writelines(token + "\n" for token in tokens)


app = FastAPI(lifespan=_lifespan)


@app.get("/", response_class=PlainTextResponse)
async def hello(me: Annotated[Principal, Depends(_auth.current_user())]) -> str:
    """Answer callers with an access token."""
    return "hello"
