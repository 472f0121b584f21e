"""
Every refusal, as one tree.

A refusal carries a stable ``code`` (contract) and a ``message`` that is safe to show to anyone. The middle layer says
what kind of refusal it is; the HTTP number of each kind stands in one table in ``asgi/problems.py``.

    Refusal
    ├── Invalid            the request itself is wrong                        (ValidationFailed, PasswordTooShort, …)
    ├── NotAuthenticated   no credential, or a wrong one                      (InvalidToken, InvalidCode, …)
    ├── Forbidden          known, but not allowed                             (SessionRequired, InsufficientScope, …)
    ├── Missing            unknown, or not yours; nobody can tell which       (NotFound, UnknownActorType, …)
    ├── Conflict           collides with the present state                    (LastOwner, RefreshInProgress, …)
    ├── Unprocessable      well-formed, yet cannot be done                    (UserAlreadyExists)
    ├── BodyTooSlow · TooLarge · UnsupportedMediaType · MethodNotAllowed
    ├── TooMany            a limit, a lock or a full queue                    (RateLimited, AccountLocked)
    └── Unavailable        an outage; never a verdict about the credential    (StorageUnavailable, SecretUnreadable)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from czo_auth.core.limit_report import LimitReport

Location = str | tuple[str, ...]
"""Where something is wrong: a field, or a kind of thing and its id."""


class Refusal(Exception):
    """
    A request that is answered with "no".

    Args:
        message: Replaces the class's sentence; must be as safe to show.
        details: ``(location, sentence)`` pairs, for ``VALIDATION_ERROR`` and wherever a refusal names several things.
        retry_after: Whole seconds after which trying again makes sense.
    """

    code: ClassVar[str] = "ERROR"
    message: str = "The request was refused."

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Sequence[tuple[Location, str]] = (),
        retry_after: int | None = None,
    ) -> None:
        self.message = message or type(self).message
        self.details = tuple(details)
        self.retry_after = retry_after
        super().__init__(self.code)


# --- kinds -----------------------------------------------------------------------------------------------------------
class Invalid(Refusal):
    """The request itself is wrong; sending it again will not help."""


class NotAuthenticated(Refusal):
    """No credential was sent, or one that proves nothing."""


class Forbidden(Refusal):
    """The caller is known, and may not do this."""

    code = "FORBIDDEN"
    message = "You are not allowed to do this."


class Missing(Refusal):
    """There is no such thing, or it is not the caller's to see."""


class Conflict(Refusal):
    """The request collides with the present state."""

    code = "CONFLICT"
    message = "This conflicts with the current state."


class Unprocessable(Refusal):
    """The request is well-formed and cannot be carried out."""


class IdempotencyKeyReused(Unprocessable):
    """The idempotency key belongs to a request with another body."""

    code = "IDEMPOTENCY_KEY_REUSED"
    message = "This Idempotency-Key was used for another request."


class RequestInProgress(Conflict):
    """A request with the same idempotency key runs still."""

    code = "REQUEST_IN_PROGRESS"
    message = "The first request with this Idempotency-Key is still running."


class TooMany(Refusal):
    """A limit was reached."""


class Unavailable(Refusal):
    """Something that is needed does not answer at present."""

    code = "SERVICE_UNAVAILABLE"
    message = "The service is temporarily unavailable. Try again shortly."

    def __init__(self, message: str | None = None, *, retry_after: int | None = 2) -> None:
        super().__init__(message, retry_after=retry_after)


# --- invalid ---------------------------------------------------------------------------------------------------------
class ValidationFailed(Invalid):
    code = "VALIDATION_ERROR"
    message = "The request is not valid."


class UnknownRole(ValidationFailed):
    """A role that organizations do not have; a kind of its own, as better-auth's client has a code for it."""

    message = "Unknown role."


class InvalidRequest(Invalid):
    code = "INVALID_REQUEST"
    message = "The request is malformed."


class InvalidSubjectToken(Invalid):
    """The API key that is to be traded is no good; one answer for every reason (RFC 8693 section 2.2.2)."""

    code = "INVALID_REQUEST"
    message = "The subject token is not valid."


