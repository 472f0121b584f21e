"""
django-mfa2's authenticator apps and security keys, which it stores by the name of the user.

It keeps neither a counter nor the flags of a security key, so a synced passkey is imported as bound to its device, and
must be added again if the browser reports otherwise. Recovery codes are not imported.

Source: django-mfa2 3.2.0 ``models.py``, ``totp.py``, ``FIDO2.py``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from czo_auth.core.flows.administration.import_records import SourcePasskey, SourceTotp
from czo_auth.crypto import base64url
from czo_auth.importers import Reader, ReaderOptions
from czo_auth.importers.django import DjangoReader, Factors, attested_credential, base32_secret
from czo_auth.importers.source import Row, Source, SourceRefused, json_of, time_of

_TABLE: Final = "mfa_user_keys"


def reader(source: Source, options: ReaderOptions) -> Reader:
    """Make the reader."""
    return _DjangoMfa2(source, options)


class _DjangoMfa2(DjangoReader):
    tables = (_TABLE,)

    async def add_factors(self, rows: Sequence[Row], factors: defaultdict[object, Factors]) -> None:
        ids = {row["username"]: row["id"] for row in rows}
        for row in await self.source.among(_TABLE, "username", list(ids)):
            of_user, properties = factors[ids[row["username"]]], json_of(row["properties"]) or {}
            if not row["enabled"]:
                continue
            if row["key_type"] == "TOTP":
                if of_user.totp is not None:
                    of_user.notes.append("of several authenticator apps one was taken")
                    continue
                secret = base32_secret(str(properties.get("secret_key", "")), of_user.notes)
                of_user.totp = None if secret is None else SourceTotp(secret=secret)
            elif row["key_type"] == "FIDO2":
                try:
                    of_user.passkeys.append(_passkey(row, str(properties["device"])))
                except (KeyError, ValueError, SourceRefused):
                    of_user.notes.append("a security key cannot be read")


def _passkey(row: Row, device: str) -> SourcePasskey:
    credential = attested_credential(base64url.decode(device.rstrip("=")))
    return SourcePasskey(
        name=None,
        credential_id=credential.credential_id,
        public_key=credential.public_key,
        sign_count=0,
        aaguid=credential.aaguid,
        backup_eligible=False,
        backed_up=False,
        transports=(),
        user_handle="",
        created_at=time_of(row["added_on"]),
        is_factor=True,
    )
