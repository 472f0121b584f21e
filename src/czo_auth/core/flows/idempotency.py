"""Requests that make something once, however often they are sent (S42)."""

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
    KEPT_ANSWER,
    REQUEST_BODY,
    RequestMark,
    StoredAnswer,
)
from czo_auth.core.ids import new_id
from czo_auth.core.limits import MAX_KEPT_ANSWERS
from czo_auth.core.transaction import Transaction
from czo_auth.crypto.sealing import KeyRing, OpenError, UnknownKeyId

_NAME: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRequest:
    """The first request with its name: it runs, and its answer is to be kept."""

    mark: RequestMark


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """A request that ran already, with what it was answered."""

    id: str
    answer: bytes = field(repr=False)


class IdempotentRequests:
    """
    Remembers answers by session lineage, route and a name that the client or a form chose.

    A process that is killed between the change and the keeping of its answer leaves the name taken until it expires:
    a repeated request then makes nothing new, and is told that the first one runs.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def begin(
        self, *, name: str, route: str, body: bytes, shows_enrollment: bool = False, context: Context
    ) -> RunningRequest | KeptAnswer:
        """
        Take *name* for a request, or recall what the first one was answered.

        Args:
            name: 1 to 255 printable ASCII characters.
            route: Method and path of the request.
            body: In a form that is the same for equal values.
            shows_enrollment: Whether the answer dies with the enrollment that it shows.

        Raises:
            ValidationFailed: *name* has another form.
            SessionRequired: The caller has no session.
            RequestInProgress: The first request with this name runs still.
            IdempotencyKeyReused: The first request had another body.
        """
        principal = context.caller
        if principal.lineage_id is None:
            raise SessionRequired
        if not _NAME.fullmatch(name):
            raise ValidationFailed(details=(("Idempotency-Key", "1 to 255 printable ASCII characters."),))
        ring = self._services.key_ring
        mark = RequestMark(
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
            tx.kept_answers.forget_oldest(mark.lineage_id, keep=MAX_KEPT_ANSWERS - 1)
            if tx.kept_answers.begin(mark):
                return None
            return tx.kept_answers.find(
                lineage_id=mark.lineage_id, route=route, name_digest=mark.name_digest, now=tx.now
            )

        earlier = await self._services.transactions.run(take_name, context)
        if earlier is None:
            return RunningRequest(mark=mark)
        self._check_body(earlier, body)
        return self._opened(earlier)

    async def keep(self, running: RunningRequest, answer: bytes) -> str:
        """
        Keep the answer of a request that made something.

        Returns:
            The id under which `read` gives it.
        """
        mark = running.mark
        sealed = self._services.key_ring.seal(
            answer, purpose=KEPT_ANSWER, bound_to=_binding(mark.id, mark.lineage_id)
        )
        await self._services.transactions.run(lambda tx: tx.kept_answers.keep(mark.id, sealed=sealed))
        return mark.id

    async def abandon(self, running: RunningRequest) -> None:
        """Free the name of a request that was refused: refusals are not kept."""
        await self._services.transactions.run(lambda tx: tx.kept_answers.forget(running.mark.id))

    async def read(self, answer_id: str, *, context: Context) -> KeptAnswer:
        """
        Read a kept answer again.

        Raises:
            NotFound: It expired, or belongs to another session.
            RequestInProgress: The request runs still.
        """
        principal = context.caller
        lineage_id = principal.lineage_id
        if lineage_id is None:
            raise NotFound
        found = await self._services.transactions.read(
            lambda tx: tx.kept_answers.find_by_id(answer_id, lineage_id=lineage_id, now=context.now)
        )
        if found is None:
            raise NotFound
        return self._opened(found)

    def _check_body(self, earlier: StoredAnswer, body: bytes) -> None:
        try:
            expected = _body_mac(self._services.key_ring, earlier.body_kid, body)
        except UnknownKeyId:
            # The key left the ring meanwhile, so nobody can tell whether the bodies are the same.
            raise IdempotencyKeyReused from None
        if not hmac.compare_digest(expected, earlier.body_mac):
            raise IdempotencyKeyReused

    def _opened(self, stored: StoredAnswer) -> KeptAnswer:
        if stored.sealed is None:
            raise RequestInProgress
        try:
            answer = self._services.key_ring.open(
                stored.sealed, purpose=KEPT_ANSWER, bound_to=_binding(stored.id, stored.lineage_id)
            )
        except OpenError:
            raise SecretUnreadable from None
        return KeptAnswer(id=stored.id, answer=answer)


def _body_mac(ring: KeyRing, kid: str, body: bytes) -> str:
    return hmac.new(ring.derive(REQUEST_BODY, kid=kid), body, hashlib.sha256).hexdigest()


def _binding(answer_id: str, lineage_id: str) -> dict[str, str]:
    return {"answer": answer_id, "lineage": lineage_id}
