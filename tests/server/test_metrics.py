"""`GET /metrics` counts what the server answered, of all its workers, and only when it is switched on."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.conftest import StartServer


@pytest.mark.deep
@pytest.mark.parametrize("workers", [1, 2])
def test_figures_count_the_answers_of_all_workers(start_server: StartServer, workers: int) -> None:
    server = start_server(env={"CZO_AUTH_METRICS_ENABLED": "true"}, workers=workers)
    for _ in range(20):
        assert httpx.get(f"{server.url}/api/auth/session").status_code == 401
    figures = httpx.get(f"{server.url}/metrics")
    assert figures.status_code == 200
    found = re.search(r'czo_auth_requests_total\{route="api",status="401"\} ([0-9.]+)', figures.text)
    assert found is not None
    assert float(found[1]) == 20
    steps = re.search(r'czo_auth_step_seconds_count\{kind="write",outcome="ok"\} ([0-9.]+)', figures.text)
    assert steps is not None


def test_figures_are_closed_by_default(start_server: StartServer) -> None:
    assert httpx.get(f"{start_server().url}/metrics").status_code == 404
