"""What agents thought, did and saw, turn by turn (G5): read from the recorded effects, kept nowhere else."""

from collections.abc import Sequence
from typing import Any, Literal, cast

import msgspec

from clew.service.inspect import EffectView, NodeView

StepKind = Literal["choice", "thought", "action", "observation", "note", "correction", "answer", "failure"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. ``name``: the tool of an action or observation, the agent of a choice. ``value``: arguments or result."""

    kind: StepKind
    text: str = ""
    name: str = ""
    value: Any = None
    failed: bool = False


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a model and what followed from its answer. A pool's choice is a turn without a model."""

    seq: int
    key: str
    agent: str
    model: str
    deployment: str
    tokens: int
    cost: str
    ms: int
    steps: list[Step]


def turns(node: NodeView) -> list[Turn]:
    """Of one attempt of one node, in the order in which models were asked."""
    tools = {view.key: view for view in node.effects if view.kind == "tool"}
    asked = [view for view in node.effects if view.kind in ("model", "selection")]
    found: list[Turn] = []
    for view in asked:
        steps = _choice(view) if view.kind == "selection" else _steps(view, tools, _told_after(view, asked))
        usage = view.usage or {}
        found.append(
            Turn(
                seq=view.seq, key=view.key, agent=view.agent, model=view.name if view.kind == "model" else "",
                deployment=view.by, tokens=usage.get("input_tokens", 0) + usage.get("output_tokens", 0),
                cost=view.cost, ms=view.ms, steps=steps,
            )
        )  # fmt: skip
    return found


def _choice(view: EffectView) -> list[Step]:
    output = _object(view.output)
    if view.error is not None:
        return [_failure(view)]
    return [
        Step(
            kind="choice",
            name=str(output.get("agent", "")),
            text=str(output.get("why", "")),
            value=output.get("scores"),
        )
    ]


def _steps(view: EffectView, tools: dict[str, EffectView], told: Sequence[dict[str, Any]]) -> list[Step]:
    if view.error is not None:
        return [_failure(view)]
    parts = _parts(_object(view.output))
    calls = [part for part in parts if part.get("type") == "tool_call"]
    steps: list[Step] = []
    for part in parts:
        if part.get("type") == "tool_call":
            steps.append(Step(kind="action", name=str(part.get("name", "")), value=part.get("arguments", {})))
        elif part.get("content"):
            thought = part["type"] == "reasoning" or bool(calls)
            steps.append(Step(kind="thought" if thought else "answer", text=str(part["content"])))
    replies = [part for message in told if message.get("role") == "tool" for part in _parts(message)]
    for index, call in enumerate(calls):
        steps += _observation(tools.get(f"{view.key}.c{index}"), replies[index] if index < len(replies) else None, call)
    for message in told:
        if message.get("role") == "user":
            text = "".join(str(part.get("content", "")) for part in _parts(message))
            steps.append(Step(kind="note" if replies else "correction", text=text))
    return steps


def _observation(made: EffectView | None, reply: dict[str, Any] | None, call: dict[str, Any]) -> list[Step]:
    """What came of a call: its effect, or why there was none; nothing where it was not answered (yet)."""
    name = str(call.get("name", ""))
    if made is not None:
        value = made.output if made.error is None else made.error
        text = made.status if made.status in ("open", "in doubt") else ""
        return [Step(kind="observation", name=name, value=value, text=text, failed=made.error is not None)]
    if reply is not None:
        return [Step(kind="observation", name=name, value=reply.get("response"), failed=bool(reply.get("error")))]
    return []


def _told_after(view: EffectView, asked: Sequence[EffectView]) -> list[dict[str, Any]]:
    """What the next request of the same conversation adds to this one, without the model's own answer."""
    mine = _messages(view)
    for other in asked:
        theirs = _messages(other)
        if (
            other.seq > view.seq
            and other.agent == view.agent
            and len(theirs) > len(mine)
            and theirs[: len(mine)] == mine
        ):
            return [message for message in theirs[len(mine) :] if message.get("role") != "assistant"]
    return []


def _messages(view: EffectView) -> list[dict[str, Any]]:
    return list(_object(view.request).get("messages") or ())


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    return list(message.get("parts") or ())


def _failure(view: EffectView) -> Step:
    error = _object(view.error)
    return Step(kind="failure", name=str(error.get("code", "")), text=str(error.get("message", "")), failed=True)


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
