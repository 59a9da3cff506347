"""The pytest plugin of a session: tells what happens to each test, as it happens, and ends what takes too long.

A test over its limit is interrupted by an exception raised in it; whoever reads the pipe kills what swallows that.
"""

import json
import os
import signal
import socket
import sys
import time
from typing import Any, Dict, FrozenSet, Generator, List, Optional, Set, Union

import pytest
from _pytest.doctest import DoctestModule
from _pytest.fixtures import FixtureLookupError

from .probes import Probes
from .tracer import Tracer, frames_below

Wrapper = Generator[None, Any, None]
MESSAGE = 300


class TimeLimit(BaseException):
    """A test has used up its time. Not an Exception, so that code under test rarely swallows it."""


class Limits:
    """Time allowed to one test: ``first`` until one has hung, then little more than the slowest that passed took."""

    def __init__(self, first: float, later: float, factor: float) -> None:
        self.first = first
        self.later = later
        self.factor = factor
        self.hung = False
        self.slowest = 0.0

    def of(self, _node_id: str) -> float:
        if not self.hung:
            return self.first
        return min(self.first, max(self.later, self.factor * self.slowest))


class Recorder:
    """A pytest plugin that reports every step as one JSON line on ``pipe``."""

    def __init__(self, spec: Dict[str, Any], pipe: int, skip: FrozenSet[str], limits: Limits) -> None:
        self.pipe = pipe
        self.skip = skip
        self.only: Optional[Set[str]] = set(spec["tests"]) if spec.get("tests") else None
        self.limits = limits
        self.known_slow: FrozenSet[str] = frozenset(spec.get("hanging", ()))
        self.root = spec["root"]
        self.tracer = Tracer(self.root)
        lines = spec.get("lines")
        self.coverage: Union[Tracer, Probes] = Probes(self.tracer.relative, lines) if lines else self.tracer
        self.tracing = bool(spec.get("coverage"))
        self.failure: Dict[str, Any] = {}
        self.outcome = ""
        self.began = 0.0
        self.network = False
        self.import_lines: Dict[str, Set[int]] = {}
        sys.addaudithook(self._notice)
        if self.tracing:
            self.coverage.start()

    def tell(self, **event: Any) -> None:
        data = (json.dumps(event, separators=(",", ":")) + "\n").encode("utf-8", "surrogateescape")
        while data:
            data = data[os.write(self.pipe, data) :]

    def lines(self) -> Dict[str, List[int]]:
        return {path: sorted(lines) for path, lines in self.coverage.take().items()} if self.tracing else {}

    def _notice(self, event: str, arguments: Any) -> None:
        """Audit hook: the sandbox refuses every socket but local ones; who asked for one is told apart."""
        if event == "socket.__new__" and arguments[1] != socket.AF_UNIX:
            self.network = True

    def _imported(self) -> Dict[str, List[int]]:
        """Lines that ran since the last call, noted as lines that run while modules are imported."""
        lines = self.lines()
        for path, numbers in lines.items():
            self.import_lines.setdefault(path, set()).update(numbers)
        return lines

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Wrapper:
        self._imported()
        outcome = yield
        report = outcome.get_result()
        lines = self._imported()
        if report.failed:
            written = not isinstance(collector, DoctestModule)
            self.tell(e="broken", id=report.nodeid, lines=lines, written=written, **self._why_broken(report))

    def _why_broken(self, report: Any) -> Dict[str, Any]:
        call = getattr(report, "call", None)
        if call is None or call.excinfo is None:
            return {"message": str(report.longrepr)[-MESSAGE:], "frames": []}
        cause = _root_cause(call.excinfo.value)
        missing = cause.name if isinstance(cause, ModuleNotFoundError) else None
        frames = frames_below(self.tracer, cause.__traceback__)
        return {"message": _described(cause), "frames": frames, "missing": "module " + missing if missing else ""}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: List[Any]) -> None:
        self.collected = [item.nodeid for item in items]
        items[:] = [i for i in items if i.nodeid not in self.skip and (self.only is None or i.nodeid in self.only)]

    @pytest.hookimpl
    def pytest_collection_finish(self, session: Any) -> None:
        config = session.config
        self._imported()
        self.tell(
            e="collected",
            ids=[i for i in self.collected if self.only is None or i in self.only],
            rootdir=self._below_root(getattr(config, "rootpath", None) or config.rootdir),
            inifile=self._below_root(getattr(config, "inipath", None) or getattr(config, "inifile", None)),
            version=pytest.__version__,
            lines={path: sorted(numbers) for path, numbers in self.import_lines.items()},
        )

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Wrapper:
        limit = self.limits.of(item.nodeid)
        if item.nodeid in self.known_slow:
            limit = min(limit, self.limits.later)
        self.tell(e="start", id=item.nodeid, limit=limit)
        self.failure, self.began, self.limit = {}, time.monotonic(), limit
        self._set_outcome("passed")
        self.network = False
        if self.tracing:
            self.coverage.start()
            self.coverage.take()  # what ran between two tests belongs to neither
        yield
        took = time.monotonic() - self.began
        if self.outcome == "passed":
            self.limits.slowest = max(self.limits.slowest, took)
        if self.outcome == "timeout":
            self.limits.hung = True
        self.tell(
            e="end",
            id=item.nodeid,
            outcome=self.outcome,
            took=round(took, 4),
            lines=self.lines(),
            network=self.network,
            written=isinstance(item, pytest.Function),
            **self.failure,
        )

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_setup(self) -> Wrapper:
        self._arm()
        yield
        self._disarm()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self) -> Wrapper:
        self._arm()
        yield
        self._disarm()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_teardown(self) -> Wrapper:
        self._arm()
        yield
        self._disarm()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, call: Any) -> Wrapper:
        outcome = yield
        report = outcome.get_result()
        if report.failed:
            excinfo = call.excinfo
            if self.outcome != "timeout":
                self.outcome = "timeout" if excinfo is not None and excinfo.type is TimeLimit else "failed"
            if excinfo is not None and not self.failure:
                self.failure = {
                    "message": _described(excinfo.value),
                    "frames": frames_below(self.tracer, excinfo.tb),
                }
                if isinstance(excinfo.value, FixtureLookupError) and excinfo.value.argname:
                    self.failure["missing"] = "fixture " + excinfo.value.argname
        elif report.skipped and self.outcome == "passed":
            self.outcome = "skipped"

    def _set_outcome(self, outcome: str) -> None:
        self.outcome = outcome

    def _below_root(self, path: Any) -> str:
        """Relative to the workspace, whose own place differs from one sandbox to another; empty for none."""
        return os.path.relpath(str(path), self.root) if path else ""

    def _arm(self) -> None:
        signal.signal(signal.SIGALRM, self._expired)
        signal.setitimer(signal.ITIMER_REAL, max(0.01, self.began + self.limit - time.monotonic()))

    def _disarm(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _expired(self, *_: Any) -> None:
        raise TimeLimit(f"over {self.limit:g} s")


def _described(value: BaseException) -> str:
    try:
        text = str(value)
    except Exception:  # an exception whose own text fails is still a failure of the test
        text = "(no text)"
    return (type(value).__name__ + ": " + text)[:MESSAGE]


def _root_cause(value: BaseException) -> BaseException:
    """What pytest's own collection error was raised from."""
    return value if value.__cause__ is None else _root_cause(value.__cause__)
