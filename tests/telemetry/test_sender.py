"""The sender: nothing that a collector does is felt by who puts spans."""

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from clew.core.errors import UsageError
from clew.telemetry import sender as sending
from clew.telemetry.sender import Sender, check_installed, open_sink, shown, traces_url
from clew.telemetry.spans import Span


def span(number: int = 1) -> Span:
    return Span(trace=1, id=number, parent=0, name=f"s{number}", start=1, end=2, attributes={})


def plain(text: str) -> str:
    return text


@pytest.fixture
def sender(collector: Any) -> Sender:
    return Sender(traces_url(collector.url), plain)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("https://c.example/otlp/", "https://c.example/otlp/v1/traces"),
        ("https://c.example/v1/traces", "https://c.example/v1/traces"),
        ("https://c.example?k=v", "https://c.example/v1/traces?k=v"),
    ],
)
def test_where_traces_go(endpoint: str, url: str):
    assert traces_url(endpoint) == url


@pytest.mark.parametrize("endpoint", ["c:4318", "ftp://x", "http:", "http://x:port", "http://[::1", "http://x:0"])
def test_what_is_no_address_is_not_repeated(endpoint: str):
    with pytest.raises(UsageError, match="no http") as caught:
        traces_url(endpoint)
    assert str(caught.value) == "the OTLP endpoint is no http(s) address (such as http://localhost:4318)"


def test_an_address_is_shown_without_what_may_be_secret():
    assert shown("https://user:hunter2@c.example:99/v1/traces?key=hunter2") == "https://c.example:99"
    assert shown("https://c.example/x") == "https://c.example"


async def test_what_is_left_is_sent_on_close(sender: Sender, collector: Any):
    sender.put([span(1), span(2)])
    sender.put([])
    sender.put([span(3)])
    await sender.close()
    assert [s.name for s in collector.spans] == ["s1", "s2", "s3"]
    assert sender.lost == 0


async def test_no_span_no_thread(sender: Sender, collector: Any):
    sender.put([])
    await sender.close()
    assert sender._thread is None
    assert collector.requests == []


async def test_a_full_batch_does_not_wait(sender: Sender, collector: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sending, "DELAY_S", 60.0)
    sender.put([span()])
    sender.put([span(n) for n in range(2, sending.BATCH + 10)])
    assert await asyncio.to_thread(collector.came.wait, 10)
    await sender.close()
    assert [len(r.resource_spans[0].scope_spans[0].spans) for _, _, r in collector.requests] == [sending.BATCH, 9]


async def test_a_collector_that_hangs(
    sender: Sender, collector: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(sending, "FLUSH_S", 0.2)
    monkeypatch.setattr(sending, "DELAY_S", 0.0)
    monkeypatch.setattr(sending, "LIMIT", 3)
    collector.gate.clear()
    sender.put([span()])
    assert await asyncio.to_thread(collector.came.wait, 10)
    began = time.perf_counter()
    sender.put([span(n) for n in range(2, 12)])
    assert time.perf_counter() - began < 1
    assert sender.lost == 7
    await sender.close()
    assert time.perf_counter() - began < 5
    assert sender.lost == 11
    sender.put([span()])
    assert sender.lost == 12
    assert [r.levelno for r in caplog.records] == [logging.WARNING] * 2
    assert f"not sent to {collector.url}: they come faster" in caplog.text
    assert "11 spans in all were not sent" in caplog.text
    collector.gate.set()
    assert sender._thread is not None
    await asyncio.to_thread(sender._thread.join, 10)
    assert not sender._thread.is_alive()
    assert sender.lost == 12


class Scripted:
    """Takes spans, or says why not, by script."""

    def __init__(self, *troubles: str | None) -> None:
        self.troubles = list(troubles)
        self.asked = threading.Semaphore(0)

    def send(self, spans: Sequence[Span]) -> str | None:
        self.asked.release()
        return self.troubles.pop(0)

    def close(self) -> None: ...


async def test_a_collector_that_refuses_is_told_of_once_and_again_when_it_takes_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(sending, "DELAY_S", 0.0)
    sink = Scripted("HTTP 404", "HTTP 503", None)
    monkeypatch.setattr(sending, "open_sink", lambda *_: sink)
    sender = Sender("http://c:1/v1/traces", plain)
    for number in range(3):
        sender.put([span(number)])
        assert await asyncio.to_thread(sink.asked.acquire, timeout=10)
    await sender.close()
    assert caplog.messages == [
        "traces are not sent to http://c:1: HTTP 404; runs go on without",
        "traces are sent to http://c:1 again; 2 spans were lost",
        "2 spans in all were not sent to http://c:1",
    ]


async def test_a_status_is_in_the_log(sender: Sender, collector: Any, caplog: pytest.LogCaptureFixture):
    collector.status = 401
    sender.put([span()])
    await sender.close()
    assert caplog.messages[0] == f"traces are not sent to {collector.url}: HTTP 401; runs go on without"
    assert {r.name for r in caplog.records} == {"clew.telemetry"}


async def test_a_collector_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, collector: Any
):
    collector.close()
    monkeypatch.setattr(sending, "FLUSH_S", 0.3)
    sender = Sender(traces_url(collector.url.replace("//", "//me:hunter2@") + "?key=hunter2"), plain)
    began = time.perf_counter()
    sender.put([span()])
    await sender.close()
    assert time.perf_counter() - began < 5
    assert sender.lost == 1
    assert "hunter2" not in caplog.text
    assert sender._thread is not None
    await asyncio.to_thread(sender._thread.join, 10)
    monkeypatch.setattr(collector, "close", lambda: None)


async def test_a_fault_of_ours_ends_nothing(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(url: str, mask: Any) -> Any:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(sending, "open_sink", broken)
    sender.put([span()])
    await sender.close()
    assert (sender.lost, "RuntimeError" in caplog.text, "hunter2" in caplog.text) == (1, True, False)


@pytest.mark.parametrize("missing", ["opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http"])
def test_a_missing_extra_is_a_clear_error(missing: str, monkeypatch: pytest.MonkeyPatch):
    real = sending.find_spec

    def find(module: str) -> Any:
        if module == missing == "opentelemetry.sdk.trace":
            raise ModuleNotFoundError("No module named 'opentelemetry'")
        return None if module == missing else real(module)

    monkeypatch.setattr(sending, "find_spec", find)
    with pytest.raises(UsageError, match=r"not installed .pip install 'clew\[telemetry\]', or set CLEW_OTLP=off"):
        open_sink("http://localhost:1/v1/traces", plain)


def test_nothing_of_it_is_loaded_before_it_is_needed():
    check_installed()
    code = (
        "import sys, clew.service.wiring, clew.telemetry.tracing as t\n"
        "t.Tracing('http://localhost:1', str)\n"
        "t.check_installed()\n"
        "sys.exit(' '.join({'clew.telemetry.otlp', 'requests', 'opentelemetry.trace'} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
