"""Secrets and signatures of webhooks, by Standard Webhooks 1.0."""

from __future__ import annotations

import base64
import hashlib
import hmac

from czo_auth.crypto import webhook_signatures


def test_secret_has_32_bytes_and_is_spelled_in_base64_after_its_prefix() -> None:
    secret = webhook_signatures.new_secret()
    assert len(secret) == 32
    assert secret != webhook_signatures.new_secret()
    assert webhook_signatures.secret_text(b"\xff" * 32) == "whsec_" + "/" * 42 + "8="


def test_signature_is_that_of_id_time_and_body_under_each_secret() -> None:
    signature = webhook_signatures.sign(
        [b"one", b"two"], message_id="msg_1", timestamp=1_614_265_330, body=b'{"a":1}'
    )
    one, two = (
        base64.b64encode(hmac.new(secret, b'msg_1.1614265330.{"a":1}', hashlib.sha256).digest()).decode()
        for secret in (b"one", b"two")
    )
    assert signature == f"v1,{one} v1,{two}"
