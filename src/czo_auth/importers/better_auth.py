"""
better-auth's tables, with those of its two-factor, api-key, passkey and organization plugins.

better-auth-server for Python writes the same tables. Read: users with scrypt passwords, TOTP secrets (sealed under its
secret), passkeys, digests of API keys, organizations and members. Not imported: backup codes, which are sealed rather
than hashed, and the user handles of passkeys, which better-auth does not store.

Source: better-auth 1.7.5, @better-auth/api-key 1.7.5, @better-auth/passkey 1.7.6, better-auth-server 1.1.0.
"""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from czo_auth.core.flows.administration.import_records import (
    SourceAccount,
    SourceApiKey,
    SourceOrganization,
    SourcePasskey,
    SourceTotp,
)
from czo_auth.core.flows.administration.import_users import SourceUser
from czo_auth.core.organizations import roles
from czo_auth.crypto import base64url
from czo_auth.importers import Reader, ReaderOptions, Unreadable
from czo_auth.importers.source import Row, Source, SourceRefused, json_of, require_tables, time_of
from czo_auth.importers.xchacha import CannotOpen, open_sealed

_NO_AAGUID = "00000000-0000-0000-0000-000000000000"
_KEY_DIGEST_BYTES = 32


def reader(source: Source, options: ReaderOptions) -> Reader:
    """Make the reader."""
    return _BetterAuth(source, options)


class _BetterAuth:
    def __init__(self, source: Source, options: ReaderOptions) -> None:
        self._source = source
        self._options = options
        self._users = options.users_table or "user"

    async def accounts(self) -> AsyncIterator[SourceAccount | Unreadable]:
        await require_tables(self._source, self._users, "account")
        if await self._source.columns("twoFactor") and not self._options.secrets:
            raise SourceRefused("TOTP secrets are sealed: give better-auth's secret with --secret-file")
        async for users in self._source.rows(self._users):
            ids = [row["id"] for row in users]
            passwords = await self._by_user("account", ids)
            factors = await self._by_user("twoFactor", ids)
            passkeys = await self._by_user("passkey", ids)
            keys = await self._keys_of(ids)
            for row in users:
                found = row["id"]
                yield self._account(row, passwords[found], factors[found], passkeys[found], keys[str(found)])

    async def organizations(self) -> AsyncIterator[SourceOrganization]:
        if not await self._source.columns("organization"):
            return
        async for organizations in self._source.rows("organization"):
            members = await self._by_user(
                "member", [row["id"] for row in organizations], column="organizationId"
            )
            # From a plugin configuration with `references: "organization"`.
            keys = await self._keys_of([row["id"] for row in organizations])
            for row in organizations:
                metadata = json_of(row.get("metadata"))
                notes: list[str] = []
                taken = tuple(filter(None, (_api_key(each, notes) for each in keys[str(row["id"])])))
                yield SourceOrganization(
                    source_id=str(row["id"]),
                    name=row["name"],
                    slug=str(row["slug"]).lower(),
                    metadata=metadata if isinstance(metadata, dict) else None,
                    members=tuple((str(each["userId"]), _role(each["role"])) for each in members[row["id"]]),
                    api_keys=taken,
                    notes=tuple(notes),
                )

    async def _keys_of(self, owners: Sequence[object]) -> defaultdict[str, list[Row]]:
        """Read the API keys of users or organizations, by the owner's id as text, as keys store it."""
        columns = await self._source.columns("apikey")
        if "referenceId" not in columns:
            of_users = await self._by_user("apikey", owners)
            return defaultdict(list, {str(owner): keys for owner, keys in of_users.items()})
        found: defaultdict[str, list[Row]] = defaultdict(list)
        for row in await self._source.among("apikey", "referenceId", [str(owner) for owner in owners]):
            found[str(row["referenceId"])].append(row)
        return found

    async def _by_user(
        self, table: str, ids: Sequence[object], *, column: str = "userId"
    ) -> defaultdict[object, list[Row]]:
        grouped: defaultdict[object, list[Row]] = defaultdict(list)
        if await self._source.columns(table):
            for row in await self._source.among(table, column, ids):
                grouped[row[column]].append(row)
        return grouped

    def _account(
        self, row: Row, accounts: list[Row], factors: list[Row], passkeys: list[Row], keys: list[Row]
    ) -> SourceAccount:
        notes: list[str] = []
        password = next((each["password"] for each in accounts if each["providerId"] == "credential"), None)
        others = sorted({str(each["providerId"]) for each in accounts} - {"credential"})
        if others:
            notes.append(f"sign-in by {', '.join(others)} was not imported")
        return SourceAccount(
            source_id=str(row["id"]),
            user=SourceUser(
                email=row["email"],
                name=row["name"] or row["email"].partition("@")[0],
                password_hash=password,
                email_verified=bool(row["emailVerified"]),
                banned=bool(row.get("banned")),
                created_at=time_of(row["createdAt"]),
                external_id=str(row["id"]),
            ),
            totp=self._totp(row, factors, notes),
            passkeys=tuple(filter(None, (_passkey(each, notes) for each in passkeys))),
            api_keys=tuple(filter(None, (_api_key(each, notes) for each in keys))),
            notes=tuple(notes),
        )

    def _totp(self, row: Row, factors: list[Row], notes: list[str]) -> SourceTotp | None:
        verified = [each for each in factors if each.get("verified", True) in (True, 1, None)]
        if not row.get("twoFactorEnabled") or not verified:
            return None
        try:
            secret = open_sealed(verified[0]["secret"], self._options.secrets)
        except CannotOpen:
            notes.append("the TOTP secret does not open with the secret that was given")
            return None
        # The text itself is the key; authenticator apps store it in base32.
        return SourceTotp(secret=secret.encode())


