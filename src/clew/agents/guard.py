"""The guard against repeating the same call: what was asked before, what came of it, and whether anything changed since."""

from collections.abc import Sequence
from typing import Any

from clew.core.errors import Failure
from clew.core.identity import digest

_PERFORMED = 2
"""So often an identical call may give the same result before it is answered with advice instead."""
_FAILURES = 2
_LOST_TURNS = 3


class _Asked:
    __slots__ = ("result", "times", "when")

    def __init__(self, result: str, when: int) -> None:
        self.result, self.when, self.times = result, when, 1


class Guard:
    """Of one agent body. A call that changed something, with a result not seen before, makes every repetition worth a new try:
    tests run again after an edit are no loop. ``tools``: those that are offered.
    """

    def __init__(self, tools: Sequence[str]) -> None:
        self._tools = tools
        self._asked: dict[str, _Asked] = {}
        self._changes: set[tuple[str, str]] = set()
        self._failures: dict[str, int] = {}
        self._lost = 0

    def turn(self, names: Sequence[str]) -> None:
        """A turn that calls these tools. Raises Failure(loop_detected) where it is the third in a row of unknown ones only."""
        self._lost = 0 if any(name in self._tools for name in names) else self._lost + 1
        if self._lost == _LOST_TURNS:
            raise Failure(
                f"{_LOST_TURNS} turns in a row called tools that there are not ({', '.join(names)[:200]})",
                code="loop_detected",
            )

    def advice(self, tool: str, arguments: Any) -> str:
        """What to answer instead of performing the call; empty: perform it. Raises Failure(loop_detected) where advice did not
        help."""
        asked = self._asked.get(digest([tool, arguments]))
        if asked is None or asked.when != len(self._changes) or asked.times < _PERFORMED:
            return ""
        if asked.times > _PERFORMED:
            message = f"tool {tool!r} was called with the same arguments again and again, with the same result"
            raise Failure(message, code="loop_detected", details={"tool": tool, "arguments": arguments})
        asked.times += 1
        return (
            f"This call was made {_PERFORMED} times with the same arguments and the same result, and nothing has changed since; "
            f"it was not made again. Use the result you have, change the arguments, {self._other(tool)}or give your answer."
        )

    def done(self, tool: str, arguments: Any, result: Any, *, failed: bool, mutates: bool) -> str:
        """Remember what came of a call; the advice to give with it, or nothing."""
        key, told = digest([tool, arguments]), digest(result)
        if mutates and not failed:
            self._changes.add((key, told))
        asked = self._asked.get(key)
        if asked is not None and (asked.result, asked.when) == (told, len(self._changes)):
            asked.times += 1
        else:
            self._asked[key] = _Asked(told, len(self._changes))
        if not failed:
            return ""
        self._failures[tool] = count = self._failures.get(tool, 0) + 1
        if count < _FAILURES:
            return ""
        return f"{tool} has failed {count} times. Try another way: {self._other(tool)}or answer with what you know."

    def _other(self, tool: str) -> str:
        others = ", ".join(name for name in self._tools if name != tool)
        return f"use another tool ({others}), " if others else ""
