"""Progress where nobody watches a window: one line an ended node, thinning out where there are many alike."""

from clew.cli.progress import Progress, Row
from clew.cli.session import Session
from clew.cli.terminal import Paper, clock, count, duration
from clew.core import events as ev
from clew.core.events import Event

_EACH = 10
"""So many ends of one row are told one by one, then the 100th, the 1,000th …"""
_FAILURES = 50
_WAITS = {"human": "waits for a human", "child": "waits for a child run", "timer": "sleeps"}


class PlainLines:
    """A watcher (see ``runtime.host.Watcher``) that is told of each event after ``progress``."""

    def __init__(self, session: Session, paper: Paper, progress: Progress) -> None:
        self._session, self._paper, self._progress = session, paper, progress

    def before(self, run: str, event: Event) -> tuple[Row | None, int]:
        """The row that an end belongs to, and since when it ran: gone once the progress has folded it."""
        task = getattr(event.fact, "task", "")
        row = self._progress.row(task) if run == self._progress.run else None
        return row, row.active[task].since if row else 0

    def after(self, event: Event, row: Row | None, since: int) -> None:
        fact = event.fact
        if row is None or not isinstance(fact, ev.NodeCompleted | ev.NodeFailed | ev.EffectStarted):
            return
        if isinstance(fact, ev.EffectStarted):
            if fact.wait and fact.kind == "human":
                self._tell("asks", event.at, f"{fact.node} {fact.task}  {_WAITS[fact.kind]}")
            return
        took = duration(event.at - since)
        again = f" attempt {fact.attempt}" if fact.attempt > 1 else ""
        if isinstance(fact, ev.NodeFailed):
            if row.failed + row.retries <= _FAILURES:
                what = "tries again" if fact.task in row.active else "failed"
                self._tell("failed", event.at, f"{fact.node} {fact.task}{again}  {what}: {fact.code}  {took}")
        elif row.done <= _EACH:
            self._tell("completed", event.at, f"{fact.node} {fact.task}{again}  {took}")
        elif row.done >= 10 * _EACH and str(row.done).strip("0") == "1":
            self._tell("completed", event.at, f"{fact.node} {self._paper.sign('×', 'x')}{count(row.done)} done")

    def _tell(self, state: str, at: int, text: str) -> None:
        self._session.say(f"{clock(at)}  {self._paper.glyph(state).plain} {text}")
