"""Scopes: their form, who may grant which, and which still count (S17)."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial

from czo_auth.core.errors import InsufficientScope, ValidationFailed
from czo_auth.core.limits import MAX_SCOPES

SCOPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}:[A-Za-z][A-Za-z0-9_.-]{0,63}")
VERIFY_KEYS = "api-keys:verify"
RESERVED = ("api-keys:", "admin:")

ScopeRule = Callable[[frozenset[str], str | None], Collection[str]]
"""A function from the actor types held and the organization role (None outside one) to the scopes that may be used."""


class ScopePolicy:
    """
    Which scopes a user may put on a key, evaluated again at each request.

    Without a rule any scope may be granted, except the reserved ones (``api-keys:…``, ``admin:…``), which only
    administrators grant. A mapping goes from actor type, or ``org:<role>``, to scopes; ``orders:*`` stands for all
    actions of a resource and ``*`` for everything that is not reserved.

    Attributes:
        is_fixed: Whether the results depend only on actor types and roles; those of a host's function may change at any
            time.
    """

    def __init__(self, rule: ScopeRule | Mapping[str, Collection[str]] | None = None) -> None:
        self._rule = _from_mapping(rule) if isinstance(rule, Mapping) else rule
        self.is_fixed = rule is None or isinstance(rule, Mapping)

    def allows(
        self, scope: str, *, actor_types: frozenset[str], organization_role: str | None, administers: bool
    ) -> bool:
        """Return whether a user of these actor types may use *scope* now; *administers* is about the one in use."""
        if scope.startswith(RESERVED):
            return administers
        if self._rule is None:
            return True
        granted = self._rule(actor_types, organization_role)
        return scope in granted or f"{scope.partition(':')[0]}:*" in granted or "*" in granted

    def allowed(
        self,
        scopes: tuple[str, ...],
        *,
        actor_types: frozenset[str],
        organization_role: str | None,
        administers: bool,
    ) -> tuple[str, ...]:
        """Return those of *scopes* that a user may use now, as `allows` decides."""
        if self._rule is None:
            return (
                scopes if administers else tuple([each for each in scopes if not each.startswith(RESERVED)])
            )
        may_use = partial(
            self.allows, actor_types=actor_types, organization_role=organization_role, administers=administers
        )
        return tuple(filter(may_use, scopes))

    def allows_service_account(
        self, scope: str, *, actor_types: frozenset[str], organization_role: str
    ) -> bool:
        """
        Return whether a service account may use *scope* now: whether some member of its organization could (S38).

        It keeps ``api-keys:…`` from the administrator who granted it; a service account never has ``admin:…``.

        Args:
            actor_types: All that do not administer, because a service account holds none itself.
            organization_role: The highest.
        """
        if scope.startswith("admin:"):
            return False
        return self.allows(
            scope,
            actor_types=actor_types,
            organization_role=organization_role,
            administers=scope.startswith(RESERVED),
        )

    def offered(
        self, *, actor_types: frozenset[str], organization_role: str | None, administers: bool
    ) -> tuple[frozenset[str], bool]:
        """
        Return the scopes that a form can list for a user, and whether the user may use others as well.

        There are others if there is no rule, or if the rule contains a pattern, because what it covers is not known
        here.
        """
        own = frozenset({VERIFY_KEYS}) if administers else frozenset[str]()
        if self._rule is None:
            return own, True
        granted = frozenset(self._rule(actor_types, organization_role))
        listed = frozenset(scope for scope in granted if SCOPE.fullmatch(scope))
        return own | frozenset(each for each in listed if not each.startswith(RESERVED)), listed != granted


def _from_mapping(mapping: Mapping[str, Collection[str]]) -> ScopeRule:
    frozen = {name: frozenset(scopes) for name, scopes in mapping.items()}

    def rule(actor_types: frozenset[str], organization_role: str | None) -> Collection[str]:
        names = [*actor_types, f"org:{organization_role}"]
        return frozenset().union(*(frozen.get(name, frozenset()) for name in names))

    return rule


def check_rule(
    rule: Mapping[str, Collection[str]], *, actor_types: Collection[str], roles: Collection[str]
) -> None:
    """
    Refuse a mapping with unknown names, which would silently grant nothing.

    Raises:
        ValueError: An actor type, role or scope is not one.
    """
    names = [*actor_types, *(f"org:{role}" for role in roles)]
    for name, scopes in rule.items():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f": did you mean {near[0]!r}?" if near else f": there are {', '.join(names)}"
            raise ValueError(
                f"scope_rule names {name!r}, which is neither an actor type nor org:<role>{hint}"
            )
        if isinstance(scopes, str):
            raise ValueError(f"scope_rule[{name!r}] is a list of scopes, not one text")
        for scope in scopes:
            if scope != "*" and not SCOPE.fullmatch(scope.removesuffix("*") + "x" * scope.endswith(":*")):
                raise ValueError(
                    f"scope_rule[{name!r}] holds {scope!r}: scopes have the form resource:action"
                )


def check_rule_function(rule: ScopeRule) -> None:
    """
    Refuse a function that cannot be called.

    Raises:
        ValueError: It does not take actor types and role, or is ``async``.
    """
    if inspect.iscoroutinefunction(rule):
        raise ValueError("scope_rule cannot be an async function: it is asked at each request")
    try:
        inspect.signature(rule).bind(frozenset(), None)
    except TypeError:
        raise ValueError(
            "scope_rule takes two arguments, the actor types and the organization role"
        ) from None
    except ValueError:
        return


def check_form(scopes: Collection[str]) -> tuple[str, ...]:
    """
    Convert *scopes* to their stored form: distinct, sorted.

    Raises:
        ValidationFailed: One is not ``resource:action``, or there are too many.
    """
    if len(scopes) > MAX_SCOPES:
        raise ValidationFailed(details=(("scopes", f"At most {MAX_SCOPES} scopes."),))
    if not all(SCOPE.fullmatch(scope) for scope in scopes):
        raise ValidationFailed(details=(("scopes", "A scope has the form resource:action."),))
    return tuple(sorted(set(scopes)))


def check_grant(scopes: Collection[str], *, may_use: Callable[[str], bool]) -> None:
    """
    Refuse to grant more than the creator holds.

    Raises:
        InsufficientScope: The creator may not use one of the scopes.
    """
    missing = [scope for scope in scopes if not may_use(scope)]
    if missing:
        raise InsufficientScope.of(missing, "You cannot grant a scope that you do not hold.")
