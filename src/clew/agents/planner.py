"""The planner without a model: a goal is split where it splits itself, and nowhere else.

With a model the planner is an agent like others: ``instructions: clew:planner`` and the tools ``plan_milestones`` and
``mark_milestone``. What the offline provider can do of that truthfully stands here.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any, cast

from clew.gate.ports.model import ToolCall, ToolOffer

TOOL = "plan_milestones"
_MOST = 100
_MOST_TITLE, _MOST_GOAL = 400, 4000
_LINE = 160
"""A longer line is a paragraph, not an item of a list."""

_ITEM = re.compile(r"^\s*(?:[-*+•]|\(?\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?(?P<text>\S.*)$")
_THEN = re.compile(r"\s*[,;.]?\s+(?:and\s+)?then\b[\s,]*|\s*;\s+", re.IGNORECASE)
_WITHIN = re.compile(r"\bwithin\s+(\d{1,4})\s+(second|minute|hour|day|week)s?\b", re.IGNORECASE)
_UNITS = {"second": (1, "s"), "minute": (1, "m"), "hour": (1, "h"), "day": (1, "d"), "week": (7, "d")}


def plan_call(tools: Sequence[ToolOffer], given: Any, called: Collection[str]) -> ToolCall | None:
    """The one call that plans what was given (a text, or ``goal`` or ``text`` of an object). None: nothing to plan, or planned."""
    if TOOL in called or TOOL not in {tool.name for tool in tools}:
        return None
    wanted = cast("dict[str, Any]", given) if isinstance(given, dict) else {"text": given}
    goal = wanted.get("goal", wanted.get("text"))
    if "milestones" in wanted or not isinstance(goal, str) or not goal.strip():
        return None
    arguments = {"goal": goal.strip()[:_MOST_GOAL], "milestones": milestones_of(goal)}
    return ToolCall(id="plan", name=TOOL, arguments=arguments)


def milestones_of(goal: str) -> list[dict[str, str]]:
    """Arguments of ``plan_milestones``: one milestone per list item, per line, or per part between "then"; else the goal itself.

    ``due_in`` only where the goal says "within …". Where there are more than a plan takes, the last one stands for the rest.
    """
    parts = _parts(goal)
    if len(parts) > _MOST:
        parts = [*parts[: _MOST - 1], f"the other {len(parts) - _MOST + 1} items of the goal"]
    return [_milestone(number, part) for number, part in enumerate(parts, 1)]


def _parts(goal: str) -> list[str]:
    lines = [line for line in goal.splitlines() if line.strip()]
    items = [found["text"].strip() for line in lines if (found := _ITEM.match(line))]
    if len(items) > 1:
        return items
    headed = lines[1:] if lines and lines[0].rstrip().endswith(":") else lines
    if len(headed) > 1 and all(len(line) <= _LINE for line in headed):
        return [line.strip() for line in headed]
    whole = " ".join(goal.split())
    steps = [step.strip(" ,;.") for step in _THEN.split(whole)]
    steps = [step for step in steps if step]
    return steps if len(steps) > 1 else [whole]


def _milestone(number: int, part: str) -> dict[str, str]:
    title = part if len(part) <= _MOST_TITLE else part[: _MOST_TITLE - 1] + "…"
    within = _WITHIN.search(part)
    if within is None or int(within[1]) == 0:
        return {"id": f"m{number}", "title": title}
    times, unit = _UNITS[within[2].lower()]
    return {"id": f"m{number}", "title": title, "due_in": f"{int(within[1]) * times}{unit}"}
