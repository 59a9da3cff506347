"""A machine driven by script: what a host does, one fact at a time, with every outcome chosen by the test."""

from collections.abc import Callable, Mapping
from typing import Any

from clew.core import events as ev
from clew.core.commands import CancelTask, Command, FinishRun, RunNode
from clew.core.errors import Failure
from clew.core.events import Event, Fact
from clew.core.graph import Graph
from clew.core.identity import body_key
from clew.core.machine import Machine

Outcome = Callable[[Any], Any] | Any
"""What a body gives: a value, or a function of its input; an exception of type Failure fails it."""


class MachineScript:
    """``machine`` and its ``history``. Facts are stamped ``at``, which the test moves; nothing happens by itself."""

    def __init__(self, graph: Graph, start: str | None = None) -> None:
        self.graph = graph
        self.begins_at = start or next(n.id for n in graph.nodes if n.role == "start")
        self.machine = Machine(graph, self.begins_at)
        self.history: list[Event] = []
        self.ran: list[str] = []
        """Bodies in the order in which they were started, as ``task/node#attempt``."""
        self.at = 0
        self._epoch = 0

    # -- facts -------------------------------------------------------------------------------------------------

    def apply(self, fact: Fact, payload: Any = None) -> "MachineScript":
        """Fold one fact. Raises IllegalMove."""
        event = Event(fact, payload, self.at)
        self.machine.apply(event)
        self.history.append(event)
        return self

    def begin(self, value: Any = None) -> "MachineScript":
        """Start the run with this input and take it."""
        self.apply(ev.RunStarted(run="r", workflow="w", plan="", start=self.begins_at), {"input": value})
        return self.take()

    def take(self) -> "MachineScript":
        """A driver takes the run; where one drove it before, that one has died."""
        self._epoch += 1
        return self.apply(ev.DriverStarted(owner="script", epoch=self._epoch))

    def start(self, task: str) -> RunNode:
        """Enter the body that is offered for ``task``. Raises KeyError where none is."""
        command = {c.task: c for c in self.machine.decide() if isinstance(c, RunNode)}[task]
        self.apply(ev.NodeStarted(task=task, node=command.node, attempt=command.attempt, entry=command.entry))
        self.ran.append(body_key(task, command.node, command.attempt))
        return command

    def done(self, task: str, output: Any = None) -> "MachineScript":
        """The body of ``task`` (entered first where it is not running) gives ``output``."""
        node, attempt = self._running(task)
        return self.apply(ev.NodeCompleted(task=task, node=node, attempt=attempt), output)

    def fail(self, task: str, code: str = "boom", message: str = "it broke", details: Any = None) -> "MachineScript":
        """The body of ``task`` (entered first where it is not running) fails."""
        node, attempt = self._running(task)
        payload = {"message": message} if details is None else {"message": message, "details": details}
        return self.apply(ev.NodeFailed(task=task, node=node, attempt=attempt, code=code), payload)

    def wait(self, task: str, name: str = "1", kind: str = "human", due: int | None = None) -> str:
        """The body of ``task`` opens a wait; returns its key."""
        node, attempt = self._running(task)
        key = f"{body_key(task, node, attempt)}/{name}"
        self.apply(
            ev.EffectStarted(key=key, kind=kind, name=kind, digest="", task=task, node=node, wait=True, due=due),
            {"q": 1},
        )
        return key

    def suspend(self, task: str) -> "MachineScript":
        """The body of ``task`` unloads."""
        node, attempt = self._running(task)
        return self.apply(ev.NodeSuspended(task=task, node=node, attempt=attempt))

    def answer(self, key: str, output: Any = None) -> "MachineScript":
        """End an effect or a wait."""
        task, rest = key.split("/", 1)
        fact = ev.EffectFinished(key=key, kind="human", name="", digest="", task=task, node=rest.partition("#")[0])
        return self.apply(fact, {"output": output})

    def stopped(self, task: str) -> "MachineScript":
        """The body of a cancelled task is gone."""
        command = next(c for c in self.machine.decide() if isinstance(c, CancelTask) and c.task == task)
        return self.apply(ev.NodeStopped(task=task, node=command.node, attempt=command.attempt))

    def finish(self) -> "MachineScript":
        """Record the end that the machine wants. Raises StopIteration where it wants none."""
        command = next(c for c in self.machine.decide() if isinstance(c, FinishRun))
        return self.apply(ev.RunFinished(state=command.state, status=command.status), command.payload)

    # -- longer strides ----------------------------------------------------------------------------------------

    def walk(self, outcomes: Mapping[str, Outcome] | None = None, *, backwards: bool = False) -> "MachineScript":
        """Run everything that is offered, one body after another, to the end; ``outcomes``: node -> what its body gives
        (default: its input). ``backwards`` takes the last one offered first. Waits are not answered."""
        while True:
            offered = [c for c in self.machine.decide() if isinstance(c, RunNode)]
            if not offered:
                break
            command = self.start(offered[-1 if backwards else 0].task)
            self._give(command, (outcomes or {}).get(command.node, lambda value: value))
        if any(isinstance(c, FinishRun) for c in self.machine.decide()):
            self.finish()
        return self

    def _give(self, command: RunNode, outcome: Outcome) -> None:
        try:
            value = outcome(command.input) if callable(outcome) else outcome
        except Failure as failure:
            self.fail(command.task, failure.code, failure.message, failure.details)
        else:
            self.done(command.task, value)

    # -- looking -----------------------------------------------------------------------------------------------

    def offered(self) -> list[str]:
        """What may be entered now, as ``task/node``, sorted."""
        return sorted(f"{c.task}/{c.node}" for c in self.machine.decide() if isinstance(c, RunNode))

    def wanted(self) -> list[Command]:
        return self.machine.decide()

    def state(self, task: str) -> str:
        """Lifecycle of a task, and its status where it has one: ``failed/failure``."""
        found = self.machine.tasks[task]
        return f"{found.state}/{found.status}" if found.status else found.state

    def again(self) -> Machine:
        """Another machine that was given the same history."""
        machine = Machine(self.graph, self.begins_at)
        for event in self.history:
            machine.apply(event)
        return machine

    def _running(self, task: str) -> tuple[str, int]:
        found = self.machine.tasks[task]
        if found.body != "running":
            self.start(task)
        return found.node, found.attempt
