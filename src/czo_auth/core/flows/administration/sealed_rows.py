"""All sealed data in the database, and what each envelope is bound to (S12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from czo_auth.core.devices.authorization import DEVICE_KEY, DeviceAuthorization
from czo_auth.core.idempotency.answer import IDEMPOTENT_ANSWER, StoredAnswer
from czo_auth.core.sessions.access_tokens import SIGNING_KEY
from czo_auth.core.sessions.store import StoredSigningKey
from czo_auth.core.two_factor.factor import PENDING_CODES, TOTP_SECRET, Enrollment, TotpFactor
from czo_auth.core.webhooks.webhook import WEBHOOK_SECRET, WebhookSecret
from czo_auth.crypto.sealing import KeyRing, OpenError


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    One sealed text.

    Attributes:
        text: As stored.
        purpose: What it was sealed for.
        bound_to: The associated data: in another row it does not open.
    """

    text: str
    purpose: str
    bound_to: Mapping[str, str]

    def open(self, ring: KeyRing) -> bytes:
        """
        Return the plaintext.

        Raises:
            OpenError: It does not open with *ring*.
        """
        return ring.open(self.text, purpose=self.purpose, bound_to=self.bound_to)

    def reencrypted(self, ring: KeyRing) -> str:
        """Return it under the primary key; as it is when it is there already, or does not open."""
        try:
            return ring.reencrypt(self.text, purpose=self.purpose, bound_to=self.bound_to) or self.text
        except OpenError:
            return self.text


def secret_of_factor(factor: TotpFactor) -> Envelope:
    """Return the sealed TOTP secret."""
    return Envelope(factor.sealed_secret, TOTP_SECRET, {"user": factor.user_id, "enrolment": factor.id})


def secret_of_enrollment(enrollment: Enrollment) -> Envelope:
    """Return the sealed TOTP secret of a pending enrollment."""
    bound_to = {"user": enrollment.user_id, "enrolment": enrollment.id}
    return Envelope(enrollment.sealed_secret, TOTP_SECRET, bound_to)


def codes_of_enrollment(enrollment: Enrollment) -> Envelope | None:
    """Return the sealed backup codes of a pending enrollment; None once they are hashed."""
    bound_to = {"user": enrollment.user_id, "enrolment": enrollment.id}
    codes = enrollment.sealed_codes
    return Envelope(codes, PENDING_CODES, bound_to) if codes else None


def private_part_of(key: StoredSigningKey) -> Envelope:
    """Return the sealed private key, as PEM."""
    return Envelope(key.sealed_private_key, SIGNING_KEY, {"kid": key.kid})


def idempotent_answer_of(answer: StoredAnswer) -> Envelope | None:
    """Return the sealed answer of a request that may be repeated; None while it runs."""
    bound_to = {"answer": answer.id, "lineage": answer.lineage_id}
    return Envelope(answer.sealed, IDEMPOTENT_ANSWER, bound_to) if answer.sealed else None


def key_of_device(authorization: DeviceAuthorization) -> Envelope | None:
    """Return the sealed API key that a device has not fetched yet; None when there is none."""
    sealed = authorization.sealed_key
    return Envelope(sealed, DEVICE_KEY, {"device": authorization.id}) if sealed else None


def secret_of_webhook(secret: WebhookSecret) -> Envelope:
    """Return the sealed secret that signs an endpoint's deliveries."""
    bound_to = {"webhook": secret.webhook_id, "secret": secret.id}
    return Envelope(secret.sealed_secret, WEBHOOK_SECRET, bound_to)
