"""What a collector is sent."""

import logging
from typing import Any

import pytest

from clew._version import __version__
from clew.policies.redact import MASK, Redactor
from clew.telemetry.otlp import LONGEST, Otlp
from clew.telemetry.spans import Span


def span(**fields: Any) -> Span:
    given = {"trace": 2**127 + 5, "id": 7, "parent": 0, "name": "n", "start": 1000, "end": 1002, "attributes": {}}
    return Span(**{**given, **fields})


def send(collector: Any, *spans: Span, mask: Any = str, query: str = "") -> str | None:
    sink = Otlp(f"{collector.url}/v1/traces{query}", mask)
    try:
        return sink.send(spans)
    finally:
        sink.close()


def test_a_span_as_it_arrives(collector: Any, attributes_of: Any):
    one = span(attributes={"a": "x", "n": 2**63 - 1}, client=True, link=(3, 4))
    assert send(collector, one, span(id=8, parent=7, attributes={"error.type": "e"})) is None
    ((path, headers, request),) = collector.requests
    assert (path, headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
    first, second = collector.spans
    assert int.from_bytes(first.trace_id) == one.trace
    assert (int.from_bytes(first.span_id), first.parent_span_id) == (7, b"")
    assert second.parent_span_id == first.span_id
    assert (first.start_time_unix_nano, first.end_time_unix_nano) == (10**9, 1_002_000_000)
    assert attributes_of(first) == {"a": "x", "n": 2**63 - 1}
    assert (first.kind, second.kind) == (first.SPAN_KIND_CLIENT, first.SPAN_KIND_INTERNAL)
    assert (first.status.code, second.status.code) == (0, 2)
    assert [(int.from_bytes(k.trace_id), int.from_bytes(k.span_id)) for k in first.links] == [(3, 4)]
    resource = attributes_of(request.resource_spans[0].resource)
    assert (resource["service.name"], resource["service.version"]) == ("clew", __version__)


def test_the_standard_variables_hold(collector: Any, attributes_of: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=abc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    assert send(collector, span()) is None
    ((_, headers, request),) = collector.requests
    resource = attributes_of(request.resource_spans[0].resource)
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("shop", "test")
    assert (headers["x-api-key"], headers["Content-Encoding"]) == ("abc", "gzip")


def test_secrets_are_masked_and_texts_bounded(collector: Any, attributes_of: Any):
    one = span(name="chat hunter2", attributes={"clew.effect": "hunter2/x", "long": "y" * 999})
    send(collector, one, mask=Redactor(values=["hunter2"]).text)
    (arrived,) = collector.spans
    assert arrived.name == f"chat {MASK}"
    assert attributes_of(arrived) == {"clew.effect": f"{MASK}/x", "long": "y" * LONGEST}


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500])
def test_a_refusal_is_told_by_its_status_and_logs_nothing(
    collector: Any, status: int, caplog: pytest.LogCaptureFixture
):
    collector.status = status
    assert send(collector, span(), query="?key=hunter2") == f"HTTP {status}"
    assert caplog.records == []


def test_no_answer(collector: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    collector.gate.clear()
    assert send(collector, span(), query="?key=hunter2") == "no answer"
    assert caplog.records == []


def test_a_header_that_is_none_is_not_logged(
    collector: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Bearer hunter2")
    assert send(collector, span()) is None
    assert caplog.records == []


def test_what_others_log_there_is_theirs(collector: Any, caplog: pytest.LogCaptureFixture):
    send(collector, span())
    logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").warning("of the application")
    assert caplog.messages == ["of the application"]
