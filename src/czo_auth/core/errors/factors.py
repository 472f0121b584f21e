"""Refusals about second factors and passkeys."""

from __future__ import annotations

from czo_auth.core.errors.kinds import Conflict, Forbidden, Invalid, Missing, NotAuthenticated, TooMany


class TotpAlreadyEnabled(Invalid):
    code = "TOTP_ALREADY_ENABLED"
    message = "Two-factor authentication is already on."


class TotpNotEnabled(Invalid):
    code = "TOTP_NOT_ENABLED"
    message = "There is no authenticator to verify."


class TwoFactorNotEnabled(Invalid):
    code = "TWO_FACTOR_NOT_ENABLED"
    message = "Two-factor authentication is not on."


class SecretAlreadyShown(Forbidden):
    """An active secret is never shown again (S8)."""

    code = "TOTP_ALREADY_ENABLED"
    message = "Two-factor authentication is on. Its secret is not shown again."


class InvalidCode(NotAuthenticated):
    code = "INVALID_CODE"
    message = "Incorrect code."


class ExpiredCode(InvalidCode):
    """
    The code was correct a few minutes ago, because the phone's clock is slow. Clients see the same as for any wrong
    code.

    Only past steps are checked. Revealing that a code will become correct would let an attacker test many future steps
    with one attempt and then use the hit; a past code is worth nothing.
    """


class InvalidBackupCode(NotAuthenticated):
    code = "INVALID_BACKUP_CODE"
    message = "Incorrect backup code."


class InvalidChallenge(NotAuthenticated):
    code = "INVALID_TWO_FACTOR_COOKIE"
    message = "The sign-in is no longer valid. Start again."


class TooManyAttempts(Invalid):
    code = "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE"
    message = "Too many incorrect codes. Sign in again."


class AccountLocked(TooMany):
    """Without ``retry_after``, waiting does not help; a password reset or an administrator does."""

    code = "ACCOUNT_TEMPORARILY_LOCKED"
    message = "Too many incorrect codes. Two-factor verification is locked for now."


class TwoFactorSetupRequired(Forbidden):
    code = "TWO_FACTOR_SETUP_REQUIRED"
    message = "Turn on two-factor authentication first."


class SecondFactorNeeded(Forbidden):
    code = "TWO_FACTOR_REQUIRED"
    message = "This needs a session with a verified second factor."


class PhishingResistantFactorRequired(Forbidden):
    code = "PHISHING_RESISTANT_FACTOR_REQUIRED"
    message = "Use a passkey first."


class TwoFactorRequiredByPolicy(Conflict):
    code = "TWO_FACTOR_REQUIRED_BY_POLICY"
    message = "Your account requires two-factor authentication."


class ResetAlreadyPending(Conflict):
    code = "TWO_FACTOR_RESET_PENDING"
    message = "A reset of this second factor is already pending."


class CannotResetOwnFactor(Forbidden):
    """Administrators cannot reset their own factor, which would make it pointless."""

    code = "CANNOT_RESET_OWN_TWO_FACTOR"
    message = "You cannot reset your own second factor. Ask another administrator."


class PasskeysNotAvailable(Invalid):
    code = "PASSKEYS_NOT_AVAILABLE"
    message = "This deployment does not offer passkeys."


class PasskeyChallengeNotFound(Invalid):
    code = "CHALLENGE_NOT_FOUND"
    message = "This passkey request has expired or was already answered. Start again."


class FailedToVerifyRegistration(Invalid):
    code = "FAILED_TO_VERIFY_REGISTRATION"
    message = "The passkey could not be verified."


class PreviouslyRegistered(Invalid):
    code = "PREVIOUSLY_REGISTERED"
    message = "This passkey is already registered."


class AuthenticationFailed(NotAuthenticated):
    code = "AUTHENTICATION_FAILED"
    message = "The passkey was not accepted."


class PasskeyNotFound(Missing):
    code = "PASSKEY_NOT_FOUND"
    message = "Passkey not found."


class PasskeyLimitReached(Conflict):
    code = "PASSKEY_LIMIT_REACHED"
    message = "You have reached the maximum number of passkeys."
