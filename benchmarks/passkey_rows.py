"""Signing in with a passkey, which is both factors, against one password hash."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.measure import OURS, Row
from benchmarks.people_rows import PASSWORD_HASHES, Service, cpu_of_password_hash, serving
from tests.support.authenticator import Authenticator

ORIGIN = "http://localhost:8000"
"""Passkeys do not work for an IP address."""


def rows(directory: Path, *, rounds: int, each: int) -> list[Row]:
    """Compare CPU times of two requests, the authenticator's own work left out."""
    with serving(directory, CZO_AUTH_BASE_URL=ORIGIN) as service:
        device = _registered(service)
        ratios, cpu = [], []
        for number in range(rounds + 1):
            hash_seconds = cpu_of_password_hash(each)
            used = sum(_sign_in(service, device) for _ in range(each)) / each
            if number:
                cpu.append(used * 1e6)
                ratios.append(used / hash_seconds)
    return [
        Row(
            operation="sign-in with a passkey (two requests)",
            subject=OURS,
            database="sqlite",
            cpu_us=statistics.median(cpu),
            value=statistics.median(ratios),
            unit=PASSWORD_HASHES,
        )
    ]


def _registered(service: Service) -> Authenticator:
    person = service.newcomer()
    _, options, _ = service.call("GET", "/passkey/generate-register-options", bearer=person.token)
    device = Authenticator(ORIGIN)
    body = {"response": device.create(options), "ceremony": options["ceremony"], "name": "bench"}
    service.post("/passkey/verify-registration", body, bearer=person.token)
    return device


def _sign_in(service: Service, device: Authenticator) -> float:
    before = service.subject.cpu_seconds()
    _, options, _ = service.call("GET", "/passkey/generate-authenticate-options")
    body = {"response": device.get(options), "ceremony": options["ceremony"]}
    service.post("/passkey/verify-authentication", body)
    return service.subject.cpu_seconds() - before
