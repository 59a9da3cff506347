"""The trace of a stored run, sent to a collector afterwards (I5)."""

import asyncio

from clew.core.errors import ClewError, UsageError
from clew.service.inspect import origin_of
from clew.service.wiring import Workspace
from clew.telemetry.sender import BATCH, open_sink, shown, traces_url
from clew.telemetry.tracing import provider_types, whole


async def export_traces(workspace: Workspace, run: str, endpoint: str = "") -> int:
    """Send what has ended of a run, under the ids that it was or would have been sent with live; returns how many spans.

    ``endpoint``: where to, else the setting ``otlp``. Raises NotFound, UsageError where there is no endpoint or the extra
    ``telemetry`` is not installed, ClewError where the collector did not take them.
    """
    endpoint = endpoint or workspace.settings.otlp
    if not endpoint:
        raise UsageError("no collector to send traces to", hint="set CLEW_OTLP, such as http://localhost:4318")
    records = await workspace.journal.read(run)
    plan = await workspace.recorded_plan(origin_of(records).plan)
    spans = whole((record.event for record in records), provider_types(plan))
    url = traces_url(endpoint)

    def send() -> str | None:
        sink = open_sink(url, workspace.redactor.text)
        try:
            batches = (spans[i : i + BATCH] for i in range(0, len(spans), BATCH))
            return next((trouble for batch in batches if (trouble := sink.send(batch)) is not None), None)
        finally:
            sink.close()

    trouble = await asyncio.to_thread(send)
    if trouble is not None:
        raise ClewError(f"the trace of run {run} was not taken by {shown(url)}: {trouble}")
    return len(spans)
