"""Refusals with the error codes of better-auth's client; only the routes of this package raise them."""

from __future__ import annotations

from czo_auth.core.errors import Forbidden, Invalid, Missing, NotAuthenticated


class NoValuesToUpdate(Invalid):
    code = "NO_VALUES_TO_UPDATE"
    message = "Nothing to update was sent."


class ServerOnlyProperty(Invalid):
    code = "SERVER_ONLY_PROPERTY"
    message = "A property in the body can only be set by the server."


class EmailCannotBeUpdated(Invalid):
    code = "EMAIL_CAN_NOT_BE_UPDATED"
    message = "Use the call that changes the email address: the new address has to be confirmed."


class InvalidNameLength(Invalid):
    code = "INVALID_NAME_LENGTH"
    message = "The name is too short or too long."


class InvalidPrefixLength(Invalid):
    code = "INVALID_PREFIX_LENGTH"
    message = "The prefix is not the prefix of this deployment."


class ExpiresInTooSmall(Invalid):
    code = "EXPIRES_IN_IS_TOO_SMALL"
    message = "The expiry is too soon."


class ExpiresInTooLarge(Invalid):
    code = "EXPIRES_IN_IS_TOO_LARGE"
    message = "The expiry is too far in the future."


class OrganizationAlreadyExists(Invalid):
    """The slug is taken: the code that better-auth's client expects when it creates an organization."""

    code = "ORGANIZATION_ALREADY_EXISTS"
    message = "An organization with this slug already exists."


class SlugNotAvailable(Invalid):
    """The slug is taken: the code that better-auth's client expects when it checks or changes a slug."""

    code = "ORGANIZATION_SLUG_ALREADY_TAKEN"
    message = "The slug is taken."


class NoActiveOrganization(Invalid):
    code = "NO_ACTIVE_ORGANIZATION"
    message = "No organization is active in this session."


class MemberNotFound(Invalid):
    code = "MEMBER_NOT_FOUND"
    message = "Member not found."


class OrganizationNotFound(Invalid):
    code = "ORGANIZATION_NOT_FOUND"
    message = "Organization not found."


class MemberExists(Invalid):
    """The user is already a member: the code that better-auth's client expects."""

    code = "USER_IS_ALREADY_A_MEMBER_OF_THIS_ORGANIZATION"
    message = "This user is already a member."


class InvitationExists(Invalid):
    """The address is already invited: the code that better-auth's client expects."""

    code = "USER_IS_ALREADY_INVITED_TO_THIS_ORGANIZATION"
    message = "This address has already been invited."


class OnlyOwnerCannotLeave(Invalid):
    code = "YOU_CANNOT_LEAVE_THE_ORGANIZATION_AS_THE_ONLY_OWNER"
    message = "The only owner cannot leave."


class OwnerNeeded(Invalid):
    code = "YOU_CANNOT_LEAVE_THE_ORGANIZATION_WITHOUT_AN_OWNER"
    message = "An organization needs at least one owner."


class RoleNotFound(Invalid):
    code = "ROLE_NOT_FOUND"
    message = "Unknown role."


class UnauthorizedSession(NotAuthenticated):
    code = "UNAUTHORIZED_SESSION"
    message = "This session is not allowed to do that."


class NotOrganizationMember(Forbidden):
    """The caller is not a member: the code that better-auth's client expects."""

    code = "USER_IS_NOT_A_MEMBER_OF_THE_ORGANIZATION"
    message = "You are not a member of this organization."


class NotMemberHere(Forbidden):
    """The caller is not a member: the code that better-auth's client expects when it lists members."""

    code = "YOU_ARE_NOT_A_MEMBER_OF_THIS_ORGANIZATION"
    message = "You are not a member of this organization."


class CannotUpdateOrganization(Forbidden):
    code = "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_ORGANIZATION"
    message = "You are not allowed to change this organization."


class CannotDeleteOrganization(Forbidden):
    code = "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_ORGANIZATION"
    message = "You are not allowed to delete this organization."


class CannotUpdateMember(Forbidden):
    code = "YOU_ARE_NOT_ALLOWED_TO_UPDATE_THIS_MEMBER"
    message = "You are not allowed to change this member."


class CannotRemoveMember(Forbidden):
    code = "YOU_ARE_NOT_ALLOWED_TO_DELETE_THIS_MEMBER"
    message = "You are not allowed to remove this member."


class CannotInvite(Forbidden):
    code = "YOU_ARE_NOT_ALLOWED_TO_INVITE_USERS_TO_THIS_ORGANIZATION"
    message = "You are not allowed to invite people to this organization."


class CannotInviteWithRole(Forbidden):
    code = "YOU_ARE_NOT_ALLOWED_TO_INVITE_USER_WITH_THIS_ROLE"
    message = "You cannot grant a role above your own."


class CannotCancelInvitation(Forbidden):
    code = "YOU_ARE_NOT_ALLOWED_TO_CANCEL_THIS_INVITATION"
    message = "You are not allowed to cancel this invitation."


class CannotListInvitations(Forbidden):
    code = "YOU_ARE_NOT_ALLOWED_TO_LIST_INVITATIONS"
    message = "You are not allowed to see the invitations of this organization."


class InvitationsNeedVerifiedEmail(Forbidden):
    code = "EMAIL_VERIFICATION_REQUIRED_FOR_INVITATION"
    message = "Confirm your email address first."


class KeyNotFound(Missing):
    code = "KEY_NOT_FOUND"
    message = "API key not found."
