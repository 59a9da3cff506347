"""The live tree of a run on a terminal: as high as the workflow has nodes, never higher than the window."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from rich.console import Group
from rich.live import Live
from rich.text import Text

from clew.cli.lanes import nested
from clew.cli.progress import Active, Progress, Row
from clew.cli.speech import Speech
from clew.cli.terminal import Paper, count, duration, money

PERIOD_S = 0.12
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_NAMED = 3
"""So many bodies of one row are named while they run."""
_SLOW_MS = 2_000
"""Bodies of a row with many tasks are named when they take longer than this, wait, or are tried again."""
_SPOKEN = 3
"""Lines of what a model says, under the node it speaks for."""
_STANDS = {"asks": "waiting for a human"}
_WAITS = {"human": "waits for a human", "timer": "sleeps", "child": "waits for a child run", "backoff": "tries again"}


class LiveTree:
    """Draws ``progress`` until it is stopped; the last picture stays."""

    def __init__(
        self,
        paper: Paper,
        progress: Progress,
        now: Callable[[], int],
        prepare: Callable[[], None],
        speech: Speech | None = None,
    ) -> None:
        self._paper, self._progress, self._now, self._prepare = paper, progress, now, prepare
        self._speech = speech
        self._beat = 0
        self._live = Live(console=paper, auto_refresh=False, transient=False, vertical_overflow="crop")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._live.start()
        self._task = asyncio.get_running_loop().create_task(self._refresh())

    async def stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        self._draw()
        self._live.stop()

    async def _refresh(self) -> None:
        while True:
            self._draw()
            await asyncio.sleep(PERIOD_S)

    def _draw(self) -> None:
        self._beat += 1
        self._prepare()
        self._live.update(Group(*self.lines(self._paper.height - 1)), refresh=True)

    def lines(self, height: int) -> list[Text]:
        """The picture in at most ``height`` lines: what is said goes first, then what is over, then what comes last."""
        room = max(1, height - 1)
        rows = self._rows(_SPOKEN)
        if len(rows) > room:
            rows = self._rows(0)
        if len(rows) > room:
            rows = _shortened(rows, room, self._paper)
        return [self._head(), *(text for text, _ in rows)]

    def _rows(self, spoken: int) -> list[tuple[Text, bool]]:
        found = self._progress.rows
        return [line for depth, key in nested(found) for line in self._row(depth, found[key], spoken)]

    def _head(self) -> Text:
        progress = self._progress
        running = progress.state == "running"
        name = progress.standing
        elapsed = (self._now() if running else progress.clock) - progress.began
        text = Text(overflow="ellipsis", no_wrap=True)
        text.append_text(self._paper.glyph(name)).append(f" {progress.workflow}", "bold")
        text.append(f"  {progress.run}", "dim").append(f"  {_STANDS.get(name, name)}")
        text.append(f"  {duration(elapsed)}", "dim")
        if progress.cost:
            text.append(f"  {money(str(progress.cost))}", "dim")
        return text

    def _row(self, depth: int, row: Row, spoken: int) -> Iterator[tuple[Text, bool]]:
        """Lines of a row, each with whether it is still of interest."""
        text = Text("  " * (depth + 1), overflow="ellipsis", no_wrap=True)
        text.append_text(self._sign(row)).append(f" {row.node}")
        if row.total > 1:
            text.append(f" {self._paper.sign('×', 'x')}{count(row.total)}", "bold")
        text.append("  " + ", ".join(self._facts(row)), "dim")
        yield text, bool(row.active)
        if row.total == 1:
            for active in row.active.values():
                yield from self._said(depth, active, spoken)
            return
        for active in self._worth_naming(row):
            yield self._named(depth, active), True
            yield from self._said(depth + 1, active, min(spoken, 1))

    def _said(self, depth: int, active: Active, most: int) -> Iterator[tuple[Text, bool]]:
        if self._speech is not None and most:
            margin = "  " * (depth + 2)
            for line in self._speech.lines(active.task, self._paper, self._paper.width - len(margin) - 1, most):
                yield Text(margin, overflow="ellipsis", no_wrap=True).append_text(line), True

    def _sign(self, row: Row) -> Text:
        state = row.state
        if state == "running" and not self._paper.plain:
            return Text(_SPINNER[self._beat % len(_SPINNER)], "cyan")
        return self._paper.glyph(state)

    def _facts(self, row: Row) -> list[str]:
        facts: list[str] = []
        if row.total > 1 and row.done < row.total:
            running = sum(1 for a in row.active.values() if not a.wait)
            said = {"done": row.done, "running": running, "waiting": len(row.active) - running}
            facts += [
                f"{count(n)} {word}" for word, n in (said | {"failed": row.failed, "stopped": row.stopped}).items() if n
            ]
        elif row.active:
            facts.append(self._doing(next(iter(row.active.values()))))
        if row.ms and not row.active:
            facts.append(f"{'up to ' if row.total > 1 else ''}{duration(row.ms)}")
        if row.retries:
            facts.append(f"{count(row.retries)} {'retry' if row.retries == 1 else 'retries'}")
        if row.error and (row.failed or any(a.wait == "backoff" for a in row.active.values())):
            facts.append(row.error)
        return facts

    def _doing(self, active: Active) -> str:
        if not active.wait:
            again = f", attempt {active.attempt}" if active.attempt > 1 else ""
            return f"{duration(self._now() - active.since)}{again}"
        word = _WAITS.get(active.wait, f"waits ({active.wait})")
        if active.due is None:
            return word
        return f"{word} {'until answered, at most' if active.wait == 'human' else 'in'} {duration(active.due - self._now())}"

    def _worth_naming(self, row: Row) -> list[Active]:
        now = self._now()
        chosen: list[Active] = []
        for active in row.active.values():  # oldest first: what hangs comes up by itself
            if active.wait or active.attempt > 1 or now - active.since > _SLOW_MS:
                chosen.append(active)
                if len(chosen) == _NAMED:
                    break
        return chosen

    def _named(self, depth: int, active: Active) -> Text:
        text = Text("  " * (depth + 3), "dim", overflow="ellipsis", no_wrap=True)
        return text.append(f"{active.task}  {self._doing(active)}")


def _shortened(rows: list[tuple[Text, bool]], room: int, paper: Paper) -> list[tuple[Text, bool]]:
    """Drop what has ended from the top, then what does not fit at the end; say how much is not shown."""
    if room < 3:
        return rows[:room]
    kept = list(rows)
    dropped = 0
    while len(kept) > room - 1:
        ended = next((i for i, (_, live) in enumerate(kept) if not live), None)
        if ended is None:
            break
        del kept[ended]
        dropped += 1
    more = paper.sign("…", "...")
    above = [(Text(f"  {more} {dropped} ended", "dim"), False)] if dropped else []
    if len(above) + len(kept) > room:
        hidden = len(kept) - (room - len(above) - 1)
        kept = [*kept[: len(kept) - hidden], (Text(f"  {more} {hidden} more under way", "dim"), True)]
    return above + kept
