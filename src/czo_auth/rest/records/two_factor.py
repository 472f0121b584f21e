"""Second factors: their state, new secrets and codes, trusted devices and pending resets."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema

from czo_auth.core.flows.two_factor import enroll
from czo_auth.core.flows.two_factor import manage as flow
from czo_auth.core.paging import Page
from czo_auth.core.two_factor import factor
from czo_auth.core.two_factor import reset as core_reset
from czo_auth.rest.records.base import ABSENT_IF_NONE, Count, Id, Listed, Record, Timestamp
from czo_auth.rest.records.sign_in import FactorMethod

TotpUri = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^otpauth://totp/"})]
TotpSecret = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[A-Z2-7]{32}$"})]
SvgUri = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^data:image/svg\\+xml;"})]


class TwoFactorStatus(Record):
    """
    The state of a user's second factors, without secrets.

    Attributes:
        two_factor_due_at: From when on the user needs a second factor that they lack.
        renew_by: Until when an imported secret that is too short must be replaced.
    """

    enabled: bool
    pending: bool
    required_by_policy: bool
    backup_codes_remaining: Count
    enabled_at: Timestamp | None
    methods: list[FactorMethod]
    passkeys: Count
    two_factor_due_at: Timestamp | None
    renew_by: Timestamp | None = ABSENT_IF_NONE

    @classmethod
    def of(cls, status: flow.TwoFactorStatus) -> Self:
        """Make the record of *status*."""
        return cls(
            enabled=status.enabled,
            pending=status.pending,
            required_by_policy=status.required_by_policy,
            backup_codes_remaining=status.backup_codes_remaining,
            enabled_at=status.enabled_at,
            methods=list(status.methods),
            passkeys=status.passkeys,
            two_factor_due_at=status.due_at,
            renew_by=status.renew_by,
        )


class PendingEnrollment(Record):
    """A new secret and backup codes; never shown again."""

    method: Literal["totp"]
    secret: TotpSecret
    totp_uri: TotpUri = Field(alias="totpURI")
    qr_code: SvgUri
    backup_codes: list[str]
    expires_at: Timestamp

    @classmethod
    def of(cls, pending: enroll.PendingEnrollment, *, qr_code: str) -> Self:
        """Make the record of *pending*; *qr_code* is a QR code of its URI, as a data URI."""
        return cls(
            method="totp",
            secret=pending.secret,
            totp_uri=pending.totp_uri,
            qr_code=qr_code,
            backup_codes=list(pending.backup_codes),
            expires_at=pending.expires_at,
        )


class EnrollmentUri(Record):
    """The URI of a pending enrollment."""

    totp_uri: TotpUri = Field(alias="totpURI")


class BackupCodes(Record):
    """New backup codes; never shown again."""

    status: Literal[True]
    backup_codes: list[str]


class TrustedDevice(Record):
    """A browser that skips the second factor at sign-in."""

    id: Id
    user_agent: str | None
    ip_address: str | None
    created_at: Timestamp
    last_used_at: Timestamp
    expires_at: Timestamp

    @classmethod
    def of(cls, device: factor.TrustedDevice) -> Self:
        """Make the record of *device*."""
        return cls(
            id=device.id,
            user_agent=device.user_agent,
            ip_address=device.ip,
            created_at=device.created_at,
            last_used_at=device.last_used_at,
            expires_at=device.expires_at,
        )


class TrustedDeviceList(Listed):
    trusted_devices: list[TrustedDevice]

    @classmethod
    def of(cls, page: Page[factor.TrustedDevice]) -> Self:
        """Answer with a page of trusted devices."""
        devices = [TrustedDevice.of(each) for each in page.items]
        return cls(trusted_devices=devices, total=page.total, next_cursor=page.next_cursor)


class Reset(Record):
    """A pending reset, for its user: without who requested it and why, which only administrators see."""

    id: Id
    asked_at: Timestamp
    due_at: Timestamp

    @classmethod
    def of(cls, reset: core_reset.Reset, **more: Any) -> Self:
        """Make the record of *reset*; *more* are the additional fields of a subclass."""
        return cls(id=reset.id, asked_at=reset.asked_at, due_at=reset.due_at, **more)


class AdministeredReset(Reset):
    """A pending reset, for an administrator."""

    user_id: Id
    asked_by: str | None
    reason: str

    @classmethod
    def of(cls, reset: core_reset.Reset, **more: Any) -> Self:
        return super().of(reset, user_id=reset.user_id, asked_by=reset.asked_by, reason=reset.reason, **more)


class OperatorReset(AdministeredReset):
    """A pending reset, for an operator: with the email addresses of the user and the requester, if they exist."""

    email: str | None
    asked_by_email: str | None


class ResetAnswer(Record):
    reset: Reset | None

    @classmethod
    def of(cls, reset: core_reset.Reset | None) -> Self:
        """Return the pending reset, if there is one."""
        return cls(reset=None if reset is None else Reset.of(reset))


class AdministeredResetAnswer(Record):
    reset: AdministeredReset

    @classmethod
    def of(cls, reset: core_reset.Reset) -> Self:
        """Answer with one reset."""
        return cls(reset=AdministeredReset.of(reset))


class AdministeredResetList(Listed):
    resets: list[AdministeredReset]

    @classmethod
    def of(cls, page: Page[core_reset.Reset]) -> Self:
        """Answer with a page of resets."""
        resets = [AdministeredReset.of(each) for each in page.items]
        return cls(resets=resets, total=page.total, next_cursor=page.next_cursor)
