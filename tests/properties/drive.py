"""Drives a ``Machine`` as a host does, but with everything that happens in the world chosen by a seeded generator."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from graphs import Case
from reference import Reference
from values import canonical

from clew.core.commands import AwaitDecision, CancelTask, Command, FinishRun, RunNode, Sleep
from clew.core.events import (
    DriverStarted,
    DriverStopped,
    EffectFinished,
    EffectStarted,
    Event,
    Fact,
    NodeCompleted,
    NodeFailed,
    NodeStarted,
    NodeStopped,
    NodeSuspended,
    RunFinished,
    RunPaused,
    RunStarted,
    RunUnpaused,
)
from clew.core.identity import body_key
from clew.core.machine import Machine

Body = tuple[str, str, int]
"""Task, node, attempt."""

MAX_DEATHS = 3
"""R2: a body that kills its process so often fails with ``crashed``."""


class Deadlock(AssertionError):
    """The machine wants nothing, and nothing is under way, yet the run has not finished."""


@dataclass(frozen=True)
class Habits:
    """How often, before an event, something happens that must not change the result."""

    asks: float = 0.0
    """A running body opens a wait for a human and is unloaded."""
    pauses: float = 0.0
    changes: float = 0.0
    """The driver stops in order and another one takes the run."""
    crashes: float = 0.0
    """The driver dies. This may change the result: a body is entered three times at most."""


@dataclass
class Drive:
    """One run. ``history`` holds every event applied; ``ran`` each body that came to its end."""

    case: Case
    rng: random.Random
    twin: Reference | None = None
    """Stepped at each completion in the same order, where given."""
    habits: Habits = Habits()
    machine: Machine = field(init=False)
    history: list[Event] = field(default_factory=list)
    ran: list[tuple[str, str, int, str]] = field(default_factory=list)
    bodies: dict[Body, RunNode] = field(default_factory=dict)
    completed: bool = False
    """Whether the last step ended a body."""
    deaths: Counter[Body] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.machine = Machine(self.case.graph, self.case.start)

    def begin(self) -> None:
        self.apply(RunStarted(run="r", workflow="w", plan="", start=self.case.start), {"input": self.case.run_input})
        self.take()

    def take(self) -> None:
        """A driver takes the run: what was under way is gone and will be offered again."""
        self.bodies.clear()
        self.apply(DriverStarted(owner="t", epoch=sum(isinstance(e.fact, DriverStarted) for e in self.history) + 1))

    def apply(self, fact: Fact, payload: Any = None) -> None:
        event = Event(fact, payload, at=len(self.history))
        self.machine.apply(event)
        self.history.append(event)

    def to_the_end(self, limit: int = 5_000) -> "Drive":
        for _ in range(limit):
            if not self.step():
                return self
        raise Deadlock(f"still going after {limit} events")

    def step(self) -> bool:
        """One event, chosen among those that may happen next. False once the run has finished."""
        self.completed = False
        if self.machine.state in ("completed", "failed", "cancelled"):
            assert not self.bodies, f"the run finished while {list(self.bodies)} were under way"
            return False
        if self.habits is not NO_HABITS:
            self.follow_habits()
        commands = self.machine.decide()
        self.check(commands)
        cancelled = {(c.task, c.node, c.attempt) for c in commands if isinstance(c, CancelTask)}
        moves: list[Command | Body] = [*commands, *(b for b in self.bodies if b not in cancelled)]
        if not moves:
            raise Deadlock(str([(t.id, t.node, t.state) for t in self.machine.tasks.values()]))
        self.move(self.rng.choice(moves))
        return True

    def follow_habits(self) -> None:
        rng = self.rng
        if rng.random() < self.habits.pauses:
            self.apply(RunPaused())
            assert not any(isinstance(c, RunNode) for c in self.machine.decide()), "a body is offered while paused"
            self.apply(RunUnpaused())
        if rng.random() < self.habits.changes:
            self.apply(DriverStopped())
            self.take()
        if rng.random() < self.habits.asks and self.bodies:
            self.ask(rng.choice(list(self.bodies)))
        if rng.random() < self.habits.crashes:
            self.crash()

    def crash(self) -> None:
        """The process dies, and every body under way with it; one that did so three times has failed by that."""
        lost = {b: c for b, c in self.bodies.items() if self.machine.tasks[b[0]].state == "running"}
        self.take()
        for body, command in sorted(lost.items(), key=lambda item: self.machine.tasks[item[0][0]].position):
            self.deaths[body] += 1
            if self.deaths[body] == MAX_DEATHS:
                self.ran.append((*body, canonical(command.input)))
                if self.twin is not None and not self.twin.tasks[body[0]].ended:
                    self.twin.step(body[0], lambda *_: ("fail", "crashed"))

    def ask(self, body: Body) -> None:
        task, node, attempt = body
        cancelled = [c for c in self.machine.decide() if isinstance(c, CancelTask)]
        if any((c.task, c.node, c.attempt) == body for c in cancelled):
            return
        key = f"{body_key(task, node, attempt)}/{len(self.history)}"
        self.apply(EffectStarted(key=key, kind="human", name="ask", digest="", task=task, node=node, wait=True), {})
        self.apply(NodeSuspended(task=task, node=node, attempt=attempt))
        del self.bodies[body]
        self.deaths[body] = 0  # it got on since it was entered

    def check(self, commands: list[Command]) -> None:
        """What must hold of any list of commands."""
        offered = [(c.task, c.node, c.attempt) for c in commands if isinstance(c, RunNode)]
        assert len(set(offered)) == len(offered), f"offered twice: {offered}"
        assert not set(offered) & set(self.bodies), "offered although it runs"
        assert len(offered) + len(self.bodies) <= self.case.graph.max_arms, "more bodies at once than max_arms"
        tasks = self.machine.tasks.values()
        if all(n.max_parallel is None for n in self.case.graph.nodes) and not any(self.suspect(t) for t in tasks):
            queued = sum(t.state == "queued" for t in tasks)
            stopping = {(c.task, c.node, c.attempt) for c in commands if isinstance(c, CancelTask)}
            free = self.case.graph.max_arms - len(stopping | {*self.bodies})
            assert len(offered) == min(queued, free), f"{queued} queued, {free} arms free, offered {offered}"
        for command in commands:
            if isinstance(command, FinishRun):
                assert commands == [command], f"more to do beside finishing: {commands}"
                assert not self.bodies, f"finishes while {list(self.bodies)} run"

    def suspect(self, task: Any) -> bool:
        """Whether one more death ends it. The machine may then have it run alone, lest it takes others with it."""
        return task.state in ("queued", "running") and self.deaths[task.id, task.node, task.attempt] >= MAX_DEATHS - 1

    def move(self, move: Command | Body) -> None:
        match move:
            case RunNode():
                self.apply(NodeStarted(task=move.task, node=move.node, attempt=move.attempt, entry=move.entry))
                self.bodies[move.task, move.node, move.attempt] = move
            case Sleep() | AwaitDecision():
                kind = "timer" if isinstance(move, Sleep) else "human"
                fact = EffectFinished(
                    key=move.key, kind=kind, name=move.name, digest="", task=move.task, node=move.node
                )
                self.apply(fact, {"output": None})
            case CancelTask():
                self.bodies.pop((move.task, move.node, move.attempt), None)
                self.apply(NodeStopped(task=move.task, node=move.node, attempt=move.attempt))
            case FinishRun():
                self.apply(RunFinished(state=move.state, status=move.status), move.payload)
            case (str(), str(), int()):
                self.complete(move)
            case _:
                raise AssertionError(f"nobody asked for {move}")

    def complete(self, body: Body) -> None:
        task, node, attempt = body
        command = self.bodies.pop(body)
        kind, value = self.case.outcome(task, node, command.input, attempt)
        self.ran.append((task, node, attempt, canonical(command.input)))
        self.completed = True
        if kind == "ok":
            self.apply(NodeCompleted(task=task, node=node, attempt=attempt), value)
        else:
            fact = NodeFailed(task=task, node=node, attempt=attempt, code=value)
            self.apply(fact, {"message": f"{node} failed"})
        if self.twin is not None:
            self.twin.step(task, self.case.outcome)


NO_HABITS = Habits()


def play(case: Case, seed: int, twin: Reference | None = None, habits: Habits = NO_HABITS) -> Drive:
    """The case under one random interleaving, to the end."""
    drive = Drive(case, random.Random(seed), twin, habits)
    drive.begin()
    return drive.to_the_end()


def resumed(case: Case, history: list[Event], seed: int) -> Drive:
    """A run taken up from its events alone, its twin likewise; not yet taken by a driver."""
    drive = Drive(case, random.Random(seed), Reference(case.scoping, case.run_input))
    for event in history:
        drive.machine.apply(event)
        drive.history.append(event)
        fact = event.fact
        if isinstance(fact, NodeCompleted | NodeFailed):
            assert drive.twin is not None
            drive.ran.append((fact.task, fact.node, fact.attempt, canonical(drive.twin.tasks[fact.task].input)))
            drive.twin.step(fact.task, case.outcome)
    return drive
