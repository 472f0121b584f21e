"""
django-otp's authenticator apps.

Static tokens are stored in clear and are not imported. Source: django-otp 1.7.5 ``plugins/otp_totp/models.py``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from czo_auth.core.flows.administration.import_records import SourceTotp
from czo_auth.crypto import totp
from czo_auth.importers import Reader, ReaderOptions
from czo_auth.importers.django import DjangoReader, Factors
from czo_auth.importers.source import Row, Source

_TABLE = "otp_totp_totpdevice"


def reader(source: Source, options: ReaderOptions) -> Reader:
    """Make the reader."""
    return _DjangoOtp(source, options)


class _DjangoOtp(DjangoReader):
    tables = (_TABLE,)

    async def add_factors(self, rows: Sequence[Row], factors: defaultdict[object, Factors]) -> None:
        for row in await self.source.among(_TABLE, "user_id", [user["id"] for user in rows]):
            of_user = factors[row["user_id"]]
            if not row["confirmed"]:
                continue
            if of_user.totp is not None:
                of_user.notes.append("of several authenticator apps one was taken")
                continue
            if (row["step"], row["t0"], row["digits"]) != (totp.PERIOD, 0, totp.DIGITS):
                of_user.notes.append(
                    "the authenticator app was not imported: it has other digits or steps than ours"
                )
                continue
            key = self.clear_secret(row["key"], of_user.notes)
            if key is None:
                continue
            try:
                of_user.totp = SourceTotp(secret=bytes.fromhex(key), last_step=max(row["last_t"], 0))
            except ValueError:
                of_user.notes.append("the TOTP secret was not imported: it is not hexadecimal")
