"""A passkey that is refused: the caller gets one answer for all reasons, the log has the reason."""

from __future__ import annotations

import logging

import pytest

from czo_auth.core.errors import AuthenticationFailed
from czo_auth.core.flows.passkeys.verify import VerifyPasskey
from tests.core.flows.deployment import NOW, Deployment
from tests.support.users import from_here


async def test_reason_of_a_refusal_is_logged_for_operators(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    verify = VerifyPasskey(deployment.runtime.services)
    with caplog.at_level(logging.INFO, "czo_auth.passkeys"), pytest.raises(AuthenticationFailed):
        await verify.verify(
            {"id": "AA"}, challenge=b"", rp_id="shop.example", user_id=None, context=from_here(NOW)
        )
    (record,) = [record for record in caplog.records if record.name == "czo_auth.passkeys"]
    assert record.getMessage() == "a passkey was refused: The credential is unknown."
