"""Make a database with fastapi-users and its SQLAlchemy adapter; run where these are installed."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from fastapi_users import BaseUserManager, UUIDIDMixin, schemas
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users.password import PasswordHelper
from pwdlib import PasswordHash
from pwdlib.hashers.bcrypt import BcryptHasher
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class UserManager(UUIDIDMixin, BaseUserManager[Any, Any]):
    reset_password_token_secret = "secret"
    verification_token_secret = "secret"


async def main(path: str) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with async_sessionmaker(engine, expire_on_commit=False)() as session:
        database: Any = SQLAlchemyUserDatabase(session, User)
        old = PasswordHelper(PasswordHash((BcryptHasher(),)))
        for name, helper in (("uma", None), ("ben", old)):
            manager = UserManager(database, helper)
            user = await manager.create(
                schemas.BaseUserCreate(email=f"{name}@example.com", password=f"the old password of {name}")
            )
            await database.update(user, {"is_verified": name == "uma", "is_active": True})
    await engine.dispose()


asyncio.run(main(sys.argv[1]))
