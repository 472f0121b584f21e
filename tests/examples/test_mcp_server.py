"""The example of an MCP server, started as its README says and used by the official client."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import httpx2
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from tests.examples.hosts import PATIENCE_SECONDS, HostProcess
from tests.integrations.acting import create_key, sign_up


@pytest.mark.deep
async def test_tools_ask_for_scopes(tmp_path: Path) -> None:
    host = HostProcess(["-m", "examples.mcp_server"], tmp_path, env={"PYTHONWARNINGS": "default"})
    host.start()
    try:
        async with httpx.AsyncClient(base_url=host.url, trust_env=False, timeout=PATIENCE_SECONDS) as client:
            person = await sign_up(client)
            _, bearer = await create_key(client, person, scopes=["orders:read"])
        async with (
            httpx2.AsyncClient(headers=bearer, timeout=PATIENCE_SECONDS) as http,
            streamable_http_client(f"{host.url}/mcp", http_client=http) as streams,
            ClientSession(streams[0], streams[1]) as session,
        ):
            await session.initialize()
            listed = await session.call_tool("list_orders", {})
            assert not listed.is_error
            assert (await session.call_tool("cancel_order", {"number": 1})).is_error
    finally:
        assert host.stop() == 0, host.output()
    assert not re.search(r"czo_[\w-]{5}", host.output())
