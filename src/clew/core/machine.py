"""The machine: ``apply(event)`` folds a fact, ``decide()`` says what is wanted now. Live runs and replays use the same two.

A fact that the present state does not allow raises ``IllegalMove`` and changes nothing: every handler checks before it
moves. ``decide`` is pure. What the machine cannot know (time, outcomes, answers) reaches it as facts only.
"""

from collections.abc import Callable
from typing import Any, cast

from clew.core import events as ev
from clew.core import routing
from clew.core.commands import AwaitDecision, CancelTask, Command, FinishRun, RunNode, Sleep, StartChild
from clew.core.errors import IllegalMove
from clew.core.events import Event
from clew.core.flow import Flow
from clew.core.graph import Graph
from clew.core.identity import body_key
from clew.core.scopes import Scopes
from clew.core.slots import Slots
from clew.core.states import ENDED, Lifecycle, move_body, move_run, move_task
from clew.core.tasks import Task

MAX_CRASHES = 3

_WAITS: dict[str, type[Sleep | AwaitDecision | StartChild]] = {
    "timer": Sleep,
    "human": AwaitDecision,
    "child": StartChild,
}


def _content(event: Event) -> dict[str, Any]:
    payload: Any = event.payload
    return cast("dict[str, Any]", payload) if isinstance(payload, dict) else {}


