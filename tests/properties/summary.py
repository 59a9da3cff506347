"""What is compared of two final states, and what must hold of one on its own (W7)."""

from typing import Any

from drive import Drive
from reference import ENDED, Reference
from values import canonical

from clew.core.machine import Machine


def of_machine(drive: Drive) -> dict[str, Any]:
    machine = drive.machine
    return _summary(machine.tasks, machine.status, machine.output, drive.ran)


def of_reference(reference: Reference) -> dict[str, Any]:
    return _summary(reference.tasks, reference.status, reference.output, reference.ran)


def _summary(
    tasks: dict[str, Any], status: str | None, output: Any, ran: list[tuple[str, str, int, str]]
) -> dict[str, Any]:
    return {
        "tasks": {t.id: _of_task(t) for t in sorted(tasks.values(), key=lambda t: t.id)},
        "status": status,
        "output": canonical(output),
        "ran": sorted(ran),
    }


def _of_task(task: Any) -> dict[str, Any]:
    """Of a cancelled task only that it is: it has no result."""
    found = {"node": task.node, "state": task.state, "status": task.status, "merged_into": task.merged_into}
    if task.state == "cancelled":
        return found
    return {**found, "output": canonical(task.output), "error": task.error["code"] if task.error else None}


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two summaries differ: ``path: one != other``."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = dict.fromkeys([*one, *other])
        return [d for k in keys for d in differences(one.get(k), other.get(k), f"{where}/{k}")]
    return [] if one == other else [f"{where}: {one!r} != {other!r}"]


def broken_rules(machine: Machine) -> list[str]:
    """Rules of W7 about states and statuses that a finished run breaks."""
    found: list[str] = []
    for task in machine.tasks.values():
        if task.state not in ENDED:
            found.append(f"{task.id} has not ended: {task.state}")
        if (task.status is None) != (task.state == "cancelled"):
            found.append(f"{task.id} is {task.state} with status {task.status}")
        if (task.state == "failed") != (task.status == "failure" and task.merged_into is None):
            found.append(f"{task.id} is {task.state} with status {task.status}, merged into {task.merged_into}")
        if task.merged_into is not None and task.merged_into not in machine.tasks:
            found.append(f"{task.id} is merged into {task.merged_into}, which does not exist")
        if task.state == "failed" and not task.error:
            found.append(f"{task.id} failed without an error")
    if machine.state != ("failed" if machine.status == "failure" else "completed"):
        found.append(f"the run is {machine.state} with status {machine.status}")
    return found


def wrong_counters(drive: Drive) -> list[str]:
    """The machine's counters per instance against a count over the twin's tasks; also ``max_parallel``."""
    twin = drive.twin
    assert twin is not None
    found: list[str] = []
    for instance in drive.machine.snapshot()["instances"]:
        scope, owner = instance["scope"] or "", instance["owner"] or "0"
        members = [t for t in twin.tasks.values() if not t.ended and (scope == "" or (scope, owner) in t.inside)]
        at = f"{scope}@{owner}"
        direct = _direct(twin, scope, owner)
        if instance["live"] != len(direct):
            found.append(f"{at} live {instance['live']}, counted {[t.id for t in direct]}")
        for merge in (m for m in twin.scoping.merges if twin.scoping.scope(m) == scope):
            moving = [t for t in members if t.node != merge and (t.state == "queued" or t.arrived is not None)]
            blockers = [t.id for t in moving if twin.scoping.reaches(t.node, merge)]
            if instance["blockers"].get(merge, 0) != len(blockers):
                found.append(f"{at} blockers of {merge}: {instance['blockers'].get(merge, 0)}, counted {blockers}")
            arrived = sorted(t.id for t in members if t.arrived is not None and t.node == merge)
            if sorted(instance["arrivals"].get(merge, [])) != arrived:
                found.append(f"{at} arrivals at {merge}: {instance['arrivals'].get(merge)}, counted {arrived}")
    return found


def _direct(twin: Reference, scope: str, owner: str) -> list[Any]:
    if scope == "":
        return [t for t in twin.tasks.values() if t.parent is None and not t.ended]
    if twin.tasks[owner].split_at != scope:
        return []
    return [t for t in twin.tasks.values() if t.parent is twin.tasks[owner] and not t.ended]


def items_over_limit(drive: Drive, offered: list[str]) -> list[str]:
    """Splits of which more items have a running or offered task than ``max_parallel`` allows."""
    twin = drive.twin
    assert twin is not None
    active: dict[tuple[str, str], set[int]] = {}
    for task_id in [*offered, *(task for task, _, _ in drive.bodies)]:
        task = twin.tasks[task_id]
        if task.ended:
            continue  # cancelled, its body on the way out: no longer queued or running in the sense of W5
        for scope, owner in task.inside:
            depth = len(twin.tasks[owner].position)
            if twin.tasks[owner].split_at == scope and len(task.position) > depth:
                active.setdefault((scope, owner), set()).add(task.position[depth])
    limits = {key: twin.nodes[key[0]].max_parallel for key in active}
    return [
        f"{k}: {sorted(v)} of {limit}" for k, v in active.items() if (limit := limits[k]) is not None and len(v) > limit
    ]
