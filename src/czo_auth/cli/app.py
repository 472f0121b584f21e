"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from czo_auth.cli import (
    accounts,
    api_keys,
    audit,
    backup,
    demo,
    doctor,
    import_source,
    import_users,
    keys,
    login,
    mail,
    migrate,
    organizations,
    recovery,
    scan,
    serve,
    service_accounts,
    sinks,
    users,
    webhooks,
)
from czo_auth.cli.host import add_app_option
from czo_auth.cli.options import examples

app = typer.Typer(
    name="czo-auth",
    help="Two-factor authentication for people, API keys for machines.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    # Plain help takes a tenth of a second; rich help takes three.
    rich_markup_mode=None,
)
app.command("serve", epilog=serve.EXAMPLE)(serve.serve)
app.command("demo", epilog=demo.EXAMPLE)(demo.demo)
app.command("migrate", epilog=migrate.EXAMPLE)(migrate.migrate)
app.command("backup", epilog=backup.BACKUP_EXAMPLE)(backup.back_up)
app.command("restore", epilog=backup.RESTORE_EXAMPLE)(backup.restore)
users.app.command("import", epilog=import_users.EXAMPLE)(import_users.import_users)
app.command("import", epilog=import_source.EXAMPLE)(import_source.import_source)
app.command("doctor", epilog=doctor.EXAMPLE)(doctor.doctor)
app.command("scan", epilog=scan.EXAMPLE)(scan.scan)
app.command("login", epilog=login.EXAMPLE)(login.login)
app.add_typer(users.app, name="users")
users.app.command("reset-2fa", epilog=recovery.RESET_EXAMPLE)(recovery.reset_two_factor)
users.app.command("resets", epilog=recovery.LIST_EXAMPLE)(recovery.list_resets)
users.app.command("cancel-reset", epilog=recovery.CANCEL_EXAMPLE)(recovery.cancel_reset)
users.app.command("recover", epilog=recovery.RECOVER_EXAMPLE)(recovery.recover)
users.app.command("delete", epilog=accounts.DELETE_EXAMPLE)(accounts.delete_user)
users.app.command("export", epilog=accounts.EXPORT_EXAMPLE)(accounts.export_user)
users.app.command("revoke", epilog=accounts.REVOKE_EXAMPLE)(accounts.revoke_actor_type)
users.app.command("sessions", epilog=accounts.SESSIONS_EXAMPLE)(accounts.list_sessions)
app.add_typer(api_keys.app, name="api-keys")
app.add_typer(organizations.app, name="organizations")
app.add_typer(service_accounts.app, name="service-accounts")
app.add_typer(keys.app, name="keys")
app.add_typer(mail.app, name="mail")
app.add_typer(webhooks.app, name="webhooks")
audit.events_app.command("sinks", epilog=sinks.LIST_EXAMPLE)(sinks.list_sinks)
audit.events_app.command("retire-sink", epilog=sinks.RETIRE_EXAMPLE)(sinks.retire_sink)
app.add_typer(audit.events_app, name="events")
app.add_typer(audit.audit_app, name="audit")

add_app_option(app)

_EPILOG = f"""\
Settings come from the environment (AUTH_ENCRYPTION_KEY, CZO_AUTH_…); options override them.

{
    examples(
        "czo-auth serve",
        "czo-auth users create --email you@example.com --name You --actor-type admin",
        "czo-auth doctor",
        "czo-auth --install-completion  # bash, zsh, fish: Tab completes from the next shell on",
    )
}

\b
Exit codes:
  0   done
  1   refused, or not found
  2   wrong usage, or it cannot start
  75  the database, or the server of a login, is unavailable: try again
"""


def _print_version(wanted: bool) -> None:
    if wanted:
        from czo_auth.version import VERSION

        print(f"czo-auth {VERSION}")
        raise typer.Exit


@app.callback(epilog=_EPILOG)
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Two-factor authentication for people, API keys for machines."""