class Machine:
    """One run of ``graph`` from ``start``.

    Read-only to callers: ``state``, ``status``, ``output``, ``error``, ``tasks``, ``waits`` (open ones by key), ``paused``.
    The graph must be one that the manifest's checks let through.
    """

    def __init__(self, graph: Graph, start: str, scopes: Scopes | None = None) -> None:
        self.id = ""
        self.state: Lifecycle = "queued"
        self.status: ev.Status | None = None
        self.output: Any = None
        self.error: dict[str, Any] | None = None
        self.paused: ev.RunPaused | None = None
        self.waits: dict[str, Sleep | AwaitDecision | StartChild] = {}
        self.epoch = 0
        self._slots = Slots(graph.max_arms)
        self._flow = Flow(graph, scopes or Scopes(graph, start), self._slots)
        self.tasks = self._flow.tasks
        self._started = False
        self._driven = False
        self._stop: tuple[str, str] | None = None
        self._opened = 0
        self._handlers: dict[type, Callable[[Any, Event], None]] = {
            ev.RunStarted: self._run_started,
            ev.DriverStarted: self._driver_started,
            ev.DriverStopped: self._driver_stopped,
            ev.NodeStarted: self._node_started,
            ev.NodeCompleted: self._node_completed,
            ev.NodeFailed: self._node_failed,
            ev.NodeSuspended: self._node_suspended,
            ev.NodeStopped: self._node_stopped,
            ev.EffectStarted: self._effect_started,
            ev.EffectFinished: self._effect_finished,
            ev.RunPaused: self._run_paused,
            ev.RunUnpaused: self._run_unpaused,
            ev.StopRequested: self._stop_requested,
            ev.RunFinished: self._run_finished,
        }

    # -- the two calls -----------------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Fold one fact. Raises IllegalMove, with nothing changed, for a fact that cannot be true now."""
        fact = event.fact
        kind = type(fact)
        if kind is ev.PayloadsErased or kind is ev.Noted:
            return
        if self._started == (kind is ev.RunStarted):
            raise IllegalMove(f"{kind.__name__} {'again' if self._started else 'before RunStarted'}")
        if self.state in ENDED:
            raise IllegalMove(f"{kind.__name__} after the run {self.state}")
        self._handlers[kind](fact, event)

    def decide(self, after: int = 0) -> list[Command]:
        """What is wanted now: bodies to stop, waits opened since number ``after``, bodies to enter, or the end. Pure."""
        if not self._driven or self.state in ENDED:
            return []
        commands: list[Command] = [CancelTask(t.id, t.node, t.attempt) for t in self._slots.stopping.values()]
        if not self._flow.run.live:
            return commands or [self._finish()]
        if after < self._opened:
            commands += [w for w in self.waits.values() if w.number > after]
        if not self.paused:
            commands += [RunNode(t.id, t.node, t.attempt, t.entry + 1, t.input) for t in self._slots.offered.values()]
        return commands

    def offered(self) -> list[str]:
        """Keys of the bodies that may be entered now."""
        return [body_key(t.id, t.node, t.attempt) for t in self._slots.offered.values()]

    def stops(self, task: str) -> bool:
        """The task was cancelled while its body ran: only ``NodeStopped`` may be said of it."""
        running = self._slots.running.get(task)
        return running is not None and running.body == "stopping"

    @property
    def opened(self) -> int:
        """How many waits have opened so far: the cursor to hand to the next ``decide``."""
        return self._opened

    def snapshot(self) -> dict[str, Any]:
        """The whole state as plain data, for comparisons."""
        instances = {id(t.within): t.within for t in self.tasks.values()} | {id(self._flow.run): self._flow.run}
        return {
            "run": [self.state, self.status, self.output, self.error, self.epoch, self._driven, self._stop],
            "paused": repr(self.paused),
            "tasks": {t.id: t.view() for t in self.tasks.values()},
            "waits": {k: repr(w) for k, w in self.waits.items()},
            "opened": self._opened,
            "offered": list(self._slots.offered),
            "running": list(self._slots.running),
            "instances": [
                {
                    "scope": i.scope,
                    "owner": i.owner.id if i.owner else None,
                    "live": i.live,
                    "blockers": {m: n for m, n in sorted(i.blockers.items()) if n},
                    "arrivals": {m: [t.id for t in ts] for m, ts in sorted(i.arrivals.items()) if ts},
                    "leaves": [leaf.id for _, leaf in i.leaves],
                    "active": sorted(i.active.items()),
                }
                for i in instances.values()
            ],
        }

    # -- run ---------------------------------------------------------------------------------------------------

    def _run_started(self, fact: ev.RunStarted, event: Event) -> None:
        self._started = True
        self.id = fact.run
        self._flow.begin(_content(event).get("input"))
        self._settle()

    def _driver_started(self, fact: ev.DriverStarted, event: Event) -> None:
        move_run(self, "drive")
        self.epoch = fact.epoch
        crashed = self._driven
        self._driven = True
        if crashed:
            self._lose_bodies(event.at, crashed=True)
        self._settle()

    def _driver_stopped(self, _fact: ev.DriverStopped, event: Event) -> None:
        if not self._driven:
            raise IllegalMove("no driver to stop")
        self._driven = False
        self._lose_bodies(event.at, crashed=False)
        self._settle()

    def _lose_bodies(self, at: int, *, crashed: bool) -> None:
        """Bodies that ran in a driver that is gone are entered again; one that keeps killing its process fails."""
        for task in list(self._slots.running.values()):
            if task.body == "stopping":
                continue
            self._slots.stop(task)
            task.crashes += crashed
            if task.crashes >= MAX_CRASHES:
                message = f"its process died {MAX_CRASHES} times while {task.node!r} ran"
                self._body_failed(task, routing.error("crashed", message), at)
            else:
                move_body(task, "lose")
                move_task(task, "advance")
                self._slots.add(task)

    def _run_paused(self, fact: ev.RunPaused, _: Event) -> None:
        if self.paused:
            raise IllegalMove("the run is paused already")
        self.paused = fact

    def _run_unpaused(self, _fact: ev.RunUnpaused, _: Event) -> None:
        if not self.paused:
            raise IllegalMove("the run is not paused")
        self.paused = None

    def _stop_requested(self, fact: ev.StopRequested, event: Event) -> None:
        if self._stop:
            raise IllegalMove("the run is being stopped already")
        move_run(self, "stop")
        self._stop = (fact.code, str(_content(event).get("reason", "")))
        self._flow.cancel_all()
        self._settle()

    def _run_finished(self, fact: ev.RunFinished, event: Event) -> None:
        if self._flow.run.live or self._slots.running:
            raise IllegalMove("RunFinished while tasks are under way")
        wanted = self._finish()
        if (fact.state, fact.status) != (wanted.state, wanted.status):
            raise IllegalMove(f"RunFinished says {fact.state}/{fact.status}, the run is {wanted.state}/{wanted.status}")
        move_run(self, {"completed": "complete", "failed": "fail", "cancelled": "cancel"}[fact.state])
        self.status = fact.status
        payload = _content(event)
        self.output, self.error = payload.get("output"), payload.get("error")

    def _finish(self) -> FinishRun:
        if self._stop:
            code, reason = self._stop
            error = routing.error(code, reason or code.replace("_", " "))
            if code == "cancelled":
                return FinishRun("cancelled", None, {"output": None, "error": error})
            return FinishRun("failed", "failure", {"output": None, "error": error})
        status, output, error = routing.run_result(self._flow.leaves(self._flow.run))
        payload = {"output": output} | ({"error": error} if error else {})
        return FinishRun("failed" if status == "failure" else "completed", status, payload)

    # -- bodies ------------------------------------------------------------------------------------------------

    def _node_started(self, fact: ev.NodeStarted, _: Event) -> None:
        task = self._slots.offered.get(fact.task)
        if task is None or not self._driven or self.paused:
            raise IllegalMove(f"task {fact.task!r} is not offered")
        if (fact.node, fact.attempt, fact.entry) != (task.node, task.attempt, task.entry + 1):
            wanted = f"{body_key(task.id, task.node, task.attempt)} entry {task.entry + 1}"
            raise IllegalMove(f"{body_key(fact.task, fact.node, fact.attempt)} entry {fact.entry}, wanted {wanted}")
        self._slots.start(task)
        move_task(task, "start")
        move_body(task, "start")
        task.entry = fact.entry
        task.answered = False

    def _running(self, fact: ev.NodeCompleted | ev.NodeFailed | ev.NodeSuspended | ev.NodeStopped, body: str) -> Task:
        task = self._slots.running.get(fact.task)
        if task is None or task.body != body or (task.node, task.attempt) != (fact.node, fact.attempt):
            raise IllegalMove(f"{type(fact).__name__}: no {body} body {body_key(fact.task, fact.node, fact.attempt)}")
        return task

    def _node_completed(self, fact: ev.NodeCompleted, event: Event) -> None:
        task = self._running(fact, "running")
        self._slots.stop(task)
        self._forget_waits(task)
        move_body(task, "complete")
        self._flow.complete(task, event.payload)
        self._settle()

    def _node_failed(self, fact: ev.NodeFailed, event: Event) -> None:
        task = self._running(fact, "running")
        payload = _content(event)
        self._slots.stop(task)
        self._body_failed(task, routing.error(fact.code, payload.get("message", ""), payload.get("details")), event.at)
        self._settle()

    def _body_failed(self, task: Task, error: dict[str, Any], at: int) -> None:
        """Another attempt after a pause, or on past the failure."""
        self._forget_waits(task)
        retry = self._flow.nodes[task.node].retry
        if routing.may_retry(retry, error["code"], task.attempt):
            self._back_off(task, at + routing.backoff_ms(retry.backoff, task.attempt))
        else:
            move_body(task, "fail")
            self._flow.fail(task, error)

    def _back_off(self, task: Task, due: int) -> None:
        move_body(task, "back_off")
        move_task(task, "wait")
        self._slots.release(task)
        self._open_wait("timer", f"{body_key(task.id, task.node, task.attempt)}/backoff", task, "backoff", due, None)

    def _node_suspended(self, fact: ev.NodeSuspended, _: Event) -> None:
        task = self._running(fact, "running")
        if not task.waits and not task.answered:
            raise IllegalMove(f"task {task.id} has nothing to wait for")
        self._slots.stop(task)
        move_body(task, "suspend")
        move_task(task, "wait")
        self._slots.release(task)
        if task.answered:
            self._wake(task)
        self._settle()

    def _node_stopped(self, fact: ev.NodeStopped, _: Event) -> None:
        task = self._running(fact, "stopping")
        move_body(task, "stop")
        self._slots.stop(task)
        self._settle()

    # -- effects and waits -------------------------------------------------------------------------------------

    def _effect_started(self, fact: ev.EffectStarted, event: Event) -> None:
        task = self._slots.running.get(fact.task)
        if task is None or task.body != "running" or task.node != fact.node:
            raise IllegalMove(f"effect {fact.key!r} of a body that does not run")
        if not fact.wait:
            return
        if fact.kind not in _WAITS or fact.key in self.waits:
            raise IllegalMove(f"wait {fact.key!r}: {'open already' if fact.key in self.waits else fact.kind}")
        self._open_wait(fact.kind, fact.key, task, fact.name, fact.due, event.payload)

    def _open_wait(self, kind: str, key: str, task: Task, name: str, due: int | None, request: Any) -> None:
        self._opened += 1
        self.waits[key] = _WAITS[kind](key, task.id, task.node, name, self._opened, due, request)
        task.waits[key] = None

    def _effect_finished(self, fact: ev.EffectFinished, _: Event) -> None:
        task = self.tasks.get(fact.task)
        if task is None:
            raise IllegalMove(f"effect {fact.key!r} of an unknown task {fact.task!r}")
        task.crashes = 0  # it got on: whatever killed the process before, it was not this entry of the body
        if fact.key not in task.waits:
            return
        del task.waits[fact.key], self.waits[fact.key]
        task.answered = True
        if task.body in ("suspended", "backing_off"):
            self._wake(task)
            self._settle()

    def _wake(self, task: Task) -> None:
        if task.body == "backing_off":
            task.attempt += 1
            task.entry = task.crashes = 0
        move_body(task, "wake")
        move_task(task, "wake")
        self._slots.add(task)

    def _forget_waits(self, task: Task) -> None:
        for key in task.waits:
            del self.waits[key]
        task.waits.clear()

    def _settle(self) -> None:
        """Consequences that belong to no single task: merges, waits of ended tasks, free slots, the run's own state."""
        flow = self._flow
        flow.settle()
        for task in flow.closed_waits:
            self._forget_waits(task)
        flow.closed_waits.clear()
        self._slots.refill()
        busy = self._slots.running or self._slots.offered or not flow.run.live
        if self.state == "running" and not busy:
            move_run(self, "wait")
        elif self.state == "waiting" and busy:
            move_run(self, "wake")
