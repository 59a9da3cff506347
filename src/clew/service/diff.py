"""Compare two runs, or two forks of one: what differs in manifests, tasks, nodes, outputs, effects, status and cost (R3)."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

import msgspec

from clew.manifest.compare import compare
from clew.service.inspect import EffectView, Inspection, NodeView, inspect
from clew.service.wiring import Workspace

Kind = Literal["task", "node", "effect"]

MAX_PLACES = 20
"""Places named within one pair of values that differ."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One value that differs. ``path``: dotted, from the thing it belongs to; UNSET on the side that has nothing there."""

    path: str
    a: Any = msgspec.UNSET
    b: Any = msgspec.UNSET


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A task, a node attempt (``task/node#attempt``) or an effect (its key). ``in_``: which run has it."""

    kind: Kind
    name: str
    in_: Literal["a", "b", "both"] = msgspec.field(name="in")
    places: tuple[Place, ...] = ()


class RunDiff(msgspec.Struct, frozen=True, kw_only=True):
    """``common``: events that the runs share because one is a fork of the other, or both of a third; 0 for strangers.

    ``run`` compares the runs as wholes (input, output, status, error, cost); ``manifests`` are readable lines.
    """

    a: str
    b: str
    same: bool
    common: int
    manifests: tuple[str, ...]
    run: tuple[Place, ...]
    items: tuple[Item, ...]


async def diff(workspace: Workspace, a: str, b: str) -> RunDiff:
    """Compare two runs of this journal; times, run ids and sequence numbers do not count. Raises NotFound."""
    left, right = await inspect(workspace, a), await inspect(workspace, b)
    before, after = await workspace.recorded_plan(left.run.plan), await workspace.recorded_plan(right.run.plan)
    manifests = tuple(str(change) for change in compare(before, after))
    run = tuple(places(_run(left), _run(right)))
    items = (
        *_items("task", {t["id"]: _task(t) for t in left.tasks}, {t["id"]: _task(t) for t in right.tasks}),
        *_items("node", _nodes(left), _nodes(right)),
        *_items("effect", _effects(left), _effects(right)),
    )
    same = not (manifests or run or items)
    return RunDiff(
        a=a, b=b, same=same, common=_common(left, right), manifests=manifests, run=run, items=items
    )  # fmt: skip


def _run(view: Inspection) -> dict[str, Any]:
    return {
        "workflow": view.workflow,
        "start": view.start,
        "mode": view.mode,
        "state": view.run.state,
        "status": view.run.status,
        "input": view.input,
        "output": view.output,
        "error": view.error,
        "cost": view.run.cost,
    }


def _task(task: dict[str, Any]) -> dict[str, Any]:
    return {name: task[name] for name in ("state", "status", "node", "merged_into")}


def _nodes(view: Inspection) -> dict[str, dict[str, Any]]:
    return {f"{n.task}/{n.node}#{n.attempt}": _node(n) for n in view.nodes}


def _node(node: NodeView) -> dict[str, Any]:
    names = ("state", "input", "output", "error", "route")
    return {name: getattr(node, name) for name in names}


def _effects(view: Inspection) -> dict[str, dict[str, Any]]:
    return {e.key: _effect(e) for node in view.nodes for e in node.effects if e.kind != "clock"}


def _effect(effect: EffectView) -> dict[str, Any]:
    names = ("kind", "name", "status", "request", "output", "error", "performed", "cost")
    return {name: getattr(effect, name) for name in names}


def _items(kind: Kind, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Item]:
    """In the order of run ``a``, then what only ``b`` has."""
    for name, value in a.items():
        if name not in b:
            yield Item(kind=kind, name=name, in_="a")
        elif found := tuple(places(value, b[name])):
            yield Item(kind=kind, name=name, in_="both", places=found)
    for name in b:
        if name not in a:
            yield Item(kind=kind, name=name, in_="b")


def places(a: Any, b: Any) -> list[Place]:
    """The innermost places at which two JSON values differ; when there are many, the whole value as one place."""
    found: list[Place] = []
    for place in _walk(a, b, ""):
        found.append(place)
        if len(found) > MAX_PLACES:
            return [Place(path="", a=a, b=b)]
    return found


def _walk(a: Any, b: Any, path: str) -> Iterator[Place]:
    inner: list[tuple[str, Any, Any]] | None = None
    if isinstance(a, dict) and isinstance(b, dict):
        inner = _members(cast("dict[str, Any]", a), cast("dict[str, Any]", b))
    elif isinstance(a, list) and isinstance(b, list):
        left, right = cast("list[Any]", a), cast("list[Any]", b)
        inner = _members({str(i): v for i, v in enumerate(left)}, {str(i): v for i, v in enumerate(right)})
    if inner is not None:
        for name, mine, other in inner:
            yield from _walk(mine, other, f"{path}.{name}" if path else name)
    elif a is not b and (type(cast("object", a)) is not type(cast("object", b)) or a != b):
        yield Place(path=path, a=a, b=b)


def _members(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    names = [*a, *(name for name in b if name not in a)]
    return [(name, a.get(name, msgspec.UNSET), b.get(name, msgspec.UNSET)) for name in names]


def _common(a: Inspection, b: Inspection) -> int:
    one, other = a.origin.fork_of, b.origin.fork_of
    if other is not None and other.run == a.run.run:
        return other.seq
    if one is not None and one.run == b.run.run:
        return one.seq
    if one is not None and other is not None and one.run == other.run:
        return min(one.seq, other.seq)
    return 0
