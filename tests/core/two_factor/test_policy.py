"""The numbers of the second factor are those of S3 to S10; a deployment that sets nothing has them."""

from __future__ import annotations

from datetime import timedelta

from czo_auth.core.two_factor.policy import TwoFactorPolicy


def test_numbers_are_those_of_the_requirements() -> None:
    policy = TwoFactorPolicy()
    assert policy.issuer == "czo-auth"
    assert policy.drift == 1
    assert policy.challenge_lifetime == timedelta(minutes=5)
    assert policy.challenge_attempts == 5
    assert policy.enrollment_lifetime == timedelta(minutes=10)
    assert policy.proof_lifetime == timedelta(minutes=10)
    assert policy.backup_codes == 10
    assert policy.trusted_device_lifetime == timedelta(days=30)
    assert policy.trust_mandatory_devices is False
    assert policy.reset_wait == timedelta(0)
