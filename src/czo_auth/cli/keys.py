"""``czo-auth keys``: the encryption keys of the deployment, and those that sign access tokens (S11, S14, S21)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from czo_auth.cli.options import AsJson, DatabaseUrl, DataDir, examples

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from czo_auth.auth import Auth
    from czo_auth.core.flows.administration.reencrypt import Reencrypted, SealedRows
    from czo_auth.core.flows.administration.verify_keys import VerifiedRows

app = typer.Typer(
    help="Make, count and rotate encryption keys (AUTH_ENCRYPTION_KEY).",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_COLUMNS = (
    "key",
    "primary",
    "configured",
    "factors",
    "enrolments",
    "signing keys",
    "webhook secrets",
    "total",
)


@app.command(
    epilog=examples(
        'export AUTH_ENCRYPTION_KEY="$(czo-auth keys generate)"',
        'export AUTH_ENCRYPTION_KEY="$(czo-auth keys generate),$AUTH_ENCRYPTION_KEY"  # before a rotation',
    )
)
def generate(
    kid: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Its id; by default the next free one of k1, k2, and so on.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Print a new key in the form of AUTH_ENCRYPTION_KEY. Nothing is stored or changed.

    It is printed only this once: store it with your secrets, and apart from the database.
    """
    from czo_auth.cli.command import CANNOT_START, fail, reporting
    from czo_auth.crypto.sealing import KeyRingError, new_key_text

    with reporting():
        try:
            print(new_key_text(kid or f"k{_next_number(data_dir, database_url)}"))
        except KeyRingError:
            fail("--kid: 1 to 16 letters, digits, “_” or “-”.", CANNOT_START)


def _next_number(data_dir: Path | None, database_url: str | None) -> int:
    """Find a number that no configured key has; an invalid key ring does not matter here."""
    from czo_auth.cli.host import host_auth
    from czo_auth.deployment import read_settings
    from czo_auth.errors import StartRefused
    from czo_auth.runtime.key_ring import read_key_ring
    from czo_auth.settings import KEY_FILE

    host = host_auth()
    try:
        settings = host.settings if host else read_settings(data_dir=data_dir, database_url=database_url)
        if settings.encryption_key is None and settings.is_embedded_default:
            text = (settings.data_dir / KEY_FILE).read_text("ascii")
            settings = read_settings(encryption_key=text)
        kids = read_key_ring(settings).kids
    except (StartRefused, OSError, UnicodeDecodeError):
        return 1
    numbers = [int(found[1]) for kid in kids if (found := re.fullmatch(r"k([0-9]{1,6})", kid))]
    return max(numbers, default=0) + 1


@app.command(epilog=examples("czo-auth keys status --json"))
def status(as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Count the rows that each key seals. A key without rows can be taken out of AUTH_ENCRYPTION_KEY."""
    from czo_auth.cli.command import run
    from czo_auth.cli.output import print_json, print_table
    from czo_auth.core.flows.administration.reencrypt import Reencrypt

    async def act(auth: Auth) -> Sequence[SealedRows]:
        return await Reencrypt(auth.services).status()

    keys = run(act, data_dir=data_dir, database_url=database_url)
    if as_json:
        for key in keys:
            print_json(_row_of(key))
        return
    print_table(_COLUMNS, (tuple(_row_of(key).values()) for key in keys))


@app.command(epilog=examples("czo-auth keys verify && echo 'every sealed row opens'"))
def verify(as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """
    Open every sealed row with AUTH_ENCRYPTION_KEY, and compare each signing key with its published half.

    It changes nothing and prints no secret. It fails if a row does not open, and names some of those rows.
    """
    from czo_auth.cli.command import REFUSED, fail, run
    from czo_auth.cli.output import print_json, print_table, progress
    from czo_auth.core.flows.administration.verify_keys import VerifyKeys

    async def act(auth: Auth) -> Sequence[VerifiedRows]:
        with progress("opening") as advance:
            return await VerifyKeys(auth.services).run(advance)

    verified = run(act, data_dir=data_dir, database_url=database_url)
    if as_json:
        for rows in verified:
            print_json(
                {"kind": rows.kind, "checked": rows.checked, "failed": rows.failed, "failedIds": rows.ids}
            )
    else:
        print_table(
            ("kind", "checked", "failed", "failed ids"),
            ((rows.kind, rows.checked, rows.failed, rows.ids) for rows in verified),
        )
    if failed := sum(rows.failed for rows in verified):
        fail(f"{failed} sealed rows do not open with AUTH_ENCRYPTION_KEY.", REFUSED)


def _row_of(key: SealedRows) -> dict[str, object]:
    return {
        "kid": key.kid,
        "primary": key.primary,
        "configured": key.configured,
        "factors": key.factors,
        "enrolments": key.enrollments,
        "signingKeys": key.signing_keys,
        "webhookSecrets": key.webhook_secrets,
        "total": key.total,
    }


@app.command(
    epilog=examples(
        "czo-auth keys rotate-signing", "czo-auth keys rotate-signing --now  # a key may have leaked"
    )
)
def rotate_signing(
    at_once: Annotated[
        bool, typer.Option("--now", help="Sign with the new key immediately, not after 6 minutes.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """
    Make a new key that signs access tokens; running servers use it within a minute.

    It is published 6 minutes before it signs, so that services with a cached JWKS know it. With --now they may refuse
    new tokens until they read the JWKS again.
    """
    from czo_auth.cli.command import run
    from czo_auth.cli.output import print_json
    from czo_auth.core.flows.sessions.signing_keys import PUBLISHED_AHEAD

    async def act(auth: Auth) -> tuple[str, str]:
        now = auth.now()
        key = await auth.signing_keys.rotate(at_once=at_once, now=now)
        return key.kid, (now if at_once else now + PUBLISHED_AHEAD).isoformat(timespec="seconds")

    kid, signs_from = run(act, data_dir=data_dir, database_url=database_url)
    if as_json:
        print_json({"kid": kid, "signsFrom": signs_from})
    else:
        print(f"{kid} signs from {signs_from}")


@app.command(epilog=examples("czo-auth keys rotate", "czo-auth keys status"))
def rotate(as_json: AsJson = False, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """
    Seal everything with the primary key, the first of AUTH_ENCRYPTION_KEY.

    The server keeps running; it must have been started with the same AUTH_ENCRYPTION_KEY, old keys included. If the
    command is interrupted, run it again. Once `keys status` counts no row for an old key, remove that key.
    """
    from czo_auth.cli.command import REFUSED, fail, run
    from czo_auth.cli.output import print_json, progress
    from czo_auth.core.flows.administration.reencrypt import Reencrypt

    async def act(auth: Auth) -> tuple[Reencrypted, str]:
        with progress("re-encrypting") as advance:
            done = await Reencrypt(auth.services).run(advance)
        return done, auth.services.key_ring.primary

    done, primary = run(act, data_dir=data_dir, database_url=database_url)
    if as_json:
        print_json({"primary": primary, "moved": done.moved, "left": done.left})
    else:
        print(f"{done.moved} rows were re-encrypted with {primary}, {done.left} are left with other keys")
    if done.left:
        fail(
            "the rows that are left do not open, or a server with another AUTH_ENCRYPTION_KEY is writing. "
            "They were left as they are.",
            REFUSED,
        )
