"""
The three reads of the hot path, as one SQL text for both databases, and the row that they return.

Written out instead of built, because SQLAlchemy would cost more than the query. Each begins at a unique index and
joins what is true of the owner now: of a user ban, actor types, second factor and membership, of a service account
whether it is enabled and its scopes. A member's row and a service account's go with the organization, so theirs exists.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from czo_auth.core.api_keys.key import KeyRestrictions, rate_limit_of
from czo_auth.core.api_keys.quota import quota_of
from czo_auth.core.transaction import CredentialRecord
from czo_auth.storage.column_types import from_milliseconds
from czo_auth.storage.tables import checked_prefix

_COLUMNS = """
SELECT c.id, c.user_id, c.actor_type, u.actor_types, u.banned_at IS NOT NULL,
       CASE WHEN f.user_id IS NULL THEN 0 ELSE 1 END +
       CASE WHEN EXISTS (SELECT 1 FROM {prefix}passkeys AS p WHERE p.user_id = c.user_id) THEN 2 ELSE 0 END +
       CASE WHEN u.passkeys_enabled_at IS NULL THEN 0 ELSE 4 END,
       c.organization_id, m.role, c.expires_at"""

_TOTP, _PASSKEY, _PASSKEYS_ENABLED = 1, 2, 4
"""What the sum is made of: the factors that the owner has, and whether a passkey counts as a second step."""
_PASSKEY_STEP = _PASSKEY | _PASSKEYS_ENABLED
_FACTORS: Final = tuple(
    (
        factors & (_TOTP | _PASSKEY) != 0,
        factors & _PASSKEY != 0,
        factors & _TOTP != 0 or factors & _PASSKEY_STEP == _PASSKEY_STEP,
    )
    for factors in range(8)
)
"""By the sum: whether the owner has a factor, whether a passkey, and whether two factors are on."""

_OWNER = """
{join} {prefix}users AS u ON u.id = c.user_id
LEFT JOIN {prefix}factors AS f ON f.user_id = c.user_id
LEFT JOIN {prefix}members AS m ON m.organization_id = c.organization_id AND m.user_id = c.user_id{more}
WHERE c.{by} = {placeholder} AND c.revoked_at IS NULL"""

# As text, because drivers decode JSON differently.
_GRANTS = "u.created_at, CAST(u.actor_type_grants AS TEXT)"

_API_KEY = (
    _COLUMNS + ", c.enabled, c.scopes, c.last_used_at, c.allowed_ips, c.rate_limit_max, "
    "c.rate_limit_window_seconds, m.two_factor_due_at, "
    + _GRANTS
    + ", c.quota_max, c.quota_period, c.quota_id, s.id, s.enabled, s.scopes, c.{by}"
    + "\nFROM {prefix}api_keys AS c"
    + _OWNER
)
_SESSION = (
    _COLUMNS + ", c.aal, c.amr, c.auth_time, c.factor_proved_at, COALESCE(c.lineage_id, c.id), "
    "COALESCE(c.last_used_at, c.created_at), m.two_factor_due_at, " + _GRANTS + ", f.renew_by, c.{by}"
    "\nFROM {prefix}sessions AS c" + _OWNER
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupSql:
    """One statement per lookup; each takes one parameter, and the last column is what the row was found by."""

    api_key: str
    api_key_by_id: str
    session: str
    session_by_id: str


def lookup_sql(prefix: str, *, placeholder: str) -> LookupSql:
    """
    Write the statements.

    Args:
        placeholder: How the driver marks a parameter: ``?``, or ``ANY($1)`` for a list of values.

    Raises:
        ValueError: The prefix is not valid in SQL.
    """
    prefix = checked_prefix(prefix)
    return LookupSql(
        api_key=_api_key(prefix, by="digest", placeholder=placeholder),
        api_key_by_id=_api_key(prefix, by="id", placeholder=placeholder),
        session=_session(prefix, by="digest", placeholder=placeholder),
        session_by_id=_session(prefix, by="id", placeholder=placeholder),
    )


def _api_key(prefix: str, *, by: str, placeholder: str) -> str:
    accounts = f"\nLEFT JOIN {prefix}service_accounts AS s ON s.id = c.service_account_id"
    return _API_KEY.format(prefix=prefix, by=by, placeholder=placeholder, join="LEFT JOIN", more=accounts)


def _session(prefix: str, *, by: str, placeholder: str) -> str:
    return _SESSION.format(prefix=prefix, by=by, placeholder=placeholder, join="JOIN", more="")


def api_key_record(row: Any) -> CredentialRecord:
    """Read a row of `LookupSql.api_key`."""
    if row[21] is not None:
        return _service_account_record(row)
    owns_factor, has_passkey, has_factor = _FACTORS[row[5]]
    held = row[3]
    # By position, in the order of the fields: half the time of keywords.
    return CredentialRecord(
        row[0],
        row[1],
        row[2],
        # A key without an owner is nobody's.
        _NOTHING if held is None else _word_set(held),
        held is None or row[4] != 0,
        owns_factor,
        has_passkey,
        has_factor,
        row[6],
        row[7],
        _time(row[8]),
        _time(row[11]),
        _StoredGrants(row[16], row[17]),
        _time(row[15]),
        row[9] != 0,
        _words(row[10]),
        None if row[12] is None and row[13] is None and row[18] is None else _restrictions(row),
    )


class _StoredGrants(NamedTuple):
    """
    Implements `czo_auth.core.actors.GrantDates` by two columns, which are parsed only when a dated rule asks.

    Attributes:
        since: Unit: milliseconds since 1970.
        later: A JSON object of the same by name; None if it is empty.
    """

    since: int | None
    later: str | None

    def granted_at(self, name: str) -> datetime:
        later = {} if self.later is None else json.loads(self.later)
        return from_milliseconds(later.get(name, self.since or 0))


_NOTHING: Final = frozenset[str]()
_NO_GRANTS: Final = _StoredGrants(None, None)


@lru_cache(maxsize=256)
def _words(text: str) -> tuple[str, ...]:
    """Split words; cached, because few combinations are in use."""
    return tuple(text.split())


@lru_cache(maxsize=256)
def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _service_account_record(row: Any) -> CredentialRecord:
    """A key has what its account has; which scopes those are is read each time."""
    granted = _word_set(row[23])
    return CredentialRecord(
        id=row[0],
        user_id=None,
        service_account_id=row[21],
        actor_type=None,
        actor_types=_NOTHING,
        banned=False,
        owns_factor=False,
        has_passkey=False,
        has_factor=False,
        organization_id=row[6],
        organization_role=None,
        expires_at=_time(row[8]),
        enabled=bool(row[9]) and bool(row[22]),
        scopes=tuple([scope for scope in row[10].split() if scope in granted]),
        last_used_at=_time(row[11]),
        grants=_NO_GRANTS,
        restrictions=None if row[12] is None and row[13] is None and row[18] is None else _restrictions(row),
    )


def _restrictions(row: Any) -> KeyRestrictions:
    return KeyRestrictions(
        allowed_ips=None if row[12] is None else tuple(row[12].split()),
        rate_limit=rate_limit_of(row[13], row[14]),
        quota=quota_of(row[18], row[19], row[20]),
    )


def session_record(row: Any) -> CredentialRecord:
    """Read a row of `LookupSql.session` or `LookupSql.session_by_id`."""
    owns_factor, has_passkey, has_factor = _FACTORS[row[5]]
    # By position, as for a key, up to where the two differ.
    return CredentialRecord(
        row[0],
        row[1],
        row[2],
        _word_set(row[3]),
        row[4] != 0,
        owns_factor,
        has_passkey,
        has_factor,
        row[6],
        row[7],
        _time(row[8]),
        _time(row[14]),
        _StoredGrants(row[16], row[17]),
        _time(row[15]),
        aal=row[9],
        amr=_words(row[10]),
        auth_time=_time(row[11]),
        factor_proved_at=_time(row[12]),
        lineage_id=row[13],
        renew_by=_time(row[18]),
    )


def _time(value: int | None) -> datetime | None:
    return None if value is None else from_milliseconds(value)
