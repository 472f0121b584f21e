"""``czo-auth mail``: previews of the deployment's mails."""

from __future__ import annotations

from typing import Annotated

import typer

from czo_auth.cli.host import with_app
from czo_auth.cli.options import examples

app = typer.Typer(help="Preview the mails that people get.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _root() -> None:
    """Preview the mails that people get."""


@app.command(
    epilog=examples(
        "czo-auth mail preview",
        "czo-auth mail preview password_reset --language de",
        "czo-auth mail preview new_browser --html > mail.html",
    )
)
@with_app
def preview(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND", help="Kind of mail; without it, all kinds are listed.", show_default=False
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="LANGUAGE",
            help="en, fr, de or one of your own; by default the deployment's.",
            show_default=False,
        ),
    ] = None,
    html: Annotated[bool, typer.Option("--html", help="The HTML part, for a browser.")] = False,
) -> None:
    """
    Print a mail as people get it, with your brand, words and template. Nothing is sent, and no database is opened.
    """
    from czo_auth.cli.command import fail, reporting
    from czo_auth.cli.host import host_auth

    with reporting():
        from czo_auth.core.mail import MAIL_KINDS, OPTIONAL_MAILS
        from czo_auth.deployment import read_settings
        from czo_auth.extras import require_extra
        from czo_auth.runtime.clock import utc_now
        from czo_auth.runtime.mail import mail_writer_of, sample_message
        from czo_auth.translations import Catalogs

        host = host_auth()
        settings = read_settings() if host is None else host.settings
        if kind is None:
            for each in sorted(MAIL_KINDS):
                off = "  (off)" if each in settings.mails_off else ""
                print(f"{each}{'  can be switched off' if each in OPTIONAL_MAILS else ''}{off}")
            return
        catalogs = Catalogs(settings.translations_dir, default=settings.default_language)
        if kind not in MAIL_KINDS:
            fail(f"there is no mail of kind {kind!r}: `czo-auth mail preview` lists them", 2)
        if language is not None and language not in catalogs.languages:
            fail(f"there is no language {language!r}: there are {', '.join(sorted(catalogs.languages))}", 2)
        writer = mail_writer_of(settings, catalogs)
        message = sample_message(writer, kind, settings, language=language, now=utc_now())
        if html:
            require_extra("pages", "The HTML part of mails")
            print(message.html)
        else:
            print(f"To: {message.to}\nSubject: {message.subject}\n\n{message.text}", end="")
