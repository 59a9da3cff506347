"""Sends spans in a thread of its own: whatever the collector does, the run neither waits for it nor hears of it.

What cannot be kept or sent is lost, counted, and said in the log once for every time it begins, with the sum at the end.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from clew.core.errors import UsageError
from clew.telemetry.spans import Span

logger = logging.getLogger("clew.telemetry")

LIMIT = 8192
"""Spans that wait to be sent."""
BATCH = 512
DELAY_S = 1.0
"""How long the first span of a batch waits for others."""
FLUSH_S = 3.0
"""How long the last ones have, when everything is closed."""

PARTS = {
    "opentelemetry.sdk.trace": "opentelemetry-sdk",
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
}
"""Module -> distribution of the extra ``telemetry``. They are loaded with ``SINK``, when there is something to send."""
SINK = "clew.telemetry.otlp"

Mask = Callable[[str], str]


class Sink(Protocol):
    """What takes spans in the end."""

    def send(self, spans: Sequence[Span]) -> str | None:
        """None when they were taken, else why not."""
        ...

    def close(self) -> None: ...


def traces_url(endpoint: str) -> str:
    """Where traces go at an OTLP endpoint: its address with ``/v1/traces``. Raises UsageError for what is no HTTP address."""
    try:
        parts = urlsplit(endpoint)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, fits = urlsplit(""), False
    if not fits:
        raise UsageError("the OTLP endpoint is no http(s) address", hint="such as http://localhost:4318")
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith("/v1/traces") else f"{path}/v1/traces"))


def open_sink(url: str, mask: Mask) -> Sink:
    """Raises UsageError where the extra is not installed."""
    check_installed()
    sink: Sink = import_module(SINK).Otlp(url, mask)
    return sink


def check_installed() -> None:
    """Raises UsageError where the extra is not installed; loads none of it."""
    for module, distribution in PARTS.items():
        try:
            found = find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise UsageError(
                f"traces cannot be sent: {distribution} is not installed",
                hint="pip install 'clew[telemetry]', or set CLEW_OTLP=off",
            )


def shown(url: str) -> str:
    """The address without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


class Sender:
    """A bounded queue and the thread that empties it; the thread starts with the first span. ``close`` it."""

    def __init__(self, url: str, mask: Mask) -> None:
        self.lost = 0
        """Spans that were not sent."""
        self._url, self._mask = url, mask
        self._queue: deque[Span] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._sink: Sink | None = None
        self._trouble = ""
        self._closing = False
        self._under_way = 0
        """Spans that are being sent."""

    def put(self, spans: Sequence[Span]) -> None:
        """Never waits for the collector; what there is no room for is lost."""
        if not spans:
            return
        with self._changed:
            taken = 0 if self._closing else LIMIT - len(self._queue)
            if not self._queue or len(self._queue) + len(spans) >= BATCH:
                self._changed.notify()
            self._queue.extend(spans[:taken])
            self._lose(len(spans[taken:]), "closed" if self._closing else "they come faster than they are taken")
        if self._thread is None and not self._closing:
            self._thread = threading.Thread(target=self._work, name="clew-telemetry", daemon=True)
            self._thread.start()

    async def close(self) -> None:
        """Send what is left, for ``FLUSH_S`` seconds at most."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, FLUSH_S)
        with self._changed:
            self._lose(len(self._queue) + self._under_way, "not taken in time")
            self._queue.clear()
            self._under_way = 0
        if self._sink is not None:
            self._sink.close()
        if self.lost:
            logger.warning("%d spans in all were not sent to %s", self.lost, shown(self._url))

    def _work(self) -> None:
        while batch := self._next():
            trouble = self._send(batch)
            with self._changed:
                if not self._under_way:  # given up
                    return
                if trouble is not None:
                    self._lose(self._under_way, trouble)
                elif self._trouble:
                    self._trouble = ""
                    logger.warning("traces are sent to %s again; %d spans were lost", shown(self._url), self.lost)
                self._under_way = 0

    def _next(self) -> list[Span]:
        """Empty when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            self._changed.wait_for(lambda: len(self._queue) >= BATCH or self._closing, DELAY_S)
            self._under_way = min(BATCH, len(self._queue))
            return [self._queue.popleft() for _ in range(self._under_way)]

    def _send(self, batch: list[Span]) -> str | None:
        try:
            if self._sink is None:
                self._sink = open_sink(self._url, self._mask)
            return self._sink.send(batch)
        except Exception as error:  # a fault in here must not end the thread, and its text may hold anything
            return type(error).__name__

    def _lose(self, count: int, why: str) -> None:
        if not count:
            return
        self.lost += count
        if not self._trouble:
            self._trouble = why
            logger.warning("traces are not sent to %s: %s; runs go on without", shown(self._url), why)
