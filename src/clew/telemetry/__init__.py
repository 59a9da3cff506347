"""Telemetry: traces as a reading of the journal's facts.

Belongs here: what turns durable facts into OpenTelemetry spans, with gen_ai attributes, and hands them to an exporter. Never here:
content of prompts and answers (payloads), anything that a run depends on, the OpenTelemetry SDK at import time.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Protocol

from clew.core.events import Event
from clew.manifest.compiled import Plan

TRACING = "clew.telemetry.tracing"
"""Loaded where a collector is set; it loads the SDK when there is something to send."""


class Tracer(Protocol):
    """A ``Watcher``; see ``clew.telemetry.tracing.Tracing``."""

    def know(self, address: str, plan: Plan) -> None: ...

    def recall(self, run: str, events: Iterable[Event]) -> None: ...

    def __call__(self, run: str, seq: int, event: Event) -> None: ...

    async def close(self) -> None: ...


def tracer(endpoint: str, mask: Callable[[str], str]) -> Tracer | None:
    """What traces runs to a collector; None where ``endpoint`` is empty. Raises UsageError for what is no HTTP address."""
    if not endpoint:
        return None
    one: Tracer = import_module(TRACING).Tracing(endpoint, mask)
    return one
