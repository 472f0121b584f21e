"""
Ceremonies: one challenge for one answer, within five minutes, for one session or sign-in (S36).

Beginning one stores nothing, so that viewing a sign-in page creates no row. Answering one stores a mark until it would
have expired; the mark's unique key decides which of several answers is the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Literal

from czo_auth.core.context import Context
from czo_auth.core.errors import PasskeyChallengeNotFound, PasskeysNotAvailable, RateLimited
from czo_auth.core.flows.services import Services
from czo_auth.core.limits import MAX_PASSKEY_ANSWERS
from czo_auth.core.principal import Principal
from czo_auth.core.transaction import Transaction
from czo_auth.crypto import base64url, ceremonies, tokens

Kind = Literal["register", "register_quietly", "sign_in", "second_step", "step_up"]
_CLOCKS_APART = timedelta(seconds=60)
"""How far another process's clock may be ahead of this one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """
    What a ceremony belongs to; it must be the same when it is answered.

    Attributes:
        owner: The session's lineage, or the digest of the challenge; empty when nobody is known yet.
    """

    kind: Kind
    owner: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """A started ceremony. The handle is for the client, the challenge for the authenticator."""

    handle: str = field(repr=False)
    challenge: str = field(repr=False)
    expires_at: datetime


class Ceremonies:
    """Begins ceremonies, and spends them when they are answered."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def rp_id(self) -> str:
        """
        Return the relying party id.

        Raises:
            PasskeysNotAvailable: The deployment has none.
        """
        rp_id = self._services.policies.passkeys.rp_id
        if rp_id is None:
            raise PasskeysNotAvailable
        return rp_id

    def begin(self, binding: Binding, *, now: datetime) -> Ceremony:
        """Begin a ceremony; nothing is stored."""
        key = self._services.key_ring.derive(ceremonies.PURPOSE)
        issued_at = int(now.timestamp())
        handle = ceremonies.new_handle(key, bound_to=_place(binding), issued_at=issued_at)
        return Ceremony(
            handle=handle,
            challenge=base64url.encode(ceremonies.challenge_of(handle, key)),
            expires_at=self._end(issued_at),
        )

    async def spend(self, handle: str | None, binding: Binding, *, context: Context) -> bytes:
        """
        Spend a ceremony that is being answered; the answer itself is verified afterwards.

        Returns:
            The challenge that must have been signed.

        Raises:
            PasskeyChallengeNotFound: It is unknown, expired, someone else's or of another kind, or was answered.
            RateLimited: Too many ceremonies were answered from this network.
        """
        ring = self._services.key_ring
        keys = (ring.derive(ceremonies.PURPOSE, kid=kid) for kid in ring.kids)
        key = None if handle is None else ceremonies.find_key(handle, keys, bound_to=_place(binding))
        if handle is None or key is None:
            raise PasskeyChallengeNotFound
        issued_at = ceremonies.issued_at(handle)
        expires_at = self._end(issued_at)
        if expires_at <= context.now or datetime.fromtimestamp(issued_at, UTC) > context.now + _CLOCKS_APART:
            raise PasskeyChallengeNotFound
        digest, network = tokens.digest(handle), _network(context.ip)

        def spend(tx: Transaction) -> None:
            if tx.passkeys.count_answered(network, now=tx.now) >= MAX_PASSKEY_ANSWERS:
                raise RateLimited(retry_after=int((expires_at - tx.now).total_seconds()) + 1)
            if not tx.passkeys.consume_ceremony(digest, network=network, expires_at=expires_at):
                raise PasskeyChallengeNotFound

        await self._services.transactions.run(spend, context)
        return ceremonies.challenge_of(handle, key)

    def _end(self, issued_at: int) -> datetime:
        lifetime = self._services.policies.passkeys.ceremony_lifetime
        return datetime.fromtimestamp(issued_at, UTC) + lifetime


def bind_to_session(kind: Kind, principal: Principal) -> Binding:
    """Bind a ceremony to the caller's session and its renewals."""
    return Binding(kind=kind, owner=principal.lineage_id or "", user_id=principal.require_user())


def bind_to_challenge(challenge: str) -> Binding:
    """Bind a ceremony to the sign-in of *challenge*."""
    return Binding(kind="second_step", owner=tokens.digest(challenge))


def _place(binding: Binding) -> tuple[str, ...]:
    return (binding.kind, binding.owner, binding.user_id)


def _network(ip: str | None) -> str:
    """Return the network of one client: an IPv4 address, or the /64 of an IPv6 address."""
    if ip is None:
        return ""
    address = ip_address(ip)
    return str(address) if address.version == 4 else str(ip_network(f"{address}/64", strict=False))
