"""What all commands share: settings, one open deployment, and the reporting of refusals."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TypeVar

from czo_auth.cli.host import host_auth
from czo_auth.core.context import Context
from czo_auth.core.errors import InsufficientScope, NotFound, Refusal, Unavailable, ValidationFailed
from czo_auth.core.text import escape_control
from czo_auth.errors import StartRefused

if TYPE_CHECKING:
    from czo_auth.auth import Auth
    from czo_auth.core.paging import Page, PageQuery
    from czo_auth.settings import Settings

T = TypeVar("T")

REFUSED = 1
CANNOT_START = 2
UNAVAILABLE = os.EX_TEMPFAIL


def operator_context(now: datetime) -> Context:
    """Return the context for somebody with a shell on this machine, who is not a user of the product."""
    return Context(now=now, actor_kind="operator", method="cli")


def run(
    act: Callable[[Auth], Awaitable[T]],
    *,
    data_dir: Path | None,
    database_url: str | None,
    missing: str | None = None,
) -> T:
    """
    Open the deployment, run *act* on its database, and close it, whether or not the server is running.

    A refusal ends the process with one sentence on stderr, see `reporting`.

    Args:
        missing: What to print if the named thing does not exist.
    """
    with reporting(missing=missing):
        from czo_auth.cli.logs import configure_logging

        configure_logging("WARNING")
        settings = chosen_settings(creates=False, data_dir=data_dir, database_url=database_url)
        auth = host_auth()
        if auth is None or auth.settings != settings:
            auth = assembled(settings)
        return asyncio.run(_opened(auth, act))


async def first_rows(read: Callable[[PageQuery], Awaitable[Page[T]]], limit: int | None) -> Sequence[T]:
    """Read a list page by page, until there are *limit* rows; None for all."""
    from czo_auth.core.limits import MAX_PAGE
    from czo_auth.core.paging import PageQuery

    found: list[T] = []
    cursor: str | None = None
    while True:
        left = MAX_PAGE if limit is None else min(MAX_PAGE, limit - len(found))
        page = await read(PageQuery(limit=left, cursor=cursor))
        found.extend(page.items)
        cursor = page.next_cursor
        if cursor is None or len(found) == limit:
            return found


async def _opened(auth: Auth, act: Callable[[Auth], Awaitable[T]]) -> T:
    try:
        with no_newer_schema():
            await _refuse_missing(auth.settings)
            await auth.open()
        return await act(auth)
    finally:
        await auth.stop()


async def _refuse_missing(settings: Settings) -> None:
    """
    Refuse a database without our tables: it is not the intended one, and the command must not create tables.

    Raises:
        StartRefused: There are none.
    """
    from czo_auth.storage.migrate import current_revision

    if await current_revision(settings.direct_url, table_prefix=settings.table_prefix) is None:
        raise StartRefused(_no_deployment(settings))


def _no_deployment(settings: Settings) -> str:
    if settings.is_embedded_default:
        where = f"in {settings.data_dir.absolute()}"
    else:
        where = f"at {described(settings.storage_url)}"
    return f"there is no deployment {where}: `czo-auth serve` or `czo-auth migrate` makes one."


def missing_deployment(settings: Settings) -> NoReturn:
    """
    Report that there is no deployment where the *settings* point.

    Raises:
        StartRefused: Always.
    """
    raise StartRefused(_no_deployment(settings))


def described(url: str) -> str:
    """Describe the address of a database, without user and password."""
    from czo_auth.storage.postgresql_address import read_address

    return url if url.startswith("sqlite:") else str(read_address(url))


@contextmanager
def no_newer_schema() -> Iterator[None]:
    """
    Refuse a database that is ahead of this program.

    Raises:
        StartRefused: It is.
    """
    from czo_auth.storage.migrate import NewerSchema

    try:
        yield
    except NewerSchema:
        raise StartRefused(
            "The database was migrated by a newer version of czo-auth: run that version, or restore a backup."
        ) from None


def assembled(settings: Settings) -> Auth:
    """
    Assemble the deployment.

    Raises:
        StartRefused: The key is missing or malformed, or the address of the database is not valid.
    """
    from czo_auth.auth import Auth

    try:
        return Auth(settings)
    except (ValueError, RuntimeError) as error:
        raise StartRefused(f"{error}.") from None


def chosen_settings(*, creates: bool, **chosen: object) -> Settings:
    """
    Read the settings, *chosen* ones first: from the host's code if it was named, else from the environment.

    Args:
        creates: Whether the embedded default may be made, with its key.

    Raises:
        StartRefused: They are not valid, there is no key, or there is no deployment and none may be made.
    """
    host = host_auth()
    if host is not None:
        given = {name: value for name, value in chosen.items() if value is not None}
        return host.settings.model_copy(update=given) if given else host.settings
    from czo_auth.deployment import read_settings, settings_with_local_key
    from czo_auth.settings import DATABASE_FILE, KEY_FILE

    settings = read_settings(**chosen)
    key_file = settings.data_dir / KEY_FILE
    had_key = key_file.exists()
    if not creates and settings.is_embedded_default and not (settings.data_dir / DATABASE_FILE).exists():
        raise StartRefused(_no_deployment(settings))
    settings = settings_with_local_key(settings)
    if not had_key and key_file.exists():
        note(
            f"made an encryption key: {key_file}. Without it nobody with two factors can sign in: keep a copy."
        )
    return settings


@contextmanager
def reporting(*, missing: str | None = None) -> Iterator[None]:
    """Turn the errors that any command may meet into one sentence on stderr and an exit code."""
    try:
        yield
        sys.stdout.flush()
    except StartRefused as refused:
        fail(str(refused), CANNOT_START)
    except Unavailable as refused:
        if (advice := getattr(refused, "advice", None)) is not None:
            fail(advice, CANNOT_START)
        fail(refused.message, UNAVAILABLE)
    except NotFound as refused:
        fail(missing or refused.message, REFUSED)
    except Refusal as refused:
        fail(refusal_sentence(refused), REFUSED)
    except BrokenPipeError:
        # The reader closed the output. Without this, the flush at the end would raise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Let SIGINT and SIGTERM end the process with status 0 until something else handles them."""

    def end(number: int, frame: FrameType | None) -> None:
        # Not an exception: in the middle of an import it would become another one, with a traceback.
        os._exit(0)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def refusal_sentence(refused: Refusal, *, with_fields: bool = False) -> str:
    """
    Return the reason, with the organizations, keys or scopes that it names.

    Args:
        with_fields: Whether to name a field that is wrong too: for a record of a file, where nothing else names it.
    """
    if isinstance(refused, ValidationFailed) and refused.details:
        return " ".join(f"{where}: {text}" if with_fields else text for where, text in refused.details)
    if isinstance(refused, InsufficientScope):
        named = list(refused.scopes)
    else:
        named = [f"{text} ({where[-1]})" for where, text in refused.details if isinstance(where, tuple)]
    return f"{refused.message.removesuffix('.')}: {', '.join(named)}." if named else refused.message


def note(sentence: str) -> None:
    """Print a note besides the result."""
    print(f"czo-auth: {escape_control(sentence, limit=2048)}", file=sys.stderr, flush=True)


def fail(sentence: str, code: int) -> NoReturn:
    """Print the reason, and end."""
    note(sentence)
    raise SystemExit(code)
