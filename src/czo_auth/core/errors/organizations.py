"""Refusals about organizations, their members, invitations and service accounts."""

from __future__ import annotations

from czo_auth.core.errors.kinds import Conflict, Forbidden, Invalid
from czo_auth.core.errors.requests import NotFound, ValidationFailed


class UnknownOrganization(NotFound):
    """No organization has this id, or the caller is not a member of it."""


class UnknownMember(NotFound):
    """The organization has no such member."""


class UnknownInvitation(NotFound):
    """The organization has no pending invitation with this id that the caller may see."""


class UnknownRole(ValidationFailed):
    """Organizations have no such role. A separate class, because better-auth's client has a code for it."""

    message = "Unknown role."


class NotMemberOfOrganization(Forbidden):
    code = "USER_NOT_MEMBER_OF_ORGANIZATION"
    message = "You are not a member of this organization."


class RoleAboveOwn(Forbidden):
    """Nobody grants a role above their own."""

    message = "You cannot grant a role above your own."


class OrganizationCreationNotAllowed(Forbidden):
    code = "YOU_ARE_NOT_ALLOWED_TO_CREATE_A_NEW_ORGANIZATION"
    message = "You are not allowed to create an organization."


class OrganizationScopeMismatch(Forbidden):
    code = "ORGANIZATION_SCOPE_MISMATCH"
    message = "This API key acts in another organization."


class OrganizationTwoFactorRequired(Forbidden):
    """The request acts in an organization that requires a factor which the member does not have (S37)."""

    code = "ORGANIZATION_TWO_FACTOR_REQUIRED"
    message = "This organization requires two-factor authentication. Turn it on first."


class NotTheRecipient(Forbidden):
    code = "YOU_ARE_NOT_THE_RECIPIENT_OF_THE_INVITATION"
    message = "This invitation was sent to someone else."


class InvitationNotFound(Invalid):
    code = "INVITATION_NOT_FOUND"
    message = "The invitation is no longer valid."


class LastOwner(Conflict):
    code = "LAST_OWNER"
    message = "An organization needs at least one owner."


class OwnerExists(Conflict):
    code = "OWNER_EXISTS"
    message = "The organization has an owner who can act."


class SlugTaken(Conflict):
    code = "ORGANIZATION_SLUG_ALREADY_TAKEN"
    message = "The slug is taken."


class AlreadyMember(Conflict):
    code = "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION"
    message = "This user is already a member."


class AlreadyInvited(Conflict):
    code = "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION"
    message = "This address has already been invited."


class OrganizationLimitReached(Conflict):
    code = "YOU_HAVE_REACHED_THE_MAXIMUM_NUMBER_OF_ORGANIZATIONS"
    message = "You have reached the maximum number of organizations."


class MemberLimitReached(Conflict):
    code = "ORGANIZATION_MEMBERSHIP_LIMIT_REACHED"
    message = "The organization has the maximum number of members."


class InvitationLimitReached(Conflict):
    code = "INVITATION_LIMIT_REACHED"
    message = "The organization has the maximum number of open invitations."


class ServiceAccountLimitReached(Conflict):
    code = "SERVICE_ACCOUNT_LIMIT_REACHED"
    message = "The organization has the maximum number of service accounts."


class MemberHasApiKeys(Conflict):
    """Removing the member would revoke API keys; ``details`` names them. The request succeeds once it confirms this."""

    code = "MEMBER_HAS_API_KEYS"
    message = "Removing this member ends API keys. Confirm it, or transfer the keys first."
