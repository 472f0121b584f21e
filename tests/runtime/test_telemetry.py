"""Traces and metrics through OpenTelemetry's API: what is there, and that nothing of a person is in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from czo_auth import Auth, Event, Settings
from czo_auth.core.errors import StorageUnavailable
from czo_auth.core.events.deliver import SinkUnavailable
from czo_auth.crypto.sealing import new_key_text
from czo_auth.runtime.telemetry import METRICS, SCOPE, Telemetry, current_trace
from czo_auth.runtime.traced import TracedSink
from tests.integrations.acting import BASE, PASSWORD, NoCookies, create_key, sign_in, sign_up

STRANGER = "198.51.100.7"
PROXY = "10.0.0.1"
REMOTE_TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{REMOTE_TRACE}-b7ad6b7169203331-01"


class Recorded:
    """An SDK whose spans and metrics stay here; the process as a whole has none."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer(SCOPE)
        self.reader = InMemoryMetricReader()
        meter = MeterProvider([self.reader], shutdown_on_exit=False).get_meter(SCOPE)
        telemetry._tracer = self.tracer
        telemetry._has_sdk, telemetry._look_at = True, float("inf")
        telemetry._histograms = {
            kind: meter.create_histogram(name, unit="s") for kind, (name, _) in METRICS.items()
        }

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def requests(self) -> list[ReadableSpan]:
        return [span for span in self.spans if span.kind is SpanKind.SERVER]

    def points(self, metric: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        metrics = [
            each for found in data.resource_metrics for scope in found.scope_metrics for each in scope.metrics
        ]
        return [point for each in metrics if each.name == metric for point in each.data.data_points]


@pytest.fixture
async def auth(migrated_sqlite_url: str) -> AsyncIterator[Auth]:
    auth = Auth(
        Settings(
            database_url=migrated_sqlite_url,
            encryption_key=SecretStr(new_key_text()),
            base_url="http://shop.test",
            rate_limit_enabled=False,
            trusted_proxies=(PROXY,),
            pages_enabled=True,
        )
    )
    yield auth
    await auth.stop()


@pytest.fixture
def recorded(auth: Auth) -> Recorded:
    return Recorded(auth.telemetry)


@contextmanager
def client_from(auth: Auth, address: str) -> Iterator[httpx.AsyncClient]:
    app = Starlette(
        routes=[Mount(BASE, auth.app), Mount("/account", auth.pages), Mount("/graphql", auth.graphql)]
    )
    transport = httpx.ASGITransport(app, client=(address, 1))
    client = httpx.AsyncClient(transport=transport, base_url="http://shop.test")
    client.cookies.jar.set_policy(NoCookies())
    yield client


async def test_request_has_a_span_with_its_steps_and_hashes_inside(auth: Auth, recorded: Recorded) -> None:
    with client_from(auth, STRANGER) as client:
        person = await sign_up(client)
        recorded.exporter.clear()
        await sign_in(client, person.email)
    (request,) = recorded.requests()
    assert request.name == "POST /api/auth/{actor}/sign-in/email"
    assert request.attributes is not None
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/api/auth/{actor}/sign-in/email",
        "http.response.status_code": 200,
    }
    assert request.parent is None
    inside = [span for span in recorded.spans if span.parent is not None]
    assert {span.name for span in inside} == {"step", "hash"}
    assert {span.context.trace_id for span in recorded.spans} == {request.context.trace_id}
    steps = {
        str(span.attributes["code.function.name"])
        for span in inside
        if span.attributes and span.name == "step"
    }
    assert all(step.startswith("czo_auth.core.flows.") for step in steps)


async def test_nothing_of_a_person_and_no_secret_is_in_a_trace_or_metric(
    auth: Auth, recorded: Recorded
) -> None:
    with client_from(auth, STRANGER) as client:
        person = await sign_up(client)
        key_id, bearer = await create_key(client, person, scopes=["orders:read"])
        await client.get(f"{BASE}/api-keys/{key_id}?x=secret-query", headers=person.bearer)
        await client.post(
            f"{BASE}/customer/sign-in/email", json={"email": person.email, "password": "wrong wrong"}
        )
        await client.get(f"{BASE}/nowhere/{person.email}", headers={"user-agent": "someone's browser"})
        await client.get(f"{BASE}/forward-auth/of/{person.email}", headers=bearer)
        await client.get("/account/sign-in?email=" + person.email)
        await client.post("/graphql/", json={"query": "{ me { email } }"}, headers=person.bearer)
    user_id = (await auth.users.find(email=person.email)).id  # type: ignore[union-attr]
    reported = "\n".join(span.to_json() for span in recorded.spans)
    reported += str([recorded.points(name) for name, _ in METRICS.values()])
    assert "http.route" in reported
    for private in (
        *(person.email, PASSWORD, person.session_token, person.access_token, STRANGER, user_id, key_id),
        *(
            bearer["authorization"].removeprefix("Bearer "),
            "secret-query",
            "wrong wrong",
            "someone's",
            "Somebody",
        ),
    ):
        assert private not in reported, private


async def test_routes_are_reported_as_patterns(auth: Auth, recorded: Recorded) -> None:
    with client_from(auth, STRANGER) as client:
        await client.get(f"{BASE}/api-keys/0190")
        await client.get(f"{BASE}/nowhere/at-all")
        await client.request("BREW", f"{BASE}/session")
        await client.get(f"{BASE}/forward-auth/orders/7")
        await client.post("/graphql/", json={"query": "{ __typename }"})
        await client.get("/account/sign-in?next=/account/keys")
    assert [span.name for span in recorded.requests()] == [
        "GET /api/auth/api-keys/{key_id}",
        "GET",
        "HTTP /api/auth/session",
        "GET /api/auth/forward-auth",
        "POST /graphql",
        "GET /account/sign-in",
    ]


