"""Invitations to organizations. The token is in `SentInvitation` and in no other record."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import WithJsonSchema

from czo_auth.core.flows.organizations import invitations as flow
from czo_auth.core.flows.organizations import received_invitations as answering
from czo_auth.core.organizations import organization as core
from czo_auth.core.paging import Page
from czo_auth.rest.records.base import Id, Listed, Record, Timestamp, token_schema
from czo_auth.rest.records.organizations import Member, Role

InvitationStatus = Annotated[
    str, WithJsonSchema({"enum": ["pending", "accepted", "rejected", "canceled", "expired"]})
]
InvitationToken = Annotated[str, WithJsonSchema(token_schema("czi_"))]


class Invitation(Record):
    """An invitation, without its token."""

    id: Id
    organization_id: Id
    email: str
    role: Role
    status: InvitationStatus
    inviter_id: Id | None
    expires_at: Timestamp
    created_at: Timestamp

    @classmethod
    def of(cls, invitation: core.Invitation, **more: Any) -> Self:
        """Make the record of *invitation*; *more* are the additional fields of a subclass."""
        return cls(
            id=invitation.id,
            organization_id=invitation.organization_id,
            email=invitation.email,
            role=invitation.role,
            status=invitation.status,
            inviter_id=invitation.inviter_id,
            expires_at=invitation.expires_at,
            created_at=invitation.created_at,
            **more,
        )


class ReceivedInvitation(Invitation):
    """An invitation as the invited person sees it."""

    organization_name: str
    organization_slug: str | None
    inviter_email: str

    @classmethod
    def of_received(cls, received: answering.ReceivedInvitation) -> Self:
        """Make the record of *received*."""
        return cls.of(
            received.invitation,
            organization_name=received.organization.name,
            organization_slug=received.organization.slug,
            inviter_email=received.inviter.email,
        )


class SentInvitation(Record):
    """A new invitation with its token, which otherwise only the mail contains."""

    invitation: Invitation
    token: InvitationToken

    @classmethod
    def of(cls, sent: flow.SentInvitation) -> Self:
        """Answer with an invitation that was sent."""
        return cls(invitation=Invitation.of(sent.invitation), token=sent.token)


class InvitationList(Listed):
    invitations: list[Invitation]

    @classmethod
    def of(cls, page: Page[core.Invitation]) -> Self:
        """Answer with a page of invitations."""
        invitations = [Invitation.of(each) for each in page.items]
        return cls(invitations=invitations, total=page.total, next_cursor=page.next_cursor)


class AcceptedInvitation(Record):
    """An accepted invitation and the resulting membership, for better-auth's client."""

    invitation: Invitation
    member: Member

    @classmethod
    def of(cls, accepted: answering.AcceptedInvitation) -> Self:
        """Make the record of *accepted*."""
        return cls(
            invitation=Invitation.of(accepted.invitation), member=Member.of(accepted.membership.member)
        )


class RejectedInvitation(Record):
    """A rejected invitation, for better-auth's client."""

    invitation: Invitation
    member: None

    @classmethod
    def of(cls, invitation: core.Invitation) -> Self:
        """Make the record of *invitation*."""
        return cls(invitation=Invitation.of(invitation), member=None)
