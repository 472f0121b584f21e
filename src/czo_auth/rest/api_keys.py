"""API keys: create, list, narrow, rotate, revoke, and verify for other services."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from starlette.responses import JSONResponse, Response

from czo_auth.core.access import ACCOUNT, SERVICE
from czo_auth.core.flows.api_keys import ApiKeyChanges, CreatedApiKey, NewApiKey
from czo_auth.rest import shapes
from czo_auth.rest.answers import no_content
from czo_auth.rest.models import Body, Identifier, Metadata, Moment, Name, Token
from czo_auth.rest.routing import Here, Routes

routes = Routes("API keys")
Seconds = Annotated[int, Field(ge=-(10**12), le=10**12)]
Scopes = Annotated[list[Annotated[str, Field(max_length=130)]], Field(max_length=64)]
NoScopes = Annotated[Scopes, Field(default_factory=list)]


class CreateBody(Body):
    name: Name
    organization_id: Identifier | None = None
    expires_at: Moment | None = None
    expires_in: Seconds | None = None
    scopes: NoScopes
    metadata: Metadata | None = None


class ChangeBody(Body):
    name: Name | None = None
    enabled: bool | None = None
    scopes: Scopes | None = None
    expires_at: Moment | None = None
    metadata: Metadata | None = None


class RotateBody(Body):
    overlap_seconds: Seconds = 0


class VerifyBody(Body):
    key: Token
    scopes: NoScopes
    organization_id: Identifier | None = None


def _created(created: CreatedApiKey) -> Response:
    answer = {**shapes.api_key(created.api_key), "key": created.key}
    return JSONResponse({"apiKey": answer}, status_code=201)


def seconds(count: int) -> timedelta:
    """Read a number of seconds; what lies beyond a century is as good as a century."""
    century = 100 * 366 * 86400
    return timedelta(seconds=max(-century, min(count, century)))


@routes.add("POST", "/api-keys", access=ACCOUNT, status=201)
async def create(body: CreateBody, call: Here) -> Response:
    """Create a key. The key itself is in this answer and nowhere else, ever."""
    new = NewApiKey(
        name=body.name,
        organization_id=body.organization_id,
        expires_at=body.expires_at,
        expires_in=None if body.expires_in is None else seconds(body.expires_in),
        scopes=tuple(body.scopes),
        metadata=body.metadata,
    )
    return _created(
        await call.runtime.api_keys.create(call.principal, new, provenance=call.provenance, now=call.now)
    )


@routes.add("GET", "/api-keys", access=ACCOUNT)
async def list_keys(
    call: Here, organization_id: Annotated[str | None, Field(alias="organizationId", max_length=64)] = None
) -> Response:
    """The user's keys, newest first, without the keys themselves."""
    keys = await call.runtime.api_keys.list(call.principal, organization_id=organization_id, now=call.now)
    return JSONResponse({"apiKeys": [shapes.api_key(key) for key in keys], "total": len(keys)})


@routes.add("POST", "/api-keys/verify", access=SERVICE)
async def verify(body: VerifyBody, call: Here) -> Response:
    """Decide about a key for another service, as the middleware would. Needs the scope `api-keys:verify`."""
    verdict = await call.runtime.verify_api_key.verify(
        call.principal, body.key, scopes=body.scopes, organization_id=body.organization_id, now=call.now
    )
    answer: shapes.Json = {"valid": verdict.valid}
    if verdict.code is not None:
        answer["code"] = verdict.code
    if verdict.api_key is not None:
        answer["apiKey"] = {
            **shapes.api_key(verdict.api_key),
            "userId": verdict.api_key.user_id,
            "actorType": verdict.api_key.actor_type,
        }
    return JSONResponse(answer)


@routes.add("GET", "/api-keys/{key_id}", access=ACCOUNT)
async def get(key_id: str, call: Here) -> Response:
    """One of the user's keys."""
    return JSONResponse({"apiKey": shapes.api_key(await call.runtime.api_keys.get(call.principal, key_id))})


@routes.add("PATCH", "/api-keys/{key_id}", access=ACCOUNT)
async def change(key_id: str, body: ChangeBody, call: Here) -> Response:
    """Rename, narrow, switch off or on, move the expiry."""
    changes = ApiKeyChanges(
        given=frozenset(body.model_fields_set),
        name=body.name,
        enabled=body.enabled,
        scopes=None if body.scopes is None else tuple(body.scopes),
        expires_at=body.expires_at,
        metadata=body.metadata,
    )
    changed = await call.runtime.api_keys.change(
        call.principal, key_id, changes, provenance=call.provenance, now=call.now
    )
    return JSONResponse({"apiKey": shapes.api_key(changed)})


@routes.add("POST", "/api-keys/{key_id}/rotate", access=ACCOUNT, status=201)
async def rotate(key_id: str, body: RotateBody, call: Here) -> Response:
    """Give a key a successor; the old one dies after the overlap."""
    rotated = await call.runtime.api_keys.rotate(
        call.principal,
        key_id,
        overlap=seconds(body.overlap_seconds),
        provenance=call.provenance,
        now=call.now,
    )
    return _created(rotated)


@routes.add("DELETE", "/api-keys/{key_id}", access=ACCOUNT, status=204)
async def revoke(key_id: str, call: Here) -> Response:
    """End a key for good, effective at the next request everywhere."""
    await call.runtime.api_keys.revoke(call.principal, key_id, provenance=call.provenance, now=call.now)
    return no_content()
