"""Checks of the environment: mail, Python and the packages."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Final

from czo_auth.doctor.finding import Check, Finding
from czo_auth.extras import MissingExtra, require_extra
from czo_auth.settings import Settings
from czo_auth.storage.facts import is_local

MAIL: Final = Check(
    "mail",
    "Without mail, no password can be reset, and users do not learn that their password or second factor was changed.",
    ("6.3.7", "6.4.3", "12.3.1"),
)
PYTHON: Final = Check("python", "An interpreter without fixes has known vulnerabilities.", ("15.2.1",))
PACKAGES: Final = Check("packages", "The tests ran with the pinned versions only.", ("15.2.1",))
CHECKS: Final = (MAIL, PYTHON, PACKAGES)

_OLDEST_PYTHON: Final = (3, 11)
_NEWEST_PYTHON: Final = (3, 14)
"""The versions that the tests run with."""


async def check_mail(settings: Settings, *, by_host: bool = False) -> Finding:
    """
    Check whether mail can be sent: sign in to the mail server, and send nothing.

    Args:
        by_host: Whether the host's code sends the mails.
    """
    if by_host:
        return MAIL.ok("mails are sent by the host's code, which was not tried")
    if settings.smtp_url is None:
        advice = "Set CZO_AUTH_SMTP_URL to smtp://user:password@host:587 and CZO_AUTH_MAIL_FROM."
        if settings.is_production:
            return MAIL.warn(
                "not configured: requests for a mail succeed, and the mail is lost with an error in the log",
                advice,
            )
        return MAIL.ok("not configured: mails are written to the log, as in development")
    try:
        require_extra("smtp", "CZO_AUTH_SMTP_URL")
    except MissingExtra as missing:
        return MAIL.fail(str(missing), "Install it.")
    from czo_auth.delivery.smtp import SmtpSettings, can_sign_in

    try:
        server = SmtpSettings.from_url(settings.smtp_url.get_secret_value(), sender=settings.mail_from)
    except ValueError as error:
        return MAIL.fail(f"CZO_AUTH_SMTP_URL or CZO_AUTH_MAIL_FROM is invalid: {error}", "Correct it.")
    where = f"{server.host}:{server.port}"
    problem = await can_sign_in(server)
    if problem is not None:
        return MAIL.fail(
            f"{where} refuses the sign-in: {problem}", "Correct CZO_AUTH_SMTP_URL, or fix the server."
        )
    if server.security == "none" and not is_local(server.host):
        return MAIL.warn(
            f"{where} answers, unencrypted",
            "Use smtp:// (STARTTLS) or smtps:// unless the network is your own.",
        )
    return MAIL.ok(
        f"{where} accepts the sign-in, {'unencrypted' if server.security == 'none' else 'encrypted'}"
    )


def check_python() -> Finding:
    """Compare the interpreter with those that the tests run with."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] > _NEWEST_PYTHON:
        return PYTHON.warn(
            found, f"Not tested: {'.'.join(map(str, _NEWEST_PYTHON))} is the latest tested version."
        )
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return PYTHON.fail(found, f"Use {'.'.join(map(str, _OLDEST_PYTHON))} or newer.")
    return PYTHON.ok(found)


def check_packages() -> Finding:
    """Compare what is installed with the versions that the tests run with."""
    older: list[str] = []
    newer: list[str] = []
    for name, pins in _tested().items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            continue  # of another platform, or of an extra
        if installed not in pins:
            newest = max(pins, key=_numbers)
            (older if _numbers(installed) < _numbers(newest) else newer).append(
                f"{name} {installed} ({newest})"
            )
    if older:
        return PACKAGES.warn(
            f"older than tested: {', '.join(older)}", "Upgrade them, or install from requirements/base.txt."
        )
    if newer:
        return PACKAGES.ok(f"newer than tested: {', '.join(newer)}")
    return PACKAGES.ok("as tested")


def _tested() -> dict[str, set[str]]:
    """Read the pins; a package may have several, one for each range of Python versions."""
    pins: dict[str, set[str]] = {}
    for line in files("czo_auth.doctor").joinpath("tested.txt").read_text("ascii").split():
        name, _, pin = line.partition("==")
        pins.setdefault(name, set()).add(pin)
    return pins


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in text.split("."))