async def test_trace_of_a_stranger_is_not_joined_and_that_of_a_trusted_proxy_is(
    auth: Auth, recorded: Recorded
) -> None:
    headers = {"traceparent": TRACEPARENT, "baggage": "user=ada"}
    for address in (STRANGER, PROXY):
        with client_from(auth, address) as client:
            await client.get(f"{BASE}/session", headers=headers)
    stranger, proxied = recorded.requests()
    assert f"{stranger.context.trace_id:032x}" != REMOTE_TRACE
    assert stranger.parent is None
    assert f"{proxied.context.trace_id:032x}" == REMOTE_TRACE
    assert proxied.parent is not None


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-0-0-00", f"{TRACEPARENT}{'0' * 9000}"])
async def test_broken_traceparent_of_a_proxy_begins_a_trace(
    auth: Auth, recorded: Recorded, traceparent: str
) -> None:
    with client_from(auth, PROXY) as client:
        answer = await client.get(f"{BASE}/session", headers={"traceparent": traceparent})
    assert answer.status_code == 401
    (request,) = recorded.requests()
    assert request.parent is None


async def test_trace_that_the_host_began_is_continued(auth: Auth, recorded: Recorded) -> None:
    with recorded.tracer.start_as_current_span("host") as host, client_from(auth, PROXY) as client:
        assert current_trace() is not None
        await client.get(f"{BASE}/session", headers={"traceparent": TRACEPARENT})
    (request,) = recorded.requests()
    assert request.parent is not None
    assert request.parent.span_id == host.get_span_context().span_id


async def test_telemetry_of_a_host_on_fastapi_does_not_reach_inside(auth: Auth, recorded: Recorded) -> None:
    host = FastAPI(telemetry={"tracer_provider": recorded.provider})
    host.mount(BASE, auth.app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(host), base_url="http://shop.test") as client:
        await client.post(
            f"{BASE}/sign-up/email", json={"email": "not an address", "nonsense": "told to nobody"}
        )
    names = [span.name for span in recorded.spans]
    assert "POST /api/auth/sign-up/email" in names
    assert not [name for name in names if name.startswith("fastapi.")]
    assert "told to nobody" not in "".join(span.to_json() for span in recorded.spans)


async def test_what_the_deployment_does_by_itself_begins_no_trace(auth: Auth, recorded: Recorded) -> None:
    await auth.start()
    await auth._housekeeping.tidy()
    assert recorded.spans == []
    assert recorded.points("czo_auth.step.duration")


class Picky:
    """A sink that has all kinds of trouble, one after the other."""

    name = "picky"
    joins = "billing"

    def __init__(self, *troubles: Exception | None) -> None:
        self._troubles = list(troubles)

    async def deliver(self, event: Event) -> None:
        trouble = self._troubles.pop(0)
        if trouble is not None:
            raise trouble


async def test_delivery_has_a_span_and_an_outcome_and_no_message_of_the_error(
    auth: Auth, recorded: Recorded
) -> None:
    with client_from(auth, STRANGER) as client:
        await sign_up(client)
    events, _ = await auth.services.transactions.read(lambda tx: (tx.outbox.events_after(0, limit=10), None))
    recorded.exporter.clear()
    sink = TracedSink(
        Picky(None, SinkUnavailable("gone"), ValueError("ada@example.com"), TimeoutError()), auth.telemetry
    )
    assert (sink.name, sink.joins, getattr(sink, "policy", None)) == ("picky", "billing", None)
    await sink.deliver(events[0])
    for kind in (SinkUnavailable, ValueError, TimeoutError):
        with pytest.raises(kind):
            await sink.deliver(events[0])
    assert [span.name for span in recorded.spans] == ["send picky"] * 4
    assert all(span.kind is SpanKind.PRODUCER and span.parent is None for span in recorded.spans)
    assert [span.status.status_code for span in recorded.spans] == [StatusCode.UNSET, *[StatusCode.ERROR] * 3]
    assert "ada@example.com" not in "".join(span.to_json() for span in recorded.spans)
    outcomes = {
        str(point.attributes["outcome"]): point.count
        for point in recorded.points("czo_auth.delivery.duration")
    }
    assert outcomes == {"ok": 1, "unavailable": 1, "failed": 2}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (StorageUnavailable(), "unavailable"),
        (ValueError("x"), "failed"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
def test_work_says_how_it_went(error: BaseException, outcome: str) -> None:
    seen: list[tuple[str, dict[str, str | int]]] = []
    telemetry = Telemetry()
    telemetry.observe_with(lambda kind, labels, seconds: seen.append((kind, dict(labels))))
    with pytest.raises(type(error)), telemetry.work("step", "step", {"kind": "read"}):
        raise error
    with telemetry.work("step", "step", {"kind": "write"}):
        pass
    assert seen == [
        ("step", {"kind": "read", "outcome": outcome}),
        ("step", {"kind": "write", "outcome": "ok"}),
    ]


def test_without_an_sdk_nothing_is_recorded() -> None:
    telemetry = Telemetry()
    assert telemetry.is_idle
    assert not telemetry.has_sdk
    with telemetry.request([]) as work, telemetry.work("hash", "hash", {}):
        assert work.span is None or not work.span.is_recording()
        assert current_trace() is None
