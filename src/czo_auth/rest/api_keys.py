"""API keys: create, list, narrow, rotate, revoke, and verify for other services."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from czo_auth.asgi.admission import RequestContext
from czo_auth.core import limits
from czo_auth.core.access import ACCOUNT, PUBLIC, SERVICE
from czo_auth.core.api_keys.quota import QuotaPeriod, QuotaUpdate
from czo_auth.core.api_keys.rate_limit import RateLimitUpdate
from czo_auth.core.flows.api_keys.changes import ApiKeyChanges
from czo_auth.core.flows.api_keys.new_key import NewApiKey
from czo_auth.core.flows.api_keys.report_leak import LeakReport
from czo_auth.core.limits import DEFAULT_PAGE
from czo_auth.core.paging import PageQuery
from czo_auth.rest import records
from czo_auth.rest.answers import no_content
from czo_auth.rest.idempotency import Idempotent
from czo_auth.rest.models import (
    Body,
    Code,
    Identifier,
    Metadata,
    Moment,
    Name,
    Password,
    Token,
    TolerantBody,
    between,
)
from czo_auth.rest.queries import Cursor, FirstDay, LastDay, Limit, OrganizationFilter, UnusedSince
from czo_auth.rest.routing import CurrentRequest, Routes
from czo_auth.rest.serialization import listed

routes = Routes("API keys")
Seconds = Annotated[int, Field(ge=-limits.MAX_SENT_NUMBER, le=limits.MAX_SENT_NUMBER)]
Requests = Annotated[int, between(1, limits.MAX_RATE_LIMIT_REQUESTS)]
Window = Annotated[int, between(1000, 1000 * limits.MAX_RATE_LIMIT_SECONDS)]
Uses = Annotated[int, between(1, limits.MAX_QUOTA)]
Address = Annotated[str, Field(min_length=1, max_length=limits.MAX_ADDRESS)]
Addresses = Annotated[list[Address], Field(json_schema_extra={"maxItems": limits.MAX_ADDRESSES})]
Scopes = Annotated[
    list[Annotated[str, Field(max_length=limits.MAX_SCOPE)]], Field(max_length=limits.MAX_SCOPES)
]
Place = Annotated[str, Field(max_length=limits.MAX_URL)]
NoScopes = Annotated[Scopes, Field(default_factory=list)]


class RestrictionsRequest(Body):
    """Limits that a request to create a key and one to change a key have in common."""

    allowed_ips: Addresses | None = None
    rate_limit_enabled: bool | None = None
    rate_limit_max: Requests | None = None
    rate_limit_time_window: Window | None = None
    quota_max: Uses | None = None
    quota_period: QuotaPeriod | None = None

    @property
    def quota(self) -> QuotaUpdate:
        """The quota in the body."""
        return QuotaUpdate(
            given=frozenset(self.model_fields_set & {"quota_max", "quota_period"}),
            maximum=self.quota_max,
            period=self.quota_period,
        )

    @property
    def rate_limit(self) -> RateLimitUpdate:
        """The rate limit in the body."""
        return RateLimitUpdate(
            enabled=self.rate_limit_enabled,
            requests=self.rate_limit_max,
            window_ms=self.rate_limit_time_window,
        )

    @property
    def allow_list(self) -> tuple[str, ...] | None:
        """The allow-list in the body."""
        return None if self.allowed_ips is None else tuple(self.allowed_ips)


class NewApiKeyRequest(RestrictionsRequest):
    """The fields of a new key of a user or of a service account."""

    name: Name
    expires_at: Moment | None = None
    expires_in: Seconds | None = None
    scopes: NoScopes
    metadata: Metadata | None = None

    def new_key(self, organization_id: str | None = None) -> NewApiKey:
        """Return the key to create."""
        return NewApiKey(
            name=self.name,
            organization_id=organization_id,
            expires_at=self.expires_at,
            expires_in=None if self.expires_in is None else seconds(self.expires_in),
            scopes=tuple(self.scopes),
            metadata=self.metadata,
            allowed_ips=self.allow_list,
            rate_limit=self.rate_limit,
            quota=self.quota,
        )


class CreateApiKeyRequest(NewApiKeyRequest):
    organization_id: Identifier | None = None


class UpdateApiKeyRequest(RestrictionsRequest):
    name: Name | None = None
    enabled: bool | None = None
    scopes: Scopes | None = None
    expires_at: Moment | None = None
    metadata: Metadata | None = None
    password: Password | None = None
    code: Code | None = None

    @property
    def changes(self) -> ApiKeyChanges:
        """Return the changes in the body."""
        return ApiKeyChanges(
            given=frozenset(self.model_fields_set) - {"password", "code"},
            name=self.name,
            enabled=self.enabled,
            scopes=None if self.scopes is None else tuple(self.scopes),
            expires_at=self.expires_at,
            metadata=self.metadata,
            allowed_ips=self.allow_list,
            rate_limit=self.rate_limit,
            quota=self.quota,
            password=self.password,
            code=self.code,
        )


class RotateApiKeyRequest(Body):
    overlap_seconds: Seconds = 0


class LeakMatch(TolerantBody):
    """One match of a secret scanner. ``type`` is the scanner's name for the pattern; an empty ``url`` is ignored."""

    token: Annotated[str, Field(max_length=limits.MAX_LEAK_TOKEN)]
    url: Place | None = None
    source: Annotated[str, Field(max_length=limits.MAX_LEAK_SOURCE)] | None = None


