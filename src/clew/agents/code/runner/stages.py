"""Judging a candidate in one session: first failing tests that it should repair, then passing tests that it must not break."""

import signal
import unittest
from typing import Any, Dict, List, Set, Tuple

import pytest
from _pytest.reports import TestReport

from .children import limit_cpu
from .scope import split_node_id

PASSED = "passed"
PARTIAL = "partial"
KILLED = "killed"
REGRESSED = "regressed"
Judged = Tuple[str, List[int]]
"""A verdict, and the numbers of the targets that pass."""


class StillHangs(BaseException):
    """A failing test that never ended does not end under this candidate either."""


class Stages:
    """A pytest plugin: notes failures, and runs chosen items in two stages."""

    def __init__(self, spec: Dict[str, Any]) -> None:
        self.spec = spec
        self.targets: List[str] = spec["targets"]
        self.passed: Set[str] = set()
        self.broken: Set[str] = set()
        self.failed = False

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.broken.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        """A failure in one word: nobody reads its traceback, and a deep one takes longer to show than the test to run."""
        excinfo = call.excinfo
        if excinfo is None or isinstance(excinfo.value, (pytest.skip.Exception, unittest.SkipTest)):
            return None
        return TestReport(item.nodeid, item.location, {}, "failed", "failed", call.when)

    def repaired(self, items: List[Any], candidate: Dict[str, Any]) -> List[int]:
        """Numbers of the targets that pass: those near the change first, the others only when all of these pass."""
        near: List[int] = self.spec["hits"][candidate["group"]]
        order = [*near, *(n for n in range(len(self.targets)) if n not in set(near))]
        plan = [(number, _items_of(self.targets[number], items)) for number in order]
        found: List[int] = []
        missed, hung = 0, False
        most: int = candidate.get("misses", self.spec["misses"])
        for place, (number, own) in enumerate(plan):
            if missed and (place >= len(near) or hung or missed >= most):
                break
            if found and number >= len(self.targets) - self.spec["hanging"]:
                limit_cpu(2 * self.spec["limit"] + 0.5)
                signal.signal(signal.SIGVTALRM, _give_up)
                signal.setitimer(signal.ITIMER_VIRTUAL, self.spec["limit"])
                hung = True  # unless it passes
            following = plan[place + 1][1][:1] if place + 1 < len(plan) else []
            if own and self._all(own, following[0] if following else None):
                found.append(number)
                hung = False
            else:
                missed += 1
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if missed and most == 1:
            return []
        if found:
            _tear_down(items)
        return found

    def verdict(self, items: List[Any], found: List[int], covering: List[str]) -> Judged:
        """Run the covering tests, in the suite's own order, where any target was repaired."""
        if not found:
            return KILLED, []
        second = set(covering) - set(self.targets)
        limit_cpu(self.spec["covering_limit"])
        if not self._all([i for i in items if i.nodeid in second], None):
            return REGRESSED, []
        return PASSED if len(found) == len(self.targets) else PARTIAL, found

    def _all(self, items: List[Any], after: Any) -> bool:
        for index, item in enumerate(items):
            following = items[index + 1] if index + 1 < len(items) else after
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if item.nodeid in self.broken or item.nodeid not in self.passed:
                return False
        return True


def _give_up(*_: Any) -> None:
    raise StillHangs


def _tear_down(items: List[Any]) -> None:
    """End fixtures that were kept for a test that is not run now."""
    state: Any = items[0].session._setupstate  # noqa: SLF001 - pytest has no public name for it
    try:
        state.teardown_exact(None)
    except TypeError:  # before pytest 7
        state.teardown_exact(items[0], None)


def _items_of(target: str, items: List[Any]) -> List[Any]:
    """The item of this id, or all of the file."""
    path, rest = split_node_id(target)
    return [item for item in items if item.nodeid == target or (not rest and split_node_id(item.nodeid)[0] == path)]
