"""
What a route requires of its caller, and the function that decides.

Every REST route, GraphQL field and page names one of these. There is no default, so a route cannot be left unprotected
by mistake. Restricted sessions (S9) are admitted only where ``during_enrollment`` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from czo_auth.core.errors import (
    Forbidden,
    SecondFactorNeeded,
    SessionRequired,
    Unauthorized,
)
from czo_auth.core.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """
    Attributes:
        credential: ``none`` (not needed, ignored), ``optional_session``, ``session`` or ``any``.
        during_enrollment: Whether a session that may only enroll is let through.
        before_passkey: Whether a session that must use its user's passkey first is let through.
        administers: Whether an administrator's session with a verified second factor is needed.
        takes_basic: Whether an API key may come by HTTP Basic authentication too, with its id as the user.
    """

    credential: Literal["none", "optional_session", "session", "any"]
    during_enrollment: bool = False
    administers: bool = False
    before_passkey: bool = False
    takes_basic: bool = False


PUBLIC = Access(credential="none")
ENROLLING_OR_SIGNING_IN = Access(credential="optional_session", during_enrollment=True)
USING_A_PASSKEY = Access(credential="optional_session", before_passkey=True)
STEPPING_UP = Access(credential="session", before_passkey=True)
ENROLLING = Access(credential="session", during_enrollment=True)
ANYONE_KNOWN = Access(credential="any", during_enrollment=True)
ACCOUNT = Access(credential="session")
SERVICE = Access(credential="any")
KEY_WITH_BASIC = Access(credential="any", takes_basic=True)
ADMINISTRATION = Access(credential="session", administers=True)


def admit(principal: Principal | None, access: Access) -> Principal | None:
    """
    Decide whether *principal* is admitted.

    Returns:
        The principal, or None if the route needs none and the request has none.

    Raises:
        Unauthorized: The route needs a principal and the request has none.
        TwoFactorSetupRequired: The session may only enroll (S9).
        PhishingResistantFactorRequired: The session must use its user's passkey first.
        SessionRequired: An API key where only a session will do (S16).
        Forbidden: Not an administrator.
        SecondFactorNeeded: An administrator without a verified second factor.
    """
    if access.credential == "none":
        return None
    if principal is None:
        if access.credential == "optional_session":
            return None
        raise Unauthorized
    if access.before_passkey:
        principal.check_enrollment()
    elif not access.during_enrollment:
        principal.check_factors()
    if principal.kind == "api_key" and access.credential != "any":
        raise SessionRequired
    if access.administers and not principal.administers:
        raise Forbidden
    if access.administers and principal.aal < 2:
        raise SecondFactorNeeded
    return principal
