"""The pytest plugin of a session: tells what happens to each test, as it happens, and ends what takes too long.

A test over its limit is interrupted by an exception raised in it; whoever reads the pipe kills what swallows that.
"""

import json
import os
import signal
import socket
import sys
import time
import traceback
from typing import Any, Dict, FrozenSet, Generator, List, Optional, Set, Union

import pytest
from _pytest.doctest import DoctestModule
from _pytest.fixtures import FixtureLookupError

from .faults import Dump
from .probes import Probes
from .tracer import Tracer, frames_below, frames_of

Wrapper = Generator[None, Any, None]
Lines = Dict[str, Set[int]]
MESSAGE = 300
DUMP = 1.0
"""Seconds after its limit at which a test that does not heed it is looked at from outside."""


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
        self.import_lines: Lines = {}
        self.own: Lines = {}
        self.shared: Dict[int, Lines] = {}
        self.dump: Optional[Dump] = Dump(spec["dump"]) if self.tracing and spec.get("dump") else None
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
        if self.dump:
            self.dump.start()
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
            self.own = {}
        if self.dump and item.nodeid in self.known_slow:
            self.dump.watch(limit + DUMP)
        yield
        if self.dump:
            self.dump.release()
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
            lines=self._lines_of(item),
            network=self.network,
            written=isinstance(item, pytest.Function),
            **self.failure,
        )

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Wrapper:
        """What a fixture runs that is set up once belongs to every test that uses it."""
        if not self.tracing or fixturedef.scope == "function":
            yield
            return
        self._collect(self.own)
        yield
        lines = self.shared.setdefault(id(fixturedef), {})
        self._collect(lines)

    def _collect(self, lines: Lines) -> None:
        """Move the lines that ran since the last call to ``lines``."""
        for path, numbers in self.coverage.take().items():
            lines.setdefault(path, set()).update(numbers)

    def _lines_of(self, item: Any) -> Dict[str, List[int]]:
        if not self.tracing:
            return {}
        self._collect(self.own)
        table: Any = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
        for definition in {d for definitions in table.values() for d in definitions}:
            for path, numbers in self.shared.get(id(definition), {}).items():
                self.own.setdefault(path, set()).update(numbers)
        return {path: sorted(numbers) for path, numbers in sorted(self.own.items())}

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
        excinfo = call.excinfo
        frames = frames_below(self.tracer, excinfo.tb) if excinfo is not None else ()
        if excinfo is not None and isinstance(excinfo.value, MemoryError):
            traceback.clear_frames(excinfo.tb)  # what fills the memory is held by them
        outcome = yield
        report = outcome.get_result()
        if report.failed:
            if self.outcome != "timeout":
                self.outcome = "timeout" if excinfo is not None and excinfo.type is TimeLimit else "failed"
            if excinfo is not None and not self.failure:
                self.failure = {
                    "message": _described(excinfo.value),
                    "frames": frames,
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

    def _expired(self, _number: int, frame: Any) -> None:
        if self.tracing:  # told at once, for the test may swallow the exception and have to be killed
            self._collect(self.own)
            lines = {path: sorted(numbers) for path, numbers in self.own.items()}
            self.tell(e="hung", lines=lines, frames=frames_of(self.tracer, frame))
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
