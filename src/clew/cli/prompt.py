"""The prompt at a pause: continue, step, look around, or leave the run paused."""

import asyncio
import sys

from clew.cli.failures import printable
from clew.cli.session import Session, tell
from clew.cli.terminal import Paper, brief, pretty
from clew.core.states import ENDED
from clew.runtime.host import Host
from clew.service.engine import AsyncEngine

_HELP = """\
  c       continue           s       step by one node
  n       nodes so far       t TASK  a task
  i       what goes into what comes next
  q       leave it paused"""
_PROMPT = "c/s/n/t/i/q/?> "
_LINES = 30


class Stepper:
    """Asks only at a terminal; elsewhere a paused run stays paused."""

    def __init__(self, session: Session, engine: AsyncEngine, paper: Paper) -> None:
        self._session, self._engine, self._paper = session, engine, paper

    def wanted(self, host: Host) -> bool:
        paused = host.error is None and host.machine.state not in ENDED and host.machine.paused is not None
        return paused and not self._session.json and self._paper.tty and sys.stdin is not None and sys.stdin.isatty()

    async def ask(self, host: Host) -> bool:
        """True: go on. Sets the host's debugger to what was chosen."""
        paused = host.machine.paused
        node = paused.node if paused else ""
        offered = ", ".join(printable(key) for key in host.machine.offered()[:5])
        self._paper.put(self._paper.glyph("paused"), (f" paused before {node}", "bold"), (f"  {offered}", "dim"))
        while True:
            line = await read_line(_PROMPT)
            word, _, rest = (line or "q").strip().partition(" ")
            match word.lower():
                case "c" | "continue":
                    host.debugger.step = False
                    return True
                case "s" | "step" | "":
                    host.debugger.step = True
                    return True
                case "q" | "quit" | "exit":
                    return False
                case "n" | "nodes":
                    await self._nodes(host.run)
                case "t" | "task":
                    self._task(host, rest.strip())
                case "i" | "input":
                    self._inputs(host)
                case _:
                    tell(_HELP)

    async def _nodes(self, run: str) -> None:
        view = await self._engine.inspect(run)
        if not view.nodes:
            tell("  no node was entered yet")
        for node in view.nodes[-_LINES:]:
            self._paper.put(
                self._paper.glyph(node.state),
                f" {node.node}",
                (f"  {node.task}#{node.attempt}  {node.route}", "dim"),
                indent=2,
            )

    def _task(self, host: Host, name: str) -> None:
        task = host.machine.tasks.get(name)
        if task is None:
            known = ", ".join(list(host.machine.tasks)[:20])
            self._paper.put(f"there is no task {name!r}; there are {known}", indent=2)
            return
        mask = self._engine.workspace.redactor.value
        self._paper.put(f"{task.id}  {task.state}  at {task.node}  attempt {task.attempt}", indent=2)
        for label, value in (("input", task.input), ("output", task.output), ("error", task.error)):
            if value is not None:
                self._paper.put((f"{label} ", "dim"), brief(mask(value), 400), indent=4)

    def _inputs(self, host: Host) -> None:
        mask = self._engine.workspace.redactor.value
        for key in host.machine.offered()[:5]:
            task = host.machine.tasks[key.partition("/")[0]]
            self._paper.put((key, "bold"), indent=2)
            for row in pretty(mask(task.input), _LINES):
                self._paper.put(row, indent=4)


async def read_line(prompt: str) -> str | None:
    """A line from the terminal without holding a thread, so that a signal ends the wait; None at its end."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    descriptor = sys.stdin.fileno()
    loop.add_reader(descriptor, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
    return sys.stdin.readline() or None