def _passkey(row: Row, notes: list[str]) -> SourcePasskey | None:
    try:
        public_key = base64.b64decode(row["publicKey"], validate=True)
        credential_id = base64url.decode(row["credentialID"])
    except (ValueError, binascii.Error, TypeError):
        notes.append("a passkey cannot be read")
        return None
    return SourcePasskey(
        name=row.get("name"),
        credential_id=base64url.encode(credential_id),
        public_key=base64url.encode(public_key),
        sign_count=int(row["counter"]),
        aaguid=row.get("aaguid") or _NO_AAGUID,
        backup_eligible=row["deviceType"] == "multiDevice",
        backed_up=bool(row["backedUp"]),
        transports=tuple(filter(None, (row.get("transports") or "").split(","))),
        user_handle="",
        created_at=time_of(row.get("createdAt")),
        is_factor=False,
    )


def _api_key(row: Row, notes: list[str]) -> SourceApiKey | None:
    name = row.get("name") or "imported"
    try:
        digest = base64url.decode(row["key"])
    except ValueError:
        digest = b""
    if len(digest) != _KEY_DIGEST_BYTES:
        notes.append(f"the API key {name!r} was not imported: it is not kept as a digest of SHA-256")
        return None
    permissions = json_of(row.get("permissions"))
    return SourceApiKey(
        source_id=str(row["id"]),
        digest=digest.hex(),
        prefix=row.get("prefix") or "",
        shown=row.get("start") or "",
        name=name,
        scopes=tuple(
            f"{resource}:{action}"
            for resource, actions in (permissions.items() if isinstance(permissions, dict) else ())
            for action in actions
        ),
        enabled=bool(row.get("enabled", True)),
        expires_at=time_of(row.get("expiresAt")),
        created_at=time_of(row.get("createdAt")),
    )


def _role(text: str) -> str:
    """Return the highest of several roles that czo-auth has too, or the text unchanged."""
    known = [part.strip() for part in str(text).split(",") if roles.is_role(part.strip())]
    return max(known, key=lambda role: roles.RANK[role], default=str(text))