class ReportLeakRequest(Body):
    """
    One key and where it was found, or the matches of a secret scanner.

    GitHub sends the array of matches without an object around it; that is accepted too.
    Source: GitHub's secret scanning partner program.
    """

    key: Token | None = None
    url: Place | None = None
    matches: Annotated[list[LeakMatch], Field(min_length=1, max_length=limits.MAX_LEAK_MATCHES)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare_array(cls, value: Any) -> Any:
        return {"matches": value} if isinstance(value, list) else value

    @model_validator(mode="after")
    def _one_or_many(self) -> Self:
        if (self.key is None) == (self.matches is None) or (
            self.matches is not None and self.url is not None
        ):
            raise ValueError("Send either a key, with an optional url, or matches.")
        return self


class VerifyApiKeyRequest(Body):
    key: Token
    scopes: NoScopes
    organization_id: Identifier | None = None
    ip_address: Address | None = None


def seconds(count: int) -> timedelta:
    """Read a number of seconds; more than a century counts as a century."""
    century = 100 * 366 * 86400
    return timedelta(seconds=max(-century, min(count, century)))


async def _may_still_have(call: RequestContext, request: Request, answer: Any) -> None:
    made = answer["apiKey"]
    await call.runtime.create_api_keys.check_creation(
        organization_id=made["organizationId"], scopes=made["scopes"], context=call.context
    )


@routes.add("POST", "/api-keys", access=ACCOUNT, status=201, idempotent=Idempotent(recheck=_may_still_have))
async def create(body: CreateApiKeyRequest, call: CurrentRequest) -> records.CreatedApiKeyAnswer:
    """Create a key. Only this answer contains the key itself."""
    created = await call.runtime.create_api_keys.create(
        body.new_key(body.organization_id), context=call.context
    )
    return records.CreatedApiKeyAnswer.of(created)


@routes.add("GET", "/api-keys", access=ACCOUNT)
async def list_keys(
    call: CurrentRequest,
    organization_id: OrganizationFilter = None,
    unused_since: UnusedSince = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> records.ApiKeyList:
    """
    List the user's keys without their secrets, newest first; with `unusedSince`, only those that were neither used nor
    created since then.
    """
    page = await call.runtime.manage_api_keys.list(
        organization_id=organization_id,
        unused_since=unused_since,
        page=PageQuery(limit=limit, cursor=cursor),
        context=call.context,
    )
    return await listed(records.ApiKeyList.of, page)


@routes.add("POST", "/api-keys/verify", access=SERVICE)
async def verify(body: VerifyApiKeyRequest, call: CurrentRequest) -> records.ApiKeyVerdict:
    """Verify a key for another service, as the middleware does. Needs the scope `api-keys:verify`."""
    verdict = await call.runtime.verify_api_key.verify(
        call.caller,
        body.key,
        scopes=body.scopes,
        organization_id=body.organization_id,
        ip_address=body.ip_address,
        now=call.now,
    )
    verified = None if verdict.api_key is None else records.VerifiedApiKey.of(verdict.api_key)
    return records.ApiKeyVerdict(valid=verdict.valid, code=verdict.code, api_key=verified)


@routes.add("POST", "/api-keys/report-leak", access=PUBLIC, takes_array=True)
async def report_leak(body: ReportLeakRequest, call: CurrentRequest) -> records.Done:
    """
    Revoke or quarantine leaked keys and notify their owners. The answer is always the same.

    Possession of the whole key is the proof. The array of matches of a secret scanner may be sent unchanged.
    """
    if body.key is not None:
        await call.runtime.report_leak.one(LeakReport(key=body.key, url=body.url), context=call.context)
    else:
        matches = [LeakReport(key=one.token, url=one.url, source=one.source) for one in body.matches or ()]
        await call.runtime.report_leak.many(matches, context=call.context)
    return records.DONE


@routes.add("GET", "/api-keys/{key_id}", access=ACCOUNT)
async def get(key_id: str, call: CurrentRequest) -> records.ApiKeyAnswer:
    """Return one of the user's keys."""
    return records.ApiKeyAnswer.of(await call.runtime.manage_api_keys.get(call.caller, key_id))


@routes.add("GET", "/api-keys/{key_id}/usage", access=ACCOUNT)
async def usage(
    key_id: str, call: CurrentRequest, first: FirstDay = None, last: LastDay = None
) -> records.KeyUsage:
    """List the days (UTC) on which a key was used or refused, oldest first; counts are stored for 400 days."""
    days = await call.runtime.key_usage.of_own(key_id, first=first, last=last, context=call.context)
    return records.KeyUsage.of(days)


@routes.add("PATCH", "/api-keys/{key_id}", access=ACCOUNT)
async def change(key_id: str, body: UpdateApiKeyRequest, call: CurrentRequest) -> records.ApiKeyAnswer:
    """
    Rename a key, narrow it, switch it off or on, change its expiry or set a quota. Scopes, allow-list and rate limit
    can only be tightened; loosening the quota needs recent proof, given before or sent along.
    """
    changed = await call.runtime.manage_api_keys.change(key_id, body.changes, context=call.context)
    return records.ApiKeyAnswer.of(changed)


@routes.add(
    "POST",
    "/api-keys/{key_id}/rotate",
    access=ACCOUNT,
    status=201,
    idempotent=Idempotent(recheck=_may_still_have),
)
async def rotate(key_id: str, body: RotateApiKeyRequest, call: CurrentRequest) -> records.CreatedApiKeyAnswer:
    """Rotate a key: create its successor. The old key expires after the overlap."""
    rotated = await call.runtime.create_api_keys.rotate(
        key_id, overlap=seconds(body.overlap_seconds), context=call.context
    )
    return records.CreatedApiKeyAnswer.of(rotated)


@routes.add("DELETE", "/api-keys/{key_id}", access=ACCOUNT, status=204)
async def revoke(key_id: str, call: CurrentRequest) -> Response:
    """Revoke a key permanently, effective at the next request everywhere."""
    await call.runtime.manage_api_keys.revoke(key_id, context=call.context)
    return no_content()
