"""
django-allauth's addresses, authenticator apps and WebAuthn credentials.

Recovery codes are derived from a stored seed, so they are not hashed and not imported. An adapter of the project may
encrypt secrets; ``--decrypt`` names the function that decrypts them.

Source: django-allauth 65.22 ``mfa/models.py``, ``mfa/totp``, ``mfa/webauthn``, ``account/models.py``.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from czo_auth.core.flows.administration.import_records import SourcePasskey, SourceTotp
from czo_auth.crypto import base64url
from czo_auth.crypto.passkeys import InvalidResponse, authenticator_data_of
from czo_auth.extras import require_extra
from czo_auth.importers import Reader, ReaderOptions
from czo_auth.importers.django import DjangoReader, Factors, attested_credential, base32_secret
from czo_auth.importers.source import Row, Source, SourceRefused, json_of, time_of

_TABLE: Final = "mfa_authenticator"
_ADDRESSES: Final = "account_emailaddress"
_FLAGS, _COUNT, _ATTESTED = 32, 33, 37
_BACKUP_ELIGIBLE, _BACKED_UP, _HAS_CREDENTIAL = 0x08, 0x10, 0x40


def reader(source: Source, options: ReaderOptions) -> Reader:
    """Make the reader."""
    return _Allauth(source, options)


class _Allauth(DjangoReader):
    tables = (_ADDRESSES,)

    async def add_factors(self, rows: Sequence[Row], factors: defaultdict[object, Factors]) -> None:
        ids = [user["id"] for user in rows]
        for row in await self.source.among(_ADDRESSES, "user_id", ids):
            if row["primary"]:
                factors[row["user_id"]].email = row["email"]
                factors[row["user_id"]].email_verified = bool(row["verified"])
        if not await self.source.columns(_TABLE):
            return
        for row in await self.source.among(_TABLE, "user_id", ids):
            of_user, data = factors[row["user_id"]], json_of(row["data"])
            match row["type"]:
                case "totp":
                    text = self.clear_secret(data["secret"], of_user.notes)
                    secret = None if text is None else base32_secret(text, of_user.notes)
                    of_user.totp = None if secret is None else SourceTotp(secret=secret)
                case "webauthn":
                    require_extra("passkeys", "Importing WebAuthn credentials")
                    try:
                        of_user.passkeys.append(_passkey(row, data))
                    except (KeyError, TypeError, ValueError, InvalidResponse, SourceRefused):
                        of_user.notes.append("a WebAuthn credential cannot be read")
                case _:
                    pass


def _passkey(row: Row, data: Any) -> SourcePasskey:
    response = data["credential"]["response"]
    found = authenticator_data_of(base64url.decode(response["attestationObject"].rstrip("=")))
    flags = found[_FLAGS]
    if not flags & _HAS_CREDENTIAL:
        raise SourceRefused("there is no credential in it")
    credential = attested_credential(found[_ATTESTED:])
    (count,) = struct.unpack(">I", found[_COUNT:_ATTESTED])
    return SourcePasskey(
        name=str(data.get("name") or "")[:64] or None,
        credential_id=credential.credential_id,
        public_key=credential.public_key,
        sign_count=count,
        aaguid=credential.aaguid,
        backup_eligible=bool(flags & _BACKUP_ELIGIBLE),
        backed_up=bool(flags & _BACKED_UP),
        transports=tuple(response.get("transports") or ()),
        # allauth uses the user's primary key as user handle.
        user_handle=base64url.encode(str(row["user_id"]).encode()),
        created_at=time_of(row["created_at"]),
        is_factor=True,
    )
