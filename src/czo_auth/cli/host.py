"""The deployment that a host's code defines: ``--app shop:auth``, or ``CZO_AUTH_APP``."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from czo_auth.errors import StartRefused

if TYPE_CHECKING:
    from czo_auth.auth import Auth

VARIABLE: Final = "CZO_AUTH_APP"
App: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="MODULE:ATTRIBUTE",
        help="The Auth in your code, with its settings and actor types; also CZO_AUTH_APP.",
        show_default=False,
    ),
]
_FORM: Final = "module:attribute, like shop:auth"


def add_app_option(app: typer.Typer) -> None:
    """Add ``--app`` to each command that works on a deployment; call it after the last command is registered."""
    for command in app.registered_commands:
        if command.callback is not None and "data_dir" in inspect.signature(command.callback).parameters:
            command.callback = with_app(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_app_option(group.typer_instance)


def with_app(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--app`` to a command that reads the settings of a deployment."""

    @wraps(command)
    def run(*args: Any, app: str | None = None, **options: Any) -> Any:
        if app is not None:
            os.environ[VARIABLE] = app
        return command(*args, **options)

    own = inspect.signature(command, eval_str=True)
    option = inspect.Parameter("app", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=App)
    run.__signature__ = own.replace(parameters=[*own.parameters.values(), option])  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in own.parameters.items()} | {
        "app": App
    }
    return run


def host_auth() -> Auth | None:
    """
    Import the host's ``Auth``; None if no application was named.

    Raises:
        StartRefused: It cannot be imported, or is something else.
    """
    name = os.environ.get(VARIABLE, "").strip()
    return _imported(name) if name else None


@cache
def _imported(name: str) -> Auth:
    from czo_auth.auth import Auth

    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise StartRefused(f"{VARIABLE} is {name!r}: it has to be {_FORM}.")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        if not isinstance(found, Auth) and callable(found):
            found = found()
    except StartRefused:
        raise
    except Exception as error:
        raise StartRefused(
            f"{VARIABLE}: {name} cannot be imported: {type(error).__name__}: {error}."
        ) from error
    if not isinstance(found, Auth):
        raise StartRefused(f"{VARIABLE}: {name} is {type(found).__qualname__}, and has to be an Auth.")
    return found
