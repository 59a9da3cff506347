"""A run read back, for people: its head, the tree of its nodes with routes and reasons, tasks, and what it asks."""

from collections.abc import Sequence

from rich.text import Text

from clew.cli import shapes
from clew.cli.lanes import Lanes, nested
from clew.cli.session import Session
from clew.cli.summary import print_question
from clew.cli.terminal import Paper, brief, clock, duration, glimpse, money, plural
from clew.service.inspect import Inspection

_ALIKE = 6
"""So many attempts of one node in one lane are listed one by one; of more, the first and what is remarkable."""
_REMARKABLE = 10
_LINES = 40
"""Lines of a value that is shown in full."""


class Portrait:
    """``full``: inputs and outputs of every node shown; ``everything``: no collapsing of what is alike."""

    def __init__(self, session: Session, paper: Paper, *, effects: bool, full: bool, everything: bool) -> None:
        self._session, self._paper = session, paper
        self._effects, self._full, self._everything = effects, full, everything
        self._queued: set[str] = set()

    def draw(self, document: shapes.RunDoc, view: Inspection) -> None:
        self._head(document)
        self._queued = {t.id for t in document.tasks if t.state == "queued"}
        lanes = Lanes()
        rows: dict[tuple[tuple[str, ...], str], list[shapes.NodeDoc]] = {}
        shown = {(n.task, n.node, n.attempt): n for n in document.nodes}
        for node in view.nodes:  # all of them, so that lanes are right also where only some are shown
            key = (lanes.enter(node.task, node.node), node.node)
            found = shown.get((node.task, node.node, node.attempt))
            if found is not None:
                rows.setdefault(key, []).append(found)
        for depth, key in nested(rows):
            self._row(depth, rows[key])
        self._tasks(document)
        for asked in document.waiting:
            print_question(self._session, self._paper, asked, alone=len(document.waiting) == 1)

    def _head(self, document: shapes.RunDoc) -> None:
        run, paper = document.run, self._paper
        past = document.at < run.events
        calls = [e for n in document.nodes for e in n.effects if e.kind == "model" and e.status == "ok"]
        unpriced = sum(not call.cost for call in calls)
        state = "paused" if document.paused else run.status or run.state
        word = f"as it stood after event {document.at} of {run.events}" if past else state
        paper.put(
            paper.glyph("more" if past else state), " ", (run.workflow, "bold"), f"  {run.run}  {word}",
            (f"  {duration(run.updated - run.created)}  {money(run.cost, unpriced)}  {plural(run.events, 'event')}", "dim"),
        )  # fmt: skip
        facts = [f"from {document.start}", clock(run.created), f"mode {document.mode}", f"plan {document.plan[:12]}"]
        facts += [f"engine {document.engine}", f"by {run.user}"]
        if run.fork_of:
            facts.append(f"fork of {run.fork_of} at event {document.forked_at}")
        if run.parent:
            facts.append(f"child of {run.parent}")
        if document.paused:
            facts.append(f"paused at {document.paused}")
        paper.put((", ".join(facts), "dim"), indent=2)
        for label, value in (("input", document.input), ("output", document.output), ("error", document.error)):
            if value is not None:
                paper.put((f"{label:<7}", "dim"), brief(value, 300), indent=2)
        paper.put()

    def _row(self, depth: int, nodes: Sequence[shapes.NodeDoc]) -> None:
        indent = 2 * depth + 2
        if self._everything or self._full or len(nodes) <= _ALIKE:
            for node in nodes:
                self._node(indent, node)
            return
        remarkable = [n for n in nodes[1:] if n.state != "completed" or n.attempt > 1]
        for node in [nodes[0], *remarkable[:_REMARKABLE]]:
            self._node(indent, node)
        hidden = len(nodes) - 1 - min(len(remarkable), _REMARKABLE)
        states: dict[str, int] = {}
        for node in nodes:
            states[node.state] = states.get(node.state, 0) + 1
        said = ", ".join(f"{number:,} {state}" for state, number in states.items())
        more = f"{nodes[0].node} {self._paper.sign('×', 'x')}{len(nodes):,}"
        self._paper.put(
            self._paper.glyph("more"), f" {more}", (f"  {said}; {hidden:,} not listed (--all)", "dim"), indent=indent
        )

    def _node(self, indent: int, node: shapes.NodeDoc) -> None:
        paper = self._paper
        again = node.state == "running" and node.task in self._queued
        text = (
            Text()
            .append_text(paper.glyph("queued" if again else node.state))
            .append(f" {node.node}", "bold" if self._full else "")
        )
        text.append(f"  {node.task}", "dim")
        if node.attempt > 1:
            text.append(f"  attempt {node.attempt}", "yellow")
        if node.entries > 1:
            text.append(f"  entered {node.entries} times", "dim")
        if node.ended is not None:
            text.append(f"  {duration(node.ended - node.started)}", "dim")
        if again:
            text.append("  interrupted, will be entered again", "dim")
        route = node.route.replace("→", paper.sign("→", "->")).replace("…", paper.sign("…", "..."))
        paper.put(text, (f"  {route}" if route else "", "cyan"), indent=indent)
        if isinstance(node.error, dict):
            paper.put((f"{node.error.get('code', '')}: {node.error.get('message', '')}", "red"), indent=indent + 2)  # pyright: ignore[reportUnknownMemberType]
        if self._full:
            self._value(indent + 2, "input", node.input)
            self._value(indent + 2, "output", node.output)
        if self._effects or self._full:
            for effect in node.effects:
                if self._full or effect.kind != "clock":
                    self._effect(indent + 2, effect)

    def _value(self, indent: int, label: str, value: object) -> None:
        rows = glimpse(value, _LINES)
        self._paper.put((f"{label:<7}", "dim"), rows[0], indent=indent)
        for row in rows[1:]:
            self._paper.put(row, indent=indent + 7)

    def _effect(self, indent: int, effect: shapes.EffectDoc) -> None:
        paper = self._paper
        state = {"ok": "completed", "open": "waiting", "in doubt": "waiting"}.get(effect.status, "failed")
        facts = [duration(effect.duration_ms)] if effect.duration_ms else []
        facts += [money(effect.cost)] if effect.cost not in ("", "0") else []
        facts += [effect.status] if effect.status != "ok" else []
        facts += [f"by {effect.by}"] if effect.by else []
        paper.put(
            paper.glyph(state),
            f" {effect.kind} {effect.name}",
            (f"  {effect.key}  {'  '.join(facts)}", "dim"),
            indent=indent,
        )
        told = {"asked": effect.request, "gave": effect.output, "error": effect.error, "notes": effect.notes}
        for label, value in told.items():
            if value is not None:
                paper.put((f"{label:<6}", "dim"), brief(value, 300), indent=indent + 2)

    def _tasks(self, document: shapes.RunDoc) -> None:
        """Tasks that are not over, and where the others went: clones, items and merges."""
        merged: dict[str, list[str]] = {}
        for task in document.tasks:
            if task.merged_into:
                merged.setdefault(task.merged_into, []).append(task.id)
        live = [t for t in document.tasks if t.state in ("queued", "running", "waiting")]
        if len(document.tasks) > 1:
            self._paper.put()
            states = ", ".join(f"{n:,} {s}" for s, n in _counted([t.state for t in document.tasks]))
            self._paper.put(("tasks  ", "dim"), f"{len(document.tasks):,}: {states}", indent=2)
        for into, members in merged.items():
            names = ", ".join(members[:4]) + (f" and {len(members) - 4:,} more" if len(members) > 4 else "")
            self._paper.put(("merged ", "dim"), f"{names} {self._paper.sign('→', '->')} {into}", indent=2)
        for task in live[:_REMARKABLE]:
            waits = f"  waits: {', '.join(task.waits)}" if task.waits else ""
            at = f" at {task.node}" if task.node else ""
            self._paper.put(self._paper.glyph(task.state), f" {task.id}  {task.state}{at}{waits}", indent=2)


def _counted(words: Sequence[str]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return list(counts.items())
