"""A declared plan (``parameters.offline`` of an agent): tools to call in order, and how to answer.

It has no state: what was done is read from the request's messages, so a resumed or replayed body gets the same calls.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from clew.core.errors import Failure
from clew.gate.ports.model import ModelRequest, ToolCall, ToolResponse
from clew.models.offline.template import as_text, fill, texts

MOST_CALLS = 100
AT_ONCE = 16
"""Calls of one turn; the rest follows in the next."""


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool call, or one for each item of ``for_each`` (known as ``item`` and ``index``; at most ``most``, the first ones).

    ``id`` names the result (default: the tool), a list where there is ``for_each``.
    """

    call: str
    args: Any = {}
    for_each: Any = msgspec.UNSET
    most: int = MOST_CALLS
    id: str = ""

    @property
    def name(self) -> str:
        return self.id or self.call


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``answer`` where one of ``any`` (words or phrases) stands in a text of the input, whatever its case."""

    any: tuple[str, ...]
    answer: Any


class OfflinePlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``steps`` in order, then the answer of the first rule that applies, else ``answer``."""

    steps: tuple[Step, ...] = ()
    rules: tuple[Rule, ...] = ()
    answer: Any = msgspec.UNSET


def plan_of(declared: Any) -> OfflinePlan:
    """Raises Failure(invalid_request) that says where the plan is wrong."""
    try:
        plan = msgspec.convert(declared, OfflinePlan)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Failure(f"parameters.offline: {error}", code="invalid_request") from None
    if len(plan.steps) > MOST_CALLS:
        raise Failure(f"parameters.offline: more than {MOST_CALLS} steps", code="invalid_request")
    return plan


class Progress(msgspec.Struct):
    """How far the request's conversation is. ``calls``: what is to be done now, none when every step is done."""

    scope: dict[str, Any]
    calls: tuple[ToolCall, ...] = ()
    note: str = ""


def progress(plan: OfflinePlan, request: ModelRequest, given: Any, answered: Mapping[str, ToolResponse]) -> Progress:
    """Walk the plan by the answers that are there (by call id). Raises Failure as ``template.fill``."""
    results: dict[str, Any] = {}
    failures: list[dict[str, Any]] = []
    scope: dict[str, Any] = {"input": given, "results": results, "failures": failures}
    offered = {tool.name for tool in request.tools}
    for number, step in enumerate(plan.steps, 1):
        calls = _calls(number, step, scope, offered)
        open_ = tuple(call for call in calls if call.id not in answered)
        if open_:
            return Progress(scope, open_[:AT_ONCE], f"step {number} of {len(plan.steps)} of the plan: {open_[0].name}")
        good: list[Any] = []
        for call in calls:
            told = answered[call.id]
            if told.error:
                failures.append({"tool": call.name, "error": told.response})
            else:
                good.append(told.response)
        if step.for_each is not msgspec.UNSET:
            results[step.name] = good
        elif good:
            results[step.name] = good[0]
    return Progress(scope)


def _calls(number: int, step: Step, scope: dict[str, Any], offered: set[str]) -> tuple[ToolCall, ...]:
    if step.for_each is msgspec.UNSET:
        return (_call(f"offline-{number}", step, scope, offered),)
    items = fill(step.for_each, scope)
    if items is msgspec.UNSET:
        return ()
    if not isinstance(items, list | tuple):
        raise Failure(f"offline: for_each of step {number} is no list", code="offline_cannot")
    chosen = cast("Sequence[Any]", items)[: max(0, min(step.most, MOST_CALLS))]
    return tuple(
        _call(f"offline-{number}.{index}", step, {**scope, "item": item, "index": index}, offered)
        for index, item in enumerate(chosen)
    )


def _call(ident: str, step: Step, scope: dict[str, Any], offered: set[str]) -> ToolCall:
    name = fill(step.call, scope)
    if not isinstance(name, str) or name not in offered:
        known = ", ".join(sorted(offered)) or "none"
        raise Failure(f"offline: no tool {as_text(name)[:100]!r} is offered (tools: {known})", code="invalid_request")
    return ToolCall(id=ident, name=name, arguments=fill(step.args, scope))


def answer_of(plan: OfflinePlan, scope: dict[str, Any]) -> Any:
    """What the plan answers; UNSET where it leaves that open. Raises Failure as ``template.fill``."""
    said = "\n".join(texts(scope["input"])) if plan.rules else ""
    for rule in plan.rules:
        if any(named(phrase, said) for phrase in rule.any):
            return fill(rule.answer, scope)
    return fill(plan.answer, scope)


def named(phrase: str, text: str) -> bool:
    """Whether a phrase stands in a text as whole words, whatever its case."""
    return bool(phrase) and re.search(rf"(?<!\w){re.escape(phrase.casefold())}(?!\w)", text.casefold()) is not None
