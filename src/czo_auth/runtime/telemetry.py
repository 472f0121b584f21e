"""
Traces and metrics of what the deployment does, through OpenTelemetry's API.

Without an SDK in the process nothing is recorded, and without the API package nothing is imported. Names and
attributes are chosen from what this code knows: no path, address, id of a person, credential or text that someone
sent is ever among them.

Source: OpenTelemetry's semantic conventions for HTTP server spans and metrics; W3C Trace Context.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Literal

from czo_auth.core.errors import Refusal, Unavailable
from czo_auth.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram
    from opentelemetry.trace import Span, Tracer

try:
    from opentelemetry import context as otel_context
    from opentelemetry import metrics, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:  # the extra `otel` is not installed
    HAS_API = False
else:
    HAS_API = True

SCOPE: Final = "czo_auth"
Kind = Literal["request", "step", "hash", "delivery", "webhook_delivery"]
METRICS: Final[Mapping[Kind, tuple[str, str]]] = {
    "request": ("http.server.request.duration", "Time from request to the end of the answer."),
    "step": ("czo_auth.step.duration", "Time that a database transaction took, its waiting included."),
    "hash": ("czo_auth.hash.duration", "Time that hashing took, its waiting included."),
    "delivery": ("czo_auth.delivery.duration", "Time that a sink took for one event."),
    "webhook_delivery": ("czo_auth.webhook_delivery.duration", "Time that one webhook request took."),
}
"""OpenTelemetry's metrics, histograms in seconds."""

Labels = dict[str, str | int]
Observer = Callable[[Kind, Labels, float], None]
REQUEST_ID: ContextVar[str | None] = ContextVar("czo_auth_request_id", default=None)
"""The id of the request that is served, as audit records have it."""
_TRACE_HEADERS: Final = {b"traceparent": "traceparent", b"tracestate": "tracestate"}
_MAX_TRACESTATE: Final = 512
_LOOK_SECONDS: Final = 1.0


class Work:
    """
    Something that is measured while it is done.

    Attributes:
        labels: Of its metrics; few values each.
    """

    __slots__ = ("labels", "span")

    def __init__(self, labels: Labels, span: Span | None) -> None:
        self.labels = labels
        self.span = span

    def set(self, name: str, value: str | int) -> None:
        """Add an attribute to the span."""
        if self.span is not None:
            self.span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """Name the span, once it is known what it is."""
        if self.span is not None:
            self.span.update_name(name)

    def fail(self, kind: str) -> None:
        """Mark the span as failed, by a word and not a message, which may quote what somebody sent."""
        if self.span is not None:
            self.span.set_attribute("error.type", kind)
            self.span.set_status(trace.StatusCode.ERROR)


class Telemetry:
    """
    Measures work and hands each duration to the observers, such as the registry that Prometheus reads.

    Spans of steps and hashes are made inside another span only: what the deployment does by itself every few seconds
    would bury all others.
    """

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self._has_sdk = False
        self._look_at = 0.0
        self._tracer: Tracer | None = trace.get_tracer(SCOPE, VERSION) if HAS_API else None
        self._histograms: dict[Kind, Histogram] = {}
        if HAS_API:
            meter = metrics.get_meter(SCOPE, VERSION)
            for kind, (name, description) in METRICS.items():
                self._histograms[kind] = meter.create_histogram(name, unit="s", description=description)

    @property
    def has_sdk(self) -> bool:
        """Whether the process has an SDK, as of a second ago: without one, requests need not be measured."""
        now = time.monotonic()
        if now >= self._look_at and HAS_API:
            self._look_at = now + _LOOK_SECONDS
            providers = (trace.get_tracer_provider(), metrics.get_meter_provider())
            # The API has no public test for "none is set"; the names of its placeholder classes show it.
            self._has_sdk = not all("Proxy" in type(provider).__name__ for provider in providers)
        return self._has_sdk

    @property
    def is_idle(self) -> bool:
        """Whether nothing would receive a measurement."""
        return not self._observers and not self.has_sdk

    def observe_with(self, observer: Observer) -> None:
        """Call *observer* with kind, labels and seconds of all work from now on."""
        self._observers.append(observer)

    @contextmanager
    def request(self, headers: Sequence[tuple[bytes, bytes]] | None) -> Iterator[Work]:
        """
        Measure a request.

        Args:
            headers: Of a caller whose ``traceparent`` is believed; None begins a trace, unless the host has begun one.
        """
        context = None
        if self._tracer is not None and headers is not None and not _in_trace():
            context = _remote_context(headers)
        with self._measured("request", "request", {}, context=context, span_kind="SERVER") as work:
            yield work

    @contextmanager
    def work(self, kind: Kind, name: str, labels: Labels, **attributes: str | int) -> Iterator[Work]:
        """
        Measure work that the deployment does.

        Args:
            name: Of the span.
            labels: Of the metrics; ``outcome`` is added, unless it is set in the meantime: ``ok``, ``refused``,
                ``unavailable``, ``failed`` or ``cancelled``.
            attributes: Of the span.
        """
        is_delivery = kind in ("delivery", "webhook_delivery")
        with self._measured(
            kind, name, labels, span_kind="PRODUCER" if is_delivery else "INTERNAL", attributes=attributes
        ) as work:
            try:
                yield work
            except Unavailable:
                work.labels["outcome"] = "unavailable"
                work.fail("unavailable")
                raise
            except Refusal:
                work.labels["outcome"] = "refused"
                raise
            except Exception as error:
                work.labels.setdefault("outcome", "failed")
                work.fail(type(error).__name__)
                raise
            except BaseException:
                # The client disconnected, or a time limit passed.
                work.labels.setdefault("outcome", "cancelled")
                raise
            else:
                work.labels.setdefault("outcome", "ok")

    @contextmanager
    def _measured(
        self,
        kind: Kind,
        name: str,
        labels: Labels,
        *,
        context: otel_context.Context | None = None,
        span_kind: Literal["SERVER", "INTERNAL", "PRODUCER"],
        attributes: Mapping[str, str | int] | None = None,
    ) -> Iterator[Work]:
        begun = time.perf_counter()
        work = Work(labels, None)
        try:
            if self._tracer is None or (span_kind == "INTERNAL" and not _in_trace()):
                yield work
            else:
                with self._tracer.start_as_current_span(
                    name,
                    context=context,
                    kind=trace.SpanKind[span_kind],
                    attributes=attributes,
                    # Messages of exceptions may quote what someone sent.
                    record_exception=False,
                    set_status_on_exception=False,
                ) as span:
                    work.span = span
                    yield work
        finally:
            seconds = time.perf_counter() - begun
            for observer in self._observers:
                observer(kind, work.labels, seconds)
            if self._histograms:
                self._histograms[kind].record(seconds, work.labels)


def current_trace() -> tuple[str, str] | None:
    """Return the ids of the trace and span that the caller is in, as W3C writes them; None outside of any."""
    if not HAS_API:
        return None
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return None
    return trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)


def _in_trace() -> bool:
    return trace.get_current_span().get_span_context().is_valid


def _remote_context(headers: Sequence[tuple[bytes, bytes]]) -> otel_context.Context:
    """Read W3C Trace Context, and nothing else: baggage would carry a stranger's texts on."""
    carrier: dict[str, str] = {}
    for name, value in headers:
        if name in _TRACE_HEADERS and len(value) <= _MAX_TRACESTATE:
            carrier[_TRACE_HEADERS[name]] = value.decode("latin-1")
    return TraceContextTextMapPropagator().extract(carrier, context=otel_context.Context())
