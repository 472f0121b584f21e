"""What the database holds of a second factor."""

from __future__ import annotations

from czo_auth.core.two_factor import factor


def test_purposes_stay_as_they_are() -> None:
    # Another name is another sub-key: nothing that was sealed before would open (S12).
    assert factor.TOTP_SECRET == "totp-secret"
    assert factor.PENDING_CODES == "pending-backup-codes"


def test_hash_of_a_code_does_not_show() -> None:
    code = factor.HashedCode(selector="ABCD", hash="$2b$10$secret")
    assert repr(code) == str(code) == "HashedCode(…)"


def test_nothing_remains_to_be_renewed_unless_it_is_counted() -> None:
    assert factor.RenewalCounts() == factor.RenewalCounts(overdue=0, waiting=0, next_at=None)
