"""``czo-auth scan``: finds keys where they should not be, checks whether they are valid, and reports them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import AsJson, examples

if TYPE_CHECKING:
    from czo_auth.cli.scan.findings import Finding
    from czo_auth.cli.scan.places import Scan

EXAMPLE = (
    examples(
        "czo-auth scan .",
        "czo-auth scan --history ~/src/shop",
        "kubectl logs shop | czo-auth scan -",
        "czo-auth scan --staged",
        "czo-auth scan --ask https://auth.example.com --revoke .",
    )
    + """

\b
Exit codes:
  0   nothing was found
  1   something was found
  2   nothing was found, but something could not be read; or the server could not be asked
"""
)
_LIVE, _DEAD, _REPORTED = "live", "not valid", "reported"


def scan(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Files and folders, - for standard input; by default this folder.",
            show_default=False,
        ),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Look through the git history of the paths as well.")
    ] = False,
    staged: Annotated[
        bool,
        typer.Option("--staged", help="Look only through what is staged for the next commit."),
    ] = False,
    all_kinds: Annotated[
        bool,
        typer.Option(
            "--all-kinds", help="Also find session tokens, refresh tokens, webhook secrets and the like."
        ),
    ] = False,
    prefix: Annotated[
        str,
        typer.Option(
            help="The prefix of the deployment's keys.", envvar="CZO_AUTH_API_KEY_PREFIX", metavar="PREFIX"
        ),
    ] = "czo_",
    ask: Annotated[
        str | None,
        typer.Option(
            help="Ask this deployment whether the keys are valid. They are sent there, over https or within this "
            "machine, and nowhere else.",
            metavar="URL",
            show_default=False,
        ),
    ] = None,
    revoke: Annotated[
        bool,
        typer.Option("--revoke", help="With --ask: report the keys as leaked, so that they are revoked."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """
    Find API keys in files, folders, standard input and git histories.

    It prints where they are and how they begin, never more of them. Keys that begin with czo_EXAMPLE are examples and
    are skipped. Archives are not unpacked.
    """
    from czo_auth.cli.command import CANNOT_START, fail, note, reporting
    from czo_auth.cli.scan.places import Scan
    from czo_auth.cli.scan.server import NoUsableAnswer, Server
    from czo_auth.cli.scan.token_finder import TokenFinder
    from czo_auth.crypto import tokens

    if staged and (history or (paths or ["."]) != ["."]):
        fail("--staged looks at what is staged only: leave the paths and --history away.", CANNOT_START)
    if revoke and ask is None:
        fail("--revoke needs --ask, with the address of the deployment.", CANNOT_START)
    unread = []

    def problem(path: str, why: str) -> None:
        unread.append(path)
        note(f"cannot read {tokens.masked(path, api_key_prefix=prefix)}: {why}")

    try:
        server = None if ask is None else Server(ask)
    except ValueError as error:
        fail(f"--ask: {error}.", CANNOT_START)
    with reporting():
        found = _found(
            Scan(TokenFinder(prefix, all_kinds=all_kinds), problem),
            paths or ["."],
            history=history,
            staged=staged,
        )
        states: dict[str, str] = {}
        failure = None
        if server is not None:
            try:
                _ask(server, found, states, revoke=revoke)
            except NoUsableAnswer as error:
                failure = str(error)
            finally:
                server.close()
        _report(found, states, prefix, as_json=as_json)
    if failure is not None:
        fail(failure, CANNOT_START)
    if found:
        raise SystemExit(1)
    if unread:
        raise SystemExit(CANNOT_START)


def _found(scan: Scan, paths: list[str], *, history: bool, staged: bool) -> list[Finding]:
    """Look everywhere. Findings are printed at the end, when the progress bar is gone."""
    from czo_auth.cli.output import progress

    if staged:
        return list(scan.staged("."))
    found: list[Finding] = []
    if "-" in paths:
        found += scan.standard_input()
    on_disk = [path for path in paths if path != "-"]
    if on_disk:
        with progress("files, MiB") as shown:
            found += scan.files(on_disk, shown, measured=sys.stderr.isatty())
    if history:
        with progress("history, objects") as shown:
            found += scan.histories(on_disk or [os.curdir], shown)
    return found


def _ask(server: object, found: Sequence[Finding], states: dict[str, str], *, revoke: bool) -> None:
    """
    Ask about each key once, and report them all: a key that is not valid now may be enabled again.

    Raises:
        NoUsableAnswer: The server does not answer.
    """
    from czo_auth.cli.scan.server import Server
    from czo_auth.cli.scan.token_finder import API_KEY

    assert isinstance(server, Server)  # noqa: S101 - imported late
    keys = list(dict.fromkeys(finding.token for finding in found if finding.kind == API_KEY))
    for key in keys:
        states[key] = _LIVE if server.accepts(key) else _DEAD
    if revoke:
        server.report(keys)
        for key in keys:
            states[key] = f"was {states[key]}, {_REPORTED}"


def _report(found: Sequence[Finding], states: dict[str, str], prefix: str, *, as_json: bool) -> None:
    from czo_auth.cli.command import note
    from czo_auth.cli.output import print_json
    from czo_auth.core.text import escape_control

    for finding in found:
        state = states.get(finding.token)
        if as_json:
            print_json(finding.as_json(state, api_key_prefix=prefix))
        else:
            print(escape_control(finding.as_line(state, api_key_prefix=prefix), limit=8192))
    if found and not as_json:
        tokens = len({finding.token for finding in found})
        sys.stdout.flush()
        note(
            f"found {tokens} different token{'s' * (tokens > 1)} in {len(found)} place{'s' * (len(found) > 1)}."
        )
