"""Spans handed to a collector: OTLP over HTTP, by OpenTelemetry's own exporter (which reads its headers, certificates, compression
and time-out from ``OTEL_EXPORTER_OTLP_*``). Loaded by ``sender`` when there is something to send; never at import of clew.
"""

import logging
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.re import parse_env_headers

from clew._version import __version__
from clew.telemetry.spans import Span

LONGEST = 256
"""Characters of a name or attribute."""

_NS = 1_000_000
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class _Overheard(logging.Filter):
    """Keeps what the exporter says about our spans to itself: it may hold addresses and headers, and what is secret in them."""

    def __init__(self) -> None:
        super().__init__()
        self._status: dict[int | None, int] = {}
        """Thread that listens -> HTTP status that was last spoken of, 0 for none."""

    @contextmanager
    def listening(self) -> Generator[Callable[[], int]]:
        """Gives what tells the status."""
        thread = threading.get_ident()
        self._status[thread] = 0
        try:
            yield lambda: self._status[thread]
        finally:
            del self._status[thread]

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread not in self._status:
            return True
        given = record.args if isinstance(record.args, tuple) else ()
        self._status[record.thread] = next((a for a in given if isinstance(a, int)), 0)
        return False


_overheard = _Overheard()
for _name in (OTLPSpanExporter.__module__, parse_env_headers.__module__):
    logging.getLogger(_name).addFilter(_overheard)


class Otlp:
    """``url`` is that of the traces; ``mask`` removes secrets from text."""

    def __init__(self, url: str, mask: Callable[[str], str]) -> None:
        with _overheard.listening():
            self._exporter = OTLPSpanExporter(endpoint=url)
        self._mask = mask
        self._scope = InstrumentationScope("clew", __version__)
        self._resource = Resource.create()
        if str(self._resource.attributes["service.name"]).startswith("unknown_service"):
            self._resource = self._resource.merge(Resource({"service.name": "clew", "service.version": __version__}))

    def send(self, spans: Sequence[Span]) -> str | None:
        """None when they were taken, else why not."""
        with _overheard.listening() as status:
            taken = self._exporter.export([self._readable(span) for span in spans]) is SpanExportResult.SUCCESS
            return None if taken else f"HTTP {status()}" if status() else "no answer"

    def close(self) -> None:
        self._exporter.shutdown()

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=self._text(span.name),
            context=SpanContext(span.trace, span.id, is_remote=False, trace_flags=_SAMPLED),
            parent=SpanContext(span.trace, span.parent, is_remote=False, trace_flags=_SAMPLED) if span.parent else None,
            resource=self._resource,
            attributes={k: self._text(v) if isinstance(v, str) else v for k, v in span.attributes.items()},
            links=[Link(SpanContext(*span.link, is_remote=True, trace_flags=_SAMPLED))] if span.link else [],
            kind=SpanKind.CLIENT if span.client else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR) if "error.type" in span.attributes else Status(),
            start_time=span.start * _NS,
            end_time=span.end * _NS,
            instrumentation_scope=self._scope,
        )

    def _text(self, text: str) -> str:
        return self._mask(text)[:LONGEST]