class InvalidTarget(Invalid):
    code = "INVALID_TARGET"
    message = "The audience is not one that tokens are issued for."


class InvalidScope(Invalid):
    code = "INVALID_SCOPE"
    message = "The scope is wider than that of the key."


class InvalidUserCode(Invalid):
    code = "INVALID_USER_CODE"
    message = "There is no request with this code, or it was answered already."


class ExpiredDeviceCode(Invalid):
    code = "EXPIRED_DEVICE_CODE"
    message = "The code has expired. Start again on the device."


class AuthorizationPending(Invalid):
    """The answer of RFC 8628 section 3.5 while nobody decided."""

    code = "AUTHORIZATION_PENDING"
    message = "Nobody has approved the request yet."


class SlowDown(Invalid):
    """The device asks too often; it waits five seconds longer from now on."""

    code = "SLOW_DOWN"
    message = "Ask less often."


class DeviceDenied(Invalid):
    code = "ACCESS_DENIED"
    message = "The request was denied."


class InvalidDeviceCode(Invalid):
    code = "INVALID_DEVICE_CODE"
    message = "The device code is not valid."


class UnsupportedGrantType(Invalid):
    code = "UNSUPPORTED_GRANT_TYPE"
    message = "This grant type is not supported here."


class MalformedBody(Invalid):
    code = "BAD_REQUEST"
    message = "The body is not valid JSON."


class PasswordTooShort(Invalid):
    code = "PASSWORD_TOO_SHORT"
    message = "The password must have at least 8 characters."


class PasswordTooLong(Invalid):
    code = "PASSWORD_TOO_LONG"
    message = "The password can have at most 128 characters."


class PasswordCompromised(Invalid):
    code = "PASSWORD_COMPROMISED"
    message = "This password appears in known data breaches. Choose another."


class InvalidPassword(Invalid):
    code = "INVALID_PASSWORD"
    message = "Incorrect password."


class TotpAlreadyEnabled(Invalid):
    code = "TOTP_ALREADY_ENABLED"
    message = "Two-factor authentication is already on."


class TotpNotEnabled(Invalid):
    code = "TOTP_NOT_ENABLED"
    message = "There is no authenticator to verify."


class PasskeyChallengeNotFound(Invalid):
    code = "CHALLENGE_NOT_FOUND"
    message = "This passkey request has expired or was already answered. Start again."


class FailedToVerifyRegistration(Invalid):
    code = "FAILED_TO_VERIFY_REGISTRATION"
    message = "The passkey could not be verified."


class PreviouslyRegistered(Invalid):
    code = "PREVIOUSLY_REGISTERED"
    message = "This passkey is already registered."


class PasskeysNotAvailable(Invalid):
    code = "PASSKEYS_NOT_AVAILABLE"
    message = "This deployment does not offer passkeys."


class TwoFactorNotEnabled(Invalid):
    code = "TWO_FACTOR_NOT_ENABLED"
    message = "Two-factor authentication is not on."


class TooManyAttempts(Invalid):
    code = "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE"
    message = "Too many incorrect codes. Sign in again."


class InvalidMailToken(Invalid):
    code = "INVALID_TOKEN"
    message = "The link is no longer valid."


class InvitationNotFound(Invalid):
    code = "INVITATION_NOT_FOUND"
    message = "The invitation is no longer valid."


class LifetimeTooLong(ValidationFailed):
    """A kind of its own, as better-auth's client has a code for it."""


# --- not authenticated -----------------------------------------------------------------------------------------------
class Unauthorized(NotAuthenticated):
    """No credential was sent."""

    code = "UNAUTHORIZED"
    message = "Sign in first."


class InvalidToken(NotAuthenticated):
    code = "INVALID_TOKEN"
    message = "The token is not valid."


class InvalidApiKey(NotAuthenticated):
    """One answer for unknown, revoked, expired, disabled and orphaned keys: a stranger learns nothing."""

    code = "INVALID_API_KEY"
    message = "The API key is not valid."


class InvalidEmailOrPassword(NotAuthenticated):
    code = "INVALID_EMAIL_OR_PASSWORD"
    message = "Incorrect email address or password."


