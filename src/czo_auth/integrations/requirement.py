"""The requirements of a host's route, the same in every framework."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from czo_auth.asgi.authentication import DEPLOYMENT, PRINCIPAL
from czo_auth.core.api_keys.scopes import SCOPE
from czo_auth.core.errors import Forbidden, OrganizationScopeMismatch, Unauthorized
from czo_auth.core.flows.organizations.act_in import act_in_organization
from czo_auth.core.organizations import roles
from czo_auth.core.principal import Principal

if TYPE_CHECKING:
    from czo_auth.runtime import Runtime

_SERVICE_ACCOUNTS = "czo_auth.service_accounts"
"""Key next to the principal: whether a guard admitted service accounts."""


class Demands(TypedDict, total=False):
    """
    The arguments of a guard, ``auth.require(...)`` and each framework's ``requires(...)``.

    Attributes:
        actor: Actor type that the session, or the session that made the API key, must have.
        scopes: All of them are needed.
        aal: 2 requires a second factor proved in this session; API keys never have that.
        organization_id: Organization that must be the active one, or the key's.
        role: The minimum role in the organization: ``viewer``, ``member``, ``admin`` or ``owner``.
        organization_parameter: Name of the route's parameter that holds an organization's id. The request then acts
            in that organization; without it, in the active one or the key's.
        phishing_resistant: Whether a passkey must have been used in this session; API keys never have that.
        fresh_minutes: How long ago password and, if there is one, second factor may have been proved. API keys are
            refused.
        service_accounts: Whether API keys of service accounts pass, which act for no user: their principal has no
            ``user_id``, and a ``service_account_id`` instead. By default they are refused (``USER_REQUIRED``).
    """

    actor: str | None
    scopes: Collection[str]
    aal: int
    organization_id: str | None
    role: str | None
    organization_parameter: str | None
    fresh_minutes: int | None
    phishing_resistant: bool
    service_accounts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """
    The requirements of a guard; see `Demands`.

    Attributes:
        auth: The deployment that the guard belongs to, if it is known when the guard is made.

    Raises:
        TypeError, ValueError: The guard could never be met, or does not mean what it seems to.
    """

    actor: str | None = None
    scopes: tuple[str, ...] = ()
    aal: int = 1
    organization_id: str | None = None
    role: str | None = None
    organization_parameter: str | None = None
    fresh_minutes: int | None = None
    auth: Runtime | None = None
    phishing_resistant: bool = False
    service_accounts: bool = False

    @classmethod
    def of(cls, auth: Runtime | None = None, **demands: Unpack[Demands]) -> Requirement:
        """Make a requirement from the arguments of a guard."""
        scopes = demands.get("scopes", ())
        if isinstance(scopes, str):
            raise TypeError(f"scopes is a list of scopes, not one text: write scopes=[{scopes!r}]")
        rest: dict[str, Any] = {name: value for name, value in demands.items() if name != "scopes"}
        return cls(auth=auth, scopes=tuple(scopes), **rest)

    def __post_init__(self) -> None:
        self._check_types()
        for scope in self.scopes:
            if not SCOPE.fullmatch(scope):
                raise ValueError(f"{scope!r} is not a scope: scopes have the form resource:action")
        if self.aal not in (1, 2):
            raise ValueError(f"aal is 1 or 2, not {self.aal!r}")
        if self.role is not None and not roles.is_role(self.role):
            raise ValueError(f"{self.role!r} is not a role: roles are {', '.join(sorted(roles.RANK))}")
        if self.fresh_minutes is not None and self.fresh_minutes < 1:
            raise ValueError("fresh_minutes is at least 1")
        if self.organization_id is not None and self.organization_parameter is not None:
            raise ValueError("organization_id and organization_parameter exclude each other")
        if self.auth is not None:
            self._check_actor(self.auth)

    def _check_types(self) -> None:
        # Python would take `service_accounts="no"` for yes.
        for name in ("actor", "organization_id", "organization_parameter", "role"):
            if not isinstance(getattr(self, name), str | None):
                raise TypeError(f"{name} is one text, not {getattr(self, name)!r}")
        for name in ("phishing_resistant", "service_accounts"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is True or False, not {getattr(self, name)!r}")
        if not isinstance(self.fresh_minutes, int | None):
            raise TypeError(f"fresh_minutes is a number of minutes, not {self.fresh_minutes!r}")
        for scope in self.scopes:
            if not isinstance(scope, str):
                raise TypeError(f"scopes holds texts, not {scope!r}")

    async def admit(self, scope: Mapping[str, Any], parameters: Mapping[str, Any] | None = None) -> Principal:
        """
        Return the principal of an ASGI connection, if it meets the requirement.

        Args:
            parameters: The route's parameters, if they are not in the scope.

        Raises:
            RuntimeError: The connection did not pass through this deployment's ``AuthMiddleware``, or the route has no
                such parameter.
            Unauthorized, UserRequired, TwoFactorSetupRequired, ActorTypeMismatch, SecondFactorNeeded,
            InsufficientScope, OrganizationScopeMismatch, PhishingResistantFactorRequired, Forbidden, SessionRequired,
            ReauthenticationRequired, StorageUnavailable
        """
        principal, auth = self._caller(scope)
        organization_id = self._organization(scope, parameters)
        if organization_id is not None:
            principal = await act_in_organization(auth.services, principal, organization_id, now=auth.now())
        return self._met_by(principal, auth, scope)

    def admit_blocking(
        self, scope: Mapping[str, Any], parameters: Mapping[str, Any] | None = None
    ) -> Principal:
        """Do the same in a thread of its own, as synchronous views run; only another organization is waited for."""
        principal, auth = self._caller(scope)
        organization_id = self._organization(scope, parameters)
        if organization_id is not None and organization_id != principal.organization_id:
            loop: asyncio.AbstractEventLoop = scope["state"][DEPLOYMENT][1]
            _refuse_on_loop(loop)
            looked_up = act_in_organization(auth.services, principal, organization_id, now=auth.now())
            principal = asyncio.run_coroutine_threadsafe(looked_up, loop).result()
        return self._met_by(principal, auth, scope)

    def _caller(self, scope: Mapping[str, Any]) -> tuple[Principal, Runtime]:
        principal = principal_in(scope, service_accounts=True)
        auth: Runtime = scope["state"][DEPLOYMENT][0]
        if self.auth is None:
            self._check_actor(auth)
        elif auth is not self.auth:
            raise RuntimeError("this guard is of another Auth than the AuthMiddleware around the application")
        if principal is None:
            raise Unauthorized
        if not self.service_accounts:
            principal.require_user()
        return principal, auth

    def _organization(self, scope: Mapping[str, Any], parameters: Mapping[str, Any] | None) -> str | None:
        name = self.organization_parameter
        if name is None:
            return None
        found = (scope.get("path_params") or {}) if parameters is None else parameters
        if name not in found:
            raise RuntimeError(
                f"the route has no parameter {name!r}, which its guard takes the organization from"
            )
        return str(found[name])

    def _met_by(self, principal: Principal, auth: Runtime, scope: Mapping[str, Any]) -> Principal:
        principal.require(
            actor=self.actor,
            scopes=self.scopes,
            aal=self.aal,
            organization_id=self.organization_id,
            phishing_resistant=self.phishing_resistant,
            service_accounts=self.service_accounts,
        )
        if self.role is not None:
            if principal.service_account_id is not None:
                raise Forbidden
            if principal.organization_role is None:
                raise OrganizationScopeMismatch("This needs an organization to act in.")
            if roles.outranks(principal.organization_role, self.role):
                raise Forbidden
        if self.fresh_minutes is not None:
            principal.require_fresh(timedelta(minutes=self.fresh_minutes), now=auth.now())
        # As it acts here, for code that reads the principal later.
        scope["state"][PRINCIPAL] = principal
        scope["state"][_SERVICE_ACCOUNTS] = self.service_accounts
        return principal

    def _check_actor(self, auth: Runtime) -> None:
        if self.actor is None:
            return
        known = [actor.name for actor in auth.services.actors]
        if self.actor not in known:
            near = difflib.get_close_matches(self.actor, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"no actor type is called {self.actor!r}: {hint}")


def principal_in(scope: Mapping[str, Any], *, service_accounts: bool = False) -> Principal | None:
    """
    Return the principal of an ASGI connection, or None for an anonymous one.

    Args:
        service_accounts: Whether the caller of this function can handle a service account, which is not a user. After a
            guard that admits them it can.

    Raises:
        UserRequired: The caller is a service account, but a user is expected.
        RuntimeError: The connection did not pass through ``AuthMiddleware``; nobody is admitted unchecked.
    """
    state = scope.get("state", {})
    if PRINCIPAL not in state:
        raise RuntimeError("the application needs AuthMiddleware(app, auth=auth) around it")
    found: Principal | None = state[PRINCIPAL]
    if found is not None and not (service_accounts or state.get(_SERVICE_ACCOUNTS)):
        found.require_user()
    return found


def _refuse_on_loop(loop: asyncio.AbstractEventLoop) -> None:
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    if running is loop:
        raise RuntimeError("a guard that takes the organization from the path needs an async view here")
