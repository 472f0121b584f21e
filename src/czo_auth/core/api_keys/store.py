"""The port for storing API keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from czo_auth.core.api_keys.key import ApiKey, OwnedApiKey
from czo_auth.core.paging import PageQuery, Position

KeyOrder = Literal["created_at", "name", "expires_at", "updated_at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFilter:
    """
    Which keys of an organization to read; None means any.

    Attributes:
        owner: The id of a user or a service account.
        created_by: The id of the user who made or rotated them.
        unused_since: Not used since then, or never.
        of_service_accounts: Only those that belong to a service account.
        unexpired: Only those that did not expire.
    """

    owner: str | None = None
    created_by: str | None = None
    unused_since: datetime | None = None
    of_service_accounts: bool = False
    unexpired: bool = False


NO_FILTER: Final = KeyFilter()


class ApiKeys(Protocol):
    """API keys. Reading one for a request goes through ``Lookup`` instead."""

    def add(self, key: ApiKey, *, digest: str) -> None:
        """Store a new key."""

    def find(self, key_id: str) -> ApiKey | None:
        """Read a key that was not revoked, regardless of its owner."""

    def find_by_digests(self, digests: Collection[str]) -> Mapping[str, ApiKey]:
        """Read keys that were not revoked, by digest, ordered by id; unknown digests are skipped."""

    def list_live(
        self,
        user_id: str,
        *,
        organization_id: str | None = None,
        unused_since: datetime | None = None,
        after: Position | None = None,
        limit: int,
        now: datetime,
    ) -> Sequence[ApiKey]:
        """
        Read a user's keys that were not revoked, newest first; including expired ones, except rotated keys whose
        overlap is over.

        Args:
            organization_id: Keys of this organization only; None for all.
            unused_since: Keys that were neither used nor made since then; None for all.
        """

    def list_sorted(
        self,
        user_id: str | None,
        *,
        organization_id: str | None = None,
        by: KeyOrder,
        descending: bool,
        offset: int,
        limit: int,
        now: datetime,
    ) -> Sequence[ApiKey]:
        """
        Read the keys of ``list_live`` in another order; keys without an expiry sort last.

        Args:
            user_id: None for the keys of everyone in *organization_id*, which must then be given.
        """

    def count_listed(
        self,
        user_id: str,
        *,
        organization_id: str | None = None,
        unused_since: datetime | None = None,
        now: datetime,
    ) -> int:
        """Count the keys that ``list_live`` would read without a limit."""

    def list_kept(self, user_id: str) -> Sequence[ApiKey]:
        """Read all stored keys of a user, including ended ones, newest first."""

    def search(
        self,
        *,
        text: str | None,
        organization_id: str | None = None,
        unused_since: datetime | None = None,
        page: PageQuery,
        now: datetime,
    ) -> Sequence[OwnedApiKey]:
        """
        Read a page of all users' keys as ``list_live`` would, newest first, plus one more if there is a next page.

        Args:
            text: Contained in the owner's address or name, or its first characters begin the key's prefix; literal, not
                a pattern.
        """

    def count_found(
        self,
        *,
        text: str | None,
        organization_id: str | None = None,
        unused_since: datetime | None = None,
        now: datetime,
        up_to: int | None = None,
    ) -> int:
        """Count the keys that match, at most *up_to*; None counts all."""

    def list_acting(
        self,
        organization_id: str,
        wanted: KeyFilter = NO_FILTER,
        *,
        after: Position | None = None,
        limit: int,
        now: datetime,
    ) -> Sequence[OwnedApiKey]:
        """Read the keys that act in an organization, of users and service accounts, as ``list_live`` would."""

    def count_acting(self, organization_id: str, wanted: KeyFilter = NO_FILTER, *, now: datetime) -> int:
        """Count the keys that ``list_acting`` would read without a limit."""

    def list_made_by(self, user_id: str) -> Sequence[ApiKey]:
        """Read the kept keys of service accounts that the user made or rotated, newest first."""

    def list_organizations_with_keys_made_by(self, user_id: str) -> Sequence[str]:
        """Return the organizations where a service account has a key that the user made or rotated."""

    def count_live(self, owner_id: str, *, now: datetime) -> int:
        """
        Count the keys of a user or service account that are neither revoked nor expired nor rotated.

        Call it with the user, or the service account's organization, locked.
        """

    def count_overlapping(self, owner_id: str, *, now: datetime) -> int:
        """Count the keys of a user or service account that have a successor and still live; as ``count_live``."""

    def update(self, changed: ApiKey) -> bool:
        """
        Replace what its owner may change; False if it was revoked in the meantime.

        ``noticed_days`` is stored only if the expiry changes, so that a notice sent in the meantime is not lost.
        """

    def mark_rotated(self, key_id: str, *, expires_at: datetime, now: datetime) -> bool:
        """
        Mark a key as rotated and set its expiry. One atomic statement: False if it was already rotated or revoked.

        A key that ends now is disabled as well, so that a slow clock or one set back cannot revive it.
        """

    def switch_off(self, key_id: str, *, now: datetime) -> bool:
        """Disable a key. One atomic statement: False if it was already disabled or revoked."""

    def revoke(self, key_id: str, *, reason: str, now: datetime) -> bool:
        """Revoke a key. One atomic statement: of two concurrent calls, one gets True."""

    def revoke_all(
        self,
        *,
        user_id: str | None,
        organization_id: str | None,
        service_account_id: str | None = None,
        reason: str,
        now: datetime,
    ) -> Sequence[ApiKey]:
        """
        Revoke all keys of a user, an organization, a user in an organization, or a service account; return them.

        Keys that have ended anyway are not touched. At most a thousand rows a call; call it again until it returns
        none.
        """

    def prune_expired(self, *, before: datetime, expired: datetime) -> int:
        """
        Delete keys that were revoked, or died after a rotation, before *before*, or that expired before *expired*.

        At most a thousand rows a call, so that no other write waits long; call it again until it returns 0.
        """