class AuthenticationFailed(NotAuthenticated):
    code = "AUTHENTICATION_FAILED"
    message = "The passkey was not accepted."


class InvalidCode(NotAuthenticated):
    code = "INVALID_CODE"
    message = "Incorrect code."


class InvalidBackupCode(NotAuthenticated):
    code = "INVALID_BACKUP_CODE"
    message = "Incorrect backup code."


class InvalidChallenge(NotAuthenticated):
    code = "INVALID_TWO_FACTOR_COOKIE"
    message = "The sign-in is no longer valid. Start again."


class InvalidRefreshToken(NotAuthenticated):
    code = "INVALID_REFRESH_TOKEN"
    message = "The refresh token is not valid."


class BehindTheClock(InvalidCode):
    """
    The code was right some minutes ago: the phone's clock is slow. For clients the same as any wrong code.

    Only the past is looked at. To say that a code will be right in a few minutes would give a guesser many steps to
    hit with one attempt, and then time to use what was hit; a code of the past is worth nothing to anybody.
    """


# --- forbidden -------------------------------------------------------------------------------------------------------
class SignUpNotAllowed(Forbidden):
    code = "SIGN_UP_NOT_ALLOWED"
    message = "Nobody can sign up for this actor type."


class ActorTypeMismatch(Forbidden):
    code = "ACTOR_TYPE_MISMATCH"
    message = "This account does not have that actor type."


class EmailNotVerified(Forbidden):
    code = "EMAIL_NOT_VERIFIED"
    message = "Confirm your email address first."


class TwoFactorSetupRequired(Forbidden):
    code = "TWO_FACTOR_SETUP_REQUIRED"
    message = "Turn on two-factor authentication first."


class OrganizationTwoFactorRequired(Forbidden):
    """The organization that the request acts in demands a factor that its member does not have (S37)."""

    code = "ORGANIZATION_TWO_FACTOR_REQUIRED"
    message = "This organization requires two-factor authentication. Turn it on first."


class ReauthenticationRequired(Forbidden):
    code = "REAUTHENTICATION_REQUIRED"
    message = "Confirm it is you first: enter your password again."


class SecretAlreadyShown(Forbidden):
    """An active secret is never shown again (S8)."""

    code = "TOTP_ALREADY_ENABLED"
    message = "Two-factor authentication is on. Its secret is not shown again."


class SecondFactorNeeded(Forbidden):
    code = "TWO_FACTOR_REQUIRED"
    message = "This needs a session with a verified second factor."


class OwnReset(Forbidden):
    """An administrator who could reset their own factor would need none."""

    code = "CANNOT_RESET_OWN_TWO_FACTOR"
    message = "You cannot reset your own second factor. Ask another administrator."


class OpenedElsewhere(Forbidden):
    code = "ACCESS_DENIED"
    message = "This code was opened in another session."


class SessionRequired(Forbidden):
    code = "SESSION_REQUIRED"
    message = "An API key cannot do this. Sign in instead."


class UserRequired(Forbidden):
    code = "USER_REQUIRED"
    message = "A service account cannot do this. Use the API key of a user, or sign in."


