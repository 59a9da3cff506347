"""What models say and how far tools are, as far as a terminal shows it: the last lines of each that is under way."""

import msgspec
from rich.text import Text

from clew.cli.failures import printable
from clew.cli.terminal import Paper
from clew.gate.ports.stream import Chunk

_KEPT = 2000
"""Characters of one answer; half of them are dropped when there are more, so that lines seldom move."""


class Speech:
    """Of one run; chunks of other runs are not looked at."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._answers: dict[str, Chunk] = {}

    def take(self, chunk: Chunk) -> None:
        """Fold one chunk; the text of an answer that has ended is not shown any more: what was recorded is."""
        if chunk.run != self._run:
            return
        if not chunk.key:
            self._answers.clear()
        before = self._answers.pop(chunk.key, None)
        if chunk.kind == "progress":
            part = "" if chunk.fraction is None else f"{chunk.fraction:.0%} "
            self._answers[chunk.key] = msgspec.structs.replace(chunk, text=part + chunk.text)
        elif chunk.kind in ("text", "reasoning"):
            text = (before.text if before is not None and before.kind == chunk.kind else "") + chunk.text
            text = text if len(text) <= _KEPT else text[-(_KEPT // 2) :]
            self._answers[chunk.key] = Chunk(
                run=chunk.run, task=chunk.task, node=chunk.node, key=chunk.key, kind=chunk.kind, text=text
            )

    def lines(self, task: str, paper: Paper, width: int, most: int) -> list[Text]:
        """The last lines of what is said for a task, newest answer first to be chosen; none while nothing is said."""
        said = next((a for a in reversed(self._answers.values()) if a.task == task), None)
        if said is None or width < 1:
            return []
        style = "dim italic" if said.kind == "reasoning" else "dim"
        text = Text(printable(" ".join(said.text.split())), style, end="")
        return list(text.wrap(paper, width))[-most:]
