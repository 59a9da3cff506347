"""``clew show --reasoning``: what agents thought, did and saw; its document and how it is drawn."""

from typing import Any

import msgspec

from clew.cli.terminal import Paper, brief, duration, money, plural
from clew.service.inspect import Inspection
from clew.service.reasoning import Step, Turn, turns
from clew.service.wiring import Workspace

_TEXT = 2_000
_VALUE = 600


class StepDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a turn."""

    kind: str
    """``choice | thought | action | observation | note | correction | answer | failure``."""
    text: str
    name: str
    """The tool of an action or observation, the agent of a choice, the code of a failure."""
    value: Any
    """Arguments of an action, what an observation saw."""
    failed: bool


class TurnDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a model and what followed from its answer."""

    seq: int
    key: str
    agent: str
    model: str
    """The logical model; empty where an agent was chosen from a pool."""
    deployment: str
    """Who answered: ``provider/name``."""
    tokens: int
    cost: str
    """Empty: the price is not known."""
    duration_ms: int
    steps: list[StepDoc]


class ThoughtsDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of one node that asked a model."""

    task: str
    node: str
    attempt: int
    state: str
    turns: list[TurnDoc]


class ReasoningDoc(msgspec.Struct, frozen=True, kw_only=True):
    """How the agents of a run came to their outputs."""

    run: str
    nodes: list[ThoughtsDoc]


def reasoning(workspace: Workspace, view: Inspection, node: str | None, task: str | None) -> ReasoningDoc:
    """Of the nodes and tasks asked for, with secrets masked."""
    found: list[ThoughtsDoc] = []
    for one in view.nodes:
        if node in (None, one.node) and task in (None, one.task) and (thought := turns(one)):
            found.append(
                ThoughtsDoc(
                    task=one.task, node=one.node, attempt=one.attempt, state=one.state,
                    turns=[_turn(workspace, turn) for turn in thought],
                )
            )  # fmt: skip
    return ReasoningDoc(run=view.run.run, nodes=found)


def _turn(workspace: Workspace, turn: Turn) -> TurnDoc:
    return TurnDoc(
        seq=turn.seq, key=turn.key, agent=turn.agent, model=turn.model, deployment=turn.deployment, tokens=turn.tokens,
        cost=turn.cost, duration_ms=turn.ms, steps=[_step(workspace, step) for step in turn.steps],
    )  # fmt: skip


def _step(workspace: Workspace, step: Step) -> StepDoc:
    mask = workspace.redactor.value
    return StepDoc(kind=step.kind, text=mask(step.text), name=step.name, value=mask(step.value), failed=step.failed)


def draw(paper: Paper, document: ReasoningDoc) -> None:
    """For people."""
    if not document.nodes:
        paper.put("No model was asked.")
    for node in document.nodes:
        again = f"  attempt {node.attempt}" if node.attempt > 1 else ""
        paper.put(paper.glyph(node.state), (f" {node.node}", "bold"), (f"  {node.task}{again}", "dim"))
        for turn in node.turns:
            _draw_turn(paper, turn)


def _draw_turn(paper: Paper, turn: TurnDoc) -> None:
    who = turn.agent or "handler"
    if turn.model:
        by = f" by {turn.deployment}" if turn.deployment not in ("", turn.model) else ""
        facts = [f"{turn.model}{by}", plural(turn.tokens, "token"), money(turn.cost) if turn.cost else "price unknown"]
        paper.put((f"{who}  ", "cyan"), ("  ".join([*facts, duration(turn.duration_ms)]), "dim"), indent=2)
    else:
        paper.put((who, "cyan"), indent=2)
    for step in turn.steps:
        style = "red" if step.failed else "dim"
        said = step.text if len(step.text) <= _TEXT else step.text[:_TEXT] + paper.sign("…", "...")
        value = brief(step.value, _VALUE) if step.value is not None else ""
        first, *rest = " ".join(part for part in (step.name, said, value) if part).split("\n")
        paper.put((f"{step.kind:<12}", style), first, indent=4)
        for line in rest:
            paper.put(line, indent=16)
