"""The comparison has teeth: with one rule of the reference read wrongly, it finds a disagreement soon."""

from collections.abc import Callable
from typing import Any

import pytest
import reference
from check import disagreements
from graphs import random_case
from reference import Reference, Task
from scoping import RUN, Scoping

WITHIN = 1_500
"""Cases in which a wrong reading must show."""


def _innermost_dominator(self: Scoping, merge: str) -> str:
    return next((d for d in reversed(self.dominators(merge)) if self.nodes[d].role in ("branch", "split")), RUN)


def _first_merge(self: Scoping, node: str, scopes: Any) -> str | None:
    paths = self._normal_paths(node)
    return next((n for path in paths for n in path if n in self.merges and self.scope(n) in set(scopes)), None)


def _on_every_path(self: Scoping, node: str, scopes: Any) -> str | None:
    paths = [[n for n in p if n in self.merges and self.scope(n) in set(scopes)] for p in self._normal_paths(node)]
    return next((m for m in paths[0] if all(m in p for p in paths)), None)


def _direct_members_only(self: Reference, merge: str, scope: str, owner: str) -> bool:
    members = [t for t in self.tasks.values() if scope == RUN or (t.inside and t.inside[-1] == (scope, owner))]
    moving = [t for t in members if t.state == "queued" or (t.arrived and not t.ended and t.node != merge)]
    return any(self.scoping.reaches(t.node, merge) for t in moving)


def _leaves_by_age(self: Reference, parent: Task | None) -> list[Task]:
    members = [t for t in self.tasks.values() if t.parent is parent and t.merged_into is None]
    return [t for t in members if t.state != "cancelled"]


def _cancelled_counts(self: Reference, parent: Task | None) -> list[Task]:
    members = [t for t in self.tasks.values() if t.parent is parent and t.merged_into is None]
    for task in members:
        task.status = task.status or "failure"
    return sorted(members, key=lambda t: t.position)


def _one_success_is_enough(leaves: list[Task]) -> tuple[str, list[Any]]:
    return "success" if any(t.status == "success" for t in leaves) else "failure", [t.output for t in leaves]


MISREADINGS: dict[str, tuple[object, str, Callable[..., Any]]] = {
    "scope is the innermost dominating branch or split": (Scoping, "_find_scope", _innermost_dominator),
    "nothing closes": (Scoping, "closes", lambda self, merge, scope: False),
    "every merge of a scope closes it": (Scoping, "closes", lambda self, merge, scope: self.scope(merge) == scope),
    "nothing ends": (Scoping, "ends", lambda self, merge, scope: False),
    "failures go to the first merge on any path": (Scoping, "failure_goes_to", _first_merge),
    "failures go to merges that lie on every path": (Scoping, "failure_goes_to", _on_every_path),
    "failures never arrive": (Scoping, "failure_goes_to", lambda self, node, scopes: None),
    "only direct members block": (Reference, "_blocked", _direct_members_only),
    "leaves stand in order of age": (Reference, "_leaves", _leaves_by_age),
    "cancelled tasks are leaves": (Reference, "_leaves", _cancelled_counts),
    "nobody wins": (Reference, "_wins", lambda self, owner, scope, winner: None),
    "a split succeeds if one leaf does": (reference, "_split_result", _one_success_is_enough),
    "attempts are never repeated": (Reference, "_tried_again", lambda self, task, code: False),
}


@pytest.mark.slow
@pytest.mark.parametrize("misreading", MISREADINGS)
def test_a_misreading_is_found(misreading: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, wrong = MISREADINGS[misreading]
    monkeypatch.setattr(owner, name, wrong)
    for seed in range(9_000_000, 9_000_000 + WITHIN):
        try:
            if disagreements(random_case(seed)):
                return
        except (AssertionError, ValueError, KeyError, StopIteration):
            return
    pytest.fail(f"{WITHIN} cases did not show it")
