"""How far a tool's call is, told to whoever listens to the run. Provisional, as everything on a stream."""

import asyncio
import math

from clew.gate.effect import Effect
from clew.gate.ports.stream import Chunk, ChunkKind, Streams

LINE_LIMIT = 300
"""Characters of one line."""


class Report:
    """Implements ``gate.ports.tool.Progress`` for one call; from any thread. Only the latest of what comes at once is sent.

    Make it on the event loop; ``end`` it when the call has ended, whatever became of it: nothing is sent after that.
    """

    def __init__(self, streams: Streams, effect: Effect) -> None:
        self._streams, self._effect = streams, effect
        self._loop = asyncio.get_running_loop()
        self._latest: tuple[float | None, str] | None = None
        self._spoke = self._ended = False

    def __call__(self, fraction: float | None, message: str) -> None:
        waiting, self._latest = self._latest, (fraction, message)
        if waiting is None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._send_latest)

    def end(self) -> None:
        self._ended = True
        if self._spoke:
            self._send("end")

    def _send_latest(self) -> None:
        latest, self._latest = self._latest, None
        if latest is None or self._ended or not self._streams.wanted(self._effect.run):
            return
        fraction, message = latest
        known = fraction is not None and not math.isnan(fraction)
        self._spoke = True
        line = " ".join(str(message)[: 4 * LINE_LIMIT].split())[:LINE_LIMIT]
        self._send("progress", line, min(max(fraction, 0.0), 1.0) if fraction is not None and known else None)

    def _send(self, kind: ChunkKind, text: str = "", fraction: float | None = None) -> None:
        at = self._effect
        chunk = Chunk(run=at.run, task=at.task, node=at.node, key=at.key, kind=kind, text=text, fraction=fraction)
        self._streams.send(chunk)
