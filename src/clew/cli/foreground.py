"""Driving runs from a terminal: progress while they run, signals, and what is left when they are put down.

The first SIGINT, SIGTERM or SIGHUP closes the engine in order (what ran is entered again on resume); the second ends the
process at once.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from clew.cli import present, shapes
from clew.cli.failures import INTERRUPTED, Interrupted
from clew.cli.live import LiveTree
from clew.cli.plain import PlainLines
from clew.cli.progress import Progress
from clew.cli.prompt import Stepper
from clew.cli.session import Session, tell
from clew.cli.speech import Speech
from clew.cli.summary import exit_code, print_outcome
from clew.cli.terminal import Paper
from clew.core.events import Event
from clew.core.graph import Graph
from clew.core.states import ENDED
from clew.runtime.host import Debugger, Host
from clew.runtime.streams import Listener
from clew.service import runs
from clew.service.engine import AsyncEngine

T = TypeVar("T")
_LAST_S = 2.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOW_CURSOR = "\x1b[?25h"


class Foreground:
    """Drives runs of one engine, one after another.

    ``watch``: None for progress unless it is silenced. ``stream``: on a terminal, with what models say while they speak.
    """

    def __init__(
        self, session: Session, engine: AsyncEngine, *, watch: bool | None = None, stream: bool = True
    ) -> None:
        self._session, self.engine, self._stream = session, engine, stream and not session.json
        self._papers = Paper(stderr=True)
        wanted = not session.quiet and (self._papers.tty or not session.json)
        self._watch = wanted if watch is None else watch
        self.begun: list[str] = []
        """Runs that were taken up here and have not ended."""

    async def drive(
        self,
        begin: Callable[[], Awaitable[Host]],
        graph: Graph,
        *,
        known: str | None = None,
        subject: str | None = None,
    ) -> shapes.Outcome:
        """Take a run up with ``begin``, show it until it settles, and say how it stands.

        ``known``: the run's id where it exists already; what it did before is part of the picture.
        ``subject``: the run to speak of at the end, where a child of it is driven.
        """
        async with self._shown(graph, known):
            host = await begin()
            self.begun.append(host.run)
            await host.settled()
        stepper = Stepper(self._session, self.engine, self._papers)
        while stepper.wanted(host) and await stepper.ask(host):
            async with self._shown(graph, host.run):
                await host.unpause(self.engine.settings.user)
                await host.settled()
        if host.error is not None:
            raise host.error
        outcome = await self.outcome(subject or host.run, host)
        await self.engine.settle(host.run)  # lets it go, and goes on with whoever waits for it
        self.begun.remove(host.run)
        return outcome if outcome.run == host.run else await self.outcome(outcome.run)

    async def outcome(self, run: str, host: Host | None = None) -> shapes.Outcome:
        """How a run stands now."""
        workspace = self.engine.workspace
        row = await workspace.journal.row(run)
        paused = host.machine.paused if host and host.run == run and host.machine.state not in ENDED else None
        shown = (paused.node or paused.reason) if paused else ""
        document = present.outcome(workspace, row, await runs.result(workspace, run), shown)
        elsewhere = document.driven and run not in workspace.scheduler.hosts
        return msgspec.structs.replace(document, driven=elsewhere)

    @asynccontextmanager
    async def _shown(self, graph: Graph, known: str | None) -> AsyncGenerator[None]:
        """Progress on stderr while the body runs; none with ``-q`` and ``--no-watch``."""
        if not self._watch:
            yield
            return
        workspace = self.engine.workspace
        show = _Show(self._session, self._papers, self.engine, graph, stream=self._stream)
        if known is not None:
            row = await workspace.journal.row(known)
            show.open(known, row.workflow)
            for record in await workspace.journal.read(known):
                show.fold(known, record.seq, record.event)
            show.begin()
        workspace.scheduler.watchers.append(show)
        try:
            yield
        finally:
            workspace.scheduler.watchers.remove(show)
            await show.end()


class _Show:
    """A watcher that opens with the first run it hears of, and draws a tree or writes lines."""

    def __init__(self, session: Session, paper: Paper, engine: AsyncEngine, graph: Graph, *, stream: bool) -> None:
        self._session, self._paper, self._engine, self._graph, self._stream = session, paper, engine, graph, stream
        self._speech: Speech | None = None
        self._listener: Listener | None = None
        self._progress: Progress | None = None
        self._tree: LiveTree | None = None
        self._lines: PlainLines | None = None

    def open(self, run: str, workflow: str) -> Progress:
        self._progress = Progress(run, workflow, self._graph)
        return self._progress

    def fold(self, run: str, seq: int, event: Event) -> None:
        if self._progress is not None:
            self._progress.apply(run, seq, event)

    def begin(self) -> None:
        if self._progress is None:
            return
        if self._paper.tty:
            workspace = self._engine.workspace
            if self._stream:
                self._speech = Speech(self._progress.run)
                self._listener = workspace.streams.listen(self._progress.run)
            self._tree = LiveTree(self._paper, self._progress, workspace.clock.now, self._prepare, self._speech)
            self._tree.start()
        else:
            self._lines = PlainLines(self._session, self._paper, self._progress)

    def __call__(self, run: str, seq: int, event: Event) -> None:
        if self._progress is None:
            workflow = getattr(event.fact, "workflow", "")
            self.open(run, workflow)
            self.begin()
        if self._lines is None:
            self.fold(run, seq, event)
        elif self._progress is not None and run == self._progress.run:
            row, since = self._lines.before(run, event)
            self.fold(run, seq, event)
            self._lines.after(event, row, since)

    def _prepare(self) -> None:
        host = self._engine.workspace.scheduler.hosts.get(self._progress.run) if self._progress else None
        if host is not None and self._progress is not None:
            self._progress.drop_ended(host.machine.tasks)
        if self._speech is not None and self._listener is not None:
            for chunk in self._listener.ready():
                self._speech.take(chunk)

    async def end(self) -> None:
        if self._listener is not None:
            self._listener.close()
        if self._tree is not None:
            await self._tree.stop()


def drive_with(
    session: Session,
    engine: AsyncEngine,
    work: Callable[[Foreground], Awaitable[T]],
    *,
    watch: bool | None = None,
    stream: bool = True,
) -> T:
    """Run ``work`` with the engine open and signals caught. Raises Interrupted."""
    foreground = Foreground(session, engine, watch=watch, stream=stream)
    return _run(_guard(session, foreground, work))


def _run(work: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``, which would wait for ever for a handler that swallows its cancellation."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_LAST_S))
        if asyncio.all_tasks(loop):  # the process ends with the loop as it is: what is left was named already
            loop.set_exception_handler(_say_nothing)
        else:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


def _say_nothing(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    del loop, context


async def _guard(session: Session, foreground: Foreground, work: Callable[[Foreground], Awaitable[T]]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    caught: list[int] = []

    def on_signal(number: int) -> None:
        if caught:
            _force()
        caught.append(number)
        session.say("stopping in order; once more ends it at once")
        if task is not None:
            task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        async with foreground.engine:
            return await work(foreground)
    except asyncio.CancelledError:
        if not caught:
            raise
        raise _interrupted(session, foreground, caught[0]) from None
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _interrupted(session: Session, foreground: Foreground, number: int) -> Interrupted:
    left = tuple(foreground.begun)
    name = signal.Signals(number).name
    if not left:
        return Interrupted(f"interrupted by {name}")
    hint = f"go on with: {session.hint('resume', *left[:1])}"
    return Interrupted(f"interrupted by {name}; run {', '.join(left)} was put down in order", hint, left)


def _force() -> None:
    """The second signal: nothing is waited for. What was recorded is durable; resume goes on from there."""
    tell(f"{_SHOW_CURSOR if sys.stderr.isatty() else ''}ended at once; clew resume goes on from what was recorded")
    os._exit(INTERRUPTED)


def debugger_of(step: bool, breaks: tuple[str, ...]) -> Debugger | None:
    return Debugger(breakpoints=frozenset(breaks), step=step) if step or breaks else None


def answer(session: Session, outcome: shapes.Outcome) -> int:
    """Print one outcome, as JSON or for people; returns the exit code."""
    if session.json:
        present.emit(session, outcome)
    else:
        print_outcome(session, Paper(), outcome)
    return exit_code(outcome)
