"""The watcher that turns what became durable into spans, as it happens."""

import logging
from collections.abc import Iterable, Mapping

from clew.core.events import DriverStopped, Event, RunFinished, RunStarted
from clew.manifest.compiled import Plan
from clew.telemetry.sender import Mask, Sender, check_installed, traces_url
from clew.telemetry.spans import RunSpans, Span

logger = logging.getLogger("clew.telemetry")


class Tracing:
    """A ``Watcher`` of the runs that are driven here. ``close`` it after the last of them.

    Raises UsageError for an endpoint that is no HTTP address.
    """

    def __init__(self, endpoint: str, mask: Mask) -> None:
        self.sender = Sender(traces_url(endpoint), mask)
        self._providers: dict[str, Mapping[str, str]] = {}
        self._runs: dict[str, RunSpans] = {}

    def know(self, address: str, plan: Plan) -> None:
        """Runs of the plan at this address will be driven. Their spans name the kind of a model's provider by it.

        Raises UsageError where the extra ``telemetry`` is not installed.
        """
        check_installed()
        self._providers[address] = provider_types(plan)

    def recall(self, run: str, events: Iterable[Event]) -> None:
        """Take up a run that exists: spans that ended before were sent then, those that are open go on."""
        for event in events:
            self._fold(run, event)

    def __call__(self, run: str, seq: int, event: Event) -> None:
        del seq
        self.sender.put(self._fold(run, event))
        if isinstance(event.fact, RunFinished | DriverStopped):
            self._runs.pop(run, None)

    def _fold(self, run: str, event: Event) -> list[Span]:
        fact = event.fact
        if isinstance(fact, RunStarted):
            self._runs[run] = RunSpans(fact, event.at, self._providers.get(fact.plan, {}))
        spans = self._runs.get(run)
        try:
            return spans.add(event) if spans else []
        except Exception as error:  # a fault in here must never reach the run
            del self._runs[run]
            logger.warning("run %s is not traced any further: %s", run, type(error).__name__)
            return []

    async def close(self) -> None:
        """Send what is left, in a bounded time."""
        await self.sender.close()


def whole(events: Iterable[Event], providers: Mapping[str, str]) -> list[Span]:
    """Every span that a stored run's facts have ended."""
    found: list[Span] = []
    spans: RunSpans | None = None
    for event in events:
        if isinstance(event.fact, RunStarted):
            spans = RunSpans(event.fact, event.at, providers)
        found += spans.add(event) if spans else ()
    return found


def provider_types(plan: Plan) -> dict[str, str]:
    """Id of every provider that the plan declares -> its type."""
    return {provider["id"]: provider["type"] for provider in plan.sections.get("providers", ())}
