"""The templates: ours, with a deployment's own laid over them."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Final

from jinja2 import (
    BaseLoader,
    BytecodeCache,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)
from jinja2.bccache import Bucket
from jinja2.sandbox import ImmutableSandboxedEnvironment

from czo_auth.errors import StartRefused

_LOG = logging.getLogger("czo_auth")

OURS: Final = "czo_auth"
"""What an own template calls ours by: ``{% extends "czo_auth/sign_in.html" %}``."""


def template_environment(folder: Path | None, *, package: str) -> Environment:
    """
    Make the environment that renders the templates of *package*, with those in *folder* laid over them.

    Templates are escaped, sandboxed, and may name nothing that does not exist.

    Raises:
        StartRefused: The folder cannot be read, or a template in it is broken; the sentence names file and line.
    """
    ours = PackageLoader(package)
    loaders: list[BaseLoader] = [ours, PrefixLoader({OURS: ours})]
    if folder is not None:
        loaders.insert(0, FileSystemLoader(folder))
    return ImmutableSandboxedEnvironment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=_compiled(package),
    )


class _Compiled(BytecodeCache):
    """What templates were compiled to: the deployments of a process compile each of them once."""

    def __init__(self) -> None:
        self._code: dict[str, tuple[str, CodeType]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give *bucket* the code of its template, if the source is still the same."""
        checksum, code = self._code.get(bucket.key, ("", None))
        if checksum == bucket.checksum:
            bucket.code = code

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code that *bucket* has."""
        if bucket.code is not None:
            self._code[bucket.key] = (bucket.checksum, bucket.code)


@cache
def _compiled(package: str) -> _Compiled:
    """Return the one for *package*: code also depends on options and filters, which are the same within a package."""
    return _Compiled()


def check_own_templates(
    folder: Path,
    environment: Environment,
    *,
    known: frozenset[str] = frozenset(),
    others: frozenset[str] = frozenset(),
    only: frozenset[str] | None = None,
) -> None:
    """
    Look at every template in *folder* once, so that a broken one stops the start instead of a page.

    Args:
        known: The names of our templates. Another name is of use only to a template that includes it; one that does
            not begin with an underscore is warned about, as it may be misspelled.
        others: Names that are looked at elsewhere.
        only: The only names to look at; by default all.

    Raises:
        StartRefused: See `template_environment`.
    """
    try:
        if not folder.is_dir():
            raise StartRefused("CZO_AUTH_TEMPLATES_DIR names no folder.")
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*.html")} - others
        names = names if only is None else names & only
    except OSError as error:
        raise StartRefused(
            f"CZO_AUTH_TEMPLATES_DIR names a folder that cannot be read: {error.strerror}."
        ) from None
    for name in sorted(names):
        try:
            environment.get_template(name)
        except TemplateSyntaxError as error:
            raise StartRefused(
                f"CZO_AUTH_TEMPLATES_DIR: {name} is broken: {error.message} (at line {error.lineno})."
            ) from None
        except (TemplateError, OSError, UnicodeDecodeError) as error:
            raise StartRefused(
                f"CZO_AUTH_TEMPLATES_DIR: {name} cannot be read: {type(error).__name__}."
            ) from None
        if only is None and name not in known and not name.rpartition("/")[2].startswith("_"):
            _LOG.warning("CZO_AUTH_TEMPLATES_DIR: %s replaces no template of ours", name)
