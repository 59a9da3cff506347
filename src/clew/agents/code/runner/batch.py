"""Task ``batch``: judge many candidates in one command.

Candidates that change only the body of a function which did not run at import are judged *warm*: one session
collects the tests, then forks per candidate and exchanges the code. All others are judged *cold*: a fork per
candidate that imports everything with the candidate's source in place. Either way the failing tests run first and
the passing tests that run the changed lines after them; the first test that fails ends the candidate.
A candidate that never ends is ended by its CPU time. Verdicts are returned by candidate, so that it does not matter
which of two neighbours was faster.
"""

import contextlib
import gc
import importlib
import os
import shutil
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Dict, List, Optional, Set

import pytest
from _pytest.reports import TestReport

from .children import Child, limit_cpu, limit_memory, silence, spawn, wait_any
from .options import prepare_path, pytest_arguments
from .patch import CannotPatch, LiveFunctions, edited, exchange, import_from
from .scope import split_node_id

PASSED = "passed"
KILLED = "killed"
REGRESSED = "regressed"
TIMEOUT = "timeout"
INVALID = "invalid"
COLD = "cold"
_CODES = {PASSED: b"P", KILLED: b"K", REGRESSED: b"R", INVALID: b"I", COLD: b"C"}
_VERDICTS = {code: verdict for verdict, code in _CODES.items()}
_PRELOAD_LIMIT = 300


class Stages:
    """A pytest plugin: notes failures, and runs chosen items in two stages."""

    def __init__(self, spec: Dict[str, Any]) -> None:
        self.second_limit: float = spec["covering_limit"]
        self.passed: Set[str] = set()
        self.failed = False

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed = True
        elif report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        """A failure in one word: nobody reads its traceback, and a deep one takes longer to show than the test to run."""
        excinfo = call.excinfo
        if excinfo is None or isinstance(excinfo.value, (pytest.skip.Exception, unittest.SkipTest)):
            return None
        return TestReport(item.nodeid, item.location, {}, "failed", "failed", call.when)

    def run(self, items: List[Any], targets: List[str], covering: List[str]) -> str:
        """Run targets, then covering tests, each in the suite's own order."""
        known = {item.nodeid for item in items}
        wanted = [target for target in targets if target in known or _items_of(target, items)]
        if len(wanted) < len(targets):
            return KILLED
        first = set(targets)
        files = {target for target in targets if not split_node_id(target)[1]}
        stage = [i for i in items if i.nodeid in first or split_node_id(i.nodeid)[0] in files]
        if not self._all(stage):
            return KILLED
        second = set(covering) - first
        limit_cpu(self.second_limit)
        return PASSED if self._all([i for i in items if i.nodeid in second]) else REGRESSED

    def _all(self, items: List[Any]) -> bool:
        for index, item in enumerate(items):
            following = items[index + 1] if index + 1 < len(items) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed or item.nodeid not in self.passed:
                return False
        return True


def _items_of(target: str, items: List[Any]) -> bool:
    path, rest = split_node_id(target)
    return not rest and any(split_node_id(item.nodeid)[0] == path for item in items)


class Judge:
    """Forks candidates, at most ``workers`` at a time, and keeps their verdicts by index."""

    def __init__(self, spec: Dict[str, Any], verdicts: List[Optional[str]]) -> None:
        self.spec = spec
        self.verdicts = verdicts
        self.due = time.monotonic() + spec["wall"]
        self.scratch = tempfile.mkdtemp(prefix="clew-batch-")
        self.running: Dict[int, Child] = {}

    def judge(self, indexes: List[int], body: Any, limit: float) -> None:
        """Run ``body(candidate) -> verdict`` in a child per index, in order; leaves None what time did not allow.

        ``limit``: seconds of CPU time until the failing tests must be through; the wall clock gets a multiple of it.
        """
        wall = 4 * (limit + self.spec["covering_limit"]) + 2
        waiting = list(indexes)
        while waiting or self.running:
            while waiting and len(self.running) < self.spec["workers"] and time.monotonic() < self.due:
                index = waiting.pop(0)
                self.running[index] = spawn(lambda pipe, i=index: self._child(pipe, i, body, limit), wall)
            if not self.running:
                return
            self._reap()

    def _child(self, pipe: int, index: int, body: Any, limit: float) -> None:
        silence()
        folder = str(Path(self.scratch, str(index)))
        Path(folder).mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
        limit_memory(self.spec["memory"])
        limit_cpu(limit)
        try:
            verdict = body(self.spec["candidates"][index])
        except (SyntaxError, ValueError):
            verdict = INVALID
        except CannotPatch:
            verdict = COLD
        except BaseException:  # whatever the candidate throws through pytest is its own end
            verdict = KILLED
        os.write(pipe, _CODES[verdict])

    def _reap(self) -> None:
        child = wait_any(list(self.running.values()))
        if child is None:
            return
        index = next(i for i, c in self.running.items() if c is child)
        del self.running[index]
        child.end()
        self.verdicts[index] = _VERDICTS.get(child.data[:1], TIMEOUT)
        shutil.rmtree(str(Path(self.scratch, str(index))), ignore_errors=True)

    def close(self) -> None:
        for child in self.running.values():
            child.end()
        shutil.rmtree(self.scratch, ignore_errors=True)


