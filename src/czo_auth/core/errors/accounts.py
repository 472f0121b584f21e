"""Refusals at sign-up and sign-in, and of changes to an account."""

from __future__ import annotations

from czo_auth.core.errors.kinds import Conflict, Forbidden, Invalid, Missing, NotAuthenticated, Unprocessable


class InvalidEmailOrPassword(NotAuthenticated):
    code = "INVALID_EMAIL_OR_PASSWORD"
    message = "Incorrect email address or password."


class InvalidPassword(Invalid):
    code = "INVALID_PASSWORD"
    message = "Incorrect password."


class PasswordTooShort(Invalid):
    code = "PASSWORD_TOO_SHORT"
    message = "The password must have at least 8 characters."


class PasswordTooLong(Invalid):
    code = "PASSWORD_TOO_LONG"
    message = "The password can have at most 128 characters."


class PasswordCompromised(Invalid):
    code = "PASSWORD_COMPROMISED"
    message = "This password appears in known data breaches. Choose another."


class InvalidMailToken(Invalid):
    code = "INVALID_TOKEN"
    message = "The link is no longer valid."


class SignUpNotAllowed(Forbidden):
    code = "SIGN_UP_NOT_ALLOWED"
    message = "Nobody can sign up for this actor type."


class ActorTypeMismatch(Forbidden):
    code = "ACTOR_TYPE_MISMATCH"
    message = "This account does not have that actor type."


class UnknownActorType(Missing):
    code = "UNKNOWN_ACTOR_TYPE"
    message = "Unknown actor type."


class EmailNotVerified(Forbidden):
    code = "EMAIL_NOT_VERIFIED"
    message = "Confirm your email address first."


class UserAlreadyExists(Unprocessable):
    code = "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL"
    message = "An account with this email address already exists."


class UserIsBanned(Conflict):
    code = "USER_BANNED"
    message = "This user is banned. Lift the ban first."


class LastAdministrator(Conflict):
    code = "LAST_ADMINISTRATOR"
    message = "This is the last administrator. Make someone else an administrator first."
