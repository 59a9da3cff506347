"""What is shown of a model call while it speaks: chunks on the stream, with what became void taken back."""

from typing import Literal

from clew.gate.effect import Effect
from clew.gate.ports.model import Emit
from clew.gate.ports.stream import Chunk, ChunkKind, Streams


class Voice:
    """One call's place on the stream. Set ``kept`` when the last try's words are the answer's; ``end`` it in any case."""

    def __init__(self, streams: Streams, effect: Effect) -> None:
        self._streams, self._effect = streams, effect
        self._open = self._spoke = False
        self.kept = False

    def begin(self) -> Emit | None:
        """For a new try: what was shown before, by another try or by a process that died, is void. None: nobody listens."""
        if not self._streams.wanted(self._effect.run):
            return None
        if not self._open or self._spoke:
            self._send("reset")
        self._open, self._spoke = True, False
        return self._say

    def end(self) -> None:
        if self._open:
            if self._spoke and not self.kept:
                self._send("reset")
            self._send("end")

    def _say(self, kind: Literal["text", "reasoning"], text: str) -> None:
        self._spoke = True
        self._send(kind, text)

    def _send(self, kind: ChunkKind, text: str = "") -> None:
        effect = self._effect
        self._streams.send(
            Chunk(run=effect.run, task=effect.task, node=effect.node, key=effect.key, kind=kind, text=text)
        )
