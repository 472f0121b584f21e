"""One of several processes that share a PostgreSQL: a key that is revoked in one is refused in all."""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import Depends, FastAPI

from czo_auth import Auth, AuthMiddleware, Principal, Settings

# From the environment: CZO_AUTH_DATABASE_URL and AUTH_ENCRYPTION_KEY, the same in every process.
auth = Auth(Settings(totp_issuer="The shop"))
app = FastAPI(title="The shop", lifespan=auth.lifespan())
app.mount("/api/auth", auth.app)
app.add_middleware(AuthMiddleware, auth=auth)


@app.get("/")
def front_page() -> dict[str, object]:
    """For everyone; says which process answered."""
    return {"shop": "open", "process": os.getpid()}


@app.get("/orders")
def orders(
    principal: Annotated[Principal, Depends(auth.require(scopes=["orders:read"]))],
) -> dict[str, object]:
    """For sessions, and for API keys with the scope `orders:read`."""
    return {"for": principal.user_id, "process": os.getpid()}