class InsufficientScope(Forbidden):
    """
    ``details`` names the scopes.

    Source: RFC 6750 section 3.1.
    """

    code = "INSUFFICIENT_SCOPE"
    message = "A required scope is missing."

    @classmethod
    def of(cls, scopes: Iterable[str], message: str | None = None) -> InsufficientScope:
        """Make the refusal that names the *scopes* which are missing."""
        return cls(message, details=[(("scopes", scope), "This scope is missing.") for scope in scopes])

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that were missing."""
        return tuple(where[1] for where, _ in self.details if isinstance(where, tuple) and len(where) == 2)


class IpAddressNotAllowed(Forbidden):
    """The key has an allow-list and the request comes from elsewhere; which addresses are on it is not told."""

    code = "IP_ADDRESS_NOT_ALLOWED"
    message = "This API key cannot be used from this address."


class InsufficientApiKeyPermissions(Forbidden):
    code = "INSUFFICIENT_API_KEY_PERMISSIONS"
    message = "Your role in this organization cannot manage API keys."


class NotMemberOfOrganization(Forbidden):
    code = "USER_NOT_MEMBER_OF_ORGANIZATION"
    message = "You are not a member of this organization."


class RoleAboveOwn(Forbidden):
    """Nobody grants a role above their own."""

    message = "You cannot grant a role above your own."


class CannotFoundOrganization(Forbidden):
    code = "YOU_ARE_NOT_ALLOWED_TO_CREATE_A_NEW_ORGANIZATION"
    message = "You are not allowed to create an organization."


class OrganizationScopeMismatch(Forbidden):
    code = "ORGANIZATION_SCOPE_MISMATCH"
    message = "This API key acts in another organization."


class NotTheRecipient(Forbidden):
    code = "YOU_ARE_NOT_THE_RECIPIENT_OF_THE_INVITATION"
    message = "This invitation was sent to someone else."


class MissingOrNullOrigin(Forbidden):
    code = "MISSING_OR_NULL_ORIGIN"
    message = "The request does not say which site it comes from."


class InvalidOrigin(Forbidden):
    code = "INVALID_ORIGIN"
    message = "The request comes from a site that is not trusted."


class InvalidCallbackUrl(Forbidden):
    code = "INVALID_CALLBACK_URL"
    message = "The address to continue to does not belong to a trusted origin."


class CrossSiteNavigationBlocked(Forbidden):
    code = "CROSS_SITE_NAVIGATION_LOGIN_BLOCKED"
    message = "Another site cannot sign you in."


class PhishingResistantFactorRequired(Forbidden):
    code = "PHISHING_RESISTANT_FACTOR_REQUIRED"
    message = "Use a passkey first."


# --- missing ---------------------------------------------------------------------------------------------------------
class NotFound(Missing):
    code = "NOT_FOUND"
    message = "Not found."


class UnknownOrganization(NotFound):
    """No organization has this id, or the caller is not a member of it."""


class UnknownMember(NotFound):
    """Nobody in the organization is called this."""


class UnknownInvitation(NotFound):
    """The organization has no pending invitation with this id that the caller may see."""


class UnknownActorType(Missing):
    code = "UNKNOWN_ACTOR_TYPE"
    message = "Unknown actor type."


class PasskeyNotFound(Missing):
    code = "PASSKEY_NOT_FOUND"
    message = "Passkey not found."


# --- conflict, unprocessable, sizes ----------------------------------------------------------------------------------
class TwoFactorRequiredByPolicy(Conflict):
    code = "TWO_FACTOR_REQUIRED_BY_POLICY"
    message = "Your account requires two-factor authentication."


class PasskeyLimitReached(Conflict):
    code = "PASSKEY_LIMIT_REACHED"
    message = "You have reached the maximum number of passkeys."


class ResetAlreadyWaits(Conflict):
    code = "TWO_FACTOR_RESET_PENDING"
    message = "A reset of this second factor is already pending."


class UserIsBanned(Conflict):
    code = "USER_BANNED"
    message = "This user is banned. Lift the ban first."


class RefreshInProgress(Conflict):
    code = "REFRESH_IN_PROGRESS"
    message = "This refresh token was just replaced. Use its successor."


class ApiKeyLimitReached(Conflict):
    code = "API_KEY_LIMIT_REACHED"
    message = "You have reached the maximum number of API keys. Revoke one first."


class ApiKeyAlreadyRotated(Conflict):
    code = "API_KEY_ALREADY_ROTATED"
    message = "This API key has already been rotated."


class LastOwner(Conflict):
    code = "LAST_OWNER"
    message = "An organization needs at least one owner."


class LastAdministrator(Conflict):
    code = "LAST_ADMINISTRATOR"
    message = "This is the last administrator. Make someone else an administrator first."


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
    message = "You own the maximum number of organizations."


class ServiceAccountLimitReached(Conflict):
    code = "SERVICE_ACCOUNT_LIMIT_REACHED"
    message = "The organization has the maximum number of service accounts."


class MemberHasApiKeys(Conflict):
    """Removing the member would end API keys; ``details`` names them. A request that confirms it removes them."""

    code = "MEMBER_HAS_API_KEYS"
    message = "Removing this member ends API keys. Confirm it, or transfer the keys first."


class MemberLimitReached(Conflict):
    code = "ORGANIZATION_MEMBERSHIP_LIMIT_REACHED"
    message = "The organization has the maximum number of members."


class InvitationLimitReached(Conflict):
    code = "INVITATION_LIMIT_REACHED"
    message = "The organization has the maximum number of open invitations."


class WebhooksNotAvailable(Invalid):
    code = "WEBHOOKS_NOT_AVAILABLE"
    message = "This deployment does not offer webhooks."


class WebhookLimitReached(Conflict):
    code = "WEBHOOK_LIMIT_REACHED"
    message = "The maximum number of webhook endpoints is reached."


class WebhookSecretLimitReached(Conflict):
    code = "WEBHOOK_SECRET_LIMIT_REACHED"
    message = "This endpoint has the maximum number of active secrets. The oldest ends within a day."


class WebhookDisabled(Conflict):
    code = "WEBHOOK_DISABLED"
    message = "The webhook endpoint is off."


class UserAlreadyExists(Unprocessable):
    code = "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL"
    message = "An account with this email address already exists."


class BodyTooSlow(Refusal):
    code = "REQUEST_TIMEOUT"
    message = "The body took too long to arrive."


class TooLarge(Refusal):
    code = "PAYLOAD_TOO_LARGE"
    message = "The body is too large."


class UnsupportedMediaType(Refusal):
    code = "UNSUPPORTED_MEDIA_TYPE"
    message = "Send plain, uncompressed application/json."


class MethodNotAllowed(Refusal):
    code = "METHOD_NOT_ALLOWED"
    message = "This address does not support that method."


# --- limits and outages ----------------------------------------------------------------------------------------------
class RateLimited(TooMany):
    code = "TOO_MANY_REQUESTS"
    message = "Too many requests. Try again later."


class ApiKeyLimited(TooMany):
    """
    A limit of one key, which its owner set; the others go on.

    Attributes:
        limits: The limits of the key, for the headers that tell them.
    """

    limits: LimitReport | None = None


class ApiKeyRateLimited(ApiKeyLimited):
    """The key was used too often in a short time."""

    code = "RATE_LIMIT_EXCEEDED"
    message = "This API key has reached its rate limit."


class QuotaExceeded(ApiKeyLimited):
    """The key was used as often in this day or month as its quota allows."""

    code = "QUOTA_EXCEEDED"
    message = "This API key has used up its quota."


class AccountLocked(TooMany):
    """Without ``retry_after``, waiting does not help: a password reset or an administrator does."""

    code = "ACCOUNT_TEMPORARILY_LOCKED"
    message = "Too many incorrect codes. Two-factor verification is locked for now."


class PageFailed(Unavailable):
    """A page could not be shown, because a template of the deployment failed."""

    code = "PAGE_FAILED"
    message = "The page could not be shown."


class StorageUnavailable(Unavailable):
    message = "The database is unavailable. Nothing was changed. Try again shortly."


class SecretUnreadable(Unavailable):
    """A sealed value did not open: the wrong key, or a row that was tampered with. Fails closed (S13)."""

    message = "The code cannot be checked right now. A backup code still works."


class MailUnavailable(Unavailable):
    """The mail server does not take the message; without ``retry_after``, it never will."""

    code = "MAIL_UNAVAILABLE"
    message = "Email cannot be sent right now. Try again shortly."


class MailNotConfigured(Unavailable):
    """This deployment has no mail server; waiting does not help, the operator does."""

    code = "MAIL_NOT_CONFIGURED"
    message = "This deployment cannot send email."

    def __init__(self, message: str | None = None, *, retry_after: int | None = None) -> None:
        super().__init__(message, retry_after=retry_after)


class TablesMissing(StorageUnavailable):
    """The tables are not there, or older than this program: migrations have not run."""

    message = "The database is not ready. Its migrations have to run first."
