"""The port through which API keys are kept."""

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
    Which keys of an organization to read; what is None does not matter.

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
        """Keep a new key."""

    def find(self, key_id: str) -> ApiKey | None:
        """Read a key that was not revoked, no matter who owns it."""

    def find_by_digests(self, digests: Collection[str]) -> Mapping[str, ApiKey]:
        """Read those keys that were not revoked, by digest, in the order of their ids; what is unknown is left out."""

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
        Read a user's keys that were not revoked, newest first; expired ones too, but not rotated ones that died.

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
        Read the keys of ``list_live`` in another order; those without an end count as the last to end.

        Args:
            user_id: None for the keys of everybody in *organization_id*, which is named then.
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
        """Read all keys of a user that are kept, those that ended too, newest first."""

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
        Read a page of everybody's keys as ``list_live`` would, newest first, and one more where there is one beyond it.

        Args:
            text: The owner's address or name contains it, or the key's prefix begins with its first characters;
                literal, not a pattern.
        """

    def count_found(
        self,
        *,
        text: str | None,
        organization_id: str | None = None,
        unused_since: datetime | None = None,
        now: datetime,
    ) -> int:
        """Count the keys that match."""

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
        Replace what its owner may change; False when it was revoked meanwhile.

        ``noticed_days`` is taken over only where the expiry moves: a notice that is given meanwhile is not forgotten.
        """

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
        self,
        *,
        user_id: str | None,
        organization_id: str | None,
        service_account_id: str | None = None,
        reason: str,
        now: datetime,
    ) -> Sequence[ApiKey]:
        """
        End all keys of a user, an organization, a user in an organization, or a service account; answer those.

        Keys that cannot live any more are left alone. At most a thousand rows a call; call it again while it answers
        any.
        """

    def list_owners_due(self, *, now: datetime, limit: int) -> Sequence[str]:
        """Return owners, users and service accounts, of live keys that end soon and whose notice is due."""

    def list_due(self, owner_id: str, *, now: datetime, until: datetime) -> Sequence[ApiKey]:
        """Read an owner's live keys whose notice is due by *until*, the ones that end first before."""

    def mark_noticed(self, key: ApiKey, *, days: int) -> bool:
        """
        Remember the notice that is given *days* before the end of *key*.

        One atomic statement: False when it was given already, or the key ended or its end moved since it was read.
        """

    def list_unused(
        self, organization_id: str | None, *, before: datetime, now: datetime, limit: int
    ) -> Sequence[ApiKey]:
        """
        Read live keys last used, or made and never used, before *before*, whose owners were not told since that use.

        Args:
            organization_id: Keys of this organization only; None for all.
        """

    def mark_unused_noticed(self, key: ApiKey, *, now: datetime) -> bool:
        """Remember that the owner is told of the end for disuse. False when told already, or used since it was read."""

    def expire_unused(
        self, organization_id: str | None, *, before: datetime, noticed_before: datetime, now: datetime
    ) -> Sequence[ApiKey]:
        """
        End live keys that were not used since *before* and whose owners were told, after that use, by *noticed_before*.

        They are switched off as well: no clock that is set back brings them back. One atomic statement of at most a
        thousand rows; call it again while it answers any.
        """

    def cap_ends(self, organization_id: str | None, *, end: datetime, now: datetime) -> Sequence[ApiKey]:
        """
        Let live keys that would end after *end*, or never, end then; their owners are to be told of it.

        At most a thousand rows a call; call it again while it answers any.

        Args:
            organization_id: Keys of this organization only; None for all.
        """

    def prune_expired(self, *, before: datetime, expired: datetime) -> int:
        """
        Delete keys that were revoked, or died after a rotation, before *before*, or that expired before *expired*.

        At most a thousand rows a call, so that no other write waits long: call it again while it answers more than 0.
        """
