"""Pure rules: what an output says about the way on, what a merge is given, what leaves add up to (requirements W4-W7)."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from clew.core.errors import Failure
from clew.core.events import Status
from clew.core.graph import Backoff, Node, Retry

ROUTE_KEYS = ("route", "selected_edge", "selected_edge_label", "decision", "condition", "next")

FINAL_CODES = frozenset(
    {
        "timeout",
        "limit_cost",
        "limit_time",
        "limit_tokens",
        "crashed",
        "cancelled",
        "denied",
        "rejected",
        "in_doubt",
        "non_determinism",
        "merge_failed",
        "unknown_route",
        "not_a_list",
    }
)
"""Codes that another attempt would meet again, or that must be asked for by name in ``retry.on``."""


def route_of(output: Any, labels: Sequence[str]) -> str:
    """The label that a decision's output names. Raises Failure(unknown_route)."""
    chosen: Any = None
    if isinstance(output, str):
        chosen = output
    elif isinstance(output, Mapping):
        mapping = cast("Mapping[str, Any]", output)
        key = next((k for k in ROUTE_KEYS if k in mapping), None)
        chosen = mapping[key] if key else None
    if isinstance(chosen, str) and chosen in labels:
        return chosen
    said = f"names {chosen!r}" if chosen is not None else f"names no edge (looked for {', '.join(ROUTE_KEYS)})"
    raise Failure(f"the decision {said}; its edges are {', '.join(labels)}", code="unknown_route")


def items_of(output: Any, over: str) -> list[Any]:
    """The list at the dotted path ``over``. Raises Failure(not_a_list) that says where the path broke."""
    value = output
    walked: list[str] = []
    for part in over.split("."):
        walked.append(part)
        if isinstance(value, Mapping) and part in value:
            value = cast("Mapping[str, Any]", value)[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(part)]
        else:
            raise Failure(f"over: {over!r}: nothing at {'.'.join(walked)!r}", code="not_a_list")
    if not isinstance(value, list):
        raise Failure(f"over: {over!r} is a {type(value).__name__}, not a list", code="not_a_list")
    return cast("list[Any]", value)


def split_path(node: Node, edges: int, output: Any) -> str | None:
    """The path a split takes its items from; None: one subtask per edge."""
    if node.over is None and edges == 1 and isinstance(output, Mapping) and "subtask_inputs" in output:
        return "subtask_inputs"
    return node.over


def may_retry(retry: Retry, code: str, attempt: int) -> bool:
    if attempt >= retry.max_attempts:
        return False
    return code in retry.on if retry.on else code not in FINAL_CODES


def backoff_ms(backoff: Backoff, attempt: int) -> int:
    """Pause after ``attempt`` failed; exponents are bounded so that no attempt number overflows."""
    grown = backoff.initial_ms * backoff.factor ** min(attempt - 1, 64)
    return int(min(grown, backoff.max_ms))


def error(code: str, message: str, details: Any = None) -> dict[str, Any]:
    return {"code": code, "message": message, "details": details}


class Leaf:
    """What a result is made of: one ended member, by position."""

    __slots__ = ("error", "id", "output", "status")

    def __init__(self, task: str, status: Status, output: Any, failure: dict[str, Any] | None) -> None:
        self.id = task
        self.status: Status = status
        self.output = output
        self.error = failure


Result = tuple[Status, Any, dict[str, Any] | None]
"""Status, output, error."""


def _arm_failed(leaves: Sequence[Leaf]) -> dict[str, Any]:
    failed = [{"task_id": leaf.id, "error": leaf.error} for leaf in leaves if leaf.status == "failure"]
    return error("arm_failed", f"{len(failed)} of {len(leaves)} arms failed", {"failures": failed})


def branch_result(leaves: Sequence[Leaf]) -> Result:
    """First leaf by position with success, else first partial, else failure. ``leaves`` in position order, not empty."""
    preferred: tuple[Status, Status] = ("success", "partial")
    for wanted in preferred:
        for leaf in leaves:
            if leaf.status == wanted:
                return wanted, leaf.output, None
    return "failure", leaves[0].output, _arm_failed(leaves)


def split_result(leaves: Sequence[Leaf]) -> Result:
    """Failure if a leaf failed, else partial if one is partial, else success; the list of outputs by position."""
    outputs = [leaf.output for leaf in leaves]
    statuses = {leaf.status for leaf in leaves}
    if "failure" in statuses:
        return "failure", outputs, _arm_failed(leaves)
    status: Status = "partial" if "partial" in statuses else "success"
    return status, outputs, None


def run_result(leaves: Sequence[Leaf]) -> Result:
    """One leaf gives status, output and error; several follow the split rule."""
    if len(leaves) == 1:
        return leaves[0].status, leaves[0].output, leaves[0].error
    return split_result(leaves)
