"""
django-mfa's authenticator apps and WebAuthn credentials.

Its recovery codes are hashed in a form that we cannot verify, so users make new ones. Secrets may be signed and
compressed, but not encrypted; both is undone here.

Source: django-mfa 4.6.1 ``models.py``, ``crypto.py``, ``handles.py``, ``adapters/webauthn.py``; Django's
``signing.py``.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from czo_auth.core.flows.administration.import_records import SourcePasskey, SourceTotp
from czo_auth.crypto import base64url
from czo_auth.importers import Reader, ReaderOptions
from czo_auth.importers.django import DjangoReader, Factors, attested_credential, base32_secret
from czo_auth.importers.source import Row, Source, SourceRefused, json_of, time_of

_TABLE: Final = "django_mfa_authenticator"
_HANDLES: Final = "django_mfa_mfauserhandle"
_SIGNED: Final = "mfa1:"
_MAX_SECRET: Final = 1024


def reader(source: Source, options: ReaderOptions) -> Reader:
    """Make the reader."""
    return _DjangoMfa(source, options)


class _DjangoMfa(DjangoReader):
    tables = (_TABLE,)

    async def add_factors(self, rows: Sequence[Row], factors: defaultdict[object, Factors]) -> None:
        ids = [user["id"] for user in rows]
        handles = {
            row["user_id"]: base64url.encode(str(_uuid(row["handle"])).encode())
            for row in await self.source.among(_HANDLES, "user_id", ids)
        }
        for row in await self.source.among(_TABLE, "user_id", ids):
            of_user, data = factors[row["user_id"]], json_of(row["data"])
            match row["type"]:
                case "totp":
                    secret = base32_secret(_unsigned(data["secret"]), of_user.notes)
                    if secret is not None:
                        of_user.totp = SourceTotp(secret=secret, last_step=data.get("last_verified_counter"))
                case "webauthn":
                    try:
                        of_user.passkeys.append(_passkey(row, data, handles.get(row["user_id"], "")))
                    except (KeyError, TypeError, ValueError, SourceRefused):
                        of_user.notes.append("a WebAuthn credential cannot be read")
                case "email":
                    of_user.notes.append("codes by mail were not taken")
                case _:
                    pass


def _uuid(value: object) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def _unsigned(stored: str) -> str:
    """Return what Django signed: base64url of JSON, compressed if a dot precedes it, then time and signature."""
    if not stored.startswith(_SIGNED):
        return stored
    payload = stored.removeprefix(_SIGNED).rsplit(":", 2)[0]
    try:
        data = base64url.decode(payload.removeprefix("."))
        if payload.startswith("."):
            data = zlib.decompressobj().decompress(data, _MAX_SECRET)
        return str(json.loads(data))
    except (ValueError, zlib.error):
        return ""


def _passkey(row: Row, data: dict[str, Any], handle: str) -> SourcePasskey:
    credential = attested_credential(bytes.fromhex(data["credential_data"]))
    return SourcePasskey(
        name=str(row.get("name") or "")[:64] or None,
        credential_id=credential.credential_id,
        public_key=credential.public_key,
        sign_count=int(data.get("sign_count") or 0),
        aaguid=credential.aaguid,
        backup_eligible=bool(data.get("backup_eligible")),
        backed_up=bool(data.get("backed_up")),
        transports=tuple(data.get("transports") or ()),
        user_handle=handle,
        created_at=time_of(row["created_at"]),
        is_factor=True,
    )
