"""Requests that create something once, however often they are sent (S42)."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from czo_auth.core.context import Context
from czo_auth.core.errors import (
    IdempotencyKeyReused,
    NotFound,
    RequestInProgress,
    SecretUnreadable,
    SessionRequired,
    ValidationFailed,
)
from czo_auth.core.flows.services import Services
from czo_auth.core.idempotency.answer import (
    ANSWER_LIFETIME,
    IDEMPOTENT_ANSWER,
    REQUEST_BODY,
    RequestIdentity,
    StoredAnswer,
)
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_IDEMPOTENT_REQUESTS
from czo_auth.core.transaction import Transaction
from czo_auth.crypto.sealing import KeyRing, OpenError, UnknownKeyId

_NAME: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRequest:
    """The first request with its name: it runs, and its answer will be stored."""

    request: RequestIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedRequest:
    """A request that already ran, with its answer."""

    id: str
    answer: bytes = field(repr=False)


class IdempotentRequests:
    """
    Stores answers by session lineage, route and a name that the client or a form chose.

    If a process is killed between the change and storing the answer, the name stays taken until it expires: a repeated
    request creates nothing new and is refused as still running.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def begin(
        self, *, name: str, route: str, body: bytes, shows_enrollment: bool = False, context: Context
    ) -> RunningRequest | CompletedRequest:
        """
        Claim *name* for a request, or return the answer to the first one.

        Args:
            name: 1 to 255 printable ASCII characters.
            route: Method and path of the request.
            body: In a form that is identical for equal values.
            shows_enrollment: Whether the answer shows an enrollment, and is deleted together with it.

        Raises:
            ValidationFailed: *name* has another form.
            SessionRequired: The caller has no session.
            RequestInProgress: The first request with this name is still running.
            IdempotencyKeyReused: The first request had another body.
        """
        principal = context.caller
        if principal.lineage_id is None:
            raise SessionRequired
        if not _NAME.fullmatch(name):
            raise ValidationFailed(details=(("Idempotency-Key", "1 to 255 printable ASCII characters."),))
        ring = self._services.key_ring
        request = RequestIdentity(
            id=new_id(context.now),
            user_id=principal.require_user(),
            lineage_id=principal.lineage_id,
            route=route,
            name_digest=hashlib.sha256(name.encode()).hexdigest(),
            body_kid=ring.primary,
            body_mac=_body_mac(ring, ring.primary, body),
            shows_enrollment=shows_enrollment,
            created_at=context.now,
            expires_at=context.now + ANSWER_LIFETIME,
        )

        def take_name(tx: Transaction) -> StoredAnswer | None:
            if tx.idempotency.begin(request):
                tx.idempotency.forget_oldest(request, keep=MAX_IDEMPOTENT_REQUESTS)
                return None
            return tx.idempotency.find(
                lineage_id=request.lineage_id, route=route, name_digest=request.name_digest, now=tx.now
            )

        earlier = await self._services.transactions.run(take_name, context)
        if earlier is None:
            return RunningRequest(request=request)
        self._check_body(earlier, body)
        return self._opened(earlier)

    async def keep(self, running: RunningRequest, answer: bytes) -> str:
        """
        Store the answer of a request that created something.

        Returns:
            The id under which `read` gives it.
        """
        request = running.request
        sealed = self._services.key_ring.seal(
            answer, purpose=IDEMPOTENT_ANSWER, bound_to=_binding(request.id, request.lineage_id)
        )
        await self._services.transactions.run(lambda tx: tx.idempotency.keep(request.id, sealed=sealed))
        return request.id

    async def abandon(self, running: RunningRequest) -> None:
        """Release the name of a refused request: refusals are not stored."""
        await self._services.transactions.run(lambda tx: tx.idempotency.forget(running.request.id))

    async def read(self, answer_id: str, *, context: Context) -> CompletedRequest:
        """
        Read a stored answer.

        Raises:
            NotFound: It expired, or belongs to another session.
            RequestInProgress: The request is still running.
        """
        principal = context.caller
        lineage_id = principal.lineage_id
        if lineage_id is None:
            raise NotFound
        found = await self._services.transactions.read(
            lambda tx: tx.idempotency.find_by_id(answer_id, lineage_id=lineage_id, now=context.now)
        )
        if found is None:
            raise NotFound
        return self._opened(found)

    def _check_body(self, earlier: StoredAnswer, body: bytes) -> None:
        try:
            expected = _body_mac(self._services.key_ring, earlier.body_kid, body)
        except UnknownKeyId:
            # The key was removed from the key ring, so the bodies cannot be compared.
            raise IdempotencyKeyReused from None
        if not hmac.compare_digest(expected, earlier.body_mac):
            raise IdempotencyKeyReused

    def _opened(self, stored: StoredAnswer) -> CompletedRequest:
        if stored.sealed is None:
            raise RequestInProgress
        try:
            answer = self._services.key_ring.open(
                stored.sealed, purpose=IDEMPOTENT_ANSWER, bound_to=_binding(stored.id, stored.lineage_id)
            )
        except OpenError:
            raise SecretUnreadable from None
        return CompletedRequest(id=stored.id, answer=answer)


def _body_mac(ring: KeyRing, kid: str, body: bytes) -> str:
    return hmac.new(ring.derive(REQUEST_BODY, kid=kid), body, hashlib.sha256).hexdigest()


def _binding(answer_id: str, lineage_id: str) -> dict[str, str]:
    return {"answer": answer_id, "lineage": lineage_id}
