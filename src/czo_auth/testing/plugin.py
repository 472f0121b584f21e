"""
The pytest plugin ``czo_auth``. It is loaded wherever czo-auth is installed, so it only imports pytest. ``-p
no:czo_auth`` disables it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from czo_auth.auth import Auth
    from czo_auth.testing.clock import MovableClock
    from czo_auth.testing.host import AuthHost


@pytest.fixture
def auth_under_test() -> tuple[ASGIApp, Auth]:
    """The application under test and its ``Auth``: define a fixture of this name in your conftest.py."""
    raise pytest.UsageError(
        "define a fixture `auth_under_test` that returns (app, auth): your application and its czo_auth.Auth"
    )


@pytest.fixture(scope="session")
def _czo_auth_templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("czo-auth-templates")


@pytest.fixture
def auth_host(
    auth_under_test: tuple[ASGIApp, Auth], tmp_path: Path, _czo_auth_templates: Path
) -> Iterator[AuthHost]:
    """Your application with a database of this test; see `czo_auth.testing.AuthHost`."""
    from czo_auth.testing.host import hosted

    app, auth = auth_under_test
    template = _czo_auth_templates / f"{auth.settings.table_prefix}.db"
    with hosted(app, auth, folder=tmp_path, template=template) as host:
        yield host


@pytest.fixture
def auth_clock(auth_host: AuthHost) -> MovableClock:
    """The clock of `auth_host`."""
    return auth_host.clock
