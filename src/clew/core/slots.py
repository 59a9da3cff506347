"""Which queued tasks may run now: ``max_arms`` for the run, ``max_parallel`` for a split's items, suspects alone.

A queued task is *parked* while its item has no slot, then *ready*, then *offered* to the runtime, then *running*. Order is by
position, so that what is offered depends on the events alone.
"""

import heapq

from clew.core.tasks import Instance, Position, Task

SUSPECT_AFTER = 2
"""Crashes after which a body runs alone: if its process dies again, it is known which body killed it."""


class Slots:
    def __init__(self, max_arms: int) -> None:
        self.max_arms = max_arms
        self.offered: dict[str, Task] = {}
        self.running: dict[str, Task] = {}
        self.stopping: dict[str, Task] = {}
        """Those of the running whose task was cancelled."""
        self._alone = ""
        self._ready: list[tuple[Position, str, Task]] = []
        self._suspects: list[tuple[Position, str, Task]] = []

    def add(self, task: Task) -> None:
        """A task became queued: admit it through the splits around it, outermost first, as far as there is room."""
        bounds = task.home.bounds
        while task.held < len(bounds):
            bound = bounds[task.held]
            arm = task.arm(bound)
            if arm not in bound.active and len(bound.active) >= bound.max_parallel:
                heapq.heappush(bound.parked, (task.position, task.id, task))
                return
            bound.active[arm] = bound.active.get(arm, 0) + 1
            task.held += 1
        heapq.heappush(self._suspects if task.crashes >= SUSPECT_AFTER else self._ready, (task.position, task.id, task))

    def start(self, task: Task) -> None:
        self.running[task.id] = self.offered.pop(task.id)

    def stop(self, task: Task) -> None:
        """The body is gone (or was never entered); the item's slots stay held."""
        self.running.pop(task.id, None)
        self.offered.pop(task.id, None)
        self.stopping.pop(task.id, None)
        if task.id == self._alone:
            self._alone = ""

    def release(self, task: Task) -> None:
        """The task waits or ended: its item gives back its slots unless another of its tasks is active."""
        freed: list[Instance] = []
        for bound in task.home.bounds[: task.held]:
            arm = task.arm(bound)
            bound.active[arm] -= 1
            if not bound.active[arm]:
                del bound.active[arm]
                freed.append(bound)
        task.held = 0
        for bound in freed:
            self._unpark(bound)

    def _unpark(self, bound: Instance) -> None:
        while bound.parked:
            task = bound.parked[0][2]
            if task.state != "queued":
                heapq.heappop(bound.parked)
            elif len(bound.active) < bound.max_parallel or task.arm(bound) in bound.active:
                heapq.heappop(bound.parked)
                self.add(task)
            else:
                return

    def refill(self) -> None:
        """Offer as many ready tasks as there are free arms."""
        if self._alone:
            return
        while self._ready and len(self.running) + len(self.offered) < self.max_arms:
            self._offer(self._ready)
        while self._suspects and not self.running and not self.offered:
            self._alone = self._suspects[0][1]
            self._offer(self._suspects)

    def _offer(self, heap: list[tuple[Position, str, Task]]) -> None:
        task = heapq.heappop(heap)[2]
        if task.state == "queued":
            self.offered[task.id] = task
        elif task.id == self._alone:
            self._alone = ""
