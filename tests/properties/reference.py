"""A naive interpreter of W4-W7: everything is looked up by searching through all tasks, again after every step.

It shares nothing with the engine but the graph it reads. ``Reference`` is stepped one execution of a body at a time:
``runnable()`` names the tasks whose body may run, ``step`` gives one of them its outcome. ``interpret`` runs it to the end.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scoping import RUN, Scoping
from values import canonical, dig, label_of

Outcome = tuple[str, Any]
"""``("ok", output)`` or ``("fail", code)``."""
OutcomeOf = Callable[[str, str, Any, int], Outcome]
"""Pure: (task id, node id, input, attempt) -> outcome."""

FINAL_CODES = {"timeout", "crashed", "cancelled", "denied", "in_doubt", "merge_failed", "unknown_route"}
ENDED = ("completed", "failed", "cancelled")


class Stuck(AssertionError):
    """Nothing can run, yet something has not ended; or a merge fired twice."""


@dataclass(eq=False)
class Task:
    id: str
    node: str
    parent: "Task | None"
    position: tuple[int, ...]
    path: list[str]
    """Ids from the root's to this task's own."""
    inside: list[tuple[str, str]] = field(default_factory=list)
    """Instances it is a member of, outermost first: (scope node, task that entered it)."""
    input: Any = None
    attempt: int = 1
    state: str = "queued"
    status: str | None = None
    partial: bool = False
    output: Any = None
    error: dict[str, Any] | None = None
    merged_into: str | None = None
    came_from: str = ""
    arrived: str | None = None
    """While it waits at a merge: ``normal``, ``failure`` or ``nothing``."""
    split_at: str | None = None
    """The branch or split whose parent it became."""
    won: bool = False

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class Reference:
    def __init__(self, scoping: Scoping, run_input: Any) -> None:
        self.scoping = scoping
        self.nodes = self.scoping.nodes
        self.tasks: dict[str, Task] = {}
        self.ran: list[tuple[str, str, int, str]] = []
        """(task id, node, attempt, canonical input) of each body that ran to its end."""
        self.status: str | None = None
        self.output: Any = None
        self.error: dict[str, Any] | None = None
        self.ambiguous = False
        """Two things became possible at once under ``wait: first``, and the text does not order them."""
        self._enter(self._new("0", None, (), ["0"], [], False), scoping.start, run_input, "")

    def runnable(self) -> list[str]:
        return [t.id for t in self.tasks.values() if t.state == "queued"]

    def step(self, task_id: str, outcome: OutcomeOf) -> None:
        """One execution of the body of a runnable task, and all that follows from it."""
        task = self.tasks[task_id]
        assert task.state == "queued", task
        kind, value = outcome(task.id, task.node, task.input, task.attempt)
        self.ran.append((task.id, task.node, task.attempt, canonical(task.input)))
        if kind == "ok":
            self._completed(task, value)
        elif self._tried_again(task, value):
            task.attempt += 1
        else:
            self._failed(task, {"code": value, "message": f"{task.node} failed", "details": None}, None)
        self._settle()

    @property
    def finished(self) -> bool:
        return all(t.ended for t in self.tasks.values())

    def finish(self) -> None:
        if not self.finished:
            raise Stuck([(t.id, t.node, t.state) for t in self.tasks.values() if not t.ended])
        leaves = self._leaves(None)
        if len(leaves) == 1:
            self.status, self.output, self.error = leaves[0].status, leaves[0].output, leaves[0].error
        else:
            self.status, self.output = _split_result(leaves)

    # ---- bodies ----------------------------------------------------------------------------------------------------

    def _tried_again(self, task: Task, code: str) -> bool:
        retry = self.nodes[task.node].retry
        wanted = code in retry.on if retry.on else code not in FINAL_CODES
        return wanted and task.attempt < retry.max_attempts

    def _completed(self, task: Task, output: Any) -> None:
        node = self.nodes[task.node]
        edges = [e for e in self.scoping.edges_out[node.id] if not e.on_failure]
        if node.role == "exit":
            self._exits(task, output)
        elif node.role == "decision":
            label = label_of(output)
            chosen = [e for e in edges if isinstance(label, str) and e.label == label]
            if chosen:
                self._enter(task, chosen[0].target, output, node.id)
            else:
                self._failed(task, {"code": "unknown_route"}, output)
        elif node.role == "branch":
            self._becomes_parent(task, [(e.target, output) for e in edges])
        elif node.role == "split":
            self._splits(task, output)
        else:
            self._enter(task, edges[0].target, output, node.id)

    def _splits(self, task: Task, output: Any) -> None:
        node = self.nodes[task.node]
        edges = [e for e in self.scoping.edges_out[node.id] if not e.on_failure]
        over = node.over
        if over is None and len(edges) == 1 and isinstance(output, dict) and "subtask_inputs" in output:
            over = "subtask_inputs"
        if over is None:
            self._becomes_parent(task, [(e.target, output) for e in edges])
            return
        items = dig(output, over)
        if not isinstance(items, list):
            self._failed(task, {"code": "not_a_list"}, output)
        elif items:
            self._becomes_parent(task, [(edges[0].target, item) for item in items])
        else:
            self._arrives_or_ends(task, "nothing", [], None)

    def _becomes_parent(self, task: Task, arms: list[tuple[str, Any]]) -> None:
        task.state, task.split_at = "waiting", task.node
        children = [
            self._new(
                f"{task.id}.{i}", task, (*task.position, i), [*task.path, f"{task.id}.{i}"], task.inside, task.partial
            )
            for i in range(len(arms))
        ]
        for child, (target, _) in zip(children, arms, strict=True):
            child.node = target
        for child, (target, value) in zip(children, arms, strict=True):
            if not child.ended:
                self._enter(child, target, value, task.node)

    def _exits(self, task: Task, output: Any) -> None:
        task.output = output
        if self.nodes[task.node].always_fail:
            task.error = {"code": "always_fail"}
            self._end(task, "failure")
        else:
            self._end(task, "partial" if task.partial else "success")

    def _failed(self, task: Task, error: dict[str, Any], output: Any) -> None:
        node = self.nodes[task.node]
        edges = self.scoping.edges_out[node.id]
        recovery = [e for e in edges if e.on_failure]
        if node.continue_on_failure:
            task.partial = True
            self._enter(task, next(e for e in edges if not e.on_failure).target, task.input, node.id)
        elif recovery:
            self._enter(task, recovery[0].target, {"error": error, "input": task.input}, node.id)
        else:
            self._arrives_or_ends(task, "failure", output, error)

    # ---- moving ----------------------------------------------------------------------------------------------------

    def _new(
        self,
        task_id: str,
        parent: Task | None,
        position: tuple[int, ...],
        path: list[str],
        inside: list[tuple[str, str]],
        partial: bool,
    ) -> Task:
        if task_id in self.tasks:
            raise Stuck(f"{task_id} exists already")
        task = Task(task_id, "", parent, position, path, list(inside), partial=partial)
        self.tasks[task_id] = task
        return task

    def _enter(self, task: Task, node: str, value: Any, came_from: str) -> None:
        """Along an edge: to a merge is an arrival, to anything else means its body is to run."""
        task.node, task.came_from, task.input, task.attempt = node, came_from, value, 1
        if self.nodes[node].role == "merge":
            self._arrives(task, node, "normal", value, None)
            return
        task.state = "queued"
        if self.scoping.opens(node):
            task.inside = [*task.inside, (node, task.id)]

    def _arrives_or_ends(self, task: Task, how: str, output: Any, error: dict[str, Any] | None) -> None:
        target = None
        if task.inside:
            target = self.scoping.failure_goes_to(task.node, [RUN, *(scope for scope, _ in task.inside)])
        if target is not None:
            task.came_from, task.node = task.node, target
            self._arrives(task, target, how, output, error)
        elif how == "nothing":
            task.output = []
            self._end(task, "partial" if task.partial else "success")
        else:
            task.output, task.error = None, error
            self._end(task, "failure")

    def _arrives(self, task: Task, merge: str, how: str, output: Any, error: dict[str, Any] | None) -> None:
        task.state, task.arrived = "waiting", how
        task.output, task.error = (output if how == "normal" else None), error
        scope = self.scoping.scope(merge)
        if scope != RUN and how != "failure":
            self._wins(self.tasks[dict(task.inside)[scope]], scope, task)

    def _end(self, task: Task, status: str) -> None:
        task.status = status
        task.state = "failed" if status == "failure" else "completed"
        if task.parent is not None and task.parent.split_at is not None and status == "success":
            self._wins(task.parent, task.parent.split_at, task)

    def _wins(self, owner: Task, scope: str, winner: Task) -> None:
        """``wait: first``: the first to come cancels the other arms."""
        if self.nodes[scope].wait != "first" or owner.split_at != scope or owner.won:
            return
        owner.won = True
        depth = len(owner.position)
        for task in self.tasks.values():
            member = (scope, owner.id) in task.inside and len(task.position) > depth
            if member and task.position[depth] != winner.position[depth] and not task.ended:
                task.state, task.status, task.arrived = "cancelled", None, None

    # ---- what follows ----------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        while self._end_a_parent() or self._fire_a_merge():
            pass

    def _end_a_parent(self) -> bool:
        """Of several that can end at once the lowest position goes first (it matters under ``wait: first`` only)."""
        for task in sorted(self.tasks.values(), key=lambda t: t.position):
            if task.split_at is None or task.ended:
                continue
            members = [t for t in self.tasks.values() if t.parent is task]
            if not all(t.ended for t in members):
                continue
            leaves = self._leaves(task)
            if leaves:
                self._parent_result(task, leaves)
            else:
                task.merged_into = self._merged_further_out(members)
                task.state, task.status = "completed", "partial" if task.partial else "success"
            return True
        return False

    def _parent_result(self, task: Task, leaves: list[Task]) -> None:
        if self.nodes[task.node].role == "branch":
            ranked = [t for status in ("success", "partial", "failure") for t in leaves if t.status == status]
            status, task.output = ranked[0].status, ranked[0].output
        else:
            status, task.output = _split_result(leaves)
        if status == "failure":
            task.error = {"code": "arm_failed"}
        assert status is not None
        self._end(task, status)

    def _leaves(self, parent: Task | None) -> list[Task]:
        members = [t for t in self.tasks.values() if t.parent is parent and t.merged_into is None]
        return sorted((t for t in members if t.state != "cancelled"), key=lambda t: t.position)

    def _merged_further_out(self, members: list[Task]) -> str:
        own = {t.id for t in members}
        ordered = sorted(members, key=lambda t: t.position)
        return next(t.merged_into for t in ordered if t.merged_into is not None and t.merged_into not in own)

    def _fire_a_merge(self) -> bool:
        ready: list[tuple[str, str]] = []
        for merge in self.scoping.merges:
            scope = self.scoping.scope(merge)
            waiting = [t for t in self.tasks.values() if t.arrived is not None and not t.ended and t.node == merge]
            for owner in dict.fromkeys(_owner(t, scope) for t in waiting):
                if not self._blocked(merge, scope, owner):
                    ready.append((merge, owner))
        if not ready:
            return False
        if len(ready) > 1:
            self.ambiguous = True
        merge, owner = ready[0]
        self._fire(merge, self.scoping.scope(merge), self.tasks[owner])
        return True

    def _blocked(self, merge: str, scope: str, owner: str) -> bool:
        for task in self.tasks.values():
            is_member = scope == RUN or (scope, owner) in task.inside
            is_waiting_parent = task.state == "waiting" and task.arrived is None
            if not is_member or task.ended or is_waiting_parent or (task.arrived is not None and task.node == merge):
                continue
            if self.scoping.reaches(task.node, merge):
                return True
        return False

    def _fire(self, merge: str, scope: str, owner: Task) -> None:
        absorbed = [
            t
            for t in self.tasks.values()
            if t.arrived is not None and not t.ended and t.node == merge and _owner(t, scope) == owner.id
        ]
        absorbed.sort(key=lambda t: t.position)
        kept = absorbed[0].inside[: absorbed[0].inside.index((scope, owner.id)) + 1] if scope != RUN else []
        parent = owner if scope != RUN and owner.split_at == scope else (owner.parent if scope != RUN else None)
        name = f"{owner.id}~{merge}"
        task = self._new(name, parent, absorbed[0].position, [*owner.path, name], kept, False)
        depth = 0 if scope == RUN else len(owner.position)
        normal = [_entry(t, depth) for t in absorbed if t.arrived == "normal"]
        failures = [_entry(t, depth) for t in absorbed if t.arrived == "failure"]
        task.partial = any(t.partial and t.arrived != "failure" for t in absorbed)
        for member in absorbed:
            member.state, member.merged_into = "completed", name
            member.status = "failure" if member.arrived == "failure" else ("partial" if member.partial else "success")
        task.node, task.came_from, task.state = merge, "", "queued"
        task.input = {"merge_inputs": normal, "failures": failures}
        if self.scoping.opens(merge):
            task.inside = [*task.inside, (merge, task.id)]
        rule = self.nodes[merge].on_failure
        if failures and (rule == "fail" or (rule == "partial" and not normal)):
            self._failed(task, {"code": "merge_failed", "details": {"failures": failures}}, None)
        elif failures and rule == "partial":
            task.partial = True


def _owner(task: Task, scope: str) -> str:
    return "0" if scope == RUN else dict(task.inside)[scope]


def _entry(task: Task, depth: int) -> dict[str, Any]:
    index = task.position[depth] if len(task.position) > depth else 0
    entry: dict[str, Any] = {"task_id": task.id, "node_id": task.came_from, "index": index, "lineage": list(task.path)}
    if task.arrived == "failure":
        return {**entry, "error": task.error, "status": "failure"}
    return {**entry, "output": task.output, "status": "partial" if task.partial else "success"}


def _split_result(leaves: list[Task]) -> tuple[str, list[Any]]:
    statuses = {t.status for t in leaves}
    status = next((s for s in ("failure", "partial") if s in statuses), "success")
    return status, [t.output for t in leaves]


def interpret(scoping: Scoping, run_input: Any, outcome: OutcomeOf, choose: Callable[[list[str]], str]) -> Reference:
    """Runs to the end; ``choose`` picks who goes next. Raises Stuck where something never ends."""
    reference = Reference(scoping, run_input)
    while runnable := reference.runnable():
        reference.step(choose(runnable), outcome)
    reference.finish()
    return reference
