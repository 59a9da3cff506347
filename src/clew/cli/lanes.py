"""Where a task is drawn: tasks that came from the same place stand in one lane, however many they are.

A lane is the path of fan-out nodes that led to a task: ``()`` for the root task, ``("parts",)`` for the items of split ``parts``
and for nothing else. A merge's continuation is drawn in the lane of the task it belongs to. So a drawing is as high as the
workflow has nodes, not as the run has tasks.
"""

from collections.abc import Iterable, Iterator

Lane = tuple[str, ...]


class Lanes:
    """Fed with the nodes that tasks enter, in order; a child's lane is fixed by the node its parent stood at."""

    def __init__(self) -> None:
        self._at: dict[str, str] = {}
        self._lane: dict[str, Lane] = {}

    def enter(self, task: str, node: str) -> Lane:
        """The lane of a task that enters ``node`` now."""
        lane = self._lane.get(task)
        if lane is None:
            lane = self._lane[task] = self._find(task)
        self._at[task] = node
        return lane

    def _find(self, task: str) -> Lane:
        parent, mark = parent_of(task)
        if not mark:
            return ()
        around = self._lane.get(parent, ())
        return around if mark == "~" else (*around, self._at.get(parent, ""))


def parent_of(task: str) -> tuple[str, str]:
    """``0.2`` -> (``0``, ``.``); ``0~join`` -> (``0``, ``~``); ``0`` -> (``""``, ``""``)."""
    cut = max(task.rfind("."), task.rfind("~"))
    return (task[:cut], task[cut]) if cut > 0 else ("", "")


def nested(keys: Iterable[tuple[Lane, str]]) -> Iterator[tuple[int, tuple[Lane, str]]]:
    """Depth and key, each fan-out followed by what it led to; within a lane in the order given."""
    lanes: dict[Lane, list[str]] = {}
    for lane, node in keys:
        lanes.setdefault(lane, []).append(node)
    drawn: set[Lane] = set()

    def walk(lane: Lane) -> Iterator[tuple[int, tuple[Lane, str]]]:
        drawn.add(lane)
        for node in lanes.get(lane, ()):
            yield len(lane), (lane, node)
            inner = (*lane, node)
            if inner in lanes and inner not in drawn:
                yield from walk(inner)

    yield from walk(())
    for lane in lanes:
        if lane not in drawn:
            yield from walk(lane)
