"""Options for `navigator.credentials`, as JSON. Source: WebAuthn Level 3, sections 5.4 and 5.5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from czo_auth.core.flows.passkeys.ceremonies import Ceremony
from czo_auth.core.passkeys.passkey import Passkey, user_handle
from czo_auth.core.passkeys.policy import PasskeyPolicy
from czo_auth.core.users.user import User
from czo_auth.crypto import base64url
from czo_auth.crypto.passkeys import ALGORITHMS

Attachment = Literal["platform", "cross-platform"]
Options = dict[str, object]


def creation_options(
    ceremony: Ceremony,
    user: User,
    *,
    label: str | None,
    attachment: Attachment | None,
    known: Sequence[Passkey],
    policy: PasskeyPolicy,
    rp_id: str,
) -> Options:
    """
    Return what an authenticator needs to create a passkey.

    Args:
        label: What the authenticator shows instead of the user's address.
        known: The user's passkeys; an authenticator that holds one of them does not create another.
    """
    selection: Options = {
        "residentKey": "preferred",
        "requireResidentKey": False,
        "userVerification": "required",
    }
    if attachment is not None:
        selection["authenticatorAttachment"] = attachment
    return {
        "rp": {"name": policy.rp_name, "id": rp_id},
        "user": {
            "id": base64url.encode(user_handle(user.id)),
            "name": label or user.email,
            "displayName": user.name or user.email,
        },
        "challenge": ceremony.challenge,
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
        "timeout": _milliseconds(policy),
        "excludeCredentials": _descriptors(known),
        "authenticatorSelection": selection,
        "attestation": "none",
        "extensions": {"credProps": True},
        "ceremony": ceremony.handle,
    }


def request_options(
    ceremony: Ceremony, *, allowed: Sequence[Passkey] | None, policy: PasskeyPolicy, rp_id: str
) -> Options:
    """
    Return what an authenticator needs to sign.

    Args:
        allowed: The passkeys that may sign; None leaves the choice to the person, who may not be known yet.
    """
    options: Options = {
        "challenge": ceremony.challenge,
        "timeout": _milliseconds(policy),
        "rpId": rp_id,
        "userVerification": "required",
        "ceremony": ceremony.handle,
    }
    if allowed is not None:
        options["allowCredentials"] = _descriptors(allowed)
    return options


def _descriptors(passkeys: Sequence[Passkey]) -> list[Options]:
    return [
        {
            "id": passkey.credential_id,
            "type": "public-key",
            **({"transports": list(passkey.transports)} if passkey.transports else {}),
        }
        for passkey in passkeys
    ]


def _milliseconds(policy: PasskeyPolicy) -> int:
    return int(policy.ceremony_lifetime.total_seconds() * 1000)
