"""Tells czo-auth's pytest plugin what is under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fastapi import FastAPI

    from czo_auth import Auth


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[FastAPI, Auth]:
    """The shop, imported once, with a data folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CZO_AUTH_DATA_DIR", str(tmp_path_factory.mktemp("shop")))
        from examples.fastapi_host.app import app, auth

    return app, auth


@pytest.fixture
def auth_under_test(shop: tuple[FastAPI, Auth]) -> tuple[FastAPI, Auth]:
    return shop
