"""The port through which API keys are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from czo_auth.core.api_keys.key import ApiKey


class ApiKeys(Protocol):
    """API keys. Reading one for a request goes through ``Lookup`` instead."""

    def add(self, key: ApiKey, *, digest: str) -> None:
        """Keep a new key."""

    def find(self, key_id: str) -> ApiKey | None:
        """Read a key that was not revoked, whoever owns it."""

    def find_by_digests(self, digests: Collection[str]) -> Mapping[str, ApiKey]:
        """Read those keys that were not revoked, by digest, in the order of their ids; what is unknown is left out."""

    def list_live(self, user_id: str, *, now: datetime) -> Sequence[ApiKey]:
        """Read a user's keys that were not revoked, newest first; expired ones too, but not rotated ones that died."""

    def count_live(self, user_id: str, *, now: datetime) -> int:
        """Count a user's keys that are neither revoked nor expired nor rotated. Call it with the user locked."""

    def update(
        self,
        key_id: str,
        *,
        name: str,
        enabled: bool,
        scopes: tuple[str, ...],
        expires_at: datetime | None,
        metadata: Mapping[str, object] | None,
        now: datetime,
    ) -> bool:
        """Replace what its owner may change; False when it was revoked meanwhile."""

    def mark_rotated(self, key_id: str, *, expires_at: datetime, now: datetime) -> bool:
        """
        Give a key a successor and an end. One atomic statement: False when it has one already or was revoked.

        One that ends now is switched off as well: no clock that is set back, or slow, brings it back.
        """

    def switch_off(self, key_id: str, *, now: datetime) -> bool:
        """Disable a key. One atomic statement: False when it was off already or was revoked."""

    def revoke(self, key_id: str, *, reason: str, now: datetime) -> bool:
        """End a key for good. One atomic statement: of two concurrent calls one gets True."""

    def revoke_all(
        self, *, user_id: str | None, organization_id: str | None, reason: str, now: datetime
    ) -> Sequence[ApiKey]:
        """End all keys of a user, of an organization, or of a user in an organization; answer those that ended."""

    def touch(self, seen: Mapping[str, datetime]) -> None:
        """Move ``last_used_at`` of several keys forward, never back (S19)."""

    def prune_expired(self, *, before: datetime) -> int:
        """
        Delete keys that were revoked, or died after a rotation, before *before*.

        At most a thousand rows a call, so that no other write waits long: call it again while it answers more than 0.
        """
