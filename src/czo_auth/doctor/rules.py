"""Checks of the rules for users: passwords, second factors, lifetimes and limits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from czo_auth.crypto import passwords
from czo_auth.crypto.totp import PERIOD
from czo_auth.doctor.finding import Check, Finding
from czo_auth.settings import Settings

COMMON_PASSWORDS: Final = Check(
    "common-passwords", "Attackers try the most common passwords first.", ("6.2.1", "6.2.4")
)
BREACHED_PASSWORDS: Final = Check(
    "breached-passwords",
    "Attackers try passwords that leaked elsewhere. A range API receives five characters of the SHA-1.",
    ("6.2.12",),
)
HASHING: Final = Check(
    "password-hashing",
    "The cost of one hash limits how fast an attacker can guess passwords from a stolen database.",
    ("11.4.2",),
)
CODES: Final = Check(
    "totp-drift",
    "How long a code is valid. Each additional step gives an observer 30 seconds.",
    ("6.5.5",),
)
DEVICES: Final = Check("trusted-devices", "A trusted device skips the second step for 30 days.", ("6.3.3",))
SESSIONS: Final = Check(
    "session-life", "A copied session ends no later than its maximum lifetime.", ("7.3.2",)
)
TOKENS: Final = Check(
    "access-token-life",
    "A service that verifies tokens offline learns of a revocation only when the token expires.",
    ("7.4.1", "9.2.1"),
)
CACHE: Final = Check(
    "cache-bound",
    "How late a process can learn that a key or session was revoked.",
    ("7.4.1", "8.3.2"),
)
LIMITS: Final = Check(
    "rate-limits",
    "Coarse limits slow down attackers who try many passwords. Attempt limits on codes do not depend on them.",
    ("6.3.1",),
)
CHECKS: Final = (
    *(COMMON_PASSWORDS, BREACHED_PASSWORDS, HASHING, CODES, DEVICES, SESSIONS, TOKENS, CACHE, LIMITS),
)

_MAX_SESSION_DAYS: Final = 30
_MAX_TOKEN_MINUTES: Final = 15
_LATEST_REVOCATION: Final = timedelta(seconds=5)
_SLOW_HASH: Final = timedelta(milliseconds=500)


def check_rules(settings: Settings) -> Iterator[Finding]:
    """Check the *settings*, and compute one hash. Only the shared limiter, if there is one, is connected to."""
    yield _common_passwords(settings)
    yield _breached_passwords(settings)
    yield _hashing()
    yield _codes(settings)
    yield _devices(settings)
    yield _sessions(settings)
    yield _tokens(settings)
    yield _cache(settings)


def _common_passwords(settings: Settings) -> Finding:
    if settings.refuse_common_passwords:
        return COMMON_PASSWORDS.ok(f"refused, as is anything below {passwords.MIN_LENGTH} characters")
    return COMMON_PASSWORDS.fail("accepted", "Unset CZO_AUTH_REFUSE_COMMON_PASSWORDS.")


def _breached_passwords(settings: Settings) -> Finding:
    if settings.pwned_passwords_url is not None:
        return BREACHED_PASSWORDS.ok("new passwords are checked with a range API")
    return BREACHED_PASSWORDS.warn(
        "not checked",
        "Set CZO_AUTH_PWNED_PASSWORDS_URL to https://api.pwnedpasswords.com, or to your own copy.",
    )


def _hashing() -> Finding:
    # Of two, since the first also loads the library.
    took = min(_time_of_a_hash(), _time_of_a_hash())
    found = (
        f"Argon2id, {passwords.MEMORY_KIB // 1024} MiB, {passwords.PASSES} passes, {passwords.LANES} lane: "
        f"{took / timedelta(milliseconds=1):.0f} ms here"
    )
    if took > _SLOW_HASH:
        return HASHING.warn(found, "Sign-ins are slow on this machine: give it more CPU.")
    return HASHING.ok(found)


def _time_of_a_hash() -> timedelta:
    begun = time.perf_counter()
    passwords.verify_password(passwords.DUMMY_HASH, "how long does one take")
    return timedelta(seconds=time.perf_counter() - begun)


def _codes(settings: Settings) -> Finding:
    drift = settings.totp_drift
    seconds = PERIOD * (2 * drift + 1)
    if drift == 0:
        return CODES.ok(f"no drift: a code is valid for {seconds} s")
    if drift == 1:
        return CODES.ok(
            f"1 step on either side, as RFC 6238 recommends: a code is valid once, for {seconds} s (ASVS requires 30 s)"
        )
    return CODES.warn(
        f"{drift} steps on either side: a code is valid for {seconds} s",
        "Set CZO_AUTH_TOTP_DRIFT to 1, and have users set their phones to network time.",
    )


def _devices(settings: Settings) -> Finding:
    if settings.trust_mandatory_devices:
        return DEVICES.warn("administrators can trust devices too", "Unset CZO_AUTH_TRUST_MANDATORY_DEVICES.")
    return DEVICES.ok("not for users who must have a second factor")


def _sessions(settings: Settings) -> Finding:
    days = settings.session_days
    found = f"{days} day{'s' if days > 1 else ''} at most"
    if days > _MAX_SESSION_DAYS:
        return SESSIONS.warn(found, f"Set CZO_AUTH_SESSION_DAYS to {_MAX_SESSION_DAYS} or less.")
    return SESSIONS.ok(found)


def _tokens(settings: Settings) -> Finding:
    minutes = settings.access_token_minutes
    found = f"{minutes} minute{'s' if minutes > 1 else ''}"
    if minutes > _MAX_TOKEN_MINUTES:
        return TOKENS.warn(found, f"Set CZO_AUTH_ACCESS_TOKEN_MINUTES to {_MAX_TOKEN_MINUTES} or less.")
    return TOKENS.ok(found)


def _cache(settings: Settings) -> Finding:
    if settings.storage_url.startswith("sqlite:"):
        return CACHE.ok("0 s: the cache is exact on SQLite; a revocation takes effect at the next request")
    bound = timedelta(seconds=settings.cache_seconds)
    if not bound:
        return CACHE.ok("0 s: a revocation takes effect at the next request")
    found = f"{settings.cache_seconds:g} s at most; usually a millisecond"
    if bound > _LATEST_REVOCATION:
        return CACHE.warn(
            found, f"Set CZO_AUTH_CACHE_SECONDS to {_LATEST_REVOCATION.seconds} or less, or to 0."
        )
    return CACHE.ok(found)


async def check_limits(settings: Settings) -> Finding:
    """Check whether the coarse limits are on, and whether their shared store answers."""
    if not settings.rate_limit_enabled:
        advice = "Unset CZO_AUTH_RATE_LIMIT_ENABLED."
        return LIMITS.fail("off", advice) if settings.is_production else LIMITS.warn("off", advice)
    if settings.rate_limit_url is not None:
        from czo_auth.runtime.counters import answers

        if await answers(settings.rate_limit_url):
            return LIMITS.ok("on, shared through a store that answers")
        return LIMITS.fail(
            "the shared store does not answer; until it does, each process counts for itself",
            "Start it, or correct CZO_AUTH_RATE_LIMIT_URL. Attempt limits on codes still apply.",
        )
    if settings.workers > 1:
        return LIMITS.warn(
            f"on, but each of {settings.workers} workers counts for itself",
            "Set CZO_AUTH_RATE_LIMIT_URL to redis://… to count together.",
        )
    return LIMITS.ok("on, counted in this process")
