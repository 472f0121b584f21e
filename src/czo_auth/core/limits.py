"""
Every bound on what callers send and on what they can make grow, defined once.

Flows enforce them; request models, forms and the command line import them, so that they refuse the same things earlier.
Units are in the names or next to them.
"""

from __future__ import annotations

import re
from typing import Final

# --- what is sent ----------------------------------------------------------------------------------------------------
MAX_BODY_BYTES: Final = 64 * 1024
MAX_GRAPHQL_BYTES: Final = 16 * 1024
MAX_JSON_DEPTH: Final = 32
MAX_UNREAD_BYTES: Final = 1024 * 1024
"""How much of a refused body is read anyway, so that the client gets to read the refusal."""

MAX_NAME: Final = 200
MAX_REASON: Final = 500
MAX_EMAIL: Final = 320
"""Characters as typed; the canonical form is shorter (`core.users.email`)."""

MAX_URL: Final = 2048
MAX_METADATA_BYTES: Final = 4096
MAX_SLUG: Final = 64
MAX_FORM_FIELDS: Final = 200
MAX_OAUTH_PARAMETERS: Final = 64
MAX_TRANSLATION_BYTES: Final = 512 * 1024
MAX_QUEUED_MAILS: Final = 10_000
MAX_LOGO_BYTES: Final = 256 * 1024
MAX_FAVICON_BYTES: Final = 64 * 1024
MAX_BRAND_NAME: Final = 64
MAX_FOOTER_LINKS: Final = 10
MAX_FOOTER_LABEL: Final = 40
MAX_NAVIGATION: Final = 500
"""Characters of a page's own address that a form passes on."""

MAX_ROLE: Final = 32
MAX_CODE: Final = 64
MAX_TOKEN: Final = 4096
MAX_ID: Final = 64
MAX_ISSUER: Final = 64
MAX_SEARCH: Final = 254
MAX_ACTOR_TYPES: Final = 32
MAX_SCOPE: Final = 130
MAX_SCOPES: Final = 64
MAX_ADDRESSES: Final = 20
"""Addresses and networks on the allow-list of a key."""

MAX_ADDRESS: Final = 64
MAX_LEAK_MATCHES: Final = 500
MAX_LEAK_TOKEN: Final = 512
MAX_LEAK_SOURCE: Final = 64
MAX_LEAK_PLACE: Final = 512
"""Characters of the address where a key was found, as it is kept and mailed."""

MAX_EXTERNAL_ID: Final = 255
"""Characters of the id that an imported user had in the other system."""

MAX_IMPORTED_LINE_BYTES: Final = 64 * 1024
MAX_PASSKEY_RESPONSE: Final = 60_000
"""Characters of an authenticator's response, as the JSON that a page sends."""

MAX_EXCHANGED_SECONDS: Final = 900
"""Lifetime of an access token that an API key is exchanged for."""

MAX_GRACE_DAYS: Final = 90
"""Days without a second factor that an actor type or an organization may allow."""

MAX_EXEMPTION_DAYS: Final = 90
"""Days between the start of a member's first exemption and the end of their last one."""

MAX_NOTICE: Final = 512
"""Characters of a sealed notice for the next page."""

MAX_SEALED_FORM: Final = 3500
"""Characters of sealed form input, so that it fits into a cookie; longer forms are not saved."""

MAX_SENT_NUMBER: Final = 10**12
"""Seconds of a key's lifetime that a request may ask for; more than a century counts as a century."""

MAX_SENT_LIFETIME: Final = 10**10
"""Seconds that an exchange may ask for; the token gets at most `MAX_EXCHANGED_SECONDS`."""

MAX_SENT_ROLES: Final = 8
MAX_AUDIT_NUMBER: Final = 2**62

MAX_CANONICAL_EMAIL_BYTES: Final = 254
"""Source: RFC 5321 section 4.5.3.1.3, without the angle brackets."""

MAX_KEY_DAYS: Final = 3650
"""The longest maximum lifetime, or time without use, that can be set for API keys."""

MAX_RATE_LIMIT_REQUESTS: Final = 1_000_000
MAX_RATE_LIMIT_SECONDS: Final = 86_400
MAX_QUOTA: Final = 1_000_000_000
"""Uses of a key in a day or a month that a quota may allow."""

USAGE_DAYS: Final = 400
"""Days for which a key's daily use counts are kept."""

MAX_PASSKEY_NAME: Final = 64

# --- lists -----------------------------------------------------------------------------------------------------------
DEFAULT_PAGE: Final = 100
"""Rows that a list returns by default, and the most in an array that cannot be paged."""

