"""The port for storing organizations."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from czo_auth.core.organizations.organization import Invitation, InvitationStatus, Member, Organization
from czo_auth.core.paging import PageQuery, Position


class Organizations(Protocol):
    """Organizations, members and invitations."""

    def add(self, organization: Organization) -> bool:
        """Store a new organization; False if the slug is taken. One atomic statement."""

    def find(self, organization_id: str) -> Organization | None:
        """Read an organization that was not deleted."""

    def find_by_slug(self, slug: str) -> Organization | None:
        """Read an organization by its slug."""

    def lock(self, organization_id: str) -> Organization | None:
        """Read an organization and lock its row until the transaction ends, which serializes changes to its members."""

    def list_of(
        self,
        user_id: str,
        *,
        only: Collection[str] | None = None,
        after: Position | None = None,
        limit: int,
        newest_first: bool = False,
    ) -> Sequence[tuple[Organization, str]]:
        """
        Read the organizations of a user with the user's role.

        Args:
            only: Ids of those that are wanted; None for all.
        """

    def count_of(self, user_id: str, *, role: str | None = None) -> int:
        """Count the organizations of a user; with *role*, those where the user has it."""

    def list_memberships(self, user_id: str) -> Sequence[tuple[Organization, Member]]:
        """Read all organizations of a user with the membership in each, by id."""

    def search(self, *, text: str | None, page: PageQuery) -> Sequence[Organization]:
        """
        Read a page of the organizations whose name or slug contains *text*, by id, plus one more if there is a next
        page; *text* is literal, not a pattern.
        """

    def count(self, *, text: str | None, up_to: int | None = None) -> int:
        """Count the organizations that match, at most *up_to*; None counts all."""

    def list_unbanned_owners(self, organization_id: str) -> Sequence[Member]:
        """Read the owners who are not banned, each with the address that mail goes to, oldest first."""

    def count_unbanned_owners(self, organization_id: str) -> int:
        """Count the owners who are not banned. Call it with the organization locked."""

    def update(self, changed: Organization) -> bool:
        """Replace the fields that members may change; False if the slug is taken."""

    def list_unused_rules(self) -> Sequence[tuple[str, int]]:
        """Return the organizations whose unused keys expire, and after how many days."""

    def delete(self, organization_id: str, *, now: datetime) -> None:
        """Delete an organization with its members and invitations; its slug becomes free."""

    def add_member(
        self, member_id: str, *, organization_id: str, user_id: str, role: str, now: datetime
    ) -> bool:
        """Add a member; False when the user is one already. One atomic statement."""

    def find_member(self, organization_id: str, user_id: str) -> Member | None:
        """Read a user's membership."""

    def find_member_by_id(self, member_id: str) -> Member | None:
        """Read a membership by its own id."""

    def list_members(
        self, organization_id: str, *, after: Position | None = None, limit: int
    ) -> Sequence[Member]:
        """Read the members, oldest first."""

    def count_members(self, organization_id: str) -> int:
        """Count the members."""

    def count_owners(self, organization_id: str) -> int:
        """Count the owners. Call it with the organization locked."""

    def set_role(self, organization_id: str, user_id: str, *, role: str) -> None:
        """Change a member's role."""

    def remove_member(self, organization_id: str, user_id: str) -> bool:
        """Remove a member; False when there was none."""

    def add_invitation(self, invitation: Invitation, *, digest: str) -> None:
        """Store a new invitation."""

    def find_invitation(self, invitation_id: str) -> Invitation | None:
        """Read an invitation by its id."""

    def find_invitation_by_digest(self, digest: str) -> Invitation | None:
        """Read an invitation by the digest of its token."""

    def find_pending_invitation(
        self, organization_id: str, email: str, *, now: datetime
    ) -> Invitation | None:
        """Read the live invitation of an address."""

    def list_invitations(
        self, organization_id: str, *, roles: Collection[str], after: Position | None = None, limit: int
    ) -> Sequence[Invitation]:
        """Read the invitations of an organization for one of *roles*, newest first, in any state."""

    def count_invitations(self, organization_id: str, *, roles: Collection[str]) -> int:
        """Count the invitations of an organization to one of *roles*."""

    def count_pending_invitations(self, organization_id: str, *, now: datetime) -> int:
        """Count the invitations of an organization that can still be answered."""

    def list_invitations_for(self, email: str, *, limit: int, now: datetime) -> Sequence[Invitation]:
        """Read the live invitations of an address, newest first."""

    def close_invitation(self, invitation_id: str, *, status: InvitationStatus, now: datetime) -> bool:
        """Answer or cancel a pending, unexpired invitation. One atomic statement, so it is accepted only once."""

    def list_invitations_by(self, user_id: str) -> Sequence[Invitation]:
        """Read the invitations that a user sent, newest first."""

    def list_invitations_to(self, email: str) -> Sequence[Invitation]:
        """Read all invitations to an address that are kept, newest first."""

    def delete_invitations_to(self, email: str) -> None:
        """Delete all invitations to an address, in any state."""

    def prune_expired(self, *, before: datetime) -> int:
        """
        Delete invitations that expired before *before*, in any state.

        At most a thousand rows a call, so that no other write waits long; call it again until it returns 0.
        """
