"""``czo-auth doctor``: what is in order, what is weak, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from czo_auth.doctor.finding import Finding
    from czo_auth.settings import Settings

EXAMPLE = examples(
    "czo-auth doctor",
    "czo-auth doctor --strict || echo 'fix it before going on'",
    "czo-auth doctor --json | jq 'select(.state != \"ok\")'",
)
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "unknown": "dim"}
_FAILED = 2
_WEAK = 1


def doctor(
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 if something is weak or could not be checked.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Check the deployment, and grade it against OWASP ASVS 5.0. Changes nothing, and prints nothing secret.

    It reads the same settings as `serve`: run it with the same environment. It ends with 2 if something fails and with
    0 otherwise; with --strict, it ends with 1 if something is weak.
    """
    import asyncio
    import logging

    from czo_auth.cli.command import reporting
    from czo_auth.cli.host import host_auth
    from czo_auth.deployment import read_settings
    from czo_auth.doctor.finding import worst

    with reporting():
        host = host_auth()
        settings = host.settings if host else read_settings(data_dir=data_dir, database_url=database_url)
        # Each fault is a finding; a log line would repeat it.
        logging.disable(logging.CRITICAL)
        findings = asyncio.run(_examined(settings, mail_by_host=host is not None and host.has_own_mail))
        _print(findings, as_json=as_json)
    state = worst(findings)
    if state == "fail":
        raise SystemExit(_FAILED)
    if strict and state != "ok":
        raise SystemExit(_WEAK)


async def _examined(settings: Settings, *, mail_by_host: bool) -> Sequence[Finding]:
    from czo_auth.doctor.examination import examine
    from czo_auth.runtime.clock import utc_now

    return [finding async for finding in examine(settings, now=utc_now, mail_by_host=mail_by_host)]


def _print(findings: Sequence[Finding], *, as_json: bool) -> None:
    from dataclasses import asdict

    from czo_auth.cli.output import print_json, print_lines, print_table
    from czo_auth.doctor.finding import grades

    if as_json:
        for finding in findings:
            print_json(asdict(finding))
        return
    print_table(
        ("state", "check", "found", "ASVS"),
        ((each.state, each.id, each.found, each.asvs) for each in findings),
        styles=_STYLES,
    )
    print_lines(
        f"{each.state} {each.id}: {each.meaning}\n  → {each.advice}" for each in findings if each.advice
    )
    print_lines(
        [
            "OWASP ASVS 5.0, requirements that a check can judge: "
            + ", ".join(f"{grade.chapter} {grade.met}/{grade.requirements}" for grade in grades(findings))
        ]
    )
