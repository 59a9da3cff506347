"""The states of runs, tasks and bodies, and the only code that assigns one.

Rules for editing: a state changes by a named move through a table below, nowhere else; an absent cell is an
``IllegalMove``; a move is added together with the test that walks it. The docs' diagrams are drawn from these tables.
Ended states (completed, failed, cancelled) have no row: nothing leads out of them.
"""

from typing import Literal, Protocol

from clew.core.errors import IllegalMove

Lifecycle = Literal["queued", "running", "waiting", "completed", "failed", "cancelled"]
Body = Literal["pending", "running", "suspended", "backing_off", "completed", "failed", "stopping", "stopped"]

RUN_MOVES: dict[tuple[Lifecycle, str], Lifecycle] = {
    ("queued", "drive"): "running",
    ("queued", "stop"): "running",
    ("running", "drive"): "running",
    ("running", "stop"): "running",
    ("running", "wait"): "waiting",
    ("waiting", "drive"): "running",
    ("waiting", "stop"): "running",
    ("waiting", "wake"): "running",
    ("running", "complete"): "completed",
    ("running", "fail"): "failed",
    ("running", "cancel"): "cancelled",
}

TASK_MOVES: dict[tuple[Lifecycle, str], Lifecycle] = {
    ("queued", "start"): "running",
    ("running", "advance"): "queued",  # to its next node, or entered again
    ("queued", "advance"): "queued",  # a merge that failed without running its body goes its failure edge
    ("running", "wait"): "waiting",  # for an answer, a backoff, its members, or at a merge
    ("queued", "wait"): "waiting",
    ("waiting", "wake"): "queued",
    ("running", "complete"): "completed",
    ("waiting", "complete"): "completed",
    ("running", "fail"): "failed",
    ("queued", "fail"): "failed",
    ("waiting", "fail"): "failed",
    ("queued", "cancel"): "cancelled",
    ("running", "cancel"): "cancelled",
    ("waiting", "cancel"): "cancelled",
}

NODE_MOVES: dict[tuple[Body, str], Body] = {
    ("pending", "start"): "running",
    ("running", "complete"): "completed",
    ("running", "fail"): "failed",
    ("pending", "fail"): "failed",  # merge_failed: the body never ran
    ("running", "suspend"): "suspended",
    ("suspended", "wake"): "pending",
    ("running", "lose"): "pending",  # its driver died or gave the run up
    ("running", "back_off"): "backing_off",
    ("backing_off", "wake"): "pending",
    ("completed", "advance"): "pending",  # the task stands at its next node
    ("failed", "advance"): "pending",
    ("pending", "cancel"): "stopped",
    ("suspended", "cancel"): "stopped",
    ("backing_off", "cancel"): "stopped",
    ("completed", "cancel"): "stopped",
    ("failed", "cancel"): "stopped",
    ("running", "cancel"): "stopping",
    ("stopping", "stop"): "stopped",
}

ENDED: frozenset[Lifecycle] = frozenset({"completed", "failed", "cancelled"})


class HasState(Protocol):
    id: str
    state: Lifecycle


class HasBody(Protocol):
    id: str
    body: Body


def move_run(run: HasState, move: str) -> None:
    """Raises IllegalMove and changes nothing where RUN_MOVES has no cell."""
    try:
        run.state = RUN_MOVES[run.state, move]
    except KeyError:
        raise IllegalMove(f"run {run.id}: no {move!r} from {run.state!r}") from None


def move_task(task: HasState, move: str) -> None:
    """Raises IllegalMove and changes nothing where TASK_MOVES has no cell."""
    try:
        task.state = TASK_MOVES[task.state, move]
    except KeyError:
        raise IllegalMove(f"task {task.id}: no {move!r} from {task.state!r}") from None


def move_body(task: HasBody, move: str) -> None:
    """Raises IllegalMove and changes nothing where NODE_MOVES has no cell."""
    try:
        task.body = NODE_MOVES[task.body, move]
    except KeyError:
        raise IllegalMove(f"body of task {task.id}: no {move!r} from {task.body!r}") from None
