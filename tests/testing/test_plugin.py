"""The plugin in a project of its own, as a user's pytest loads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CONFTEST = """
import pytest
from czo_auth import Auth, AuthMiddleware, Settings
from czo_auth.crypto.sealing import new_key_text
from fastapi import FastAPI

def create():
    auth = Auth(Settings(encryption_key=new_key_text()))
    app = FastAPI()
    app.mount("/api/auth", auth.app)
    app.add_middleware(AuthMiddleware, auth=auth, required=True)
    app.get("/")(lambda: "in")
    return app, auth

@pytest.fixture
def auth_under_test():
    return create()
"""
TESTS = """
import pytest

@pytest.mark.asyncio
async def test_asyncio(auth_host):
    ada = await auth_host.person(two_factor=True)
    assert (await ada.client.get("/")).json() == "in"
    assert (await auth_host.client().get("/")).status_code == 401

@pytest.mark.anyio
async def test_anyio(auth_host):
    await test_asyncio(auth_host)

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


@pytest.mark.deep
def test_both_ways_of_running_coroutines_work_in_a_project_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_one=TESTS)
    done = pytester.runpytest_subprocess(
        "-W", "error", "-p", "no:schemathesis", "-o", "asyncio_default_fixture_loop_scope=function"
    )
    done.assert_outcomes(passed=2)


@pytest.mark.deep
def test_what_is_missing_is_said(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(auth_host): pass")
    done = pytester.runpytest_subprocess("-p", "no:schemathesis")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*define a fixture `auth_under_test` that returns*"])


def test_nothing_is_imported_until_a_fixture_is_asked_for() -> None:
    code = (
        "import sys; import czo_auth; assert 'pytest' not in sys.modules\n"
        "import czo_auth.testing; assert 'pytest' not in sys.modules\n"
        "import pytest; before = set(sys.modules); import czo_auth.testing.plugin\n"
        "sys.exit(', '.join(sorted(set(sys.modules) - before - {'czo_auth.testing.plugin'})) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.deep
def test_example_is_tested_with_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/fastapi_host/tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
