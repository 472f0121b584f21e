"""The port for storing device authorizations."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from czo_auth.core.devices.authorization import DeviceAuthorization, DeviceStatus


class DeviceAuthorizations(Protocol):
    """Device authorizations, by the digests of their two codes."""

    def add(self, authorization: DeviceAuthorization, *, device_digest: str, user_digest: str) -> bool:
        """Store a new request; False if its user code is taken."""

    def count(self, *, now: datetime) -> int:
        """Count the requests that have not expired. Until the transaction ends, no other one counts any."""

    def lock_by_user_code(self, digests: Collection[str]) -> DeviceAuthorization | None:
        """Read a request by any of the digests of its user code, and lock its row."""

    def lock_by_device_code(self, digest: str) -> DeviceAuthorization | None:
        """Read a request by its device code, and lock its row."""

    def bind(self, authorization_id: str, *, lineage_id: str) -> bool:
        """
        Bind a request to the session that opened it; False when another one did.

        One atomic statement: of two sessions that open a code at once, one gets True.
        """

    def decide(
        self,
        authorization_id: str,
        *,
        status: DeviceStatus,
        user_id: str,
        api_key_id: str | None,
        sealed_key: str | None,
    ) -> bool:
        """Approve or deny a pending request. One atomic statement: only the first decision counts."""

    def poll(self, authorization_id: str, *, polled_at: datetime, poll_seconds: int) -> None:
        """Record when a device polled, and how long it has to wait from now on."""

    def fetch(self, authorization_id: str, *, now: datetime) -> bool:
        """Hand out the key and delete it. One atomic statement: of two concurrent fetches, one gets True."""

    def end(self, authorization_id: str) -> None:
        """Delete the key of an expired request."""

    def unfetched_expired(self, *, before: datetime, limit: int) -> Sequence[DeviceAuthorization]:
        """Read approved requests that expired before their key was fetched."""

    def sealed_after(self, authorization_id: str, *, limit: int) -> Sequence[DeviceAuthorization]:
        """Read those whose key has not been fetched, ordered by id, after *authorization_id*."""

    def prune_expired(self, *, before: datetime) -> int:
        """Delete a batch of the requests that expired before *before*; returns how many."""
