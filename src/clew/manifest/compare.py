"""What differs between two Plans: shown before a fork and when a run is resumed."""

from typing import Any, Literal, cast

import msgspec

from clew.manifest.compiled import Plan

Change = Literal["added", "removed", "changed"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One difference. ``path``: where, such as ``nodes.answer.timeout_ms``; ``None`` stands for nothing."""

    part: Literal["workflow", "nodes", "edges", "tools", "agents", "schemas", "sections", "handlers"]
    name: str
    change: Change
    path: str
    before: Any = None
    after: Any = None

    def __str__(self) -> str:
        if self.change == "changed":
            return f"{self.path}: {_short(self.before)} -> {_short(self.after)}"
        return f"{self.path}: {self.change}"


def compare(before: Plan, after: Plan) -> list[Difference]:
    """Differences in the order workflow, nodes, edges, tools, agents, schemas, sections, handlers; then by name.

    Handler sources are compared by hash, though they are no part of the Plan's digest.
    """
    found: list[Difference] = []
    if before.workflow != after.workflow:
        found.append(
            Difference(
                part="workflow",
                name="id",
                change="changed",
                path="workflow.id",
                before=before.workflow,
                after=after.workflow,
            )
        )
    _parts(found, "nodes", _nodes(before), _nodes(after))
    _parts(found, "edges", _edges(before), _edges(after))
    if before.graph.max_arms != after.graph.max_arms:
        _fields(found, "workflow", "max_arms", "workflow.max_arms", before.graph.max_arms, after.graph.max_arms)
    for part in ("tools", "agents", "schemas", "sections"):
        _parts(found, part, _plain(getattr(before, part)), _plain(getattr(after, part)))
    _parts(found, "handlers", dict(before.handlers), dict(after.handlers))
    return found


def _plain(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", msgspec.to_builtins(value))


def _nodes(plan: Plan) -> dict[str, Any]:
    """Per node all that decides how it runs: the graph's part and the body's."""
    bodies = _plain(plan.nodes)
    return {node.id: {**_plain(node), **bodies[node.id]} for node in plan.graph.nodes}


def _edges(plan: Plan) -> dict[str, Any]:
    """Edges by their ends; the number among equal ones keeps them apart. Order counts at branches and splits."""
    edges: dict[str, Any] = {}
    positions: dict[str, int] = {}
    fans = {node.id for node in plan.graph.nodes if node.role in ("branch", "split")}
    for edge in plan.graph.edges:
        name = f"{edge.source} -> {edge.target}" + (" on failure" if edge.on_failure else "")
        number = sum(1 for known in edges if known == name or known.startswith(f"{name} #"))
        content: dict[str, Any] = {"label": edge.label}
        if edge.source in fans and not edge.on_failure:
            positions[edge.source] = positions.get(edge.source, -1) + 1
            content["position"] = positions[edge.source]
        edges[f"{name} #{number + 1}" if number else name] = content
    return edges


def _parts(found: list[Difference], part: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
    for name in sorted(before.keys() | after.keys()):
        path = f"{part}.{name}"
        if name not in after:
            found.append(Difference(part=part, name=name, change="removed", path=path, before=before[name]))
        elif name not in before:
            found.append(Difference(part=part, name=name, change="added", path=path, after=after[name]))
        else:
            _fields(found, part, name, path, before[name], after[name])


def _fields(found: list[Difference], part: Any, name: str, path: str, before: Any, after: Any) -> None:
    if before == after and type(before) is type(after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
        for key in sorted(old.keys() | new.keys()):
            _fields(found, part, name, f"{path}.{key}", old.get(key), new.get(key))
        return
    found.append(Difference(part=part, name=name, change="changed", path=path, before=before, after=after))


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else text[:79] + "…"