class WarmLoop(Stages):
    """Takes over the session after collection and judges the warm candidates in forks of it."""

    def __init__(self, spec: Dict[str, Any], judge: Judge, indexes: List[int]) -> None:
        super().__init__(spec)
        self.spec = spec
        self.judge = judge
        self.indexes = indexes
        self.reached = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        self.reached = True
        live = LiveFunctions()
        gc.collect()
        gc.freeze()
        paths = {self.spec["candidates"][index]["path"] for index in self.indexes}
        originals = {path: _read(self.spec, path) for path in paths}

        def body(candidate: Dict[str, Any]) -> str:
            path = _real(self.spec, candidate["path"])
            source = edited(originals[candidate["path"]], candidate["start"], candidate["end"], candidate["text"])
            if candidate["start"] != candidate["end"] or candidate["text"]:
                exchange(live, path, source, (candidate["owner"][0], candidate["owner"][1]))
            return self.run(session.items, self.spec["targets"], _covering(self.spec, candidate))

        self.judge.judge(self.indexes, body, self.spec["limit"])
        return True


class ColdLoop(Stages):
    """Runs one stage of a candidate in a session of its own: most end in the first, which collects little."""

    def __init__(self, spec: Dict[str, Any], targets: List[str], covering: List[str]) -> None:
        super().__init__(spec)
        self.spec = spec
        self.targets = targets
        self.covering = covering
        self.verdict = KILLED if targets else REGRESSED

    @pytest.hookimpl
    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and any(split_node_id(t)[0] == split_node_id(report.nodeid)[0] for t in self.targets):
            self.failed = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        if not self.failed:
            limit_cpu(self.spec["limit"])
            self.verdict = self.run(session.items, self.targets, self.covering)
        return True


def perform(spec: Dict[str, Any]) -> Dict[str, Any]:
    """Judge ``spec['candidates']``; verdicts by index, None where the batch's time was over."""
    prepare_path(spec)
    verdicts: List[Optional[str]] = [None] * len(spec["candidates"])
    judge = Judge(spec, verdicts)
    began = time.monotonic()
    try:
        warm = [i for i, candidate in enumerate(spec["candidates"]) if candidate.get("owner")]
        cold = [i for i, candidate in enumerate(spec["candidates"]) if not candidate.get("owner")]
        if warm:
            _judge_warm(spec, judge, warm)
            cold = sorted(cold + [i for i in warm if verdicts[i] == COLD])
        if cold:
            _judge_cold(spec, judge, cold)
    finally:
        judge.close()
    return {
        "verdicts": [None if verdict == COLD else verdict for verdict in verdicts],
        "seconds": round(time.monotonic() - began, 3),
    }


def _judge_warm(spec: Dict[str, Any], judge: Judge, indexes: List[int]) -> None:
    """In a child, so that nothing of the repository is loaded in this process when the cold ones are forked."""

    def session(pipe: int) -> None:
        silence()
        loop = WarmLoop(spec, judge, indexes)
        groups = {spec["candidates"][index]["group"] for index in indexes}
        covering = [spec["tests"][test] for group in sorted(groups) for test in spec["groups"][group]]
        paths = _paths(spec, [*spec["targets"], *covering])
        pytest.main([*pytest_arguments(spec), "--assert=plain", *paths], plugins=[loop])
        codes = b"".join(_CODES.get(judge.verdicts[i] or "", b"T" if judge.verdicts[i] else b"-") for i in indexes)
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, (codes if loop.reached else b"C" * len(indexes)) + b"\n")

    patience = 4 * (spec["limit"] + spec["covering_limit"]) + 4
    child = spawn(session, max(0.1, judge.due - time.monotonic()) + patience)
    data = b""
    while not data.endswith(b"\n"):
        wait_any([child])
        if not child.data:
            break
        data, child.data = data + child.data, b""
    child.end()
    data = data.rstrip(b"\n") or b"C" * len(indexes)  # the session itself did not get through: try each on its own
    for index, code in zip(indexes, data):
        letter = bytes([code])
        judge.verdicts[index] = None if letter == b"-" else _VERDICTS.get(letter, TIMEOUT)


def _judge_cold(spec: Dict[str, Any], judge: Judge, indexes: List[int]) -> None:
    _preload(spec)
    gc.collect()
    gc.freeze()

    def body(candidate: Dict[str, Any]) -> str:
        source = edited(_read(spec, candidate["path"]), candidate["start"], candidate["end"], candidate["text"])
        import_from(_real(spec, candidate["path"]), source)
        verdict, covering = PASSED, _covering(spec, candidate)
        for loop in (ColdLoop(spec, spec["targets"], []), ColdLoop(spec, [], covering)):
            if verdict == PASSED and (loop.targets or loop.covering):
                limit_cpu(spec["cold_limit"])
                paths = _paths(spec, [*loop.targets, *loop.covering])
                pytest.main([*pytest_arguments(spec), "--assert=plain", *paths], plugins=[loop])
                verdict = loop.verdict
        return verdict

    judge.judge(indexes, body, spec["cold_limit"])


def _preload(spec: Dict[str, Any]) -> None:
    """Import once what every candidate would import: the suite's third-party modules, never the repository's own."""
    for name in spec.get("preload", ())[:_PRELOAD_LIMIT]:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _paths(spec: Dict[str, Any], tests: List[str]) -> List[str]:
    """The files that the tests are in, in the suite's order."""
    wanted = dict.fromkeys(split_node_id(name)[0] for name in tests)
    order = [path for path in spec.get("files", ()) if path in wanted]
    return [*order, *(path for path in wanted if path not in order)]


def _covering(spec: Dict[str, Any], candidate: Dict[str, Any]) -> List[str]:
    return [spec["tests"][index] for index in spec["groups"][candidate["group"]]]


def _real(spec: Dict[str, Any], relative: str) -> str:
    return str(Path(spec["root"], relative).resolve())


def _read(spec: Dict[str, Any], relative: str) -> bytes:
    return Path(_real(spec, relative)).read_bytes()
