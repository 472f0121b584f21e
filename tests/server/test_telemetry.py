"""The server's logs as JSON, and its spans for an SDK that was put beside it, seen from outside."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from tests.conftest import StartServer

# What `opentelemetry-instrument` does: a module that every Python process imports at its start sets up an SDK.
SITE = """
import json, os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

provider = TracerProvider()
out = open(os.environ["SPANS"], "a", buffering=1)
provider.add_span_processor(SimpleSpanProcessor(
    ConsoleSpanExporter(out=out, formatter=lambda span: json.dumps(json.loads(span.to_json())) + chr(10))
))
trace.set_tracer_provider(provider)
"""


def test_logs_are_json_with_the_ids_of_request_and_trace(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    spans = tmp_path / "spans.jsonl"
    server = start_server(
        env={
            "CZO_AUTH_LOG_FORMAT": "json",
            "PYTHONPATH": str(tmp_path / "site"),
            "SPANS": str(spans),
            "CZO_AUTH_TRUSTED_PROXIES": "127.0.0.1",
        }
    )
    asked = {"x-request-id": "asked-for-1", "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    other_site = {
        "origin": "https://elsewhere.example.com",
        "cookie": "better-auth.session_token=czs_" + "A" * 43,
    }
    answer = httpx.post(f"{server.url}/api/auth/two-factor/disable", headers={**asked, **other_site})
    assert answer.status_code == 403
    server.stop()
    lines = [json.loads(line) for line in server.output().splitlines() if line.startswith("{")]
    assert lines, server.output()
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)
    (warning,) = [line for line in lines if "elsewhere.example.com" in line["message"]]
    assert (warning["level"], warning["request_id"], warning["trace_id"]) == (
        "WARNING",
        "asked-for-1",
        "ab" * 16,
    )
    (span,) = [
        found
        for found in map(json.loads, spans.read_text().splitlines())
        if "two-factor" in str(found["attributes"])
    ]
    assert span["name"] == "POST /api/auth/two-factor/disable"
    assert span["context"]["trace_id"] == "0x" + "ab" * 16
    assert span["context"]["span_id"] == "0x" + warning["span_id"]
