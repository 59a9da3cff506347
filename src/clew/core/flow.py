"""How tasks move through the graph: branches, splits, merges, failures, leaves (requirements W4-W7, word for word).

``Flow`` is driven by the machine, one consequence at a time, and ends each step with ``settle``: merges fire when something
has arrived and nothing that could still arrive is left. Counters per (instance, merge) make a move cost O(depth).
"""

from collections import deque
from typing import Any

from clew.core import routing
from clew.core.errors import Failure
from clew.core.events import Status
from clew.core.graph import Edge, Graph, Node
from clew.core.routing import Leaf
from clew.core.scopes import RUN, Scopes
from clew.core.slots import Slots
from clew.core.states import ENDED, move_body, move_task
from clew.core.tasks import Arrival, Instance, Task


class Flow:
    def __init__(self, graph: Graph, scopes: Scopes, slots: Slots) -> None:
        self.nodes: dict[str, Node] = scopes.nodes
        self.edges: dict[str, list[Edge]] = {n: [] for n in self.nodes}
        self.failure_edge: dict[str, str] = {}
        for edge in graph.edges:
            if edge.on_failure:
                self.failure_edge[edge.source] = edge.target
            else:
                self.edges[edge.source].append(edge)
        self.scopes = scopes
        self.slots = slots
        self.tasks: dict[str, Task] = {}
        self.run = Instance(RUN, None, {})
        self.closed_waits: list[Task] = []
        """Tasks that ended with waits open; the machine forgets those waits."""
        self._due: deque[tuple[Instance, str]] = deque()
        self._at_merge = {
            m: tuple(x for x in scopes.ahead[m] if scopes.scope[x] != m) for m in scopes.merges
        }  # a task that waits at a merge has not entered it: the scope that the merge may open is not there yet

    # -- the way in, and on ------------------------------------------------------------------------------------

    def begin(self, value: Any) -> None:
        root = self._new_task("0", (), (), self.run, self.run)
        root.input = value
        self._stand(root, self.scopes.start)

    def complete(self, task: Task, output: Any) -> None:
        """The body of ``task`` gave ``output``: route it on."""
        node = self.nodes[task.node]
        edges = self.edges[node.id]
        try:
            if node.role == "exit":
                self._exit(task, node, output)
            elif node.role == "decision":
                label = routing.route_of(output, [e.label or "" for e in edges])
                self._advance(task, next(e.target for e in edges if e.label == label), output)
            elif node.role == "branch":
                self._spawn(task, node, [(e.target, output) for e in edges])
            elif node.role == "split":
                self._split(task, node, edges, output)
            else:
                self._advance(task, edges[0].target, output)
        except Failure as failure:
            self.fail(task, routing.error(failure.code, failure.message))

    def fail(self, task: Task, error: dict[str, Any]) -> None:
        """The node failed for good: go on past it, along the failure edge, to a merge, or end as a leaf."""
        node = self.nodes[task.node]
        if node.continue_on_failure:
            task.partial = True
            self._advance(task, self.edges[node.id][0].target, task.input)
        elif node.id in self.failure_edge:
            self._advance(task, self.failure_edge[node.id], {"error": error, "input": task.input})
        else:
            task.error = error
            target = self.scopes.failure_target(node.id)
            if target is None:
                self._leaf(task, "failure", None, error)
            else:
                task.source = task.node
                self._arrive(task, target, "failure")

    def _advance(self, task: Task, target: str, value: Any) -> None:
        task.source = task.node
        task.input = value
        if self.nodes[target].role == "merge":
            task.output = value
            self._arrive(task, target, "normal")
        else:
            move_task(task, "advance")
            move_body(task, "advance")
            self._stand(task, target)

    def _stand(self, task: Task, node: str) -> None:
        """Put a queued task on a node that it enters, opening the instance that the node opens."""
        task.node = node
        task.attempt, task.entry, task.crashes, task.answered = 1, 0, 0, False
        if node in self.scopes.opens:
            task.within = Instance(node, task, task.within.chain)
        self._count(task, self.scopes.ahead[node])
        self.slots.add(task)

    def _new_task(
        self, ident: str, position: tuple[int, ...], lineage: tuple[str, ...], home: Instance, within: Instance
    ) -> Task:
        task = Task(ident, position, lineage, home, within)
        self.tasks[ident] = task
        home.members.append(task)
        home.live += 1
        return task

    def _count(self, task: Task, ahead: tuple[str, ...]) -> None:
        """Count the task at every merge that it can still reach from where it stands now; uncount it where it stood."""
        before = task.counted
        chain = task.within.chain
        scope = self.scopes.scope
        task.counted = [(chain[scope[m]], m) for m in ahead]
        for instance, merge in task.counted:
            instance.blockers[merge] = instance.blockers.get(merge, 0) + 1
        for instance, merge in before:
            instance.blockers[merge] -= 1
            if not instance.blockers[merge]:
                self._due.append((instance, merge))

    # -- branches and splits -----------------------------------------------------------------------------------

    def _split(self, task: Task, node: Node, edges: list[Edge], output: Any) -> None:
        over = routing.split_path(node, len(edges), output)
        if over is None:
            self._spawn(task, node, [(e.target, output) for e in edges])
            return
        items = routing.items_of(output, over)
        if items:
            self._spawn(task, node, [(edges[0].target, item) for item in items])
            return
        target = self.scopes.failure_target(node.id)
        if target is None:
            self._leaf(task, "partial" if task.partial else "success", [], None)
        else:
            task.source = task.node
            self._arrive(task, target, "nothing")

    def _spawn(self, task: Task, node: Node, arms: list[tuple[str, Any]]) -> None:
        """``task`` becomes the parent of one child per arm, in the instance that it opened when it entered the node."""
        inside = task.within
        inside.spawned = True
        inside.first = node.role == "branch" and node.wait == "first"
        inside.bounds = task.home.bounds
        if node.max_parallel is not None:
            inside.max_parallel = node.max_parallel
            inside.bounds = (*inside.bounds, inside)
        move_task(task, "wait")
        children: list[Task] = []
        for i, (target, value) in enumerate(arms):
            child = self._new_task(f"{task.id}.{i}", (*task.position, i), task.lineage, inside, inside)
            child.source, child.node, child.input, child.partial = node.id, target, value, task.partial
            children.append(child)
        for child, (target, value) in zip(children, arms, strict=True):
            if child.state in ENDED:  # an earlier arm won at once
                continue
            if self.nodes[target].role == "merge":
                child.output = value
                self._arrive(child, target, "normal")
            else:
                self._stand(child, target)
        self._count(task, ())
        self.slots.release(task)

    # -- merges ------------------------------------------------------------------------------------------------

    def _arrive(self, task: Task, merge: str, kind: Arrival) -> None:
        move_task(task, "wait")
        task.node = merge
        task.arrival = kind
        instance = task.within.chain[self.scopes.scope[merge]]
        instance.arrivals.setdefault(merge, []).append(task)
        self._count(task, self._at_merge[merge])
        self._due.append((instance, merge))
        self.slots.release(task)
        if kind != "failure":
            self._decide_first(instance, task)

    def settle(self) -> None:
        """Fire every merge whose time has come; firing one may make the next one due."""
        while self._due:
            instance, merge = self._due.popleft()
            if instance.arrivals.get(merge) and not instance.blockers.get(merge):
                self._fire(instance, merge)

    def _fire(self, instance: Instance, merge: str) -> None:
        arrivals = sorted(instance.arrivals.pop(merge), key=lambda t: t.position)
        node = self.nodes[merge]
        owner = instance.owner or self.tasks["0"]
        home = instance if instance.spawned else owner.home
        joined = self._new_task(f"{owner.id}~{merge}", arrivals[0].position, owner.lineage, home, instance)
        normal = [t for t in arrivals if t.arrival == "normal"]
        failed = [t for t in arrivals if t.arrival == "failure"]
        failures = [self._failure_entry(t, instance) for t in failed]
        joined.source = merge
        joined.input = {"merge_inputs": [self._merge_entry(t, instance) for t in normal], "failures": failures}
        broken = bool(failed) and (node.on_failure == "fail" or (node.on_failure == "partial" and not normal))
        missing = bool(failed and normal) and node.on_failure == "partial"
        joined.partial = missing or any(t.partial for t in arrivals if t.arrival != "failure")
        joined.node = merge
        if merge in self.scopes.opens:
            joined.within = Instance(merge, joined, instance.chain)
        self._count(joined, self.scopes.ahead[merge])
        for task in arrivals:
            self._absorb(task, joined)
        if broken:
            move_body(joined, "fail")
            message = f"{len(failed)} of {len(arrivals)} arrivals failed"
            self.fail(joined, routing.error("merge_failed", message, {"failures": failures}))
        else:
            self.slots.add(joined)
        for task in arrivals:
            self._close_if_done(task.home)

    def _absorb(self, task: Task, joined: Task) -> None:
        move_task(task, "complete")
        task.status = "failure" if task.arrival == "failure" else "partial" if task.partial else "success"
        task.merged_into = joined.id
        self._count(task, ())
        task.home.live -= 1
        if joined.home is not task.home:
            task.home.absorbed.append((task.position, joined.id))

    def _merge_entry(self, task: Task, instance: Instance) -> dict[str, Any]:
        return {
            "task_id": task.id,
            "node_id": task.source,
            "output": task.output,
            "status": "partial" if task.partial else "success",
            "index": self._index(task, instance),
            "lineage": list(task.lineage),
        }

    def _failure_entry(self, task: Task, instance: Instance) -> dict[str, Any]:
        return {
            "task_id": task.id,
            "node_id": task.source,
            "error": task.error,
            "status": "failure",
            "index": self._index(task, instance),
            "lineage": list(task.lineage),
        }

    @staticmethod
    def _index(task: Task, instance: Instance) -> int:
        return task.position[instance.depth] if len(task.position) > instance.depth else 0

    # -- ends --------------------------------------------------------------------------------------------------

    def _exit(self, task: Task, node: Node, output: Any) -> None:
        if node.always_fail:
            self._leaf(task, "failure", output, routing.error("always_fail", f"exit {node.id!r} always fails"))
        else:
            self._leaf(task, "partial" if task.partial else "success", output, None)

    def _leaf(self, task: Task, status: Status, output: Any, error: dict[str, Any] | None) -> None:
        move_task(task, "fail" if status == "failure" else "complete")
        task.status, task.output, task.error = status, output, error
        self._gone(task)
        home = task.home
        home.leaves.append((task.position, Leaf(task.id, status, output, error)))
        home.live -= 1
        if status == "success":
            self._decide_first(home, task)
        self._close_if_done(home)

    def _gone(self, task: Task) -> None:
        self._count(task, ())
        self.slots.release(task)
        if task.waits:
            self.closed_waits.append(task)

    def _close_if_done(self, instance: Instance) -> None:
        """When the last member of a spawned instance has ended, its parent ends too."""
        parent = instance.owner
        if instance.live or parent is None or parent.state in ENDED or not instance.spawned:
            return
        if instance.leaves:
            rule = routing.branch_result if self.nodes[parent.node].role == "branch" else routing.split_result
            self._leaf(parent, *rule(self.leaves(instance)))
            return
        move_task(parent, "complete")
        parent.status = "partial" if parent.partial else "success"
        parent.merged_into = min(instance.absorbed)[1]
        parent.home.live -= 1
        if self.tasks[parent.merged_into].home is not parent.home:
            parent.home.absorbed.append((parent.position, parent.merged_into))
        self._close_if_done(parent.home)

    @staticmethod
    def leaves(instance: Instance) -> list[Leaf]:
        return [leaf for _, leaf in sorted(instance.leaves, key=lambda pair: pair[0])]

    # -- the first arm wins; cancellation ----------------------------------------------------------------------

    def _decide_first(self, instance: Instance, winner: Task) -> None:
        """``wait: first``: end the other arms of the branch."""
        if not instance.first or instance.decided:
            return
        instance.decided = True
        arm = winner.arm(instance)
        for member in list(instance.members):
            if member.arm(instance) != arm:
                self.cancel(member)

    def cancel(self, task: Task) -> None:
        """End a task and its members, wherever they stand, without a status. A running body is told to stop."""
        if task.state in ENDED:
            return
        if task.arrival and not task.merged_into:
            task.within.chain[self.scopes.scope[task.node]].arrivals[task.node].remove(task)
        parent = task.state == "waiting" and task.within.spawned and task.within.owner is task
        move_task(task, "cancel")
        move_body(task, "cancel")
        if task.body == "stopping":
            self.slots.stopping[task.id] = task
        else:
            self.slots.stop(task)
        self._gone(task)
        task.home.live -= 1
        if parent:
            for member in list(task.within.members):
                self.cancel(member)

    def cancel_all(self) -> None:
        for task in list(self.tasks.values()):
            self.cancel(task)