MAX_PAGE: Final = 500
MAX_CURSOR: Final = 128
MAX_OFFSET: Final = 10**6
MAX_BETTER_AUTH_PAGE: Final = 1000
"""What better-auth's client may ask for; it gets at most `MAX_PAGE`."""

MAX_LISTED_KEYS: Final = 50
"""Keys that one mail lists; the linked page lists all."""

MAX_DUE_ORGANIZATIONS: Final = 10
"""Organizations with a two-factor rule that the overview lists, those that refuse the most members first."""

MAX_LISTED_FAILURES: Final = 20
"""Rows of each kind that a check of the encryption keys lists; further ones are only counted."""

# the index that a search of users by a text looks in
MAX_LISTED: Final = 500
"""Candidates that are looked up by their ids."""

MAX_TRIGRAMS: Final = 64
"""Of a searched text, looked up in SQLite's index: each is one list of users."""

MAX_CANDIDATES: Final = 10_000
"""With more, SQLite reads users in the order of the list: those that match are so frequent that a page is soon full."""

MAX_COUNTED: Final = 10_000
"""Matches of a filter or a searched text that pages count: with more, they say "10,000 or more"."""

# --- GraphQL documents -----------------------------------------------------------------------------------------------
MAX_GRAPHQL_TOKENS: Final = 500
MAX_GRAPHQL_DEPTH: Final = 8
MAX_GRAPHQL_ALIASES: Final = 20
MAX_GRAPHQL_FIELDS: Final = 200
MAX_GRAPHQL_LISTS: Final = 10
"""Fields that return a list of objects, under any number of names: each may cost a page of rows."""

MAX_GRAPHQL_INTROSPECTED: Final = 1000
"""Fields below ``__schema`` and ``__type`` where introspection is enabled; the usual tools request about 400."""

MAX_GRAPHQL_NESTING: Final = 32
"""Nested selection sets, inline fragments and spreads included; bounds the recursion of our own code."""

MAX_GRAPHQL_PROBLEMS: Final = 20
"""Errors that one refused document reports."""

# --- what one user or organization keeps -----------------------------------------------------------------------------
MAX_SESSIONS: Final = 100
"""Live sessions of a user; beyond that, the least recently used ones end."""

MAX_ENDED_SESSIONS: Final = 1000
"""Ended sessions of a user that are not deleted yet; beyond that, those that ended first are deleted."""

MAX_REFRESHES: Final = 10_000
"""Times that a session is refreshed; beyond that, it ends. About one a minute for the seven days of a session."""

MAX_CHALLENGES: Final = 100
"""Sign-ins of a user that are waiting for the second factor; beyond that, the oldest ones end."""

MAX_API_KEYS_A_DAY: Final = 500
"""Keys that a user can create or rotate in a day, by default; including those that have since ended."""

MAX_SERVICE_ACCOUNTS: Final = 100
"""Of an organization."""
MAX_SERVICE_ACCOUNTS_A_DAY: Final = 500
"""Service accounts that an organization can create in a day; including deleted ones."""
MAX_SERVICE_ACCOUNT_KEYS: Final = 100
"""Live keys of a service account; the same number of rotated keys may stay valid during their overlap."""
MAX_SERVICE_ACCOUNT_KEYS_A_DAY: Final = 2000
"""
Keys of service accounts that an organization can create or rotate in a day; including those that have since ended.
"""
MAX_DESCRIPTION: Final = 500
"""Of a service account or a webhook endpoint."""

MAX_INVITATIONS_A_DAY: Final = 100
"""Of one inviter; of one organization, twice as many."""

MAX_INVITATIONS_UNCONFIRMED: Final = 10
"""Of an inviter whose address is not confirmed, in a day."""

MAX_ORGANIZATIONS_A_DAY: Final = 200
"""Organizations that a user can create in a day; including those that were deleted or handed over since."""

MAX_MEMBERSHIPS: Final = 1000
"""Organizations that a user can join; operators and the host's code may add them to more."""

MAX_MEMBERS: Final = 1000
MAX_PENDING_INVITATIONS: Final = 1000
MAX_TRUSTED_DEVICES: Final = 100
"""Beyond that, the least recently used device is forgotten."""

MAX_USED_CODES: Final = 100
"""Spent backup codes of a user that are kept beside the live ones; beyond that, those spent first are deleted."""

MAX_EMAIL_CHANGES_A_DAY: Final = 20
"""Changes of address that a user asks for; each mails two addresses and is kept while it can be taken back."""

MAX_RECORDS_A_DAY: Final = 10_000
"""Audit records that one user causes by sessions and keys; likewise the service accounts of one organization."""

