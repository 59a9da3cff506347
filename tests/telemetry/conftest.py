"""A collector on loopback that decodes OTLP over HTTP, and behaves as badly as it is told."""

import gzip
import threading
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """``status`` it answers with; ``gate`` shut: it does not answer. ``requests``: (path, headers, decoded)."""

    def __init__(self) -> None:
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.came = threading.Event()
        self.requests: list[tuple[str, Message, Any]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.came.set()
                collector.gate.wait(30)
                if collector.status == 200:
                    decoded = ExportTraceServiceRequest.FromString(body)
                    collector.requests.append((self.path, self.headers, decoded))
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.gate.set()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    @property
    def spans(self) -> list[Any]:
        return [s for _, _, r in self.requests for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans]

    def named(self, name: str) -> Any:
        (span,) = [s for s in self.spans if s.name == name]
        return span

    def tree(self) -> dict[str, str]:
        """Name of each span -> name of its parent, "" for a root."""
        names = {s.span_id: s.name for s in self.spans}
        return {s.name: names[s.parent_span_id] if s.parent_span_id else "" for s in self.spans}


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


@pytest.fixture
def attributes_of() -> Callable[[Any], dict[str, Any]]:
    return attributes


@pytest.fixture
def collector() -> Iterator[Collector]:
    one = Collector()
    yield one
    one.close()
