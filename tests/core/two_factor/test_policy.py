"""The numbers of the second factor are those of S3 to S10; a deployment that sets nothing has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from czo_auth.core.two_factor.policy import TwoFactorPolicy, must_renew


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


def test_reset_of_factors_with_an_uncertain_owner_waits_a_day_at_least() -> None:
    assert TwoFactorPolicy().wait_for(factors_kept=False) == timedelta(0)
    assert TwoFactorPolicy().wait_for(factors_kept=True) == timedelta(days=1)
    policy = TwoFactorPolicy(reset_wait=timedelta(days=3))
    assert policy.wait_for(factors_kept=False) == policy.wait_for(factors_kept=True) == timedelta(days=3)


def test_short_secret_must_be_renewed_from_the_end_of_its_term_on() -> None:
    end = datetime(2026, 7, 1, tzinfo=UTC)
    assert must_renew(end, now=end) is True
    assert must_renew(end, now=end - timedelta(milliseconds=1)) is False
    assert must_renew(None, now=end) is False