MAX_PROOF_RECORDS_A_DAY: Final = 10_000
"""Audit records of one user that take a proof: sign-ins, codes, changes of the password. Counted separately."""

MAX_ADMINISTRATOR_RECORDS_A_DAY: Final = 100_000
"""Audit records that one administrator causes in sessions with a verified second factor."""

MAX_STRANGER_RECORDS_A_DAY: Final = 20_000
"""Audit records that requests from one network cause, without a verified identity: failed sign-ins, requested mails."""

MAX_FORGOTTEN_PROOFS_A_DAY: Final = 10
"""Password resets of one user in a day that restart the count of `MAX_PROOF_RECORDS_A_DAY`."""

MAX_SIGN_UPS_A_DAY: Final = 10_000
"""New accounts from one network."""

MAX_USER_FIELDS_BYTES: Final = 4096
"""Size of all own fields of a user as JSON."""

MAX_PASSKEYS: Final = 20
MAX_PASSKEY_ANSWERS: Final = 2000
"""Passkey ceremonies that may be answered from one network within their lifetime; each leaves a row for that long."""

MAX_DEVICE_CODES: Final = 10_000
"""Pending requests of devices in a deployment; strangers can make them."""

MAX_DEVICE_CODES_AN_HOUR: Final = 60
"""New codes of devices for one network."""

MAX_DEVICE_GUESSES_A_MINUTE: Final = 10
"""Wrong user codes from one network, and from one session."""

MAX_LIVE_LINKS: Final = 50
"""Unopened links per user and purpose; beyond that, no further mail is sent."""

MAX_IDEMPOTENT_REQUESTS: Final = 50
"""Stored answers to repeatable requests per sign-in; the oldest are deleted first."""

MAX_GUESS_COUNTERS: Final = 100_000
"""Counters of wrong passwords in the database; beyond that, those that expire soonest are deleted first."""

MAX_WEBHOOKS: Final = 20
"""Endpoints of an organization, and of the administrators."""
MAX_WEBHOOK_PATTERNS: Final = 50
MAX_WEBHOOK_PATTERNS_TEXT: Final = 4000
"""Characters of the form field that takes all patterns of an endpoint."""
MAX_WEBHOOK_URL: Final = 2048
MAX_WEBHOOK_SECRETS: Final = 10
"""Secrets of one endpoint that sign at the same time."""
MAX_WEBHOOK_TESTS: Final = 100
"""Stored test deliveries per endpoint; beyond that, the oldest is deleted."""
MAX_WEBHOOK_ANSWER_BYTES: Final = 4096
"""Bytes of an endpoint's response body that are read."""

MAX_REVOKED_AT_ONCE: Final = 1000

# --- what one process keeps in memory or logs ------------------------------------------------------------------------
MAX_LIMIT_COUNTERS: Final = 50_000
"""Rate limit counters, about 20 MB; beyond that, the one that was started least recently is dropped."""

MAX_RECORDED_REFUSALS: Final = 10_000
"""Refusals that are remembered so that each is recorded once an hour; beyond that, the oldest are forgotten."""

MAX_HASH_KINDS: Final = 4
"""Kinds of imported password hashes, by format and cost, for which sign-in takes the same time."""

MAX_LOGGED_ORIGINS: Final = 100
"""Different refused origins that are logged; clients choose them."""

MAX_LOGGED_CAUSES: Final = 100
"""Different causes of database errors that are logged with their details."""

# --- what an operator chooses ----------------------------------------------------------------------------------------
MAX_SETTING_FILE_BYTES: Final = 64 * 1024
MAX_TABLE_PREFIX: Final = 24
"""With a longer prefix, the names of some indexes would exceed PostgreSQL's 63 bytes."""

_TABLE_PREFIX: Final = re.compile(rf"[a-z_][a-z0-9_]{{0,{MAX_TABLE_PREFIX - 1}}}")
_RESERVED_PREFIXES: Final = ("pg_", "sqlite_")
TABLE_PREFIX_RULE: Final = (
    f"must be 1 to {MAX_TABLE_PREFIX} of the characters a-z, 0-9 and _, and begin neither with a digit nor with "
    + " nor ".join(_RESERVED_PREFIXES)
)


def is_table_prefix(text: str) -> bool:
    """Whether the names of tables may begin with *text*, on both databases and without quotes."""
    return _TABLE_PREFIX.fullmatch(text) is not None and not text.startswith(_RESERVED_PREFIXES)


# keys of other systems
MAX_RETIRED_KEY_FORMATS: Final = 8
MAX_RETIRED_KEY_LENGTH: Final = 256
MIN_RETIRED_KEY_SECRET: Final = 22
"""Characters after the prefix: 22 of an alphabet of 64 are 132 bits."""
