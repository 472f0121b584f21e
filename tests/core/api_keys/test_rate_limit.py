"""The rate limit that an owner asks for."""

from __future__ import annotations

import pytest

from czo_auth.core.api_keys.rate_limit import RateLimitUpdate, is_as_tight
from czo_auth.core.errors import ValidationFailed
from czo_auth.core.throttle import RateLimit

DEFAULT = RateLimit(requests=600, window_seconds=60)
OWN = RateLimit(requests=5, window_seconds=3600)


@pytest.mark.parametrize(
    ("wish", "present", "limit"),
    [
        (RateLimitUpdate(), None, None),
        (RateLimitUpdate(), OWN, OWN),
        (RateLimitUpdate(enabled=False), OWN, None),
        (RateLimitUpdate(enabled=True), None, DEFAULT),
        (RateLimitUpdate(enabled=True), OWN, OWN),
        (RateLimitUpdate(requests=10), None, RateLimit(requests=10, window_seconds=60)),
        (RateLimitUpdate(requests=1_000_000), None, RateLimit(requests=1_000_000, window_seconds=60)),
        (RateLimitUpdate(requests=1), None, RateLimit(requests=1, window_seconds=60)),
        (RateLimitUpdate(window_ms=2000), OWN, RateLimit(requests=5, window_seconds=2)),
        (RateLimitUpdate(window_ms=1000), OWN, RateLimit(requests=5, window_seconds=1)),
        (RateLimitUpdate(window_ms=86_400_000), OWN, RateLimit(requests=5, window_seconds=86_400)),
    ],
)
def test_what_is_left_out_stays_or_is_the_default(
    wish: RateLimitUpdate, present: RateLimit | None, limit: RateLimit | None
) -> None:
    assert wish.on(present) == limit


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (RateLimitUpdate(requests=0), "rateLimitMax"),
        (RateLimitUpdate(requests=1_000_001), "rateLimitMax"),
        (RateLimitUpdate(window_ms=0), "rateLimitTimeWindow"),
        (RateLimitUpdate(window_ms=999), "rateLimitTimeWindow"),
        (RateLimitUpdate(window_ms=1500), "rateLimitTimeWindow"),
        (RateLimitUpdate(window_ms=86_401_000), "rateLimitTimeWindow"),
        (RateLimitUpdate(window_ms=-1000), "rateLimitTimeWindow"),
        (RateLimitUpdate(enabled=False, requests=1), "rateLimitEnabled"),
    ],
)
def test_numbers_out_of_bounds_are_refused(wish: RateLimitUpdate, field: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        wish.on(None)
    assert caught.value.details[0][0] == field


def test_tighter_means_fewer_uses_in_the_same_or_a_longer_window() -> None:
    assert is_as_tight(OWN, None)
    assert is_as_tight(OWN, OWN)
    assert is_as_tight(RateLimit(requests=4, window_seconds=7200), OWN)
    assert not is_as_tight(None, OWN)
    assert not is_as_tight(RateLimit(requests=6, window_seconds=3600), OWN)
    assert not is_as_tight(RateLimit(requests=5, window_seconds=3599), OWN)
